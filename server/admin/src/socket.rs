//! The server's end of the socket: appears with its final mode, goes with the server.
//!
//! It is made in a folder that only we can enter and moved into place, so there is no moment at which
//! another user could connect. A socket that nobody listens on is what a killed server left, and is replaced.
//! **Errors**: [`SocketError`], which names the path. **Units**: paths of any length, though the kernel's own
//! limit is 108 bytes.

use std::{
    fs::{self, DirBuilder, File, Permissions},
    io,
    os::{
        fd::AsRawFd as _,
        unix::{
            fs::{DirBuilderExt as _, PermissionsExt as _},
            net::UnixStream as StdUnixStream,
        },
    },
    path::{Path, PathBuf},
};

use axum::Router;
use tokio::net::UnixListener;

use crate::{Refusal, SOCKET_FILE};

/// Where the socket is made before it is moved into place.
const MAKING_FOLDER: &str = "admin.new";

/// A path that a socket address holds on every system.
const PATH_BYTES_MAX: usize = 100;

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Another server listens on it.
    #[error("{}: server is running, it listens on this socket", .0.display())]
    InUse(PathBuf),
    /// The system refuses.
    #[error("{}: make the admin socket", .path.display())]
    Io {
        /// The socket.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// A bound socket. Its file is removed when this is dropped.
#[derive(Debug)]
pub struct AdminSocket {
    listener: UnixListener,
    file: SocketFile,
}

#[derive(Debug)]
struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // What is left behind would be replaced by the next start.
        drop(fs::remove_file(&self.0));
    }
}

impl AdminSocket {
    /// Binds the socket of the server in `data_dir`. Needs a runtime.
    ///
    /// # Errors
    /// [`SocketError::InUse`] when somebody listens there; the system's.
    pub fn bind(data_dir: &Path) -> Result<Self, SocketError> {
        let path = data_dir.join(SOCKET_FILE);
        if open_path(data_dir, SOCKET_FILE).is_ok_and(|open| StdUnixStream::connect(&open.path).is_ok()) {
            return Err(SocketError::InUse(path));
        }
        let listener =
            make(data_dir, &path).map_err(|source| SocketError::Io { path: path.clone(), source })?;
        Ok(Self { listener, file: SocketFile(path) })
    }

    /// Answers calls with `router` until `closed` resolves and what is under way is done.
    pub async fn serve(self, router: Router, closed: impl Future<Output = ()> + Send + 'static) {
        let router = router.fallback(no_such_call).method_not_allowed_fallback(no_such_call);
        let served = axum::serve(self.listener, router).with_graceful_shutdown(closed).await;
        if let Err(error) = served {
            tracing::warn!(%error, "the admin socket ended early");
        }
        drop(self.file);
    }
}

async fn no_such_call() -> Refusal {
    Refusal::not_found("this server has no such call; is it of the same version as this command?")
}

fn make(data_dir: &Path, path: &Path) -> io::Result<UnixListener> {
    let folder = data_dir.join(MAKING_FOLDER);
    // A start that was killed here may have left it.
    match fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    DirBuilder::new().mode(0o700).create(&folder)?;
    let made = folder.join(SOCKET_FILE);
    let listener = UnixListener::bind(&open_path(&folder, SOCKET_FILE)?.path)?;
    fs::set_permissions(&made, Permissions::from_mode(0o600))?;
    fs::rename(&made, path)?;
    fs::remove_dir(&folder)?;
    Ok(listener)
}

/// A path that the kernel takes for a socket; good while this lives.
pub(crate) struct OpenPath {
    pub(crate) path: PathBuf,
    _folder: Option<File>,
}

/// The path of `name` in `folder`, through an open file of the folder where it would be too long.
pub(crate) fn open_path(folder: &Path, name: &str) -> io::Result<OpenPath> {
    let path = folder.join(name);
    if path.as_os_str().len() <= PATH_BYTES_MAX {
        return Ok(OpenPath { path, _folder: None });
    }
    let folder = File::open(folder)?;
    let path = PathBuf::from(format!("/proc/self/fd/{}/{name}", folder.as_raw_fd()));
    Ok(OpenPath { path, _folder: Some(folder) })
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use serde_json::json;
    use tokio::sync::oneshot;

    use super::*;
    use crate::Client;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[tokio::test]
    async fn only_the_owner_can_open_it_and_only_one_server_can_have_it() {
        let folder = tempfile::tempdir().unwrap();
        let socket = AdminSocket::bind(folder.path()).unwrap();
        assert_eq!(mode(&folder.path().join(SOCKET_FILE)), 0o600);
        assert!(matches!(AdminSocket::bind(folder.path()), Err(SocketError::InUse(_))));
        drop(socket);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left");
    }

    #[tokio::test]
    async fn what_a_killed_server_left_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(SOCKET_FILE);
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        fs::create_dir(folder.path().join(MAKING_FOLDER)).unwrap();
        fs::write(folder.path().join(MAKING_FOLDER).join(SOCKET_FILE), "").unwrap();
        let _socket = AdminSocket::bind(folder.path()).unwrap();
        assert_eq!(mode(&path), 0o600);
    }

    #[tokio::test]
    async fn it_answers_under_a_long_path_until_it_is_closed() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("d".repeat(200));
        fs::create_dir(&deep).unwrap();
        let socket = AdminSocket::bind(&deep).unwrap();
        let (close, closed) = oneshot::channel::<()>();
        let router = Router::new().route("/ping", get(async || axum::Json(json!({ "pong": true }))));
        let served = socket.serve(router, async move { drop(closed.await) });
        let called = async {
            let client = Client::new(&deep);
            assert_eq!(client.get("/ping").await.unwrap(), json!({ "pong": true }));
            let refused = client.get("/nonesuch").await.unwrap_err().to_string();
            assert!(refused.contains("no such call"), "{refused}");
            drop(close);
        };
        tokio::join!(served, called);
        let gone = Client::new(&deep).get("/ping").await.unwrap_err();
        assert!(gone.to_string().contains("server is not running"), "{gone}");
    }
}
