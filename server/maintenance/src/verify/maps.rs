//! Maps that are kept both ways: ids and their numbers, snowflakes and what they stand for.

use nexus_event_store::{
    catalogue::{
        EventPlaces, Events, Heads, RoomNumbers, RoomSnowflakes, Rooms, Snowflakes, StateKeyNumbers,
        StateKeys, Table, Transactions, UserNumbers, UserSnowflakes, Users,
    },
    codec::Text,
    rows::SnowflakeRow,
    table_list::TableInfo,
};

use super::{Check, Cursor};

impl Check<'_> {
    pub(crate) async fn maps(&mut self) {
        self.rooms().await;
        self.users().await;
        self.state_keys().await;
        self.snowflakes().await;
        self.event_places().await;
    }

    /// Reports unless `T` has `value` under `key`.
    async fn expect<T: Table>(&mut self, table: &'static str, row: &str, key: &T::Key, value: &T::Value)
    where
        T::Value: Send + PartialEq,
    {
        match self.look::<T>(key).await {
            Ok(Some(found)) if found == *value => {}
            Ok(Some(found)) => {
                self.problem(table, row, None, format!("table {} says {found:?} of {key:?}", T::NAME));
            }
            Ok(None) => self.problem(table, row, None, format!("table {} has no {key:?}", T::NAME)),
            Err(error) => self.problem(table, row, None, error.to_string()),
        }
    }

    async fn rooms(&mut self) {
        let mut cursor = Cursor::new(&TableInfo::of::<Rooms>());
        while let Some(rows) = self.typed::<Rooms>(&mut cursor).await {
            for (room, row) in rows {
                let words = format!("{room:?}");
                self.expect::<RoomNumbers>("rooms", &words, &Text(row.room_id), &room).await;
                if let Ok(None) = self.look::<Heads>(&room).await {
                    self.problem("rooms", &words, None, "it has no head");
                }
                match self.look::<RoomSnowflakes>(&room).await {
                    Ok(Some(snowflake)) => {
                        let stands_for = SnowflakeRow::Room(room);
                        self.expect::<Snowflakes>("room_snowflakes", &words, &snowflake, &stands_for).await;
                    }
                    Ok(None) => self.problem("rooms", &words, None, "it has no snowflake"),
                    Err(error) => self.problem("rooms", &words, None, error.to_string()),
                }
            }
        }
        let mut cursor = Cursor::new(&TableInfo::of::<RoomNumbers>());
        while let Some(rows) = self.typed::<RoomNumbers>(&mut cursor).await {
            for (id, room) in rows {
                let found = self.look::<Rooms>(&room).await;
                if !matches!(&found, Ok(Some(row)) if row.room_id == id.0) {
                    let what = format!("{room:?} is not that room: {found:?}");
                    self.problem("room_numbers", id.0, None, what);
                }
            }
        }
    }

    async fn users(&mut self) {
        let mut cursor = Cursor::new(&TableInfo::of::<Users>());
        while let Some(rows) = self.typed::<Users>(&mut cursor).await {
            for (user, id) in rows {
                let words = format!("{user:?}");
                self.expect::<UserNumbers>("users", &words, &Text(id), &user).await;
                match self.look::<UserSnowflakes>(&user).await {
                    Ok(Some(snowflake)) => {
                        let stands_for = SnowflakeRow::User(user);
                        self.expect::<Snowflakes>("user_snowflakes", &words, &snowflake, &stands_for).await;
                    }
                    Ok(None) => self.problem("users", &words, None, "the user has no snowflake"),
                    Err(error) => self.problem("users", &words, None, error.to_string()),
                }
            }
        }
        let mut cursor = Cursor::new(&TableInfo::of::<UserNumbers>());
        while let Some(rows) = self.typed::<UserNumbers>(&mut cursor).await {
            for (id, user) in rows {
                self.expect::<Users>("user_numbers", &id.0.clone(), &user, &id.0).await;
            }
        }
    }

    async fn state_keys(&mut self) {
        let mut cursor = Cursor::new(&TableInfo::of::<StateKeys>());
        while let Some(rows) = self.typed::<StateKeys>(&mut cursor).await {
            for (number, row) in rows {
                let key = (row.event_type, Text(row.state_key));
                self.expect::<StateKeyNumbers>("state_keys", &format!("{number:?}"), &key, &number).await;
            }
        }
        let mut cursor = Cursor::new(&TableInfo::of::<StateKeyNumbers>());
        while let Some(rows) = self.typed::<StateKeyNumbers>(&mut cursor).await {
            for (key, number) in rows {
                let found = self.look::<StateKeys>(&number).await;
                let same = |row: &nexus_event_store::rows::StateKeyRow| {
                    row.event_type == key.0 && row.state_key == key.1.0
                };
                if !matches!(&found, Ok(Some(row)) if same(row)) {
                    let what = format!("{number:?} is not that key: {found:?}");
                    self.problem("state_key_numbers", format!("{key:?}"), None, what);
                }
            }
        }
    }

    async fn snowflakes(&mut self) {
        let mut cursor = Cursor::new(&TableInfo::of::<Snowflakes>());
        while let Some(rows) = self.typed::<Snowflakes>(&mut cursor).await {
            for (snowflake, row) in rows {
                let words = format!("{snowflake:?}");
                match row {
                    SnowflakeRow::Room(room) => {
                        self.expect::<RoomSnowflakes>("snowflakes", &words, &room, &snowflake).await;
                    }
                    SnowflakeRow::User(user) => {
                        self.expect::<UserSnowflakes>("snowflakes", &words, &user, &snowflake).await;
                    }
                    SnowflakeRow::Message(place) => {
                        match self.look::<Events>(&(place.room, place.event)).await {
                            Ok(Some(event)) if event.snowflake == Some(snowflake) => {}
                            Ok(Some(event)) => {
                                let what = format!("its event has {:?}", event.snowflake);
                                self.problem("snowflakes", words, Some(&event.event_id), what);
                            }
                            Ok(None) => self.problem("snowflakes", words, None, "its event is missing"),
                            Err(error) => self.problem("snowflakes", words, None, error.to_string()),
                        }
                    }
                }
            }
        }
    }

    /// Event ids and transaction ids lead to events that are there.
    async fn event_places(&mut self) {
        let mut cursor = Cursor::new(&TableInfo::of::<EventPlaces>());
        while let Some(rows) = self.typed::<EventPlaces>(&mut cursor).await {
            for (id, place) in rows {
                match self.look::<Events>(&(place.room, place.event)).await {
                    Ok(Some(event)) if event.event_id == id.0 => {}
                    Ok(Some(event)) => {
                        let what = format!("{place:?} is the event {}", event.event_id);
                        self.problem("event_places", &id.0, Some(&id.0), what);
                    }
                    Ok(None) => self.problem("event_places", &id.0, Some(&id.0), "the event is missing"),
                    Err(error) => self.problem("event_places", &id.0, Some(&id.0), error.to_string()),
                }
            }
        }
        let mut cursor = Cursor::new(&TableInfo::of::<Transactions>());
        while let Some(rows) = self.typed::<Transactions>(&mut cursor).await {
            for (key, place) in rows {
                if let Ok(None) = self.look::<Events>(&(place.room, place.event)).await {
                    self.problem("transactions", format!("{key:?}"), None, format!("{place:?} is missing"));
                }
            }
        }
    }
}
