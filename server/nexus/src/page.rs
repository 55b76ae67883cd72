//! `GET /`: what runs here, and how to connect a bot or a Matrix client to it.
//!
//! **Shapes**: one self-contained HTML document without scripts; rendered once, at start.
//! **Invariant**: its content security policy admits exactly its own style sheet, by hash.

use std::sync::Arc;

use axum::{
    body::Bytes,
    response::{IntoResponse as _, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use hyper::header::{self, HeaderValue};
use ruma::ServerName;
use sha2::{Digest as _, Sha256};

use crate::config::PublicUrl;

const HTML: &str = include_str!("page/page.html");
const CSS: &str = include_str!("page/page.css");

/// The rendered page. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Page {
    html: Bytes,
    policy: Arc<HeaderValue>,
}

impl Page {
    pub(crate) fn new(server_name: &ServerName, url: &PublicUrl) -> Self {
        let gateway = url.as_str().replacen("http", "ws", 1) + "/gateway";
        let html = HTML
            .replace("{{server_name}}", &escape(server_name.as_str()))
            .replace("{{url}}", &escape(url.as_str()))
            .replace("{{gateway}}", &escape(&gateway))
            .replace("{{version}}", env!("CARGO_PKG_VERSION"))
            .replace("{{css}}", CSS);
        let hash = STANDARD.encode(Sha256::digest(CSS));
        let policy = format!(
            "default-src 'none'; style-src 'sha256-{hash}'; img-src data:; base-uri 'none'; \
             form-action 'none'; frame-ancestors 'none'"
        );
        let policy = HeaderValue::try_from(policy).expect("base64 and this text are visible ASCII");
        Self { html: html.into(), policy: Arc::new(policy) }
    }

    pub(crate) fn reply(&self) -> Response {
        let kind = HeaderValue::from_static("text/html; charset=utf-8");
        let headers = [
            (header::CONTENT_TYPE, kind),
            (header::CONTENT_SECURITY_POLICY, HeaderValue::clone(&self.policy)),
        ];
        (headers, self.html.clone()).into_response()
    }
}

/// For text and for attributes in double or single quotes; snippets are quoted the same way.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use ruma::server_name;

    #[test]
    fn the_page_names_this_server_and_nothing_is_left_open() {
        let url = PublicUrl::try_from("https://chat.example.org".to_owned()).unwrap();
        let page = Page::new(server_name!("example.org"), &url);
        let html = std::str::from_utf8(&page.html).unwrap();
        assert!(html.contains("api: 'https://chat.example.org/api'"));
        assert!(html.contains("yarl.URL('wss://chat.example.org/gateway')"));
        assert!(html.contains("@you:example.org"));
        assert!(!html.contains("{{") && !html.contains("<script"));
    }

    #[test]
    fn what_is_inserted_cannot_become_markup() {
        assert_eq!(escape("<a href=\"x\">'&"), "&lt;a href=&quot;x&quot;&gt;&#39;&amp;");
    }

    #[test]
    fn the_policy_admits_the_style_sheet() {
        let url = PublicUrl::try_from("http://localhost:1".to_owned()).unwrap();
        let reply = Page::new(server_name!("localhost"), &url).reply();
        let policy = reply.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        let hash = STANDARD.encode(Sha256::digest(CSS));
        assert!(policy.contains(&format!("style-src 'sha256-{hash}'")));
    }
}
