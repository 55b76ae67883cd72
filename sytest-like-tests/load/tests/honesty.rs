//! The generator against a scripted server that misbehaves: what is lost, doubled or refused must show.
//!
//! The server is a few lines over blocking sockets and knows just the calls that the generator makes.

#![expect(clippy::unwrap_used, reason = "a test: what is not as expected shall end it")]

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

/// What the scripted server does wrong.
#[derive(Clone, Copy, PartialEq)]
enum Fault {
    None,
    /// Acknowledges every fifth message and forgets it.
    Forgets,
    /// Keeps every fifth message twice.
    Doubles,
    /// Refuses every fifth message.
    Refuses,
}

struct Server {
    fault: Fault,
    users: usize,
    sent: usize,
    /// room id -> the events in it, oldest first
    rooms: HashMap<String, Vec<String>>,
}

impl Server {
    fn answer(&mut self, line: &str, body: &Value) -> (u16, Value) {
        let (method, path) = line.split_once(' ').unwrap();
        let path = path.split([' ', '?']).next().unwrap();
        let segments: Vec<_> = path.trim_start_matches("/_matrix/client/v3/").split('/').collect();
        match (method, &segments[..]) {
            ("POST", ["register"]) if body["auth"]["session"] != "s" => (401, json!({ "session": "s" })),
            ("POST", ["register"]) => {
                self.users += 1;
                (200, json!({ "user_id": body["username"], "access_token": format!("t{}", self.users) }))
            }
            ("POST", ["createRoom"]) => {
                let room = format!("room{}", self.rooms.len());
                self.rooms.insert(room.clone(), Vec::new());
                (200, json!({ "room_id": room }))
            }
            ("POST", ["join", room]) => (200, json!({ "room_id": room })),
            ("PUT", ["rooms", room, "send", "m.room.message", _txn]) => self.send(room),
            ("GET", ["rooms", room, "messages"]) => {
                let events = self.rooms[*room].iter().map(|id| json!({ "event_id": id }));
                (200, json!({ "chunk": events.rev().collect::<Vec<_>>() }))
            }
            _ => (404, json!({ "errcode": "M_UNRECOGNIZED" })),
        }
    }

    fn send(&mut self, room: &str) -> (u16, Value) {
        self.sent += 1;
        let event_id = format!("$event{}", self.sent);
        let fault = if self.sent.is_multiple_of(5) { self.fault } else { Fault::None };
        let copies = match fault {
            Fault::None => 1,
            Fault::Forgets => 0,
            Fault::Doubles => 2,
            Fault::Refuses => return (429, json!({ "errcode": "M_LIMIT_EXCEEDED" })),
        };
        let events = self.rooms.get_mut(room).unwrap();
        events.extend(std::iter::repeat_n(event_id.clone(), copies));
        (200, json!({ "event_id": event_id }))
    }
}

/// Serves one keep-alive connection until the client closes it.
fn serve(stream: TcpStream, server: &Mutex<Server>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut stream = stream;
    loop {
        let (mut line, mut length) = (String::new(), 0);
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        loop {
            let mut header = String::new();
            reader.read_line(&mut header)?;
            if header.trim().is_empty() {
                break;
            }
            if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let body = serde_json::from_slice(&body).unwrap_or_default();
        let (status, answer) = server.lock().unwrap().answer(&line, &body);
        let answer = answer.to_string();
        write!(stream, "HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n{answer}", answer.len())?;
    }
}

fn start(fault: Fault) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let server = Arc::new(Mutex::new(Server { fault, users: 0, sent: 0, rooms: HashMap::new() }));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let server = Arc::clone(&server);
            std::thread::spawn(move || serve(stream.unwrap(), &server));
        }
    });
    address
}

/// Prepares 4 users and 2 rooms, sends 20 messages, reads them back; the two reports with their exit codes.
fn load(fault: Fault, name: &str) -> [(i32, Value); 2] {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder).unwrap();
    let base = start(fault);
    let run = |command: &str, arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_nexus-load"))
            .args([command, "--json", "--clients", "4", "--rooms", "2", "--run", "t", "--base", &base])
            .args(["--tokens-file", "tokens.json"])
            .args(arguments)
            .current_dir(&folder)
            .output()
            .unwrap();
        let report = serde_json::from_slice(&output.stdout);
        let report = report.unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
        (output.status.code().unwrap(), report)
    };
    assert_eq!(run("prepare", &[]), (0, json!({ "users": 4, "rooms": 2 })));
    let sent = run("send", &["--messages", "20", "--events-file", "events.json"]);
    [sent, run("check", &["--events-file", "events.json"])]
}

#[test]
fn a_good_server_passes() {
    let [(send_code, send), checked] = load(Fault::None, "good");
    assert_eq!((send_code, &send["acknowledged"], &send["errors"]), (0, &json!(20), &json!({})));
    assert!(send["sends_per_second"].as_f64().unwrap() > 0.0);
    assert_eq!(checked, (0, json!({ "acknowledged": 20, "found": 20, "missing": 0, "doubled": 0 })));
}

#[test]
fn a_forgotten_event_is_missing() {
    let [(send_code, _), checked] = load(Fault::Forgets, "forgets");
    assert_eq!(send_code, 0);
    assert_eq!(checked, (1, json!({ "acknowledged": 20, "found": 16, "missing": 4, "doubled": 0 })));
}

#[test]
fn a_doubled_event_is_told() {
    let [_, checked] = load(Fault::Doubles, "doubles");
    assert_eq!(checked, (1, json!({ "acknowledged": 20, "found": 16, "missing": 0, "doubled": 4 })));
}

#[test]
fn a_refusal_is_an_error_and_no_acknowledgement() {
    let [(send_code, send), checked] = load(Fault::Refuses, "refuses");
    assert_eq!((send_code, &send["acknowledged"]), (1, &json!(16)));
    assert_eq!(send["errors"], json!({ "http 429 M_LIMIT_EXCEEDED": 4 }));
    assert_eq!(checked, (0, json!({ "acknowledged": 16, "found": 16, "missing": 0, "doubled": 0 })));
}
