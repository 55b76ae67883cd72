//! The simulator: the real core on simulated time, a faulty disk and one seed.
//!
//! [`executor`] runs tasks one at a time in an order drawn from the seed and owns the clock; [`disk`] is
//! what the in-memory engine syncs to; [`server`] is a server without facades; [`storm`] is the first
//! scenario: many clients write to many rooms while the server is killed again and again. The same seed
//! gives the same trace hash; a different hash for one seed is a bug in the core.

pub mod disk;
pub mod executor;
pub mod server;
pub mod storm;
