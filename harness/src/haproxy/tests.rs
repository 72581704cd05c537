use std::net::{Ipv4Addr, SocketAddr};

use super::{Places, Refusal, configuration, frontends};
use crate::testing;
use wavetank_vocabulary::{InstanceId, Span};
use wavetank_world::{Deployment, Plan, Routing};

fn places(plan: &Plan) -> Places {
    let at = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    Places {
        servers: plan.instances.iter().map(|i| (i.id, at(7473 + i.id.0))).collect(),
        listen: at(8080),
        credentials: ("neo4j".into(), "secret".into()),
    }
}

fn routed(routing: Routing) -> Plan {
    let mut plan = testing::plan();
    plan.clients[0].routing = routing;
    plan
}

#[test]
fn every_rule_of_routing_is_expressed_or_refused() {
    let window = Span::from_millis(1500);
    for routing in [
        Routing::AllToMaster,
        Routing::Split,
        Routing::SplitOverAll,
        Routing::Anywhere,
        Routing::AllToSlaves,
        Routing::Consistency(window),
        Routing::Sticky,
        Routing::HashSharding,
    ] {
        let plan = routed(routing);
        let text = configuration(&plan, &places(&plan)).expect("it can be expressed");
        insta::assert_snapshot!(routing.name(), text);
    }
    let plan = routed(Routing::RangeSharding);
    let refused = configuration(&plan, &places(&plan)).expect_err("it cannot");
    assert_eq!(refused, [Refusal::RangeSharding { client: "app".into() }]);
}

#[test]
fn clients_share_a_frontend_where_they_share_balancer_and_rule() {
    let mut plan = routed(Routing::Consistency(Span::from_secs(2)));
    plan.balancers[0].credentials = false;
    let app = plan.clients[0].clone();
    for (name, routing) in [
        ("same", app.routing),
        ("patient", Routing::Consistency(Span::from_secs(20))),
        ("batch", Routing::AllToSlaves),
    ] {
        plan.clients.push(wavetank_world::ClientPlan {
            name: name.into(),
            routing,
            deployment: Deployment::Server,
            ..app.clone()
        });
    }
    plan.instances[2].arbiter = true;
    let text = configuration(&plan, &places(&plan)).expect("it can be expressed");
    insta::assert_snapshot!("several", text);
    let found = frontends(&plan, places(&plan).listen).expect("there are ports");
    let found: Vec<_> = found.iter().map(|one| (one.listen.port(), &*one.clients)).collect();
    assert_eq!(found, [(8080, &[0, 1][..]), (8081, &[2]), (8082, &[3])]);
}

#[test]
fn everything_that_cannot_be_expressed_is_told_at_once() {
    let mut plan = routed(Routing::Consistency(Span::from_micros(1500)));
    plan.balancers[0].poll = Span::from_micros(1500);
    plan.clients[0].timeout = Span::from_secs(30 * 86_400);
    plan.clients[0].deployment = Deployment::Embedded;
    plan.instances[0].new_address = true;
    let mut places = places(&plan);
    places.servers.remove(&InstanceId(3));
    let refusals = configuration(&plan, &places).expect_err("much is wrong");
    let told: Vec<_> = refusals.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!("refusals", told.join("\n"));

    plan.clients.clear();
    assert!(configuration(&plan, &places).expect_err("nobody").contains(&Refusal::NoClients));
    let mut plan = routed(Routing::Split);
    let mut master = plan.clients[0].clone();
    master.routing = Routing::AllToMaster;
    plan.clients.push(master);
    let last = SocketAddr::from((Ipv4Addr::LOCALHOST, u16::MAX));
    assert_eq!(frontends(&plan, last), Err(Refusal::Ports { frontends: 2, first: u16::MAX }));
}
