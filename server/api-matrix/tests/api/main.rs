//! The API through its router, on an in-memory store: what a client sees, without sockets.

mod accounts;
mod http;
mod rooms;
mod sync;
mod visibility;
mod world;
