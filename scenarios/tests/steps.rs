//! Wrong steps, and what their author is told; and right ones, which come back from the Plan.

use std::io;
use std::path::Path;

use wavetank_scenario::{OPERATIONS, Plan, parse, to_text};
use wavetank_world::{Deployment, GraphModel};

const GOOD: &str = r#"format = 1
duration = "2m"

[[group]]
count = 3
machine = "aws:r3.xlarge"

[[clients]]
name = "app"
arrivals = { poisson = "50/s" }
mix = { mine = 1, profile = 1 }

"#;

/// The scenario with an operation of these steps.
fn with_steps(steps: &str) -> String {
    format!("{GOOD}[[operation]]\nname = \"mine\"\nsteps = [{steps}]\n")
}

fn told(text: &str) -> String {
    match parse("wrong.toml", text) {
        Ok(_) => panic!("this should be wrong:\n{text}"),
        Err(errors) => errors.to_string(),
    }
}

/// What the author of one statement is told.
fn wrong(step: &str) -> String {
    told(&with_steps(&format!("\"match u:User(id = $me)\", \"{step}\"")))
}

macro_rules! wrong {
    ($($name:ident: $told:expr;)*) => {
        $(#[test]
        fn $name() {
            insta::assert_snapshot!(stringify!($name), $told);
        })*
    };
}

wrong! {
    step_keyword_misspelt: wrong("verfy u:User");
    step_keyword_unknown: wrong("fetch everything");
    step_without_keyword: wrong("(u)-[:FOLLOWS]->()");
    step_empty: wrong("");
    step_goes_on_too_long: wrong("read u v");
    step_strange_sign: wrong("set u.count = u.count § 1");
    step_text_without_end: wrong("set u.name = 'Ann");
    step_number_too_long: wrong("set u.count = 99999999999999999999");
    variable_misspelt: wrong("match other:User(id = $other); set othr.count = 1");
    variable_unknown: wrong("delete f");
    variable_twice: wrong("match u:User(id = $other)");
    variable_of_the_wrong_kind: wrong("let n = u.count; lock n");
    variable_a_node_as_a_value: wrong("set u.friend = u");
    variable_a_relationship_as_a_node: wrong("match (u)-[f:FOLLOWS]->(v); lock f");
    variables_too_many: wrong("let a = 1; let b = 1; let c = 1; let d = 1; let e = 1; let f = 1; let g = 1; let h = 1; let i = 1; let j = 1; let k = 1; let l = 1");
    parameter_misspelt: wrong("match v:User(id = $othr)");
    parameter_unknown: wrong("set u.name = $colour");
    parameter_without_name: wrong("set u.name = $ me");
    match_without_label: wrong("match v(email = 'a')");
    match_without_value: wrong("match v:User(id)");
    match_from_nowhere: wrong("match (v)-[:FOLLOWS]->(w)");
    path_without_arrow: wrong("match (u)[:FOLLOWS]->(v)");
    path_both_ways: wrong("match (u)<-[:FOLLOWS]->(v)");
    path_by_property: wrong("match (u)-[f:FOLLOWS(since = 1)]->(v)");
    path_named_in_a_test: wrong("verify not (u)-[f:FOLLOWS]->()");
    create_without_type: wrong("match v(id = $other); create (u)-[]->(v)");
    create_both_ways: wrong("match v(id = $other); create (u)-[:FOLLOWS]-(v)");
    create_to_nobody: wrong("create (u)-[:FOLLOWS]->()");
    create_property_twice: wrong("create p:Post(text = 'a', text = 'b')");
    set_the_id: wrong("set u.id = 7");
    set_a_sum_of_three: wrong("set u.count = 1 + 2 + 3");
    set_without_key: wrong("set u = 7");
    comparison_missing: wrong("verify u.count");
    comparison_of_elsewhere: wrong("verify u.count == 3");
    expand_without_limit: wrong("expand (u)-[:FOLLOWS]->()");
    expand_nobody: wrong("expand (u)-[:FOLLOWS]->() limit 0");
    lower_one_of_them: wrong("match v(id = $other); lower count of (u)-[:FOLLOWS]->(v)");
    lower_of_nobody: wrong("lower count");
    lock_too_many: wrong("match a(id = 1); match b(id = 2); match c(id = 3); match d(id = 4); lock u, a, b, c, d");
    detach_what: wrong("detach u");
    commit_twice: wrong("set u.a = 1; commit; commit");
    if_without_then: wrong("if u.count > 1 set u.count = 1");
    if_within_if: wrong("if u.a = 1 then if u.b = 1 then abort");
    text_too_long: wrong("set u.text = text(1000000)");

    operation_without_steps: told(&format!("{GOOD}[[operation]]\nname = \"mine\"\n"));
    operation_of_no_steps: told(&with_steps(""));
    operation_twice: told(&format!("{0}[[operation]]\nname = \"mine\"\nsteps = [\"match u(id = 1)\"]\n", with_steps("\"match u(id = $me)\"")));
    operation_steps_are_no_texts: told(&with_steps("1, 2"));
    pattern_misspelt: told(&GOOD.replace("mine", "follow").replace("[[clients]]", "[[operation]]\nname = \"follow\"\npattern = \"double-cheked\"\n\n[[clients]]"));
    pattern_of_nothing: told(&format!("{GOOD}[[operation]]\nname = \"mine\"\npattern = \"naive\"\n"));
    pattern_and_steps: told(&format!("{GOOD}[[operation]]\nname = \"mine\"\npattern = \"naive\"\nsteps = [\"match u(id = 1)\"]\n"));
    mix_without_operation: told(GOOD);
    workload_misspelt: told(&GOOD.replace("mix =", "workload = \"regster\"\nmix ="));
    users_and_arrivals: told(&GOOD.replace("mix = { mine = 1, profile = 1 }", "users = 20"));
    neither_users_nor_arrivals: told(&GOOD.replace("arrivals = { poisson = \"50/s\" }\nmix = { mine = 1, profile = 1 }", ""));
    think_without_users: told(&GOOD.replace("mix = { mine = 1, profile = 1 }", "think = \"2s\""));
    users_that_never_think: told(&GOOD.replace("arrivals = { poisson = \"50/s\" }\nmix = { mine = 1, profile = 1 }", "users = 5\nthink = \"0s\""));
    deployment_misspelt: told(&GOOD.replace("mix = { mine = 1, profile = 1 }", "deployment = \"servre\""));
    clock_both_ways: told(&GOOD.replace("mix = { mine = 1, profile = 1 }", "clock_ahead = \"2s\"\nclock_behind = \"1s\""));
}

fn draw(text: &str) -> Plan {
    let scenario = parse("test.toml", text).unwrap_or_else(|errors| panic!("{errors}\n{text}"));
    let mut no_files =
        |_: &Path| -> io::Result<Vec<u8>> { Err(io::Error::other("no file is needed")) };
    scenario.draw(1, &mut no_files).unwrap_or_else(|errors| panic!("{errors}"))
}

/// The Plan, after it came back from its own text.
fn round_trip(text: &str) -> Plan {
    let plan = draw(text);
    let written = to_text(&plan);
    let again = draw(&written);
    assert_eq!(Plan { name: plan.name.clone(), ..again }, plan, "{written}");
    plan
}

#[test]
fn operations_come_back_from_the_plan() {
    let plan = round_trip(&with_steps(
        "\"match u:User(id = $me); let n = u.count\", \"\"\"\nlock u   # a comment\nset u.count = n + 1\n\"\"\", \"commit; call search u = $fresh\"",
    ));
    assert_eq!(plan.operations.len(), 2);
    assert_eq!(plan.operations[0].name, "profile");
    // Three texts, and the commit that ends one of them.
    assert_eq!(plan.operations[1].statements(), 4);
    assert!(plan.operations[1].writes());
    assert_eq!(plan.second_stores(), ["search"]);
}

#[test]
fn every_pattern_of_the_library_comes_back_from_the_plan() {
    for operation in OPERATIONS.iter() {
        let name = &operation.program.name;
        let model = operation.model.unwrap_or(GraphModel::MonolithicNode);
        let mut text = GOOD
            .replace("mix = { mine = 1, profile = 1 }", &format!("mix = {{ {name} = 1 }}"))
            .replace(
                "name = \"app\"",
                &format!("name = \"app\"\nworkload = \"{}\"", operation.workload),
            );
        text += &format!("[graph]\nmodel = \"{}\"\n", model.name());
        if let Some(pattern) = &operation.pattern {
            text += &format!("[[operation]]\nname = \"{name}\"\npattern = \"{pattern}\"\n");
        }
        let plan = round_trip(&text);
        assert_eq!(plan.operations, std::slice::from_ref(&operation.program), "{text}");
    }
}

#[test]
fn users_and_deployments_come_back_from_the_plan() {
    let text = GOOD.replace(
        "arrivals = { poisson = \"50/s\" }\nmix = { mine = 1, profile = 1 }",
        "users = 200\nthink = { exponential = \"1s\" }\nworkload = \"bank\"\ndeployment = \"server\"\nclock_behind = \"250ms\"",
    );
    let plan = round_trip(&text);
    let client = &plan.clients[0];
    assert_eq!(client.users.map(|users| users.count), Some(200));
    assert_eq!(client.deployment, Deployment::Server);
    assert_eq!(client.clock_ahead_ms, -250);
    assert_eq!(plan.graph.properties, [("balance".to_string(), 100)]);
}
