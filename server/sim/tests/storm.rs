//! Storms from fixed seeds, each run twice; and many small ones.

use nexus_sim::storm::{Storm, run};

/// The storm that the real server also has to pass over sockets: 50 clients, 20 channels, 10,000 sends,
/// ten kills.
#[test]
fn the_same_seed_gives_the_same_trace_hash() {
    let storm = Storm { clients: 50, channels: 20, messages: 10_000, kills: 10 };
    let first = run(1, storm).unwrap();
    let second = run(1, storm).unwrap();
    assert_eq!(first, second);
    assert_eq!(first.acknowledged, 10_000);
    let other = run(2, Storm { messages: 1_000, ..storm }).unwrap();
    assert_ne!(first.trace, other.trace);
}

#[test]
fn nothing_acknowledged_is_lost_whenever_the_kill_comes() {
    for seed in 100..120 {
        let storm = Storm { clients: 8, channels: 3, messages: 160, kills: 6 };
        let outcome = run(seed, storm).unwrap();
        assert_eq!(outcome.acknowledged, 160, "seed {seed}");
    }
}
