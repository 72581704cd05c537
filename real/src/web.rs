//! What a node answers over HTTP: the HA endpoints, the management bean, metrics, and the
//! transactional endpoint.
//!
//! A statement of the transactional endpoint is the name of one of the scenario's
//! operations, which are written in the step language; its parameters are `me` and `other`.
//! One that is opened plays statement by statement, is committed with its last one, and
//! expires after 60 s without a request.

use std::fmt::Write;
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use serde_json::{Value, json};
use wavetank_instance::{Endpoint, Instance, Programs, Reply};
use wavetank_vocabulary::{InstanceId, NodeId, OperationKind, Status};

use crate::http::{HttpAnswer, HttpRequest};

/// A look at the instance, in its own thread.
pub(crate) type Look = Box<dyn FnOnce(&Instance) + Send>;

/// What the web server asks of the node.
pub(crate) enum FromWeb {
    /// To look at the instance.
    Look(Look),
    /// To run a statement, or a whole operation.
    Run(Run, Sender<(Status, Reply)>),
    /// To roll an open transaction back: whether there was one.
    Rollback(u64, Sender<bool>),
}

/// What is to be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Run {
    /// An operation; with `open`, its first statement only.
    Begin { kind: OperationKind, me: NodeId, other: NodeId, open: bool },
    /// The next statement of an open transaction.
    Next(u64),
}

/// How long an instance may take for an answer: longer than it lets requests wait itself.
const PATIENCE: Duration = Duration::from_secs(180);

const JMX: &str = "/db/manage/server/jmx/domain/org.neo4j/";
const TRANSACTION: &str = "/db/data/transaction";

/// Statements of one request at the most.
const STATEMENTS: usize = 1_000;

/// Answers requests.
pub(crate) struct Web<T> {
    pub(crate) id: InstanceId,
    pub(crate) address: SocketAddr,
    pub(crate) programs: Programs,
    pub(crate) tell: T,
}

impl<T: Fn(FromWeb) -> bool> Web<T> {
    /// The answer to a request.
    pub(crate) fn answer(&self, request: &HttpRequest) -> HttpAnswer {
        let path = request.path.trim_end_matches('/');
        let reads = matches!(request.method.as_str(), "GET" | "HEAD");
        if let Some(endpoint) = Endpoint::ALL.into_iter().find(|it| it.path() == path) {
            return if reads { self.endpoint(endpoint, request) } else { only("GET") };
        }
        if path == "/metrics" {
            return if reads { self.metrics() } else { only("GET") };
        }
        if request.path.starts_with(JMX) && request.path.contains("High") {
            return if reads { self.bean() } else { only("GET") };
        }
        match path.strip_prefix(TRANSACTION) {
            Some("") if request.method == "POST" => self.open(&request.body),
            Some("/commit") if request.method == "POST" => self.at_once(&request.body),
            Some("" | "/commit") => only("POST"),
            Some(rest) => self.transaction(request, rest),
            None => HttpAnswer::text(404, "nothing is here"),
        }
    }

    /// What the instance says to a question; none when its process is ending.
    fn look<A: Send + 'static>(
        &self,
        question: impl FnOnce(&Instance) -> A + Send + 'static,
    ) -> Option<A> {
        let (tell, told) = channel();
        let look = move |instance: &Instance| {
            // Who asked may be gone.
            let _ = tell.send(question(instance));
        };
        (self.tell)(FromWeb::Look(Box::new(look))).then_some(())?;
        wait(&told)
    }

    fn endpoint(&self, endpoint: Endpoint, request: &HttpRequest) -> HttpAnswer {
        let credentials = request.credentials;
        match self.look(move |instance| instance.http(endpoint, credentials)) {
            Some(Some(answer)) if endpoint == Endpoint::Overview && answer.status == 200 => {
                HttpAnswer::json(200, self.here(&answer.body))
            }
            Some(Some(answer)) => HttpAnswer::text(answer.status, answer.body),
            // Neo4j's web server does not listen yet; this one says so.
            Some(None) => HttpAnswer::text(503, "starting"),
            None => unavailable(),
        }
    }

    /// The same text with the address that the server really has.
    fn here(&self, text: &str) -> String {
        text.replace(&format!("http://{}:7474", self.id), &format!("http://{}", self.address))
    }

    fn bean(&self) -> HttpAnswer {
        match self.look(|instance| instance.management_bean().map(|bean| bean.to_json())) {
            Some(Some(text)) => HttpAnswer::json(200, self.here(&text)),
            Some(None) => HttpAnswer::text(503, "starting"),
            None => unavailable(),
        }
    }

    fn metrics(&self) -> HttpAnswer {
        let id = self.id.0;
        match self.look(move |instance| metrics_text(id, instance)) {
            Some(text) => HttpAnswer {
                content_type: "application/openmetrics-text; version=1.0.0; charset=utf-8",
                ..HttpAnswer::text(200, text)
            },
            None => unavailable(),
        }
    }

    fn run(&self, run: Run) -> Option<(Status, Reply)> {
        let (tell, told) = channel();
        (self.tell)(FromWeb::Run(run, tell)).then_some(())?;
        wait(&told)
    }

    /// Operations, each a transaction of its own, one after the other until one fails.
    fn at_once(&self, body: &[u8]) -> HttpAnswer {
        let statements = match self.statements(body) {
            Ok(statements) => statements,
            Err(why) => return why,
        };
        let (mut results, mut errors) = (Vec::new(), Vec::new());
        for (kind, me, other) in statements {
            let Some((status, reply)) = self.run(Run::Begin { kind, me, other, open: false })
            else {
                return unavailable();
            };
            match status {
                Status::Ok => results.push(result(reply)),
                failed => {
                    errors.push(error(failed));
                    break;
                }
            }
        }
        HttpAnswer::json(200, json!({ "results": results, "errors": errors }).to_string())
    }

    /// Opens a transaction and plays the first statement of an operation in it.
    fn open(&self, body: &[u8]) -> HttpAnswer {
        let statements = match self.statements(body) {
            Ok(statements) => statements,
            Err(why) => return why,
        };
        let [(kind, me, other)] = statements[..] else {
            return refused("an open transaction plays one operation: name exactly one");
        };
        match self.run(Run::Begin { kind, me, other, open: true }) {
            Some((status, reply)) => {
                let mut answer = self.stands(status, reply);
                if let Some(open) = reply.open.filter(|_| status == Status::Ok) {
                    let place = format!("http://{}{TRANSACTION}/{}", self.address, open.to_word());
                    answer.status = 201;
                    answer.location = Some(place);
                }
                answer
            }
            None => unavailable(),
        }
    }

    /// A request to an open transaction.
    fn transaction(&self, request: &HttpRequest, rest: &str) -> HttpAnswer {
        let mut parts = rest.trim_start_matches('/').split('/');
        let id = parts.next().and_then(|text| text.parse::<u64>().ok());
        let (Some(id), then, None) = (id, parts.next(), parts.next()) else {
            return HttpAnswer::text(404, "no transaction has such a name");
        };
        match (request.method.as_str(), then) {
            ("POST", None) => match self.run(Run::Next(id)) {
                Some((status, reply)) => self.stands(status, reply),
                None => unavailable(),
            },
            // All statements that are left; the last one commits.
            ("POST", Some("commit")) => loop {
                match self.run(Run::Next(id)) {
                    Some((Status::Ok, Reply { open: Some(_), .. })) => {}
                    Some((status, reply)) => return self.stands(status, reply),
                    None => return unavailable(),
                }
            },
            ("DELETE", None) => {
                let (tell, told) = channel();
                if !(self.tell)(FromWeb::Rollback(id, tell)) {
                    return unavailable();
                }
                match wait(&told) {
                    Some(true) => HttpAnswer::json(200, r#"{"results":[],"errors":[]}"#),
                    Some(false) => self.stands(Status::UnknownId, Reply::default()),
                    None => unavailable(),
                }
            }
            (_, None | Some("commit")) => only("POST"),
            _ => HttpAnswer::text(404, "nothing is here"),
        }
    }

    /// How a transaction stands after a statement.
    fn stands(&self, status: Status, reply: Reply) -> HttpAnswer {
        if status != Status::Ok {
            let code = if status == Status::UnknownId { 404 } else { 200 };
            let body = json!({ "results": [], "errors": [error(status)] });
            return HttpAnswer::json(code, body.to_string());
        }
        let mut body = json!({ "results": [result(reply)], "errors": [] });
        if let Some(open) = reply.open {
            let commit = format!("http://{}{TRANSACTION}/{}/commit", self.address, open.to_word());
            body["commit"] = Value::String(commit);
            body["transaction"] = json!({ "id": open.to_word().to_string(), "idle_seconds": 60 });
        }
        HttpAnswer::json(200, body.to_string())
    }

    /// The operations that a body names.
    fn statements(&self, body: &[u8]) -> Result<Vec<(OperationKind, NodeId, NodeId)>, HttpAnswer> {
        let value: Value = serde_json::from_slice(body)
            .map_err(|why| refused(&format!("the body is no JSON: {why}")))?;
        let list = value
            .get("statements")
            .and_then(Value::as_array)
            .ok_or_else(|| refused(r#"expected {"statements":[{"statement":"…"}]}"#))?;
        if list.len() > STATEMENTS {
            return Err(refused("more than 1,000 statements"));
        }
        list.iter().map(|statement| self.statement(statement)).collect()
    }

    fn statement(&self, statement: &Value) -> Result<(OperationKind, NodeId, NodeId), HttpAnswer> {
        let name = statement
            .get("statement")
            .and_then(Value::as_str)
            .ok_or_else(|| refused("a statement is the name of an operation"))?
            .trim();
        let known = || {
            let names: Vec<&str> = self.programs.iter().map(|it| it.name.as_str()).collect();
            refused(&format!("no operation is called `{name}`: there are {}", names.join(", ")))
        };
        let kind = self.programs.iter().position(|it| it.name == name).ok_or_else(known)?;
        let parameter = |key: &str| match statement.get("parameters").and_then(|it| it.get(key)) {
            None => Ok(NodeId(0)),
            Some(value) => value
                .as_u64()
                .map(NodeId)
                .ok_or_else(|| refused(&format!("`{key}` is not the number of a user"))),
        };
        Ok((OperationKind(kind as u16), parameter("me")?, parameter("other")?))
    }
}

fn wait<A>(told: &Receiver<A>) -> Option<A> {
    told.recv_timeout(PATIENCE).ok()
}

fn unavailable() -> HttpAnswer {
    HttpAnswer::text(503, "the instance gives no answer")
}

fn only(method: &str) -> HttpAnswer {
    HttpAnswer::text(405, format!("only {method} is understood here"))
}

/// As Neo4j answers a statement that it cannot read: the error is in the body.
fn refused(message: &str) -> HttpAnswer {
    let error = json!({ "code": "Neo.ClientError.Request.Invalid", "message": message });
    HttpAnswer::json(400, json!({ "results": [], "errors": [error] }).to_string())
}

fn result(reply: Reply) -> Value {
    match reply.tx.0 {
        0 => json!({ "seen": reply.seen.0 }),
        tx => json!({ "seen": reply.seen.0, "committed": tx }),
    }
}

fn error(status: Status) -> Value {
    let code = status.code().unwrap_or(match status {
        Status::Aborted => "Neo.ClientError.Statement.ExecutionFailure",
        _ => "Neo.DatabaseError.General.UnknownFailure",
    });
    json!({ "code": code, "message": format!("{status:?}") })
}

/// Metrics in the text format of OpenMetrics.
fn metrics_text(id: u16, instance: &Instance) -> String {
    let store = instance.store();
    let counters = store.counters();
    let mut text = String::new();
    let mut metric = |name: &str, kind: &str, help: &str, value: u64| {
        let total = if kind == "counter" { "_total" } else { "" };
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "# TYPE wavetank_{name} {kind}\n# HELP wavetank_{name} {help}\n\
             wavetank_{name}{total}{{instance=\"{id}\"}} {value}\n"
        );
    };
    let bean = instance.monitored();
    let is = |yes: bool| u64::from(yes);
    metric("available", "gauge", "Whether it serves.", is(bean.is_some_and(|b| b.available)));
    let master = instance.role() == wavetank_vocabulary::Role::Master;
    metric("master", "gauge", "Whether it is master.", is(master));
    metric("last_committed_tx", "gauge", "The last transaction.", store.mark().tx.0);
    let open = store.open_transactions() as u64;
    metric("open_transactions", "gauge", "Transactions under way.", open);
    metric("page_cache_hits", "counter", "Pages found in the cache.", counters.hits);
    metric("page_cache_faults", "counter", "Pages read from disk.", counters.faults);
    metric("page_cache_evictions", "counter", "Pages given up.", counters.evictions);
    metric("page_cache_flushes", "counter", "Pages written.", counters.flushes);
    metric("log_bytes", "counter", "Bytes appended to the log.", counters.log_bytes);
    text.push_str("# EOF\n");
    text
}
