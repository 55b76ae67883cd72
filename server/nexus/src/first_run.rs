//! The first run: makes `nexus.toml` and the data folder with the signing key.
//!
//! **Shapes**: `nexus.toml` (mode 0600) is the contract's listing with this run's name, folder, address
//! and URL in it, since those must stay the same when the environment that set them is gone.
//! **Errors**: name the file. **Invariant**: unless [`FirstRun::keep`] is called, dropping removes all
//! that was made, so a start that fails leaves nothing half-created.

use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::Write as _,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use crate::config::{Config, Loaded};

const TEMPLATE: &str = include_str!("first_run/nexus.toml");

/// What a first run has made so far.
#[derive(Debug, Default)]
pub(crate) struct FirstRun {
    folder: Option<PathBuf>,
    file: Option<PathBuf>,
}

impl FirstRun {
    /// Makes the data folder, if there is none.
    pub(crate) fn data_folder(&mut self, data_dir: &Path) -> Result<()> {
        if data_dir.is_dir() {
            return Ok(());
        }
        DirBuilder::new()
            .mode(0o700)
            .create(data_dir)
            .with_context(|| format!("{}: create the data folder", data_dir.display()))?;
        self.folder = Some(data_dir.to_owned());
        Ok(())
    }

    /// Makes the config file, if there was none.
    pub(crate) fn config_file(&mut self, loaded: &Loaded) -> Result<()> {
        if loaded.file_exists {
            return Ok(());
        }
        write_config(&loaded.file, &listing(&loaded.as_written))
            .with_context(|| format!("{}: create the config file", loaded.file.display()))?;
        self.file = Some(loaded.file.clone());
        Ok(())
    }

    /// The start succeeded: what was made stays.
    pub(crate) fn keep(mut self) {
        self.folder = None;
        self.file = None;
    }
}

impl Drop for FirstRun {
    fn drop(&mut self) {
        // We made these moments ago and the start failed; if removing fails too, the error of the start
        // matters more.
        if let Some(file) = self.file.take() {
            drop(fs::remove_file(file));
        }
        if let Some(folder) = self.folder.take() {
            drop(fs::remove_dir_all(folder));
        }
    }
}

/// The commented config file for `config`.
fn listing(config: &Config) -> String {
    let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
    let public_url = match config.http.listen.port() {
        _ if !config.http.public_url.is_empty() => config.http.public_url.clone(),
        // Which port it will be is only known when listening: better none than a wrong one.
        0 => config.http.public_url.clone(),
        _ => config.public_url(config.http.listen),
    };
    let lines = [
        ("server_name = ", quoted(config.server_name.as_str())),
        ("data_dir    = ", quoted(&config.data_dir.to_string_lossy())),
        ("listen          = ", quoted(&config.http.listen.to_string())),
        ("public_url      = ", quoted(public_url.as_str())),
    ];
    let mut text = TEMPLATE.to_owned();
    for (key, value) in lines {
        let start = text.find(key).expect("the template has every one of these lines") + key.len();
        let end = start + text[start..].find([' ', '\n']).expect("the template ends in a newline");
        text.replace_range(start..end, &value);
    }
    text
}

/// Whole or not at all, and never over a file that appeared meanwhile.
fn write_config(file: &Path, text: &str) -> std::io::Result<()> {
    let unfinished = file.with_extension("toml.new");
    let written = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&unfinished)
        .and_then(|mut out| out.write_all(text.as_bytes()).and_then(|()| out.sync_all()))
        .and_then(|()| fs::hard_link(&unfinished, file));
    let removed = fs::remove_file(&unfinished);
    written.and(removed)
}

#[cfg(test)]
mod tests;
