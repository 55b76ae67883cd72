//! Where a room's graph is forked: several states of it become one.
//!
//! The tries tell on which keys the states disagree, the auth-chain index what lies behind that; only then are
//! events read, and the algorithm itself runs on the CPU pool. What the states agree on is never looked at but
//! for the entries that the rules ask for, so the cost is that of the conflict, not of the room.
//!
//! **Shapes**: state roots in, a state root out; its new nodes are part of the decision.
//! **Errors**: store errors; [`RoomsError::Internal`] when an event that the room holds cannot be resolved.
//! **Source**: `nexus_state_resolution::resolve_conflict`, `nexus_event_store::chains`.

mod held;

use std::collections::{BTreeMap, BTreeSet};

use nexus_event_store::{
    EventNo, KeyNo, NodeHash, RoomNo, Tx,
    chains::{self, Shared},
    trie::{self, Change},
};
use nexus_state_resolution::{Conflict, ResolveError, RoomVersion, resolve, resolve_conflict};
use nexus_views::{Caches, Reader};

use self::held::Held;
use crate::RoomsError;

/// The state that these states of a room resolve to.
///
/// # Errors
/// Store errors; [`RoomsError::Internal`] when an event of the room cannot be resolved.
pub async fn resolve_states(
    tx: &Tx,
    caches: &Caches,
    room: RoomNo,
    states: &[NodeHash],
) -> Result<NodeHash, RoomsError> {
    let states: Vec<NodeHash> = states.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
    let [first, others @ ..] = &states[..] else { return Ok(NodeHash::EMPTY) };
    if others.is_empty() {
        return Ok(*first);
    }
    let reader = Reader { rows: tx, caches };
    let version = reader.room_version(room).await?;
    let dispute = Dispute::find(tx, room, *first, others).await?;
    let changes = match version.rules().state_res.v2_rules() {
        Some(rules) => {
            let wants_paths = rules.consider_conflicted_state_subgraph;
            settle(reader, room, version, *first, &dispute, wants_paths).await?
        }
        None => settle_v1(reader, room, version, &states).await?,
    };
    let (root, nodes) = trie::apply(tx, room, *first, changes).await?;
    tx.put_nodes(room, nodes);
    Ok(root)
}

/// On what some states disagree.
struct Dispute {
    keys: BTreeSet<KeyNo>,
    /// For each state its events under those keys.
    events: Vec<Vec<EventNo>>,
}

impl Dispute {
    async fn find(tx: &Tx, room: RoomNo, first: NodeHash, others: &[NodeHash]) -> Result<Self, RoomsError> {
        let mut of_first: BTreeMap<KeyNo, Option<EventNo>> = BTreeMap::new();
        let mut differing = Vec::with_capacity(others.len());
        for other in others {
            let mut of_other: BTreeMap<KeyNo, Option<EventNo>> = BTreeMap::new();
            for difference in trie::diff(tx, room, first, *other).await? {
                of_first.insert(difference.key, difference.left);
                of_other.insert(difference.key, difference.right);
            }
            differing.push(of_other);
        }
        // Where another state does not differ from the first, it has what the first has.
        let of_state = |own: &BTreeMap<KeyNo, Option<EventNo>>| {
            of_first.iter().filter_map(|(key, event)| *own.get(key).unwrap_or(event)).collect()
        };
        let events = std::iter::once(&of_first).chain(&differing).map(of_state).collect();
        Ok(Self { keys: of_first.into_keys().collect(), events })
    }
}

/// What changes in the first state to make it the resolved one.
async fn settle(
    reader: Reader<'_, Tx>,
    room: RoomNo,
    version: RoomVersion,
    first: NodeHash,
    dispute: &Dispute,
    wants_paths: bool,
) -> Result<Vec<Change>, RoomsError> {
    let tx = reader.rows;
    let shared = Shared { root: first, disputed: &dispute.keys };
    let difference = chains::auth_difference(tx, room, shared, &dispute.events).await?;
    let disputed: BTreeSet<EventNo> = dispute.events.iter().flatten().copied().collect();
    let subgraph =
        if wants_paths { chains::paths_between(tx, room, &disputed).await? } else { BTreeSet::new() };
    let conflict = Conflict {
        disputed: disputed.into_iter().collect(),
        difference: difference.into_iter().collect(),
        subgraph: subgraph.into_iter().collect(),
    };
    let held = Held::load(reader, room, version, first, &dispute.keys, &conflict).await?;
    let (winners, held) = tx
        .store()
        .world()
        .compute(move || {
            let agreed = |kind: &str, key: &str| held.agreed(kind, key);
            (resolve_conflict(version, &conflict, agreed, &held), held)
        })
        .await
        .ok_or_else(|| RoomsError::Internal("the CPU pool is closed".to_owned()))?;

    // A disputed key that nothing won is gone.
    let mut changes: BTreeMap<KeyNo, Option<EventNo>> = dispute.keys.iter().map(|key| (*key, None)).collect();
    for winner in winners.map_err(internal)? {
        let pdu = held.event(winner).ok_or_else(|| internal(ResolveError::MissingId))?;
        let state_key = pdu.state_key().unwrap_or_default();
        changes.insert(tx.intern_state_key(pdu.event_type(), state_key).await?, Some(winner));
    }
    Ok(changes.into_iter().collect())
}

/// The same by version 1 of the algorithm, for which no room is large: over whole snapshots.
async fn settle_v1(
    reader: Reader<'_, Tx>,
    room: RoomNo,
    version: RoomVersion,
    states: &[NodeHash],
) -> Result<Vec<Change>, RoomsError> {
    let mut snapshots = Vec::with_capacity(states.len());
    for state in states {
        snapshots.push(reader.snapshot(room, *state).await?);
    }
    let held = Held::load_all(reader, room, version, snapshots.iter().flat_map(BTreeMap::values)).await?;
    let resolved = resolve(version, &snapshots, &held).map_err(internal)?;
    let mut changes = Vec::new();
    for (key, event) in &resolved {
        if snapshots[0].get(key) != Some(event) {
            changes.push((reader.rows.intern_state_key(&key.0, &key.1).await?, Some(*event)));
        }
    }
    Ok(changes)
}

/// The room holds what it was built on, so this does not happen to a healthy store.
fn internal(error: ResolveError) -> RoomsError {
    RoomsError::Internal(format!("resolve the states of a room: {error}"))
}
