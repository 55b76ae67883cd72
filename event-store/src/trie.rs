//! State snapshots as persistent tries in canonical form (design §3).
//!
//! A snapshot maps interned (type, state_key) pairs to events and is named by its root. Nodes are named by
//! (room, content hash), shared by all snapshots of the room and written if absent; equal maps have equal
//! roots, whatever order they were built in. A change costs O(log n) bytes, two snapshots are compared in
//! O(differences).
//!
//! **Shapes**: a map of at most [`LEAF_ENTRIES`] entries is one leaf; a larger one is a branch of eight by the
//! next three bits of the mixed key number. A leaf is `0`, then varint pairs (key, event) by key; a branch is
//! `1`, a byte of present children, then for each its varint count and its hash.
//! **Errors**: [`StoreError::Missing`] when a node is not there, which means the store is damaged.

use std::collections::BTreeMap;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::{
    catalogue::Nodes,
    error::StoreError,
    ids::{EventNo, KeyNo, NodeHash, RoomNo},
    read::Rows,
    rows::NodeRow,
    world::BoxFuture,
};

/// The largest map that is kept as one leaf.
pub const LEAF_ENTRIES: usize = 16;
const BITS: u32 = 3;
const FANOUT: usize = 1 << BITS;

/// A change to a snapshot: the event a key now has, or `None` to remove the key.
pub type Change = (KeyNo, Option<EventNo>);

/// How a key differs between two snapshots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Difference {
    /// The key.
    pub key: KeyNo,
    /// Its event in the first snapshot.
    pub left: Option<EventNo>,
    /// Its event in the second snapshot.
    pub right: Option<EventNo>,
}

/// A subtree: its name and how many entries it holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Subtree {
    hash: NodeHash,
    count: u32,
}

impl Subtree {
    /// The name of its topmost node.
    #[must_use]
    pub fn hash(self) -> NodeHash {
        self.hash
    }

    /// How many entries it holds.
    #[must_use]
    pub fn count(self) -> u32 {
        self.count
    }
}

/// A decoded node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// Entries in key order.
    Leaf(Vec<(KeyNo, EventNo)>),
    /// Children by slot; an empty one has count 0.
    Branch([Subtree; FANOUT]),
}

/// Spreads key numbers over the trie; a bijection, so two keys always part at some level.
fn mix(key: KeyNo) -> u64 {
    let mut z = key.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn slot(key: KeyNo, level: u32) -> usize {
    // The shift stays below 64: a bijection over 64 bits parts any two keys by level 21.
    ((mix(key) >> (level * BITS)) as usize) & (FANOUT - 1)
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value as u8 & 0x7f) | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

impl Node {
    /// The node's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(128);
        match self {
            Node::Leaf(entries) => {
                out.push(0);
                for (key, event) in entries {
                    put_varint(&mut out, key.0);
                    put_varint(&mut out, event.0);
                }
            }
            Node::Branch(children) => {
                let present = children
                    .iter()
                    .enumerate()
                    .fold(0u8, |bits, (slot, child)| bits | (u8::from(child.count > 0) << slot));
                out.extend([1, present]);
                for child in children.iter().filter(|child| child.count > 0) {
                    put_varint(&mut out, u64::from(child.count));
                    out.extend_from_slice(&child.hash.0);
                }
            }
        }
        out
    }

    /// Reads a node; `None` if the bytes are none.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Node> {
        let (tag, mut rest) = bytes.split_first()?;
        match tag {
            0 => {
                let mut entries = Vec::with_capacity(LEAF_ENTRIES);
                while !rest.is_empty() {
                    entries.push((KeyNo(take_varint(&mut rest)?), EventNo(take_varint(&mut rest)?)));
                }
                Some(Node::Leaf(entries))
            }
            1 => {
                let (present, tail) = rest.split_first()?;
                rest = tail;
                let mut children = [Subtree::default(); FANOUT];
                for (slot, child) in children.iter_mut().enumerate() {
                    if present & (1 << slot) != 0 {
                        child.count = take_varint(&mut rest)?.try_into().ok()?;
                        let (hash, tail) = rest.split_first_chunk::<16>()?;
                        child.hash = NodeHash(*hash);
                        rest = tail;
                    }
                }
                rest.is_empty().then_some(Node::Branch(children))
            }
            _ => None,
        }
    }

    /// The node's name.
    #[must_use]
    pub fn hash(encoded: &[u8]) -> NodeHash {
        let digest = Sha256::digest(encoded);
        let mut hash = [0; 16];
        hash.copy_from_slice(&digest[..16]);
        NodeHash(hash)
    }
}

async fn load<R: Rows>(rows: &R, room: RoomNo, hash: NodeHash) -> Result<Node, StoreError> {
    if hash == NodeHash::EMPTY {
        return Ok(Node::Leaf(Vec::new()));
    }
    let missing = StoreError::Missing { table: "nodes" };
    let NodeRow(bytes) = rows.row::<Nodes>(&(room, hash)).await?.ok_or(missing.clone())?;
    Node::decode(&bytes).ok_or(missing)
}

/// Like [`load`], but sees nodes that are not written yet.
async fn load_new<R: Rows>(
    rows: &R,
    room: RoomNo,
    hash: NodeHash,
    nodes: &NewNodes,
) -> Result<Node, StoreError> {
    match nodes.get(&hash).and_then(|encoded| Node::decode(encoded)) {
        Some(node) => Ok(node),
        None => load(rows, room, hash).await,
    }
}

/// The event of `key` in the snapshot `root`.
///
/// # Errors
/// When a node cannot be read.
pub async fn get<R: Rows>(
    rows: &R,
    room: RoomNo,
    root: NodeHash,
    key: KeyNo,
) -> Result<Option<EventNo>, StoreError> {
    let mut hash = root;
    for level in 0.. {
        match load(rows, room, hash).await? {
            Node::Leaf(entries) => {
                return Ok(entries
                    .binary_search_by_key(&key, |(key, _)| *key)
                    .ok()
                    .map(|index| entries[index].1));
            }
            Node::Branch(children) => {
                let child = children[slot(key, level)];
                if child.count == 0 {
                    return Ok(None);
                }
                hash = child.hash;
            }
        }
    }
    Ok(None)
}

/// All entries of a snapshot, by key.
///
/// # Errors
/// When a node cannot be read.
pub async fn entries<R: Rows>(
    rows: &R,
    room: RoomNo,
    root: NodeHash,
) -> Result<BTreeMap<KeyNo, EventNo>, StoreError> {
    let mut all = BTreeMap::new();
    let mut open = vec![root];
    while let Some(hash) = open.pop() {
        match load(rows, room, hash).await? {
            Node::Leaf(entries) => all.extend(entries),
            Node::Branch(children) => {
                open.extend(children.iter().filter(|child| child.count > 0).map(|child| child.hash));
            }
        }
    }
    Ok(all)
}

/// Where new nodes go: encoded, by name.
pub type NewNodes = BTreeMap<NodeHash, Bytes>;

fn keep(node: &Node, count: usize, nodes: &mut NewNodes) -> Subtree {
    if count == 0 {
        return Subtree::default();
    }
    let encoded = node.encode();
    let hash = Node::hash(&encoded);
    nodes.insert(hash, encoded.into());
    // A room's state is bounded far below four thousand million keys.
    Subtree { hash, count: u32::try_from(count).unwrap_or(u32::MAX) }
}

/// The canonical subtree of `entries` (sorted by key) at `level`.
fn build(entries: Vec<(KeyNo, EventNo)>, level: u32, nodes: &mut NewNodes) -> Subtree {
    let count = entries.len();
    if count <= LEAF_ENTRIES {
        return keep(&Node::Leaf(entries), count, nodes);
    }
    let mut parts: [Vec<(KeyNo, EventNo)>; FANOUT] = Default::default();
    for entry in entries {
        parts[slot(entry.0, level)].push(entry);
    }
    let children = parts.map(|part| build(part, level + 1, nodes));
    keep(&Node::Branch(children), count, nodes)
}

fn merge(entries: Vec<(KeyNo, EventNo)>, changes: &[Change]) -> Vec<(KeyNo, EventNo)> {
    let mut map: BTreeMap<KeyNo, EventNo> = entries.into_iter().collect();
    for (key, event) in changes {
        match event {
            Some(event) => map.insert(*key, *event),
            None => map.remove(key),
        };
    }
    map.into_iter().collect()
}

fn update<'a, R: Rows>(
    rows: &'a R,
    room: RoomNo,
    hash: NodeHash,
    level: u32,
    changes: Vec<Change>,
    nodes: &'a mut NewNodes,
) -> BoxFuture<'a, Result<Subtree, StoreError>> {
    Box::pin(async move {
        let mut children = match load(rows, room, hash).await? {
            Node::Leaf(entries) => return Ok(build(merge(entries, &changes), level, nodes)),
            Node::Branch(children) => children,
        };
        let mut parts: [Vec<Change>; FANOUT] = Default::default();
        for change in changes {
            parts[slot(change.0, level)].push(change);
        }
        for (child, part) in children.iter_mut().zip(parts) {
            if !part.is_empty() {
                *child = update(rows, room, child.hash, level + 1, part, nodes).await?;
            }
        }
        let count: usize = children.iter().map(|child| child.count as usize).sum();
        if count > LEAF_ENTRIES {
            return Ok(keep(&Node::Branch(children), count, nodes));
        }
        // Few enough for one leaf again: gather, so that the form depends on the entries alone.
        let mut left = Vec::with_capacity(count);
        for child in children.iter().filter(|child| child.count > 0) {
            // A child that fits a leaf is one.
            let Node::Leaf(part) = load_new(rows, room, child.hash, nodes).await? else {
                return Err(StoreError::Missing { table: "nodes" });
            };
            left.extend(part);
        }
        left.sort_unstable();
        Ok(build(left, level, nodes))
    })
}

/// Applies `changes` to the snapshot `root`: the new root, and the nodes that it may need written.
///
/// # Errors
/// When a node cannot be read.
pub async fn apply<R: Rows>(
    rows: &R,
    room: RoomNo,
    root: NodeHash,
    changes: Vec<Change>,
) -> Result<(NodeHash, NewNodes), StoreError> {
    let mut nodes = NewNodes::new();
    let top = update(rows, room, root, 0, changes, &mut nodes).await?;
    Ok((top.hash, nodes))
}

/// Where two snapshots differ, by key; visits only what differs.
///
/// # Errors
/// When a node cannot be read.
pub async fn diff<R: Rows>(
    rows: &R,
    room: RoomNo,
    left: NodeHash,
    right: NodeHash,
) -> Result<Vec<Difference>, StoreError> {
    let mut found = Vec::new();
    let mut open = vec![(left, right)];
    while let Some((left, right)) = open.pop() {
        if left == right {
            continue;
        }
        match (load(rows, room, left).await?, load(rows, room, right).await?) {
            (Node::Branch(lefts), Node::Branch(rights)) => {
                open.extend(lefts.iter().zip(&rights).map(|(left, right)| (left.hash, right.hash)));
            }
            // One side is small: read both whole below this point.
            (Node::Leaf(_), _) | (_, Node::Leaf(_)) => {
                let lefts = entries(rows, room, left).await?;
                let rights = entries(rows, room, right).await?;
                found.extend(differences(&lefts, &rights));
            }
        }
    }
    found.sort_unstable();
    Ok(found)
}

fn differences<'a>(
    lefts: &'a BTreeMap<KeyNo, EventNo>,
    rights: &'a BTreeMap<KeyNo, EventNo>,
) -> impl Iterator<Item = Difference> + 'a {
    let changed = lefts.iter().filter_map(|(key, left)| {
        let right = rights.get(key).copied();
        (right != Some(*left)).then_some(Difference { key: *key, left: Some(*left), right })
    });
    let added = rights.iter().filter(|(key, _)| !lefts.contains_key(key)).map(|(key, right)| Difference {
        key: *key,
        left: None,
        right: Some(*right),
    });
    changed.chain(added)
}
