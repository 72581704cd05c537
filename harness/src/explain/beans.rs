//! What every instance answers at one moment to who asks over HTTP: the HA endpoints, with
//! credentials and without, and the management beans; and what lies on its disk. As JSON, for
//! scripts that ask a real cluster the same.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;
use wavetank_vocabulary::{Role, Time};
use wavetank_world::{BaseGraph, Endpoint, Instance, Plan};

use super::moment::played;

/// The cluster, asked.
#[derive(Serialize)]
struct Asked<'a> {
    scenario: &'a str,
    seed: u64,
    at: String,
    instances: Vec<Answers>,
}

/// What one instance answers.
#[derive(Serialize)]
struct Answers {
    id: u16,
    role: &'static str,
    /// By path. Nothing, where nobody listens.
    endpoints: BTreeMap<&'static str, Answer>,
    /// The statuses for who does not log in.
    without_credentials: BTreeMap<&'static str, u16>,
    /// As the JMX resource tells them.
    beans: Vec<Value>,
    /// Bytes by directory: the store, and those that were set aside, also by earlier processes,
    /// which the bean does not tell.
    disk: BTreeMap<String, u64>,
}

#[derive(Serialize)]
struct Answer {
    status: u16,
    body: String,
}

fn answers(id: u16, instance: Option<&Instance>, stores: &[(u16, u64)]) -> Answers {
    let asked = |endpoint: Endpoint, credentials| {
        let answer = instance.and_then(|instance| instance.http(endpoint, credentials));
        answer.map(|answer| (endpoint.path(), answer))
    };
    let all = || Endpoint::ALL.into_iter();
    let endpoints = all().filter_map(|endpoint| asked(endpoint, true));
    let endpoints = endpoints.map(|(path, answer)| {
        (path, Answer { status: answer.status, body: answer.body.into_owned() })
    });
    let refused = all().filter_map(|endpoint| asked(endpoint, false));
    let with_beans = instance.filter(|instance| instance.management_bean().is_some());
    let texts = with_beans.into_iter().flat_map(|instance| {
        let own = instance.management_bean().map(|bean| bean.to_json());
        own.into_iter().chain([instance.branched_store_bean()])
    });
    // Each is a list of one.
    let beans = texts.filter_map(|text| serde_json::from_str::<Vec<Value>>(&text).ok()).flatten();
    let directory = |area| match area {
        0 => "store".to_owned(),
        number => format!("branched/{number}"),
    };
    Answers {
        id,
        role: instance.map_or(Role::Down, Instance::role).name(),
        endpoints: endpoints.collect(),
        without_credentials: refused.map(|(path, answer)| (path, answer.status)).collect(),
        beans: beans.collect(),
        disk: stores.iter().map(|(area, bytes)| (directory(*area), *bytes)).collect(),
    }
}

/// Plays a Plan up to a moment and asks every instance: JSON, one object.
pub fn beans(plan: &Arc<Plan>, base: &Arc<BaseGraph>, at: Time) -> String {
    let world = played(plan, base, at);
    let instances = plan.instances.iter().map(|instance| {
        let id = instance.id;
        answers(id.0, world.instance(id), &world.stores_on_disk(id))
    });
    let asked = Asked {
        scenario: &plan.name,
        seed: plan.seed,
        at: at.to_string(),
        instances: instances.collect(),
    };
    serde_json::to_string_pretty(&asked).expect("texts, numbers and lists")
}

#[cfg(test)]
mod tests {
    use super::*;
    use wavetank_vocabulary::Span;

    #[test]
    fn every_instance_answers_for_itself_and_of_the_others() {
        let plan = Arc::new(crate::testing::plan());
        let base = Arc::new(BaseGraph::build(&plan.graph));
        let text = beans(&plan, &base, Time::ZERO + Span::from_secs(15));
        let told: Value = serde_json::from_str(&text).expect("it is JSON");
        let instances = told["instances"].as_array().expect("a list");
        assert_eq!(instances.len(), plan.instances.len());
        let path = "/db/manage/server/ha/master";
        let masters = instances.iter().filter(|it| it["endpoints"][path]["status"] == 200);
        assert_eq!(masters.count(), 1, "{text}");
        for instance in instances {
            let disk = instance["disk"].as_object().expect("an object");
            assert!(disk["store"].as_u64() > Some(0) && disk.len() == 1, "{disk:?}");
            assert_eq!(instance["without_credentials"][path], 401);
            let names: Vec<_> = instance["beans"].as_array().expect("a list").iter().collect();
            let [own, branched] = names[..] else { panic!("{text}") };
            assert_eq!(own["name"], "org.neo4j:instance=kernel#0,name=High Availability");
            assert_eq!(branched["name"], "org.neo4j:instance=kernel#0,name=Branched Store");
            let members = own["attributes"][6]["value"].as_array().expect("a list");
            assert_eq!(members.len(), plan.instances.len());
        }
        assert!(instances.iter().all(|it| it["role"] == "master" || it["role"] == "slave"));
        // Before anything has happened nobody listens.
        let early: Value = serde_json::from_str(&beans(&plan, &base, Time::ZERO)).expect("JSON");
        assert_eq!(early["instances"][0]["beans"], Value::Array(Vec::new()));
    }

    #[test]
    fn who_has_no_beans_has_a_role() {
        let arbiter = "[[group]]\ncount = 1\nmachine = \"aws:r3.xlarge\"\narbiter = true";
        let plan = Arc::new(crate::testing::plan_with(arbiter));
        let base = Arc::new(BaseGraph::build(&plan.graph));
        let roles = |at| -> Vec<(Value, usize)> {
            let told: Value = serde_json::from_str(&beans(&plan, &base, at)).expect("it is JSON");
            let instances = told["instances"].as_array().expect("a list").iter();
            let beans = |it: &Value| it["beans"].as_array().map_or(0, Vec::len);
            instances.map(|it| (it["role"].clone(), beans(it))).collect()
        };
        let settled = roles(Time::ZERO + Span::from_secs(15));
        assert_eq!(settled[3], ("arbiter".into(), 0));
        // The processes run, but open their stores still.
        let early = roles(Time::ZERO);
        assert!(
            early[..3].iter().all(|(role, beans)| *beans == 0 && role == "starting"),
            "{early:?}"
        );
    }
}
