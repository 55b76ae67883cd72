//! Walks along `auth_events`: the auth difference and the conflicted state subgraph.
//!
//! No event is parsed for them: citations are all they read. Each event met gets a small number, its node, so
//! that sets of events are vectors; the resolution that follows goes on with the same nodes.
//!
//! **Errors**: [`ResolveError`] when the source does not hold an event that the walk meets.
//! **Source**: Matrix v1.19, room version 2, "Auth difference"; MSC4297, "conflicted state subgraph".

use std::{collections::HashMap, hash::Hash};

use foldhash::fast::FixedState;

use super::{ResolutionSource, ResolveError, missing_citation};

/// The citations of a room's events, as far as they were walked.
pub(crate) struct Citations<'s, Id, S> {
    source: &'s S,
    ids: Vec<Id>,
    nodes: HashMap<Id, usize, FixedState>,
    /// Where in `flat` the citations of a node are, once they were asked for.
    spans: Vec<Option<(usize, usize)>>,
    flat: Vec<usize>,
}

impl<'s, Id: Copy + Eq + Hash + Ord, S: ResolutionSource<Id>> Citations<'s, Id, S> {
    pub(crate) fn new(source: &'s S) -> Self {
        Self {
            source,
            ids: Vec::new(),
            nodes: HashMap::with_hasher(FixedState::default()),
            spans: Vec::new(),
            flat: Vec::new(),
        }
    }

    /// The node of an event.
    pub(super) fn node(&mut self, id: Id) -> usize {
        let next = self.ids.len();
        let node = *self.nodes.entry(id).or_insert(next);
        if node == next {
            self.ids.push(id);
            self.spans.push(None);
        }
        node
    }

    /// The event of a node.
    pub(super) fn id(&self, node: usize) -> Id {
        self.ids[node]
    }

    /// How many nodes there are.
    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }

    pub(super) fn source(&self) -> &'s S {
        self.source
    }

    /// What an event cites.
    pub(super) fn cited(&mut self, node: usize) -> Result<&[usize], ResolveError> {
        let (from, to) = self.span(node)?;
        Ok(&self.flat[from..to])
    }

    /// Where in `flat` the citations of a node are.
    fn span(&mut self, node: usize) -> Result<(usize, usize), ResolveError> {
        if let Some(span) = self.spans[node] {
            return Ok(span);
        }
        let id = self.ids[node];
        let cited = self.source.auth_events(id).ok_or_else(|| missing_citation(self.source, id))?;
        let from = self.flat.len();
        for id in cited {
            let cited = self.node(id);
            self.flat.push(cited);
        }
        let span = (from, self.flat.len());
        self.spans[node] = Some(span);
        Ok(span)
    }

    /// Calls `enter` for some events and everything behind them; what it answers `false` for is not walked.
    fn walk(
        &mut self,
        from: impl IntoIterator<Item = Id>,
        mut enter: impl FnMut(usize) -> bool,
    ) -> Result<(), ResolveError> {
        let mut open = Vec::new();
        for id in from {
            let node = self.node(id);
            if enter(node) {
                open.push(node);
            }
            while let Some(node) = open.pop() {
                let (from, to) = self.span(node)?;
                open.extend(self.flat[from..to].iter().copied().filter(|cited| enter(*cited)));
            }
        }
        Ok(())
    }

    /// The events in the auth chains of some states, but not of all: of `agreed`, which all of them have, and
    /// of `disputed`, what each of them has beside it.
    pub(crate) fn difference(
        &mut self,
        agreed: impl IntoIterator<Item = Id>,
        disputed: &[Vec<Id>],
    ) -> Result<Vec<Id>, ResolveError> {
        // What the agreed events rest on is in every chain: it counts as walked by nobody.
        let mut by_all: Vec<bool> = Vec::new();
        self.walk(agreed, |node| !std::mem::replace(place(&mut by_all, node), true))?;
        let count: usize = disputed.iter().map(Vec::len).sum();
        self.nodes.reserve(count);
        self.ids.reserve(count);
        self.spans.reserve(count);
        // How many states reach a node, and which was the last of them.
        let mut reached: Vec<(usize, usize)> = Vec::new();
        for (state, events) in disputed.iter().enumerate() {
            self.walk(events.iter().copied(), |node| {
                let (count, last) = place(&mut reached, node);
                if by_all.get(node) == Some(&true) || (*count > 0 && *last == state) {
                    return false;
                }
                (*count, *last) = (*count + 1, state);
                true
            })?;
        }
        let partly = reached.iter().enumerate().filter(|(_, (count, _))| (1..disputed.len()).contains(count));
        Ok(partly.map(|(node, _)| self.ids[node]).collect())
    }

    /// Every event on a path from one of these to another, both ends included.
    pub(crate) fn between(&mut self, ends: &[Id]) -> Result<Vec<Id>, ResolveError> {
        // Whether a node reaches an end; what rests on it is decided after it.
        let mut reaches: Vec<Option<bool>> = Vec::new();
        let ends: Vec<usize> = ends.iter().map(|id| self.node(*id)).collect();
        let mut is_end = vec![false; self.len()];
        ends.iter().for_each(|end| is_end[*end] = true);
        let mut open: Vec<(usize, Visit)> = Vec::new();
        for end in ends {
            open.push((end, Visit::Enter));
            while let Some((node, visit)) = open.pop() {
                match visit {
                    Visit::Enter if place(&mut reaches, node).is_some() => {}
                    Visit::Enter => {
                        // A preliminary answer, so that an event is entered once whatever cites it.
                        *place(&mut reaches, node) = Some(is_end.get(node) == Some(&true));
                        open.push((node, Visit::Leave));
                        let (from, to) = self.span(node)?;
                        let unseen = self.flat[from..to].iter().copied();
                        open.extend(unseen.map(|cited| (cited, Visit::Enter)));
                    }
                    Visit::Leave => {
                        let (from, to) = self.span(node)?;
                        if self.flat[from..to].iter().any(|cited| reaches.get(*cited) == Some(&Some(true))) {
                            reaches[node] = Some(true);
                        }
                    }
                }
            }
        }
        let found = reaches.iter().enumerate().filter(|(_, reaches)| **reaches == Some(true));
        Ok(found.map(|(node, _)| self.ids[node]).collect())
    }
}

#[derive(Clone, Copy)]
enum Visit {
    Enter,
    Leave,
}

/// The entry of a node in a vector that grows with the walk.
pub(super) fn place<T: Clone + Default>(of: &mut Vec<T>, node: usize) -> &mut T {
    if of.len() <= node {
        of.resize(node + 1, T::default());
    }
    &mut of[node]
}
