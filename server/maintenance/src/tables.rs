//! Every table of every crate.

use nexus_event_store::table_list::TableInfo;

/// All tables by number.
#[must_use]
pub fn tables() -> Vec<TableInfo> {
    let mut all = nexus_event_store::table_list::tables();
    all.extend(nexus_views::table_list::tables());
    all.extend(nexus_rooms::table_list::tables());
    all.extend(nexus_media::table_list::tables());
    all.extend(nexus_accounts::table_list::tables());
    all.sort_by_key(|table| table.number);
    all
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Numbers that were given out and have no table yet.
    const UNUSED: [&str; 4] = ["MAIL_PROOFS", "MAIL_QUEUE", "MAIL_TOKENS", "ROLE_SNOWFLAKES"];

    #[test]
    fn every_number_of_the_catalogue_has_a_listed_table() {
        let catalogue = include_str!("../../../event-store/src/catalogue.rs");
        let constants = catalogue.lines().filter_map(|line| line.trim().strip_prefix("pub const "));
        let given: BTreeSet<(u8, &str)> = constants
            .filter_map(|line| line.split_once(": u8 = "))
            .map(|(name, number)| (number.trim_end_matches(';').parse().unwrap(), name))
            .filter(|(_, name)| !UNUSED.contains(name))
            .collect();
        let listed: Vec<u8> = tables().iter().map(|table| table.number).collect();
        let distinct: BTreeSet<u8> = listed.iter().copied().collect();
        assert_eq!(distinct.len(), listed.len(), "a table is listed twice: {listed:?}");
        let missing: Vec<_> = given.iter().filter(|(number, _)| !distinct.contains(number)).collect();
        assert!(missing.is_empty(), "add these to their crate's table_list.rs: {missing:?}");
    }
}
