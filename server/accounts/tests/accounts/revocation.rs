//! The property that matters most: a token that was ever revoked never authenticates again.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use nexus_accounts::{AccountError, Session};
use proptest::prelude::*;

use crate::{scheduling::others_first, world::Fixture};

const DEVICES: [&str; 3] = ["A", "B", "C"];

/// What a client, or a thief, may do.
#[derive(Clone, Debug)]
enum Step {
    Login { device: usize, refreshable: bool },
    Refresh { token: prop::sample::Index },
    Use { token: prop::sample::Index },
    Logout { device: usize },
    LogoutAll,
    Wait { seconds: u64 },
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let device = 0..DEVICES.len();
    prop_oneof![
        3 => (device.clone(), any::<bool>()).prop_map(|(device, refreshable)| Step::Login { device, refreshable }),
        6 => any::<prop::sample::Index>().prop_map(|token| Step::Refresh { token }),
        6 => any::<prop::sample::Index>().prop_map(|token| Step::Use { token }),
        1 => device.prop_map(|device| Step::Logout { device }),
        1 => Just(Step::LogoutAll),
        1 => (1..4000u64).prop_map(|seconds| Step::Wait { seconds }),
        1 => Just(Step::Restart),
    ]
}

/// What the test knows of the tokens ever given out.
#[derive(Default)]
struct Model {
    access: Vec<(String, usize)>,
    refresh: Vec<String>,
    device_of_refresh: BTreeMap<String, usize>,
    revoked: BTreeSet<String>,
}

impl Model {
    fn note(&mut self, session: Session) {
        let device = DEVICES.iter().position(|id| *id == session.login.device).unwrap();
        self.access.push((session.access_token, device));
        if let Some(token) = session.refresh_token {
            self.device_of_refresh.insert(token.clone(), device);
            self.refresh.push(token);
        }
    }

    /// Every access token given to the device so far is dead.
    fn revoke(&mut self, device: usize) {
        let gone = self.access.iter().filter(|(_, of)| *of == device).map(|(token, _)| token.clone());
        self.revoked.extend(gone);
    }
}

async fn run(steps: Vec<Step>) -> Result<(), TestCaseError> {
    let mut server = Fixture::new().await;
    let user = server.join("alice").await.user;
    let mut model = Model::default();
    for step in steps {
        match step {
            Step::Login { device, refreshable } => {
                model.revoke(device);
                model.note(server.login("alice", DEVICES[device], refreshable).await);
            }
            Step::Refresh { token } if !model.refresh.is_empty() => {
                let token = token.get(&model.refresh).clone();
                match server.accounts.refresh(&token).await {
                    Ok(session) => model.note(session),
                    Err(AccountError::TokenReused) => model.revoke(model.device_of_refresh[&token]),
                    Err(AccountError::UnknownToken) => {}
                    Err(error) => return Err(TestCaseError::fail(error.to_string())),
                }
            }
            Step::Use { token } if !model.access.is_empty() => {
                let (token, _) = token.get(&model.access).clone();
                server.is_good(&token).await;
            }
            Step::Refresh { .. } | Step::Use { .. } => {}
            Step::Logout { device } => match server.accounts.delete_device(user, DEVICES[device]).await {
                Ok(()) | Err(AccountError::UnknownDevice) => model.revoke(device),
                Err(error) => return Err(TestCaseError::fail(error.to_string())),
            },
            Step::LogoutAll => {
                server.accounts.logout_all(user).await.unwrap();
                (0..DEVICES.len()).for_each(|device| model.revoke(device));
            }
            Step::Wait { seconds } => server.advance(Duration::from_secs(seconds)),
            Step::Restart => server = server.restarted().await,
        }
        for token in &model.revoked {
            prop_assert!(!server.is_good(token).await, "{token} was revoked");
        }
    }
    for device in 0..DEVICES.len() {
        let mut count = 0;
        for (token, _) in model.access.iter().filter(|(_, of)| *of == device) {
            count += usize::from(server.is_good(token).await);
        }
        prop_assert!(count <= 2, "a device has its newest access token and at most the one before");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_revoked_token_never_authenticates(steps in prop::collection::vec(step(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(run(steps))?;
    }
}

#[tokio::test]
async fn a_logout_counts_even_if_nobody_waits_for_it() {
    let server = Fixture::new().await;
    server.join("alice").await;
    let session = server.login("alice", "D", false).await;
    assert!(server.is_good(&session.access_token).await, "it is cached now");
    server.disk.hold(true);
    // The logout is decided but not durable; then its request is dropped.
    tokio::select! {
        biased;
        _ = server.accounts.logout(&session.login) => panic!("the disk is held"),
        () = others_first() => {}
    }
    assert!(server.is_good(&session.access_token).await, "nobody was told that it is over");
    server.disk.hold(false);
    let gone = async {
        while server.is_good(&session.access_token).await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), gone).await.expect("the cache hears of it");
}
