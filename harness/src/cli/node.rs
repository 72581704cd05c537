//! `wavetank node`: one instance as a process.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use wavetank_real::{NodeConfig, NodeError, parse_node_file};
use wavetank_scenario::compile_statement;

use super::{Failure, find};
use crate::exit::Exit;
use crate::interrupt;

#[derive(Args, Debug)]
pub(super) struct NodeArgs {
    /// What it is: server id, scenario, directory, addresses (`docs/real.md`).
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

pub(super) fn node(args: &NodeArgs) -> Result<Exit, Failure> {
    interrupt::watch();
    let text = std::fs::read_to_string(&args.config).map_err(|error| {
        Failure::input(format!("cannot read {}: {error}", args.config.display()))
    })?;
    let file =
        parse_node_file(&args.config, &text).map_err(|error| Failure::input(error.to_string()))?;
    let scenario = find::one(&file.scenario, &[])?;
    let seed = file.seed.or(scenario.seed()).unwrap_or(1);
    let plan = Arc::new(find::draw(&scenario, seed)?);
    let config = NodeConfig {
        plan,
        id: file.server_id,
        directory: file.directory,
        cluster_server: file.cluster_server,
        web_server: file.web_server,
        members: file.members,
        control: file.control,
        compile: |text, parameters| {
            compile_statement(text, parameters).map_err(|error| error.to_string())
        },
    };
    match wavetank_real::run(&config, interrupt::asked) {
        Ok(()) => Ok(Exit::Held),
        Err(error) => {
            let exit = match error {
                NodeError::NotAMember(_)
                | NodeError::MemberMissing(_)
                | NodeError::MemberUnknown(_)
                | NodeError::DurableAcceptors
                | NodeError::Home(_) => Exit::Input,
                NodeError::Port { .. }
                | NodeError::Control { .. }
                | NodeError::System { .. }
                | NodeError::NotLetIn(_) => Exit::Surroundings,
                NodeError::Store(_) => Exit::StoreStopped,
            };
            Err(Failure { exit, message: error.to_string() })
        }
    }
}
