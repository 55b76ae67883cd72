//! Checks of the source tree: `make test` runs them with everything else.

mod attacks;
mod edges;
mod links;
mod sizes;
mod sources;
mod tree;
