//! `nexus serve`: from the configuration to a server that listens, and to its end.
//!
//! **Errors**: whatever makes a start impossible, in one line that names the key, file or address.
//! **Invariant**: everything that can refuse is asked before anything is written; what a first run
//! writes is taken back if the start fails after all.

use std::{io::Write as _, net::SocketAddr, path::Path, sync::Arc};

use anyhow::{Context as _, Result, bail};
use nexus_admin::AdminSocket;
use nexus_federation::ServerKeys;
use nexus_maintenance::backup::{Source, unfinished_restore};
use tokio::{
    runtime::{Builder, Handle},
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
};

use crate::{
    admin::jobs::{self, JobParts},
    cli::ServeArguments,
    config::{self, Config, Loaded, PublicUrl},
    first_run::FirstRun,
    http::{Front, listener},
    logging,
    metrics::Metrics,
    wiring::{self, Ground},
    world,
};

/// The signing key's file inside `data_dir`.
const KEY_FILE: &str = "signing.key";

/// Runs the server until it is told to stop.
pub(crate) fn run(config_file: &Path, arguments: &ServeArguments) -> Result<()> {
    let mut loaded = config::load(config_file, std::env::vars_os())?;
    if arguments.lite {
        loaded.config.force_embedded();
    }
    logging::install(&loaded.config.log);
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    for key in loaded.config.without_effect() {
        tracing::warn!(key, "this version has no such feature yet; the key has no effect");
    }
    let runtime = Builder::new_multi_thread().enable_all().build().context("start the runtime")?;
    runtime.block_on(serve(&loaded))
}

async fn serve(loaded: &Loaded) -> Result<()> {
    let config = &loaded.config;
    let world = world::system(Handle::current())?;
    let stop = Stop::install()?;
    if unfinished_restore(&config.data_dir) {
        let folder = config.data_dir.display();
        bail!("{folder}: a restore was begun here and not finished; run `nexus backup restore` again");
    }
    let known_key = ServerKeys::load(&config.data_dir.join(KEY_FILE), &config.server_name)?;
    let listener = listener::bind(config.http.listen).await?;
    let bound = listener.local_addr().context("read the address that was bound")?;

    let mut first_run = FirstRun::default();
    first_run.data_folder(&config.data_dir)?;
    let keys = match known_key {
        Some(keys) => keys,
        None => ServerKeys::create(&config.data_dir.join(KEY_FILE), &config.server_name, &*world.random)?,
    };
    let (closing, closing_seen) = watch::channel(false);
    let metrics = Metrics::new();
    let public_url = config.public_url(bound);
    let ground = Ground {
        config,
        public_url: &public_url,
        world: &world,
        keys: Arc::new(keys),
        metrics: &metrics,
        closing: closing_seen.clone(),
    };
    let parts = wiring::build(&ground).await?;
    let admin = AdminSocket::bind(&config.data_dir)?;
    first_run.config_file(loaded)?;
    first_run.keep();
    let admin_closed = closed(closing.subscribe());
    let jobs = jobs::routes(JobParts {
        store: parts.store.clone(),
        views: parts.views.clone(),
        source: Source {
            data_dir: config.data_dir.clone(),
            config_file: Some(loaded.file.clone()),
            server_name: config.server_name.to_string(),
            program: env!("CARGO_PKG_VERSION").to_owned(),
        },
    });
    world.spawn("admin socket", admin.serve(parts.admin_api.clone().merge(jobs), admin_closed));
    let routers = wiring::routers(parts, &ground);
    drop(ground);

    let proxies = config.http.trusted_proxies.clone();
    let upload_bytes_max = config.media.upload_bytes_max;
    let front =
        Front::new(routers, proxies, upload_bytes_max, metrics.requests(), world.clone(), closing_seen);
    announce(config, bound, &public_url)?;
    listener::serve(listener, front, &world, closing, stop.wait()).await;
    tracing::info!("stopped");
    Ok(())
}

/// Resolves when the server closes.
async fn closed(mut closing: watch::Receiver<bool>) {
    // An error means that the sender is gone, and so the server.
    drop(closing.wait_for(|closing| *closing).await);
}

/// Tells the operator, and the tools that wait for this line, that requests are answered now.
fn announce(config: &Config, bound: SocketAddr, public_url: &PublicUrl) -> Result<()> {
    let version = env!("CARGO_PKG_VERSION");
    tracing::info!(server_name = %config.server_name, listen = %bound, version, "serving");
    let mut out = std::io::stdout().lock();
    writeln!(out, "Your server is running at {}", public_url.as_str())
        .and_then(|()| out.flush())
        .context("write to standard output")
}

/// The signals that end the server, and the one that must not.
struct Stop {
    interrupt: Signal,
    terminate: Signal,
    /// Asks for certificates to be read again; while there are none it is only kept from ending the process.
    _hangup: Signal,
}

impl Stop {
    fn install() -> Result<Self> {
        let listen = |kind| signal(kind).context("listen for signals");
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            _hangup: listen(SignalKind::hangup())?,
        })
    }

    async fn wait(mut self) {
        tokio::select! {
            biased;
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
        tracing::info!("stopping: no new connections, finishing what is under way");
    }
}
