//! Links between our documents lead to files and headings that exist.

use std::path::{Path, PathBuf};

use crate::tree;

/// The targets of the inline links in a Markdown text, outside code.
fn targets(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut in_code = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        // Every second piece is between backticks.
        for prose in line.split('`').step_by(2) {
            for rest in prose.split("](").skip(1) {
                found.extend(rest.split(')').next());
            }
        }
        // A link whose text is code is cut by the backticks: its target follows the closing one.
        for rest in line.split("`](").skip(1) {
            found.extend(rest.split(')').next());
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// The anchors of a document's headings, as GitHub makes them.
fn anchors(text: &str) -> Vec<String> {
    let mut in_code = false;
    let mut found = Vec::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if let Some(heading) = line.strip_prefix('#').filter(|_| !in_code) {
            let heading = heading.trim_start_matches('#').trim().to_lowercase();
            let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
            found.push(kept.map(|c| if c == ' ' { '-' } else { c }).collect());
        }
    }
    found
}

/// What is wrong with a link in `file`, if anything.
fn broken(file: &Path, target: &str) -> Option<String> {
    if target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    let (path, anchor) = target.split_once('#').map_or((target, None), |(path, anchor)| (path, Some(anchor)));
    let to: PathBuf = match path {
        "" => file.to_owned(),
        path => file.parent().unwrap_or(Path::new("")).join(path),
    };
    if !tree::root().join(&to).exists() {
        return Some(format!("{}: {target} does not exist", file.display()));
    }
    let anchor = anchor.filter(|anchor| !anchors(&tree::read(&to)).iter().any(|found| found == anchor))?;
    Some(format!("{}: {} has no heading #{anchor}", file.display(), to.display()))
}

#[test]
fn links_between_documents_lead_somewhere() {
    let mut found = Vec::new();
    for file in tree::files("md") {
        let text = tree::read(&file);
        found.extend(targets(&text).into_iter().filter_map(|target| broken(&file, target)));
    }
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn links_are_found_and_judged() {
    let text = "See [a](x.md), [`b`](y.md#top) and `[c](z.md)`.\n```\n[d](w.md)\n```\n";
    assert_eq!(targets(text), ["x.md", "y.md#top"]);
    assert_eq!(
        anchors("# One Two\n```\n# no\n```\n## `nexus serve`, again"),
        ["one-two", "nexus-serve-again"]
    );
    let file = Path::new("README.md");
    assert_eq!(broken(file, "https://example.org/x"), None);
    assert_eq!(broken(file, "no-such-file.md"), Some("README.md: no-such-file.md does not exist".to_owned()));
    assert!(broken(file, "README.md#no-such-heading").is_some());
}
