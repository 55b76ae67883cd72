//! The events that one resolution reads, loaded before it begins: the algorithm itself does no I/O.
//!
//! Held are the full conflicted set, what its events cite, the history of power levels behind those, and of
//! the state that is agreed on, what the rules may ask for.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use nexus_event_store::{
    EventNo, KeyNo, NodeHash, RoomNo, Rows as _, StoreError, Tx, catalogue::Events, rows::EventPlace,
};
use nexus_state_resolution::{Conflict, Pdu, ResolutionSource, RoomVersion, auth_types};
use nexus_views::{Event, Reader};
use ruma::{EventId, OwnedEventId};

use crate::RoomsError;

/// An event, and what it cites.
struct HeldEvent {
    pdu: Arc<Pdu>,
    cited: Vec<EventNo>,
}

/// What one resolution reads.
#[derive(Default)]
pub(super) struct Held {
    events: BTreeMap<EventNo, HeldEvent>,
    numbers: BTreeMap<OwnedEventId, EventNo>,
    agreed: BTreeMap<(String, String), EventNo>,
}

impl Held {
    /// Everything that resolving `conflict` reads; the states agree with `root` but for the `disputed` keys.
    pub(super) async fn load(
        reader: Reader<'_, Tx>,
        room: RoomNo,
        version: RoomVersion,
        root: NodeHash,
        disputed: &BTreeSet<KeyNo>,
        conflict: &Conflict<EventNo>,
    ) -> Result<Self, RoomsError> {
        let mut held = Self::default();
        let parts = [&conflict.disputed, &conflict.difference, &conflict.subgraph];
        let full: BTreeSet<EventNo> = parts.into_iter().flatten().copied().collect();
        held.take(reader, room, version, full.iter().copied()).await?;
        let mut asked = BTreeSet::from([
            ("m.room.create".to_owned(), String::new()),
            ("m.room.power_levels".to_owned(), String::new()),
            ("m.room.join_rules".to_owned(), String::new()),
        ]);
        for event in held.events.values() {
            let pdu = &event.pdu;
            asked.insert((pdu.event_type().to_owned(), pdu.state_key().unwrap_or_default().to_owned()));
            // One that is too malformed to be judged reads nothing.
            let (kind, key) = (pdu.event_type(), pdu.state_key());
            asked.extend(auth_types(version, kind, pdu.sender(), key, pdu.content()).unwrap_or_default());
        }
        for (kind, key) in asked {
            if let Some(number) = reader.key_no(&kind, &key).await?
                && !disputed.contains(&number)
                && let Some(event) = reader.state_event_no(room, root, &kind, &key).await?
            {
                held.agreed.insert((kind, key), event);
            }
        }
        let agreed: Vec<EventNo> = held.agreed.values().copied().collect();
        held.take(reader, room, version, agreed).await?;
        let cited: Vec<EventNo> = full.iter().flat_map(|event| held.cited(*event).to_vec()).collect();
        held.take(reader, room, version, cited).await?;
        held.take_levels(reader, room, version).await?;
        Ok(held)
    }

    /// Some events and nothing else.
    pub(super) async fn load_all<'e>(
        reader: Reader<'_, Tx>,
        room: RoomNo,
        version: RoomVersion,
        events: impl Iterator<Item = &'e EventNo> + Send,
    ) -> Result<Self, RoomsError> {
        let mut held = Self::default();
        held.take(reader, room, version, events.copied()).await?;
        Ok(held)
    }

    /// Loads those events that are not held yet.
    async fn take(
        &mut self,
        reader: Reader<'_, Tx>,
        room: RoomNo,
        version: RoomVersion,
        events: impl IntoIterator<Item = EventNo, IntoIter: Send> + Send,
    ) -> Result<(), StoreError> {
        for number in events {
            if self.events.contains_key(&number) {
                continue;
            }
            let row = reader.rows.existing::<Events>(&(room, number)).await?;
            let cited = row.auth.clone();
            let place = EventPlace { room, event: number };
            let event = Event::from_row(place.room, place.event, version, row)?;
            self.numbers.insert(event.pdu.event_id().to_owned(), number);
            self.events.insert(number, HeldEvent { pdu: event.pdu, cited });
        }
        Ok(())
    }

    /// Loads what the held power levels cite, and so on: the mainline may go through any of them.
    async fn take_levels(
        &mut self,
        reader: Reader<'_, Tx>,
        room: RoomNo,
        version: RoomVersion,
    ) -> Result<(), StoreError> {
        let mut seen: BTreeSet<EventNo> = BTreeSet::new();
        loop {
            let is_new = |(number, event): &(&EventNo, &HeldEvent)| {
                event.pdu.event_type() == "m.room.power_levels" && !seen.contains(number)
            };
            let levels: Vec<EventNo> = self.events.iter().filter(is_new).map(|(number, _)| *number).collect();
            if levels.is_empty() {
                return Ok(());
            }
            for number in levels {
                seen.insert(number);
                let cited = self.cited(number).to_vec();
                self.take(reader, room, version, cited).await?;
            }
        }
    }

    fn cited(&self, event: EventNo) -> &[EventNo] {
        self.events.get(&event).map_or(&[], |event| &event.cited)
    }

    /// The event that all states have under a type and key.
    pub(super) fn agreed(&self, kind: &str, key: &str) -> Option<EventNo> {
        self.agreed.get(&(kind.to_owned(), key.to_owned())).copied()
    }

    pub(super) fn event(&self, event: EventNo) -> Option<&Arc<Pdu>> {
        self.events.get(&event).map(|event| &event.pdu)
    }
}

impl ResolutionSource<EventNo> for Held {
    fn pdu(&self, id: EventNo) -> Option<Arc<Pdu>> {
        self.event(id).map(Arc::clone)
    }

    fn id_of(&self, event_id: &EventId) -> Option<EventNo> {
        self.numbers.get(event_id).copied()
    }

    fn auth_events(&self, id: EventNo) -> Option<Vec<EventNo>> {
        self.events.get(&id).map(|event| event.cited.clone())
    }
}
