//! Prints the ten longest files and functions, for a reader to judge; sizes fail nothing.

use std::cmp::Reverse;

use crate::tree;

const SHOWN: usize = 10;

/// Each function's first line and how many lines it has, judged by indentation, which rustfmt settles.
fn functions(text: &str) -> Vec<(String, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        let indent = &line[..line.len() - code.len()];
        let is_function = code.starts_with("fn ")
            || ["pub ", "pub(", "async ", "const ", "unsafe "].iter().any(|word| code.starts_with(word))
                && code.contains("fn ");
        if !is_function {
            continue;
        }
        // A trait's method without a body ends in a semicolon before any brace opens.
        let opening = lines[start..].iter().find(|line| line.ends_with(['{', ';', '}']));
        if opening.is_none_or(|line| !line.ends_with('{')) {
            continue;
        }
        let closing = format!("{indent}}}");
        if let Some(length) = lines[start..].iter().position(|line| *line == closing) {
            found.push((code.to_owned(), length + 1));
        }
    }
    found
}

#[test]
fn the_longest_files_and_functions() {
    let mut files = Vec::new();
    let mut longest = Vec::new();
    for file in tree::files("rs").into_iter().filter(|file| !tree::is_test(file)) {
        let text = tree::read(&file);
        let text = tree::production(&text);
        files.push((text.lines().count(), file.display().to_string()));
        longest.extend(
            functions(text).into_iter().map(|(name, lines)| (lines, format!("{}: {name}", file.display()))),
        );
    }
    for (what, mut sizes) in [("files", files), ("functions", longest)] {
        sizes.sort_by_key(|(lines, _)| Reverse(*lines));
        println!("the longest {what}, in lines:");
        for (lines, name) in sizes.iter().take(SHOWN) {
            println!("{lines:6}  {name}");
        }
    }
}

#[test]
fn functions_are_measured() {
    let text = "fn t(&self);\nfn o() {}\nfn a() {\n    1\n}\nimpl X {\n    pub(crate) async fn b(\n    ) {\n    }\n}\n";
    assert_eq!(functions(text), [("fn a() {".to_owned(), 3), ("pub(crate) async fn b(".to_owned(), 3)]);
    assert_eq!(tree::production("x\n#[cfg(test)]\nmod tests;"), "x\n");
}
