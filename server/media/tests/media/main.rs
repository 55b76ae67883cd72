//! Media over each storage: memory, a folder, and a real S3 server on a loopback socket.

mod life;
mod s3;
mod world;
