//! User-interactive authentication: which stages a request must pass, and the sessions that remember them.
//!
//! A session is made by the first request without `auth` and is good for the same operation by the same
//! user until it succeeds. Every flow here has one stage, so a session only has to bind the two requests.
//!
//! **Bounds**: [`SESSIONS_MAX`] sessions, each for [`SESSION_TIME`]; the oldest makes room for a new one.
//! **Errors**: 401 with `flows`, `params` and `session`, and an `errcode` when a stage was tried and failed.
//! **Source**: Matrix v1.19, client-server API, "User-Interactive Authentication API".

use std::{collections::BTreeMap, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use nexus_event_store::{UserNo, world::World};
use parking_lot::Mutex;
use serde_json::{Map, Value, json};

use crate::{body::Fields, error::ApiError};

const SESSIONS_MAX: usize = 10_000;
const SESSION_TIME: Duration = Duration::from_secs(15 * 60);

/// What a session is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// Making an account.
    Register,
    /// Removing one's devices.
    DeleteDevices(UserNo),
}

struct Session {
    operation: Operation,
    began: Duration,
}

#[derive(Default)]
struct Sessions {
    by_number: BTreeMap<u64, (String, Session)>,
    numbers: BTreeMap<String, u64>,
    next: u64,
}

/// The open sessions.
pub(crate) struct UiaSessions {
    world: World,
    sessions: Mutex<Sessions>,
}

/// The `auth` object of a request, once its session is known to be good.
#[derive(Debug)]
pub(crate) struct Attempt {
    /// The stage that the client says it passes.
    pub(crate) stage: String,
    /// What it gives for that.
    pub(crate) fields: Fields,
    session: Option<String>,
}

/// A stage that was not passed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Failure {
    /// Why, for programs.
    pub(crate) errcode: &'static str,
    /// Why, for people.
    pub(crate) message: &'static str,
}

impl UiaSessions {
    /// No sessions yet.
    pub(crate) fn new(world: World) -> Self {
        Self { world, sessions: Mutex::default() }
    }

    /// Reads the `auth` of a request, or asks for it. An `auth` without a session is taken as it is:
    /// with one stage there is nothing to remember between two requests.
    pub(crate) fn attempt(
        &self,
        operation: Operation,
        auth: Option<Fields>,
        stages: &[&str],
    ) -> Result<Attempt, ApiError> {
        let Some(mut fields) = auth else {
            return Err(self.challenge(operation, stages, None, None));
        };
        let session = fields.string("session")?;
        if let Some(session) = &session
            && !self.knows(session, operation)
        {
            let failure = Failure { errcode: "M_UNKNOWN", message: "the session is not known" };
            return Err(self.challenge(operation, stages, None, Some(failure)));
        }
        let Some(stage) = fields.string("type")? else {
            // Only a session: the client asks how far it is.
            return Err(self.challenge(operation, stages, session, None));
        };
        if !stages.contains(&stage.as_str()) {
            let failure = Failure { errcode: "M_UNRECOGNIZED", message: "this is no stage of the flow" };
            return Err(self.challenge(operation, stages, session, Some(failure)));
        }
        Ok(Attempt { stage, fields, session })
    }

    /// The reply to an attempt that failed; its session stays good.
    pub(crate) fn refuse(
        &self,
        operation: Operation,
        attempt: Attempt,
        stages: &[&str],
        failure: Failure,
    ) -> ApiError {
        self.challenge(operation, stages, attempt.session, Some(failure))
    }

    /// Forgets the session of an attempt that succeeded.
    pub(crate) fn finish(&self, attempt: Attempt) {
        if let Some(session) = attempt.session {
            let mut sessions = self.sessions.lock();
            if let Some(number) = sessions.numbers.remove(&session) {
                sessions.by_number.remove(&number);
            }
        }
    }

    fn challenge(
        &self,
        operation: Operation,
        stages: &[&str],
        session: Option<String>,
        failure: Option<Failure>,
    ) -> ApiError {
        let session = session.unwrap_or_else(|| self.open(operation));
        let mut fields = Map::new();
        let flows: Vec<Value> = stages.iter().map(|stage| json!({ "stages": [stage] })).collect();
        fields.insert("flows".to_owned(), flows.into());
        fields.insert("params".to_owned(), json!({}));
        fields.insert("completed".to_owned(), json!([]));
        fields.insert("session".to_owned(), session.into());
        ApiError::challenge(failure.map(|failure| (failure.errcode, failure.message)), fields)
    }

    fn open(&self, operation: Operation) -> String {
        let name = URL_SAFE_NO_PAD.encode(self.world.random_bytes::<18>());
        let mut sessions = self.sessions.lock();
        if sessions.by_number.len() >= SESSIONS_MAX
            && let Some((_, (oldest, _))) = sessions.by_number.pop_first()
        {
            sessions.numbers.remove(&oldest);
        }
        let number = sessions.next;
        sessions.next += 1;
        sessions.numbers.insert(name.clone(), number);
        let session = Session { operation, began: self.world.clock.monotonic() };
        sessions.by_number.insert(number, (name.clone(), session));
        name
    }

    fn knows(&self, name: &str, operation: Operation) -> bool {
        let sessions = self.sessions.lock();
        let session = sessions.numbers.get(name).and_then(|number| sessions.by_number.get(number));
        session.is_some_and(|(_, session)| {
            session.operation == operation
                && self.world.clock.monotonic().saturating_sub(session.began) <= SESSION_TIME
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    };

    use nexus_event_store::world::{BoxFuture, Clock, CpuPool, Random, Spawn, UnixMs};
    use ruma::CanonicalJsonValue;

    use super::*;

    const STAGES: [&str; 1] = ["m.login.dummy"];

    /// Time is the number; randomness counts on.
    #[derive(Clone, Default)]
    struct TestWorld(Arc<AtomicU64>);

    impl Clock for TestWorld {
        fn now(&self) -> UnixMs {
            UnixMs(0)
        }
        fn monotonic(&self) -> Duration {
            Duration::from_secs(self.0.load(Ordering::Relaxed))
        }
        fn sleep(&self, _: Duration) -> BoxFuture<'static, ()> {
            Box::pin(std::future::pending())
        }
    }

    struct Counting(AtomicU64);

    impl Random for Counting {
        fn fill(&self, bytes: &mut [u8]) {
            let number = self.0.fetch_add(1, Ordering::Relaxed).to_le_bytes();
            bytes[..8].copy_from_slice(&number);
        }
    }

    struct Nothing;

    impl Spawn for Nothing {
        fn spawn(&self, _: &'static str, _: BoxFuture<'static, ()>) {}
    }

    impl CpuPool for Nothing {
        fn run(&self, _: Box<dyn FnOnce() + Send + 'static>) {}
    }

    fn sessions() -> (UiaSessions, TestWorld) {
        let clock = TestWorld::default();
        let world = World {
            clock: Arc::new(clock.clone()),
            random: Arc::new(Counting(0.into())),
            spawn: Arc::new(Nothing),
            cpu: Arc::new(Nothing),
        };
        (UiaSessions::new(world), clock)
    }

    fn auth(fields: &[(&str, &str)]) -> Option<Fields> {
        let string = |text: &str| CanonicalJsonValue::String(text.to_owned());
        Some(Fields(fields.iter().map(|(name, value)| ((*name).to_owned(), string(value))).collect()))
    }

    fn attempt(sessions: &UiaSessions, session: &str) -> Result<Attempt, ApiError> {
        let auth = auth(&[("type", STAGES[0]), ("session", session)]);
        sessions.attempt(Operation::Register, auth, &STAGES)
    }

    #[test]
    fn a_session_is_for_its_operation_and_its_time() {
        let (sessions, clock) = sessions();
        let session = sessions.open(Operation::Register);
        assert_eq!(attempt(&sessions, &session).unwrap().stage, STAGES[0]);
        let other = Operation::DeleteDevices(UserNo(1));
        let foreign = auth(&[("type", STAGES[0]), ("session", &session)]);
        assert!(sessions.attempt(other, foreign, &STAGES).is_err());
        clock.0.store(SESSION_TIME.as_secs(), Ordering::Relaxed);
        let last = attempt(&sessions, &session).unwrap();
        sessions.finish(last);
        assert!(attempt(&sessions, &session).is_err(), "used up");
        let session = sessions.open(Operation::Register);
        clock.0.store(2 * SESSION_TIME.as_secs() + 1, Ordering::Relaxed);
        assert!(attempt(&sessions, &session).is_err(), "too late");
    }

    #[test]
    fn the_oldest_session_makes_room() {
        let (sessions, _) = sessions();
        let oldest = sessions.open(Operation::Register);
        let second = sessions.open(Operation::Register);
        for _ in 2..=SESSIONS_MAX {
            sessions.open(Operation::Register);
        }
        assert!(attempt(&sessions, &second).is_ok());
        assert!(attempt(&sessions, &oldest).is_err());
        let kept = sessions.sessions.lock();
        assert_eq!((kept.by_number.len(), kept.numbers.len()), (SESSIONS_MAX, SESSIONS_MAX));
    }

    #[test]
    fn what_an_auth_can_lack() {
        let (sessions, _) = sessions();
        let session = sessions.open(Operation::Register);
        let refusals = [
            sessions.attempt(Operation::Register, None, &STAGES),
            sessions.attempt(Operation::Register, auth(&[("session", &session)]), &STAGES),
            sessions.attempt(Operation::Register, auth(&[("type", "m.login.sso")]), &STAGES),
            attempt(&sessions, "nonesuch"),
        ];
        let table: String =
            refusals.into_iter().map(|refusal| format!("{}\n", refusal.unwrap_err())).collect();
        expect_test::expect![[r#"
            401 : 
            401 : 
            401 M_UNRECOGNIZED: this is no stage of the flow
            401 M_UNKNOWN: the session is not known
        "#]]
        .assert_eq(&table);
        let bare = sessions.attempt(Operation::Register, auth(&[("type", STAGES[0])]), &STAGES);
        assert_eq!(bare.unwrap().session, None, "one stage needs no session");
    }
}
