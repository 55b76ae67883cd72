//! The quick part of fuzzing: good events, keys and states with bytes changed, cut, doubled and mixed, thrown at
//! every function that reads foreign bytes. `scripts/fuzz` does the same for longer and knows what it covers.

#![allow(clippy::unwrap_used, reason = "a fixture that cannot be made is a failed test")]

mod support;

use proptest::prelude::*;
use support::doors;

/// One damage to a text.
#[derive(Clone, Debug)]
enum Damage {
    Byte(prop::sample::Index, u8),
    Cut(prop::sample::Index, prop::sample::Index),
    Insert(prop::sample::Index, &'static str),
    /// A span of another sample.
    Splice(prop::sample::Index, prop::sample::Index, prop::sample::Index),
}

const SNIPPETS: [&str; 16] = [
    "null",
    "[]",
    "{}",
    "-1",
    "1.5",
    "9007199254740992",
    "\\u0000",
    "\"\"",
    "\"m.room.create\"",
    "\"m.room.member\"",
    "\"@alice:a.example\"",
    "\"third_party_invite\":{\"signed\":{}},",
    "\"redacts\":\"$x\",",
    "\"users\":{\"@\":\"5\"},",
    "\n",
    "[[[[[[[[",
];

fn damage() -> impl Strategy<Value = Damage> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        (index(), any::<u8>()).prop_map(|(at, byte)| Damage::Byte(at, byte)),
        (index(), index()).prop_map(|(from, to)| Damage::Cut(from, to)),
        (index(), prop::sample::select(SNIPPETS.to_vec())).prop_map(|(at, text)| Damage::Insert(at, text)),
        (index(), index(), index()).prop_map(|(which, from, at)| Damage::Splice(which, from, at)),
    ]
}

fn damaged(mut bytes: Vec<u8>, damages: &[Damage], samples: &[Vec<u8>]) -> Vec<u8> {
    for damage in damages {
        let at = |index: &prop::sample::Index| index.index(bytes.len() + 1);
        match damage {
            Damage::Byte(place, byte) if !bytes.is_empty() => {
                let place = place.index(bytes.len());
                bytes[place] = *byte;
            }
            Damage::Byte(..) => {}
            Damage::Cut(from, to) => {
                let (from, to) = (at(from), at(to));
                bytes.drain(from.min(to)..from.max(to).min(from.min(to) + 40));
            }
            Damage::Insert(place, text) => {
                let place = at(place);
                bytes.splice(place..place, text.bytes());
            }
            Damage::Splice(which, from, place) => {
                let other = &samples[which.index(samples.len())];
                let from = from.index(other.len());
                let place = at(place);
                bytes.splice(place..place, other[from..other.len().min(from + 60)].iter().copied());
            }
        }
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_damage_makes_a_door_panic(
        picks in prop::collection::vec((any::<prop::sample::Index>(), prop::collection::vec(damage(), 0..4)), 1..4),
        version in any::<u8>(),
    ) {
        thread_local!(static SAMPLES: Vec<Vec<u8>> = doors::samples());
        SAMPLES.with(|samples| {
            let mut lines = vec![version];
            for (which, damages) in &picks {
                let text = damaged(samples[which.index(samples.len())].clone(), damages, samples);
                doors::json(&text);
                doors::keys(&text);
                let versioned: Vec<u8> = std::iter::once(version).chain(text.iter().copied()).collect();
                doors::event(&versioned);
                lines.extend(text);
                lines.push(b'\n');
            }
            doors::rules(&lines);
        });
    }

    #[test]
    fn no_bytes_make_a_door_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        doors::json(&bytes);
        doors::event(&bytes);
        doors::rules(&bytes);
        doors::keys(&bytes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_history_makes_resolution_depend_on_the_order(bytes in prop::collection::vec(any::<u8>(), 0..240)) {
        doors::history(&bytes);
    }
}
