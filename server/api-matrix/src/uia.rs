//! User-interactive authentication: which stages a request must pass, and the sessions that remember them.
//!
//! A session is made by the first request that has not passed a whole flow, and is good for the same operation
//! by the same user until that succeeds. **Invariant**: a stage that was passed counts only for the session,
//! the operation, the user and the body it was passed with; a request with another body starts over. So nobody
//! can have one thing confirmed and then do another.
//!
//! **Bounds**: [`SESSIONS_MAX`] sessions, each for [`SESSION_TIME`]; the oldest makes room for a new one.
//! **Errors**: 401 with `flows`, `params` and `session`, and an `errcode` when a stage was tried and failed.
//! **Source**: Matrix v1.19, client-server API, "User-Interactive Authentication API".

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use nexus_accounts::ProofKey;
use nexus_event_store::{UserNo, world::World};
use parking_lot::Mutex;
use ruma::CanonicalJsonValue;
use serde_json::{Map, json};
use sha2::{Digest as _, Sha256};

use crate::{body::Fields, error::ApiError};

const SESSIONS_MAX: usize = 10_000;
const SESSION_TIME: Duration = Duration::from_secs(15 * 60);

/// Stages of which all must be passed.
pub(crate) type Flow = Vec<&'static str>;

/// What a session is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// Making an account.
    Register,
    /// Removing one's devices.
    DeleteDevices(UserNo),
    /// Setting another password; without a user by a proof of the address.
    ChangePassword(Option<UserNo>),
    /// Ending one's account.
    Deactivate(UserNo),
    /// Adding an address to one's account.
    AddAddress(UserNo),
}

/// What is asked for, and what it takes.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) operation: Operation,
    /// Any one of them must be passed.
    pub(crate) flows: Vec<Flow>,
    body: BodyHash,
}

/// The SHA-256 of a body without its `auth`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct BodyHash([u8; 32]);

impl Request {
    /// A request with what is left of `body` once `auth` was taken out.
    pub(crate) fn new(operation: Operation, flows: Vec<Flow>, body: &Fields) -> Self {
        let text = CanonicalJsonValue::Object(body.0.clone()).to_string();
        Self { operation, flows, body: BodyHash(Sha256::digest(text).into()) }
    }

    fn is_passed(&self, completed: &BTreeSet<&'static str>) -> bool {
        self.flows.iter().any(|flow| flow.iter().all(|stage| completed.contains(stage)))
    }

    fn stage(&self, name: &str) -> Option<&'static str> {
        self.flows.iter().flatten().find(|stage| **stage == name).copied()
    }
}

/// What a stage found out that the operation needs.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Note {
    /// The token or invite to register with.
    Token(String),
    /// The proof of an address.
    Address(ProofKey),
}

impl std::fmt::Debug for Note {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Token(_) => "Token",
            Self::Address(_) => "Address",
        })
    }
}

struct Session {
    operation: Operation,
    body: BodyHash,
    completed: BTreeSet<&'static str>,
    notes: Vec<Note>,
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
    pub(crate) stage: &'static str,
    /// What it gives for that.
    pub(crate) fields: Fields,
    session: Option<String>,
}

/// Where a request stands.
#[derive(Debug)]
pub(crate) enum Step {
    /// A stage is to be run.
    Try(Attempt),
    /// A whole flow was passed before, and the operation has not succeeded yet.
    Passed(Passed),
}

/// A whole flow was passed.
#[derive(Debug)]
pub(crate) struct Passed {
    /// What its stages found out.
    pub(crate) notes: Vec<Note>,
    session: Option<String>,
}

impl Passed {
    /// The proof of an address that was given on the way.
    pub(crate) fn address(&self) -> Option<ProofKey> {
        self.notes.iter().find_map(|note| match note {
            Note::Address(proof) => Some(proof.clone()),
            Note::Token(_) => None,
        })
    }
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

    /// Reads the `auth` of a request, or asks for it. An `auth` without a session is good where its one stage
    /// is a whole flow: there is nothing to remember between two requests.
    pub(crate) fn attempt(&self, request: &Request, auth: Option<Fields>) -> Result<Step, ApiError> {
        let Some(mut fields) = auth else {
            return Err(self.challenge(request, None, None));
        };
        let session = fields.string("session")?;
        if let Some(session) = &session
            && !self.enter(session, request)
        {
            let failure = Failure { errcode: "M_UNKNOWN", message: "the session is not known" };
            return Err(self.challenge(request, None, Some(failure)));
        }
        let Some(stage) = fields.string("type")? else {
            // Only a session: the client asks how far it is.
            let notes = session.as_ref().and_then(|session| self.passed(session, request));
            return match notes {
                Some(notes) => Ok(Step::Passed(Passed { notes, session })),
                None => Err(self.challenge(request, session, None)),
            };
        };
        let Some(stage) = request.stage(&stage) else {
            let failure = Failure { errcode: "M_UNRECOGNIZED", message: "this is no stage of the flow" };
            return Err(self.challenge(request, session, Some(failure)));
        };
        Ok(Step::Try(Attempt { stage, fields, session }))
    }

    /// The reply to an attempt that failed; its session stays good.
    pub(crate) fn refuse(&self, request: &Request, attempt: Attempt, failure: Failure) -> ApiError {
        self.challenge(request, attempt.session, Some(failure))
    }

    /// A stage was passed: either that was all, or the reply asks for the next.
    pub(crate) fn pass(
        &self,
        request: &Request,
        attempt: Attempt,
        note: Option<Note>,
    ) -> Result<Passed, ApiError> {
        let alone = BTreeSet::from([attempt.stage]);
        if request.is_passed(&alone) && attempt.session.is_none() {
            return Ok(Passed { notes: note.into_iter().collect(), session: None });
        }
        let session = attempt.session.unwrap_or_else(|| self.open(request));
        if let Some((_, open)) = self.sessions.lock().get_mut(&session) {
            open.completed.insert(attempt.stage);
            open.notes.extend(note);
        }
        match self.passed(&session, request) {
            Some(notes) => Ok(Passed { notes, session: Some(session) }),
            None => Err(self.challenge(request, Some(session), None)),
        }
    }

    /// Forgets the session of an operation that succeeded.
    pub(crate) fn finish(&self, passed: Passed) {
        if let Some(session) = passed.session {
            let mut sessions = self.sessions.lock();
            if let Some(number) = sessions.numbers.remove(&session) {
                sessions.by_number.remove(&number);
            }
        }
    }

    fn challenge(&self, request: &Request, session: Option<String>, failure: Option<Failure>) -> ApiError {
        let session = session.unwrap_or_else(|| self.open(request));
        let completed = match self.sessions.lock().get_mut(&session) {
            Some((_, open)) => open.completed.clone(),
            None => BTreeSet::new(),
        };
        let mut fields = Map::new();
        let flows = request.flows.iter().map(|flow| json!({ "stages": flow }));
        fields.insert("flows".to_owned(), flows.collect());
        fields.insert("params".to_owned(), json!({}));
        fields.insert("completed".to_owned(), json!(completed));
        fields.insert("session".to_owned(), session.into());
        ApiError::challenge(failure.map(|failure| (failure.errcode, failure.message)), fields)
    }

    fn open(&self, request: &Request) -> String {
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
        let session = Session {
            operation: request.operation,
            body: request.body,
            completed: BTreeSet::new(),
            notes: Vec::new(),
            began: self.world.clock.monotonic(),
        };
        sessions.by_number.insert(number, (name.clone(), session));
        name
    }

    /// Whether a session is good for a request. What was passed for another body is forgotten.
    fn enter(&self, name: &str, request: &Request) -> bool {
        let now = self.world.clock.monotonic();
        let mut sessions = self.sessions.lock();
        let Some((_, session)) = sessions.get_mut(name) else { return false };
        if session.operation != request.operation || now.saturating_sub(session.began) > SESSION_TIME {
            return false;
        }
        if session.body != request.body {
            session.body = request.body;
            session.completed.clear();
            session.notes.clear();
        }
        true
    }

    /// What was found out on the way, if a whole flow was passed.
    fn passed(&self, name: &str, request: &Request) -> Option<Vec<Note>> {
        let mut sessions = self.sessions.lock();
        let (_, session) = sessions.get_mut(name)?;
        request.is_passed(&session.completed).then(|| session.notes.clone())
    }
}

impl Sessions {
    fn get_mut(&mut self, name: &str) -> Option<&mut (String, Session)> {
        self.by_number.get_mut(self.numbers.get(name)?)
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

    const DUMMY: &str = "m.login.dummy";
    const TOKEN: &str = "m.login.registration_token";

    fn body(text: &str) -> Fields {
        Fields([("a".to_owned(), CanonicalJsonValue::String(text.to_owned()))].into_iter().collect())
    }

    fn register() -> Request {
        Request::new(Operation::Register, vec![vec![DUMMY]], &body(""))
    }

    /// A request that takes two stages.
    fn long(operation: Operation, text: &str) -> Request {
        Request::new(operation, vec![vec![DUMMY, TOKEN]], &body(text))
    }

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

    fn attempt(sessions: &UiaSessions, session: &str, request: &Request) -> Result<Attempt, ApiError> {
        let auth = auth(&[("type", DUMMY), ("session", session)]);
        sessions.attempt(request, auth).map(|step| match step {
            Step::Try(attempt) => attempt,
            Step::Passed(_) => panic!("nothing was passed"),
        })
    }

    #[test]
    fn a_session_is_for_its_operation_and_its_time() {
        let (sessions, clock) = sessions();
        let session = sessions.open(&register());
        assert_eq!(attempt(&sessions, &session, &register()).unwrap().stage, DUMMY);
        let other = Request { operation: Operation::DeleteDevices(UserNo(1)), ..register() };
        assert!(attempt(&sessions, &session, &other).is_err());
        clock.0.store(SESSION_TIME.as_secs(), Ordering::Relaxed);
        let last = attempt(&sessions, &session, &register()).unwrap();
        let passed = sessions.pass(&register(), last, None).unwrap();
        sessions.finish(passed);
        assert!(attempt(&sessions, &session, &register()).is_err(), "used up");
        let session = sessions.open(&register());
        clock.0.store(2 * SESSION_TIME.as_secs() + 1, Ordering::Relaxed);
        assert!(attempt(&sessions, &session, &register()).is_err(), "too late");
    }

    #[test]
    fn attack_45_stages_passed_for_one_thing_do_not_count_for_another() {
        let (sessions, _) = sessions();
        let mine = Operation::Deactivate(UserNo(1));
        let request = long(mine, "delete this");
        let session = sessions.open(&request);
        let half = attempt(&sessions, &session, &request).unwrap();
        assert!(sessions.pass(&request, half, None).is_err(), "one stage of two");
        // A shorter way through a session that was opened for a longer one.
        let only_session = || auth(&[("session", &session)]);
        assert!(sessions.attempt(&request, only_session()).is_err());
        // Another user, another operation.
        for operation in [Operation::Deactivate(UserNo(2)), Operation::DeleteDevices(UserNo(1))] {
            let foreign = long(operation, "delete this");
            let refusal = sessions.attempt(&foreign, only_session()).unwrap_err();
            assert_eq!(refusal.to_string(), "401 M_UNKNOWN: the session is not known");
        }
        let last = || {
            let auth = auth(&[("type", TOKEN), ("session", &session)]);
            match sessions.attempt(&request, auth).unwrap() {
                Step::Try(attempt) => attempt,
                Step::Passed(_) => panic!("not yet"),
            }
        };
        let note = Note::Token("t".to_owned());
        assert_eq!(sessions.pass(&request, last(), Some(note.clone())).unwrap().notes, [note]);
        // Passed, and not done yet: good for the same body only.
        assert!(matches!(sessions.attempt(&request, only_session()).unwrap(), Step::Passed(_)));
        let another = long(mine, "delete something else");
        assert!(sessions.attempt(&another, only_session()).is_err());
        assert!(sessions.attempt(&request, only_session()).is_err(), "the change of mind cost the stages");
    }

    #[test]
    fn attack_45_a_stage_without_a_session_passes_only_a_flow_of_one_stage() {
        let (sessions, _) = sessions();
        let request = long(Operation::Register, "");
        let bare = || auth(&[("type", DUMMY)]);
        let Ok(Step::Try(attempt)) = sessions.attempt(&request, bare()) else { panic!("a stage to try") };
        assert!(sessions.pass(&request, attempt, None).is_err());
        let short = register();
        let Ok(Step::Try(attempt)) = sessions.attempt(&short, bare()) else { panic!("a stage to try") };
        assert!(sessions.pass(&short, attempt, None).is_ok());
    }

    #[test]
    fn the_oldest_session_makes_room() {
        let (sessions, _) = sessions();
        let oldest = sessions.open(&register());
        let second = sessions.open(&register());
        for _ in 2..=SESSIONS_MAX {
            sessions.open(&register());
        }
        assert!(attempt(&sessions, &second, &register()).is_ok());
        assert!(attempt(&sessions, &oldest, &register()).is_err());
        let kept = sessions.sessions.lock();
        assert_eq!((kept.by_number.len(), kept.numbers.len()), (SESSIONS_MAX, SESSIONS_MAX));
    }

    #[test]
    fn what_an_auth_can_lack() {
        let (sessions, _) = sessions();
        let session = sessions.open(&register());
        let refusals = [
            sessions.attempt(&register(), None).map(drop),
            sessions.attempt(&register(), auth(&[("session", &session)])).map(drop),
            sessions.attempt(&register(), auth(&[("type", "m.login.sso")])).map(drop),
            attempt(&sessions, "nonesuch", &register()).map(drop),
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
    }
}
