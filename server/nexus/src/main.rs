//! The server process: configuration, command line, wiring, and the front that every request passes.
//!
//! Start with [`serve`] (from the configuration to a listening server), then [`wiring`] (what is built
//! from what). Nothing here knows rooms, accounts or any API; it puts together the crates that do.

use std::process::ExitCode;

use clap::Parser as _;

use crate::cli::{BackupCommand, Cli, Command, LogCommand, ViewsCommand};

mod account_page;
mod admin;
mod cli;
mod config;
mod departures;
mod first_run;
mod glue;
mod health;
mod http;
mod logging;
mod maintenance;
mod metrics;
mod page;
mod serve;
mod upgrade;
mod wiring;
mod world;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The exit code of a command that ran and found a problem.
const FOUND_A_PROBLEM: u8 = 1;
/// The exit code of a command that could not run.
const COULD_NOT_RUN: u8 = 2;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match &cli.command {
        Command::Serve(arguments) => serve::run(&cli.config, arguments),
        Command::Admin(arguments) => admin::run(&cli.config, arguments),
        Command::Views(ViewsCommand::Rebuild(output)) => maintenance::rebuild_views(&cli.config, *output),
        Command::Log(LogCommand::Verify(output)) => maintenance::log_verify(&cli.config, *output),
        Command::Backup(BackupCommand::Create(backup)) => admin::create_backup(&cli.config, backup),
        Command::Backup(BackupCommand::Verify(backup)) => maintenance::verify_backup(backup),
        Command::Backup(BackupCommand::Restore(backup)) => maintenance::restore_backup(&cli.config, backup),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            let ran = error.is::<admin::Refused>() || error.is::<maintenance::FoundProblems>();
            ExitCode::from(if ran { FOUND_A_PROBLEM } else { COULD_NOT_RUN })
        }
    }
}

/// One line, whatever the causes say.
#[expect(
    clippy::print_stderr,
    reason = "an error of the command itself is for whoever typed it, not for the log"
)]
fn complain(error: &anyhow::Error) {
    let line: Vec<String> = format!("{error:#}").lines().map(|line| line.trim().to_owned()).collect();
    eprintln!("nexus: {}", line.join(" "));
}
