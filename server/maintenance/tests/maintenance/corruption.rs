//! Whatever is damaged is found, named and never served.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use nexus_event_store::{
    Bytes,
    catalogue::{Events, Table as _},
    codec::Value as _,
    kv::{
        Engine, Family, Read as _, RowKey, Span,
        memory::MemoryEngine,
        rocks::{RocksEngine, RocksTuning},
        sealed::{Sealed, seal, unseal},
    },
    read::decode_row,
    rows::EventRow,
    table_list::TableInfo,
};
use nexus_maintenance::tables::tables;
use nexus_sim::executor::Simulation;

use crate::world::{Dump, check, copy, lines, live, write};

async fn lived_in(simulation: &Simulation) -> Dump {
    live(simulation).await.engine.dump()
}

/// One row of each table that has some: the middle one.
fn one_of_each(rows: &Dump) -> BTreeMap<u8, ((Family, Vec<u8>), Bytes)> {
    let mut by_table: BTreeMap<u8, Vec<_>> = BTreeMap::new();
    for row in rows {
        by_table.entry(row.0.1[0]).or_default().push(row.clone());
    }
    by_table.into_iter().map(|(table, rows)| (table, rows[rows.len() / 2].clone())).collect()
}

fn table_of(number: u8) -> TableInfo {
    tables().into_iter().find(|table| table.number == number).unwrap()
}

fn row_key((family, bytes): &(Family, Vec<u8>)) -> RowKey {
    RowKey { family: *family, bytes: bytes.clone() }
}

#[test]
fn a_store_that_was_lived_in_is_sound() {
    let simulation = Simulation::new(21);
    simulation.run(async {
        let lived = live(&simulation).await;
        let (summary, problems) = check(Arc::new(lived.engine.clone()), &simulation.world()).await;
        assert!(problems.is_empty(), "{}", lines(&problems));
        assert_eq!(summary.rows, lived.engine.dump().len() as u64);
        assert!(summary.events > 120 && summary.nodes > 100 && summary.view_rows > 150, "{summary:?}");
        assert_eq!((summary.unknown_keys, summary.problems), (0, 0));
        let tables: BTreeSet<u8> = lived.engine.dump().iter().map(|((_, key), _)| key[0]).collect();
        assert!(tables.len() >= 35, "{} tables have rows", tables.len());
    });
}

/// The corruption suite over rows: in every table a bit of the value is flipped.
#[test]
fn a_flipped_bit_in_any_table_is_named_and_not_served() {
    let simulation = Simulation::new(22);
    simulation.run(async {
        let rows = lived_in(&simulation).await;
        for bit in [0, 11, 29] {
            let mut damaged = one_of_each(&rows);
            for (_, value) in damaged.values_mut() {
                let mut bytes = value.to_vec();
                let at = bit % (bytes.len() * 8);
                bytes[at / 8] ^= 1 << (at % 8);
                *value = bytes.into();
            }
            let engine = copy(&rows).await;
            let writes = damaged.values().map(|(key, value)| (row_key(key), Some(value.clone()))).collect();
            write(&engine, writes).await;
            let (_, problems) = check(Arc::new(engine.clone()), &simulation.world()).await;
            let served = Sealed::new(Arc::new(engine));
            for (table, (key, _)) in &damaged {
                let table = table_of(*table);
                let named = problems
                    .iter()
                    .any(|problem| problem.table == table.name && problem.what.contains("checksum"));
                assert!(named, "bit {bit} of table {} was not found in\n{}", table.name, lines(&problems));
                let error = served.get(key.0, &key.1).await.unwrap_err().to_string();
                assert!(error.contains("checksum"), "{error}");
                let from = vec![key.1[0]];
                let span = Span { family: key.0, from, until: None, reverse: false, limit: usize::MAX };
                assert!(served.range(span).await.is_err(), "a range over {} was served", table.name);
            }
            let event = problems.iter().find(|problem| problem.table == "events").unwrap();
            assert!(event.event.is_some() || bit < 16, "names the event: {event}");
        }
    });
}

/// Rows that go missing: whatever another row refers to, and every view.
#[test]
fn a_missing_row_of_the_log_or_of_a_view_is_named() {
    let simulation = Simulation::new(23);
    simulation.run(async {
        let rows = lived_in(&simulation).await;
        // Nothing refers to what only a lookup by a client's own word reads.
        let alone = ["meta", "transactions", "removed", "chains", "chain_places"];
        for (number, (key, _)) in one_of_each(&rows) {
            let table = table_of(number);
            if number >= 64 || alone.contains(&table.name) {
                continue;
            }
            let engine = copy(&rows).await;
            write(&engine, vec![(row_key(&key), None)]).await;
            let (_, problems) = check(Arc::new(engine), &simulation.world()).await;
            assert!(!problems.is_empty(), "a missing row of table {} was not found", table.name);
        }
    });
}

/// Makes an event say something else.
type Change<'a> = &'a dyn Fn(&mut EventRow);

/// What has the right checksum and says the wrong thing.
#[test]
fn a_forged_event_is_named() {
    let simulation = Simulation::new(24);
    simulation.run(async {
        let rows = lived_in(&simulation).await;
        let is_message =
            |row: &EventRow| row.json.contains("\"body\":\"first\"") && row.redacted_by.is_none();
        let events = rows.iter().filter(|((_, key), _)| key[0] == Events::NUMBER);
        let mut events = events.map(|((_, key), value)| (key.clone(), unseal(key, value).unwrap()));
        let (key, mut row) = events
            .find_map(|(key, value)| {
                let row = EventRow::decode(&value).unwrap();
                is_message(&row).then_some((key, row))
            })
            .unwrap();
        let forge = |row: &EventRow| {
            let value = seal(&key, &row.encode());
            vec![(RowKey { family: Events::FAMILY, bytes: key.clone() }, Some(value))]
        };
        let honest = row.clone();
        let cases: [(&str, Change<'_>); 5] = [
            ("its content is not what its hash says", &|row| row.json = row.json.replace("first", "worst")),
            ("verify signatures", &|row| {
                row.json = row.json.replace("\"ana", "\"ann").replace("@ana", "@ann")
            }),
            ("it lists an event of commit", &|row| row.position = row.position.next()),
            ("of its prev_events is missing", &|row| row.prev[0].0 += 1_000_000),
            ("the state before it", &|row| row.state_before.0[3] ^= 1),
        ];
        for (says, change) in cases {
            row.clone_from(&honest);
            change(&mut row);
            assert_ne!(row, honest, "{says}");
            let engine = copy(&rows).await;
            write(&engine, forge(&row)).await;
            let (_, problems) = check(Arc::new(engine), &simulation.world()).await;
            let found = problems.iter().any(|problem| {
                problem.what.contains(says) && problem.event.as_deref() == Some(&honest.event_id)
            });
            assert!(found, "{says:?} was not found in\n{}", lines(&problems));
        }
    });
}

/// The same rows in RocksDB files.
fn on_disk(folder: &Path, rows: &Dump) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let engine = RocksEngine::open(folder, RocksTuning::default()).unwrap();
        let all = rows.iter().map(|(key, value)| (row_key(key), Some(value.clone()))).collect();
        write(&engine, all).await;
        engine.compact().await.unwrap();
    });
}

fn files(folder: &Path, end: &str) -> Vec<PathBuf> {
    let all = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<PathBuf> = all.filter(|path| path.to_string_lossy().ends_with(end)).collect();
    found.sort();
    found
}

/// Every row that the store still gives, and how many it refuses.
async fn served(engine: Arc<dyn Engine>, rows: &Dump) -> usize {
    let sealed = Sealed::new(engine);
    let mut refused = 0;
    for ((family, key), value) in rows {
        match sealed.get(*family, key).await {
            Ok(Some(found)) => assert_eq!(Some(&found), unseal(key, value).as_ref(), "a wrong value"),
            Ok(None) => panic!("a row of table {} is gone without a word", key[0]),
            Err(_) => refused += 1,
        }
    }
    refused
}

/// The corruption suite over files: bytes of the sorted tables are flipped, all over them.
#[test]
fn a_flipped_byte_in_a_file_is_found_and_not_served() {
    let simulation = Simulation::new(25);
    let rows = simulation.run(lived_in(&simulation));
    let folder = tempfile::tempdir().unwrap();
    on_disk(folder.path(), &rows);
    let sound = files(folder.path(), ".sst");
    assert!(sound.len() >= Family::ALL.len(), "{sound:?}");
    let (mut named, mut harmless, mut unopened) = (0, 0, 0);
    for file in sound {
        let bytes = fs::read(&file).unwrap();
        for part in 0..12 {
            let at = bytes.len() * part / 12 + 5;
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x40;
            fs::write(&file, &damaged).unwrap();
            let diary = tempfile::tempdir().unwrap();
            // Only to read: what a server that opens it might compact is another matter.
            match RocksEngine::open_read_only(folder.path(), diary.path(), RocksTuning::default()) {
                Err(_) => unopened += 1,
                Ok(engine) => {
                    let engine: Arc<dyn Engine> = Arc::new(engine);
                    let (refused, problems) = simulation.run(async {
                        let refused = served(Arc::clone(&engine), &rows).await;
                        (refused, check(engine, &simulation.world()).await.1)
                    });
                    if refused > 0 {
                        assert!(!problems.is_empty(), "byte {at} of {}: nothing was named", file.display());
                        let text = lines(&problems);
                        assert!(text.contains("cannot be read") && text.contains(".sst"), "{text}");
                        named += 1;
                    } else {
                        harmless += 1;
                    }
                }
            }
        }
        fs::write(&file, &bytes).unwrap();
    }
    assert!(named >= 10, "{named} named, {unopened} not even opened, {harmless} harmless");
    let engine = RocksEngine::open_read_only(folder.path(), folder.path(), RocksTuning::default()).unwrap();
    let whole: Arc<dyn Engine> = Arc::new(engine);
    let (_, problems) = simulation.run(check(whole, &simulation.world()));
    assert!(problems.is_empty(), "the file is whole again: {}", lines(&problems));
}

#[test]
fn a_key_that_was_damaged_is_found() {
    let simulation = Simulation::new(26);
    simulation.run(async {
        let rows = lived_in(&simulation).await;
        let engine: MemoryEngine = copy(&rows).await;
        let (key, value) = &one_of_each(&rows)[&Events::NUMBER];
        let mut moved = key.clone();
        *moved.1.last_mut().unwrap() ^= 0x80;
        write(&engine, vec![(row_key(key), None), (row_key(&moved), Some(value.clone()))]).await;
        let (_, problems) = check(Arc::new(engine), &simulation.world()).await;
        let (_, row) = decode_row::<Events>(&key.1.clone().into(), &unseal(&key.1, value).unwrap()).unwrap();
        let text = lines(&problems);
        assert!(text.contains("does not match its checksum") && text.contains(&row.event_id), "{text}");
    });
}
