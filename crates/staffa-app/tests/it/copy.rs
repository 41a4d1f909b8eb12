//! Copying between two storages: nothing of a record changes, and a copy can go on.

use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;

use staffa_app::{Checksum, Precondition};
use staffa_testkit::nth_id;

use crate::app::{App, ctx};

async fn source() -> App {
    let app = App::new().await;
    for n in 1..=9 {
        let extra = r#"{"b": 1e3, "a": [null, "é"]}"#;
        let order = format!(r#"{{"reference": "A-{n}", "amount": "{n}.50", "extra": {extra}}}"#);
        app.create(&order).await;
        app.clock.advance_micros(1);
    }
    let body = Bytes::from_static(br#"{"quantity": 3}"#);
    let (changed, removed) = (("orders", nth_id(2)), ("orders", nth_id(3)));
    app.commands
        .patch_record(&ctx(), changed, &body, &Precondition::None)
        .await
        .unwrap();
    app.commands
        .delete_record(&ctx(), removed, &Precondition::None)
        .await
        .unwrap();
    app
}

async fn copy(from: &App, to: &App) -> u64 {
    let noted = AtomicUsize::new(0);
    let progress = |records: usize| {
        noted.fetch_add(records, Ordering::Relaxed);
    };
    let copied = to
        .commands
        .copy_records(&ctx(), &from.queries, "orders", &progress)
        .await;
    let copied = copied.unwrap();
    assert_eq!(noted.into_inner() as u64, copied);
    copied
}

async fn sum(app: &App) -> Checksum {
    app.queries
        .checksum_records(&ctx(), "orders", &|_| ())
        .await
        .unwrap()
}

#[tokio::test]
async fn a_copy_is_the_same_to_the_last_field() {
    let (from, to) = (source().await, App::new().await);
    assert_eq!(copy(&from, &to).await, 8);
    for n in [1, 2, 9] {
        assert_eq!(to.order(nth_id(n)).await, from.order(nth_id(n)).await);
    }
    assert_eq!(to.order(nth_id(2)).await["version"], 2);
    assert_eq!(
        (sum(&to).await, sum(&to).await.records),
        (sum(&from).await, 8)
    );
}

#[tokio::test]
async fn a_copy_goes_on_where_it_ended() {
    let (from, to) = (source().await, App::new().await);
    assert_eq!(copy(&from, &to).await, 8);
    assert_eq!(copy(&from, &to).await, 0);
    from.create(r#"{"reference": "B"}"#).await;
    assert_ne!(sum(&to).await, sum(&from).await);
    assert_eq!(copy(&from, &to).await, 1);
    assert_eq!(sum(&to).await, sum(&from).await);
}

#[tokio::test]
async fn a_checksum_sees_every_field() {
    let (from, to) = (source().await, App::new().await);
    copy(&from, &to).await;
    let body = Bytes::from_static(b"{}");
    // The data stays as it is; the version and a time move.
    let changed = ("orders", nth_id(1));
    to.commands
        .patch_record(&ctx(), changed, &body, &Precondition::None)
        .await
        .unwrap();
    assert_ne!(sum(&to).await, sum(&from).await);
    assert_eq!(sum(&to).await.records, sum(&from).await.records);
}
