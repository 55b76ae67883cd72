//! Values of configuration keys that TOML has no type for, each checked when it is read.
//!
//! **Shapes**: strings in TOML. **Errors**: say what is wrong with the value; the caller adds the key.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
};

use axum::http::Uri;
use nexus_state_resolution::RoomVersion;
use serde::{Deserialize, Deserializer, Serialize, de};

/// An `http://` or `https://` address without a trailing slash; empty where none was given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct PublicUrl(String);

impl PublicUrl {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// What a browser on this machine types to reach `bound`.
    pub(crate) fn on_this_machine(bound: SocketAddr) -> Self {
        let host = match bound.ip() {
            ip if ip.is_loopback() || ip.is_unspecified() => "localhost".to_owned(),
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("[{ip}]"),
        };
        Self(format!("http://{host}:{}", bound.port()))
    }
}

impl TryFrom<String> for PublicUrl {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let bad = |why: &str| Err(format!("\"{text}\" {why}"));
        let Ok(uri) = text.parse::<Uri>() else { return bad("is not a URL") };
        if !matches!(uri.scheme_str(), Some("http" | "https")) {
            return bad("does not begin with http:// or https://");
        }
        if uri.authority().is_none_or(|authority| authority.as_str().contains('@')) {
            return bad("must name a host and no user");
        }
        if uri.query().is_some() || text.contains('#') {
            return bad("must not have a query or a fragment");
        }
        Ok(Self(text.trim_end_matches('/').to_owned()))
    }
}

/// An address to listen on; empty means not to listen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct ListenAddress(Option<SocketAddr>);

impl ListenAddress {
    pub(crate) fn is_set(self) -> bool {
        self.0.is_some()
    }
}

impl TryFrom<String> for ListenAddress {
    type Error = std::net::AddrParseError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text.is_empty() { Ok(Self(None)) } else { text.parse().map(|address| Self(Some(address))) }
    }
}

impl From<ListenAddress> for String {
    fn from(address: ListenAddress) -> Self {
        address.0.map(|address| address.to_string()).unwrap_or_default()
    }
}

/// One address or a range of them (`10.0.0.0/8`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Network {
    address: IpAddr,
    prefix_bits: u8,
}

impl Network {
    /// Whether `ip` lies in the range. An IPv4 address in IPv6 clothes counts as the IPv4 address.
    pub(crate) fn contains(self, ip: IpAddr) -> bool {
        match (self.address, ip.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let shift = 32 - u32::from(self.prefix_bits);
                own.to_bits().checked_shr(shift) == other.to_bits().checked_shr(shift)
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let shift = 128 - u32::from(self.prefix_bits);
                own.to_bits().checked_shr(shift) == other.to_bits().checked_shr(shift)
            }
            _ => false,
        }
    }
}

impl TryFrom<String> for Network {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let bad = || format!("\"{text}\" is neither an IP address nor a range such as 10.0.0.0/8");
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text.as_str(), None),
        };
        let address: IpAddr = address.parse().map_err(|_| bad())?;
        let bits_max = if address.is_ipv4() { 32 } else { 128 };
        let prefix_bits = prefix.map_or(Ok(bits_max), |prefix| prefix.parse().map_err(|_| bad()))?;
        if prefix_bits > bits_max { Err(bad()) } else { Ok(Self { address, prefix_bits }) }
    }
}

impl From<Network> for String {
    fn from(network: Network) -> Self {
        format!("{}/{}", network.address, network.prefix_bits)
    }
}

/// A value that never appears in a log or an error.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Secret(String);

/// Samples out of manuals and images, letters and digits only.
const WELL_KNOWN_SECRETS: [&str; 18] = [
    "changeit",
    "changeme",
    "changethis",
    "default",
    "example",
    "mysecret",
    "password",
    "pleasechangeme",
    "registrationsharedsecret",
    "replaceme",
    "replacethis",
    "secret",
    "sharedsecret",
    "supersecret",
    "verysecret",
    "yourregistrationsharedsecret",
    "yoursecret",
    "yoursharedsecret",
];

impl Secret {
    /// The value itself, for what needs it.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it is one that documents and examples show: everybody knows it.
    pub(crate) fn is_well_known(&self) -> bool {
        let plain = self.0.trim().to_lowercase();
        let plain: String = plain.chars().filter(char::is_ascii_alphanumeric).collect();
        !self.0.is_empty() && (plain.is_empty() || WELL_KNOWN_SECRETS.contains(&plain.as_str()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "(empty)" } else { "(hidden)" })
    }
}

/// A room version whose rules this server has.
pub(super) fn room_version<'de, D: Deserializer<'de>>(deserializer: D) -> Result<RoomVersion, D::Error> {
    let text = String::deserialize(deserializer)?;
    RoomVersion::parse(&text).ok_or_else(|| {
        let known = RoomVersion::ALL.map(RoomVersion::as_str).join(", ");
        de::Error::custom(format!("room version \"{text}\" is not one of {known}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attack_49_secrets_out_of_manuals_are_known() {
        let known = |text: &str| Secret(text.to_owned()).is_well_known();
        for sample in ["changeme", "Change-Me!", "YOUR_REGISTRATION_SHARED_SECRET", "<secret>", " ", "..."] {
            assert!(known(sample), "{sample:?}");
        }
        assert!(!known("") && !known("complement") && !known("n7#kQ0z_secret"));
    }

    #[test]
    fn public_url_is_checked_and_loses_its_slash() {
        let parse = |text: &str| PublicUrl::try_from(text.to_owned());
        assert_eq!(parse("https://chat.example.org/").unwrap().as_str(), "https://chat.example.org");
        assert!(parse("").unwrap().is_empty());
        for bad in ["localhost:8080", "ftp://x", "http://u:p@x", "http://x?y", "http://x#y", "http://", "h p"]
        {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_url_of_this_machine_says_localhost() {
        let url = |address: &str| PublicUrl::on_this_machine(address.parse().unwrap()).0;
        assert_eq!(url("0.0.0.0:80"), "http://localhost:80");
        assert_eq!(url("[::1]:81"), "http://localhost:81");
        assert_eq!(url("192.0.2.1:82"), "http://192.0.2.1:82");
        assert_eq!(url("[2001:db8::1]:83"), "http://[2001:db8::1]:83");
    }

    #[test]
    fn networks_contain_their_addresses() {
        let contains = |network: &str, ip: &str| {
            Network::try_from(network.to_owned()).unwrap().contains(ip.parse().unwrap())
        };
        assert!(contains("127.0.0.1", "127.0.0.1") && !contains("127.0.0.1", "127.0.0.2"));
        assert!(contains("10.0.0.0/8", "10.9.9.9") && !contains("10.0.0.0/8", "11.0.0.0"));
        assert!(contains("10.0.0.0/8", "::ffff:10.1.1.1"));
        assert!(contains("0.0.0.0/0", "8.8.8.8") && !contains("0.0.0.0/0", "::1"));
        assert!(contains("2001:db8::/32", "2001:db8:1::1") && !contains("2001:db8::/32", "2001:db9::"));
        for bad in ["", "10.0.0.0/33", "::1/129", "10.0.0.0/", "10.0.0.0/-1", "example.org"] {
            assert!(Network::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }

    #[test]
    fn secrets_stay_out_of_debug_output() {
        assert!(!format!("{:?}", Secret("hunter2".to_owned())).contains("hunter2"));
    }
}
