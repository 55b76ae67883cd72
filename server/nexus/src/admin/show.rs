//! The server's answers as people read them: tables with aligned columns, and one field a line.

use serde_json::Value;

/// A value without quotes; nothing where there is none.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        // A name may have anything in it; what moves the cursor must not reach a terminal.
        Value::String(text) => text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        other => other.to_string(),
    }
}

/// The columns `fields` of `rows`, under their names.
pub(super) fn table(rows: &[Value], fields: &[&str]) -> String {
    let head: Vec<String> = fields.iter().map(|field| field.to_uppercase().replace('_', " ")).collect();
    let body = rows.iter().map(|row| fields.iter().map(|field| text(&row[*field])).collect());
    let lines: Vec<Vec<String>> = std::iter::once(head).chain(body).collect();
    let width = |column: usize| {
        lines.iter().map(|line: &Vec<String>| line[column].chars().count()).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..fields.len()).map(width).collect();
    let line = |cells: &Vec<String>| {
        let padded = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    lines.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// One field a line, lists left out.
pub(super) fn fields(value: &Value) -> String {
    let Value::Object(object) = value else { return text(value) };
    let shown = object.iter().filter(|(_, value)| !value.is_array() && !value.is_object());
    let lines = shown.map(|(name, value)| format!("{:12} {}", name.replace('_', " "), text(value)));
    lines.collect::<Vec<_>>().join("\n")
}

pub(super) fn users(users: &[Value]) -> String {
    table(users, &["name", "id", "admin", "bot", "deactivated", "email"])
}

pub(super) fn user(user: &Value) -> String {
    let devices = user["devices"].as_array().map(Vec::as_slice).unwrap_or_default();
    format!("{}\n\n{}", fields(user), table(devices, &["id", "name", "created_ms"]))
}

pub(super) fn media(media: &[Value]) -> String {
    table(media, &["id", "bytes", "type", "uploader", "name"])
}

pub(super) fn tokens(tokens: &[Value]) -> String {
    table(tokens, &["token", "uses", "uses_max", "expires_ms"])
}

pub(super) fn rooms(rooms: &[Value]) -> String {
    table(rooms, &["room_id", "id", "kind", "name", "members", "depth"])
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use serde_json::json;

    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [json!({ "a": "x\u{1b}[2J", "b_c": 7 }), json!({ "a": "longer one", "b_c": null })];
        expect![[r#"
            A           B C
            x�[2J       7
            longer one  -"#]]
        .assert_eq(&table(&rows, &["a", "b_c"]));
    }

    #[test]
    fn a_user_has_devices() {
        let user = json!({ "name": "ada", "admin": true, "devices": [{ "id": "D", "name": null, "created_ms": 5 }] });
        let shown = super::user(&user);
        assert!(shown.contains("admin        yes") && shown.ends_with("D   -     5"), "{shown}");
    }
}
