//! The server's Ed25519 signing key, with which every event made here is signed.
//!
//! **Shapes**: one line in `signing.key`, as Synapse writes it: `ed25519 a_XXXX SEED`, where `a_XXXX` is
//! the key's version and `SEED` its 32 bytes in unpadded base64. Mode 0600.
//! **Errors**: [`KeyError`] names the file and what is wrong with it, and never shows what it holds.
//! **Invariant**: the file appears whole or not at all, and an existing one is never overwritten.
//! **Source**: Matrix specification, appendices, "Signing JSON"; RFC 8032, RFC 8410 for the DER form.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use base64::{
    Engine as _,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use nexus_event_store::world::Random;
use nexus_state_resolution::Signer;
use ruma::{OwnedServerName, ServerName, signatures::Ed25519KeyPair};

const SEED_BYTES: usize = 32;
/// The largest file that could be a key; a larger one is something else.
const FILE_BYTES_MAX: u64 = 4096;
/// Others' access bits; none may be set.
const MODE_OF_OTHERS: u32 = 0o077;
/// A PKCS#8 version 1 document up to its last 32 bytes, which are the seed (RFC 8410, section 7).
const PKCS8_PREFIX: [u8; 16] = *b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20";
/// Written without padding; read with or without, and as Python reads it, ignoring bits past the end.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
/// Seeds that are printed in specifications and test suites: anybody can sign with them.
const PUBLISHED_SEEDS: [&str; 5] = [
    "YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA1", // Matrix specification, test vectors
    "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A", // RFC 8032, test 1
    "TM0Imyj/ltqdtsNG7BFOD1uKMZ81q6Yk2oz27U+4pvs", // RFC 8032, test 2
    "xaqN9D+fg3vtt0QvMdy3sWbThTUHbwlLhc46LgtEWPc", // RFC 8032, test 3
    "9eV2fPFTMZUXYw8iaHa4bIFgzFg7wBN0TGvyVfXMDuU", // RFC 8032, test 1024
];

/// A key file that cannot be used, or could not be made.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}", file.display())]
pub struct KeyError {
    file: PathBuf,
    problem: KeyProblem,
}

/// What is wrong with a key file.
#[derive(Debug, thiserror::Error)]
pub enum KeyProblem {
    /// The file system refused.
    #[error("{action} the signing key: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// It is a folder, a device or far too large.
    #[error("is not a signing key file")]
    NotAKeyFile,
    /// Others may read or write it.
    #[error("is open to other users (mode {mode:04o}); make it private with chmod 600")]
    OpenToOthers {
        /// The permission bits found.
        mode: u32,
    },
    /// Not `ed25519 a_XXXX SEED`.
    #[error("is not a signing key: it should hold one line, \"ed25519 a_XXXX SEED\"")]
    Malformed,
    /// The seed has a pattern or is published, so it protects nothing.
    #[error("holds a well-known key that anybody could sign with; restore the real one")]
    WellKnown,
}

/// The name and the signing key of this server.
#[derive(Debug)]
pub struct ServerKeys {
    server_name: OwnedServerName,
    pair: Ed25519KeyPair,
}

impl ServerKeys {
    /// Reads the key from `file`; `None` if there is no such file.
    pub fn load(file: &Path, server_name: &ServerName) -> Result<Option<Self>, KeyError> {
        let result = read(file).and_then(|line| line.map(|line| parse(&line)).transpose());
        match result {
            Ok(pair) => Ok(pair.map(|pair| Self { server_name: server_name.to_owned(), pair })),
            Err(problem) => Err(KeyError { file: file.to_owned(), problem }),
        }
    }

    /// Makes a new key from `random` and writes it to `file`, which must not exist.
    pub fn create(file: &Path, server_name: &ServerName, random: &dyn Random) -> Result<Self, KeyError> {
        let mut seed = [0; SEED_BYTES];
        random.fill(&mut seed);
        let mut version = [0; 4];
        random.fill(&mut version);
        let version: String = version
            .iter()
            .map(|byte| char::from(b"abcdefghijklmnopqrstuvwxyzABCDEF"[usize::from(byte % 32)]))
            .collect();
        let line = format!("ed25519 a_{version} {}\n", BASE64.encode(seed));
        let made = parse(&line).and_then(|pair| write(file, &line).map(|()| pair));
        match made {
            Ok(pair) => Ok(Self { server_name: server_name.to_owned(), pair }),
            Err(problem) => Err(KeyError { file: file.to_owned(), problem }),
        }
    }

    /// The key's id as other servers see it, such as `ed25519:a_Xyzw`.
    pub fn key_id(&self) -> String {
        format!("ed25519:{}", self.pair.version())
    }

    /// The key with which others verify, in unpadded base64.
    pub fn public_key(&self) -> String {
        BASE64.encode(self.pair.public_key())
    }
}

impl Signer for ServerKeys {
    fn server_name(&self) -> &ServerName {
        &self.server_name
    }

    fn key_pair(&self) -> &Ed25519KeyPair {
        &self.pair
    }
}

fn io(action: &'static str) -> impl Fn(io::Error) -> KeyProblem {
    move |source| KeyProblem::Io { action, source }
}

fn read(file: &Path) -> Result<Option<String>, KeyProblem> {
    let found = match fs::metadata(file) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        found => found.map_err(io("read"))?,
    };
    if !found.is_file() || found.len() > FILE_BYTES_MAX {
        return Err(KeyProblem::NotAKeyFile);
    }
    let mode = found.mode() & 0o777;
    if mode & MODE_OF_OTHERS != 0 {
        return Err(KeyProblem::OpenToOthers { mode });
    }
    match fs::read_to_string(file) {
        Err(error) if error.kind() == ErrorKind::InvalidData => Err(KeyProblem::Malformed),
        text => text.map(Some).map_err(io("read")),
    }
}

fn parse(text: &str) -> Result<Ed25519KeyPair, KeyProblem> {
    let mut words = text.split_whitespace();
    let (Some("ed25519"), Some(version), Some(seed), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(KeyProblem::Malformed);
    };
    let version_ok = version.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let seed: [u8; SEED_BYTES] =
        BASE64.decode(seed).ok().and_then(|seed| seed.try_into().ok()).ok_or(KeyProblem::Malformed)?;
    if !version_ok {
        return Err(KeyProblem::Malformed);
    }
    if is_well_known(&seed) {
        return Err(KeyProblem::WellKnown);
    }
    let document = [&PKCS8_PREFIX[..], &seed].concat();
    Ed25519KeyPair::from_der(&document, version.to_owned()).map_err(|_| KeyProblem::Malformed)
}

/// Published seeds, and those that fewer than 8 different bytes make up, such as all zeros.
fn is_well_known(seed: &[u8; SEED_BYTES]) -> bool {
    let mut bytes = *seed;
    bytes.sort_unstable();
    let different = bytes.chunk_by(|a, b| a == b).count();
    let counts_up = seed.windows(2).all(|pair| pair[1] == pair[0].wrapping_add(1));
    let published = PUBLISHED_SEEDS.iter().any(|known| BASE64.decode(known).is_ok_and(|known| known == seed));
    different < 8 || counts_up || published
}

/// Writes beside `file`, syncs, then gives it its name, which fails where the name is taken.
fn write(file: &Path, line: &str) -> Result<(), KeyProblem> {
    let unfinished = file.with_extension("key.new");
    let folder = file.parent().unwrap_or(Path::new("."));
    let written = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&unfinished)
        .and_then(|mut out| out.write_all(line.as_bytes()).and_then(|()| out.sync_all()))
        .and_then(|()| fs::hard_link(&unfinished, file));
    let removed = fs::remove_file(&unfinished);
    written.and(removed).and_then(|()| File::open(folder)?.sync_all()).map_err(io("write"))
}

#[cfg(test)]
mod tests;
