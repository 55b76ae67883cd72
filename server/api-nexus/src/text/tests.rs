//! Translation both ways, on examples and on whatever looks like a mention.

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;

fn user_by_id(id: Snowflake) -> Option<Named> {
    let name = match id.0 {
        100 => "alice",
        200 => "bob",
        _ => return None,
    };
    Some(Named { id: format!("@{name}:example.org"), name: name.to_uppercase() })
}

fn channel_by_id(id: Snowflake) -> Option<Named> {
    (id.0 == 300).then(|| Named { id: "!general".to_owned(), name: "general".to_owned() })
}

fn id_of_user(user: &str) -> Option<Snowflake> {
    match user {
        "@alice:example.org" => Some(Snowflake(100)),
        "@bob:example.org" => Some(Snowflake(200)),
        _ => None,
    }
}

fn id_of_channel(room: &str) -> Option<Snowflake> {
    (room == "!general").then_some(Snowflake(300))
}

fn check(content: &str, expected: &Expect) {
    let stored = store(content, user_by_id, channel_by_id);
    let shown = format!(
        "source {}\nbody   {}\nhtml   {}\n",
        stored.source,
        stored.body,
        stored.formatted.as_deref().unwrap_or("-")
    );
    expected.assert_eq(&shown);
    assert_eq!(show(&stored.source, id_of_user, id_of_channel), content);
}

#[test]
fn mentions_become_global_and_come_back() {
    check(
        "hi <@100> & <@!200>, see <#300>",
        &expect![[r#"
            source hi <@alice:example.org> & <!@bob:example.org>, see <#!general>
            body   hi @ALICE & @BOB, see #general
            html   hi <a href="https://matrix.to/#/@alice:example.org">@ALICE</a> &amp; <a href="https://matrix.to/#/@bob:example.org">@BOB</a>, see <a href="https://matrix.to/#/!general">#general</a>
        "#]],
    );
    check(
        "nobody <@1> <#2> <@&3> <:x:4> <t:5> a<b",
        &expect![[r#"
            source nobody <@1> <#2> <@&3> <:x:4> <t:5> a<b
            body   nobody <@1> <#2> <@&3> <:x:4> <t:5> a<b
            html   -
        "#]],
    );
}

#[test]
fn text_that_looks_like_a_stored_mention_is_escaped() {
    check(
        r"<@alice:example.org> <\@alice:example.org> <#!general> <!@bob:example.org>",
        &expect![[r#"
            source <\@alice:example.org> <\\@alice:example.org> <\#!general> <\!@bob:example.org>
            body   <@alice:example.org> <\@alice:example.org> <#!general> <!@bob:example.org>
            html   -
        "#]],
    );
}

#[test]
fn unknown_global_mentions_stay() {
    assert_eq!(
        show("<@carol:far.example> <#!far>", id_of_user, id_of_channel),
        "<@carol:far.example> <#!far>"
    );
}

#[test]
fn reply_fallbacks_are_stripped() {
    assert_eq!(without_reply_fallback("> <@a:b> hello\n> there\n\nanswer"), "answer");
    assert_eq!(without_reply_fallback("plain"), "plain");
    assert_eq!(without_reply_fallback("> only a quote"), "");
}

proptest! {
    #[test]
    fn in_and_out_is_the_identity(pieces in proptest::collection::vec(piece(), 0..12)) {
        let content = pieces.concat();
        let stored = store(&content, user_by_id, channel_by_id);
        prop_assert_eq!(show(&stored.source, id_of_user, id_of_channel), content);
    }
}

/// Text with many near misses.
fn piece() -> impl Strategy<Value = String> {
    let mentions = prop::sample::select(vec![
        "<@100>",
        "<@!200>",
        "<#300>",
        "<@0100>",
        "<@999>",
        "<#!general>",
        "<@alice:example.org>",
        "<!@bob:example.org>",
        "<@x:y>",
        "<@!x:y>",
        "<!@!x:y>",
        "<@:y>",
        "<#>",
        "<",
        ">",
        "<@",
        "<\\",
        "\\",
        "@",
        "!",
        "#",
        ":",
        "100",
        "example.org",
        " ",
        "\n",
        "<<",
        "é",
    ])
    .prop_map(str::to_owned);
    prop_oneof![4 => mentions, 1 => "[<>@!#:\\\\a1 ]{0,6}"]
}
