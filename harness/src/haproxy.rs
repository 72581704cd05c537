//! A Plan's load balancers as a configuration of the real HAProxy: the same pools, checks and
//! rules of routing as `sim/world` plays them, in front of real nodes.
//!
//! What HAProxy must be told of a request stands in its headers, since it does not read
//! statements: `X-Access` (`write`, `latest` or `read`) and `X-User` (whose request it is); a
//! sharded read has its user in the parameter `user` as well. Directives and their meaning are
//! those of the HAProxy 2.4 configuration manual (2.2 brought `http-check send hdr`).

mod base64;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use thiserror::Error;
use wavetank_vocabulary::{InstanceId, Span};
use wavetank_world::{BalancerPlan, Deployment, Endpoint, GraphSource, Plan, Routing};

/// The header that says what a request needs: `write`, `latest` or `read`.
pub const ACCESS_HEADER: &str = "X-Access";
/// The header that says whose request it is, by number.
pub const USER_HEADER: &str = "X-User";
/// The parameter of the address that says whose request it is, for sharding.
pub const USER_PARAMETER: &str = "user";
/// The cookie that keeps a transaction where it was begun.
pub const COOKIE: &str = "WAVETANK_SERVER";
/// The first line of what is written; by it a file is known as replaceable.
pub const MARK: &str = "# Written by `wavetank haproxy`";

/// Adds a line.
macro_rules! line {
    ($out:expr, $($text:tt)*) => {{
        $out.push_str(&format!($($text)*));
        $out.push('\n');
    }};
}

/// HAProxy keeps times as milliseconds in 31 bits.
const LONGEST: Span = Span::from_millis(i32::MAX as u64);

/// Where everything listens, and how the checks log in.
#[derive(Clone, Debug)]
pub struct Places {
    /// The web server of each instance that has a store.
    pub servers: BTreeMap<InstanceId, SocketAddr>,
    /// Where the first frontend listens; those after it at the ports that follow.
    pub listen: SocketAddr,
    /// User and password of the checks.
    pub credentials: (String, String),
}

/// Why a Plan cannot be put into HAProxy's words.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// Nobody to route.
    #[error("the scenario has no [[clients]]: there is nothing to route")]
    NoClients,
    /// Ranges that depend on who is up.
    #[error(
        "clients `{client}`: HAProxy cannot express routing by range-sharding: none of its \
         balance algorithms divides a range of users among the slaves that are up; \
         hash-sharding is the rule it has"
    )]
    RangeSharding {
        /// The clients' name.
        client: String,
    },
    /// No HTTP between application and database.
    #[error(
        "clients `{client}`: their deployment is embedded: they call the database in their own \
         process, and no balancer stands between"
    )]
    Embedded {
        /// The clients' name.
        client: String,
    },
    /// An address that a file cannot name.
    #[error(
        "instance {} has a new address at each start (`new_address`), and a \
         configuration names each server by one address",
        instance.0
    )]
    NewAddress {
        /// Which.
        instance: InstanceId,
    },
    /// An instance without an address.
    #[error("no address was given for instance {}", instance.0)]
    NoAddress {
        /// Which.
        instance: InstanceId,
    },
    /// A time finer than HAProxy's clock.
    #[error("{of} is {span}: HAProxy counts in whole milliseconds")]
    TooFine {
        /// Of what.
        of: String,
        /// The time.
        span: Span,
    },
    /// A time that HAProxy's timers cannot hold.
    #[error("{of} is {span}: HAProxy's timers end at 24 days")]
    TooLong {
        /// Of what.
        of: String,
        /// The time.
        span: Span,
    },
    /// Ports ran out.
    #[error("there are {frontends} frontends, and the ports from {first} on do not suffice")]
    Ports {
        /// How many are needed.
        frontends: usize,
        /// The first port.
        first: u16,
    },
}

/// One rule of routing at one balancer: a frontend of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frontend {
    /// The balancer's name and the rule's.
    pub name: String,
    /// Where it listens.
    pub listen: SocketAddr,
    /// The clients that it is for, by index into [`Plan::clients`].
    pub clients: Vec<usize>,
    balancer: usize,
    routing: Routing,
}

/// The servers among which a rule chooses for reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Pool {
    Master,
    Slaves,
    Available,
    Sticky,
    Sharded,
}

impl Pool {
    /// For reads by this rule; none when all goes to the master.
    fn of(routing: Routing) -> Option<Pool> {
        match routing {
            Routing::AllToMaster | Routing::RangeSharding => None,
            Routing::Split | Routing::Consistency(_) | Routing::AllToSlaves => Some(Pool::Slaves),
            Routing::SplitOverAll | Routing::Anywhere => Some(Pool::Available),
            Routing::Sticky => Some(Pool::Sticky),
            Routing::HashSharding => Some(Pool::Sharded),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Pool::Master => "master",
            Pool::Slaves => "slaves",
            Pool::Available => "available",
            Pool::Sticky => "by-user",
            Pool::Sharded => "by-parameter",
        }
    }

    /// The endpoint whose 200 makes a member.
    fn endpoint(self) -> Endpoint {
        match self {
            Pool::Master => Endpoint::Master,
            Pool::Available => Endpoint::Available,
            Pool::Slaves | Pool::Sticky | Pool::Sharded => Endpoint::Slave,
        }
    }

    /// How one of several is chosen.
    fn balance(self) -> String {
        match self {
            Pool::Master => "balance first".into(),
            Pool::Slaves | Pool::Available => "balance roundrobin".into(),
            // Modulo the servers that are up: when one falls, most users move.
            Pool::Sticky => {
                format!("balance hdr({USER_HEADER})\n    hash-type map-based sdbm avalanche")
            }
            // On a ring: when one falls, its users move and nobody else.
            Pool::Sharded => format!(
                "balance url_param {USER_PARAMETER}\n    hash-type consistent sdbm avalanche"
            ),
        }
    }
}

/// The frontends of a Plan: one for each balancer and rule of routing that some client uses, in
/// the order of the clients.
///
/// # Errors
/// When the ports do not suffice.
pub fn frontends(plan: &Plan, listen: SocketAddr) -> Result<Vec<Frontend>, Refusal> {
    let mut found: Vec<Frontend> = Vec::new();
    for (index, client) in plan.clients.iter().enumerate() {
        let balancer = usize::from(client.balancer);
        let same =
            |known: &&mut Frontend| known.balancer == balancer && known.routing == client.routing;
        if let Some(known) = found.iter_mut().find(same) {
            known.clients.push(index);
            continue;
        }
        let routing = client.routing;
        let mut name = format!("{}.{}", plan.balancers[balancer].name, routing.name());
        // Two windows of `consistency` at one balancer are two rules.
        let windows = found
            .iter()
            .filter(|known| known.balancer == balancer && known.routing.name() == routing.name());
        let windows = windows.count();
        if windows > 0 {
            name += &format!("-{}", windows + 1);
        }
        found.push(Frontend { name, listen, clients: vec![index], balancer, routing });
    }
    let few = Refusal::Ports { frontends: found.len(), first: listen.port() };
    for (index, frontend) in found.iter_mut().enumerate() {
        let port = u16::try_from(index).ok().and_then(|index| listen.port().checked_add(index));
        frontend.listen.set_port(port.ok_or_else(|| few.clone())?);
    }
    Ok(found)
}

/// The text of a haproxy.cfg with the routing of a Plan.
///
/// # Errors
/// All that HAProxy cannot express, each with its reason.
pub fn configuration(plan: &Plan, places: &Places) -> Result<String, Vec<Refusal>> {
    let mut refusals = refusals(plan, places);
    let frontends = frontends(plan, places.listen).unwrap_or_else(|refusal| {
        refusals.push(refusal);
        Vec::new()
    });
    if !refusals.is_empty() {
        return Err(refusals);
    }
    let mut text = String::new();
    write_all(&mut text, plan, places, &frontends);
    Ok(text)
}

fn refusals(plan: &Plan, places: &Places) -> Vec<Refusal> {
    let mut refusals = Vec::new();
    if plan.clients.is_empty() {
        refusals.push(Refusal::NoClients);
    }
    let mut time = |of: String, span: Span| {
        if !span.as_nanos().is_multiple_of(1_000_000) {
            refusals.push(Refusal::TooFine { of, span });
        } else if span > LONGEST {
            refusals.push(Refusal::TooLong { of, span });
        }
    };
    for balancer in &plan.balancers {
        time(format!("`poll` of balancer `{}`", balancer.name), balancer.poll);
    }
    for client in &plan.clients {
        time(format!("`timeout` of clients `{}`", client.name), client.timeout + GRACE);
        if let Routing::Consistency(window) = client.routing {
            time(format!("`read_after_write` of clients `{}`", client.name), window);
        }
    }
    for client in &plan.clients {
        let name = || client.name.clone();
        if client.routing == Routing::RangeSharding {
            refusals.push(Refusal::RangeSharding { client: name() });
        }
        if client.deployment == Deployment::Embedded {
            refusals.push(Refusal::Embedded { client: name() });
        }
    }
    for instance in plan.instances.iter().filter(|instance| !instance.arbiter) {
        if instance.new_address {
            refusals.push(Refusal::NewAddress { instance: instance.id });
        } else if !places.servers.contains_key(&instance.id) {
            refusals.push(Refusal::NoAddress { instance: instance.id });
        }
    }
    refusals
}

/// By how much HAProxy is more patient than its clients, so that it is they who give up.
const GRACE: Span = Span::from_secs(1);

fn write_all(out: &mut String, plan: &Plan, places: &Places, frontends: &[Frontend]) {
    let patience = plan.clients.iter().map(|client| client.timeout).max().unwrap_or(GRACE) + GRACE;
    line!(out, "{MARK} from the scenario `{}`, for HAProxy 2.4 and later.", plan.name);
    line!(out, "#");
    line!(out, "# A request says what it needs in {ACCESS_HEADER}: write, latest or read.");
    line!(out, "# Whose it is stands in {USER_HEADER}, and in ?{USER_PARAMETER}= for sharding.");
    line!(out, "\ndefaults\n    mode http");
    line!(out, "    # Clients give up first, and try again themselves.");
    for (what, span) in [("connect", patience), ("client", patience), ("server", patience)] {
        line!(out, "    timeout {what} {}", time(span));
    }
    line!(out, "    retries 0");
    for frontend in frontends {
        write_frontend(out, plan, frontend);
    }
    for (index, balancer) in plan.balancers.iter().enumerate() {
        let here = || frontends.iter().filter(|frontend| frontend.balancer == index);
        let mut pools: Vec<Pool> = here().filter_map(|f| Pool::of(f.routing)).collect();
        if here().next().is_some() {
            // The master serves writes, and reads for want of a slave.
            pools.push(Pool::Master);
        }
        pools.sort_unstable();
        pools.dedup();
        let stays = here()
            .flat_map(|frontend| &frontend.clients)
            .any(|client| plan.clients[*client].deployment == Deployment::Server);
        for pool in pools {
            write_backend(out, plan, places, balancer, pool, stays);
        }
        for frontend in here() {
            if let Some(window) = window(frontend.routing) {
                let (name, users) = (&frontend.name, users(plan));
                line!(out, "\n# Who wrote lately: an entry goes {} after a write.", time(window));
                line!(out, "backend {name}.writers");
                let expire = time(window);
                line!(out, "    stick-table type string len 32 size {users} expire {expire}");
            }
        }
    }
}

/// For how long a user's reads follow its writes, if they do.
fn window(routing: Routing) -> Option<Span> {
    match routing {
        Routing::Consistency(window) if window > Span::ZERO => Some(window),
        _ => None,
    }
}

/// How many users there are to remember.
fn users(plan: &Plan) -> u32 {
    let users = match &plan.graph.source {
        GraphSource::Social { users, .. } => *users,
        GraphSource::Edges { edges, .. } => edges.nodes,
    };
    users.max(1)
}

fn write_frontend(out: &mut String, plan: &Plan, frontend: &Frontend) {
    let Frontend { name, listen, clients, routing, .. } = frontend;
    let balancer = &plan.balancers[frontend.balancer].name;
    let clients: Vec<_> = clients.iter().map(|at| plan.clients[*at].name.as_str()).collect();
    line!(out, "\n# For the clients {}.", clients.join(", "));
    line!(out, "frontend {name}\n    bind {listen}");
    let Some(pool) = Pool::of(*routing) else {
        line!(out, "    default_backend {balancer}.master");
        return;
    };
    let reads = format!("{balancer}.{}", pool.name());
    if !matches!(routing, Routing::Anywhere | Routing::AllToSlaves) {
        line!(out, "    acl writes req.hdr({ACCESS_HEADER}) -m str write");
        let mut needs_master = String::from("writes");
        if matches!(routing, Routing::Consistency(_)) {
            line!(out, "    acl latest req.hdr({ACCESS_HEADER}) -m str latest");
            needs_master += " || latest";
        }
        if window(*routing).is_some() {
            line!(
                out,
                "    acl wrote_lately req.hdr({USER_HEADER}),in_table({name}.writers) -m bool"
            );
            line!(
                out,
                "    http-request track-sc0 req.hdr({USER_HEADER}) table {name}.writers if writes"
            );
            needs_master += " || wrote_lately";
        }
        line!(out, "    use_backend {balancer}.master if {needs_master}");
    }
    line!(out, "    use_backend {reads} if {{ nbsrv({reads}) gt 0 }}");
    line!(out, "    default_backend {balancer}.master");
}

fn write_backend(
    out: &mut String,
    plan: &Plan,
    places: &Places,
    balancer: &BalancerPlan,
    pool: Pool,
    stays: bool,
) {
    let BalancerPlan { name, rise, fall, credentials, .. } = balancer;
    let poll = time(balancer.poll);
    line!(out, "\nbackend {name}.{}\n    {}", pool.name(), pool.balance());
    if stays {
        line!(out, "    # Sent back within a transaction, and only there: it stays where it is.");
        line!(out, "    cookie {COOKIE} insert indirect nocache");
    }
    line!(out, "    option httpchk\n    timeout check {poll}");
    let path = pool.endpoint().path();
    out.push_str(&format!("    http-check send meth GET uri {path} ver HTTP/1.1 hdr Host neo4j"));
    if *credentials {
        let (user, password) = &places.credentials;
        let login = base64::encode(format!("{user}:{password}").as_bytes());
        out.push_str(&format!(" hdr Authorization \"Basic {login}\""));
    }
    line!(out, "\n    http-check expect status 200");
    line!(out, "    default-server check inter {poll} rise {rise} fall {fall}");
    for instance in plan.instances.iter().filter(|instance| !instance.arbiter) {
        let Some(address) = places.servers.get(&instance.id) else { continue };
        let cookie = if stays { format!(" cookie {}", instance.id) } else { String::new() };
        line!(out, "    server {} {address}{cookie}", instance.id);
    }
}

/// A time of whole milliseconds, as HAProxy writes it.
fn time(span: Span) -> String {
    let millis = span.as_nanos() / 1_000_000;
    if millis.is_multiple_of(1000) { format!("{}s", millis / 1000) } else { format!("{millis}ms") }
}
