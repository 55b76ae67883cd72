//! The strict parser accepts exactly what `ruma` accepts, within its bounds, and never panics.

use nexus_state_resolution::{JsonError, JsonLimits, parse_object};
use proptest::prelude::*;
use ruma::CanonicalJsonObject;
use serde_json::{Value, json};

const LIMITS: JsonLimits = JsonLimits { max_bytes: 1 << 20, max_depth: 100 };

/// Any JSON, floats and huge integers included.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i16>().prop_map(Value::from),
        any::<f64>().prop_map(|number| json!(number)),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::hash_map(any::<String>(), inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn accepts_what_ruma_accepts(value in any_json()) {
        let text = value.to_string();
        let ours = parse_object(text.as_bytes(), LIMITS);
        match serde_json::from_str::<CanonicalJsonObject>(&text) {
            Ok(object) => prop_assert_eq!(ours, Ok(object)),
            Err(_) => {
                let named = matches!(ours, Err(JsonError::NotObject | JsonError::FloatOrHugeInteger { .. }));
                prop_assert!(named, "{:?}", ours);
            }
        }
    }

    #[test]
    fn any_bytes_get_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse_object(&bytes, LIMITS);
    }

    #[test]
    fn json_with_a_broken_place_gets_an_answer(
        value in any_json(),
        place in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut bytes = value.to_string().into_bytes();
        let place = place.index(bytes.len());
        bytes[place] = byte;
        let ours = parse_object(&bytes, LIMITS);
        prop_assert_eq!(ours.ok(), serde_json::from_slice::<CanonicalJsonObject>(&bytes).ok());
    }
}
