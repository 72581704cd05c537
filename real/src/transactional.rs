//! The transactional endpoint. A statement is a text in the step language with parameters, or the
//! name of one of the scenario's operations, whose parameters are `me` and `other`.
//!
//! Statements of one's own share a transaction as long as it is open: until it is committed, rolled
//! back, fails, or has waited too long for the next one (`org.neo4j.server.transaction.timeout`).
//! An operation is a transaction of its own; one that is opened plays statement by statement, and
//! its last one commits.

use std::collections::BTreeMap;
use std::sync::mpsc::channel;

use serde_json::{Value, json};
use wavetank_instance::Instance;
use wavetank_vocabulary::{NodeId, OperationKind, Status};
use wavetank_world::Program;
use wavetank_world::operation::{LOCKED_AT_ONCE, Operand, OperationStep, TokenKind};

use crate::http::{HttpAnswer, HttpRequest};
use crate::statements::{Answered, Row};
use crate::web::{FromWeb, Run, TRANSACTION, Web, only, unavailable, wait};

/// Statements of one request at the most.
const STATEMENTS: usize = 1_000;

/// The parameters of an operation.
const USERS: [&str; 2] = ["me", "other"];

/// What a request asks for.
enum Asked {
    /// Operations by name, with `$me` and `$other`.
    Operations(Vec<(OperationKind, NodeId, NodeId)>),
    /// Statements of the client's own.
    Statements(Vec<Program>),
}

impl<T: Fn(FromWeb) -> bool> Web<T> {
    fn run(&self, run: Run) -> Option<Answered> {
        let (tell, told) = channel();
        (self.tell)(FromWeb::Run(run, tell)).then_some(())?;
        wait(&told)
    }

    /// Operations, each a transaction of its own, one after the other until one fails; or
    /// statements, all in one.
    pub(crate) fn at_once(&self, body: &[u8]) -> HttpAnswer {
        let operations = match self.asked(body) {
            Ok(Asked::Operations(operations)) => operations,
            Ok(Asked::Statements(programs)) => return self.played(None, programs, true),
            Err(why) => return why,
        };
        let (mut results, mut errors) = (Vec::new(), Vec::new());
        for (kind, me, other) in operations {
            let run = Run::Begin { kind, me, other, open: false };
            let Some(answered) = self.run(run) else { return unavailable() };
            match answered.status {
                Status::Ok => results.push(result(&answered)),
                failed => {
                    errors.push(error(failed));
                    break;
                }
            }
        }
        HttpAnswer::json(200, json!({ "results": results, "errors": errors }).to_string())
    }

    /// Opens a transaction and plays its first statements, or the first one of an operation.
    pub(crate) fn open(&self, body: &[u8]) -> HttpAnswer {
        let answer = match self.asked(body) {
            Ok(Asked::Operations(operations)) => {
                let [(kind, me, other)] = operations[..] else {
                    return refused("an open transaction plays one operation: name exactly one");
                };
                match self.run(Run::Begin { kind, me, other, open: true }) {
                    Some(answered) => self.stands(&answered, &[result(&answered)]),
                    None => return unavailable(),
                }
            }
            Ok(Asked::Statements(programs)) => self.played(None, programs, false),
            Err(why) => return why,
        };
        match answer.location {
            Some(_) => HttpAnswer { status: 201, ..answer },
            None => answer,
        }
    }

    /// Plays statements in an open transaction or a new one, and commits if that is asked for.
    fn played(&self, open: Option<u64>, programs: Vec<Program>, commit: bool) -> HttpAnswer {
        let (mut open, mut results) = (open, Vec::new());
        // Without a statement there is still a transaction to be opened, or kept open.
        let empty = programs.is_empty();
        let first = empty.then(nothing);
        let mut last = Answered::bare(Status::Ok);
        for program in first.into_iter().chain(programs) {
            let run = Run::Play { program: Box::new(program), open };
            let Some(answered) = self.run(run) else { return unavailable() };
            open = answered.reply.open.map(|open| open.to_word());
            if answered.status != Status::Ok {
                return self.stands(&answered, &results);
            }
            if !empty {
                results.push(result(&answered));
            }
            last = answered;
        }
        if let Some(word) = open.filter(|_| commit) {
            match self.run(Run::Next(word)) {
                Some(answered) => last = answered,
                None => return unavailable(),
            }
        }
        self.stands(&last, &results)
    }

    /// A request to an open transaction.
    pub(crate) fn transaction(&self, request: &HttpRequest, rest: &str) -> HttpAnswer {
        let Some(rest) = rest.strip_prefix('/') else {
            return HttpAnswer::text(404, "nothing is here");
        };
        let mut parts = rest.split('/');
        let id = parts.next().and_then(|text| text.parse::<u64>().ok());
        let (Some(id), then, None) = (id, parts.next(), parts.next()) else {
            return HttpAnswer::text(404, "no transaction has such a name");
        };
        let commit = match (request.method.as_str(), then) {
            ("POST", None) => false,
            ("POST", Some("commit")) => true,
            ("DELETE", None) => return self.rolled_back(id),
            (_, None) => return only("POST or DELETE"),
            (_, Some("commit")) => return only("POST"),
            _ => return HttpAnswer::text(404, "nothing is here"),
        };
        if !request.body.is_empty() {
            return match self.asked(&request.body) {
                Ok(Asked::Statements(programs)) => self.played(Some(id), programs, commit),
                // As any error, these end the transaction.
                Ok(Asked::Operations(_)) => {
                    self.rolled_back(id);
                    refused("an operation is a transaction of its own: it cannot be part of one")
                }
                Err(why) => {
                    self.rolled_back(id);
                    why
                }
            };
        }
        // Of an operation, one statement, or all that are left; else the commit.
        loop {
            match self.run(Run::Next(id)) {
                Some(Answered { status: Status::Ok, reply, .. })
                    if commit && reply.open.is_some() => {}
                Some(answered) => return self.stands(&answered, &[result(&answered)]),
                None => return unavailable(),
            }
        }
    }

    fn rolled_back(&self, id: u64) -> HttpAnswer {
        let (tell, told) = channel();
        if !(self.tell)(FromWeb::Rollback(id, tell)) {
            return unavailable();
        }
        match wait(&told) {
            Some(status) => self.stands(&Answered::bare(status), &[]),
            None => unavailable(),
        }
    }

    /// How a transaction stands after statements that have returned this.
    fn stands(&self, answered: &Answered, results: &[Value]) -> HttpAnswer {
        let Answered { status, reply, .. } = answered;
        if *status != Status::Ok {
            let code = if *status == Status::UnknownId { 404 } else { 200 };
            let body = json!({ "results": [], "errors": [error(*status)] });
            return HttpAnswer::json(code, body.to_string());
        }
        let mut body = json!({ "results": results, "errors": [] });
        if reply.tx.0 > 0 {
            body["committed"] = json!(reply.tx.0);
        }
        let Some(open) = reply.open else { return HttpAnswer::json(200, body.to_string()) };
        let place = format!("http://{}{TRANSACTION}/{}", self.address, open.to_word());
        body["commit"] = Value::String(format!("{place}/commit"));
        let idle = self.idle.as_secs_f64();
        body["transaction"] = json!({ "id": open.to_word().to_string(), "idle_seconds": idle });
        let mut answer = HttpAnswer::json(200, body.to_string());
        answer.location = Some(place);
        answer
    }

    /// What a body asks for.
    fn asked(&self, body: &[u8]) -> Result<Asked, HttpAnswer> {
        if body.is_empty() {
            return Ok(Asked::Statements(Vec::new()));
        }
        let value: Value = serde_json::from_slice(body)
            .map_err(|why| refused(&format!("the body is no JSON: {why}")))?;
        let list = value
            .get("statements")
            .and_then(Value::as_array)
            .ok_or_else(|| refused(r#"expected {"statements":[{"statement":"…"}]}"#))?;
        if list.len() > STATEMENTS {
            return Err(refused("more than 1,000 statements"));
        }
        let (mut operations, mut programs) = (Vec::new(), Vec::new());
        for statement in list {
            let text = statement
                .get("statement")
                .and_then(Value::as_str)
                .ok_or_else(|| refused("a statement is a text"))?
                .trim();
            let parameters = statement.get("parameters");
            let is_name = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
            if !text.is_empty() && text.chars().all(is_name) {
                operations.push(self.operation(text, parameters)?);
            } else {
                programs.push(self.compiled(text, parameters)?);
            }
        }
        match (operations.is_empty(), programs.is_empty()) {
            (true, _) => Ok(Asked::Statements(programs)),
            (false, true) => Ok(Asked::Operations(operations)),
            (false, false) => {
                Err(refused("an operation is a transaction of its own: it cannot be part of one"))
            }
        }
    }

    /// An operation by its name.
    fn operation(
        &self,
        name: &str,
        parameters: Option<&Value>,
    ) -> Result<(OperationKind, NodeId, NodeId), HttpAnswer> {
        let known = || {
            let names: Vec<&str> = self.programs.iter().map(|it| it.name.as_str()).collect();
            refused(&format!("no operation is called `{name}`: there are {}", names.join(", ")))
        };
        let kind = self.programs.iter().position(|it| it.name == name).ok_or_else(known)?;
        let given = parameters.and_then(Value::as_object);
        if let Some(name) =
            given.into_iter().flat_map(|it| it.keys()).find(|it| !USERS.contains(&it.as_str()))
        {
            return Err(refused(&format!(
                "`{name}` is no parameter of an operation: expected `me` or `other`"
            )));
        }
        let parameter = |key: &str| match parameters.and_then(|it| it.get(key)) {
            None => Ok(NodeId(0)),
            Some(value) => value
                .as_u64()
                .map(NodeId)
                .ok_or_else(|| refused(&format!("`{key}` is not the number of a user"))),
        };
        let [me, other] = USERS.map(parameter);
        Ok((OperationKind(kind as u16), me?, other?))
    }

    /// A statement in the step language.
    fn compiled(&self, text: &str, parameters: Option<&Value>) -> Result<Program, HttpAnswer> {
        let mut values = BTreeMap::new();
        let given = parameters.and_then(Value::as_object);
        for (name, value) in given.into_iter().flatten() {
            let operand = match value {
                Value::Null => Operand::Null,
                Value::Bool(flag) => Operand::Flag(*flag),
                Value::String(text) => Operand::Text(text.as_str().into()),
                Value::Number(number) => match number.as_i64() {
                    Some(number) => Operand::Int(number),
                    None => return Err(refused(&format!("`{name}` is no whole number"))),
                },
                Value::Array(_) | Value::Object(_) => {
                    return Err(refused(&format!("`{name}` is neither a number nor a text")));
                }
            };
            values.insert(name.clone(), operand);
        }
        let syntax = |message: String| {
            let code = "Neo.ClientError.Statement.InvalidSyntax";
            let error = json!({ "code": code, "message": message });
            HttpAnswer::json(200, json!({ "results": [], "errors": [error] }).to_string())
        };
        let program = (self.compile)(text, &values).map_err(syntax)?;
        // The store has the names of the scenario's graph and operations, and no others.
        let names = program.names.clone();
        let unknown = move |instance: &Instance| {
            names.into_iter().find(|(kind, name)| instance.store().token(*kind, name).is_none())
        };
        match self.look(unknown) {
            Some(None) => Ok(program),
            Some(Some((kind, name))) => {
                let what = match kind {
                    TokenKind::Label => "label",
                    TokenKind::PropertyKey => "property",
                    TokenKind::RelationshipType => "type of relationship",
                };
                Err(syntax(format!("the graph has no {what} called `{name}`")))
            }
            None => Err(unavailable()),
        }
    }
}

/// A statement that does nothing.
fn nothing() -> Program {
    let steps = vec![OperationStep::Lock([None; LOCKED_AT_ONCE]), OperationStep::Statement];
    Program { name: "nothing".to_owned(), steps, ..Program::default() }
}

/// As Neo4j answers a request that it cannot read: the error is in the body.
fn refused(message: &str) -> HttpAnswer {
    let error = json!({ "code": "Neo.ClientError.Request.Invalid", "message": message });
    HttpAnswer::json(400, json!({ "results": [], "errors": [error] }).to_string())
}

fn result(answered: &Answered) -> Value {
    let row = |row: &Row| json!({ "row": [row.value], "meta": [{ "id": row.node.0 }] });
    let data: Vec<Value> = answered.rows.iter().map(row).collect();
    let mut result = json!({ "data": data, "seen": answered.reply.seen.0 });
    if answered.reply.tx.0 > 0 {
        result["committed"] = json!(answered.reply.tx.0);
    }
    result
}

fn error(status: Status) -> Value {
    let code = status.code().unwrap_or(match status {
        Status::Aborted => "Neo.ClientError.Statement.ExecutionFailure",
        _ => "Neo.DatabaseError.General.UnknownFailure",
    });
    let message = match status {
        Status::TooLarge => format!(
            "the transaction is rolled back: its changes have more than the {} bytes that can be \
             replicated",
            wavetank_store::LARGEST_TRANSACTION
        ),
        Status::ConcurrentRequest => "a request to this transaction is under way".to_owned(),
        Status::Aborted => {
            "what was asked for is not there, or not so: nothing was changed".to_owned()
        }
        other => format!("{other:?}"),
    };
    json!({ "code": code, "message": message })
}
