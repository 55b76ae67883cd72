//! From a command to one atomic commit: decide → build and sign → authorise → resolve → stage → durable.
//!
//! A [`Decision`] holds the rooms that a command appends to. Every event goes through
//! [`Decision::append`], which cites and checks the state it is based on, so no event can be made that the
//! room's rules refuse. **Errors**: a rejection leaves nothing behind; a conflict is decided again.

use std::{collections::BTreeMap, future::Future, sync::Arc};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use nexus_event_store::{
    EventNo, NodeHash, Position, RoomNo, Rows as _, Snowflake, StoreError, Tx, UserNo,
    catalogue::{
        EventPlaces, Events, Heads, RoomNumbers, RoomSnowflakes, Rooms as RoomTable, Snowflakes, Timeline,
    },
    chains,
    codec::Text,
    event_id::EventIdKey,
    feed::Topic,
    rows::{EventPlace, EventRow, HeadRow, RoomRow, SnowflakeRow, TimelineRow, TransactionMark},
    trie,
    world::UnixMs,
};
use nexus_state_resolution::{Citation, Draft, Pdu, RoomVersion, auth_types, authorise, build};
use nexus_views::{
    Reader,
    project::{NewEvent, is_message_type, project},
};
use ruma::{
    CanonicalJsonObject, CanonicalJsonValue, EventId, MilliSecondsSinceUnixEpoch, OwnedEventId, OwnedRoomId,
    OwnedUserId, UInt,
};

use crate::{Appended, Rooms, RoomsError, error::Rejection};

/// A command that was overtaken this often gives up; with the rooms locked, only contention on accounts
/// and guild-wide rows can cause it at all.
const ATTEMPTS: usize = 64;

/// The most events of one command in one room: their place in the commit is one byte.
pub(crate) const EVENTS_PER_ROOM: usize = 250;

/// The most extremities that an event refers to.
const PREV_EVENTS: usize = 20;

/// A command's own part of the way in.
pub(crate) trait Decide: Sync {
    /// What the command gives back.
    type Output: Send;

    /// The rooms it appends to, as far as they exist.
    fn rooms(&self) -> Vec<RoomNo>;

    /// Appends what the command asks for, or refuses.
    fn decide(
        &self,
        decision: &mut Decision<'_>,
    ) -> impl Future<Output = Result<Self::Output, RoomsError>> + Send;
}

/// An event that a command wants to append.
pub(crate) struct NewPdu {
    pub(crate) sender: OwnedUserId,
    pub(crate) event_type: String,
    pub(crate) state_key: Option<String>,
    pub(crate) content: CanonicalJsonObject,
    pub(crate) redacts: Option<OwnedEventId>,
    pub(crate) transaction: Option<TransactionMark>,
}

impl NewPdu {
    pub(crate) fn message(sender: OwnedUserId, event_type: &str, content: CanonicalJsonObject) -> Self {
        Self {
            sender,
            event_type: event_type.to_owned(),
            state_key: None,
            content,
            redacts: None,
            transaction: None,
        }
    }

    pub(crate) fn state(
        sender: OwnedUserId,
        event_type: &str,
        state_key: impl Into<String>,
        content: CanonicalJsonObject,
    ) -> Self {
        Self { state_key: Some(state_key.into()), ..Self::message(sender, event_type, content) }
    }
}

/// A room that a decision appends to.
pub(crate) struct OpenRoom {
    pub(crate) room_id: OwnedRoomId,
    pub(crate) version: RoomVersion,
    /// The create event, which every authorisation reads.
    create: Option<Arc<Pdu>>,
    extremities: Vec<(EventNo, Citation)>,
    pub(crate) state: NodeHash,
    depth: u64,
    last_snowflake: Snowflake,
    appended: usize,
}

/// A command's transaction with the rooms it has open.
pub(crate) struct Decision<'r> {
    pub(crate) rooms: &'r Rooms,
    pub(crate) tx: Tx,
    pub(crate) now: UnixMs,
    open: BTreeMap<RoomNo, OpenRoom>,
}

impl Rooms {
    /// Runs a command to the end: its commit is on disk when this returns.
    pub(crate) async fn run<D: Decide>(&self, command: &D) -> Result<(D::Output, Position), RoomsError> {
        let store = self.inner.views.store();
        for _ in 0..ATTEMPTS {
            let held = self.inner.locks.take(&command.rooms()).await;
            let mut decision =
                Decision { rooms: self, tx: store.begin(), now: store.world().now(), open: BTreeMap::new() };
            let output = match command.decide(&mut decision).await {
                Ok(output) => output,
                Err(RoomsError::Store(StoreError::Conflict)) => continue,
                Err(error) => return Err(error),
            };
            let (tx, writes) = decision.close();
            if !writes {
                drop(held);
                match tx.settled().await {
                    Ok(position) => return Ok((output, position)),
                    Err(StoreError::Conflict) => continue,
                    Err(error) => return Err(error.into()),
                }
            }
            let staged = match tx.stage() {
                Ok(staged) => staged,
                Err(StoreError::Conflict) => continue,
                Err(error) => return Err(error.into()),
            };
            drop(held);
            return Ok((output, staged.durable().await?));
        }
        Err(StoreError::Conflict.into())
    }
}

impl Decision<'_> {
    /// Cached reads as this decision sees them.
    pub(crate) fn reader(&self) -> Reader<'_, Tx> {
        Reader { rows: &self.tx, caches: self.rooms.inner.views.caches() }
    }

    /// Writes the heads; tells whether the decision changes anything.
    fn close(self) -> (Tx, bool) {
        for (room, open) in self.open {
            if open.appended > 0 {
                let head = HeadRow {
                    extremities: open.extremities.into_iter().map(|(no, _)| no).collect(),
                    state: open.state,
                    depth: open.depth,
                    last_snowflake: open.last_snowflake,
                    position: Position::START,
                };
                self.tx.put_positioned::<Heads>(&room, head, |head, position| head.position = position);
            }
        }
        let writes = self.tx.has_writes();
        (self.tx, writes)
    }

    /// Makes readers forget an event whose row this decision changes: now, and when the change is durable.
    pub(crate) fn forget_event(&self, event: EventNo) {
        let caches = self.rooms.inner.views.shared_caches();
        caches.forget(event);
        self.tx.on_durable(move || caches.forget(event));
    }

    /// A room's id, without opening the room.
    pub(crate) async fn room_id(&self, room: RoomNo) -> Result<OwnedRoomId, RoomsError> {
        let row = self.tx.row::<RoomTable>(&room).await?.ok_or(Rejection::UnknownRoom)?;
        OwnedRoomId::try_from(row.room_id).map_err(|_| StoreError::Missing { table: "rooms" }.into())
    }

    /// The room as it stands in this decision.
    pub(crate) async fn room(&mut self, room: RoomNo) -> Result<&mut OpenRoom, RoomsError> {
        if !self.open.contains_key(&room) {
            let opened = self.open_room(room).await?;
            self.open.insert(room, opened);
        }
        self.open.get_mut(&room).ok_or_else(|| RoomsError::Internal("an open room is gone".to_owned()))
    }

    async fn open_room(&self, room: RoomNo) -> Result<OpenRoom, RoomsError> {
        let row = self.tx.row::<RoomTable>(&room).await?.ok_or(Rejection::UnknownRoom)?;
        let damaged = StoreError::Missing { table: "rooms" };
        let version = RoomVersion::parse(&row.version).ok_or(damaged.clone())?;
        let head = self.tx.existing::<Heads>(&room).await?;
        let mut extremities = Vec::with_capacity(head.extremities.len());
        for event in head.extremities {
            let last = self.reader().event(EventPlace { room, event }).await?;
            extremities.push((event, citation(&last.pdu)?));
        }
        let create = self.reader().state_event(room, head.state, "m.room.create", "").await?;
        Ok(OpenRoom {
            room_id: OwnedRoomId::try_from(row.room_id).map_err(|_| damaged)?,
            version,
            create: create.map(|event| Arc::clone(&event.pdu)),
            extremities,
            state: head.state,
            depth: head.depth,
            last_snowflake: head.last_snowflake,
            appended: 0,
        })
    }

    /// Founds a room with its create event.
    pub(crate) async fn found_room(
        &mut self,
        version: RoomVersion,
        room_id: Option<OwnedRoomId>,
        mut create: NewPdu,
    ) -> Result<RoomNo, RoomsError> {
        let room = self.tx.new_room_no();
        if version.room_id_is_create_event() {
            // The id is the hash of this event: without a nonce two rooms of one user, made alike in the
            // same millisecond, would be one.
            let nonce: [u8; 9] = self.tx.store().world().random_bytes();
            let nonce = CanonicalJsonValue::String(URL_SAFE_NO_PAD.encode(nonce));
            create.content.insert("nexus.nonce".to_owned(), nonce);
        }
        let draft = self.draft(create.sender.clone(), &create, room_id, &[], Vec::new(), 1);
        let transaction = create.transaction;
        let pdu = build(version, draft, &*self.rooms.inner.signer)?;
        authorise(version, &pdu, |_| None, |_, _| None)
            .map_err(|error| RoomsError::forbidden(error.to_string()))?;
        let room_id = pdu.room_id().to_owned();
        if self.tx.room_no(room_id.as_str()).await?.is_some() {
            return Err(RoomsError::Internal(format!("room {room_id} exists already")));
        }
        self.tx.put::<RoomNumbers>(&Text::from(room_id.as_str()), &room);
        let row = RoomRow { room_id: room_id.to_string(), version: version.as_str().to_owned() };
        self.tx.put::<RoomTable>(&room, &row);
        let snowflake = self.tx.store().next_snowflake(Snowflake::default());
        self.tx.put::<RoomSnowflakes>(&room, &snowflake);
        self.tx.put::<Snowflakes>(&snowflake, &SnowflakeRow::Room(room));
        let opened = OpenRoom {
            room_id,
            version,
            create: None,
            extremities: Vec::new(),
            state: NodeHash::EMPTY,
            depth: 0,
            last_snowflake: Snowflake::default(),
            appended: 0,
        };
        self.open.insert(room, opened);
        let pdu = Arc::new(pdu);
        self.keep(room, Arc::clone(&pdu), Vec::new(), transaction).await?;
        self.room(room).await?.create = Some(pdu);
        Ok(room)
    }

    fn draft(
        &self,
        sender: OwnedUserId,
        new: &NewPdu,
        room_id: Option<OwnedRoomId>,
        prev: &[(EventNo, Citation)],
        auth_events: Vec<Citation>,
        depth: u64,
    ) -> Draft {
        let now = UInt::new_saturating(self.now.0);
        Draft {
            room_id,
            sender,
            event_type: new.event_type.clone(),
            state_key: new.state_key.clone(),
            content: new.content.clone(),
            redacts: new.redacts.clone(),
            origin_server_ts: MilliSecondsSinceUnixEpoch(now),
            prev_events: prev.iter().rev().take(PREV_EVENTS).map(|(_, cited)| cited.clone()).collect(),
            auth_events,
            depth,
        }
    }

    /// Builds, signs and authorises an event on top of the room and keeps it.
    pub(crate) async fn append(&mut self, room: RoomNo, mut new: NewPdu) -> Result<Appended, RoomsError> {
        if new.event_type == "m.room.redaction" && new.redacts.is_none() {
            // Whoever reads its content would carry it out on our word: only `redact` decides that.
            let problem = "a redaction is made by redacting".to_owned();
            return Err(Rejection::BadField { field: "type", problem }.into());
        }
        let open = self.room(room).await?;
        if open.appended >= EVENTS_PER_ROOM {
            return Err(
                Rejection::TooMany { what: "events in one room at once", limit: EVENTS_PER_ROOM }.into()
            );
        }
        let (version, room_id, state, depth) =
            (open.version, open.room_id.clone(), open.state, open.depth + 1);
        let create = open.create.clone();
        let extremities = open.extremities.clone();
        self.sign_request(version, &room_id, &mut new)?;
        let raw = serde_json::value::to_raw_value(&new.content)
            .map_err(|error| RoomsError::Internal(error.to_string()))?;
        let cited = auth_types(version, &new.event_type, &new.sender, new.state_key.as_deref(), &raw)
            .map_err(|error| Rejection::BadField { field: "content", problem: error.to_string() })?;
        let mut known: Vec<((String, String), EventNo, Arc<Pdu>)> = Vec::with_capacity(cited.len());
        for (event_type, state_key) in cited {
            if let Some(event) = self.reader().state_event(room, state, &event_type, &state_key).await? {
                known.push(((event_type, state_key), event.no, Arc::clone(&event.pdu)));
            }
        }
        let auth = known.iter().map(|(_, no, _)| *no).collect();
        let cited = known.iter().map(|(_, _, pdu)| citation(pdu)).collect::<Result<_, _>>()?;
        let draft = self.draft(new.sender.clone(), &new, Some(room_id), &extremities, cited, depth);
        let pdu = build(version, draft, &*self.rooms.inner.signer)?;
        let by_id = |id: &EventId| {
            let cited = known.iter().map(|(_, _, pdu)| pdu).chain(create.as_ref());
            cited.into_iter().find(|pdu| pdu.event_id() == id).cloned()
        };
        let by_key = |event_type: &str, state_key: &str| {
            if event_type == "m.room.create" && state_key.is_empty() {
                return create.clone();
            }
            let mut cited = known.iter();
            cited
                .find(|((kind, key), ..)| kind == event_type && key == state_key)
                .map(|(.., pdu)| Arc::clone(pdu))
        };
        authorise(version, &pdu, by_id, by_key).map_err(|error| RoomsError::forbidden(error.to_string()))?;
        self.keep(room, Arc::new(pdu), auth, new.transaction).await
    }

    /// Writes an authorised event with everything that follows from it.
    async fn keep(
        &mut self,
        room: RoomNo,
        pdu: Arc<Pdu>,
        auth: Vec<EventNo>,
        transaction: Option<TransactionMark>,
    ) -> Result<Appended, RoomsError> {
        let no = self.tx.new_event_no();
        let cited = citation(&pdu)?;
        let before = self.room(room).await?.state;
        let after = match pdu.state_key() {
            Some(state_key) => {
                let key = self.tx.intern_state_key(pdu.event_type(), state_key).await?;
                let (root, nodes) = trie::apply(&self.tx, room, before, vec![(key, Some(no))]).await?;
                self.tx.put_nodes(room, nodes);
                chains::index(&self.tx, room, no, key, &auth).await?;
                root
            }
            None => before,
        };
        let is_shown = match pdu.state_key() {
            Some(_) => self.is_pin_notice(room, before, &pdu).await?,
            None => is_new_message(&pdu),
        };
        let snowflake = is_shown.then(|| {
            let last = self.open.get(&room).map_or(Snowflake::default(), |open| open.last_snowflake);
            self.tx.store().next_snowflake(last)
        });
        let sender: UserNo = self.tx.intern_user(pdu.sender().as_str()).await?;
        let open = self.room(room).await?;
        let index = u8::try_from(open.appended).unwrap_or(u8::MAX);
        let prev = std::mem::replace(&mut open.extremities, vec![(no, cited)]);
        open.state = after;
        open.depth = pdu.depth();
        open.last_snowflake = snowflake.unwrap_or(open.last_snowflake);
        open.appended += 1;
        let place = EventPlace { room, event: no };
        let row = EventRow {
            event_id: pdu.event_id().to_string(),
            json: pdu.json().to_owned(),
            prev: prev.into_iter().map(|(no, _)| no).collect(),
            auth,
            state_before: before,
            state_after: (after != before).then_some(after),
            position: Position::START,
            snowflake,
            redacted_by: None,
            transaction,
        };
        self.tx.put::<EventPlaces>(&EventIdKey::from(pdu.event_id().as_str()), &place);
        self.tx.put_positioned::<Events>(&(room, no), row, |row, position| row.position = position);
        self.tx.put_at::<Timeline>(move |position| {
            ((room, position, index), TimelineRow { event: no, state_now: None })
        });
        if let Some(snowflake) = snowflake {
            self.tx.put::<Snowflakes>(&snowflake, &SnowflakeRow::Message(place));
        }
        self.tx.add_event(place);
        self.tx.announce(Topic::Room(room));
        let event =
            NewEvent { room, no, pdu: &pdu, sender, snowflake, is_current_state: true, position: None };
        project(&self.tx, event).await?;
        Ok(Appended { room, no, event_id: pdu.event_id().to_owned(), snowflake })
    }
}

/// How the next events cite this one.
fn citation(pdu: &Pdu) -> Result<Citation, RoomsError> {
    pdu.citation().map_err(|error| RoomsError::Internal(error.to_string()))
}

/// An edit changes a message and is none itself.
fn is_new_message(pdu: &Pdu) -> bool {
    #[derive(serde::Deserialize)]
    struct Relates<'a> {
        #[serde(borrow)]
        rel_type: Option<std::borrow::Cow<'a, str>>,
    }
    #[derive(serde::Deserialize)]
    struct Content<'a> {
        #[serde(rename = "m.relates_to", borrow)]
        relates_to: Option<Relates<'a>>,
    }
    let is_edit = || {
        serde_json::from_str::<Content<'_>>(pdu.content().get()).is_ok_and(|content| {
            content.relates_to.is_some_and(|r| r.rel_type.as_deref() == Some("m.replace"))
        })
    };
    is_message_type(pdu.event_type()) && !is_edit()
}
