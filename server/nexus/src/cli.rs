//! The command line (design §6). Exit codes: 0 done, 1 ran and found a problem, 2 could not run.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

mod admin;

pub(crate) use admin::{AdminCommand, MediaCommand, RoomsCommand, TokensCommand, UsersCommand};

/// A community chat server.
#[derive(Debug, Parser)]
#[command(name = "nexus", version, about, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// The configuration file; made with the defaults if it does not exist.
    #[arg(long, global = true, value_name = "FILE", default_value = "nexus.toml")]
    pub(crate) config: PathBuf,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the server in the foreground until SIGINT or SIGTERM.
    Serve(ServeArguments),
    /// Look after a running server, through the socket in its data folder.
    Admin(AdminArguments),
    /// Look after the views, with the server stopped.
    #[command(subcommand)]
    Views(ViewsCommand),
    /// Look after the log of record, with the server stopped.
    #[command(subcommand)]
    Log(LogCommand),
    /// Copies of a server.
    #[command(subcommand)]
    Backup(BackupCommand),
}

/// What to do with the log.
#[derive(Debug, Subcommand)]
pub(crate) enum LogCommand {
    /// Check every hash, signature and index.
    Verify(OutputArguments),
}

/// What to do with backups.
#[derive(Debug, Subcommand)]
pub(crate) enum BackupCommand {
    /// Make one of the running server.
    Create(BackupArguments),
    /// Check that one is whole and sound.
    Verify(BackupArguments),
    /// Make a data folder of one, with the server stopped.
    Restore(BackupArguments),
}

/// Which backup.
#[derive(Debug, Args)]
pub(crate) struct BackupArguments {
    /// The backup's folder.
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
    /// One JSON object on standard output instead of a sentence.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Arguments of `nexus admin`.
#[derive(Debug, Args)]
pub(crate) struct AdminArguments {
    #[command(subcommand)]
    pub(crate) command: AdminCommand,
    /// The server's answer as one JSON value.
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

/// What to do with the views.
#[derive(Debug, Subcommand)]
pub(crate) enum ViewsCommand {
    /// Throw every view away and derive it again from the log.
    Rebuild(OutputArguments),
}

/// How a command that is not the server reports.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct OutputArguments {
    /// One JSON object on standard output instead of a sentence.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Arguments of `nexus serve`.
#[derive(Debug, Args)]
pub(crate) struct ServeArguments {
    /// Use the embedded back ends, whatever the configuration says.
    #[arg(long)]
    pub(crate) lite: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_contracts_calls_are_understood() {
        let parse = |line: &str| Cli::try_parse_from(line.split(' '));
        let plain = parse("nexus serve").unwrap();
        assert_eq!(plain.config, PathBuf::from("nexus.toml"));
        assert!(matches!(plain.command, Command::Serve(ServeArguments { lite: false })));
        let rebuild = parse("nexus views rebuild --json").unwrap().command;
        assert!(matches!(rebuild, Command::Views(ViewsCommand::Rebuild(OutputArguments { json: true }))));
        let full = parse("nexus serve --config /etc/nexus.toml --lite").unwrap();
        assert_eq!(full.config, PathBuf::from("/etc/nexus.toml"));
        assert_eq!(parse("nexus --config x serve").unwrap().config, PathBuf::from("x"));
        let reset = parse("nexus admin users reset-password @ada:example.org --json").unwrap().command;
        assert!(matches!(reset, Command::Admin(AdminArguments { json: true, .. })));
        let verify = parse("nexus log verify").unwrap().command;
        assert!(matches!(verify, Command::Log(LogCommand::Verify(OutputArguments { json: false }))));
        let Command::Backup(BackupCommand::Create(create)) = parse("nexus backup create /b").unwrap().command
        else {
            panic!("not understood");
        };
        assert_eq!(create.folder, PathBuf::from("/b"));
        for wrong in ["nexus", "nexus serve --fast", "nexus backup", "nexus backup restore"] {
            assert_eq!(parse(wrong).unwrap_err().exit_code(), 2, "{wrong}");
        }
    }
}
