//! How long log files are kept: Neo4j's `keep_logical_logs`, and which files it lets go.

use alloc::collections::VecDeque;
use core::fmt;
use core::str::FromStr;

use crate::journal::LogFile;

/// Which log files are kept besides those that recovery and running copies need.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LogRetention {
    /// All of them: `true`.
    All,
    /// None: `false`.
    None,
    /// This many files, the current one counted: `5 files`.
    Files(u64),
    /// The newest files until they hold this many bytes: `100M size`.
    Size(u64),
    /// Files with any of this many last transactions: `500k txs`.
    Transactions(u64),
    /// Files with transactions that are at most so old, in milliseconds: `7 days`.
    Age(u64),
}

/// The text is no retention policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected true, false, or a number with an optional k, M or G and one of: files, size, txs, hours, days (as in \"7 days\", \"100M size\")"
)]
pub struct NotARetention;

const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;

impl FromStr for LogRetention {
    type Err = NotARetention;

    fn from_str(text: &str) -> Result<LogRetention, NotARetention> {
        match text.trim() {
            "true" => return Ok(LogRetention::All),
            "false" => return Ok(LogRetention::None),
            _ => {}
        }
        let (number, kind) = text.trim().split_once(' ').ok_or(NotARetention)?;
        let (digits, factor) = match number.strip_suffix(['k', 'K', 'm', 'M', 'g', 'G']) {
            None => (number, 1),
            Some(digits) if number.ends_with(['k', 'K']) => (digits, 1 << 10),
            Some(digits) if number.ends_with(['m', 'M']) => (digits, 1 << 20),
            Some(digits) => (digits, 1 << 30),
        };
        // Counts are in thousands, bytes in 1024s.
        let of_bytes = kind.trim() == "size";
        let factor = match factor {
            1 => 1,
            factor if of_bytes => factor,
            1024 => 1000,
            1_048_576 => 1_000_000,
            _ => 1_000_000_000,
        };
        let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
        let number: u64 = digits.parse().ok().filter(|_| plain).ok_or(NotARetention)?;
        let times = |unit: u64| number.checked_mul(factor)?.checked_mul(unit);
        let policy = match kind.trim() {
            "files" => times(1).map(LogRetention::Files),
            "size" => times(1).map(LogRetention::Size),
            "txs" => times(1).map(LogRetention::Transactions),
            "hours" => times(HOUR_MS).map(LogRetention::Age),
            "days" => times(DAY_MS).map(LogRetention::Age),
            _ => None,
        };
        policy.ok_or(NotARetention)
    }
}

impl fmt::Display for LogRetention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LogRetention::All => f.write_str("true"),
            LogRetention::None => f.write_str("false"),
            LogRetention::Files(count) => write!(f, "{count} files"),
            LogRetention::Size(bytes) => write!(f, "{bytes} size"),
            LogRetention::Transactions(count) => write!(f, "{count} txs"),
            LogRetention::Age(ms) if ms.is_multiple_of(DAY_MS) => write!(f, "{} days", ms / DAY_MS),
            LogRetention::Age(ms) => write!(f, "{} hours", ms.div_ceil(HOUR_MS)),
        }
    }
}

impl LogRetention {
    /// How many of these files, oldest first, the policy lets go; `now_ms` is the clock. The
    /// current file always stays, and counts.
    pub(crate) fn let_go(&self, files: &VecDeque<LogFile>, last_tx: u64, now_ms: u64) -> usize {
        let mut newer = 0;
        for place in (0..files.len().saturating_sub(1)).rev() {
            newer = files.range(place + 1..).map(|file| file.length).sum::<u64>().max(newer);
            // What the file behind it says of its own beginning is this one's end.
            let end = &files[place + 1];
            let keep = match *self {
                LogRetention::All => true,
                LogRetention::None => false,
                LogRetention::Files(count) => ((files.len() - place) as u64) <= count,
                LogRetention::Size(bytes) => newer < bytes,
                LogRetention::Transactions(count) => last_tx - end.base.tx.0.min(last_tx) < count,
                LogRetention::Age(ms) => end.base_time_ms.saturating_add(ms) >= now_ms,
            };
            if !keep {
                return place + 1;
            }
        }
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use wavetank_vocabulary::{LogMark, TxId};

    #[test]
    fn the_syntax_is_neo4js() {
        for (text, policy) in [
            ("true", LogRetention::All),
            ("false", LogRetention::None),
            ("7 days", LogRetention::Age(7 * 86_400_000)),
            ("36 hours", LogRetention::Age(36 * 3_600_000)),
            ("100M size", LogRetention::Size(100 << 20)),
            ("500k txs", LogRetention::Transactions(500_000)),
            ("5 files", LogRetention::Files(5)),
            ("2G size", LogRetention::Size(2 << 30)),
        ] {
            assert_eq!(text.parse(), Ok(policy), "{text}");
            assert_eq!(policy.to_string().parse(), Ok(policy), "{text}");
        }
        for text in [
            "",
            "7",
            "days",
            "7days",
            "-1 files",
            "+1 files",
            "1.5 days",
            "7 weeks",
            "99999999999G days",
        ] {
            assert_eq!(text.parse::<LogRetention>(), Err(NotARetention), "{text}");
        }
    }

    #[test]
    fn files_go_from_the_oldest_up_to_what_the_policy_keeps() {
        // Versions 0 to 5 of 100 bytes and 10 transactions, one per hour; 5 is written to.
        let files: VecDeque<LogFile> = (0..6)
            .map(|version| LogFile {
                length: 100,
                base_time_ms: u64::from(version) * HOUR_MS,
                ..LogFile::new(
                    version,
                    LogMark { tx: TxId(1 + 10 * u64::from(version)), checksum: 0 },
                )
            })
            .collect();
        let gone = |policy: &str| {
            policy.parse::<LogRetention>().unwrap().let_go(&files, 55, 5 * HOUR_MS + 1)
        };
        assert_eq!((gone("true"), gone("false")), (0, 5));
        assert_eq!((gone("3 files"), gone("1 files"), gone("9 files")), (3, 5, 0));
        assert_eq!((gone("2 files"), gone("0 files")), (4, 5), "the current one always stays");
        assert_eq!((gone("250 size"), gone("1 size"), gone("1M size")), (3, 5, 0));
        assert_eq!((gone("15 txs"), gone("1k txs")), (3, 0));
        // Version 2 ended at hour 3, version 1 at hour 2.
        assert_eq!((gone("2 hours"), gone("3 hours"), gone("7 days")), (3, 2, 0));
    }
}
