//! Media over each storage: memory, a folder, and a real S3 server on a loopback socket.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod life;
mod s3;
mod world;
