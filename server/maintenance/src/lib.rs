//! Care of a store as a whole: is it sound, can it be copied and brought back, can a room leave it.
//!
//! Start with [`verify`] (what `nexus log verify` checks), [`backup`] (copies that are whole or not there)
//! and [`purge`] (a room goes, and nothing else). [`tables`] joins the lists of all crates that own rows.
//! The crate knows no API and decides nothing about rooms; it treats tables alike wherever it can.

pub mod backup;
pub mod purge;
pub mod tables;
pub mod verify;
