//! The strict door for foreign JSON: bounded in size and depth, integers only.
//!
//! [`parse_object`] reads bytes straight into `ruma`'s canonical JSON and says precisely what is wrong, so
//! that a facade can tell what is not JSON (`M_NOT_JSON`) from JSON that no event can hold
//! (`M_BAD_JSON`). A key written twice takes its last value, as in every JSON parser that peers use; the
//! canonical form, and so every hash and signature, then has only that one. U+0000 is allowed in strings;
//! ids refuse it where they are parsed.
//!
//! **Units**: bytes; depth counts nested objects and arrays, the outermost object being 1.
//! **Source**: Matrix v1.19, appendices, "Canonical JSON".

use std::{cell::RefCell, collections::BTreeMap, fmt};

use ruma::{CanonicalJsonObject, CanonicalJsonValue, Int};
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use thiserror::Error;

/// How much JSON is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JsonLimits {
    /// The most bytes.
    pub max_bytes: usize,
    /// The deepest nesting; what exceeds 100 counts as 100, for the parser recurses.
    pub max_depth: usize,
}

impl JsonLimits {
    /// What fits an event: twice its size, for it may come with whitespace and `unsigned`.
    pub const EVENT: JsonLimits = JsonLimits { max_bytes: 2 * crate::EVENT_BYTES_MAX, max_depth: 100 };
}

/// The deepest nesting that is ever read, below the 128 at which `serde_json` gives up by itself.
const DEPTH_MAX: usize = 100;

/// Why bytes are not an acceptable JSON object.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum JsonError {
    /// There are too many bytes.
    #[error("JSON has {bytes} bytes, the limit is {limit}")]
    TooLarge {
        /// How many there are.
        bytes: usize,
        /// The most there may be.
        limit: usize,
    },
    /// The bytes are not UTF-8.
    #[error("not UTF-8 at byte {offset}")]
    NotUtf8 {
        /// Where the first bad sequence starts.
        offset: usize,
    },
    /// The text is not JSON.
    #[error("not JSON at line {line}, column {column}")]
    NotJson {
        /// The line, from 1.
        line: usize,
        /// The column, from 1; 0 at the very start.
        column: usize,
    },
    /// It is JSON, but not an object.
    #[error("not a JSON object")]
    NotObject,
    /// It is nested too deeply.
    #[error("JSON is nested deeper than {limit}")]
    TooDeep {
        /// The deepest it may be.
        limit: usize,
    },
    /// A number is not an integer of at most 53 bits.
    #[error("not an integer between -(2^53)+1 and (2^53)-1: {path}")]
    FloatOrHugeInteger {
        /// Where, as `content.list[3].key`.
        path: String,
    },
}

/// Read one JSON object, refusing what canonical JSON cannot hold.
pub fn parse_object(bytes: &[u8], limits: JsonLimits) -> Result<CanonicalJsonObject, JsonError> {
    if bytes.len() > limits.max_bytes {
        return Err(JsonError::TooLarge { bytes: bytes.len(), limit: limits.max_bytes });
    }
    let text =
        std::str::from_utf8(bytes).map_err(|error| JsonError::NotUtf8 { offset: error.valid_up_to() })?;
    let reader = Reader {
        max_depth: limits.max_depth.min(DEPTH_MAX),
        path: RefCell::default(),
        fault: RefCell::default(),
    };
    let mut parser = serde_json::Deserializer::from_str(text);
    let value = Node { reader: &reader }.deserialize(&mut parser).and_then(|value| {
        parser.end()?;
        Ok(value)
    });
    match value {
        Ok(CanonicalJsonValue::Object(object)) => Ok(object),
        Ok(_) => Err(JsonError::NotObject),
        Err(error) => Err(reader.explain(&error)),
    }
}

enum Step {
    Key(String),
    Index(usize),
}

/// What one parse carries along: where it is, and what it refused.
struct Reader {
    max_depth: usize,
    path: RefCell<Vec<Step>>,
    fault: RefCell<Option<JsonError>>,
}

impl Reader {
    /// Refuse the value at the current path; `serde` carries only the fact that something failed.
    fn refuse<E: serde::de::Error>(&self, fault: JsonError) -> E {
        *self.fault.borrow_mut() = Some(fault);
        E::custom("refused")
    }

    fn number<E: serde::de::Error>(&self, number: Option<Int>) -> Result<CanonicalJsonValue, E> {
        number
            .map(CanonicalJsonValue::Integer)
            .ok_or_else(|| self.refuse(JsonError::FloatOrHugeInteger { path: self.path_text() }))
    }

    /// Every open container is one step, so the steps are the depth.
    fn enter<E: serde::de::Error>(&self, step: Step) -> Result<(), E> {
        let mut path = self.path.borrow_mut();
        if path.len() >= self.max_depth {
            return Err(self.refuse(JsonError::TooDeep { limit: self.max_depth }));
        }
        path.push(step);
        Ok(())
    }

    fn step_to(&self, step: Step) {
        if let Some(last) = self.path.borrow_mut().last_mut() {
            *last = step;
        }
    }

    fn leave(&self) {
        self.path.borrow_mut().pop();
    }

    fn path_text(&self) -> String {
        let mut text = String::new();
        for step in self.path.borrow().iter() {
            match step {
                Step::Key(key) if text.is_empty() => text.push_str(key),
                Step::Key(key) => {
                    text.push('.');
                    text.push_str(key);
                }
                Step::Index(index) => text.push_str(&format!("[{index}]")),
            }
        }
        text
    }

    fn explain(&self, error: &serde_json::Error) -> JsonError {
        if let Some(fault) = self.fault.borrow_mut().take() {
            return fault;
        }
        // `1e999` is JSON, but `serde_json` refuses it before a visitor sees a number.
        if error.to_string().starts_with("number out of range") {
            return JsonError::FloatOrHugeInteger { path: self.path_text() };
        }
        JsonError::NotJson { line: error.line(), column: error.column() }
    }
}

#[derive(Clone, Copy)]
struct Node<'a> {
    reader: &'a Reader,
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = CanonicalJsonValue;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = CanonicalJsonValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("canonical JSON")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Self::Value, E> {
        Ok(CanonicalJsonValue::Null)
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<Self::Value, E> {
        Ok(CanonicalJsonValue::Bool(value))
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Self::Value, E> {
        self.reader.number(Int::try_from(value).ok())
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Self::Value, E> {
        self.reader.number(Int::try_from(value).ok())
    }

    /// Floats, `-0` and whatever exceeds 64 bits.
    fn visit_f64<E: serde::de::Error>(self, _: f64) -> Result<Self::Value, E> {
        self.reader.number(None)
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Self::Value, E> {
        Ok(CanonicalJsonValue::String(value.to_owned()))
    }

    fn visit_string<E: serde::de::Error>(self, value: String) -> Result<Self::Value, E> {
        Ok(CanonicalJsonValue::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        self.reader.enter(Step::Index(0))?;
        let mut values = Vec::new();
        while let Some(value) = list.next_element_seed(self)? {
            values.push(value);
            self.reader.step_to(Step::Index(values.len()));
        }
        self.reader.leave();
        Ok(CanonicalJsonValue::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        self.reader.enter(Step::Key(String::new()))?;
        let mut object = BTreeMap::new();
        while let Some(key) = entries.next_key::<String>()? {
            self.reader.step_to(Step::Key(key.clone()));
            let value = entries.next_value_seed(self)?;
            object.insert(key, value);
        }
        self.reader.leave();
        Ok(CanonicalJsonValue::Object(object))
    }
}

#[cfg(test)]
mod tests;
