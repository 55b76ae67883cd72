//! A real S3 server (`s3s-fs`: it checks signatures and keeps objects in a folder) on a free loopback port.

use std::path::Path;

use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
};
use nexus_media::S3Bucket;
use s3s::{auth::SimpleAuth, service::S3ServiceBuilder};
use s3s_fs::FileSystem;
use tokio::net::TcpListener;

/// Starts the server over `folder`; it ends with the test's runtime.
#[expect(clippy::disallowed_methods, reason = "a server for a test has no world of its own")]
pub(crate) async fn start(folder: &Path) -> S3Bucket {
    std::fs::create_dir(folder.join("media")).unwrap();
    let mut builder = S3ServiceBuilder::new(FileSystem::new(folder).unwrap());
    builder.set_auth(SimpleAuth::from_single("key-id", "secret"));
    let service = builder.build();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let service = service.clone();
            tokio::spawn(async move {
                let server = Builder::new(TokioExecutor::new());
                // A client that goes away is none of our business.
                drop(server.serve_connection(TokioIo::new(socket), service).await);
            });
        }
    });
    S3Bucket {
        endpoint: format!("http://{address}"),
        bucket: "media".to_owned(),
        region: "us-east-1".to_owned(),
        access_key_id: "key-id".to_owned(),
        secret_access_key: "secret".to_owned(),
    }
}
