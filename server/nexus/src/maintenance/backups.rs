//! `nexus backup verify` and `nexus backup restore`, for which the server need not run.

use std::{io::Write as _, path::Path, sync::Arc};

use anyhow::{Context as _, Result, anyhow};
use nexus_event_store::kv::{
    Engine as _,
    rocks::{RocksEngine, RocksTuning},
};
use nexus_maintenance::backup::{self, BackupError, Manifest, Outcome, STORE_FOLDER, Target};
use serde_json::json;

use super::{FoundProblems, bar, in_runtime, log_verify};
use crate::{cli::BackupArguments, config, wiring};

/// `nexus backup verify DIR`: its files, then its store as `nexus log verify` does.
pub(crate) fn verify(arguments: &BackupArguments) -> Result<()> {
    let folder = &arguments.folder;
    let progress = bar("reading", 0, "bytes");
    let (manifest, problems) = backup::verify(folder, &mut |done, total| {
        progress.set_length(total);
        progress.set_position(done);
        true
    })?;
    progress.finish_and_clear();
    if !problems.is_empty() {
        return damaged(arguments.json, &problems);
    }
    let scratch = std::env::temp_dir().join(format!("nexus-verify-{}", manifest.id));
    std::fs::create_dir_all(&scratch).with_context(|| format!("{}: create", scratch.display()))?;
    let checked = in_runtime(async |world| {
        // Its diary goes elsewhere: a backup is only read.
        let raw = RocksEngine::open_read_only(&folder.join(STORE_FOLDER), &scratch, RocksTuning::default())
            .map_err(|error| FoundProblems(format!("{}: open its store: {error}", folder.display())))?;
        std::fs::copy(folder.join(backup::KEY_FILE), scratch.join(backup::KEY_FILE))
            .with_context(|| format!("{}: read its key", folder.display()))?;
        let report = log_verify::Report::new(arguments.json, bar("verifying", raw.row_count() * 2, "rows"));
        log_verify::check(&scratch, folder, Arc::new(raw), &world, report).await
    });
    let removed = std::fs::remove_dir_all(&scratch).with_context(|| format!("{}: remove", scratch.display()));
    checked.and(removed)
}

fn damaged(as_json: bool, problems: &[String]) -> Result<()> {
    let text = if as_json {
        let found: Vec<_> = problems.iter().map(|problem| json!({ "what": problem })).collect();
        json!({ "ok": false, "problems": problems.len(), "found": found }).to_string()
    } else {
        problems.join("\n")
    };
    writeln!(std::io::stdout(), "{text}").context("write to standard output")?;
    Err(FoundProblems(format!("the backup is damaged: {} files", problems.len())).into())
}

/// `nexus backup restore DIR`.
pub(crate) fn restore(config_file: &Path, arguments: &BackupArguments) -> Result<()> {
    let folder = &arguments.folder;
    let loaded = config::load_beside(config_file, &folder.join(backup::CONFIG_FILE), std::env::vars_os())?;
    let config = &loaded.config;
    wiring::refuse_running(&config.data_dir.join(wiring::STORE_FOLDER))?;
    let target = Target {
        data_dir: config.data_dir.clone(),
        config_file: loaded.file.clone(),
        server_name: Some(config.server_name.to_string()),
    };
    let progress = bar("restoring", 0, "bytes");
    let outcome = backup::restore(folder, &target, &mut |done, total| {
        progress.set_length(total);
        progress.set_position(done);
        true
    });
    progress.finish_and_clear();
    let outcome = outcome.map_err(|error| match error {
        BackupError::Damaged(_) => FoundProblems(error.to_string()).into(),
        error => anyhow!(error),
    })?;
    let data_dir = config.data_dir.display();
    let (record, already, text) = match outcome {
        Outcome::Restored(record) => {
            let text = format!("{data_dir} is restored, up to commit {}.", record.position);
            (record, false, text)
        }
        Outcome::Already(record) => {
            let text = format!("{data_dir} was restored from this backup before; nothing was changed.");
            (record, true, text)
        }
    };
    let text = if arguments.json {
        json!({ "backup": record.backup, "position": record.position, "already": already }).to_string()
    } else {
        text
    };
    writeln!(std::io::stdout(), "{text}").context("write to standard output")
}

/// What a made backup is called in a sentence.
pub(crate) fn describe(manifest: &Manifest, folder: &Path) -> String {
    let mib = manifest.total_bytes().div_ceil(1 << 20);
    let (files, position) = (manifest.files.len(), manifest.position);
    format!("{} holds all up to commit {position}: {files} files, {mib} MiB.", folder.display())
}
