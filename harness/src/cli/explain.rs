//! `wavetank explain`: what happened around a failure, in order; or how things stood at a time,
//! and what each instance would have answered.

use std::sync::Arc;

use clap::Args;
use wavetank_vocabulary::{Span, Time};
use wavetank_world::BaseGraph;

use super::{Failure, Subject, find, say};
use crate::exit::Exit;
use crate::explain::{beans, explain as story, moment};
use crate::interrupt;

#[derive(Args, Debug)]
pub(super) struct ExplainArgs {
    #[command(flatten)]
    subject: Subject,
    /// Prints the state of the cluster at this virtual time instead, e.g. 31.5s.
    #[arg(long, value_name = "TIME", value_parser = virtual_time)]
    at: Option<Time>,
    /// With --at: prints as JSON what each instance answers over HTTP at that time (the HA
    /// endpoints and the management beans), and which stores are on its disk.
    #[arg(long, requires = "at")]
    beans: bool,
}

/// A virtual time as scenarios write it.
fn virtual_time(text: &str) -> Result<Time, String> {
    let wrong =
        || format!("`{text}` is no time: expected a number with us, ms, s, m or h, such as 31.5s");
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
    let (number, unit) = text.split_at(digits);
    let nanos = match unit {
        "us" => 1e3,
        "ms" => 1e6,
        "s" => 1e9,
        "m" => 60e9,
        "h" => 3_600e9,
        _ => return Err(wrong()),
    };
    let number: f64 = number.parse().map_err(|_| wrong())?;
    let nanos = (number * nanos).round();
    if !(0.0..1e19).contains(&nanos) {
        return Err(wrong());
    }
    Ok(Time::ZERO + Span::from_nanos(nanos as u64))
}

pub(super) fn explain(args: &ExplainArgs) -> Result<Exit, Failure> {
    let scenario = args.subject.one_cluster()?;
    let seed = args.subject.seed(&scenario)?;
    let plan = Arc::new(find::draw(&scenario, seed)?);
    interrupt::watch();
    let base = Arc::new(BaseGraph::build(&plan.graph));
    let text = match args.at {
        Some(at) if args.beans => beans(&plan, &base, at),
        Some(at) => moment(&plan, &base, at),
        None => story(&plan, &base).ok_or_else(|| Failure {
            exit: Exit::Surroundings,
            message: "interrupted before the story was known".to_owned(),
        })?,
    };
    say(&text);
    Ok(Exit::Held)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_a_unit() {
        assert_eq!(virtual_time("31.5s"), Ok(Time::from_nanos(31_500_000_000)));
        assert_eq!(virtual_time("2m"), Ok(Time::from_nanos(120_000_000_000)));
        for wrong in ["", "5", "s", "-1s", "1 s", "1d", "1.2.3s"] {
            assert!(virtual_time(wrong).is_err(), "{wrong}");
        }
    }
}
