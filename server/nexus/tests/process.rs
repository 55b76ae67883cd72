//! The binary as an operator meets it: its first run, its refusals, its end.

#![expect(clippy::unwrap_used, reason = "a step that fails is the test's failure")]

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Output, Stdio},
};

/// A `nexus serve` in `folder` with nothing of our environment but what is given.
fn serve(folder: &Path, environment: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nexus"));
    let ours = std::env::vars().map(|(name, _)| name).filter(|name| name.starts_with("NEXUS_"));
    ours.for_each(|name| {
        command.env_remove(name);
    });
    command.arg("serve").current_dir(folder).envs(environment.iter().copied());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A refusal is exit code 2, one line, and nothing left behind.
fn check_refused(folder: &Path, environment: &[(&str, &str)], says: &str) {
    let before = names(folder);
    let Output { status, stdout, stderr } = serve(folder, environment).output().unwrap();
    let stderr = String::from_utf8(stderr).unwrap();
    assert_eq!(status.code(), Some(2), "{stderr}");
    assert!(stdout.is_empty());
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(stderr.contains(says), "{stderr}");
    assert_eq!(names(folder), before);
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// A running server and the address that it printed. Killed if the test ends early.
struct Server {
    process: Child,
    address: String,
}

impl Server {
    fn start(folder: &Path) -> Self {
        let mut process = serve(folder, &[("NEXUS_HTTP__LISTEN", "127.0.0.1:0")]).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let url =
            line.strip_prefix("Your server is running at ").unwrap_or_else(|| panic!("printed {line:?}"));
        let port = url.trim().strip_prefix("http://localhost:").unwrap();
        Self { address: format!("127.0.0.1:{port}"), process }
    }

    fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        reply
    }

    fn signal(mut self, name: &str) -> Option<i32> {
        // The shell's own: a small system has no program of that name.
        let kill = format!("kill -s {name} {}", self.process.id());
        let killed = Command::new("sh").args(["-c", &kill]).status().unwrap();
        assert!(killed.success());
        self.process.wait().unwrap().code()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Fails where the process has ended, which is what we want.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

#[test]
fn a_first_run_serves_and_the_second_finds_what_it_made() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    assert_eq!(names(folder.path()), ["nexus-data", "nexus.toml"]);
    let health = server.get("/health");
    assert!(health.starts_with("HTTP/1.1 200") && health.contains("\"status\":\"ok\""), "{health}");
    assert!(server.get("/metrics").contains("nexus_store_position"));
    assert!(server.get("/").contains("A Matrix client"));
    let key = fs::read(folder.path().join("nexus-data/signing.key")).unwrap();
    assert_eq!(server.signal("TERM"), Some(0));
    let server = Server::start(folder.path());
    assert_eq!(fs::read(folder.path().join("nexus-data/signing.key")).unwrap(), key);
    assert_eq!(server.signal("INT"), Some(0));
}

#[test]
fn a_port_in_use_is_refused_and_nothing_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    check_refused(folder.path(), &[("NEXUS_HTTP__LISTEN", &address)], &address);
}

#[test]
fn a_wrong_configuration_is_refused_and_nothing_is_made() {
    let folder = tempfile::tempdir().unwrap();
    check_refused(folder.path(), &[("NEXUS_LOG__LEVEL", "loud")], "NEXUS_LOG__LEVEL: log.level");
    fs::write(folder.path().join("nexus.toml"), "[http]\nlisen = \"127.0.0.1:0\"").unwrap();
    check_refused(folder.path(), &[], "nexus.toml: http.lisen: unknown key");
}

#[test]
fn a_wrong_key_file_is_refused_and_nothing_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("nexus-data");
    fs::create_dir(&data).unwrap();
    let key = data.join("signing.key");
    fs::write(&key, "not a key").unwrap();
    let listen = [("NEXUS_HTTP__LISTEN", "127.0.0.1:0")];
    check_refused(folder.path(), &listen, "signing.key: is open to other users");
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(&key, private).unwrap();
    check_refused(folder.path(), &listen, "signing.key: is not a signing key");
    assert_eq!(names(&data), ["signing.key"]);
}

#[test]
fn a_store_in_use_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    check_refused(folder.path(), &[("NEXUS_HTTP__LISTEN", "127.0.0.1:0")], "server is running");
    assert_eq!(server.signal("TERM"), Some(0));
}

/// `nexus admin …` in `folder`, with `input` on its standard input.
fn admin(folder: &Path, arguments: &[&str], input: &str) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nexus"));
    command.current_dir(folder).env_clear().arg("admin").args(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = command.spawn().unwrap();
    process.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let Output { status, stdout, stderr } = process.wait_with_output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

#[test]
fn an_operator_administers_the_running_server() {
    let folder = tempfile::tempdir().unwrap();
    let (code, _, said) = admin(folder.path(), &["users", "list"], "");
    assert_eq!(code, Some(2));
    assert!(said.contains("server is not running"), "{said}");

    let server = Server::start(folder.path());
    let (code, said, error) = admin(folder.path(), &["users", "create", "ada"], "correct horse\n");
    assert_eq!((code, said.as_str()), (Some(0), "@ada:localhost is made.\n"), "{error}");
    let (code, _, said) = admin(folder.path(), &["users", "create", "ada"], "correct horse\n");
    assert_eq!((code, said.as_str()), (Some(1), "nexus: the username is taken\n"));
    let (_, said, _) = admin(folder.path(), &["users", "show", "@ada:localhost", "--json"], "");
    assert!(said.contains(r#""admin":true"#) && said.contains(r#""devices":[]"#), "{said}");
    let (_, said, _) = admin(folder.path(), &["users", "list"], "");
    assert!(said.starts_with("NAME") && said.contains("ada"), "{said}");
    assert_eq!(admin(folder.path(), &["users", "deactivate", "ada"], "").0, Some(0));
    let (code, said, _) = admin(folder.path(), &["rooms", "list", "--json"], "");
    assert_eq!((code, said.as_str()), (Some(0), "[]\n"));
    assert_eq!(server.signal("TERM"), Some(0));
    assert!(!folder.path().join("nexus-data/admin.sock").exists());
}
