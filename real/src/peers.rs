//! Connections between instances.
//!
//! Each direction is a connection of its own: who sends connects. A thread for each peer
//! takes messages from a queue and writes them; what cannot be sent is lost, as the protocols
//! expect, and when it was a request, the instance learns that the connection broke. There
//! are few connections, so each has a thread that blocks.

use std::io::{self, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use wavetank_instance::PeerMessage;
use wavetank_vocabulary::InstanceId;

use crate::crowd::Crowd;
use crate::deadline::Deadline;
use crate::log::Log;
use crate::wire::{Answer, Hello, VERSION, WireError, frame, is_of_a_member, read_frame};

/// What happens on connections.
#[derive(Debug)]
pub(crate) enum FromPeer {
    /// A message came.
    Message(InstanceId, PeerMessage),
    /// A connection broke.
    Lost(InstanceId),
}

/// Who is who on the wire.
#[derive(Clone, Debug)]
pub(crate) struct Membership {
    /// Which cluster.
    pub(crate) cluster: u64,
    /// This instance.
    pub(crate) me: InstanceId,
    /// All members, ascending.
    pub(crate) members: Arc<[InstanceId]>,
}

/// Messages that may wait for a peer; more are lost.
const QUEUE: usize = 4_096;

/// How long connecting, the first frame, and the answer to it may take.
const GREETING: Duration = Duration::from_secs(1);

/// How long a peer may take nothing before its connection counts as broken: as long as the
/// database waits for an answer by default (`ha.read_timeout`).
const STUCK: Duration = Duration::from_secs(20);

/// For how long a peer that could not be reached is not tried again.
const PAUSE: Duration = Duration::from_millis(100);

/// Connections that have not said yet whose they are.
const STRANGERS: usize = 64;

/// Connections of one member: one, and old ones that have not been given up yet.
const OF_A_MEMBER: usize = 4;

/// Bytes that are written at once.
const BATCH: usize = 256 << 10;

/// The queues to all peers.
#[derive(Debug)]
pub(crate) struct Peers {
    queues: Vec<(InstanceId, SyncSender<PeerMessage>)>,
}

impl Peers {
    /// Starts a thread for each peer.
    pub(crate) fn new(
        membership: &Membership,
        addresses: &[(InstanceId, SocketAddr)],
        log: &Log,
        tell: &(impl Fn(FromPeer) + Clone + Send + 'static),
    ) -> io::Result<Peers> {
        let mut queues = Vec::new();
        for (id, address) in addresses.iter().filter(|(id, _)| *id != membership.me) {
            let (queue, waiting) = sync_channel(QUEUE);
            let from = membership.me;
            let hello = Hello { version: VERSION, cluster: membership.cluster, from, to: *id };
            let mut sender = Sender {
                hello,
                address: *address,
                connection: None,
                failed: None,
                refused: false,
                log: log.clone(),
            };
            let tell = tell.clone();
            let run = move || sender.run(&waiting, &tell);
            thread::Builder::new().name(format!("to {id}")).spawn(run)?;
            queues.push((*id, queue));
        }
        Ok(Peers { queues })
    }

    /// Sends a message, or loses it. False when a request was lost.
    pub(crate) fn send(&self, to: InstanceId, message: PeerMessage) -> bool {
        let Some((_, queue)) = self.queues.iter().find(|(id, _)| *id == to) else { return true };
        match queue.try_send(message) {
            Ok(()) => true,
            Err(TrySendError::Full(lost) | TrySendError::Disconnected(lost)) => !lost.is_data(),
        }
    }
}

/// The thread that sends to one peer.
struct Sender {
    hello: Hello,
    address: SocketAddr,
    connection: Option<TcpStream>,
    /// When it could not be reached.
    failed: Option<Instant>,
    /// It said no, and that was logged.
    refused: bool,
    log: Log,
}

impl Sender {
    fn run(&mut self, waiting: &Receiver<PeerMessage>, tell: &impl Fn(FromPeer)) {
        let mut bytes = Vec::new();
        while let Ok(first) = waiting.recv() {
            bytes.clear();
            let mut data = first.is_data();
            frame(&first, &mut bytes);
            while bytes.len() < BATCH
                && let Ok(message) = waiting.try_recv()
            {
                data |= message.is_data();
                frame(&message, &mut bytes);
            }
            let connected = self.connection.is_some();
            if !self.write(&bytes) && (data || connected) {
                tell(FromPeer::Lost(self.hello.to));
            }
        }
    }

    fn write(&mut self, bytes: &[u8]) -> bool {
        if self.connection.is_none() {
            if self.failed.is_some_and(|at| at.elapsed() < PAUSE) {
                return false;
            }
            self.connection = self.connect();
            self.failed = self.connection.is_none().then(Instant::now);
        }
        let Some(connection) = &mut self.connection else { return false };
        let written = connection.write_all(bytes).is_ok();
        if !written {
            self.connection = None;
        }
        written
    }

    fn connect(&mut self) -> Option<TcpStream> {
        let mut stream = TcpStream::connect_timeout(&self.address, GREETING).ok()?;
        stream.set_nodelay(true).ok()?;
        stream.set_write_timeout(Some(STUCK)).ok()?;
        stream.set_read_timeout(Some(GREETING)).ok()?;
        let mut bytes = Vec::new();
        frame(&self.hello, &mut bytes);
        stream.write_all(&bytes).ok()?;
        match read_frame(&mut stream, &mut bytes) {
            Ok(Some(Answer::Welcome)) => {
                self.refused = false;
                Some(stream)
            }
            Ok(Some(Answer::Refused(why))) => {
                if !std::mem::replace(&mut self.refused, true) {
                    let (to, address) = (self.hello.to, self.address);
                    self.log.say(&format!("{to} at {address} does not talk to us: {why}"));
                }
                None
            }
            Ok(None) | Err(_) => None,
        }
    }
}

/// Takes connections of peers, each in a thread of its own.
pub(crate) fn listen(
    listener: TcpListener,
    membership: Membership,
    log: Log,
    tell: impl Fn(FromPeer) + Clone + Send + 'static,
) -> io::Result<()> {
    let strangers = Crowd::new("connections that have not said whose they are", STRANGERS, &log);
    let crowd_of = |_: &InstanceId| Crowd::new("connections of one member", OF_A_MEMBER, &log);
    let of_members: Arc<[Arc<Crowd>]> = membership.members.iter().map(crowd_of).collect();
    let accept = move || {
        for stream in listener.incoming() {
            let Ok(stream) = stream else {
                // No handles are left, say: later there may be.
                thread::sleep(PAUSE);
                continue;
            };
            let stream = Arc::new(stream);
            let Some(place) = strangers.enter(&stream) else { continue };
            let (membership, log, tell) = (membership.clone(), log.clone(), tell.clone());
            let of_members = of_members.clone();
            let serve = move || {
                let peer = stream.peer_addr();
                let peer = peer.map_or_else(|_| "a peer".to_owned(), |at| at.to_string());
                let greeted = greet(&stream, &membership);
                drop(place);
                let from = match greeted {
                    Ok(Some(from)) => from,
                    Ok(None) => return,
                    Err(why) => return log.say(&format!("connection from {peer} closed: {why}")),
                };
                let member = membership.members.iter().position(|member| *member == from);
                let _place = member.and_then(|member| of_members[member].enter(&stream));
                receive((&stream, from), &membership, &log, &tell);
            };
            // Without a thread the connection is refused, so to speak.
            let _ = thread::Builder::new().name("from a peer".into()).spawn(serve);
        }
    };
    thread::Builder::new().name("cluster port".into()).spawn(accept)?;
    Ok(())
}

/// Passes on what a member says, until its connection ends.
fn receive(
    (stream, from): (&TcpStream, InstanceId),
    membership: &Membership,
    log: &Log,
    tell: &impl Fn(FromPeer),
) {
    let mut reader = BufReader::with_capacity(64 << 10, stream);
    let mut contents = Vec::new();
    loop {
        match read_frame::<PeerMessage>(&mut reader, &mut contents) {
            Ok(Some(message)) if is_of_a_member(&message, membership.members.len()) => {
                tell(FromPeer::Message(from, message));
            }
            Ok(Some(_)) => {
                log.say(&format!(
                    "connection from {from} closed: it says what no member of this cluster would"
                ));
                break;
            }
            Ok(None) | Err(WireError::Io(_)) => break,
            Err(WireError::Garbage(why)) => {
                log.say(&format!("connection from {from} closed: garbage: {why}"));
                break;
            }
        }
    }
    tell(FromPeer::Lost(from));
}

/// Reads the first frame of a connection and answers it.
fn greet(mut stream: &TcpStream, membership: &Membership) -> Result<Option<InstanceId>, WireError> {
    stream.set_nodelay(true)?;
    let mut bytes = Vec::new();
    let mut first = Deadline::within(stream, GREETING);
    let Some(hello) = read_frame::<Hello>(&mut first, &mut bytes)? else { return Ok(None) };
    let why = if hello.version != VERSION {
        Some(format!("it speaks version {}, and this node version {VERSION}", hello.version))
    } else if hello.cluster != membership.cluster {
        Some("it is of another cluster: other members, or another scenario".to_owned())
    } else if hello.to != membership.me {
        Some(format!("it looks for {}, and this is {}", hello.to, membership.me))
    } else if hello.from == membership.me || !membership.members.contains(&hello.from) {
        Some(format!("{} is no other member", hello.from))
    } else {
        None
    };
    bytes.clear();
    match why {
        None => {
            frame(&Answer::Welcome, &mut bytes);
            stream.write_all(&bytes)?;
            stream.set_read_timeout(None)?;
            Ok(Some(hello.from))
        }
        Some(why) => {
            frame(&Answer::Refused(why.clone()), &mut bytes);
            stream.write_all(&bytes)?;
            Err(WireError::Io(io::Error::other(why)))
        }
    }
}
