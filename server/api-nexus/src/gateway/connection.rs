//! The life of one gateway connection, from Hello to its end.
//!
//! One task reads the socket, the log and the clock in turn, in this order, so that nothing is sent twice
//! or out of order and a flood on one side cannot starve the timers: they are looked at before every wait.
//!
//! **Units**: milliseconds on the wire. **Invariant**: a session outlives its connection, unless the client
//! closed it with 1000 or 1001.

use std::time::Duration;

use axum::extract::ws::WebSocket;
use tokio::sync::watch;

use super::{
    Gateway,
    handshake::{self, Refused},
    members,
    protocol::{self, ClientFrame, Close, MembersRequest},
    session::{CHECKPOINT_EVERY, Session, Stop},
    socket::{Gone, Received, Socket, Transport},
};
use crate::error::ApiError;

const HEARTBEAT_INTERVAL: Duration = Duration::from_millis(41_250);
/// A client that has not been heard of for one and a half intervals is gone.
const SILENCE_MAX: Duration = Duration::from_millis(61_875);
/// A client may send so many frames in so long.
const FRAMES_MAX: u32 = 120;
const FRAMES_WITHIN: Duration = Duration::from_secs(60);
/// How long a client that was asked to reconnect may take to close by itself.
const FAREWELL: Duration = Duration::from_secs(2);

/// How a connection ends.
enum End {
    /// The server closes.
    Close(Close),
    /// The client closed, with this code.
    ClosedByClient(Option<u16>),
    /// It broke, or another connection has the session.
    Lost,
}

impl From<Gone> for End {
    fn from(Gone: Gone) -> Self {
        Self::Lost
    }
}

impl From<ApiError> for End {
    /// The error itself was logged where it became one.
    fn from(_: ApiError) -> Self {
        Self::Close(Close::Unknown)
    }
}

/// What a wait ended with.
enum Woken {
    Closing,
    Taken,
    Received(Received),
    News,
    Timer,
}

struct Connection {
    gateway: Gateway,
    socket: Socket,
    closing: watch::Receiver<bool>,
    session: Option<Session>,
    /// The log may have more for the session.
    has_news: bool,
    heard_at: Duration,
    frames: u32,
    frames_since: Duration,
    checked_at: Duration,
}

/// Runs a connection to its end.
pub(crate) async fn run(gateway: Gateway, socket: WebSocket, transport: Transport) {
    let world = gateway.world().clone();
    let now = world.clock.monotonic();
    let mut connection = Connection {
        closing: gateway.inner.closing.clone(),
        socket: Socket::new(socket, transport, world),
        session: None,
        has_news: false,
        heard_at: now,
        frames: 0,
        frames_since: now,
        checked_at: now,
        gateway,
    };
    let end = if transport.is_known_version {
        connection.serve().await.err().unwrap_or(End::Lost)
    } else {
        End::Close(Close::InvalidVersion)
    };
    connection.finish(end).await;
}

impl Connection {
    fn now(&self) -> Duration {
        self.gateway.world().clock.monotonic()
    }

    async fn serve(&mut self) -> Result<(), End> {
        self.socket.send(protocol::hello(HEARTBEAT_INTERVAL.as_millis())).await?;
        loop {
            self.look_at_timers()?;
            match self.wait().await {
                Woken::Closing => return self.farewell().await,
                Woken::Taken => return Err(End::Close(Close::Unknown)),
                Woken::Received(received) => self.received(received).await?,
                Woken::News => self.deliver().await?,
                Woken::Timer => {}
            }
        }
    }

    /// Waits for whatever comes first; what is sooner in the list goes first.
    async fn wait(&mut self) -> Woken {
        let timer = self.gateway.world().clock.sleep(self.until_next_timer());
        let (session, has_news) = (self.session.as_ref(), self.has_news);
        tokio::select! {
            biased;
            _ = self.closing.wait_for(|closing| *closing) => Woken::Closing,
            () = taken(session) => Woken::Taken,
            received = self.socket.receive() => Woken::Received(received),
            () = news(session, has_news) => Woken::News,
            () = timer => Woken::Timer,
        }
    }

    fn until_next_timer(&self) -> Duration {
        let now = self.now();
        let silence = (self.heard_at + SILENCE_MAX).saturating_sub(now);
        let checkpoint = (self.checked_at + CHECKPOINT_EVERY).saturating_sub(now);
        silence.min(checkpoint).max(Duration::from_millis(1))
    }

    fn look_at_timers(&mut self) -> Result<(), End> {
        let now = self.now();
        if now >= self.heard_at + SILENCE_MAX {
            return Err(End::Close(Close::Unknown));
        }
        if now >= self.checked_at + CHECKPOINT_EVERY {
            self.save(false);
            self.checked_at = now;
            // The log of others moves on: fold it, so that the next checkpoint need not begin so far back.
            self.has_news = true;
        }
        Ok(())
    }

    async fn received(&mut self, received: Received) -> Result<(), End> {
        let bytes = match received {
            Received::Frame(bytes) => bytes,
            Received::Unreadable => return Err(End::Close(Close::Decode)),
            Received::Closed(code) => return Err(End::ClosedByClient(code)),
            Received::Lost => return Err(End::Lost),
        };
        self.count_frame()?;
        match protocol::parse(&bytes, self.session.is_some()).map_err(End::Close)? {
            ClientFrame::Heartbeat(seq) => self.heartbeat(seq).await,
            ClientFrame::Identify(identify) => {
                let session = handshake::identify(&self.gateway, identify).await;
                self.enter(session).await
            }
            ClientFrame::Resume(resume) => {
                let session = handshake::resume(&self.gateway, resume).await;
                self.enter(session).await
            }
            ClientFrame::RequestMembers(request) => self.members(&request).await,
            ClientFrame::WithoutEffect => Ok(()),
        }
    }

    fn count_frame(&mut self) -> Result<(), End> {
        let now = self.now();
        if now >= self.frames_since + FRAMES_WITHIN {
            self.frames_since = now;
            self.frames = 0;
        }
        self.frames += 1;
        if self.frames > FRAMES_MAX { Err(End::Close(Close::RateLimited)) } else { Ok(()) }
    }

    async fn heartbeat(&mut self, seq: Option<u64>) -> Result<(), End> {
        self.heard_at = self.now();
        if let (Some(session), Some(seq)) = (&mut self.session, seq) {
            session.acknowledge(seq);
        }
        self.save(false);
        Ok(self.socket.send(protocol::HEARTBEAT_ACK.to_owned()).await?)
    }

    async fn enter(&mut self, session: Result<Session, Refused>) -> Result<(), End> {
        match session {
            Ok(mut session) => {
                let begun = session.begin().await;
                self.session = Some(session);
                self.has_news = true;
                match begun {
                    Ok(frames) => self.send_all(frames).await,
                    Err(stop) => self.stopped(stop).await,
                }
            }
            Err(Refused::InvalidSession) => self.invalid_session().await,
            Err(Refused::Close(close)) => Err(End::Close(close)),
            Err(Refused::Failed(error)) => Err(error.into()),
        }
    }

    async fn deliver(&mut self) -> Result<(), End> {
        let Some(session) = &mut self.session else { return Ok(()) };
        if !session.is_live().await? {
            forget(session).await;
            self.session = None;
            return Err(End::Close(Close::BadToken));
        }
        match session.next_batch().await {
            Ok(batch) => {
                self.has_news = !batch.is_last;
                self.send_all(batch.frames).await
            }
            Err(stop) => self.stopped(stop).await,
        }
    }

    async fn stopped(&mut self, stop: Stop) -> Result<(), End> {
        match stop {
            Stop::CannotReplay => self.invalid_session().await,
            Stop::InvalidSeq => {
                // What it claims to have seen must not be taken for an acknowledgement.
                self.session = None;
                Err(End::Close(Close::InvalidSeq))
            }
            Stop::Failed(error) => Err(error.into()),
        }
    }

    /// The client is to identify anew, on this connection or another.
    async fn invalid_session(&mut self) -> Result<(), End> {
        if let Some(session) = self.session.take() {
            forget(&session).await;
        }
        self.has_news = false;
        Ok(self.socket.send(protocol::INVALID_SESSION.to_owned()).await?)
    }

    async fn send_all(&mut self, frames: Vec<String>) -> Result<(), End> {
        for frame in frames {
            self.socket.send(frame).await?;
        }
        Ok(())
    }

    async fn members(&mut self, request: &MembersRequest) -> Result<(), End> {
        let Some(session) = &self.session else { return Ok(()) };
        let objects = &self.gateway.inner.objects;
        let chunks = members::chunks(objects, &session.viewer, &session.machine.guilds, request).await?;
        let seq = session.machine.seq;
        let frames = chunks.iter().map(|d| protocol::dispatch("GUILD_MEMBERS_CHUNK", seq, &d.to_string()));
        self.send_all(frames.collect()).await
    }

    /// The server is going down: the client is to come back and resume.
    async fn farewell(&mut self) -> Result<(), End> {
        self.socket.send(protocol::RECONNECT.to_owned()).await?;
        let patience = self.gateway.world().clock.sleep(FAREWELL);
        tokio::pin!(patience);
        loop {
            tokio::select! {
                biased;
                received = self.socket.receive() => match received {
                    // 1000 in answer to a request to come back does not mean that the client is done.
                    Received::Closed(_) | Received::Lost => return Err(End::Lost),
                    Received::Frame(_) | Received::Unreadable => {}
                },
                () = &mut patience => return Err(End::Close(Close::Unknown)),
            }
        }
    }

    /// Saves a checkpoint in the background, if it is worth it.
    fn save(&mut self, is_final: bool) {
        let since_last = self.now().saturating_sub(self.checked_at);
        let Some(session) = &mut self.session else { return };
        let Some(record) = session.checkpoint(is_final, since_last) else { return };
        let (hold, accounts) = (session.hold.clone(), self.gateway.inner.objects.accounts.clone());
        self.gateway.world().spawn("gateway-checkpoint", async move {
            // An older checkpoint does as well, only slower.
            if let Err(error) = hold.save(&accounts, record).await {
                tracing::warn!(%error, "a gateway checkpoint was not saved");
            }
        });
    }

    async fn finish(mut self, end: End) {
        match (&end, &self.session) {
            (End::ClosedByClient(Some(1000 | 1001)), Some(session)) => forget(session).await,
            _ => self.save(true),
        }
        if let End::Close(close) = end {
            self.socket.close(close).await;
        }
    }
}

/// Removes a session that will not be resumed.
async fn forget(session: &Session) {
    if let Err(error) = session.forget().await {
        tracing::warn!(%error, "a gateway session was not removed");
    }
}

/// Resolves when another connection takes the session.
async fn taken(session: Option<&Session>) {
    match session {
        Some(session) => session.hold.lost().await,
        None => std::future::pending().await,
    }
}

/// Resolves when the session may have something to send.
async fn news(session: Option<&Session>, has_news: bool) {
    match session {
        Some(_) if has_news => {}
        Some(session) => session.news().await,
        None => std::future::pending().await,
    }
}
