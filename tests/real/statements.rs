//! Statements that a client has written itself, over HTTP to a real node.

use std::time::Duration;

use crate::node::{alone, http, is_master};
use crate::support::Folder;
use crate::wait::eventually;
use serde_json::{Value, json};

const TRANSACTION: &str = "/db/data/transaction";

/// Posts statements with their parameters; gives status and body.
fn post(web: u16, path: &str, statements: &[(&str, Value)]) -> (u16, Value) {
    let list = statements.iter();
    let list: Vec<Value> =
        list.map(|(text, given)| json!({ "statement": text, "parameters": given })).collect();
    let body = json!({ "statements": list }).to_string();
    let (status, body) = http(web, "POST", path, &body).expect("an answer");
    (status, serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}")))
}

/// Where an open transaction is reached.
fn place(opened: &Value) -> String {
    let id = opened["transaction"]["id"].as_str().expect("an open transaction");
    format!("{TRANSACTION}/{id}")
}

const READ: &str = "match u:User(id = $id)\nreturn u.status_by";
const WRITE: &str = "match u:User(id = $id)\nset u.status_by = $by";

#[test]
fn statements_of_ones_own_share_a_transaction() {
    let folder = Folder::with("about.txt", "made by a test");
    let settings = "\"org.neo4j.server.transaction.timeout\" = \"1s\"";
    let (_node, _, web) = alone(&folder, "node.log", settings);
    eventually("a master", Duration::from_secs(20), || is_master(web));
    let commit = format!("{TRANSACTION}/commit");
    let id = |id: u64| json!({ "id": id });
    let by = |id: u64, by: i64| json!({ "id": id, "by": by });
    let value = |answer: &Value| answer["results"][0]["data"][0]["row"][0].clone();
    let read = |user: u64| {
        let (status, answer) = post(web, &commit, &[(READ, id(user))]);
        assert_eq!((status, &answer["errors"]), (200, &json!([])), "{answer}");
        value(&answer)
    };
    assert_eq!(read(7), Value::Null);

    // Two writes and a read, all at once: one transaction.
    let all = [(WRITE, by(7, 41)), (WRITE, by(8, 42)), (READ, id(8))];
    let (status, answer) = post(web, &commit, &all);
    assert_eq!((status, &answer["errors"]), (200, &json!([])), "{answer}");
    let first = answer["committed"].as_u64().expect("it has committed");
    assert_eq!(answer["results"][2]["data"][0]["row"][0], 42, "it sees what it wrote: {answer}");
    assert_eq!((read(7), read(8)), (json!(41), json!(42)));

    // Step by step: nobody else sees anything before the commit.
    let (status, opened) = post(web, TRANSACTION, &[(READ, id(7))]);
    assert_eq!((status, value(&opened)), (201, json!(41)), "{opened}");
    assert_eq!(opened["transaction"]["idle_seconds"], 1.0);
    let (status, answer) = post(web, &place(&opened), &[(WRITE, by(7, 43))]);
    assert_eq!((status, &answer["errors"]), (200, &json!([])), "{answer}");
    assert_eq!(read(7), 41);
    let (status, answer) = post(web, &format!("{}/commit", place(&opened)), &[(WRITE, by(8, 44))]);
    assert_eq!((status, &answer["committed"]), (200, &json!(first + 1)), "{answer}");
    assert_eq!((read(7), read(8)), (json!(43), json!(44)));
    assert_eq!(post(web, &place(&opened), &[]).0, 404);

    // Rolled back: by request, after an error, and after too long a silence.
    for how in ["by request", "by a slip", "by time"] {
        let (status, opened) = post(web, TRANSACTION, &[]);
        assert_eq!(status, 201, "{opened}");
        assert_eq!(post(web, &place(&opened), &[(WRITE, by(7, 0))]).0, 200);
        match how {
            "by request" => {
                assert_eq!(http(web, "DELETE", &place(&opened), "").expect("an answer").0, 200);
            }
            "by a slip" => {
                let (status, answer) = post(web, &place(&opened), &[("match u:User(", id(1))]);
                let code = &answer["errors"][0]["code"];
                assert_eq!(
                    (status, code.as_str()),
                    (200, Some("Neo.ClientError.Statement.InvalidSyntax"))
                );
            }
            _ => std::thread::sleep(Duration::from_millis(1_600)),
        }
        let (status, answer) = post(web, &format!("{}/commit", place(&opened)), &[]);
        assert_eq!(status, 404, "{how}: {answer}");
        assert_eq!(answer["errors"][0]["code"], "Neo.ClientError.Transaction.UnknownId");
        assert_eq!(read(7), 43, "{how}");
    }
}

#[test]
fn operations_and_statements_do_not_mix_and_an_error_ends_the_transaction() {
    let folder = Folder::with("about.txt", "made by a test");
    let (_node, _, web) = alone(&folder, "node.log", "");
    eventually("a master", Duration::from_secs(20), || is_master(web));
    let commit = format!("{TRANSACTION}/commit");
    let write = (WRITE, json!({ "id": 7, "by": 1 }));
    let operation = ("follow", json!({ "me": 7, "other": 9 }));
    // Whatever it held is free again.
    let mixes = [(&write, &operation), (&operation, &(READ, json!({ "id": 7 })))];
    for (first, second) in mixes {
        let (status, opened) = post(web, TRANSACTION, std::slice::from_ref(first));
        assert_eq!(status, 201, "{opened}");
        let (_, answer) = post(web, &place(&opened), std::slice::from_ref(second));
        assert_ne!(answer["errors"], json!([]), "{answer}");
        assert_eq!(post(web, &format!("{}/commit", place(&opened)), &[]).0, 404, "{first:?}");
        let (_, answer) = post(web, &commit, std::slice::from_ref(&write));
        assert_eq!(answer["errors"], json!([]), "{answer}");
    }
    // A slip in a parameter's name is not user 0.
    let (status, answer) = post(web, &commit, &[("status", json!({ "mee": 7 }))]);
    let message = answer["errors"][0]["message"].as_str().expect("a message");
    assert_eq!((status, message.contains("`mee` is no parameter")), (400, true), "{answer}");
    // A body of no bytes opens one without statements.
    let (status, opened) = http(web, "POST", TRANSACTION, "").expect("an answer");
    assert_eq!(status, 201, "{opened}");
    assert_eq!(http(web, "POST", "/db/data/transaction999", "").expect("an answer").0, 404);
    assert_eq!(http(web, "PUT", &format!("{TRANSACTION}/1"), "").expect("an answer").0, 405);
}

#[test]
fn a_transaction_takes_one_request_at_a_time_and_can_be_ended_while_it_waits() {
    let folder = Folder::with("about.txt", "made by a test");
    let (_node, _, web) = alone(&folder, "node.log", "");
    eventually("a master", Duration::from_secs(20), || is_master(web));
    let by = |by: i64| json!({ "id": 7, "by": by });
    let (status, holder) = post(web, TRANSACTION, &[(WRITE, by(1))]);
    assert_eq!(status, 201, "{holder}");
    let (status, waiter) = post(web, TRANSACTION, &[]);
    assert_eq!(status, 201, "{waiter}");
    let waiter = place(&waiter);
    // It waits for the first one's lock.
    let path = waiter.clone();
    let waiting = std::thread::spawn(move || post(web, &path, &[(WRITE, by(2))]));
    let concurrent = || {
        let (status, answer) = post(web, &waiter, &[(READ, json!({ "id": 8 }))]);
        let code = answer["errors"][0]["code"].as_str().map(str::to_owned);
        (status, code)
    };
    let code = "Neo.ClientError.Transaction.ConcurrentRequest".to_owned();
    eventually("a request under way", Duration::from_secs(10), || {
        concurrent() == (200, Some(code.clone()))
    });
    let (status, answer) = http(web, "DELETE", &waiter, "").expect("an answer");
    assert_eq!((status, answer.as_str()), (200, r#"{"errors":[],"results":[]}"#));
    let (status, answer) = waiting.join().expect("it is answered");
    assert_eq!(status, 404, "{answer}");
    assert_eq!(answer["errors"][0]["code"], "Neo.ClientError.Transaction.UnknownId");
    assert_eq!(http(web, "DELETE", &waiter, "").expect("an answer").0, 404);
    // It holds nothing, and the other one goes on.
    let (_, answer) = post(web, &format!("{}/commit", place(&holder)), &[]);
    assert_eq!(answer["errors"], json!([]), "{answer}");
    let (_, answer) = post(web, &format!("{TRANSACTION}/commit"), &[(WRITE, by(3))]);
    assert_eq!(answer["errors"], json!([]), "{answer}");
}

#[test]
fn a_transaction_that_is_too_large_to_be_replicated_is_refused() {
    let folder = Folder::with("about.txt", "made by a test");
    let (_node, _, web) = alone(&folder, "node.log", "");
    eventually("a master", Duration::from_secs(20), || is_master(web));
    let (status, opened) = post(web, TRANSACTION, &[]);
    assert_eq!(status, 201, "{opened}");
    let text = "y".repeat(1_000_000);
    for id in 1..=70 {
        let given = json!({ "id": id, "by": text });
        let (status, answer) = post(web, &place(&opened), &[(WRITE, given)]);
        assert_eq!((status, &answer["errors"]), (200, &json!([])), "{id}");
    }
    let (status, answer) = post(web, &format!("{}/commit", place(&opened)), &[]);
    assert_eq!(status, 200, "{answer}");
    let error = &answer["errors"][0];
    assert_eq!(error["code"], "Neo.ClientError.Transaction.ValidationFailed", "{answer}");
    assert!(error["message"].as_str().is_some_and(|it| it.contains("can be replicated")));
    let (_, answer) = post(web, &format!("{TRANSACTION}/commit"), &[(READ, json!({ "id": 7 }))]);
    assert_eq!(answer["results"][0]["data"][0]["row"][0], Value::Null, "nothing is left");
}

#[test]
fn a_transaction_for_which_there_is_no_place_any_more_holds_nothing() {
    let folder = Folder::with("about.txt", "made by a test");
    let settings = "\"org.neo4j.server.transaction.timeout\" = \"600s\"";
    let (_node, _, web) = alone(&folder, "node.log", settings);
    eventually("a master", Duration::from_secs(20), || is_master(web));
    let (status, first) = post(web, TRANSACTION, &[(WRITE, json!({ "id": 7, "by": 41 }))]);
    assert_eq!(status, 201, "{first}");
    // As many as may be open at a time.
    for _ in 1..4_096 {
        let (status, opened) = post(web, TRANSACTION, &[(READ, json!({ "id": 9 }))]);
        assert_eq!((status, &opened["errors"]), (201, &json!([])), "{opened}");
    }
    let read = [(READ, json!({ "id": 7 }))];
    let (_, answer) = post(web, &place(&first), &read);
    assert_ne!(answer["errors"], json!([]), "{answer}");
    // Neither its place nor its lock is kept.
    let write = [(WRITE, json!({ "id": 7, "by": 42 }))];
    let (_, answer) = post(web, &format!("{TRANSACTION}/commit"), &write);
    assert_eq!(answer["errors"], json!([]), "{answer}");
}

#[test]
fn statements_that_make_no_sense_are_told_with_their_place() {
    let folder = Folder::with("about.txt", "made by a test");
    let (_node, _, web) = alone(&folder, "node.log", "");
    eventually("a master", Duration::from_secs(20), || is_master(web));
    let commit = format!("{TRANSACTION}/commit");
    for (text, parameters, told) in [
        (
            "match u:User(id = 1)\n sett u.x = 1",
            json!({}),
            "a similar word is `set` (line 2, column 2)\n sett u.x = 1\n ^^^^",
        ),
        ("match u:User(id = $id)", json!({ "ide": 1 }), "there is no parameter `$id`"),
        ("match u:Person(id = 1)", json!({}), "the graph has no label called `Person`"),
        ("match u:User(id = $id)", json!({ "id": [1] }), "`id` is neither a number nor a text"),
        ("match u:User(id = 1); commit", json!({}), "`commit` is a request of its own here"),
    ] {
        let (_, answer) = post(web, &commit, &[(text, parameters)]);
        let message = answer["errors"][0]["message"].as_str().expect("an error");
        assert!(message.contains(told), "{message}");
    }
    let gone = [("match u:User(id = 1000000)\nread u", json!({}))];
    let (_, answer) = post(web, &commit, &gone);
    assert_ne!(answer["errors"], json!([]), "{answer}");
    let mixed = [("follow", json!({ "me": 1, "other": 2 })), (READ, json!({ "id": 1 }))];
    let (status, answer) = post(web, &commit, &mixed);
    assert_eq!(status, 400, "{answer}");
    // And it goes on.
    assert!(is_master(web));
}
