//! `docs/security.md` names the test of every attack, and every such test is in it.
//!
//! A test is an attack's by its name, `attack_NN_…` (`test_attack_NN_…` in Python); the table has the same
//! number in its row.

use std::collections::{BTreeMap, BTreeSet};

use crate::tree;

/// The names of attack tests that a source file defines.
fn defined<'t>(text: &'t str, keyword: &str) -> Vec<&'t str> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let after = |line: &'t str| line.trim_start().trim_start_matches("async ").strip_prefix(keyword);
    let names = text.lines().filter_map(after).map(|rest| rest.split(|c| !is_name(c)).next().unwrap_or(""));
    names.filter(|name| number(name).is_some()).collect()
}

/// The number in a test's name.
fn number(name: &str) -> Option<u32> {
    let rest = name.strip_prefix("test_").unwrap_or(name).strip_prefix("attack_")?;
    rest.split('_').next()?.parse().ok()
}

/// The tests that a document names, by the number of their table row.
fn claimed(text: &str) -> BTreeMap<&str, u32> {
    let mut found = BTreeMap::new();
    for line in text.lines() {
        let row =
            line.strip_prefix("| ").and_then(|rest| rest.split(' ').next()).and_then(|n| n.parse().ok());
        let Some(row) = row else { continue };
        for name in line.split('`').skip(1).step_by(2).filter(|name| number(name).is_some()) {
            found.insert(name, row);
        }
    }
    found
}

#[test]
fn every_attack_in_the_table_has_its_test_and_every_test_is_there() {
    let document = tree::read("docs/security.md".as_ref());
    let claimed = claimed(&document);
    let mut tests = BTreeSet::new();
    let sources: Vec<String> = [("rs", "fn "), ("py", "def ")]
        .into_iter()
        .flat_map(|(extension, keyword)| tree::files(extension).into_iter().map(move |file| (file, keyword)))
        .filter(|(file, _)| !file.ends_with("tidy/attacks.rs"))
        .flat_map(|(file, keyword)| {
            let text = tree::read(&file);
            defined(&text, keyword).into_iter().map(str::to_owned).collect::<Vec<_>>()
        })
        .collect();
    tests.extend(sources.iter().map(String::as_str));
    let mut wrong = Vec::new();
    for (name, row) in &claimed {
        if !tests.contains(name) {
            wrong.push(format!("docs/security.md names {name}, which does not exist"));
        }
        if number(name) != Some(*row) {
            wrong.push(format!("docs/security.md names {name} in the row of attack {row}"));
        }
    }
    let missing = tests.iter().filter(|name| !claimed.contains_key(*name));
    wrong.extend(missing.map(|name| format!("docs/security.md does not name {name}")));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(!claimed.is_empty(), "docs/security.md has no table");
}

#[test]
fn tests_are_found_by_their_names() {
    let rust =
        "    #[test]\n    fn attack_07_x() {}\n    async fn attack_8_y() {\nfn attacked() {}\n// fn attack_9";
    assert_eq!(defined(rust, "fn "), ["attack_07_x", "attack_8_y"]);
    assert_eq!(defined("async def test_attack_30_z(guild):", "def "), ["test_attack_30_z"]);
    assert_eq!(number("attack_xx"), None);
    let table = "| # | tests |\n| 7 | `attack_07_x`, `other` |\nprose `attack_8_y`";
    assert_eq!(claimed(table), BTreeMap::from([("attack_07_x", 7)]));
}
