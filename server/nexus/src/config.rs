//! The operator's configuration (design §6): every key, its type and its default.
//!
//! **Shapes**: TOML in `nexus.toml`, one struct a section. [`load`] reads the file and lays the
//! `NEXUS_*` environment over it; what comes out is parsed and valid, with absolute paths.
//! **Errors**: one line that names the file or variable and the key.
//! **Invariant**: `Config::default()` holds every key, so it is also the list of known keys.

use std::{
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use nexus_state_resolution::RoomVersion;
use ruma::{OwnedServerName, owned_server_name};
use serde::{Deserialize, Serialize};

mod load;
mod values;

pub(crate) use load::{Loaded, load, load_beside};
pub(crate) use values::{ListenAddress, Network, PublicUrl, Secret};

/// The whole file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    pub(crate) server_name: OwnedServerName,
    pub(crate) data_dir: PathBuf,
    pub(crate) http: Http,
    pub(crate) federation: Federation,
    pub(crate) outgoing: Outgoing,
    pub(crate) rooms: Rooms,
    pub(crate) registration: Registration,
    pub(crate) accounts: Accounts,
    pub(crate) directory: Directory,
    pub(crate) media: Media,
    pub(crate) search: Search,
    pub(crate) email: Email,
    pub(crate) appservices: Appservices,
    pub(crate) rate_limits: RateLimits,
    pub(crate) log: Log,
}

/// `[http]`: every API in clear text, for a reverse proxy or localhost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Http {
    pub(crate) listen: SocketAddr,
    pub(crate) public_url: PublicUrl,
    pub(crate) trusted_proxies: Vec<Network>,
}

/// `[federation]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Federation {
    pub(crate) enabled: bool,
    pub(crate) listen: ListenAddress,
    pub(crate) tls_certificate: PathBuf,
    pub(crate) tls_private_key: PathBuf,
}

/// `[outgoing]`: every request the server makes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Outgoing {
    pub(crate) allow_private_addresses: bool,
    pub(crate) verify_tls: bool,
    pub(crate) trusted_ca: Vec<PathBuf>,
}

/// `[rooms]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Rooms {
    #[serde(deserialize_with = "values::room_version")]
    pub(crate) default_version: RoomVersion,
}

/// `[registration]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Registration {
    pub(crate) mode: RegistrationMode,
    pub(crate) allow_guests: bool,
    pub(crate) shared_secret: Secret,
}

/// Who may make an account. The first account is the admin and needs no invite.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RegistrationMode {
    Open,
    #[default]
    Invite,
    Closed,
}

/// `[accounts]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Accounts {
    pub(crate) password_hash: PasswordHash,
}

/// The strength of argon2id; `minimum` is for tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum PasswordHash {
    #[default]
    Owasp,
    Minimum,
}

/// `[directory]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Directory {
    pub(crate) public_without_login: bool,
}

/// `[media]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Media {
    pub(crate) url_previews: bool,
    pub(crate) upload_bytes_max: u64,
    pub(crate) s3: S3,
}

/// `[media.s3]`: where files are kept; the data folder while `bucket` is empty.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct S3 {
    pub(crate) bucket: String,
    pub(crate) endpoint: PublicUrl,
    pub(crate) region: String,
    pub(crate) access_key_id: String,
    pub(crate) secret_access_key: Secret,
}

/// `[search]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Search {
    /// A Meilisearch server; empty means the embedded index.
    pub(crate) url: PublicUrl,
}

/// `[email]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Email {
    /// Holds a password, hence a secret.
    pub(crate) smtp_url: Secret,
    pub(crate) from: String,
}

/// `[appservices]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Appservices {
    pub(crate) registration_files: Vec<PathBuf>,
}

/// `[rate_limits]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RateLimits {
    pub(crate) enabled: bool,
}

/// `[log]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Log {
    pub(crate) level: LogLevel,
    pub(crate) format: LogFormat,
}

/// How much is logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogLevel {
    Error,
    Warn,
    #[default]
    Info,
    Debug,
    Trace,
}

/// One log line as prose or as a JSON object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    #[default]
    Text,
    Json,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            server_name: owned_server_name!("localhost"),
            data_dir: "nexus-data".into(),
            http: Http::default(),
            federation: Federation::default(),
            outgoing: Outgoing::default(),
            rooms: Rooms::default(),
            registration: Registration::default(),
            accounts: Accounts::default(),
            directory: Directory::default(),
            media: Media::default(),
            search: Search::default(),
            email: Email::default(),
            appservices: Appservices::default(),
            rate_limits: RateLimits::default(),
            log: Log::default(),
        }
    }
}

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            public_url: PublicUrl::default(),
            trusted_proxies: Vec::new(),
        }
    }
}

impl Default for Federation {
    fn default() -> Self {
        Self {
            enabled: true,
            listen: ListenAddress::default(),
            tls_certificate: "cert.pem".into(),
            tls_private_key: "key.pem".into(),
        }
    }
}

impl Default for Outgoing {
    fn default() -> Self {
        Self { allow_private_addresses: false, verify_tls: true, trusted_ca: Vec::new() }
    }
}

impl Default for Rooms {
    fn default() -> Self {
        Self { default_version: RoomVersion::V12 }
    }
}

impl Default for Media {
    fn default() -> Self {
        Self { url_previews: true, upload_bytes_max: 100 << 20, s3: S3::default() }
    }
}

impl Default for S3 {
    fn default() -> Self {
        Self {
            bucket: String::new(),
            endpoint: PublicUrl::default(),
            region: "us-east-1".to_owned(),
            access_key_id: String::new(),
            secret_access_key: Secret::default(),
        }
    }
}

impl Default for Email {
    fn default() -> Self {
        Self { smtp_url: Secret::default(), from: "nexus@localhost".to_owned() }
    }
}

impl Default for RateLimits {
    fn default() -> Self {
        Self { enabled: true }
    }
}

impl fmt::Display for LogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        })
    }
}

impl Config {
    /// `--lite`: the embedded back ends, whatever the file says.
    pub(crate) fn force_embedded(&mut self) {
        self.search.url = PublicUrl::default();
        self.media.s3.bucket = String::new();
    }

    /// The address clients use: the one given, or that of `listen` on this machine.
    pub(crate) fn public_url(&self, bound: SocketAddr) -> PublicUrl {
        if self.http.public_url.is_empty() {
            PublicUrl::on_this_machine(bound)
        } else {
            self.http.public_url.clone()
        }
    }

    /// Keys that are set to something this version does not act on yet, for a warning at start.
    pub(crate) fn without_effect(&self) -> Vec<&'static str> {
        let set = [
            ("federation.listen", self.federation.listen.is_set()),
            ("registration.allow_guests", self.registration.allow_guests),
            ("search.url", !self.search.url.is_empty()),
            ("appservices.registration_files", !self.appservices.registration_files.is_empty()),
        ];
        set.into_iter().filter(|(_, set)| *set).map(|(key, _)| key).collect()
    }

    /// Makes every path relative to `folder`, the config file's.
    fn resolve_paths(&mut self, folder: &Path) {
        let single =
            [&mut self.data_dir, &mut self.federation.tls_certificate, &mut self.federation.tls_private_key];
        let lists = self.outgoing.trusted_ca.iter_mut().chain(&mut self.appservices.registration_files);
        for path in single.into_iter().chain(lists) {
            *path = folder.join(&*path);
        }
    }
}
