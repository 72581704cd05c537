//! `model-check`: explores the cluster protocol, prints what it found and how long it took.

use std::process::ExitCode;
use std::time::Duration;

use wavetank_cluster::{AcceptorMemory, Compat, Quorum, Settings};
use wavetank_peers::explore::{Limits, explore};
use wavetank_peers::heal::heal;
use wavetank_peers::model::{Bounds, Model, Network, Violation};
use wavetank_peers::nodes::{Clocks, Library};
use wavetank_peers::script;

const HELP: &str = "\
Explores heartbeat, election and Paxos of three members, every order of events, breadth first.

model-check [OPTIONS]
  --depth N            how many events away from a formed cluster (default 40)
  --minutes N          stop after that long (default 5); the depth reached is told
  --states N           stop after that many states (default 60000000)
  --memory M           volatile (as in Neo4j) or durable (default)
  --quorum Q           alive (as in Neo4j) or all (default)
  --original           --memory volatile --quorum alive
  --compat V           2.2, 2.3.0, 2.3.6 (default) or 3.2
  --network N          fifo (default) or unordered
  --clocks C           ascending (default) or set-back: what the wall clock does at a restart
  --from-cold          begin with three members that were never started
  --heal-one-in N      one in N states must converge when all heals (default 1000; 0: none)
  --KIND N             at most N of: crashes, drops, repeats, cuts, heartbeats, suspicions,
                       elections, discoveries, paxos-timeouts, learn-timeouts, broadcasts, switches
Ends with 0 when all properties hold, 1 when one does not, 2 when an option is wrong.";

struct Options {
    settings: Settings,
    bounds: Bounds,
    network: Network,
    clocks: Clocks,
    cold: bool,
    limits: Limits,
}

fn number(name: &str, value: Option<String>, most: u64) -> Result<u64, String> {
    let value = value.ok_or_else(|| format!("{name} needs a number"))?;
    let n: u64 = value.parse().map_err(|_| format!("{name}: `{value}` is no number"))?;
    if n > most { Err(format!("{name}: at most {most}")) } else { Ok(n) }
}

fn word<T: Copy>(name: &str, value: Option<String>, words: &[(&str, T)]) -> Result<T, String> {
    let value = value.unwrap_or_default();
    let found = words.iter().find(|(word, _)| *word == value).map(|(_, meaning)| *meaning);
    let known: Vec<_> = words.iter().map(|(word, _)| *word).collect();
    found.ok_or_else(|| format!("{name}: `{value}` is none of {}", known.join(", ")))
}

fn options() -> Result<Option<Options>, String> {
    let mut settings = Settings::defaults(Compat::default());
    settings.acceptor_memory = AcceptorMemory::Durable;
    settings.quorum = Quorum::OfAllHosts;
    let mut options = Options {
        settings,
        bounds: Bounds([1, 0, 0, 1, 0, 4, 1, 1, 2, 0, 0, 0]),
        network: Network::Fifo,
        clocks: Clocks::Ascending,
        cold: false,
        limits: Limits {
            depth: 40,
            states: 60_000_000,
            time: Duration::from_secs(300),
            heal_one_in: 1000,
        },
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let name = argument.as_str();
        match name {
            "--help" => return Ok(None),
            "--depth" => options.limits.depth = number(name, arguments.next(), 10_000)? as u32,
            "--minutes" => {
                options.limits.time =
                    Duration::from_secs(60 * number(name, arguments.next(), 10_000)?);
            }
            "--states" => {
                options.limits.states = number(name, arguments.next(), 1 << 31)? as usize;
            }
            "--heal-one-in" => {
                options.limits.heal_one_in = number(name, arguments.next(), 1 << 40)?
            }
            "--memory" => {
                let words =
                    [("volatile", AcceptorMemory::Volatile), ("durable", AcceptorMemory::Durable)];
                options.settings.acceptor_memory = word(name, arguments.next(), &words)?;
            }
            "--quorum" => {
                let words = [("alive", Quorum::OfTheAlive), ("all", Quorum::OfAllHosts)];
                options.settings.quorum = word(name, arguments.next(), &words)?;
            }
            "--original" => {
                options.settings.acceptor_memory = AcceptorMemory::Volatile;
                options.settings.quorum = Quorum::OfTheAlive;
            }
            "--compat" => {
                let words = Compat::ALL.map(|compat| (compat.name(), compat));
                let compat = word(name, arguments.next(), &words)?;
                options.settings = Settings {
                    acceptor_memory: options.settings.acceptor_memory,
                    quorum: options.settings.quorum,
                    ..Settings::defaults(compat)
                };
            }
            "--network" => {
                let words = [("fifo", Network::Fifo), ("unordered", Network::Unordered)];
                options.network = word(name, arguments.next(), &words)?;
            }
            "--clocks" => {
                let words = [("ascending", Clocks::Ascending), ("set-back", Clocks::SetBack)];
                options.clocks = word(name, arguments.next(), &words)?;
            }
            "--from-cold" => options.cold = true,
            _ => {
                let kind = name.strip_prefix("--");
                let at = kind.and_then(|kind| Bounds::NAMES.iter().position(|n| *n == kind));
                let at = at.ok_or_else(|| format!("unknown option `{name}`; see --help"))?;
                options.bounds.0[at] = number(name, arguments.next(), 15)? as u8;
            }
        }
    }
    Ok(Some(options))
}

fn main() -> ExitCode {
    let options = match options() {
        Ok(Some(options)) => options,
        Ok(None) => {
            println!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    let Options { settings, bounds, network, clocks, cold, limits } = options;
    println!(
        "compat {}, acceptors {:?}, quorum {:?}, network {network:?}, clocks {clocks:?}, from {}",
        settings.compat.name(),
        settings.acceptor_memory,
        settings.quorum,
        if cold { "a cold start" } else { "a formed cluster" },
    );
    let bounded: Vec<_> =
        Bounds::NAMES.iter().zip(bounds.0).map(|(name, n)| format!("{name} {n}")).collect();
    println!("at most: {}", bounded.join(", "));

    let library = Library::new(settings.clone()).with_clocks(clocks);
    let mut model = Model::new(library, bounds, network);
    let mut root = model.unborn();
    if !cold {
        root = match heal(&mut model, &settings, &root) {
            Ok(formed) => formed,
            Err(violation) => {
                println!("no cluster forms: {violation:?}");
                return ExitCode::FAILURE;
            }
        };
    }
    let report = explore(&mut model, &settings, &root, limits, |depth, states| {
        println!("depth {depth:>3}: {states:>10} states");
    });
    let (nodes, steps) = model.library.size();
    let seconds = report.time.as_secs_f64();
    println!(
        "{} states, {} transitions, {} healed, in {seconds:.1} s; {nodes} local states, {steps} steps of them",
        report.states, report.transitions, report.healed,
    );
    match report.found {
        None if report.exhausted => println!("all properties hold: nothing else can happen"),
        None => println!("all properties hold up to depth {}", report.depth),
        Some(found) => {
            println!("VIOLATED after {} events: {}", found.way.len(), describe(&found.violation));
            print!("{}", script::write(&mut model, &root, &found.way));
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn describe(violation: &Violation) -> String {
    let text = script::value_text;
    match violation {
        Violation::ChosenTwice(instance, a, b) => {
            format!("Paxos instance {instance} chose {} and {}", text(*a), text(*b))
        }
        Violation::ElectedTwice(a, b) => format!("{} and {}", text(*a), text(*b)),
        Violation::NeverConverges => "the members never agree after everything healed".to_owned(),
    }
}
