//! Rows that were ever written stay readable: checked-in samples of every table.
//!
//! `formats/TABLE.txt` has a line for each sample: the key, the value (without its checksum) and what they say.
//! Lines are added, never changed: a row that gets a new version gets a new line. `NEXUS_WRITE_SAMPLES=1` writes
//! the files of tables that have none, from a store that was lived in.

use std::{collections::BTreeMap, fs, path::PathBuf};

use nexus_event_store::{
    Bytes, RoomNo, UserNo,
    catalogue::Table,
    codec::{Text, Value as _},
    kv::sealed::{hex, unseal},
    read::row_key,
    table_list::TableInfo,
};
use nexus_maintenance::tables::tables;
use nexus_media::tables::{
    BlobHash, BlobRow, Blobs, LinkKey, LinkKeyRow, Media, MediumRow, PendingObjects, ReservationRow,
    Reservations, UserMedia,
};
use nexus_sim::executor::Simulation;
use nexus_views::rows::{GuildMemberRow, GuildMembers, GuildOverwrites, OverwriteRow, OverwriteTarget};

use crate::world::live;

/// Tables that still lack a sample; none is to be added here.
const NOT_YET: [&str; 12] = [
    "departures",
    "erased",
    "jobs",
    "last_wrote",
    "mail_proofs",
    "mail_queue",
    "mail_tokens",
    "profile_fields",
    "receipt_order",
    "receipts",
    "registration_tokens",
    "second_factors",
];

struct Sample {
    key: Bytes,
    value: Bytes,
    says: String,
}

fn file_of(table: &TableInfo) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("formats").join(format!("{}.txt", table.name))
}

fn bytes(text: &str) -> Bytes {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn says(table: &TableInfo, key: &Bytes, value: &Bytes) -> String {
    let row = (table.decode)(key, value).unwrap();
    format!("{} => {}", row.key, row.value)
}

fn samples(table: &TableInfo) -> Vec<Sample> {
    let Ok(text) = fs::read_to_string(file_of(table)) else { return Vec::new() };
    let lines = text.lines().filter(|line| !line.is_empty());
    let sample = |line: &str| {
        let mut words = line.splitn(3, ' ');
        let mut word = || words.next().unwrap().to_owned();
        Sample { key: bytes(&word()), value: bytes(&word()), says: word() }
    };
    lines.map(sample).collect()
}

/// The shortest and the longest row of each table of a store that was lived in.
fn lived_rows() -> BTreeMap<u8, Vec<(Bytes, Bytes)>> {
    let simulation = Simulation::new(41);
    let rows = simulation.run(async { live(&simulation).await.engine.dump() });
    let mut found: BTreeMap<u8, Vec<(Bytes, Bytes)>> = BTreeMap::new();
    for ((_, key), value) in rows {
        let value = unseal(&key, &value).unwrap();
        found.entry(key[0]).or_default().push((key.into(), value));
    }
    for rows in found.values_mut() {
        rows.sort_by_key(|(key, value)| (key.len() + value.len(), key.clone()));
        let ends = [rows[0].clone(), rows[rows.len() - 1].clone()];
        *rows = ends.to_vec();
        rows.dedup();
    }
    found
}

fn row<T: Table>(rows: &mut BTreeMap<u8, Vec<(Bytes, Bytes)>>, key: &T::Key, value: &T::Value) {
    let key = row_key::<T>(key).bytes.into();
    rows.entry(T::NUMBER).or_default().push((key, value.encode().into()));
}

/// Rows that no command of the test's life makes.
fn rows_by_hand(rows: &mut BTreeMap<u8, Vec<(Bytes, Bytes)>>) {
    let member =
        GuildMemberRow { nick: Some("Nick".to_owned()), roles: vec![7, 9], ..GuildMemberRow::default() };
    row::<GuildMembers>(rows, &(RoomNo(1), UserNo(2)), &member);
    let overwrite =
        OverwriteRow { target: OverwriteTarget::Member(UserNo(3)), allow: 1 << 10, deny: 1 << 11 };
    row::<GuildOverwrites>(rows, &(RoomNo(2), Text::from("key")), &overwrite);
    let medium = MediumRow {
        blob: BlobHash([7; 32]),
        uploader: UserNo(2),
        content_type: "image/png".to_owned(),
        file_name: Some("cat.png".to_owned()),
        created_ms: 1_795_305_600_000,
    };
    row::<Media>(rows, &Text::from("medium"), &medium);
    let blob = BlobRow { object: "object".to_owned(), bytes: 9, uses: 2, pixels: Some((3, 4)) };
    row::<Blobs>(rows, &BlobHash([7; 32]), &blob);
    row::<PendingObjects>(rows, &Text::from("object"), &1_795_305_600_000);
    let reservation = ReservationRow { uploader: UserNo(2), expires_ms: 1_795_305_600_000 };
    row::<Reservations>(rows, &Text::from("reserved"), &reservation);
    row::<LinkKey>(rows, &(), &LinkKeyRow([9; 32]));
    row::<UserMedia>(rows, &(UserNo(2), Text::from("medium")), &());
}

/// Whether there is a sample of the version that is written today.
fn has_newest(table: &TableInfo) -> bool {
    let as_today = |sample: &Sample| {
        (table.decode)(&sample.key, &sample.value).is_ok_and(|row| row.encoded == sample.value.as_ref())
    };
    samples(table).iter().any(as_today)
}

/// Whether `now` has every word of `then` in its order: a newer version may say more.
fn says_as_much(then: &str, now: &str) -> bool {
    let words = |text: &str| -> Vec<String> {
        text.split_whitespace().map(|word| word.trim_end_matches(',').to_owned()).collect()
    };
    let mut now = words(now).into_iter();
    words(then).iter().all(|word| now.any(|found| found == *word))
}

fn write_missing() {
    let mut rows = lived_rows();
    rows_by_hand(&mut rows);
    for table in tables().iter().filter(|table| !has_newest(table)) {
        let Some(rows) = rows.get(&table.number) else { continue };
        let line = |(key, value): &(Bytes, Bytes)| {
            format!("{} {} {}\n", hex(key), hex(value), says(table, key, value))
        };
        fs::create_dir_all(file_of(table).parent().unwrap()).unwrap();
        let before = fs::read_to_string(file_of(table)).unwrap_or_default();
        fs::write(file_of(table), before + &rows.iter().map(line).collect::<String>()).unwrap();
    }
}

#[test]
fn every_sample_is_read_and_says_what_it_said() {
    if std::env::var_os("NEXUS_WRITE_SAMPLES").is_some() {
        write_missing();
    }
    let mut without = Vec::new();
    for table in tables() {
        for Sample { key, value, says: said } in samples(&table) {
            let now = says(&table, &key, &value);
            assert!(says_as_much(&said, &now), "table {}: {said}\nreads as {now}", table.name);
        }
        if !has_newest(&table) && !NOT_YET.contains(&table.name) {
            without.push(table.name);
        }
    }
    assert!(
        without.is_empty(),
        "these tables have no sample of the version that is written today; add a line to \
         server/maintenance/formats/TABLE.txt (NEXUS_WRITE_SAMPLES=1 makes files that are missing): {without:?}"
    );
}

#[test]
fn a_version_that_was_never_written_is_not_read() {
    for table in tables() {
        for Sample { key, value, .. } in samples(&table) {
            let unversioned = ["nodes"];
            if unversioned.contains(&table.name) {
                continue;
            }
            let mut unknown = value.to_vec();
            unknown[0] = 0xee;
            assert!((table.decode)(&key, &unknown.into()).is_err(), "table {}", table.name);
        }
    }
}
