//! What a node answers over HTTP: the HA endpoints, the management bean, metrics, and the
//! transactional endpoint (`transactional`).

use std::fmt::Write;
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use wavetank_instance::{Endpoint, Instance, Programs};
use wavetank_vocabulary::{InstanceId, NodeId, OperationKind, Role, Span, Status};
use wavetank_world::Program;

use crate::http::{HttpAnswer, HttpRequest};
use crate::statements::{Answered, Compile};

/// A look at the instance, in its own thread.
pub(crate) type Look = Box<dyn FnOnce(&Instance) + Send>;

/// What the web server asks of the node.
pub(crate) enum FromWeb {
    /// To look at the instance.
    Look(Look),
    /// To run a statement, or a whole operation.
    Run(Run, Sender<Answered>),
    /// To roll an open transaction back: whether it was, or why not.
    Rollback(u64, Sender<Status>),
}

/// What is to be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Run {
    /// An operation; with `open`, its first statement only.
    Begin { kind: OperationKind, me: NodeId, other: NodeId, open: bool },
    /// A statement of the client's own, in a new transaction or in an open one.
    Play { program: Box<Program>, open: Option<u64> },
    /// The next statement of an operation that is open; or the commit of a transaction whose
    /// statements are the client's own.
    Next(u64),
}

/// How long an instance may take for an answer: longer than it lets requests wait itself.
const PATIENCE: Duration = Duration::from_secs(180);

const JMX: &str = "/db/manage/server/jmx/domain/org.neo4j/";
pub(crate) const TRANSACTION: &str = "/db/data/transaction";

/// Answers requests.
pub(crate) struct Web<T> {
    pub(crate) id: InstanceId,
    pub(crate) address: SocketAddr,
    pub(crate) programs: Programs,
    /// Compiles the statements of clients.
    pub(crate) compile: Compile,
    /// How long an open transaction waits for its next statement.
    pub(crate) idle: Span,
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
        let bean = |name| request.path.starts_with(JMX) && request.path.contains(name);
        if bean("High") {
            return if reads { self.bean() } else { only("GET") };
        }
        if bean("Branched") {
            return if reads { self.branched_stores() } else { only("GET") };
        }
        match path.strip_prefix(TRANSACTION) {
            Some("") if request.method == "POST" => self.open(&request.body),
            Some("/commit") if request.method == "POST" => self.at_once(&request.body),
            Some("" | "/commit") => only("POST"),
            Some(rest) => HttpAnswer { location: None, ..self.transaction(request, rest) },
            None => HttpAnswer::text(404, "nothing is here"),
        }
    }

    /// What the instance says to a question; none when its process is ending.
    pub(crate) fn look<A: Send + 'static>(
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
        let look =
            move |instance: &Instance| (instance.role(), instance.http(endpoint, credentials));
        match self.look(look) {
            Some((_, Some(answer))) if endpoint == Endpoint::Overview && answer.status == 200 => {
                HttpAnswer::json(200, self.here(&answer.body))
            }
            Some((_, Some(answer))) => HttpAnswer::text(answer.status, answer.body),
            // Neo4j's web server does not listen then, and an arbiter has none; this one says so.
            Some((Role::Arbiter, None)) => HttpAnswer::text(503, "an arbiter serves nobody"),
            Some((_, None)) => HttpAnswer::text(503, "starting"),
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

    fn branched_stores(&self) -> HttpAnswer {
        match self.look(Instance::branched_store_bean) {
            Some(text) => HttpAnswer::json(200, self.here(&text)),
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
}

pub(crate) fn wait<A>(told: &Receiver<A>) -> Option<A> {
    told.recv_timeout(PATIENCE).ok()
}

pub(crate) fn unavailable() -> HttpAnswer {
    HttpAnswer::text(503, "the instance gives no answer")
}

pub(crate) fn only(method: &str) -> HttpAnswer {
    HttpAnswer::text(405, format!("only {method} is understood here"))
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
    let master = instance.role() == Role::Master;
    metric("master", "gauge", "Whether it is master.", is(master));
    metric("last_committed_tx", "gauge", "The last transaction.", store.mark().tx.0);
    let open = store.open_transactions() as u64;
    metric("open_transactions", "gauge", "Transactions under way.", open);
    let resident = store.resident_pages() as u64;
    metric("page_cache_pages", "gauge", "Pages in the cache.", resident);
    metric("store_pages", "gauge", "Pages of the store.", store.store_pages());
    metric("page_cache_hits", "counter", "Pages found in the cache.", counters.hits);
    metric("page_cache_faults", "counter", "Pages read from disk.", counters.faults);
    metric("page_cache_evictions", "counter", "Pages given up.", counters.evictions);
    metric("page_cache_flushes", "counter", "Pages written.", counters.flushes);
    metric("log_bytes", "counter", "Bytes appended to the log.", counters.log_bytes);
    text.push_str("# EOF\n");
    text
}
