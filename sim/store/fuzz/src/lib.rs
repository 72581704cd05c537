//! What the fuzz targets share: a disk in memory, a store on it, stores to begin with, and
//! the loop that runs a target, counts, and prints what it finds.
//!
//! A target is a function of a generator. An execution is told by its seed and number, so a
//! finding is repeated by `--seed S --only N`. A finding is a panic, or what the target calls
//! wrong; typed errors are what damaged input is to be answered with.

mod disk;
mod explore;
mod workload;

pub use disk::{Disk, Driver, Outcome};
pub use explore::explore;
pub use workload::{corpus, random_step};

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// A small generator: SplitMix64.
#[derive(Clone, Debug)]
pub struct Dice(pub u64);

impl Dice {
    /// The next word.
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// A number below `limit`, which must not be 0.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.roll() % limit
    }

    /// A place in something of this length.
    pub fn place(&mut self, len: usize) -> usize {
        self.below(len.max(1) as u64) as usize
    }
}

/// Changes bytes at random: flips, numbers at their limits, copies of other stretches.
pub fn mutate(bytes: &mut [u8], dice: &mut Dice) {
    if bytes.is_empty() {
        return;
    }
    for _ in 0..1 + dice.below(4) {
        let at = dice.place(bytes.len());
        match dice.below(5) {
            0 => bytes[at] ^= 1 << dice.below(8),
            1 => bytes[at] = dice.roll() as u8,
            2 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][dice.place(5)],
            3 => {
                let len = (1 + dice.place(8)).min(bytes.len() - at);
                bytes[at..at + len].fill(if dice.below(2) == 0 { 0 } else { 0xff });
            }
            _ => {
                let len = (1 + dice.place(40)).min(bytes.len() - at);
                let from = dice.place(bytes.len() - len + 1);
                bytes.copy_within(from..from + len, at);
            }
        }
    }
}

struct Options {
    seed: u64,
    seconds: u64,
    executions: u64,
    only: Option<u64>,
}

fn options() -> Result<Options, String> {
    let mut options = Options { seed: 1, seconds: 60, executions: u64::MAX, only: None };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let number = words.next().and_then(|number| number.parse().ok());
        let number = number.ok_or_else(|| format!("{word} needs a number"))?;
        match word.as_str() {
            "--seed" => options.seed = number,
            "--seconds" => options.seconds = number,
            "--executions" => options.executions = number,
            "--only" => options.only = Some(number),
            _ => return Err(format!("{word}? --seed, --seconds, --executions, --only")),
        }
    }
    Ok(options)
}

/// Runs a target until its time is over and says how often it ran and what it found.
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "programs print")]
pub fn run(name: &str, target: impl Fn(&mut Dice) -> Result<(), String>) -> std::process::ExitCode {
    let options = match options() {
        Ok(options) => options,
        Err(error) => {
            eprintln!("{name}: {error}");
            return 2.into();
        }
    };
    let begun = Instant::now();
    let (mut executions, mut findings) = (0, 0);
    let first = options.only.unwrap_or(0);
    let last = options.only.map_or(options.executions, |only| only + 1);
    for number in first..last {
        if begun.elapsed() > Duration::from_secs(options.seconds) || findings >= 20 {
            break;
        }
        let mut dice = Dice(Dice(options.seed).roll() ^ number.wrapping_mul(0x2545_f491_4f6c_dd1d));
        let found = match catch_unwind(AssertUnwindSafe(|| target(&mut dice))) {
            Ok(Ok(())) => None,
            Ok(Err(wrong)) => Some(wrong),
            Err(_) => Some("it panicked".into()),
        };
        executions += 1;
        if let Some(found) = found {
            findings += 1;
            println!("{name} --seed {} --only {number}: {found}", options.seed);
        }
    }
    let seconds = begun.elapsed().as_secs();
    println!("{name}: {executions} executions in {seconds} s, {findings} findings");
    u8::from(findings > 0).into()
}
