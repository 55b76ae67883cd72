//! Unit tests of [`json`](super).

use expect_test::expect;

use super::{JsonLimits, parse_object};

const LIMITS: JsonLimits = JsonLimits { max_bytes: 64, max_depth: 4 };

fn outcome(bytes: &[u8]) -> String {
    match parse_object(bytes, LIMITS) {
        Ok(object) => serde_json::to_string(&object).unwrap(),
        Err(error) => format!("{error}"),
    }
}

fn table(inputs: &[&str]) -> String {
    inputs.iter().map(|input| format!("{input} => {}\n", outcome(input.as_bytes()))).collect()
}

#[test]
fn accepted_json_becomes_canonical() {
    let inputs = [
        r#"{}"#,
        r#"  { "b" : 1, "a": [true, null, "\u65e5"] } "#,
        r#"{"a":9007199254740991,"b":-9007199254740991}"#,
        r#"{"a":1,"a":2}"#,
        r#"{"nul":"\u0000","tab":"\t"}"#,
        r#"{"a":{"b":{"c":{}}}}"#,
    ];
    expect![[r#"
        {} => {}
          { "b" : 1, "a": [true, null, "\u65e5"] }  => {"a":[true,null,"日"],"b":1}
        {"a":9007199254740991,"b":-9007199254740991} => {"a":9007199254740991,"b":-9007199254740991}
        {"a":1,"a":2} => {"a":2}
        {"nul":"\u0000","tab":"\t"} => {"nul":"\u0000","tab":"\t"}
        {"a":{"b":{"c":{}}}} => {"a":{"b":{"c":{}}}}
    "#]]
    .assert_eq(&table(&inputs));
}

/// The examples of the specification's appendix "Canonical JSON" that are not plain ASCII sorting.
#[test]
fn text_beyond_ascii_stays_as_it_is() {
    for (input, canonical) in [
        (r#"{ "a": "日本語" }"#, r#"{"a":"日本語"}"#),
        (r#"{ "本": 2, "日": 1 }"#, r#"{"日":1,"本":2}"#),
        (r#"{ "a": "\u65E5" }"#, r#"{"a":"日"}"#),
        // By code point, not by UTF-16 unit, where the second would come first.
        (r#"{"\ud83d\ude00":2,"\ue000":1}"#, "{\"\u{e000}\":1,\"😀\":2}"),
    ] {
        assert_eq!(outcome(input.as_bytes()), canonical);
    }
}

#[test]
fn refused_json_says_why() {
    let inputs = [
        "",
        "{",
        "{\"a\":}",
        "{} {}",
        r#"{"a":"\ud800"}"#,
        "{'a':1}",
        "[]",
        "null",
        "\"text\"",
        "1",
        r#"{"a":1.0}"#,
        r#"{"a":1e3}"#,
        r#"{"a":-0}"#,
        r#"{"a":1e999}"#,
        r#"{"a":9007199254740992}"#,
        r#"{"a":-9007199254740992}"#,
        r#"{"a":123456789012345678901234567890}"#,
        r#"{"users":{"@a:b":[0,{"x":0.5}]}}"#,
        r#"{"a":{"b":{"c":{"d":{}}}}}"#,
        r#"{"a":[[[[]]]]}"#,
        r#"{"a":"01234567890123456789012345678901234567890123456789012345678"}"#,
    ];
    expect![[r#"
         => not JSON at line 1, column 0
        { => not JSON at line 1, column 1
        {"a":} => not JSON at line 1, column 6
        {} {} => not JSON at line 1, column 4
        {"a":"\ud800"} => not JSON at line 1, column 13
        {'a':1} => not JSON at line 1, column 2
        [] => not a JSON object
        null => not a JSON object
        "text" => not a JSON object
        1 => not a JSON object
        {"a":1.0} => not an integer between -(2^53)+1 and (2^53)-1: a
        {"a":1e3} => not an integer between -(2^53)+1 and (2^53)-1: a
        {"a":-0} => not an integer between -(2^53)+1 and (2^53)-1: a
        {"a":1e999} => not an integer between -(2^53)+1 and (2^53)-1: a
        {"a":9007199254740992} => not an integer between -(2^53)+1 and (2^53)-1: a
        {"a":-9007199254740992} => not an integer between -(2^53)+1 and (2^53)-1: a
        {"a":123456789012345678901234567890} => not an integer between -(2^53)+1 and (2^53)-1: a
        {"users":{"@a:b":[0,{"x":0.5}]}} => not an integer between -(2^53)+1 and (2^53)-1: users.@a:b[1].x
        {"a":{"b":{"c":{"d":{}}}}} => JSON is nested deeper than 4
        {"a":[[[[]]]]} => JSON is nested deeper than 4
        {"a":"01234567890123456789012345678901234567890123456789012345678"} => JSON has 67 bytes, the limit is 64
    "#]]
    .assert_eq(&table(&inputs));
}

#[test]
fn bytes_that_are_not_text() {
    expect!["not UTF-8 at byte 6"].assert_eq(&outcome(b"{\"a\":\"\xff\"}"));
    expect!["not JSON at line 1, column 7"].assert_eq(&outcome(b"{\"a\":\"\x01\"}"));
    expect!["not UTF-8 at byte 2"].assert_eq(&outcome(b"{}\xc3"));
}

#[test]
fn hostile_nesting_does_not_exhaust_the_stack() {
    let limits = JsonLimits { max_bytes: 1 << 24, max_depth: usize::MAX };
    for (open, count) in [("[", 1_000_000), ("{\"a\":", 1_000_000), ("{\"a\":[", 500_000)] {
        let text = format!("{{\"x\":{}", open.repeat(count));
        let error = parse_object(text.as_bytes(), limits).unwrap_err();
        assert_eq!(error.to_string(), "JSON is nested deeper than 100");
    }
}
