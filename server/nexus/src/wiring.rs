//! Puts the server together: opens the store and builds the facades on it.
//!
//! This is the one place that knows which part takes what. **Invariant**: each constructor gets exactly
//! what it uses; nothing here decides anything at run time.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context as _, Result, anyhow};
use axum::{Router, http::HeaderMap, routing::get};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use nexus_accounts::{Accounts, AccountsConfig, MailConfig, PasswordCost, Registration};
use nexus_admin::AdminParts;
use nexus_api_matrix::{MatrixApi, MatrixConfig};
use nexus_api_nexus::{NexusApi, NexusConfig};
use nexus_event_store::{
    Store, StoreError,
    kv::{
        KvError,
        rocks::{RocksEngine, RocksTuning},
    },
    world::World,
};
use nexus_federation::ServerKeys;
use nexus_mail::SmtpMail;
use nexus_maintenance::purge;
use nexus_media::{Blobs, Media, MediaConfig, S3Bucket};
use nexus_rate_limits::RateLimits;
use nexus_rooms::{Rooms, RoomsConfig};
use nexus_state_resolution::Signer;
use nexus_views::{Views, rebuild};
use tokio::sync::watch;

use crate::{
    account_page,
    config::{Config, PasswordHash, PublicUrl, RegistrationMode},
    departures,
    glue::{AccountProfiles, InviteCodes},
    health::Health,
    http::Routers,
    metrics::Metrics,
    page::Page,
    upgrade::{refusal, upgrade_if_older},
};

/// The store's folder inside `data_dir`.
pub(crate) const STORE_FOLDER: &str = nexus_maintenance::backup::STORE_FOLDER;
/// The folder of uploaded files, where there is no bucket for them.
const MEDIA_FOLDER: &str = "media";

/// What the parts are built from.
pub(crate) struct Ground<'a> {
    pub(crate) config: &'a Config,
    /// Where clients reach the server.
    pub(crate) public_url: &'a PublicUrl,
    pub(crate) world: &'a World,
    pub(crate) keys: Arc<ServerKeys>,
    pub(crate) metrics: &'a Metrics,
    /// Becomes true when the server closes. Shutdown waits until every clone is dropped, so only what
    /// must finish keeps one: gateway sessions and long polls.
    pub(crate) closing: watch::Receiver<bool>,
}

/// What serving needs.
pub(crate) struct Parts {
    pub(crate) nexus_api: Router,
    pub(crate) matrix_api: Router,
    /// What the admin socket answers. Other parts merge theirs into it.
    pub(crate) admin_api: Router,
    /// The page that links in mails lead to.
    pub(crate) account_page: Router,
    pub(crate) store: Store,
    pub(crate) views: Views,
}

/// Opens the store and builds every part on it.
pub(crate) async fn build(ground: &Ground<'_>) -> Result<Parts> {
    let store = open_store(ground).await?;
    if rebuild::is_unfinished(&store).await.context("read the store")? {
        return Err(anyhow!("a rebuild of the views was interrupted; run `nexus views rebuild` again"));
    }
    let limits = if ground.config.rate_limits.enabled {
        RateLimits::new(ground.world.clone())
    } else {
        RateLimits::off()
    };
    let accounts = accounts(ground, &store, limits.clone()).await?;
    let views = Views::new(store.clone(), ground.config.server_name.clone());
    let rooms = Rooms::new(
        views.clone(),
        Arc::clone(&ground.keys) as Arc<dyn Signer>,
        Arc::new(AccountProfiles(accounts.clone())),
        RoomsConfig { default_version: ground.config.rooms.default_version },
    );
    views.hide_from_newcomers(accounts.erased().await.context("read the accounts")?);
    accounts.start_mail();
    let account_page = account_page::routes(accounts.clone(), limits.clone());
    resume_purges(&views, ground.world);
    let shown = views.clone();
    ground.metrics.register_jobs(rooms.job_statistics());
    rooms.start_jobs();
    let media = media(ground, &store).await?;
    departures::start(&accounts, &rooms, &views, &media);
    let admin_parts = AdminParts { accounts: accounts.clone(), media: media.clone(), views: views.clone() };
    let admin_api = nexus_admin::routes(admin_parts);
    let public_url = ground.public_url.as_str().trim_end_matches('/').to_owned();
    let matrix = MatrixConfig {
        public_url: public_url.clone(),
        limits: limits.clone(),
        shared_secret: Some(ground.config.registration.shared_secret.expose().to_owned())
            .filter(|secret| !secret.is_empty()),
        public_directory: ground.config.directory.public_without_login,
    };
    let matrix = MatrixApi::new(rooms.clone(), views.clone(), accounts.clone(), media.clone(), matrix);
    let nexus = NexusConfig { public_url, limits };
    let nexus = NexusApi::new(rooms, views, accounts, media, nexus, ground.closing.clone());
    Ok(Parts {
        nexus_api: nexus_api_nexus::router(nexus),
        matrix_api: nexus_api_matrix::router(matrix),
        admin_api,
        account_page,
        store,
        views: shown,
    })
}

/// The media, cleaned of what a stop in the middle of an upload left.
async fn media(ground: &Ground<'_>, store: &Store) -> Result<Media> {
    let config = &ground.config.media;
    let folder = ground.config.data_dir.join(MEDIA_FOLDER);
    let blobs = if config.s3.bucket.is_empty() {
        Blobs::in_folder(&folder).with_context(|| format!("{}: open the media folder", folder.display()))?
    } else {
        let bucket = S3Bucket {
            endpoint: config.s3.endpoint.as_str().to_owned(),
            bucket: config.s3.bucket.clone(),
            region: config.s3.region.clone(),
            access_key_id: config.s3.access_key_id.clone(),
            secret_access_key: config.s3.secret_access_key.expose().to_owned(),
        };
        Blobs::in_bucket(&bucket).context("media.s3")?
    };
    let media = Media::new(store.clone(), blobs, MediaConfig { upload_bytes_max: config.upload_bytes_max });
    if let Err(error) = media.clean_up().await {
        // A bucket that is out of reach must not keep everything else from starting.
        tracing::warn!(%error, "what interrupted uploads left could not be removed; the next start tries again");
    }
    Ok(media)
}

/// Goes on with what a stop interrupted, beside serving.
fn resume_purges(views: &Views, world: &World) {
    let views = views.clone();
    world.spawn("resumed purges", async move {
        if let Err(error) = purge::resume(views.store(), views.caches(), &mut |_| {}).await {
            tracing::error!(%error, "a room's purge cannot go on");
        }
    });
}

/// The accounts; off loopback the first of them needs a token that only the operator sees.
async fn accounts(ground: &Ground<'_>, store: &Store, limits: RateLimits) -> Result<Accounts> {
    let config = ground.config;
    let loopback_only = config.http.listen.ip().is_loopback();
    let invites = Arc::new(InviteCodes(store.clone()));
    let mut settings = AccountsConfig::new(config.server_name.clone(), invites);
    settings.registration = match config.registration.mode {
        RegistrationMode::Open => Registration::Open,
        RegistrationMode::Invite => Registration::Invite,
        RegistrationMode::Closed => Registration::Closed,
    };
    settings.password_cost = match config.accounts.password_hash {
        PasswordHash::Owasp => PasswordCost::Owasp,
        PasswordHash::Minimum => PasswordCost::Minimum,
    };
    settings.loopback_only = loopback_only;
    settings.limits = limits;
    // The other half of the threads is for what everybody waits for.
    settings.hashes_at_once = std::thread::available_parallelism().map_or(1, |cores| cores.get().div_ceil(2));
    if !config.email.smtp_url.is_empty() {
        let transport = Arc::new(SmtpMail::new(config.email.smtp_url.expose(), &config.email.from)?);
        let public_url = ground.public_url.as_str().trim_end_matches('/').to_owned();
        settings.mail = Some(MailConfig { transport, public_url });
    }
    if !loopback_only {
        settings.setup_token = Some(URL_SAFE_NO_PAD.encode(ground.world.random_bytes::<18>()));
    }
    let token = settings.setup_token.clone();
    let accounts = Accounts::new(store.clone(), settings);
    if let Some(token) = token
        && accounts.accounts(None, 1).await.context("read the accounts")?.is_empty()
    {
        announce_setup(&token)?;
    }
    Ok(accounts)
}

/// On standard output and not in the log: whoever reads it becomes the admin.
fn announce_setup(token: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "No account yet. Register the first one, the admin's, with this invite: {token}")
        .and_then(|()| out.flush())
        .context("write to standard output")
}

/// The routers of the front, with the server's own routes beside the facades'.
pub(crate) fn routers(parts: Parts, ground: &Ground<'_>) -> Routers {
    let page = Page::new(&ground.config.server_name, ground.public_url);
    let health = Health::new(ground.world.clone(), Arc::new(move || parts.store.visible().0));
    let metrics = ground.metrics.clone();
    let own = Router::new()
        .route("/", get(async move || page.reply()))
        .route("/health", get(async move || health.reply()))
        .route("/metrics", get(async move |request: HeaderMap| metrics.page(&request)))
        .merge(parts.account_page);
    Routers { matrix: parts.matrix_api, nexus: parts.nexus_api, own }
}

async fn open_store(ground: &Ground<'_>) -> Result<Store> {
    let folder = ground.config.data_dir.join(STORE_FOLDER);
    let store = open(&folder, ground.world).await?;
    store.belongs_to(ground.config.server_name.as_str()).await.map_err(|error| match error {
        StoreError::OtherServer { found } => anyhow!(
            "server_name: {} is not the name that this store was made for, {found}; it cannot change later",
            ground.config.server_name
        ),
        other => anyhow!(other).context(format!("{}: read the store", folder.display())),
    })?;
    ground.metrics.register_store(store.clone());
    Ok(store)
}

/// Opens the store in `folder` for this process alone.
async fn open(folder: &Path, world: &World) -> Result<Store> {
    let engine = open_engine(folder)?;
    upgrade_if_older(folder, &engine).await?;
    Store::open(Arc::new(engine), world.clone(), Arc::new(abort))
        .await
        .map_err(|error| refusal(folder, error))
}

/// Opens the files of an existing store for this process alone.
pub(crate) fn open_engine(folder: &Path) -> Result<RocksEngine> {
    RocksEngine::open(folder, RocksTuning::default()).map_err(|error| unusable(folder, &error))
}

/// Whether a store that does not open is there, nobody has it open, and so it is damaged.
pub(crate) fn is_damage(folder: &Path, error: &anyhow::Error) -> bool {
    folder.is_dir() && !error.to_string().contains("server is running")
}

/// For commands that would take the store from under a server.
pub(crate) fn refuse_running(folder: &Path) -> Result<()> {
    match folder.is_dir().then(|| open_engine(folder)) {
        Some(Err(error)) if !is_damage(folder, &error) => Err(error),
        // No store, one that nobody has open, or a damaged one: the command itself says what it thinks of it.
        _ => Ok(()),
    }
}

/// The store's folder, which must be there.
pub(crate) fn existing_store(config: &Config) -> Result<PathBuf> {
    let folder = config.data_dir.join(STORE_FOLDER);
    if folder.is_dir() { Ok(folder) } else { Err(anyhow!("{}: there is no store", folder.display())) }
}

/// Opens the store of a stopped server.
pub(crate) async fn open_stopped(config: &Config, world: &World) -> Result<Store> {
    let folder = existing_store(config)?;
    open(&folder, world).await
}

/// The commonest reason in words that name the cause; every other in the engine's own.
fn unusable(folder: &Path, error: &KvError) -> anyhow::Error {
    let folder = folder.display();
    if error.to_string().contains("lock file") {
        anyhow!("{folder}: server is running, it has this store open")
    } else {
        anyhow!("{folder}: open the store: {error}")
    }
}

/// The engine cannot be trusted any more: what is in memory must not be served as if it were durable.
fn abort(error: &KvError) {
    tracing::error!(%error, "the store failed, the server stops");
    std::process::abort();
}
