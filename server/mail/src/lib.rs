//! Mail by SMTP: the accounts' [`MailTransport`] over `lettre`.
//!
//! **Shapes**: `smtp://user:password@host:port` is STARTTLS, `smtps://…` TLS from the first byte. A `tls` in the
//! query decides itself (`required`, `opportunistic`); without one, STARTTLS is required where there is a password,
//! used if offered where there is none, and not asked for on this machine. **Errors**: [`MailUrlError`] at start;
//! a refusal by the other side is permanent (SMTP 5xx) or not. **Bounds**: one mail takes 30 seconds at most.

use std::{net::IpAddr, time::Duration};

use lettre::{
    AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor,
    message::{Mailbox, header::ContentType},
};
use nexus_accounts::{Mail, MailFailure, MailTransport};
use nexus_event_store::world::BoxFuture;

const TIMEOUT: Duration = Duration::from_secs(30);

/// Why mail cannot be sent with this configuration.
#[derive(Debug, thiserror::Error)]
pub enum MailUrlError {
    /// The URL is none.
    #[error("email.smtp_url: is not smtp://user:password@host:port or smtps://…")]
    Url,
    /// The sender is no address.
    #[error("email.from: is not an address such as \"Nexus <nexus@example.org>\"")]
    From,
}

/// Sends mail through one SMTP server.
pub struct SmtpMail {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

impl SmtpMail {
    /// Mail through the server of `smtp_url`, as `from`. Nothing is connected yet.
    ///
    /// # Errors
    /// [`MailUrlError`].
    pub fn new(smtp_url: &str, from: &str) -> Result<Self, MailUrlError> {
        let from: Mailbox = from.parse().map_err(|_| MailUrlError::From)?;
        let url = with_tls(smtp_url).ok_or(MailUrlError::Url)?;
        let builder = AsyncSmtpTransport::<Tokio1Executor>::from_url(&url).map_err(|_| MailUrlError::Url)?;
        Ok(Self { transport: builder.timeout(Some(TIMEOUT)).build(), from })
    }

    fn message(&self, mail: &Mail) -> Option<Message> {
        Message::builder()
            .from(self.from.clone())
            .to(mail.to.parse().ok()?)
            .subject(mail.subject.clone())
            .header(ContentType::TEXT_PLAIN)
            .body(mail.text.clone())
            .ok()
    }
}

impl std::fmt::Debug for SmtpMail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SmtpMail").field("from", &self.from).finish_non_exhaustive()
    }
}

impl MailTransport for SmtpMail {
    fn send(&self, mail: Mail) -> BoxFuture<'_, Result<(), MailFailure>> {
        Box::pin(async move {
            let Some(message) = self.message(&mail) else {
                return Err(MailFailure {
                    is_permanent: true,
                    reason: "the address cannot be written to".into(),
                });
            };
            match self.transport.send(message).await {
                Ok(_) => Ok(()),
                Err(error) => {
                    Err(MailFailure { is_permanent: error.is_permanent(), reason: error.to_string() })
                }
            }
        })
    }
}

/// The URL with what it says of TLS, said or meant.
fn with_tls(url: &str) -> Option<String> {
    let Some(rest) = url.strip_prefix("smtp://") else {
        return url.starts_with("smtps://").then(|| url.to_owned());
    };
    let authority = rest.split(['/', '?']).next().unwrap_or(rest);
    if authority.is_empty() {
        return None;
    }
    if rest.contains("tls=") {
        return Some(url.to_owned());
    }
    let (login, host) =
        authority.rsplit_once('@').map_or((None, authority), |(login, host)| (Some(login), host));
    let host = host.trim_start_matches('[').split([']', ':']).next().unwrap_or(host);
    let is_here = host == "localhost" || authority.contains("[::1]") || is_loopback(host);
    let tls = match login {
        _ if is_here => return Some(url.to_owned()),
        Some(_) => "required",
        None => "opportunistic",
    };
    Some(format!("{url}{}tls={tls}", if rest.contains('?') { '&' } else { '?' }))
}

fn is_loopback(host: &str) -> bool {
    host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_does_not_go_out_in_clear_text() {
        let tls = |url| with_tls(url).map(|url| url.split_once("tls=").map(|(_, tls)| tls.to_owned()));
        assert_eq!(tls("smtp://u:p@mail.example:587"), Some(Some("required".to_owned())));
        assert_eq!(tls("smtp://mail.example"), Some(Some("opportunistic".to_owned())));
        assert_eq!(tls("smtp://u:p@mail.example/?tls=opportunistic"), Some(Some("opportunistic".to_owned())));
        assert_eq!(tls("smtps://u:p@mail.example"), Some(None));
        for here in ["smtp://127.0.0.1:1025", "smtp://u:p@localhost:25", "smtp://[::1]:25"] {
            assert_eq!(tls(here), Some(None), "{here}");
        }
        for bad in ["", "http://mail.example", "mail.example:25", "smtp://"] {
            assert_eq!(tls(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_cannot_be_used_is_refused_at_start() {
        assert!(SmtpMail::new("smtp://127.0.0.1:25", "Nexus <nexus@localhost>").is_ok());
        assert!(matches!(SmtpMail::new("smtp://127.0.0.1:25", "nobody"), Err(MailUrlError::From)));
        assert!(matches!(SmtpMail::new("mailto:x", "nexus@localhost"), Err(MailUrlError::Url)));
    }

    #[test]
    fn what_a_user_typed_cannot_become_another_header() {
        let smtp = SmtpMail::new("smtp://127.0.0.1:25", "nexus@localhost").unwrap();
        let mail = |to: &str| Mail { to: to.to_owned(), subject: "Hi".to_owned(), text: "x".to_owned() };
        assert!(smtp.message(&mail("ada@example.org")).is_some());
        for bad in ["ada@example.org\r\nBcc: eve@example.org", "a@b, c@d", ""] {
            assert!(smtp.message(&mail(bad)).is_none(), "{bad:?}");
        }
    }
}
