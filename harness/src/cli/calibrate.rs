//! `wavetank calibrate`: what this machine does, as a profile for scenarios.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::{Failure, own_program, replace, say, tell};
use crate::calibrate::{CalibrateError, MARK, calibrate};
use crate::exit::Exit;
use crate::interrupt;

#[derive(Args, Debug)]
pub(super) struct CalibrateArgs {
    /// Where the profile goes; replaces only what this command wrote.
    #[arg(short, long, value_name = "FILE", default_value = "profile.toml")]
    out: PathBuf,
    /// About how long it may take.
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
    /// How many nodes share the machine while requests are measured: as many as will run there.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=9))]
    nodes: u16,
    /// A folder on the disk to be measured; some 600 MB may be written there, and are removed.
    #[arg(long, value_name = "DIR", default_value = ".")]
    dir: PathBuf,
}

pub(super) fn run(args: &CalibrateArgs) -> Result<Exit, Failure> {
    // A file that must stay is told of before a minute has gone.
    replace::allowed(&args.out, MARK).map_err(|why| cannot(args, &why))?;
    interrupt::watch();
    let time = Duration::from_secs(args.seconds);
    let mut telling = |what: &str| tell(&format!("measuring {what}"));
    let program = own_program()?;
    let found =
        calibrate(&program, &args.dir, args.nodes, time, &mut telling, &|| !interrupt::asked());
    let found = found.map_err(|error| {
        let exit = match error {
            CalibrateError::TooShort(_) => Exit::Input,
            _ => Exit::Surroundings,
        };
        Failure { exit, message: error.to_string() }
    })?;
    replace::write(&args.out, MARK, &found.to_toml()).map_err(|why| cannot(args, &why))?;
    say(&found.to_text());
    say(&format!(
        "wrote {0}\nnext:  wavetank run quickstart --set profile={0}",
        args.out.display()
    ));
    Ok(Exit::Held)
}

fn cannot(args: &CalibrateArgs, why: &str) -> Failure {
    Failure::input(format!("cannot write {}: {why}", args.out.display()))
}
