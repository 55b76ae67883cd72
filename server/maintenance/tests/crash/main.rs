//! The crash suite: a server without facades, on a real disk, is killed with SIGKILL at random moments while
//! commands of every kind are under way, over and over.
//!
//! Oracles, after each kill: what was acknowledged is there; no command is there by half; the store opens. Every
//! so often and at the end: the whole store verifies, jobs that were interrupted are resumed. `NEXUS_CRASHES`
//! says how many kills (`make soak` asks for thousands), `NEXUS_CRASH_SEED` repeats the moments of a run.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests of the real world")]

use std::{
    env,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Command, Stdio},
    sync::mpsc,
    time::Duration,
};

mod child;
mod oracle;
#[path = "../maintenance/world.rs"]
#[allow(dead_code, reason = "each suite uses its part of it")]
mod world;

/// What tells this program that it is the one to be killed, and where its store is.
const CHILD: &str = "NEXUS_CRASH_CHILD";
/// Which start of the store it is.
const RUN: &str = "NEXUS_CRASH_RUN";

const CRASHES: u64 = 200;
/// After so many kills the whole store is verified.
const VERIFY_EVERY: u64 = 50;

/// A small generator: which moments a run hits is decided by its seed alone, as far as threads allow.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// Starts the child, kills it after some acknowledgements and a moment, and gives what it acknowledged.
fn run_and_kill(folder: &Path, run: u64, dice: &mut Dice) -> Vec<String> {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["the_child_that_is_killed", "--exact", "--nocapture", "--test-threads=1"])
        .env(CHILD, folder)
        .env(RUN, run.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (lines, acknowledged) = mpsc::channel();
    let out = BufReader::new(child.stdout.take().unwrap());
    let reader = std::thread::spawn(move || {
        for line in out.lines().map_while(Result::ok) {
            // The test harness says things of its own on the same line or others.
            if let Some(at) = line.find("ack ") {
                drop(lines.send(line[at..].to_owned()));
            }
        }
    });
    let wanted = dice.below(60);
    let mut seen = Vec::new();
    while (seen.len() as u64) < wanted {
        match acknowledged.recv_timeout(Duration::from_secs(60)) {
            Ok(line) => seen.push(line),
            Err(_) => break,
        }
    }
    std::thread::sleep(Duration::from_micros(dice.below(8000)));
    let ended = child.try_wait().unwrap();
    child.kill().unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(ended.is_none(), "it ended by itself: {}", String::from_utf8_lossy(&output.stderr));
    reader.join().unwrap();
    // Whatever it managed to say before the kill counts too.
    seen.extend(acknowledged.try_iter());
    seen
}

#[test]
fn killed_at_any_moment_it_keeps_what_it_acknowledged() {
    let crashes = env::var("NEXUS_CRASHES").map_or(CRASHES, |text| text.parse().unwrap());
    let clock = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let seed = env::var("NEXUS_CRASH_SEED").map_or(clock.as_micros() as u64, |text| text.parse().unwrap());
    println!("NEXUS_CRASH_SEED={seed}");
    let mut dice = Dice(seed | 1);
    let folder = tempfile::tempdir().unwrap();
    let (mut acknowledged, mut kinds) = (0, std::collections::BTreeMap::<String, u64>::new());
    for run in 0..crashes {
        let acks = run_and_kill(folder.path(), run, &mut dice);
        for ack in &acks {
            *kinds.entry(ack.split(' ').nth(1).unwrap_or_default().to_owned()).or_default() += 1;
        }
        acknowledged += acks.len();
        let whole = run % VERIFY_EVERY == VERIFY_EVERY - 1 || run + 1 == crashes;
        oracle::check(folder.path(), &acks, whole);
    }
    println!("{crashes} kills, {acknowledged} acknowledged commands: {kinds:?}");
    assert!(acknowledged as u64 > crashes * 5, "it hardly did anything: {acknowledged}");
    assert!(kinds.len() >= 8, "commands of every kind: {kinds:?}");
}

#[test]
fn the_child_that_is_killed() {
    // Without a folder this is not the child, and there is nothing to test.
    let Some(folder) = env::var_os(CHILD) else { return };
    child::live_until_killed(Path::new(&folder), env::var(RUN).unwrap().parse().unwrap());
}
