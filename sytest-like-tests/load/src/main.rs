//! `nexus-load`: a lean load generator for any server of the Matrix client-server API.
//!
//! It speaks the wire only and shares no code with the server it measures. `prepare` makes users and
//! rooms and writes them to a file; `send`, `sync` and `check` read that file, so that the measured part
//! of a run holds nothing but the load. Which client sends what to which room is fixed by their numbers.
//! **Units**: latencies are milliseconds in the output, microseconds inside.
//! **Errors**: exit code 0 = ran; 1 = ran and something was lost or refused; 2 = could not run.

#![expect(
    clippy::disallowed_methods,
    reason = "a measuring tool: it reads the real clock and owns its tasks"
)]
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line tool: its output is its result"
)]

mod check;
mod client;
mod latency;
mod population;
mod send;
mod sync;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};

/// Loads a Matrix server and says how it did.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Register users, create rooms, join them, and write them to `--tokens-file`.
    Prepare {
        #[command(flatten)]
        target: Target,
    },
    /// Send messages, each client awaiting its acknowledgement before its next one.
    Send {
        #[command(flatten)]
        target: Target,
        #[command(flatten)]
        load: send::Load,
    },
    /// Long-poll `/sync` with every client but the first, which sends; measure the delivery.
    Sync {
        #[command(flatten)]
        target: Target,
        #[command(flatten)]
        load: sync::Load,
    },
    /// Read the rooms' histories and demand every event of a `send --events-file` there exactly once.
    Check {
        #[command(flatten)]
        target: Target,
        /// What `send --events-file` wrote.
        #[arg(long)]
        events_file: PathBuf,
    },
}

/// The server, and who talks to it.
#[derive(Args, Clone)]
struct Target {
    /// Where the server listens, for example `http://127.0.0.1:8080`.
    #[arg(long)]
    base: String,
    /// How many clients; each has a user and a connection of its own.
    #[arg(long, default_value_t = 16)]
    clients: usize,
    /// How many rooms; every client is in all of them.
    #[arg(long, default_value_t = 8)]
    rooms: usize,
    /// The users and rooms that `prepare` writes and the others read; without it they make their own.
    #[arg(long)]
    tokens_file: Option<PathBuf>,
    /// Part of user names and transaction ids: two runs on one server need two names.
    #[arg(long, default_value_t = format!("p{}", std::process::id()))]
    run: String,
    /// A request without an answer after this long is an error.
    #[arg(long, default_value_t = 60)]
    timeout_s: u64,
    /// Print one JSON object instead of a sentence.
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    // One thread suffices for what it does, and leaves the other cores to the server.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime.context("start the runtime").and_then(|runtime| runtime.block_on(run(cli.command))) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("nexus-load: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Runs one command; false when it ran but something was refused, lost or doubled.
async fn run(command: Command) -> anyhow::Result<bool> {
    let (json, report, good) = match command {
        Command::Prepare { target } => {
            let population = population::prepare(&target).await?;
            if let Some(path) = &target.tokens_file {
                population.write(path)?;
            }
            (target.json, population.describe(), true)
        }
        Command::Send { target, load } => {
            let report = send::run(&population::load(&target).await?, &target, &load).await?;
            (target.json, serde_json::to_value(&report)?, report.errors.is_empty())
        }
        Command::Sync { target, load } => {
            let report = sync::run(&population::load(&target).await?, &target, &load).await?;
            (target.json, serde_json::to_value(&report)?, report.is_complete())
        }
        Command::Check { target, events_file } => {
            let report = check::run(&population::load(&target).await?, &target, &events_file).await?;
            (target.json, serde_json::to_value(&report)?, report.is_complete())
        }
    };
    if json {
        println!("{report}");
    } else {
        println!("{report:#}");
    }
    Ok(good)
}
