//! The state tries: a node is named by its content, its children are there and as large as it says.

use nexus_event_store::{
    Bytes, NodeHash, RoomNo,
    catalogue::Nodes,
    rows::NodeRow,
    table_list::TableInfo,
    trie::{LEAF_ENTRIES, Node},
};

use super::{Check, Cursor};

/// How many entries a subtree has, by its topmost node.
fn entries(node: &Node) -> usize {
    match node {
        Node::Leaf(entries) => entries.len(),
        Node::Branch(children) => children.iter().map(|child| child.count() as usize).sum(),
    }
}

impl Check<'_> {
    pub(crate) async fn tries(&mut self) {
        let mut cursor = Cursor::new(&TableInfo::of::<Nodes>());
        while let Some(rows) = self.typed::<Nodes>(&mut cursor).await {
            for ((room, hash), NodeRow(bytes)) in rows {
                self.summary.nodes += 1;
                self.listener.rows("nodes", 1);
                self.node(room, hash, &bytes).await;
            }
        }
    }

    async fn node(&mut self, room: RoomNo, hash: NodeHash, bytes: &Bytes) {
        let key = format!("({room}, {hash:?})");
        if Node::hash(bytes) != hash {
            self.problem("nodes", &key, None, "its content has another hash");
        }
        let Some(node) = Node::decode(bytes) else {
            self.problem("nodes", &key, None, "it is no node");
            return;
        };
        let count = entries(&node);
        match &node {
            Node::Leaf(entries) => {
                let in_order = entries.windows(2).all(|pair| pair[0].0 < pair[1].0);
                if !in_order || !(1..=LEAF_ENTRIES).contains(&count) {
                    self.problem(
                        "nodes",
                        &key,
                        None,
                        format!("a leaf of {count} entries, in order: {in_order}"),
                    );
                }
            }
            Node::Branch(children) => {
                if count <= LEAF_ENTRIES {
                    self.problem(
                        "nodes",
                        &key,
                        None,
                        format!("a branch over {count} entries should be a leaf"),
                    );
                }
                for child in children.iter().filter(|child| child.count() > 0) {
                    let found = self.look::<Nodes>(&(room, child.hash())).await;
                    let size = match &found {
                        Ok(Some(NodeRow(bytes))) => Node::decode(bytes).map(|node| entries(&node)),
                        _ => None,
                    };
                    if size != Some(child.count() as usize) {
                        let what = format!(
                            "its child {:?} has {size:?} entries, not {}; a missing node: {}",
                            child.hash(),
                            child.count(),
                            matches!(found, Ok(None))
                        );
                        self.problem("nodes", &key, None, what);
                    }
                }
            }
        }
    }
}
