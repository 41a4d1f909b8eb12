//! Values at the edge of their types: each comes back the same from every route and in every
//! format, or is refused by all of them with nothing stored.

use http::StatusCode;
use serde_json::json;

use crate::app::{Answer, App, id};

const ORDERS: &str = "/api/v1/records/orders";
const BULK: &str = "/api/v1/records/orders/bulk";
const NDJSON: &str = "application/x-ndjson";
const JSON: &str = "application/json";
const CSV: &str = "text/csv";
/// How many system fields stand before the properties in CSV.
const CSV_SYSTEM_FIELDS: usize = 4;

async fn bulk(app: &App, kind: &str, body: String) -> Answer {
    app.call("POST", BULK, &[("content-type", kind)], body)
        .await
}

/// Whether a property has this value, as the text that it is.
#[track_caller]
fn check_has(answer: &Answer, property: &str, value: &str) {
    assert!(answer.status.is_success(), "{property}: {}", answer.show());
    let text = answer.text();
    let found = [",", "}"]
        .iter()
        .any(|end| text.contains(&format!("\"{property}\":{value}{end}")));
    assert!(found, "{property} is not {value:.100}: {text:.600}");
}

/// A value, as it is sent and as it comes back.
async fn check_kept(property: &str, sent: &str, back: &str) {
    let app = App::new().await;
    let created = app
        .post(
            ORDERS,
            format!("{{\"reference\":\"r\",\"{property}\":{sent}}}"),
        )
        .await;
    assert_eq!(
        created.status,
        StatusCode::CREATED,
        "{property}: {sent:.100}"
    );
    check_has(&created, property, back);
    check_has(
        &app.get(&format!("{ORDERS}/{}", id(1))).await,
        property,
        back,
    );
    check_has(&app.get(ORDERS).await, property, back);
    if !["tags", "extra"].contains(&property) && back != "null" {
        let filter = format!("{{\"field\":\"{property}\",\"operator\":\"eq\",\"value\":{back}}}");
        let question = format!("{{\"filters\":[{filter}],\"count\":\"exact\"}}");
        let page = app.post(&format!("{ORDERS}/query"), question).await;
        check_has(&page, property, back);
        assert_eq!(page.json()["data"]["total"], 1, "{property}: {back:.100}");
    }
    let line = app
        .get(&format!("{ORDERS}/stream?shape=data"))
        .await
        .text()
        .to_owned();
    for (kind, body) in [(NDJSON, line.clone()), (JSON, format!("[{line}]"))] {
        check_alike(kind, body, &line).await;
    }
    let csv = app
        .get(&format!("{ORDERS}/stream?format=csv&fields={property}"))
        .await;
    let (_, record) = csv.text().split_once('\n').unwrap();
    let cell = record.splitn(CSV_SYSTEM_FIELDS + 1, ',').last().unwrap();
    check_alike(CSV, format!("reference,{property}\nr,{cell}"), &line).await;
}

/// What one server streams another takes, and streams again.
async fn check_alike(kind: &str, body: String, line: &str) {
    let app = App::new().await;
    let stored = bulk(&app, kind, body.clone()).await;
    assert_eq!(
        stored.status,
        StatusCode::CREATED,
        "{kind} {body:.200}: {}",
        stored.show()
    );
    let again = app.get(&format!("{ORDERS}/stream?shape=data")).await;
    assert_eq!(again.text(), line, "{kind}");
}

/// A value that breaks a rule of its type, though the body is JSON.
async fn check_invalid(property: &str, sent: &str) {
    let app = App::new().await;
    let body = format!("{{\"reference\":\"r\",\"{property}\":{sent}}}");
    let one = app.post(ORDERS, body.clone()).await;
    assert_eq!(
        one.status,
        StatusCode::UNPROCESSABLE_ENTITY,
        "{body}: {}",
        one.show()
    );
    let pointer = one.json()["errors"][0]["pointer"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        pointer.starts_with(&format!("/{property}")),
        "{body}: {pointer}"
    );
    for (kind, many) in [(NDJSON, body.clone()), (JSON, format!("[{body}]"))] {
        let report = bulk(&app, kind, many).await;
        assert_eq!(report.status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
        assert_eq!(report.json()["errors"][0]["pointer"], pointer, "{body}");
    }
    let patch = App::new().await.with_orders(1).await;
    let path = format!("{ORDERS}/{}", id(1));
    let merge = format!("{{\"{property}\":{sent}}}");
    let patched = patch
        .call("PATCH", &path, &[("content-type", JSON)], merge)
        .await;
    assert_eq!(
        patched.status,
        StatusCode::UNPROCESSABLE_ENTITY,
        "{body}: {}",
        patched.show()
    );
    assert_eq!(app.count("orders").await, 0, "{body}");
}

/// A text that is no JSON.
async fn check_malformed(sent: &[u8]) {
    let app = App::new().await;
    let shown = String::from_utf8_lossy(&sent[..sent.len().min(80)]).into_owned();
    let body = [b"{\"reference\":\"r\",\"customer\":", sent, b"}"].concat();
    let one = app.post(ORDERS, body.clone()).await;
    assert_eq!(
        one.status,
        StatusCode::BAD_REQUEST,
        "{shown}: {}",
        one.show()
    );
    assert_eq!(one.code(), "malformed_json", "{shown}");
    let line = app
        .call("POST", BULK, &[("content-type", NDJSON)], body.clone())
        .await;
    assert_eq!(line.status, StatusCode::UNPROCESSABLE_ENTITY, "{shown}");
    assert_eq!(line.json()["errors"][0]["code"], "malformed", "{shown}");
    assert_eq!(line.json()["errors"][0]["line"], 1, "{shown}");
    let array = [b"[".to_vec(), body, b"]".to_vec()].concat();
    let array = app
        .call("POST", BULK, &[("content-type", JSON)], array)
        .await;
    assert_eq!(array.code(), "malformed_json", "{shown}: {}", array.show());
    assert_eq!(app.count("orders").await, 0, "{shown}");
}

#[tokio::test]
async fn integers_are_exact_to_64_bits() {
    for (sent, back) in [
        ("9223372036854775807", "9223372036854775807"),
        ("-9223372036854775808", "-9223372036854775808"),
        ("9007199254740993", "9007199254740993"),
        ("-9007199254740993", "-9007199254740993"),
        ("-0", "0"),
        ("-0.0", "0"),
        ("1.0", "1"),
        ("1e2", "100"),
        ("9223372036854775807.0", "9223372036854775807"),
        ("92233720368547758070e-1", "9223372036854775807"),
        ("null", "null"),
    ] {
        check_kept("quantity", sent, back).await;
    }
    for sent in [
        "9223372036854775808",
        "-9223372036854775809",
        "18446744073709551615",
        "170141183460469231731687303715884105727",
        "1.5",
        "1e-1",
        "1e400",
        "1e99999999999999999999",
        "true",
        "\"5\"",
        "[5]",
        "{}",
    ] {
        check_invalid("quantity", sent).await;
    }
}

#[tokio::test]
async fn numbers_are_doubles_to_the_bit() {
    for (sent, back) in [
        ("5e-324", "5e-324"),
        ("2.2250738585072011e-308", "2.225073858507201e-308"),
        ("2.2250738585072014e-308", "2.2250738585072014e-308"),
        ("1.7976931348623157e308", "1.7976931348623157e+308"),
        ("-0.0", "-0.0"),
        ("0.1", "0.1"),
        ("0.30000000000000004", "0.30000000000000004"),
        ("9007199254740993", "9007199254740992.0"),
        ("1e23", "1e+23"),
        ("8.41e21", "8.41e+21"),
        ("9.5367431640625e-7", "9.5367431640625e-7"),
        // What is nearer to zero than to the least number is zero.
        ("2e-324", "0.0"),
        ("3e-324", "5e-324"),
        ("1e-400", "0.0"),
    ] {
        check_kept("weight", sent, back).await;
    }
    for sent in [
        "1e400",
        "-1e400",
        "1.8e308",
        "\"1\"",
        "\"NaN\"",
        "\"Infinity\"",
        "false",
    ] {
        check_invalid("weight", sent).await;
    }
    for sent in [
        "NaN",
        "Infinity",
        "-Infinity",
        "01",
        "+1",
        ".5",
        "5.",
        "1e",
        "0x10",
        "1_0",
    ] {
        check_malformed(sent.as_bytes()).await;
    }
}

#[tokio::test]
async fn decimals_are_exact() {
    for (sent, back) in [
        ("\"0.10\"", "\"0.10\""),
        ("0.10", "\"0.10\""),
        ("\"9999999999.99\"", "\"9999999999.99\""),
        ("\"-9999999999.99\"", "\"-9999999999.99\""),
        ("9999999999.99", "\"9999999999.99\""),
        ("\"-0.00\"", "\"0.00\""),
        ("\"1.230\"", "\"1.23\""),
        ("1e2", "\"100.00\""),
    ] {
        check_kept("amount", sent, back).await;
    }
    for sent in [
        "\"10000000000\"",
        "\"1.234\"",
        "\"+1\"",
        "\" 1\"",
        "\"\"",
        "\"NaN\"",
        "1e400",
    ] {
        check_invalid("amount", sent).await;
    }
}

#[tokio::test]
async fn dates_are_those_of_the_calendar() {
    for date in [
        "0001-01-01",
        "9999-12-31",
        "2024-02-29",
        "2000-02-29",
        "1582-10-10",
    ] {
        let date = format!("\"{date}\"");
        check_kept("ordered_on", &date, &date).await;
    }
    for date in [
        "0000-01-01",
        "-0001-01-01",
        "10000-01-01",
        "+10000-01-01",
        "2023-02-29",
        "1900-02-29",
        "2024-13-01",
        "2024-00-01",
        "2024-04-31",
        "2024-1-1",
        "2024-01-01T00:00:00Z",
        " 2024-01-01",
        "infinity",
        "today",
        "",
    ] {
        check_invalid("ordered_on", &format!("\"{date}\"")).await;
    }
    check_invalid("ordered_on", "20240101").await;
}

#[tokio::test]
async fn moments_are_microseconds_of_utc() {
    for (sent, back) in [
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
        ("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z"),
        ("2024-01-01T00:00:00+14:00", "2023-12-31T10:00:00Z"),
        ("2024-01-01T00:00:00-12:00", "2024-01-01T12:00:00Z"),
        (
            "2024-02-29T23:59:59.000001-00:01",
            "2024-03-01T00:00:59.000001Z",
        ),
        ("2024-01-01t00:00:00z", "2024-01-01T00:00:00Z"),
        ("2024-01-01 00:00:00", "2024-01-01T00:00:00Z"),
        (
            "2024-01-01T00:00:00.1234567Z",
            "2024-01-01T00:00:00.123456Z",
        ),
        ("1969-12-31T23:59:59.999999Z", "1969-12-31T23:59:59.999999Z"),
        // Where clocks are put on, local times without an offset are UTC all the same.
        ("2024-03-31T02:30:00", "2024-03-31T02:30:00Z"),
        // A leap second is the second that follows it.
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00Z"),
    ] {
        check_kept("shipped_at", &format!("\"{sent}\""), &format!("\"{back}\"")).await;
    }
    for moment in [
        "2016-12-31T22:59:60Z",
        "2024-01-01T24:00:00Z",
        "0001-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59-01:00",
        "0000-01-01T00:00:00Z",
        "10000-01-01T00:00:00Z",
        "2024-01-01T00:00:00+24:00",
        "2024-01-01T00:00:00+0100",
        "2024-01-01T00:00:00.Z",
        "2024-01-01T00:00Z",
        "2024-01-01",
        "-infinity",
        "now",
    ] {
        check_invalid("shipped_at", &format!("\"{moment}\"")).await;
    }
    check_invalid("shipped_at", "0").await;
}

#[tokio::test]
async fn text_is_any_unicode_but_nul() {
    for text in [
        "",
        " ",
        "null",
        "NaN",
        "\u{1}\u{1f}\u{7f}\u{80}\u{9f}",
        "\n\r\t\u{8}\u{c}/\\\"",
        "a,b;\"c\"\r\nd",
        "\u{feff}x",
        "\u{2028}\u{2029}\u{fffe}\u{ffff}\u{10ffff}",
        "\u{202e}txt.exe",
        "\u{1f469}\u{200d}\u{1f4bb} e\u{301} \u{fb00} \u{130}",
        "'; DROP TABLE orders; --",
        "=cmd|' /C calc'!A0",
        "%00%ff{{7*7}}${7*7}",
        "<script>alert(1)</script>",
    ] {
        let text = serde_json::to_string(text).unwrap();
        check_kept("customer", &text, &text).await;
    }
    check_kept("customer", r#""\ud834\udd1e\u0041\/""#, "\"\u{1d11e}A/\"").await;
    let large = format!("\"{}\"", "é".repeat(512 << 10));
    check_kept("customer", &large, &large).await;
    for text in [
        r#""\u0000""#,
        r#""a\u0000b""#,
        r#""\ud800""#,
        r#""\udc00""#,
        r#""\ud800x""#,
        r#""\ud800\u0041""#,
        r#""\udc00\ud800""#,
    ] {
        check_invalid("customer", text).await;
        check_invalid("tags", &format!("[{text}]")).await;
        check_invalid("extra", &format!("{{\"a\":{text}}}")).await;
        check_invalid("extra", &format!("{{{text}:1}}")).await;
    }
    for text in [
        &b"\"\xff\""[..],
        b"\"\xc0\xaf\"",
        b"\"\xed\xa0\x80\"",
        b"\"\xf4\x90\x80\x80\"",
        b"\"\xe2\x82\"",
        b"\"\0\"",
        b"\"\t\"",
        b"\"\\x41\"",
        b"\"\\u12\"",
        b"\"\\u+123\"",
        b"'a'",
        b"\"a",
        b"True",
        b"nul",
        b"",
    ] {
        check_malformed(text).await;
    }
}

#[tokio::test]
async fn objects_are_kept_as_they_are_written() {
    for object in [
        "{}",
        r#"{"":1}"#,
        r#"{"n":9007199254740993,"x":1.0,"y":-0.0,"z":1E5,"e":1e-400}"#,
        r#"{"b":1,"a":[null,true,{"c":""}]}"#,
        r#"{"__proto__":{},"constructor":1}"#,
        r#"{"\u0061":"\u00e9\/"}"#,
    ] {
        check_kept("extra", object, object).await;
    }
    check_kept("extra", "{ \"a\" : [ 1 , 2 ] }", "{\"a\":[1,2]}").await;
    check_kept("tags", "[]", "[]").await;
    check_kept("tags", r#"["","a,b","\""]"#, r#"["","a,b","\""]"#).await;
    for object in [
        "[]",
        "\"{}\"",
        "1",
        r#"{"a":1,"a":2}"#,
        r#"{"a":1,"\u0061":2}"#,
        r#"{"a":[1e400]}"#,
    ] {
        check_invalid("extra", object).await;
    }
    for tags in ["{}", "[null]", "[1]", "[[]]"] {
        check_invalid("tags", tags).await;
    }
    // The record itself is the first level of the 64.
    let nested = |depth: usize| {
        format!(
            "{}{}",
            "{\"a\":".repeat(depth),
            "1".to_owned() + &"}".repeat(depth)
        )
    };
    check_kept("extra", &nested(63), &nested(63)).await;
    check_malformed(nested(64).as_bytes()).await;
    check_malformed("{\"a\":".repeat(100_000).as_bytes()).await;
    check_malformed("[".repeat(100_000).as_bytes()).await;
}

#[tokio::test]
async fn a_name_that_comes_twice_is_refused() {
    let app = App::new().await;
    for body in [
        r#"{"reference":"a","reference":"a"}"#,
        r#"{"reference":"a","referenc\u0065":"b"}"#,
    ] {
        let one = app.post(ORDERS, body).await;
        assert_eq!(
            one.status,
            StatusCode::UNPROCESSABLE_ENTITY,
            "{}",
            one.show()
        );
        assert_eq!(one.json()["errors"][0]["code"], "duplicate_property");
    }
    let envelope = r#"{"schema_name":"orders","schema_name":"orders","data":{"reference":"a"}}"#;
    let twice = app.post("/api/v1/records", envelope).await;
    assert!(twice.status.is_client_error(), "{}", twice.show());
    assert_eq!(app.count("orders").await, 0);
}

#[tokio::test]
async fn a_byte_order_mark_may_begin_lines_and_cells() {
    let order = "{\"reference\":\"a\"}";
    let app = App::new().await;
    let one = app.post(ORDERS, format!("\u{feff}{order}")).await;
    assert_eq!(one.code(), "malformed_json");
    let lines = bulk(&app, NDJSON, format!("\u{feff}{order}\n")).await;
    assert_eq!(lines.json()["inserted"], 1, "{}", lines.show());
    let second = bulk(&app, NDJSON, format!("\n\u{feff}{order}\n")).await;
    assert_eq!(second.status, StatusCode::UNPROCESSABLE_ENTITY);
    let cells = bulk(&app, CSV, "\u{feff}reference\nb\n".to_owned()).await;
    assert_eq!(cells.json()["inserted"], 1, "{}", cells.show());
}

#[tokio::test]
async fn values_of_filters_are_read_as_strictly() {
    let app = App::new().await.with_orders(1).await;
    for (property, value) in [
        ("quantity", json!("9223372036854775808")),
        ("quantity", json!("1.5")),
        ("quantity", json!("1e400")),
        ("quantity", json!(true)),
        ("weight", json!("1e400")),
        ("weight", json!("NaN")),
        ("amount", json!("NaN")),
        ("ordered_on", json!("2023-02-29")),
        ("ordered_on", json!("0000-01-01")),
        ("shipped_at", json!("2016-12-31T22:59:60Z")),
        ("shipped_at", json!("infinity")),
        ("paid", json!("maybe")),
    ] {
        let filters = json!({"filters": [{"field": property, "operator": "eq", "value": value}]});
        let answer = app
            .post(&format!("{ORDERS}/query"), filters.to_string())
            .await;
        assert_eq!(answer.code(), "invalid_parameter", "{property}: {value}");
        let pointer = answer.json()["errors"][0]["pointer"].clone();
        assert_eq!(pointer, "/filters/0/value", "{property}: {value}");
    }
    let nul = app.get(&format!("{ORDERS}?filter[customer]=%00")).await;
    assert!(nul.status.as_u16() < 500, "{}", nul.show());
}

#[tokio::test]
async fn a_leap_second_is_the_second_that_follows_it_wherever_it_is_read() {
    let app = App::new().await;
    let csv = "reference,shipped_at\nA,2016-12-31T23:59:60Z\n";
    let kind = [("content-type", "text/csv")];
    let stored = app
        .call("POST", &format!("{ORDERS}/bulk"), &kind, csv)
        .await;
    assert_eq!(stored.status, StatusCode::CREATED, "{}", stored.text());
    for moment in ["2016-12-31T23:59:60Z", "2017-01-01T00:00:00Z"] {
        let found = app
            .get(&format!("{ORDERS}?filter[shipped_at]={moment}"))
            .await;
        let found = found.json();
        assert_eq!(found["data"]["total"], 1, "{moment}: {found}");
        let back = &found["data"]["items"][0]["data"]["shipped_at"];
        assert_eq!(back, "2017-01-01T00:00:00Z");
    }
}
