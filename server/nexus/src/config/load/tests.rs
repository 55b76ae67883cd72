//! What a configuration file and the environment can say, and how a mistake is reported.

use std::path::Path;

use expect_test::{Expect, expect};

use super::{Loaded, load};
use crate::config::{Config, LogFormat, RegistrationMode};

fn load_text(text: &str, environment: &[(&str, &str)]) -> anyhow::Result<Loaded> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("nexus.toml");
    std::fs::write(&file, text).unwrap();
    load(&file, environment.iter().map(|(name, value)| ((*name).into(), (*value).into())))
        .map_err(|error| anyhow::anyhow!(error.to_string().replace(folder.path().to_str().unwrap(), "DIR")))
}

fn check_error(text: &str, environment: &[(&str, &str)], expected: Expect) {
    let error = load_text(text, environment).unwrap_err().to_string();
    assert!(!error.contains('\n'), "more than one line: {error}");
    expected.assert_eq(&error);
}

#[test]
fn an_empty_file_gives_the_defaults() {
    let loaded = load_text("", &[]).unwrap();
    assert_eq!(loaded.as_written, Config::default());
    assert!(loaded.file_exists && loaded.warnings.is_empty());
}

#[test]
fn a_missing_file_gives_the_defaults_and_is_not_made() {
    let folder = tempfile::tempdir().unwrap();
    let loaded = load(&folder.path().join("nexus.toml"), []).unwrap();
    assert!(!loaded.file_exists);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn the_environment_wins_over_the_file() {
    let loaded = load_text(
        "[http]\nlisten = \"127.0.0.1:1\"\n[log]\nformat = \"text\"",
        &[
            ("NEXUS_HTTP__LISTEN", "127.0.0.1:2"),
            ("NEXUS_LOG__FORMAT", "json"),
            ("NEXUS_RATE_LIMITS__ENABLED", "false"),
            ("NEXUS_HTTP__TRUSTED_PROXIES", "[\"10.0.0.0/8\", \"::1\"]"),
            ("NEXUS_REGISTRATION__MODE", "open"),
            ("UNRELATED", "x"),
        ],
    )
    .unwrap();
    assert_eq!(loaded.config.http.listen.port(), 2);
    assert_eq!(loaded.config.http.trusted_proxies.len(), 2);
    assert_eq!(loaded.config.log.format, LogFormat::Json);
    assert_eq!(loaded.config.registration.mode, RegistrationMode::Open);
    assert!(!loaded.config.rate_limits.enabled);
    assert!(loaded.warnings.is_empty());
}

#[test]
fn every_key_can_be_set_by_environment() {
    let keys = super::known_keys();
    assert!(keys.contains_key("NEXUS_SERVER_NAME") && keys.contains_key("NEXUS_FEDERATION__TLS_PRIVATE_KEY"));
    for (name, (_, default)) in &keys {
        let text = default.as_str().map_or(default.to_string(), str::to_owned);
        let loaded = load_text("", &[(name, &text)]).unwrap();
        assert_eq!(loaded.as_written, Config::default(), "{name}");
    }
}

#[test]
fn unknown_variables_only_warn() {
    let loaded = load_text("", &[("NEXUS_SERVICE_HOST", "10.0.0.1"), ("NEXUS_HTTP", "x")]).unwrap();
    assert_eq!(loaded.config.http.listen.port(), 8080);
    expect![[r#"
        the environment variable NEXUS_HTTP names no configuration key; ignored
        the environment variable NEXUS_SERVICE_HOST names no configuration key; ignored"#]]
    .assert_eq(&loaded.warnings.join("\n"));
}

#[test]
fn the_search_alias_yields_to_the_full_name() {
    let url = |environment: &[(&str, &str)]| {
        load_text("", environment).unwrap().config.search.url.as_str().to_owned()
    };
    assert_eq!(url(&[("NEXUS_SEARCH_URL", "http://a:7700/")]), "http://a:7700");
    let both = [("NEXUS_SEARCH_URL", "http://a"), ("NEXUS_SEARCH__URL", "http://b")];
    assert_eq!(url(&both), "http://b");
}

#[test]
fn paths_are_relative_to_the_file() {
    let loaded = load_text("[outgoing]\ntrusted_ca = [\"ca.pem\", \"/etc/ca.pem\"]", &[]).unwrap();
    let folder = loaded.file.parent().unwrap();
    assert_eq!(loaded.config.data_dir, folder.join("nexus-data"));
    assert_eq!(loaded.config.outgoing.trusted_ca, [folder.join("ca.pem"), Path::new("/etc/ca.pem").into()]);
}

#[test]
fn lite_forces_the_embedded_back_ends() {
    let mut config = load_text("[search]\nurl = \"http://search:7700\"", &[]).unwrap().config;
    assert_eq!(config.without_effect(), ["search.url"]);
    config.force_embedded();
    assert!(config.search.url.is_empty() && config.without_effect().is_empty());
}

#[test]
fn mistakes_in_the_file_name_the_file_and_the_key() {
    check_error(
        "sever_name = \"x\"",
        &[],
        expect![
            "DIR/nexus.toml: sever_name: unknown key, expected one of `server_name`, `data_dir`, `http`, `federation`, `outgoing`, `rooms`, `registration`, `accounts`, `directory`, `media`, `search`, `email`, `appservices`, `rate_limits`, `log`"
        ],
    );
    check_error(
        "[http]\nlisen = \"x\"",
        &[],
        expect![
            "DIR/nexus.toml: http.lisen: unknown key, expected one of `listen`, `public_url`, `trusted_proxies`"
        ],
    );
    check_error(
        "[htp]\nlisten = \"x\"",
        &[],
        expect![
            "DIR/nexus.toml: htp: unknown key, expected one of `server_name`, `data_dir`, `http`, `federation`, `outgoing`, `rooms`, `registration`, `accounts`, `directory`, `media`, `search`, `email`, `appservices`, `rate_limits`, `log`"
        ],
    );
    check_error(
        "[http]\nlisten = \"localhost:8080\"",
        &[],
        expect!["DIR/nexus.toml: http.listen: invalid socket address syntax"],
    );
    check_error(
        "[http]\nlisten = 8080",
        &[],
        expect!["DIR/nexus.toml: http.listen: invalid type: integer `8080`, expected socket address"],
    );
    check_error(
        "http = 1",
        &[],
        expect!["DIR/nexus.toml: http: invalid type: integer `1`, expected struct Http"],
    );
    check_error(
        "[http]\npublic_url = \"chat.example.org\"",
        &[],
        expect![[
            r#"DIR/nexus.toml: http.public_url: "chat.example.org" does not begin with http:// or https://"#
        ]],
    );
    check_error(
        "[http]\ntrusted_proxies = [\"proxy\"]",
        &[],
        expect![[
            r#"DIR/nexus.toml: http.trusted_proxies[0]: "proxy" is neither an IP address nor a range such as 10.0.0.0/8"#
        ]],
    );
    check_error(
        "server_name = \"exa mple\"",
        &[],
        expect!["DIR/nexus.toml: server_name: server name is not a valid IP address or domain name"],
    );
    check_error(
        "server_name = \"\"",
        &[],
        expect!["DIR/nexus.toml: server_name: server name is not a valid IP address or domain name"],
    );
    check_error(
        "[rooms]\ndefault_version = \"13\"",
        &[],
        expect![[
            r#"DIR/nexus.toml: rooms.default_version: room version "13" is not one of 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12"#
        ]],
    );
    check_error(
        "[registration]\nmode = \"opne\"",
        &[],
        expect![
            "DIR/nexus.toml: registration.mode: unknown variant `opne`, expected one of `open`, `invite`, `closed`"
        ],
    );
    check_error(
        "[log]\nlevel = \"INFO\"",
        &[],
        expect![
            "DIR/nexus.toml: log.level: unknown variant `INFO`, expected one of `error`, `warn`, `info`, `debug`, `trace`"
        ],
    );
    check_error(
        "[http]\nlisten = \"127.0.0.1:1\"\nlisten = \"127.0.0.1:2\"",
        &[],
        expect!["DIR/nexus.toml: line 3: duplicate key"],
    );
    check_error("[http\n", &[], expect!["DIR/nexus.toml: line 1: unclosed table, expected `]`"]);
}

#[test]
fn mistakes_in_the_environment_name_the_variable_and_the_key() {
    check_error(
        "",
        &[("NEXUS_HTTP__LISTEN", "nowhere")],
        expect!["NEXUS_HTTP__LISTEN: http.listen: invalid socket address syntax"],
    );
    check_error(
        "",
        &[("NEXUS_RATE_LIMITS__ENABLED", "yes")],
        expect!["NEXUS_RATE_LIMITS__ENABLED: rate_limits.enabled: is neither true nor false"],
    );
    check_error(
        "",
        &[("NEXUS_HTTP__TRUSTED_PROXIES", "10.0.0.1")],
        expect![[
            r#"NEXUS_HTTP__TRUSTED_PROXIES: http.trusted_proxies: is not a TOML list such as ["a", "b"]"#
        ]],
    );
    check_error(
        "",
        &[("NEXUS_LOG__LEVEL", "loud")],
        expect![
            "NEXUS_LOG__LEVEL: log.level: unknown variant `loud`, expected one of `error`, `warn`, `info`, `debug`, `trace`"
        ],
    );
}

#[test]
fn a_folder_is_not_a_config_file() {
    let folder = tempfile::tempdir().unwrap();
    assert!(load(folder.path(), []).unwrap_err().to_string().ends_with("is not a file"));
}
