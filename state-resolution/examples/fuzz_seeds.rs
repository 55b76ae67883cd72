//! Writes what the fuzz targets start from: `fuzz_seeds FOLDER` makes a folder for each target in it.
#![allow(clippy::unwrap_used, reason = "a program for scripts/fuzz, which stops when it does")]

#[path = "../tests/support/mod.rs"]
mod support;

use std::{fs, path::PathBuf};

fn main() {
    let folder = PathBuf::from(std::env::args().nth(1).unwrap());
    let samples = support::doors::samples();
    let write = |target: &str, number: usize, bytes: &[u8]| {
        let folder = folder.join(target);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(format!("sample-{number}")), bytes).unwrap();
    };
    for (number, sample) in samples.iter().enumerate() {
        let versioned = [&[u8::try_from(number % 12).unwrap()], &sample[..]].concat();
        write("json", number, sample);
        write("keys", number, sample);
        write("event", number, &versioned);
    }
    for (number, lines) in samples[1..].chunks(10).enumerate() {
        let lines = [&[u8::try_from(number % 12).unwrap()], &lines.join(&b'\n')[..]].concat();
        write("rules", number, &lines);
        // Histories are drawn from any bytes.
        write("history", number, &lines[..lines.len().min(400)]);
    }
}
