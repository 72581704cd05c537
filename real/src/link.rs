//! The node's end of the connection to whoever started it.

use std::io::{self, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use wavetank_vocabulary::InstanceId;

use crate::clock::Clock;
use crate::wire::control::{Down, Up};
use crate::wire::{VERSION, frame, read_frame};

/// Reports that may wait; then the instance waits for its reader.
const QUEUE: usize = 65_536;
/// How long the first answer may take.
const GREETING: Duration = Duration::from_secs(5);
/// Bytes that are written at once.
const BATCH: usize = 64 << 10;
/// The exit code of a node whose harness is gone: its surroundings failed.
const ORPHANED: i32 = 75;

/// Reports to the one who started the node.
#[derive(Debug)]
pub(crate) struct Link {
    reports: SyncSender<Up>,
    writer: JoinHandle<()>,
}

impl Link {
    /// Calls, and learns what time it is. When the connection ends, so does the process.
    pub(crate) fn call(
        address: SocketAddr,
        me: InstanceId,
        tell: impl Fn(Down) + Send + 'static,
    ) -> io::Result<(Link, Clock)> {
        let mut stream = TcpStream::connect_timeout(&address, GREETING)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(GREETING))?;
        let mut bytes = Vec::new();
        frame(&Up::Here(VERSION, me.0, std::process::id()), &mut bytes);
        stream.write_all(&bytes)?;
        let mut reader = BufReader::new(stream.try_clone()?);
        let first = read_frame(&mut reader, &mut bytes).map_err(io::Error::other)?;
        let Some(Down::Welcome(origin, scale)) = first else {
            return Err(io::Error::other("no welcome came"));
        };
        stream.set_read_timeout(None)?;
        let read = move || {
            let mut contents = Vec::new();
            while let Ok(Some(order)) = read_frame(&mut reader, &mut contents) {
                tell(order);
            }
            // Nobody is left to whom this process belongs.
            std::process::exit(ORPHANED);
        };
        thread::Builder::new().name("orders".into()).spawn(read)?;
        let (reports, waiting) = sync_channel(QUEUE);
        let writer =
            thread::Builder::new().name("reports".into()).spawn(move || write(stream, &waiting))?;
        Ok((Link { reports, writer }, Clock { origin, scale: scale.max(1) }))
    }

    /// Reports something.
    pub(crate) fn report(&self, what: Up) {
        // Without a reader the process is about to end.
        let _ = self.reports.send(what);
    }

    /// Waits until everything is written, or nobody reads it any more.
    pub(crate) fn close(self) {
        let Link { reports, writer } = self;
        drop(reports);
        // Its thread writes what is left and ends; that it panicked would be no news here.
        let _ = writer.join();
    }
}

fn write(mut stream: TcpStream, waiting: &Receiver<Up>) {
    let mut bytes = Vec::new();
    while let Ok(first) = waiting.recv() {
        bytes.clear();
        frame(&first, &mut bytes);
        while bytes.len() < BATCH
            && let Ok(more) = waiting.try_recv()
        {
            frame(&more, &mut bytes);
        }
        if stream.write_all(&bytes).is_err() {
            return;
        }
    }
}
