//! JSON text written in place: replies that carry events splice the stored text of each event instead of
//! building trees of values.
//!
//! **Shapes**: [`ObjectWriter`] writes `{"name":value,…}` into a `String`; values given as `json` must be JSON
//! already (stored canonical JSON, or what this module wrote).
//! **Invariant**: an object that was begun is ended; `end` consumes the writer.

use axum::{
    http::header::CONTENT_TYPE,
    response::{IntoResponse, Response},
};

/// A reply whose JSON is written already.
pub(crate) struct JsonText(pub(crate) String);

impl IntoResponse for JsonText {
    fn into_response(self) -> Response {
        ([(CONTENT_TYPE, "application/json")], self.0).into_response()
    }
}

/// Appends `text` as a JSON string.
pub(crate) fn push_string(out: &mut String, text: &str) {
    out.push('"');
    let mut plain_from = 0;
    for (at, byte) in text.bytes().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.push_str(&text[plain_from..at]);
        plain_from = at + 1;
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            control => out.push_str(&format!("\\u{control:04x}")),
        }
    }
    out.push_str(&text[plain_from..]);
    out.push('"');
}

/// Appends `[a,b,…]`, each item written by `each`.
pub(crate) fn push_array<T>(
    out: &mut String,
    items: impl IntoIterator<Item = T>,
    mut each: impl FnMut(&mut String, T),
) {
    out.push('[');
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        each(out, item);
    }
    out.push(']');
}

/// Writes the fields of one JSON object.
pub(crate) struct ObjectWriter<'a> {
    out: &'a mut String,
    is_empty: bool,
}

impl<'a> ObjectWriter<'a> {
    /// Opens an object at the end of `out`.
    pub(crate) fn begin(out: &'a mut String) -> Self {
        out.push('{');
        Self { out, is_empty: true }
    }

    /// Closes the object.
    pub(crate) fn end(self) {
        self.out.push('}');
    }

    /// A field whose value is JSON already.
    pub(crate) fn json(&mut self, name: &str, json: &str) {
        self.name(name).push_str(json);
    }

    /// A string field.
    pub(crate) fn string(&mut self, name: &str, value: &str) {
        push_string(self.name(name), value);
    }

    /// A number field.
    pub(crate) fn number(&mut self, name: &str, value: u64) {
        self.name(name).push_str(&value.to_string());
    }

    /// A boolean field.
    pub(crate) fn boolean(&mut self, name: &str, value: bool) {
        self.name(name).push_str(if value { "true" } else { "false" });
    }

    /// An object field; it must be ended before the next field.
    pub(crate) fn object(&mut self, name: &str) -> ObjectWriter<'_> {
        ObjectWriter::begin(self.name(name))
    }

    /// A list field of JSON texts.
    pub(crate) fn json_list(&mut self, name: &str, items: &[String]) {
        push_array(self.name(name), items, |out, item| out.push_str(item));
    }

    /// A list field of strings.
    pub(crate) fn string_list<T: AsRef<str>>(&mut self, name: &str, items: impl IntoIterator<Item = T>) {
        push_array(self.name(name), items, |out, item| push_string(out, item.as_ref()));
    }

    fn name(&mut self, name: &str) -> &mut String {
        if !self.is_empty {
            self.out.push(',');
        }
        self.is_empty = false;
        push_string(self.out, name);
        self.out.push(':');
        self.out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_escaped_as_any_parser_reads_them() {
        for text in
            ["", "plain", "ключ 🗝", "\"quoted\"", "a\\b", "line\nbreak\ttab", "\u{0}\u{1f}\u{7f}", "\\\"\n"]
        {
            let mut out = String::new();
            push_string(&mut out, text);
            assert_eq!(serde_json::from_str::<String>(&out).unwrap(), text, "{out}");
        }
    }

    #[test]
    fn objects_nest() {
        let mut out = String::new();
        let mut object = ObjectWriter::begin(&mut out);
        object.string("a\"", "x");
        object.number("n", 7);
        object.boolean("b", true);
        object.object("empty").end();
        let mut inner = object.object("inner");
        inner.json("raw", "[1]");
        inner.string_list("list", ["p", "q"]);
        inner.json_list("events", &["{}".to_owned(), "{}".to_owned()]);
        inner.end();
        object.end();
        expect_test::expect![[
            r#"{"a\"":"x","n":7,"b":true,"empty":{},"inner":{"raw":[1],"list":["p","q"],"events":[{},{}]}}"#
        ]]
        .assert_eq(&out);
    }
}
