//! Which of our crates may depend on which: dependencies point one way (design §2).

use std::collections::BTreeSet;

use cargo_metadata::{CargoOpt, DependencyKind, MetadataCommand};

use crate::tree;

/// Each crate and all that it may depend on. A crate that is not here fails the test.
const ALLOWED: [(&str, &[&str]); 17] = [
    ("nexus-state-resolution", &[]),
    ("nexus-event-store", &["nexus-state-resolution"]),
    ("nexus-federation", &["nexus-event-store", "nexus-state-resolution"]),
    ("nexus-views", &["nexus-event-store", "nexus-state-resolution"]),
    ("nexus-rooms", &["nexus-views", "nexus-event-store", "nexus-state-resolution"]),
    ("nexus-rate-limits", &["nexus-event-store"]),
    ("nexus-accounts", &["nexus-rate-limits", "nexus-event-store"]),
    ("nexus-media", &["nexus-event-store"]),
    ("nexus-mail", &["nexus-accounts", "nexus-event-store"]),
    ("nexus-admin", &["nexus-accounts", "nexus-media", "nexus-views", "nexus-event-store"]),
    ("nexus-api-nexus", BELOW_FACADES),
    ("nexus-api-matrix", BELOW_FACADES),
    (
        "nexus",
        &[
            "nexus-admin",
            "nexus-api-nexus",
            "nexus-api-matrix",
            "nexus-federation",
            "nexus-mail",
            "nexus-maintenance",
            "nexus-rate-limits",
            "nexus-rooms",
            "nexus-views",
            "nexus-accounts",
            "nexus-media",
            "nexus-event-store",
            "nexus-state-resolution",
        ],
    ),
    ("nexus-sim", BELOW_FACADES),
    ("nexus-maintenance", OF_ALL_TABLES),
    ("nexus-tidy", &[]),
    ("nexus-load", &[]),
];

/// What tests may use besides: the simulated world, whose crate lies above the core that they test.
const ALLOWED_IN_TESTS: [(&str, &str); 3] =
    [("nexus-maintenance", "nexus-sim"), ("nexus-event-store", "nexus-sim"), ("nexus-rooms", "nexus-sim")];

/// Whoever treats all tables alike knows every crate that owns some.
const OF_ALL_TABLES: &[&str] = &[
    "nexus-rooms",
    "nexus-views",
    "nexus-accounts",
    "nexus-media",
    "nexus-event-store",
    "nexus-state-resolution",
];

const BELOW_FACADES: &[&str] = &[
    "nexus-rooms",
    "nexus-views",
    "nexus-accounts",
    "nexus-media",
    "nexus-rate-limits",
    "nexus-event-store",
    "nexus-state-resolution",
];

/// Edges of our crates that `allowed` does not have, as sentences.
fn forbidden<'a>(
    edges: impl IntoIterator<Item = (&'a str, &'a str, DependencyKind)>,
    allowed: &[(&str, &[&str])],
) -> Vec<String> {
    let is_ours = |name: &str| name == "nexus" || name.starts_with("nexus-");
    let mut found = Vec::new();
    for (from, to, kind) in edges {
        let in_tests = kind == DependencyKind::Development && ALLOWED_IN_TESTS.contains(&(from, to));
        if !is_ours(to) || in_tests {
            continue;
        }
        match allowed.iter().find(|(name, _)| *name == from) {
            None => found.push(format!("{from} is not in the table of allowed edges")),
            Some((_, targets)) if !targets.contains(&to) => {
                found.push(format!("{from} must not depend on {to} ({kind})"));
            }
            Some(_) => {}
        }
    }
    found
}

#[test]
fn crates_depend_only_on_what_lies_below_them() {
    let metadata = MetadataCommand::new()
        .manifest_path(tree::root().join("Cargo.toml"))
        .features(CargoOpt::AllFeatures)
        .other_options(vec!["--no-deps".to_owned(), "--offline".to_owned()])
        .exec()
        .expect("run cargo metadata");
    let ours: BTreeSet<&str> = metadata.packages.iter().map(|package| package.name.as_str()).collect();
    let known: BTreeSet<&str> = ALLOWED.iter().map(|(name, _)| *name).collect();
    assert_eq!(ours, known, "the table of allowed edges and the workspace have the same crates");
    let edges = metadata.packages.iter().flat_map(|package| {
        let name = package.name.as_str();
        package.dependencies.iter().map(move |to| (name, to.name.as_str(), to.kind))
    });
    assert_eq!(forbidden(edges, &ALLOWED), Vec::<String>::new());
}

#[test]
fn a_forbidden_edge_is_found() {
    let edges = [
        ("nexus-api-nexus", "nexus-rooms", DependencyKind::Normal),
        ("nexus-api-nexus", "axum", DependencyKind::Normal),
        ("nexus-api-nexus", "nexus-api-matrix", DependencyKind::Development),
        ("nexus-event-store", "nexus-rooms", DependencyKind::Normal),
        ("nexus-event-store", "nexus-sim", DependencyKind::Development),
        ("nexus-event-store", "nexus-sim", DependencyKind::Normal),
        ("nexus-new", "nexus-rooms", DependencyKind::Normal),
    ];
    assert_eq!(
        forbidden(edges, &ALLOWED),
        [
            "nexus-api-nexus must not depend on nexus-api-matrix (dev)",
            "nexus-event-store must not depend on nexus-rooms (normal)",
            "nexus-event-store must not depend on nexus-sim (normal)",
            "nexus-new is not in the table of allowed edges",
        ]
    );
}
