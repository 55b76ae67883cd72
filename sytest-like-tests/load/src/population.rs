//! The users and rooms of a run: registered, created and joined over the wire, or read from a file.
//!
//! **Shapes**: the file is JSON, `{"users": [{"user_id", "access_token"}], "rooms": ["!id"]}`, mode 0600
//! because of the tokens. Room r is made, public, by user r modulo their number; everyone joins every room.
//! **Source**: Matrix client-server API, `/register` with the `m.login.dummy` stage, `/createRoom`, `/join`.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::Context as _;
use hyper::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::Target;
use crate::client::{Client, segment};

/// Who sends, and where to.
#[derive(Serialize, Deserialize)]
pub(crate) struct Population {
    pub(crate) users: Vec<User>,
    pub(crate) rooms: Vec<String>,
}

/// An account with a session.
#[derive(Serialize, Deserialize)]
pub(crate) struct User {
    pub(crate) user_id: String,
    pub(crate) access_token: String,
}

impl Population {
    /// Writes the file that `load` reads.
    pub(crate) fn write(&self, path: &Path) -> anyhow::Result<()> {
        let mut options = OpenOptions::new();
        let mut file = options
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(path)
            .with_context(|| format!("write {}", path.display()))?;
        file.write_all(&serde_json::to_vec_pretty(self)?)?;
        Ok(())
    }

    /// What to print of it: never the tokens.
    pub(crate) fn describe(&self) -> Value {
        json!({ "users": self.users.len(), "rooms": self.rooms.len() })
    }

    /// One client for each of the first `count` users.
    pub(crate) fn clients(&self, target: &Target, count: usize) -> anyhow::Result<Vec<Client>> {
        anyhow::ensure!(
            count <= self.users.len(),
            "{count} clients asked for, {} users prepared",
            self.users.len()
        );
        self.users[..count].iter().map(|user| Client::new(target, Some(&user.access_token))).collect()
    }
}

/// Reads the prepared users and rooms, or makes them when no file is named.
pub(crate) async fn load(target: &Target) -> anyhow::Result<Population> {
    let Some(path) = &target.tokens_file else {
        return prepare(target).await;
    };
    let text = std::fs::read(path).with_context(|| format!("read {}", path.display()))?;
    let population: Population =
        serde_json::from_slice(&text).with_context(|| format!("read {}", path.display()))?;
    anyhow::ensure!(!population.rooms.is_empty(), "{} names no room", path.display());
    Ok(population)
}

/// Registers the users, makes the rooms, and joins every user to every room, one request at a time.
pub(crate) async fn prepare(target: &Target) -> anyhow::Result<Population> {
    anyhow::ensure!(target.clients > 0 && target.rooms > 0, "at least one client and one room are needed");
    let mut population = Population { users: Vec::new(), rooms: Vec::new() };
    let mut anonymous = Client::new(target, None)?;
    for number in 0..target.clients {
        let name = format!("load-{}-{number}", target.run).to_lowercase();
        let user = register(&mut anonymous, &name).await.with_context(|| format!("register {name}"))?;
        population.users.push(user);
    }
    let mut clients = population.clients(target, target.clients)?;
    for number in 0..target.rooms {
        let creator = number % target.clients;
        let room = create_room(&mut clients[creator], number).await.context("create a room")?;
        for (_, joiner) in clients.iter_mut().enumerate().filter(|(index, _)| *index != creator) {
            let path = format!("/_matrix/client/v3/join/{}", segment(&room));
            let reply = joiner.call(Method::POST, &path, "{}".to_owned()).await;
            reply.and_then(|reply| reply.success::<Value>()).with_context(|| format!("join {room}"))?;
        }
        population.rooms.push(room);
    }
    Ok(population)
}

/// Registers as a client does: asks, is told the session, and completes its dummy stage.
async fn register(client: &mut Client, name: &str) -> anyhow::Result<User> {
    #[derive(Deserialize)]
    struct Challenge {
        session: String,
    }
    const PATH: &str = "/_matrix/client/v3/register";
    let mut body = json!({ "username": name, "password": format!("secret of {name}") });
    let mut reply = client.call(Method::POST, PATH, body.to_string()).await?;
    if reply.status == 401 {
        let challenge: Challenge =
            serde_json::from_slice(&reply.body).context("read the session of the registration")?;
        body["auth"] = json!({ "type": "m.login.dummy", "session": challenge.session });
        reply = client.call(Method::POST, PATH, body.to_string()).await?;
    }
    Ok(reply.success()?)
}

async fn create_room(client: &mut Client, number: usize) -> anyhow::Result<String> {
    #[derive(Deserialize)]
    struct Created {
        room_id: String,
    }
    let body = json!({ "preset": "public_chat", "name": format!("Load {number}") });
    let reply = client.call(Method::POST, "/_matrix/client/v3/createRoom", body.to_string()).await?;
    Ok(reply.success::<Created>()?.room_id)
}
