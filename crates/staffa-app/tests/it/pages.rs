//! Pages and cursors: together they are all records in order, and a cursor fits one query.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use staffa_app::{
    CountMode, CursorKey, Error, ListRecords, Precondition, Queries, RecordPage, StartAt,
};
use staffa_domain::batch::record_id;
use staffa_domain::query::{Comparison, Condition, Test};
use staffa_domain::record::system;
use staffa_domain::{Field, Filter, RecordId, Sort, StorageError, Value};
use staffa_testkit::nth_id;

use crate::app::{App, ctx, limits};

const COUNT: u64 = 23;

/// Orders whose quantities repeat and are missing.
async fn app() -> App {
    let app = App::new().await;
    for n in 0..COUNT {
        let quantity = if n % 5 == 0 {
            "null".to_owned()
        } else {
            (n % 4).to_string()
        };
        app.create(&format!(
            r#"{{"reference": "A-{n}", "quantity": {quantity}}}"#
        ))
        .await;
    }
    app
}

fn by_quantity(app: &App) -> Vec<Sort> {
    let field = Field::find(&app.orders(), "quantity").unwrap();
    vec![Sort {
        field,
        descending: true,
        nulls_first: false,
    }]
}

fn request(app: &App, start: StartAt) -> ListRecords {
    ListRecords {
        schema: app.orders(),
        filter: None,
        sort: by_quantity(app),
        select: None,
        start,
        size: 5,
        count: CountMode::None,
    }
}

fn ids(page: &RecordPage) -> Vec<RecordId> {
    let rows = 0..page.records.num_rows();
    rows.map(|row| record_id(&page.records, row).unwrap())
        .collect()
}

/// The ids in order: the quantity from the largest down, nulls last, then the id.
fn expected() -> Vec<RecordId> {
    let mut numbers: Vec<u64> = (0..COUNT).collect();
    numbers.sort_by_key(|n| match n % 5 {
        0 => (true, 0, *n),
        _ => (false, 3 - n % 4, *n),
    });
    numbers.into_iter().map(|n| nth_id(n + 1)).collect()
}

async fn first_cursor(app: &App) -> String {
    let page = app
        .queries
        .list_records(&ctx(), request(app, StartAt::Page(1)))
        .await
        .unwrap();
    page.next_cursor.unwrap()
}

#[track_caller]
fn assert_mismatch(result: &Result<RecordPage, Error>) {
    assert!(matches!(result, Err(Error::CursorMismatch)), "{result:?}");
}

#[tokio::test]
async fn numbered_pages_are_all_records() {
    let app = app().await;
    let mut found = Vec::new();
    for number in 1..=5 {
        let mut request = request(&app, StartAt::Page(number));
        request.count = CountMode::Exact;
        let page = app.queries.list_records(&ctx(), request).await.unwrap();
        assert_eq!((page.has_previous, page.has_next), (number > 1, number < 5));
        assert_eq!(page.next_cursor.is_some(), page.has_next);
        assert_eq!(
            (page.page, page.total.unwrap().records),
            (Some(number), COUNT)
        );
        found.extend(ids(&page));
    }
    assert_eq!(found, expected());
}

#[tokio::test]
async fn cursors_lead_through_all_records() {
    let app = app().await;
    let (mut found, mut start) = (Vec::new(), Some(StartAt::Page(1)));
    while let Some(from) = start {
        let page = app
            .queries
            .list_records(&ctx(), request(&app, from))
            .await
            .unwrap();
        assert!(page.total.is_none());
        found.extend(ids(&page));
        start = page.next_cursor.map(StartAt::Cursor);
    }
    assert_eq!(found, expected());
}

#[tokio::test]
async fn a_cursor_takes_another_size_and_selection() {
    let app = app().await;
    let cursor = first_cursor(&app).await;
    let mut request = request(&app, StartAt::Cursor(cursor));
    request.size = 2;
    request.select = Some(vec![0]);
    let page = app
        .queries
        .list_records(&ctx(), request.clone())
        .await
        .unwrap();
    assert_eq!(ids(&page), expected()[5..7]);
    // What is sorted by was read for the cursor, and is not shown.
    assert_eq!(page.records.num_columns(), system::COUNT + 1);
    request.start = StartAt::Cursor(page.next_cursor.unwrap());
    let page = app.queries.list_records(&ctx(), request).await.unwrap();
    assert_eq!(ids(&page), expected()[7..9]);
}

#[tokio::test]
async fn a_cursor_belongs_to_its_query() {
    let app = app().await;
    let at = StartAt::Cursor(first_cursor(&app).await);
    let mut other = request(&app, at.clone());
    other.sort[0].descending = false;
    assert_mismatch(&app.queries.list_records(&ctx(), other).await);
    let mut other = request(&app, at.clone());
    other.sort = Vec::new();
    assert_mismatch(&app.queries.list_records(&ctx(), other).await);
    let mut other = request(&app, at.clone());
    other.filter = Some(Filter::Condition(Condition {
        field: Field::Version,
        test: Test::Compare(Comparison::Eq, Value::Integer(1)),
    }));
    assert_mismatch(&app.queries.list_records(&ctx(), other).await);
    let queries = Queries::new(
        Arc::clone(&app.catalog),
        Arc::clone(&app.storage.reader),
        CursorKey::from_secret(b"another"),
        limits().into(),
    );
    assert_mismatch(&queries.list_records(&ctx(), request(&app, at)).await);
}

#[tokio::test]
async fn a_cursor_that_was_touched_is_refused() {
    let app = app().await;
    let bytes = URL_SAFE_NO_PAD.decode(first_cursor(&app).await).unwrap();
    for at in 0..bytes.len() {
        let mut touched = bytes.clone();
        touched[at] ^= 1;
        let start = StartAt::Cursor(URL_SAFE_NO_PAD.encode(touched));
        assert_mismatch(&app.queries.list_records(&ctx(), request(&app, start)).await);
    }
    let long = "A".repeat(100_000);
    for text in ["", "A", "not a cursor", &long] {
        let start = StartAt::Cursor(text.to_owned());
        assert_mismatch(&app.queries.list_records(&ctx(), request(&app, start)).await);
    }
}

#[tokio::test]
async fn sizes_and_pages_have_limits() {
    let app = app().await;
    let mut bad: Vec<ListRecords> = [0, 101].map(|size| sized(&app, size)).into();
    // The last one would skip more than twenty records.
    bad.extend([0, u64::MAX, 6].map(|number| request(&app, StartAt::Page(number))));
    for request in bad {
        let result = app.queries.list_records(&ctx(), request).await;
        assert!(matches!(result, Err(Error::Question(_))), "{result:?}");
    }
    let page = app
        .queries
        .list_records(&ctx(), sized(&app, 100))
        .await
        .unwrap();
    assert_eq!((ids(&page), page.has_next), (expected(), false));
}

fn sized(app: &App, size: u64) -> ListRecords {
    ListRecords {
        size,
        ..request(app, StartAt::Page(1))
    }
}

/// Orders whose references are long and differ at their end alone, in the order of their ids.
async fn with_long_references() -> (App, Vec<RecordId>) {
    let app = App::new().await;
    let mut ids = Vec::new();
    for n in 10..20 {
        // A quote takes two bytes in a cursor, and a control character six.
        let begin = ["x", "\\\"", "\\u0001", "é"][n % 4].repeat(3_000);
        let body = format!(r#"{{"reference": "{}{begin}{n}"}}"#, n % 4);
        ids.push((n % 4, app.create(&body).await));
    }
    ids.sort_unstable();
    (app, ids.into_iter().map(|(_, id)| id).collect())
}

fn by_reference(app: &App, descending: bool, start: StartAt) -> ListRecords {
    let field = Field::find(&app.orders(), "reference").unwrap();
    let key = Sort {
        field,
        descending,
        nulls_first: false,
    };
    ListRecords {
        sort: vec![key],
        size: 2,
        ..request(app, start)
    }
}

#[tokio::test]
async fn a_cursor_over_long_values_is_short_and_leads_on() {
    let (app, mut expected) = with_long_references().await;
    for descending in [false, true] {
        let (mut found, mut start) = (Vec::new(), Some(StartAt::Page(1)));
        while let Some(from) = start {
            let asked = by_reference(&app, descending, from);
            let page = app.queries.list_records(&ctx(), asked).await.unwrap();
            found.extend(ids(&page));
            assert!(found.len() <= expected.len(), "it does not come to its end");
            let cursor = page.next_cursor;
            assert!(cursor.iter().all(|text| text.len() < 2_048), "{cursor:?}");
            start = cursor.map(StartAt::Cursor);
        }
        assert_eq!(found, expected);
        expected.reverse();
    }
}

#[tokio::test]
async fn where_the_record_of_a_long_value_changes_or_goes_no_record_is_left_out() {
    for descending in [false, true] {
        for deletes in [false, true] {
            let (app, expected) = with_long_references().await;
            let (mut found, mut start) = (Vec::new(), Some(StartAt::Page(1)));
            let mut pages = 0;
            while let Some(from) = start {
                let asked = by_reference(&app, descending, from);
                let page = app.queries.list_records(&ctx(), asked).await.unwrap();
                let last = *ids(&page).last().unwrap();
                found.extend(ids(&page));
                start = page.next_cursor.map(StartAt::Cursor);
                let (target, on) = (("orders", last), Precondition::None);
                if deletes {
                    let done = app.commands.delete_record(&ctx(), target, &on).await;
                    done.unwrap();
                } else {
                    // Behind all others of its beginning, in either direction.
                    let end = ["\u{10000}", ""][usize::from(descending)];
                    let patch = format!(r#"{{"reference": "{end}"}}"#).into();
                    let done = app.commands.patch_record(&ctx(), target, &patch, &on).await;
                    done.unwrap();
                    break;
                }
                pages += 1;
                assert!(pages <= expected.len(), "it does not come to its end");
            }
            if !deletes {
                // The page after the changed record begins with the beginning of its old value.
                let from = start.unwrap();
                let mut asked = by_reference(&app, descending, from);
                asked.size = 100;
                let page = app.queries.list_records(&ctx(), asked).await.unwrap();
                found.extend(ids(&page));
            }
            found.sort_unstable();
            found.dedup();
            let mut expected = expected.clone();
            expected.sort_unstable();
            assert_eq!(found, expected, "{descending} {deletes}");
        }
    }
}

#[tokio::test]
async fn a_page_of_too_many_bytes_is_refused() {
    let app = App::new().await;
    for n in 0..3 {
        let text = "x".repeat(400_000);
        app.create(&format!(
            r#"{{"reference": "A-{n}", "extra": {{"t": "{text}"}}}}"#
        ))
        .await;
    }
    let ask = |size, select| ListRecords {
        size,
        select,
        ..request(&app, StartAt::Page(1))
    };
    let page = app.queries.list_records(&ctx(), ask(3, None)).await;
    let most = limits().page_bytes_max;
    assert!(
        matches!(page, Err(Error::Storage(StorageError::AnswerTooLarge { bytes_max })) if bytes_max == most),
        "{page:?}"
    );
    for (size, select) in [(1, None), (3, Some(vec![0]))] {
        let page = app.queries.list_records(&ctx(), ask(size, select)).await;
        assert_eq!(page.unwrap().records.num_rows() as u64, size);
    }
}
