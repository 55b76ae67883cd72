//! What may stand in a source file, beyond what the compiler and clippy see.

use std::path::Path;

use crate::tree;

/// Ambient time, randomness and tasks (design invariant 5).
const AMBIENT: [&str; 6] =
    ["SystemTime::now", "Instant::now", "OsRng", "thread_rng", "rand::rng()", "tokio::spawn"];

/// Where the real world is let in: the binary, and the load generator that is a client of it.
const MAY_BE_AMBIENT: [&str; 2] = ["server/nexus/", "sytest-like-tests/"];

/// The lines of code that reach around the injected world, as `line: what`.
fn ambient_uses(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let code = line.split("//").next().unwrap_or_default();
        for name in AMBIENT {
            if code.contains(name) {
                found.push(format!("{}: {name}", number + 1));
            }
        }
    }
    found
}

/// A driver runs real sockets and is named for it; tests are outside the core.
fn may_be_ambient(file: &Path) -> bool {
    let path = file.to_string_lossy();
    MAY_BE_AMBIENT.iter().any(|folder| path.starts_with(folder))
        || file.ends_with("driver.rs")
        || tree::is_test(file)
        || file
            .components()
            .any(|part| ["benches", "examples"].map(std::ffi::OsStr::new).contains(&part.as_os_str()))
}

#[test]
fn time_and_randomness_are_injected() {
    let mut found = Vec::new();
    for file in tree::files("rs").iter().filter(|file| !may_be_ambient(file)) {
        let uses = ambient_uses(tree::production(&tree::read(file)));
        found.extend(uses.into_iter().map(|line| format!("{}:{line}", file.display())));
    }
    assert_eq!(found, Vec::<String>::new(), "take them from world::World");
}

#[test]
fn an_ambient_use_is_found_and_a_mention_is_not() {
    let text = "// not SystemTime::now\nlet a = Instant::now();\ntokio::spawn(task);";
    assert_eq!(ambient_uses(text), ["2: Instant::now", "3: tokio::spawn"]);
    assert!(may_be_ambient(Path::new("federation/src/sender/driver.rs")));
    assert!(!may_be_ambient(Path::new("federation/src/sender/machine.rs")));
}

/// Who may make an event of stored JSON, whose signatures nobody checks again.
const READS_STORED_EVENTS: &str = "server/views/src/event.rs";

/// The other two ways to an event build and verify it.
#[test]
fn attack_08_only_the_reader_of_the_log_takes_events_unverified() {
    let mut found = Vec::new();
    for file in tree::files("rs") {
        let is_inside = file.starts_with("state-resolution") || tree::is_test(&file);
        if !is_inside && tree::production(&tree::read(&file)).contains("Pdu::from_stored") {
            found.push(file);
        }
    }
    assert_eq!(found, [Path::new(READS_STORED_EVENTS)], "take foreign events through `verify`");
}

#[test]
fn every_source_file_says_what_it_is_for() {
    let silent: Vec<_> =
        tree::files("rs").into_iter().filter(|file| !tree::read(file).starts_with("//! ")).collect();
    assert_eq!(silent, Vec::<std::path::PathBuf>::new(), "begin the file with `//! `");
}

#[test]
fn every_crate_takes_the_one_table_of_lints_and_versions() {
    let mut found = Vec::new();
    for file in tree::files("toml").iter().filter(|file| file.ends_with("Cargo.toml")) {
        let text = tree::read(file);
        if text.contains("[workspace]") {
            continue;
        }
        if !text.contains("[lints]\nworkspace = true") {
            found.push(format!("{}: has no `[lints] workspace = true`", file.display()));
        }
        let dependencies = text.split("dependencies]").skip(1);
        let named = dependencies
            .flat_map(|section| section.lines().skip(1).take_while(|line| !line.starts_with('[')))
            .filter(|line| line.contains('=') && !line.starts_with('#'));
        for line in named.filter(|line| !line.contains("workspace = true")) {
            found.push(format!("{}: names its own version: {line}", file.display()));
        }
    }
    assert_eq!(found, Vec::<String>::new());
}
