//! What the store asks of a disk: page-level operations, each answered later.
//!
//! The store submits [`DiskRequest`]s under a [`DiskOp`] number and is told the answer by
//! that number; it never waits. Drivers (simulated or real) live elsewhere. An operation is
//! pending until it is answered, and durable only after a later sync of its file (for
//! names: of the directory).

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use thiserror::Error;

use crate::page::{PAGE_SIZE, Page};

/// A page's place in its file.
pub type PageNumber = u32;

/// What a file holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum FileKind {
    /// Two alternating pages that say where everything stands.
    #[default]
    Meta = 0,
    /// Node records.
    Nodes = 1,
    /// Relationship records.
    Relationships = 2,
    /// Property records.
    Properties = 3,
    /// Texts too long for a property record.
    Dynamic = 4,
    /// Names of labels, relationship types and property keys.
    Tokens = 5,
    /// Relationship groups of dense nodes.
    Groups = 6,
    /// Arrays too long for a property record.
    Arrays = 7,
    /// Labels that do not fit into a node record.
    NodeLabels = 8,
    /// Indexes and constraints.
    Schema = 9,
    /// The tree of the label scan store and of all indexes.
    Index = 10,
    /// Which flush wrote each page last.
    Versions = 29,
    /// Pages that are about to be written in place.
    DoubleWrite = 30,
    /// One version of the transaction log.
    Log = 31,
}

/// The kinds by their numbers.
const NUMBERS: [Option<FileKind>; 32] = {
    let mut kinds = [None; 32];
    kinds[0] = Some(FileKind::Meta);
    kinds[29] = Some(FileKind::Versions);
    kinds[30] = Some(FileKind::DoubleWrite);
    kinds[31] = Some(FileKind::Log);
    let mut at = 0;
    while at < FileKind::RECORDS.len() {
        kinds[FileKind::RECORDS[at] as usize] = Some(FileKind::RECORDS[at]);
        at += 1;
    }
    kinds
};

impl FileKind {
    /// The kinds that hold records in pages, in the order in which they are flushed.
    pub const RECORDS: [FileKind; 10] = [
        FileKind::Nodes,
        FileKind::Relationships,
        FileKind::Properties,
        FileKind::Dynamic,
        FileKind::Tokens,
        FileKind::Groups,
        FileKind::Arrays,
        FileKind::NodeLabels,
        FileKind::Schema,
        FileKind::Index,
    ];

    /// One more than the highest number of a kind with records: the length of tables by kind.
    pub(crate) const TABLE: usize = FileKind::RECORDS.len() + 1;

    /// A table by kind.
    pub(crate) fn by_kind<T: Default>(make: impl Fn(FileKind) -> T) -> [T; Self::TABLE] {
        core::array::from_fn(|number| match FileKind::RECORDS.get(number.wrapping_sub(1)) {
            Some(kind) => make(*kind),
            None => T::default(),
        })
    }

    /// The kind with that number in a page header or log entry.
    #[inline]
    pub const fn from_number(number: u8) -> Option<FileKind> {
        if (number as usize) < NUMBERS.len() { NUMBERS[number as usize] } else { None }
    }

    const fn base_name(self) -> &'static str {
        match self {
            FileKind::Meta => "neostore",
            FileKind::Nodes => "neostore.nodestore.db",
            FileKind::Relationships => "neostore.relationshipstore.db",
            FileKind::Properties => "neostore.propertystore.db",
            FileKind::Dynamic => "neostore.propertystore.db.strings",
            FileKind::Tokens => "neostore.tokenstore.db",
            FileKind::Groups => "neostore.relationshipgroupstore.db",
            FileKind::Schema => "neostore.schemastore.db",
            FileKind::Index => "neostore.indexes.db",
            FileKind::Arrays => "neostore.propertystore.db.arrays",
            FileKind::NodeLabels => "neostore.nodestore.db.labels",
            FileKind::Versions => "neostore.versions",
            FileKind::DoubleWrite => "neostore.doublewrite",
            FileKind::Log => "neostore.transaction.db",
        }
    }
}

/// The name of a store file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileName {
    /// 0 is the live store; n is the n-th branch that was set aside.
    pub area: u16,
    /// What it holds.
    pub kind: FileKind,
    /// The version of a log file; 0 for all others.
    pub version: u32,
}

impl FileName {
    /// A file of the live store that is no log.
    pub const fn live(kind: FileKind) -> FileName {
        FileName { area: 0, kind, version: 0 }
    }

    /// A log file of the live store.
    pub const fn log(version: u32) -> FileName {
        FileName { area: 0, kind: FileKind::Log, version }
    }

    /// Whether it is a file of records of the live store.
    pub(crate) fn is_live_record(&self) -> bool {
        self.area == 0 && FileKind::RECORDS.contains(&self.kind)
    }

    /// The name for which [`fmt::Display`] gives `path`; none if it is no store file.
    pub fn parse(path: &str) -> Option<FileName> {
        let (area, name) = match path.strip_prefix("branched/") {
            Some(rest) => {
                let (number, name) = rest.split_once('/')?;
                (parse_canonical(number).filter(|area| *area != 0)?, name)
            }
            None => (0, path),
        };
        let area = u16::try_from(area).ok()?;
        if let Some(version) = name.strip_prefix("neostore.transaction.db.") {
            return Some(FileName {
                area,
                kind: FileKind::Log,
                version: parse_canonical(version)?,
            });
        }
        (0..FileKind::Log as u8)
            .filter_map(FileKind::from_number)
            .find(|kind| kind.base_name() == name)
            .map(|kind| FileName { area, kind, version: 0 })
    }
}

/// A number without sign or leading zeros, so that no two paths parse to one name.
fn parse_canonical(text: &str) -> Option<u32> {
    let plain = text == "0" || !text.starts_with(['0', '+']);
    text.parse().ok().filter(|_| plain)
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.area != 0 {
            write!(f, "branched/{}/", self.area)?;
        }
        f.write_str(self.kind.base_name())?;
        if self.kind == FileKind::Log {
            write!(f, ".{}", self.version)?;
        }
        Ok(())
    }
}

/// Identifies a submitted disk operation; counts up from 0 within one opened store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DiskOp(pub u64);

/// An operation that the store wants done. A file is created by the first write or append.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DiskRequest {
    /// Read one page. Answer: [`DiskReply::Page`].
    ReadPage {
        /// The file.
        file: FileName,
        /// Which page of it.
        page: PageNumber,
    },
    /// Write one page in place; extends the file if it lies behind its end.
    WritePage {
        /// The file.
        file: FileName,
        /// Which page of it.
        page: PageNumber,
        /// The sealed page. (A page in the double-write file carries the identity of the
        /// place that it is meant for.)
        image: Arc<Page>,
    },
    /// Write at the end of the file.
    Append {
        /// The file.
        file: FileName,
        /// What to write.
        bytes: Arc<[u8]>,
    },
    /// Read bytes. Answer: [`DiskReply::Bytes`], shorter than asked at the file's end.
    ReadAt {
        /// The file.
        file: FileName,
        /// First byte.
        offset: u64,
        /// How many.
        len: u32,
    },
    /// Cut or extend the file to this length in bytes.
    SetLen {
        /// The file.
        file: FileName,
        /// The length.
        len: u64,
    },
    /// Make durable what was written to the file before this was submitted.
    Sync {
        /// The file.
        file: FileName,
    },
    /// Make durable which files there are.
    SyncDir,
    /// Give a file another name.
    Rename {
        /// Its name.
        from: FileName,
        /// The new one.
        to: FileName,
    },
    /// Remove a file.
    Unlink {
        /// The file.
        file: FileName,
    },
    /// List all files with their lengths in bytes. Answer: [`DiskReply::Files`].
    List,
}

impl DiskRequest {
    /// The file that it is about; none if it is about the directory.
    pub(crate) fn file(&self) -> Option<FileName> {
        match self {
            DiskRequest::ReadPage { file, .. }
            | DiskRequest::WritePage { file, .. }
            | DiskRequest::Append { file, .. }
            | DiskRequest::ReadAt { file, .. }
            | DiskRequest::SetLen { file, .. }
            | DiskRequest::Sync { file }
            | DiskRequest::Unlink { file }
            | DiskRequest::Rename { from: file, .. } => Some(*file),
            DiskRequest::SyncDir | DiskRequest::List => None,
        }
    }
}

impl DiskRequest {
    /// Whether it would change what a disk holds: a disk that is read-only refuses it.
    pub fn changes(&self) -> bool {
        matches!(
            self,
            DiskRequest::WritePage { .. }
                | DiskRequest::Append { .. }
                | DiskRequest::SetLen { .. }
                | DiskRequest::Rename { .. }
                | DiskRequest::Unlink { .. }
        )
    }

    /// How many bytes the operation moves.
    pub fn transferred(&self) -> u64 {
        match self {
            DiskRequest::ReadPage { .. } | DiskRequest::WritePage { .. } => PAGE_SIZE as u64,
            DiskRequest::Append { bytes, .. } => bytes.len() as u64,
            DiskRequest::ReadAt { len, .. } => u64::from(*len),
            _ => 0,
        }
    }
}

/// The answer to an operation that succeeded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DiskReply {
    /// It is done.
    Done,
    /// The page as it was read, not yet verified.
    Page(Arc<Page>),
    /// The bytes that were read.
    Bytes(Arc<[u8]>),
    /// Every file of every area with its length in bytes, in any order.
    Files(Vec<(FileName, u64)>),
}

/// Why an operation failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
pub enum DiskError {
    /// No such file, or the page lies behind its end.
    #[error("no such file or page")]
    NotFound,
    /// The device failed.
    #[error("input/output error")]
    Io,
    /// No space is left.
    #[error("no space left on the disk")]
    NoSpace,
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn names_survive_the_round_trip() {
        for area in [0, 1, u16::MAX] {
            for kind in (0..u8::MAX).filter_map(FileKind::from_number) {
                let version = if kind == FileKind::Log { 41 } else { 0 };
                let name = FileName { area, kind, version };
                assert_eq!(FileName::parse(&name.to_string()), Some(name));
            }
        }
        assert_eq!(FileName::live(FileKind::Nodes).to_string(), "neostore.nodestore.db");
        assert_eq!(FileName::log(3).to_string(), "neostore.transaction.db.3");
    }

    #[test]
    fn other_paths_are_no_store_files() {
        for path in [
            "",
            "neostore.id",
            "branched/neostore",
            "branched/0/neostore",
            "branched/01/neostore",
            "branched/70000/neostore",
            "neostore.transaction.db",
            "neostore.transaction.db.07",
            "neostore.transaction.db.+7",
        ] {
            assert_eq!(FileName::parse(path), None, "{path}");
        }
    }
}
