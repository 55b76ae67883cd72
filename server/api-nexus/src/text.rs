//! Message text at the edge: snowflake mentions outside, global ids in the log, readable text for Matrix.
//!
//! A Discord client writes `<@123>` and `<#456>` with ids that only this server knows. What is stored is the
//! same Markdown with global ids (`nexus.source`), a readable `body`, and `formatted_body` with links where
//! somebody is mentioned.
//!
//! **Shapes**: outside `<@ID>`, `<@!ID>`, `<#ID>`; in the source `<@user:server>`, `<!@user:server>`,
//! `<#!room>`. Text that already looks like a source mention gets a backslash after the `<`, one more for
//! each that is there, and loses it on the way back. **Invariant**: going in and out gives back the same
//! text, whatever it is, as long as the ids are known.

use nexus_event_store::Snowflake;

use crate::snowflake;

/// A piece of text as a client writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece<'a, U, C> {
    /// Anything else.
    Text(&'a str),
    /// A user; `true` for the old form with `!`.
    User(U, bool),
    /// A channel.
    Channel(C),
}

/// What a mention of a user or channel stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    /// The global id: `@user:server` or `!room`.
    pub(crate) id: String,
    /// The name to show.
    pub(crate) name: String,
}

/// Text on its way into the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stored {
    /// Markdown with global ids.
    pub(crate) source: String,
    /// For people.
    pub(crate) body: String,
    /// HTML, if there is a mention to link.
    pub(crate) formatted: Option<String>,
}

/// Splits what a client wrote at the mentions in it.
pub(crate) fn scan(content: &str) -> Vec<Piece<'_, Snowflake, Snowflake>> {
    split(content, |inner| {
        // An id is written in one way only, so that it can be given back as it was.
        let id = |digits: &str| snowflake::parse(digits).filter(|id| id.to_string() == digits);
        if let Some(digits) = inner.strip_prefix("@!") {
            return id(digits).map(|id| Piece::User(id, true));
        }
        match inner.split_at_checked(1)? {
            ("@", digits) => id(digits).map(|id| Piece::User(id, false)),
            ("#", digits) => id(digits).map(Piece::Channel),
            _ => None,
        }
    })
}

/// Splits stored source at the global mentions in it.
pub(crate) fn scan_source(source: &str) -> Vec<Piece<'_, &str, &str>> {
    split(source, |inner| match inner.as_bytes() {
        [b'@', ..] if is_global(inner) => Some(Piece::User(inner, false)),
        [b'!', b'@', ..] if is_global(inner) => Some(Piece::User(&inner[1..], true)),
        [b'#', b'!', ..] if is_global(inner) => Some(Piece::Channel(&inner[1..])),
        _ => None,
    })
}

/// What goes into the log; mentions that `user` or `channel` do not know stay as they are.
pub(crate) fn store(
    content: &str,
    user: impl Fn(Snowflake) -> Option<Named>,
    channel: impl Fn(Snowflake) -> Option<Named>,
) -> Stored {
    let mut stored = Stored::default();
    let mut html = String::new();
    let mut linked = false;
    for piece in scan(content) {
        let (found, sigil, before) = match &piece {
            Piece::Text(text) => {
                stored.source.push_str(&escape(text));
                stored.body.push_str(text);
                html.push_str(&escape_html(text));
                continue;
            }
            Piece::User(id, old) => (user(*id), "@", if *old { "!" } else { "" }),
            Piece::Channel(id) => (channel(*id), "#", "#"),
        };
        let Some(Named { id, name }) = found else {
            let text = written(&piece);
            stored.source.push_str(&text);
            stored.body.push_str(&text);
            html.push_str(&escape_html(&text));
            continue;
        };
        linked = true;
        stored.source.push_str(&format!("<{before}{id}>"));
        stored.body.push_str(&format!("{sigil}{name}"));
        let name = escape_html(&name);
        html.push_str(&format!("<a href=\"https://matrix.to/#/{}\">{sigil}{name}</a>", escape_html(&id)));
    }
    stored.formatted = linked.then_some(html);
    stored
}

/// What a client reads; mentions of what this server does not know stay as they are.
pub(crate) fn show(
    source: &str,
    user: impl Fn(&str) -> Option<Snowflake>,
    channel: impl Fn(&str) -> Option<Snowflake>,
) -> String {
    let mut content = String::with_capacity(source.len());
    for piece in scan_source(source) {
        match piece {
            Piece::Text(text) => content.push_str(&unescape(text)),
            Piece::User(id, old) => match (user(id), old) {
                (Some(id), old) => content.push_str(&written(&Piece::User(id, old))),
                (None, false) => content.push_str(&format!("<{id}>")),
                (None, true) => content.push_str(&format!("<!{id}>")),
            },
            Piece::Channel(id) => match channel(id) {
                Some(id) => content.push_str(&written(&Piece::Channel(id))),
                None => content.push_str(&format!("<#{id}>")),
            },
        }
    }
    content
}

/// A Matrix message's `body` without the quote that old clients put before a reply.
pub(crate) fn without_reply_fallback(body: &str) -> &str {
    if !body.starts_with("> ") {
        return body;
    }
    let mut rest = body;
    while rest.starts_with('>') {
        let Some((_, after)) = rest.split_once('\n') else { return "" };
        rest = after;
    }
    rest.strip_prefix('\n').unwrap_or(rest)
}

fn written(piece: &Piece<'_, Snowflake, Snowflake>) -> String {
    match piece {
        Piece::Text(text) => (*text).to_owned(),
        Piece::User(id, false) => format!("<@{id}>"),
        Piece::User(id, true) => format!("<@!{id}>"),
        Piece::Channel(id) => format!("<#{id}>"),
    }
}

/// Splits `text` at each `<…>` whose inside `read` takes for a mention.
fn split<'a, U, C>(text: &'a str, read: impl Fn(&'a str) -> Option<Piece<'a, U, C>>) -> Vec<Piece<'a, U, C>> {
    let mut pieces = Vec::new();
    let (mut start, mut at) = (0, 0);
    while let Some(open) = text[at..].find('<').map(|offset| at + offset) {
        at = open + 1;
        let Some(close) = inside(&text[at..]).map(|length| at + length) else { continue };
        if let Some(piece) = read(&text[at..close]) {
            if start < open {
                pieces.push(Piece::Text(&text[start..open]));
            }
            pieces.push(piece);
            at = close + 1;
            start = at;
        }
    }
    if start < text.len() {
        pieces.push(Piece::Text(&text[start..]));
    }
    pieces
}

/// How far the next `>` is, if nothing in between ends the attempt.
fn inside(text: &str) -> Option<usize> {
    let end = text.find(['<', '>', '\n', ' '])?;
    text[end..].starts_with('>').then_some(end)
}

/// Whether the inside of `<…>` has the form of a global mention.
fn is_global(inner: &str) -> bool {
    if let Some(room) = inner.strip_prefix("#!") {
        return !room.is_empty();
    }
    let user = inner.strip_prefix('!').unwrap_or(inner);
    user.strip_prefix('@')
        .and_then(|user| user.split_once(':'))
        .is_some_and(|(name, server)| !name.is_empty() && !server.is_empty())
}

/// Adds a backslash where text would read as a global mention, with or without backslashes before it.
fn escape(text: &str) -> String {
    rewrite(text, |inner| {
        let slashes = inner.len() - inner.trim_start_matches('\\').len();
        is_global(&inner[slashes..]).then(|| format!("<\\{inner}>"))
    })
}

/// Takes away the backslash that [`escape`] added.
fn unescape(text: &str) -> String {
    rewrite(text, |inner| {
        let rest = inner.strip_prefix('\\')?;
        is_global(rest.trim_start_matches('\\')).then(|| format!("<{rest}>"))
    })
}

fn rewrite(text: &str, change: impl Fn(&str) -> Option<String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(open) = text[at..].find('<').map(|offset| at + offset) {
        out.push_str(&text[at..open]);
        at = open + 1;
        let changed = inside(&text[at..])
            .and_then(|length| change(&text[at..at + length]).map(|changed| (changed, at + length + 1)));
        match changed {
            Some((changed, after)) => {
                out.push_str(&changed);
                at = after;
            }
            None => out.push('<'),
        }
    }
    out.push_str(&text[at..]);
    out
}

fn escape_html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push_str("<br>"),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests;
