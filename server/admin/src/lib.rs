//! Administration of a running server: HTTP over a unix socket that only its owner can open.
//!
//! **Shapes**: JSON in and out on `admin.sock` in the data folder; a refusal is `{"error": "…"}` with a 4xx
//! status, a failure the same with 500. [`AdminSocket`] serves any router, so that other parts can put their
//! calls beside [`routes`]; [`Client`] is the other end, which `nexus admin` is made of. **Invariant**: whoever
//! can open the socket is trusted with everything, so its mode is 0600 before anybody can connect.

mod client;
mod refusal;
mod routes;
mod socket;

pub use client::{Client, ClientError};
pub use refusal::Refusal;
pub use routes::{AdminParts, routes};
pub use socket::{AdminSocket, SocketError};

/// The socket's name inside the data folder.
pub const SOCKET_FILE: &str = "admin.sock";
