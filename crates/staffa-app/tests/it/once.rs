//! How long answers are kept.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use staffa_app::{Claim, Context, Done, Error, Fingerprint, Once, Teller, Told};

use crate::app::{App, ctx};

const HOUR: i64 = 3_600_000_000;

#[derive(Debug)]
pub(crate) struct Brief;

#[async_trait]
impl Teller for Brief {
    async fn tell(&self, _: Done<'_>) -> Result<Told, Error> {
        Ok(Told {
            status: 201,
            headers: Vec::new(),
            body: Bytes::from_static(b"done").into(),
        })
    }
}

/// Creates an order under a key.
async fn create(app: &App, key: &str) -> Claim {
    let claim = app.commands.claim_key(key).unwrap();
    let ctx = Context::new(key);
    let fingerprint = Fingerprint::new([key.as_bytes()]);
    ctx.set_once(Once::new(&claim, fingerprint, Arc::new(Brief)));
    let body = Bytes::from(format!(r#"{{"reference":"{key}"}}"#));
    let created = app.commands.create_record(&ctx, "orders", &body).await;
    created.unwrap();
    assert_eq!(ctx.once().unwrap().told().unwrap().status, 201);
    claim
}

#[tokio::test]
async fn answers_are_let_go_when_they_are_old() {
    let app = App::new().await;
    assert_eq!(app.commands.sweep_keys().await.unwrap(), 0);
    let early = create(&app, "early").await;
    app.clock.advance_micros(20 * HOUR);
    let late = create(&app, "late").await;
    assert_eq!(app.commands.sweep_keys().await.unwrap(), 0);
    app.clock.advance_micros(4 * HOUR + 1);
    assert_eq!(app.commands.sweep_keys().await.unwrap(), 1);
    let old = app.commands.kept_answer(&ctx(), &early).await.unwrap();
    assert!(old.is_none());
    let answer = app.commands.kept_answer(&ctx(), &late).await.unwrap();
    let answer = answer.unwrap();
    let same = Fingerprint::new([&b"late"[..]]);
    let body = answer.answer(&same).unwrap().body;
    assert_eq!(body, Bytes::from_static(b"done").into());
}

#[tokio::test]
async fn an_old_answer_is_none_before_it_is_swept() {
    let app = App::new().await;
    drop(create(&app, "k").await);
    app.clock.advance_micros(24 * HOUR + 1);
    let claim = app.commands.claim_key("k").unwrap();
    let kept = app.commands.kept_answer(&ctx(), &claim).await.unwrap();
    assert!(kept.is_none());
    // The key is free for another request.
    assert_eq!(app.commands.sweep_keys().await.unwrap(), 0);
}

#[tokio::test]
async fn a_key_is_held_until_its_request_is_over() {
    let app = App::new().await;
    let claim = app.commands.claim_key("k").unwrap();
    let second = app.commands.claim_key("k");
    assert!(matches!(second, Err(Error::KeyInProgress)), "{second:?}");
    app.commands.claim_key("l").unwrap();
    drop(claim);
    app.commands.claim_key("k").unwrap();
}
