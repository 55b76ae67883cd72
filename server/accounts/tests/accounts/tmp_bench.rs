use crate::world::Fixture;
#[tokio::test]
async fn bench() {
    let server = Fixture::new().await;
    server.join("alice").await;
    let mut tokens = vec![];
    for n in 0..900 {
        tokens.push(server.login("alice", &format!("D{n}"), false).await.access_token);
    }
    for round in 0..3 {
        #[allow(clippy::disallowed_methods)]
        let at = std::time::Instant::now();
        for t in &tokens {
            assert!(server.accounts.authenticate(t).await.unwrap().is_some());
        }
        println!("round {round}: {:?} each", at.elapsed() / 900);
    }
    #[allow(clippy::disallowed_methods)]
    let at = std::time::Instant::now();
    for _ in 0..1000 {
        assert!(server.accounts.authenticate("nxa_forged").await.unwrap().is_none());
    }
    println!("forged: {:?} each", at.elapsed() / 1000);
}
