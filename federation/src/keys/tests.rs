//! Key files that are made, read back, and refused.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use expect_test::{Expect, expect};
use nexus_event_store::world::Random;
use ruma::{server_name, signatures::KeyPair as _};

use super::*;

/// Counts up in steps, so that each fill differs and is no pattern.
struct Steps(std::sync::atomic::AtomicU64);

impl Random for Steps {
    fn fill(&self, bytes: &mut [u8]) {
        for byte in bytes {
            let n = self.0.fetch_add(0x9E37_79B9_7F4A_7C15, std::sync::atomic::Ordering::Relaxed);
            *byte = (n >> 56) as u8;
        }
    }
}

struct Zeros;

impl Random for Zeros {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(0);
    }
}

fn write_key(folder: &Path, text: &[u8], mode: u32) -> PathBuf {
    let file = folder.join("signing.key");
    fs::write(&file, text).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
    file
}

fn check_refused(text: &[u8], mode: u32, expected: Expect) {
    let folder = tempfile::tempdir().unwrap();
    let file = write_key(folder.path(), text, mode);
    let error = ServerKeys::load(&file, server_name!("localhost")).unwrap_err().to_string();
    expected.assert_eq(&error.replace(folder.path().to_str().unwrap(), "DIR"));
}

#[test]
fn a_made_key_is_private_and_reads_back_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("signing.key");
    let name = server_name!("localhost");
    let made = ServerKeys::create(&file, name, &Steps(1.into())).unwrap();
    let read = ServerKeys::load(&file, name).unwrap().unwrap();
    assert_eq!((made.key_id(), made.public_key()), (read.key_id(), read.public_key()));
    assert_eq!(made.pair.sign(b"x").base64(), read.pair.sign(b"x").base64());
    assert_eq!(read.server_name(), name);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left");
    assert!(made.key_id().starts_with("ed25519:a_"));
}

#[test]
fn an_existing_key_is_never_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let file = write_key(folder.path(), b"precious", 0o600);
    assert!(ServerKeys::create(&file, server_name!("localhost"), &Steps(1.into())).is_err());
    assert_eq!(fs::read(&file).unwrap(), b"precious");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_missing_key_is_no_error() {
    let folder = tempfile::tempdir().unwrap();
    assert!(
        ServerKeys::load(&folder.path().join("signing.key"), server_name!("localhost")).unwrap().is_none()
    );
}

#[test]
fn broken_randomness_makes_no_key() {
    let folder = tempfile::tempdir().unwrap();
    assert!(
        ServerKeys::create(&folder.path().join("signing.key"), server_name!("localhost"), &Zeros).is_err()
    );
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn the_seed_gives_the_public_key_of_its_author() {
    // RFC 8032, section 7.1, test 1; the seed itself is refused as a server's key.
    let seed: [u8; 32] = BASE64.decode(PUBLISHED_SEEDS[1]).unwrap().try_into().unwrap();
    let pair = Ed25519KeyPair::from_der(&[&PKCS8_PREFIX[..], &seed].concat(), "1".to_owned()).unwrap();
    assert_eq!(BASE64.encode(pair.public_key()), "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo");
}

#[test]
fn wrong_key_files_are_refused_by_name() {
    let good = b"ed25519 a_Abcd n2Fxnu/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A\n";
    check_refused(
        good,
        0o644,
        expect!["DIR/signing.key: is open to other users (mode 0644); make it private with chmod 600"],
    );
    check_refused(
        good,
        0o620,
        expect!["DIR/signing.key: is open to other users (mode 0620); make it private with chmod 600"],
    );
    check_refused(
        b"",
        0o600,
        expect![[r#"DIR/signing.key: is not a signing key: it should hold one line, "ed25519 a_XXXX SEED""#]],
    );
    check_refused(
        b"\xff\xfe",
        0o600,
        expect![[r#"DIR/signing.key: is not a signing key: it should hold one line, "ed25519 a_XXXX SEED""#]],
    );
    check_refused(
        b"-----BEGIN PRIVATE KEY-----",
        0o600,
        expect![[r#"DIR/signing.key: is not a signing key: it should hold one line, "ed25519 a_XXXX SEED""#]],
    );
    check_refused(
        b"ed25519 a:b n2Fxnu/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
        0o600,
        expect![[r#"DIR/signing.key: is not a signing key: it should hold one line, "ed25519 a_XXXX SEED""#]],
    );
    check_refused(
        b"ed25519 a_Abcd dG9vIHNob3J0",
        0o600,
        expect![[r#"DIR/signing.key: is not a signing key: it should hold one line, "ed25519 a_XXXX SEED""#]],
    );
    check_refused(&[b'x'; 5000], 0o600, expect!["DIR/signing.key: is not a signing key file"]);
    check_refused(
        format!("ed25519 a_1 {}", BASE64.encode([0; 32])).as_bytes(),
        0o600,
        expect!["DIR/signing.key: holds a well-known key that anybody could sign with; restore the real one"],
    );
}

#[test]
fn every_published_seed_is_refused() {
    for seed in PUBLISHED_SEEDS {
        assert!(BASE64.decode(seed).is_ok_and(|seed| seed.len() == SEED_BYTES), "{seed}");
        assert!(matches!(parse(&format!("ed25519 a_1 {seed}")), Err(KeyProblem::WellKnown)), "{seed}");
    }
    let counting: Vec<u8> = (1..=32).collect();
    let line = format!("ed25519 a_1 {}", BASE64.encode(counting));
    assert!(matches!(parse(&line), Err(KeyProblem::WellKnown)));
}
