//! Reads the config file, lays the environment over it and checks every value.
//!
//! **Shapes**: `NEXUS_HTTP__LISTEN` stands for `http.listen`; its text is the value of a string key and
//! TOML for every other key (`true`, `["a", "b"]`).
//! **Errors**: one line, `FILE: KEY: what is wrong` or `VARIABLE: KEY: what is wrong`.
//! **Invariant**: nothing is written here, so a refused configuration leaves nothing behind.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, anyhow, bail};
use serde::Deserialize as _;
use toml::{Table, Value};

use super::Config;

const PREFIX: &str = "NEXUS_";
/// Variables named by a contract other than ours, and the key each stands for.
const ALIASES: [(&str, &str); 1] = [("NEXUS_SEARCH_URL", "NEXUS_SEARCH__URL")];
/// A config file is a page of text; more is a mistake in the path.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// A valid configuration and where it came from.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) config: Config,
    /// The same before its paths became absolute, as a new file would state it.
    pub(crate) as_written: Config,
    pub(crate) file: PathBuf,
    pub(crate) file_exists: bool,
    /// What the operator should hear about once there is a log.
    pub(crate) warnings: Vec<String>,
}

/// Loads `file`, which need not exist, under the environment variables `environment`.
pub(crate) fn load(
    file: &Path,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Loaded> {
    let file = absolute(file)?;
    let text = read(&file)?;
    let file_exists = text.is_some();
    from_text(file, file_exists, text, environment)
}

/// As [`load`], with the text of `other` where there is no `file` yet.
pub(crate) fn load_beside(
    file: &Path,
    other: &Path,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Loaded> {
    let file = absolute(file)?;
    match read(&file)? {
        Some(text) => from_text(file, true, Some(text), environment),
        None => from_text(file, false, read(other)?, environment),
    }
}

fn absolute(file: &Path) -> Result<PathBuf> {
    std::path::absolute(file).with_context(|| format!("{}: find its folder", file.display()))
}

fn from_text(
    file: PathBuf,
    file_exists: bool,
    text: Option<String>,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Loaded> {
    let mut table = match text {
        Some(text) => parse_file(&file, &text)?,
        None => Table::new(),
    };
    let (overrides, warnings) = overrides(environment)?;
    for (name, over) in overrides {
        // One at a time, so that an error can name the variable that caused it.
        set(&mut table, &over.path, over.value);
        parse(&table).map_err(|error| anyhow!("{name}: {error}"))?;
    }
    let as_written = parse(&table).map_err(|error| anyhow!("{}: {error}", file.display()))?;
    if as_written.registration.shared_secret.is_well_known() {
        bail!("{}: registration.shared_secret: is a sample that everybody knows", file.display());
    }
    let mut config = as_written.clone();
    config.resolve_paths(file.parent().unwrap_or(Path::new("/")));
    Ok(Loaded { config, as_written, file, file_exists, warnings })
}

fn read(file: &Path) -> Result<Option<String>> {
    match std::fs::metadata(file) {
        Ok(found) if !found.is_file() => bail!("{}: is not a file", file.display()),
        Ok(found) if found.len() > FILE_BYTES_MAX => bail!("{}: is too large", file.display()),
        Ok(_) => std::fs::read_to_string(file).map(Some),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
    .with_context(|| format!("{}: read the config file", file.display()))
}

/// Checks the file on its own first: an error in it is the file's, whatever the environment says.
fn parse_file(file: &Path, text: &str) -> Result<Table> {
    let table: Table = toml::from_str(text).map_err(|error| {
        let line = error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
        anyhow!("{}: line {line}: {}", file.display(), one_line(error.message()))
    })?;
    parse(&table).map_err(|error| anyhow!("{}: {error}", file.display()))?;
    Ok(table)
}

/// The error is `key: what is wrong`.
fn parse(table: &Table) -> Result<Config, String> {
    let deserializer = serde_path_to_error::Deserializer::new;
    let mut track = serde_path_to_error::Track::new();
    Config::deserialize(deserializer(table.clone(), &mut track)).map_err(|error: toml::de::Error| {
        let message = one_line(error.message());
        let message = message.strip_prefix("unknown field").map_or(message.clone(), |rest| {
            // Only what stood in the quotes is new to the reader; the key before the colon names it.
            let expected = rest.split_once(", ").map_or("", |(_, expected)| expected);
            format!("unknown key, {expected}")
        });
        format!("{}: {message}", track.path())
    })
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

struct Override {
    path: Vec<String>,
    value: Value,
}

/// The overrides by variable name, and warnings about `NEXUS_*` variables that name no key.
fn overrides(
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<(BTreeMap<String, Override>, Vec<String>)> {
    let known = known_keys();
    let mut ours: BTreeMap<String, OsString> = environment
        .into_iter()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
        .filter(|(name, _)| name.starts_with(PREFIX))
        .collect();
    for (alias, name) in ALIASES {
        if let Some(value) = ours.remove(alias) {
            ours.entry(name.to_owned()).or_insert(value);
        }
    }
    let mut found = BTreeMap::new();
    let mut warnings = Vec::new();
    for (name, value) in ours {
        let Some((path, default)) = known.get(&name) else {
            warnings.push(format!("the environment variable {name} names no configuration key; ignored"));
            continue;
        };
        let text = value.into_string().map_err(|_| anyhow!("{name}: is not UTF-8"))?;
        let value = typed(text, default).map_err(|wanted| anyhow!("{name}: {}: {wanted}", path.join(".")))?;
        found.insert(name, Override { path: path.clone(), value });
    }
    Ok((found, warnings))
}

fn typed(text: String, default: &Value) -> Result<Value, &'static str> {
    let read = |text: &str| toml::from_str::<Table>(&format!("v = {text}")).ok()?.remove("v");
    match default {
        Value::String(_) => Ok(Value::String(text)),
        Value::Boolean(_) => read(&text).filter(Value::is_bool).ok_or("is neither true nor false"),
        Value::Array(_) => {
            read(&text).filter(Value::is_array).ok_or("is not a TOML list such as [\"a\", \"b\"]")
        }
        _ => read(&text).ok_or("is not a TOML value"),
    }
}

/// Every key by the name of its environment variable, with its default.
fn known_keys() -> BTreeMap<String, (Vec<String>, Value)> {
    let defaults = Value::try_from(Config::default()).expect("the defaults are strings, booleans and lists");
    let mut keys = BTreeMap::new();
    collect(&mut Vec::new(), defaults, &mut keys);
    keys
}

fn collect(path: &mut Vec<String>, value: Value, keys: &mut BTreeMap<String, (Vec<String>, Value)>) {
    let Value::Table(table) = value else {
        keys.insert(format!("{PREFIX}{}", path.join("__").to_uppercase()), (path.clone(), value));
        return;
    };
    for (key, value) in table {
        path.push(key);
        collect(path, value, keys);
        path.pop();
    }
}

fn set(table: &mut Table, path: &[String], value: Value) {
    let Some((key, sections)) = path.split_last() else { return };
    let mut at = table;
    for section in sections {
        let inner = at.entry(section.clone()).or_insert_with(|| Value::Table(Table::new()));
        at = inner.as_table_mut().expect("the file alone was valid, so a section is a table");
    }
    at.insert(key.clone(), value);
}

#[cfg(test)]
mod tests;
