//! A whole server without facades: store, views and commands on a simulated world.

use std::sync::Arc;

use nexus_event_store::{
    Store, StoreError,
    kv::memory::{Disk, MemoryEngine},
    world::BoxFuture,
};
use nexus_rooms::{Profile, Profiles, Rooms, RoomsConfig};
use nexus_state_resolution::{RoomVersion, Signer};
use nexus_views::Views;
use ruma::{OwnedServerName, ServerName, UserId, signatures::Ed25519KeyPair};

use crate::executor::Simulation;

/// PKCS#8 around a 32-byte Ed25519 seed (RFC 8410).
const PKCS8_PREFIX: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

/// A signing key that every run makes alike.
pub struct SimulatedSigner {
    name: OwnedServerName,
    key: Ed25519KeyPair,
}

impl SimulatedSigner {
    /// The key of server `name`, drawn from `seed`.
    ///
    /// # Panics
    /// Never: the key is well formed by construction.
    #[must_use]
    pub fn new(name: &ServerName, seed: [u8; 32]) -> Self {
        let document = [PKCS8_PREFIX.as_slice(), &seed].concat();
        let key = Ed25519KeyPair::from_der(&document, "sim".to_owned()).expect("32 bytes are a seed");
        Self { name: name.to_owned(), key }
    }
}

impl Signer for SimulatedSigner {
    fn server_name(&self) -> &ServerName {
        &self.name
    }

    fn key_pair(&self) -> &Ed25519KeyPair {
        &self.key
    }
}

struct NoProfiles;

impl Profiles for NoProfiles {
    fn profile<'a>(&'a self, _: &'a UserId) -> BoxFuture<'a, Profile> {
        Box::pin(std::future::ready(Profile::default()))
    }
}

/// A running server.
pub struct Server {
    /// Its commands, with its views and store inside.
    pub rooms: Rooms,
    engine: MemoryEngine,
}

impl Server {
    /// Starts a server named `name` on what `engine` holds.
    ///
    /// # Errors
    /// Store errors.
    pub async fn start(
        simulation: &Simulation,
        name: &ServerName,
        engine: MemoryEngine,
    ) -> Result<Self, StoreError> {
        let store = Store::open(Arc::new(engine.clone()), simulation.world(), Arc::new(|_| {})).await?;
        let views = Views::new(store, name.to_owned());
        let signer = Arc::new(SimulatedSigner::new(name, [7; 32]));
        let config = RoomsConfig { default_version: RoomVersion::V12 };
        let rooms = Rooms::new(views, signer, Arc::new(NoProfiles), config);
        rooms.start_jobs();
        Ok(Self { rooms, engine })
    }

    /// What would be found on disk if the machine stopped now, on a new disk.
    #[must_use]
    pub fn remains(&self, disk: Arc<dyn Disk>) -> MemoryEngine {
        self.engine.durable(disk)
    }
}
