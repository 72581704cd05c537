//! An embedded property-graph database whose every wait is a ticket.
//!
//! Nodes, relationships, labels and properties in pages of 8 KiB; a page cache; a
//! transaction log; locks; recovery. A [`Store`] is a value: calls go in, disk operations
//! ([`Store::submissions`]) come out, their answers go in ([`Store::complete`]). It never
//! waits: what must wait says for which [`Ticket`]. `FORMAT.md` describes the files.
#![no_std]

extern crate alloc;

mod audit;
mod backup;
mod cache;
mod chains;
mod check;
mod checkpoint;
mod chunks;
mod config;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod copy;
mod dense;
mod disk;
mod error;
mod expand;
mod flush;
mod holes;
mod ids;
mod image;
mod index;
mod io;
mod journal;
mod labels;
mod lifecycle;
mod locks;
mod log;
mod meta;
mod overlay;
mod page;
mod pages;
mod pieces;
mod properties;
mod readings;
mod record;
mod recovery;
mod remote;
mod replication;
mod retention;
mod schema;
mod space;
mod steps;
mod store;
mod tokens;
mod transactions;
mod tree;
mod value;
mod versions;

pub use audit::{AuditNode, AuditRelationship, AuditVisitor, Contents, PageSource};
pub use backup::{Backup, BackupError, BackupReport, BackupStep};
pub use cache::policy::CachePolicy;
pub use cache::trace::TraceCache;
pub use check::{Inconsistency, Problem, RecordType};
pub use config::StoreConfig;
pub use copy::{CopyCursor, CopyStep, PageImage};
pub use disk::{DiskError, DiskOp, DiskReply, DiskRequest, FileKind, FileName, PageNumber};
pub use error::StoreError;
pub use image::{Image, ImageBuilder, ImageFile};
pub use io::Ticket;
pub use lifecycle::BranchedDataPolicy;
pub use locks::{LockChange, LockNotice, LockOwner, LockTotals};
pub use log::{LARGEST_TRANSACTION, TxRecord};
pub use page::{PAGE_HEADER, PAGE_SIZE, Page, PageDamage};
pub use readings::Counters;
pub use remote::{LockRequest, Need};
pub use replication::{LogRead, MarkOf};
pub use retention::{LogRetention, NotARetention};
pub use schema::IndexInfo;
pub use steps::{Direction, MicroStep};
pub use store::{Ledger, Recovery, Step, Store, StoreState};
pub use transactions::{Committing, Neighbour, TxHandle};
pub use value::{Array, Entity, ExpandCursor, FindCursor, TokenId, TokenKind, Value};

#[cfg(any(test, feature = "std"))]
extern crate std;
#[cfg(feature = "std")]
mod graph;
#[cfg(feature = "std")]
pub use graph::{Directory, Graph, GraphError, GraphInfo, Reader, Writer};
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
