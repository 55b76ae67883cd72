//! `nexus log verify`: is the store of a stopped server sound?
//!
//! **Shapes**: a line for each problem, then a sentence; with `--json` one object `{ok, problems, …}` at the end.
//! **Bounds**: the object lists the first [`LISTED_MAX`] problems and counts the rest.

use std::{io::Write as _, path::Path, sync::Arc};

use anyhow::{Context as _, Result, anyhow, bail};
use indicatif::ProgressBar;
use nexus_event_store::{
    EngineRows, Rows as _,
    catalogue::Meta,
    codec::Text,
    format::{self, Found},
    kv::{
        Engine,
        rocks::{RocksEngine, RocksTuning},
        sealed::Sealed,
    },
    world::World,
};
use nexus_federation::ServerKeys;
use nexus_maintenance::{
    backup::KEY_FILE,
    verify::{Listener, Problem, Summary, known_keys, verify},
};
use nexus_state_resolution::Signer as _;
use ruma::ServerName;
use serde_json::{Value, json};

use super::{FoundProblems, bar, in_runtime};
use crate::{cli::OutputArguments, config, logging, wiring};

/// Problems that the JSON object lists.
const LISTED_MAX: usize = 10_000;

/// Where the views are rebuilt, in the data folder.
const SCRATCH_FOLDER: &str = "verify-scratch";

/// `nexus log verify`.
pub(crate) fn log_verify(config_file: &Path, output: OutputArguments) -> Result<()> {
    let config = config::load(config_file, std::env::vars_os())?.config;
    logging::install(&config.log);
    let folder = wiring::existing_store(&config)?;
    in_runtime(async |world| {
        let engine = match wiring::open_engine(&folder) {
            Ok(engine) => engine,
            Err(error) if wiring::is_damage(&folder, &error) => {
                let what = format!("it cannot be opened: {error:#}");
                let problem = Problem { table: "all", key: folder.display().to_string(), event: None, what };
                let mut report = Report::new(output.json, ProgressBar::hidden());
                report.problem(problem);
                return report.end(&Summary { problems: 1, ..Summary::default() });
            }
            Err(error) => return Err(error),
        };
        let report = Report::new(output.json, bar("verifying", engine.row_count() * 2, "rows"));
        check(&config.data_dir, &folder, Arc::new(engine), &world, report).await
    })
}

/// Checks the store that `raw` has open; also a backup's.
pub(super) async fn check(
    data_dir: &Path,
    folder: &Path,
    raw: Arc<dyn Engine>,
    world: &World,
    mut report: Report,
) -> Result<()> {
    match format::find(&*raw).await.with_context(|| format!("{}: open the store", folder.display()))? {
        Found::Current | Found::Fresh => {}
        Found::Older { format, .. } => bail!(
            "{}: the store has format {format}; start the server once, which upgrades it, and verify then",
            folder.display()
        ),
    }
    let keys = own_keys(data_dir, &raw).await?;
    let scratch_folder = data_dir.join(SCRATCH_FOLDER);
    remove(&scratch_folder)?;
    let scratch = RocksEngine::open(&scratch_folder, RocksTuning::default())
        .map_err(|error| anyhow!("{}: make a store to compare with: {error}", scratch_folder.display()))?;
    let summary = verify(raw, Arc::new(scratch), keys, world, &mut report).await;
    remove(&scratch_folder)?;
    report.end(&summary)
}

fn remove(folder: &Path) -> Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("{}: remove", folder.display()))
        }
        _ => Ok(()),
    }
}

/// The key in the data folder, under the name that the store belongs to.
async fn own_keys(data_dir: &Path, raw: &Arc<dyn Engine>) -> Result<ruma::signatures::PublicKeyMap> {
    let rows = EngineRows(Arc::new(Sealed::new(Arc::clone(raw))));
    let Ok(Some(name)) = rows.row::<Meta>(&Text::from("server_name")).await else {
        return Ok(known_keys("", []));
    };
    let server = ServerName::parse(&name).with_context(|| format!("the store's server name {name}"))?;
    let keys = ServerKeys::load(&data_dir.join(KEY_FILE), &server)?.ok_or_else(|| {
        anyhow!("{}: there is no signing key to check with", data_dir.join(KEY_FILE).display())
    })?;
    Ok(known_keys(keys.server_name().as_str(), [(keys.key_id(), keys.public_key())]))
}

/// Prints problems as they are found.
pub(super) struct Report {
    json: bool,
    bar: ProgressBar,
    listed: Vec<Value>,
}

impl Report {
    pub(super) fn new(json: bool, bar: ProgressBar) -> Self {
        Self { json, bar, listed: Vec::new() }
    }

    pub(super) fn end(self, summary: &Summary) -> Result<()> {
        self.bar.finish_and_clear();
        let Summary { rows, events, unknown_keys, nodes, view_rows, problems } = *summary;
        let text = if self.json {
            json!({
                "ok": problems == 0, "rows": rows, "events": events, "unknown_keys": unknown_keys,
                "nodes": nodes, "view_rows": view_rows, "problems": problems, "found": self.listed,
            })
            .to_string()
        } else if problems == 0 {
            let unknown = match unknown_keys {
                0 => String::new(),
                unknown => format!(" ({unknown} of them of servers whose keys are not known: hashes only)"),
            };
            format!(
                "All is sound: {rows} rows, {events} events{unknown}, {nodes} nodes, {view_rows} view rows."
            )
        } else {
            format!("{problems} problems in {rows} rows.")
        };
        writeln!(std::io::stdout(), "{text}").context("write to standard output")?;
        if problems == 0 { Ok(()) } else { Err(FoundProblems(format!("{problems} problems found")).into()) }
    }
}

impl Listener for Report {
    fn problem(&mut self, problem: Problem) {
        if !self.json {
            // Nobody reads it any more: the exit code still tells.
            self.bar.suspend(|| drop(writeln!(std::io::stdout(), "{problem}")));
        } else if self.listed.len() < LISTED_MAX {
            let Problem { table, key, event, what } = problem;
            self.listed.push(json!({ "table": table, "key": key, "event": event, "what": what }));
        }
    }

    fn rows(&mut self, _: &'static str, rows: u64) {
        self.bar.inc(rows);
    }
}
