//! `wavetank haproxy`: a scenario's load balancing for the real HAProxy.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use clap::Args;

use super::{Failure, find, replace, say, tell, warn};
use crate::exit::Exit;
use crate::haproxy::{MARK, Places, configuration, frontends};

#[derive(Args, Debug)]
pub(super) struct HaproxyArgs {
    /// The scenario: a file, or a name of the library.
    #[arg(value_name = "SCENARIO")]
    file: PathBuf,
    /// Where the configuration goes [default: standard output]; replaces only what this command wrote.
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// The port of instance 1's web server, from 1; those of the others follow.
    #[arg(long, value_name = "PORT", default_value_t = 7474, value_parser = clap::value_parser!(u16).range(1..))]
    base_port: u16,
    /// The host of all instances.
    #[arg(long, value_name = "ADDRESS", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    host: IpAddr,
    /// Where the first frontend listens, at a port from 1; the next ones at the ports that follow.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080", value_parser = listens)]
    listen: SocketAddr,
    /// User and password with which the checks log in.
    #[arg(long, value_name = "NAME:PASSWORD", default_value = "neo4j:neo4j", value_parser = login)]
    login: (String, String),
    /// Changes one value of the scenario.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

/// An address with a port that somebody can connect to.
fn listens(text: &str) -> Result<SocketAddr, String> {
    match text.parse::<SocketAddr>() {
        Ok(address) if address.port() > 0 => Ok(address),
        _ => Err("expected an address and a port from 1 to 65535, such as 127.0.0.1:8080".into()),
    }
}

/// A name and a password.
fn login(text: &str) -> Result<(String, String), String> {
    match text.split_once(':') {
        Some((name, password)) if !name.is_empty() => Ok((name.into(), password.into())),
        _ => Err("expected a name and a password with a colon between, such as neo4j:neo4j".into()),
    }
}

pub(super) fn haproxy(args: &HaproxyArgs) -> Result<Exit, Failure> {
    let scenario = find::one(&args.file, &args.set)?;
    warn(&scenario);
    if scenario.copies() > 1 {
        return Err(Failure::input(format!(
            "the scenario has {} copies of its cluster, each with balancers of its own: write \
             them with --set cluster.copies=1, and other ports for each",
            scenario.copies()
        )));
    }
    let plan = find::draw(&scenario, scenario.seed().unwrap_or(1))?;
    let mut servers = std::collections::BTreeMap::new();
    for (place, instance) in plan.instances.iter().enumerate().filter(|(_, i)| !i.arbiter) {
        let port = u16::try_from(place).ok().and_then(|place| args.base_port.checked_add(place));
        let port = port.ok_or_else(|| {
            let from = args.base_port;
            Failure::input(format!("the ports from {from} on do not suffice for all instances"))
        })?;
        servers.insert(instance.id, SocketAddr::new(args.host, port));
    }
    let places = Places { servers, listen: args.listen, credentials: args.login.clone() };
    let text = configuration(&plan, &places).map_err(|refusals| {
        Failure::input(
            refusals.iter().map(ToString::to_string).collect::<Vec<_>>().join("\nerror: "),
        )
    })?;
    let Some(out) = &args.out else {
        say(&text);
        return Ok(Exit::Held);
    };
    replace::write(out, MARK, &text)
        .map_err(|why| Failure::input(format!("cannot write {}: {why}", out.display())))?;
    for frontend in frontends(&plan, args.listen).unwrap_or_default() {
        tell(&format!("frontend {} at {}", frontend.name, frontend.listen));
    }
    say(&format!("wrote {0}\nnext:  haproxy -c -f {0}", out.display()));
    Ok(Exit::Held)
}
