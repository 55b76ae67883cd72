//! Reading a JSON body field by field, collecting everything that is wrong with it.
//!
//! Discord answers a body of the wrong shape with code 50035 and a tree that mirrors the body: object keys
//! and list indexes lead to `{"_errors":[{"code","message"}]}`. A [`Form`] reads typed fields and notes a
//! fault for each that does not fit; [`read`] gives the value only if there was none.
//!
//! **Errors**: [`ApiError::Form`]. **Source**: `discord-api-docs`, "Error Messages"; codes and texts as
//! Discord sends them.

use std::{cell::RefCell, ops::RangeInclusive};

use nexus_event_store::Snowflake;
use serde_json::{Map, Value, json};

use crate::{error::ApiError, snowflake};

/// What is wrong with a body, as the tree that is sent.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Faults(Map<String, Value>);

impl Faults {
    /// A single fault at `path`.
    pub(crate) fn one(path: &[&str], code: &str, message: &str) -> Self {
        let mut faults = Self::default();
        let path: Vec<String> = path.iter().map(|step| (*step).to_owned()).collect();
        faults.note(&path, code, message);
        faults
    }

    /// Adds the faults of fields that have none here.
    pub(crate) fn merge(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// The tree.
    pub(crate) fn into_json(self) -> Value {
        Value::Object(self.0)
    }

    fn note(&mut self, path: &[String], code: &str, message: &str) {
        let mut at = &mut self.0;
        for step in path {
            let next = at.entry(step.clone()).or_insert_with(|| Value::Object(Map::new()));
            let Value::Object(inner) = next else { return };
            at = inner;
        }
        if let Value::Array(list) = at.entry("_errors").or_insert_with(|| Value::Array(Vec::new())) {
            list.push(json!({ "code": code, "message": message }));
        }
    }
}

/// Reads a body with `fields`; the value counts only if no fault was noted.
pub(crate) fn read<T>(body: &Value, fields: impl FnOnce(&Form<'_>) -> T) -> Result<T, ApiError> {
    let faults = RefCell::new(Faults::default());
    let empty = Map::new();
    let object = match body {
        Value::Object(object) => object,
        _ => {
            faults.borrow_mut().note(&[], "DICT_TYPE_CONVERT", "Only dictionaries may be used in a DictType");
            &empty
        }
    };
    let value = fields(&Form { object, path: Vec::new(), faults: &faults });
    let faults = faults.into_inner();
    if faults == Faults::default() { Ok(value) } else { Err(ApiError::Form(faults)) }
}

/// Reads a body that is a list of objects.
pub(crate) fn read_list<T>(
    body: &Value,
    max: usize,
    fields: impl FnMut(&Form<'_>) -> T,
) -> Result<Vec<T>, ApiError> {
    let whole = Map::from_iter([(LIST.to_owned(), body.clone())]);
    let unwrapped = |error| match error {
        // The list is the body itself: its faults have no step for it.
        ApiError::Form(Faults(mut tree)) => match tree.remove(LIST) {
            Some(Value::Object(inner)) => ApiError::Form(Faults(inner)),
            _ => ApiError::Form(Faults(tree)),
        },
        other => other,
    };
    read(&Value::Object(whole), |form| {
        form.require(LIST);
        form.objects(LIST, max, fields).unwrap_or_default()
    })
    .map_err(unwrapped)
}

const LIST: &str = "list";

/// An object of the body. Every method reads one field; `null` counts as absent except for [`Form::nullable`].
pub(crate) struct Form<'a> {
    object: &'a Map<String, Value>,
    path: Vec<String>,
    faults: &'a RefCell<Faults>,
}

impl<'a> Form<'a> {
    /// Notes a fault of `field`.
    pub(crate) fn fault(&self, field: &str, code: &str, message: &str) {
        let mut path = self.path.clone();
        path.push(field.to_owned());
        self.faults.borrow_mut().note(&path, code, message);
    }

    /// The field as it is, unless absent or `null`.
    pub(crate) fn raw(&self, field: &str) -> Option<&'a Value> {
        self.object.get(field).filter(|value| !value.is_null())
    }

    /// A field that may be cleared with `null`: `None` = absent, `Some(None)` = `null`.
    pub(crate) fn nullable<T>(
        &self,
        field: &str,
        read: impl FnOnce(&Self) -> Option<T>,
    ) -> Option<Option<T>> {
        match self.object.get(field)? {
            Value::Null => Some(None),
            _ => read(self).map(Some),
        }
    }

    /// A string whose length in characters must be in `length`.
    pub(crate) fn text(&self, field: &str, length: RangeInclusive<usize>) -> Option<String> {
        let Value::String(text) = self.raw(field)? else {
            self.fault(field, "STRING_TYPE_CONVERT", "Could not interpret value as string.");
            return None;
        };
        if text.contains('\0') {
            self.fault(field, "STRING_TYPE_BAD", "Must not contain null characters.");
            return None;
        }
        if length.contains(&text.chars().count()) {
            return Some(text.clone());
        }
        let (min, max) = (length.start(), length.end());
        if *min == 0 {
            self.fault(field, "BASE_TYPE_MAX_LENGTH", &format!("Must be {max} or fewer in length."));
        } else {
            self.fault(field, "BASE_TYPE_BAD_LENGTH", &format!("Must be between {min} and {max} in length."));
        }
        None
    }

    /// A string that must be there.
    pub(crate) fn required_text(&self, field: &str, length: RangeInclusive<usize>) -> String {
        self.require(field);
        self.text(field, length).unwrap_or_default()
    }

    /// Notes a fault when the field is absent.
    pub(crate) fn require(&self, field: &str) {
        if self.raw(field).is_none() {
            self.fault(field, "BASE_TYPE_REQUIRED", "This field is required");
        }
    }

    /// `true` or `false`.
    pub(crate) fn flag(&self, field: &str) -> Option<bool> {
        match self.raw(field)? {
            Value::Bool(flag) => Some(*flag),
            _ => {
                self.fault(field, "BOOLEAN_TYPE_CONVERT", "Must be either true or false.");
                None
            }
        }
    }

    /// An integer in `range`, also written as a decimal string.
    pub(crate) fn integer(&self, field: &str, range: RangeInclusive<i64>) -> Option<i64> {
        let number = match self.raw(field)? {
            Value::Number(number) => number.as_i64(),
            Value::String(text) => text.parse().ok(),
            _ => None,
        };
        let Some(number) = number else {
            self.fault(field, "NUMBER_TYPE_COERCE", "Value is not int.");
            return None;
        };
        let (min, max) = (range.start(), range.end());
        if number < *min {
            self.fault(
                field,
                "NUMBER_TYPE_MIN",
                &format!("int value should be greater than or equal to {min}."),
            );
        } else if number > *max {
            self.fault(
                field,
                "NUMBER_TYPE_MAX",
                &format!("int value should be less than or equal to {max}."),
            );
        } else {
            return Some(number);
        }
        None
    }

    /// An id.
    pub(crate) fn snowflake(&self, field: &str) -> Option<Snowflake> {
        let id = snowflake::from_json(self.raw(field)?);
        if id.is_none() {
            self.fault(field, "NUMBER_TYPE_COERCE", "Value is not snowflake.");
        }
        id
    }

    /// A list of ids, at most `max`.
    pub(crate) fn snowflakes(&self, field: &str, max: usize) -> Option<Vec<Snowflake>> {
        let items = self.list(field, max)?;
        let inner = self.inside(field);
        let read = |(index, item): (usize, &Value)| {
            let id = snowflake::from_json(item);
            if id.is_none() {
                inner.fault(&index.to_string(), "NUMBER_TYPE_COERCE", "Value is not snowflake.");
            }
            id
        };
        Some(items.iter().enumerate().filter_map(read).collect())
    }

    /// A list, at most `max` long.
    pub(crate) fn list(&self, field: &str, max: usize) -> Option<&'a [Value]> {
        let Value::Array(items) = self.raw(field)? else {
            self.fault(field, "LIST_TYPE_CONVERT", "Only iterables may be used in a ListType");
            return None;
        };
        if items.len() > max {
            self.fault(field, "BASE_TYPE_MAX_LENGTH", &format!("Must be {max} or fewer in length."));
            return None;
        }
        Some(items)
    }

    /// An inner object, read with `fields`.
    pub(crate) fn object<T>(&self, field: &str, fields: impl FnOnce(&Form<'_>) -> T) -> Option<T> {
        let Value::Object(object) = self.raw(field)? else {
            self.fault(field, "DICT_TYPE_CONVERT", "Only dictionaries may be used in a DictType");
            return None;
        };
        Some(fields(&Form { object, ..self.inside(field) }))
    }

    /// Each object of a list, read with `fields`.
    pub(crate) fn objects<T>(
        &self,
        field: &str,
        max: usize,
        mut fields: impl FnMut(&Form<'_>) -> T,
    ) -> Option<Vec<T>> {
        let items = self.list(field, max)?;
        let inner = self.inside(field);
        let mut values = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let index = index.to_string();
            match item {
                Value::Object(object) => values.push(fields(&Form { object, ..inner.inside(&index) })),
                _ => inner.fault(&index, "DICT_TYPE_CONVERT", "Only dictionaries may be used in a DictType"),
            }
        }
        Some(values)
    }

    fn inside(&self, field: &str) -> Form<'a> {
        let mut path = self.path.clone();
        path.push(field.to_owned());
        Form { object: self.object, path, faults: self.faults }
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn check(body: &Value, expected: &Expect) {
        let read = read(body, |form| {
            form.required_text("name", 1..=5);
            form.integer("type", 0..=15);
            form.flag("nsfw");
            form.snowflake("parent_id");
            form.snowflakes("users", 2);
            form.object("reference", |inner| {
                inner.require("message_id");
                inner.snowflake("message_id")
            });
            form.objects("embeds", 10, |embed| embed.text("title", 0..=3));
        });
        match read {
            Ok(()) => expected.assert_eq("fine"),
            Err(ApiError::Form(faults)) => expected.assert_eq(&faults.into_json().to_string()),
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_fault_is_named_where_it_is() {
        check(&json!({ "name": "ok", "parent_id": 5, "type": "3", "nsfw": null }), &expect!["fine"]);
        check(
            &json!({}),
            &expect![[
                r#"{"name":{"_errors":[{"code":"BASE_TYPE_REQUIRED","message":"This field is required"}]}}"#
            ]],
        );
        check(
            &json!([1]),
            &expect![[
                r#"{"_errors":[{"code":"DICT_TYPE_CONVERT","message":"Only dictionaries may be used in a DictType"}],"name":{"_errors":[{"code":"BASE_TYPE_REQUIRED","message":"This field is required"}]}}"#
            ]],
        );
        check(
            &json!({ "name": "a\u{0}b", "type": 99, "nsfw": "yes", "parent_id": 1.5 }),
            &expect![[
                r#"{"name":{"_errors":[{"code":"STRING_TYPE_BAD","message":"Must not contain null characters."}]},"nsfw":{"_errors":[{"code":"BOOLEAN_TYPE_CONVERT","message":"Must be either true or false."}]},"parent_id":{"_errors":[{"code":"NUMBER_TYPE_COERCE","message":"Value is not snowflake."}]},"type":{"_errors":[{"code":"NUMBER_TYPE_MAX","message":"int value should be less than or equal to 15."}]}}"#
            ]],
        );
        check(
            &json!({ "name": "toolong", "users": ["1", "x"], "reference": {}, "embeds": [{"title": "abcd"}, 3] }),
            &expect![[
                r#"{"embeds":{"0":{"title":{"_errors":[{"code":"BASE_TYPE_MAX_LENGTH","message":"Must be 3 or fewer in length."}]}},"1":{"_errors":[{"code":"DICT_TYPE_CONVERT","message":"Only dictionaries may be used in a DictType"}]}},"name":{"_errors":[{"code":"BASE_TYPE_BAD_LENGTH","message":"Must be between 1 and 5 in length."}]},"reference":{"message_id":{"_errors":[{"code":"BASE_TYPE_REQUIRED","message":"This field is required"}]}},"users":{"1":{"_errors":[{"code":"NUMBER_TYPE_COERCE","message":"Value is not snowflake."}]}}}"#
            ]],
        );
    }
}
