//! Commands for a stopped server: they open its store themselves.
//!
//! **Errors**: a server that is running, a folder without a store: one line, exit code 2.

use std::{io::Write as _, path::Path};

use anyhow::{Context as _, Result};
use indicatif::{ProgressBar, ProgressStyle};
use nexus_event_store::world::World;
use nexus_views::rebuild::{RebuildProgress, rebuild};
use serde_json::json;
use tokio::runtime::{Builder, Handle};

mod backups;
mod log_verify;

pub(crate) use backups::{describe, restore as restore_backup, verify as verify_backup};
pub(crate) use log_verify::log_verify;

use crate::{cli::OutputArguments, config, logging, wiring, world};

/// `nexus views rebuild`.
pub(crate) fn rebuild_views(config_file: &Path, output: OutputArguments) -> Result<()> {
    let config = config::load(config_file, std::env::vars_os())?.config;
    logging::install(&config.log);
    let runtime = Builder::new_multi_thread().enable_all().build().context("start the runtime")?;
    runtime.block_on(async {
        let world = world::system(Handle::current())?;
        let store = wiring::open_stopped(&config, &world).await?;
        let began = world.clock.monotonic();
        // Nothing is drawn where nobody is looking at a terminal.
        let bar = ProgressBar::new(store.visible().0).with_style(style());
        let mut events = 0;
        let progress = |state: RebuildProgress| {
            events = state.events;
            bar.set_position(state.done.0);
        };
        rebuild(&store, progress).await.context("rebuild the views")?;
        bar.finish_and_clear();
        let seconds = world.clock.monotonic().saturating_sub(began).as_secs_f64();
        let report = if output.json {
            json!({ "commits": bar.position(), "events": events, "seconds": seconds }).to_string()
        } else {
            format!("All views are rebuilt from {events} events in {seconds:.1} s.")
        };
        writeln!(std::io::stdout(), "{report}").context("write to standard output")
    })
}

/// A check ran and found something: exit code 1.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct FoundProblems(pub(crate) String);

/// Runs `work` on a runtime of its own with the system's world.
fn in_runtime<T>(work: impl AsyncFnOnce(World) -> Result<T>) -> Result<T> {
    let runtime = Builder::new_multi_thread().enable_all().build().context("start the runtime")?;
    runtime.block_on(async { work(world::system(Handle::current())?).await })
}

/// A progress bar, drawn only where somebody is looking at a terminal.
pub(crate) fn bar(what: &'static str, total: u64, unit: &str) -> ProgressBar {
    let style =
        ProgressStyle::with_template(&format!("{{msg}} {{wide_bar}} {{pos}}/{{len}} {unit}, {{eta}} left"));
    ProgressBar::new(total)
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        .with_message(what)
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("rebuilding views {wide_bar} {pos}/{len} commits, {eta} left")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
}
