//! `GET` and `POST /account/mail`: where the links in mails lead.
//!
//! Opening the link changes nothing, because programs that look through mail open links, too: the page has a button,
//! or for a lost password a form. **Shapes**: self-contained HTML without scripts; the token is in the query and then
//! in the form. **Errors**: a page that says what is wrong, with 400, 429 or 503. **Invariant**: nothing on the page
//! comes from anybody but this server, and its policy lets the form go nowhere else.

use std::net::SocketAddr;

use axum::{
    Form, Router,
    extract::{ConnectInfo, Query, State},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::get,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use nexus_accounts::{AccountError, Accounts, MailLink, Purpose};
use nexus_rate_limits::{Action, Key, RateLimits};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::page::escape;

/// Where the page is.
pub(crate) const PATH: &str = "/account/mail";

const CSS: &str = include_str!("page/page.css");

/// What the page needs.
#[derive(Clone)]
struct Parts {
    accounts: Accounts,
    limits: RateLimits,
    policy: HeaderValue,
}

/// The page of `accounts`.
pub(crate) fn routes(accounts: Accounts, limits: RateLimits) -> Router {
    let hash = STANDARD.encode(Sha256::digest(CSS));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'self'; \
         frame-ancestors 'none'"
    );
    let policy = HeaderValue::try_from(policy).expect("base64 and this text are visible ASCII");
    Router::new().route(PATH, get(show).post(submit)).with_state(Parts { accounts, limits, policy })
}

#[derive(Deserialize)]
struct Link {
    #[serde(default)]
    token: String,
}

async fn show(
    State(parts): State<Parts>,
    ConnectInfo(client): ConnectInfo<SocketAddr>,
    Query(Link { token }): Query<Link>,
) -> Response {
    if let Some(refused) = parts.refusal(client) {
        return refused;
    }
    match parts.accounts.mail_link(&token).await {
        Ok(Some(link)) => parts.reply(StatusCode::OK, &question(&link, &token)),
        Ok(None) => parts.failed(&AccountError::UnknownProof),
        Err(error) => parts.failed(&error),
    }
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    token: String,
    password: Option<String>,
    again: Option<String>,
}

async fn submit(
    State(parts): State<Parts>,
    ConnectInfo(client): ConnectInfo<SocketAddr>,
    Form(answer): Form<Answer>,
) -> Response {
    if let Some(refused) = parts.refusal(client) {
        return refused;
    }
    let done = match &answer.password {
        Some(password) if answer.again.as_ref() == Some(password) => {
            let reset = parts.accounts.reset_password(&answer.token, password).await;
            reset.map(|_| "Your password is changed. Log in with it; all your sessions have ended.")
        }
        Some(_) => {
            let text = paragraph("Two different passwords", "Go back and type the same one twice.");
            return parts.reply(StatusCode::BAD_REQUEST, &text);
        }
        None => parts.accounts.confirm_mail(&answer.token).await.map(|link| match link.purpose {
            Purpose::ConfirmReset => "Go back to the program in which you asked for a new password.",
            _ => "Your e-mail address is confirmed. Go back to the program you came from.",
        }),
    };
    match done {
        Ok(text) => parts.reply(StatusCode::OK, &paragraph("Done", text)),
        Err(error) => parts.failed(&error),
    }
}

impl Parts {
    /// Whoever tries tokens is slowed down.
    fn refusal(&self, client: SocketAddr) -> Option<Response> {
        let limited = self.limits.take(Action::Proof, Key::of_address(client.ip())).err()?;
        Some(self.failed(&AccountError::Limited { retry_after: limited.retry_after }))
    }

    fn failed(&self, error: &AccountError) -> Response {
        let (status, text) = match error {
            AccountError::UnknownProof => (
                StatusCode::BAD_REQUEST,
                "This link was used before, or is too old. Ask for another.".to_owned(),
            ),
            AccountError::Limited { .. } => (StatusCode::TOO_MANY_REQUESTS, error.to_string()),
            AccountError::Busy | AccountError::Stopping => {
                (StatusCode::SERVICE_UNAVAILABLE, error.to_string())
            }
            AccountError::Store(error) => {
                tracing::error!(%error, "the page of a mail failed");
                (StatusCode::INTERNAL_SERVER_ERROR, "The server failed. Try again later.".to_owned())
            }
            other => (StatusCode::BAD_REQUEST, other.to_string()),
        };
        self.reply(status, &paragraph("That did not work", &text))
    }

    fn reply(&self, status: StatusCode, body: &str) -> Response {
        let html = format!(
            "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
             <title>Nexus</title><style>{CSS}</style></head><body><main>{body}</main></body></html>"
        );
        let kind = HeaderValue::from_static("text/html; charset=utf-8");
        let headers = [
            (header::CONTENT_TYPE, kind),
            (header::CONTENT_SECURITY_POLICY, self.policy.clone()),
            (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        ];
        (status, headers, html).into_response()
    }
}

fn paragraph(title: &str, text: &str) -> String {
    format!("<h1>{}</h1><p class=\"lead\">{}</p>", escape(title), escape(text))
}

fn question(link: &MailLink, token: &str) -> String {
    let (title, text, fields, button) = match link.purpose {
        Purpose::NewPassword => (
            "Set a new password",
            "All your sessions will end.",
            "<p><label>New password<br><input type=\"password\" name=\"password\" required \
             autocomplete=\"new-password\"></label></p>\
             <p><label>Again<br><input type=\"password\" name=\"again\" required \
             autocomplete=\"new-password\"></label></p>",
            "Set the password",
        ),
        Purpose::ConfirmReset => (
            "Set a new password?",
            "Confirm only if you are just now setting a new password in your chat program. \
             Whoever asked for this could take over your account otherwise.",
            "",
            "Yes, it was me",
        ),
        Purpose::Register | Purpose::AddAddress | Purpose::Verify => {
            ("Is this your address?", "Confirm only if you asked for this yourself.", "", "Yes, it is mine")
        }
    };
    format!(
        "<h1>{title}</h1><p class=\"lead\">{}</p><section><p>{text}</p>\
         <form method=\"post\" action=\"{PATH}\"><input type=\"hidden\" name=\"token\" value=\"{}\">\
         {fields}<p><button type=\"submit\">{button}</button></p></form></section>",
        escape(&link.address),
        escape(token),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_link_carries_cannot_become_markup() {
        let link = MailLink { purpose: Purpose::NewPassword, address: "\"<b>\"@x".to_owned() };
        let page = question(&link, "\"><script>");
        assert!(
            page.contains("&quot;&lt;b&gt;&quot;@x") && page.contains("value=\"&quot;&gt;&lt;script&gt;\"")
        );
        assert!(!page.contains("<script"));
    }
}
