//! The address a request really comes from.
//!
//! **Invariant**: `X-Forwarded-For` counts only as far as trusted proxies wrote it. Each proxy appends
//! whom it heard from, so the list is read from its end until it names someone untrusted.

use std::net::{IpAddr, SocketAddr};

use hyper::HeaderMap;

use crate::config::Network;

/// Entries looked at; a longer chain of proxies is somebody's invention.
const ENTRIES_MAX: usize = 16;

/// The client's address. Its port is 0 when a proxy told it.
pub(super) fn of_client(peer: SocketAddr, headers: &HeaderMap, trusted: &[Network]) -> SocketAddr {
    let is_trusted = |ip: IpAddr| trusted.iter().any(|network| network.contains(ip));
    let mut client = peer;
    let lines = headers.get_all("x-forwarded-for").iter().rev();
    let entries = lines.flat_map(|line| line.to_str().unwrap_or_default().rsplit(','));
    for entry in entries.take(ENTRIES_MAX) {
        if !is_trusted(client.ip()) {
            break;
        }
        let Ok(ip) = entry.trim().parse::<IpAddr>() else { break };
        client = SocketAddr::new(ip, 0);
    }
    client
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(peer: &str, forwarded: &[&str], trusted: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for line in forwarded {
            headers.append("x-forwarded-for", line.parse().unwrap());
        }
        let trusted: Vec<Network> =
            trusted.iter().map(|network| Network::try_from((*network).to_owned()).unwrap()).collect();
        of_client(peer.parse().unwrap(), &headers, &trusted).ip().to_string()
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        assert_eq!(client("192.0.2.1:5", &["10.1.1.1"], &[]), "192.0.2.1");
        assert_eq!(client("127.0.0.1:5", &["192.0.2.9"], &["127.0.0.0/8"]), "192.0.2.9");
        // The client wrote the first entry itself.
        assert_eq!(client("127.0.0.1:5", &["1.1.1.1, 192.0.2.9"], &["127.0.0.1"]), "192.0.2.9");
        let chain = ["1.1.1.1, 192.0.2.9", "10.0.0.7"];
        assert_eq!(client("127.0.0.1:5", &chain, &["127.0.0.1", "10.0.0.0/8"]), "192.0.2.9");
        assert_eq!(client("127.0.0.1:5", &["rubbish"], &["127.0.0.1"]), "127.0.0.1");
        assert_eq!(client("127.0.0.1:5", &[], &["127.0.0.1"]), "127.0.0.1");
    }
}
