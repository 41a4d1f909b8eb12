//! Questions from the wire: what is read, what is refused, and round trips.

use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::{BoxedStrategy, Just, Strategy, any, prop_oneof, proptest};
use serde_json::{Value as Json, json};

use staffa_domain::query::{
    Bucket, Comparison, DateUnit, Field, Filter, MetricKind, Position, Sort, Test,
};
use staffa_domain::record::{RecordId, Timestamp};
use staffa_domain::schema::SchemaSnapshot;
use staffa_domain::value::Value;

use super::{
    Limits, QuestionCode, QuestionProblem, parse_aggregate, parse_fields, parse_fields_json,
    parse_filter_param, parse_filter_params, parse_filters, parse_filters_text, parse_sort_json,
    parse_sort_text, read_position, write_filter, write_position, write_sort,
};
use crate::document::{DocumentForm, read_schema};

fn flights() -> Arc<SchemaSnapshot> {
    let document = "
name: flights
properties:
  - {name: carrier, type: string}
  - {name: dep_delay, type: integer}
  - {name: ratio, type: number}
  - {name: price, type: decimal, precision: 38, scale: 2}
  - {name: late, type: boolean}
  - {name: day, type: date}
  - {name: time_hour, type: datetime}
  - {name: plane, type: uuid}
  - {name: extra, type: object}
  - {name: codes, type: array, items: integer}
";
    Arc::new(SchemaSnapshot::first(
        read_schema(document, DocumentForm::Yaml).unwrap(),
    ))
}

fn parse(filters: &Json) -> Result<Option<Filter>, QuestionProblem> {
    parse_filters(&flights(), filters, "/filters", &Limits::default())
}

fn leaf(name: &str, test: Test) -> Filter {
    Filter::condition(Field::find(&flights(), name).unwrap(), test)
}

#[track_caller]
fn refused(filters: &Json, code: QuestionCode, pointer: &str, part: &str) {
    let problem = parse(filters).unwrap_err();
    assert_eq!(
        (problem.code, problem.pointer.as_str()),
        (code, pointer),
        "{problem}"
    );
    assert!(problem.message.contains(part), "{problem}");
}

#[test]
fn lists_are_anded_and_trees_are_trees() {
    let delay = json!({"field": "dep_delay", "operator": "gt", "value": "60"});
    let carrier = json!({"field": "carrier", "operator": "in", "value": ["UA", "AA"]});
    let late = leaf(
        "dep_delay",
        Test::Compare(Comparison::Gt, Value::Integer(60)),
    );
    let text = |text: &str| Value::String(text.to_owned());
    let ours = leaf("carrier", Test::In(vec![text("UA"), text("AA")]));
    assert_eq!(parse(&json!(null)).unwrap(), None);
    assert_eq!(parse(&json!([])).unwrap(), None);
    assert_eq!(parse(&json!([delay])).unwrap(), Some(late.clone()));
    let both = Filter::And(vec![late.clone(), ours.clone()]);
    assert_eq!(parse(&json!([delay, carrier])).unwrap(), Some(both));
    let tree = json!({"or": [delay, {"not": carrier}, {"and": []}]});
    let not = Filter::Not(Box::new(ours));
    let expected = Filter::Or(vec![late, not, Filter::And(Vec::new())]);
    assert_eq!(parse(&tree).unwrap(), Some(expected));
}

#[test]
fn every_operand_is_read_as_the_type_of_its_field() {
    let one = |name: &str, value: Json| {
        let filter = parse(&json!([{"field": name, "operator": "eq", "value": value}])).unwrap();
        match filter {
            Some(Filter::Condition(condition)) => match condition.test {
                Test::Compare(Comparison::Eq, value) => value,
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(one("dep_delay", json!(i64::MAX)), Value::Integer(i64::MAX));
    assert_eq!(
        one("dep_delay", json!("9007199254740993")),
        Value::Integer(9_007_199_254_740_993)
    );
    assert_eq!(one("ratio", json!("0.1")), Value::Number(0.1));
    assert_eq!(one("price", json!(1.5)), Value::Decimal(150));
    assert_eq!(one("late", json!("true")), Value::Boolean(true));
    assert_eq!(one("day", json!("1970-01-02")), Value::Date(1));
    let second = Value::Datetime(Timestamp::from_micros(1_000_000));
    assert_eq!(one("time_hour", json!("1970-01-01T00:00:01Z")), second);
    assert_eq!(one("version", json!(3)), Value::Integer(3));
    let id = "01890a5d-ac96-774b-bcce-b302099a8057";
    assert_eq!(one("id", json!(id)), Value::Uuid(id.parse().unwrap()));
}

#[test]
fn a_number_in_text_keeps_every_digit() {
    let text = r#"[{"field":"price","operator":"eq","value":123456789012345678901234.56}]"#;
    let filter = parse_filters_text(&flights(), text, "/filters", &Limits::default()).unwrap();
    let value = Value::Decimal(12_345_678_901_234_567_890_123_456);
    assert_eq!(
        filter,
        Some(leaf("price", Test::Compare(Comparison::Eq, value)))
    );
    let broken = parse_filters_text(&flights(), "[", "filters", &Limits::default()).unwrap_err();
    assert_eq!(broken.pointer, "filters");
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table of cases")]
fn mistakes_are_named_with_their_place() {
    use QuestionCode::{InvalidParameter, UnknownField, UnknownOperator};
    let one = |field: &str, operator: &str, value: Json| json!([{"field": field, "operator": operator, "value": value}]);
    refused(
        &one("dep_dellay", "eq", json!(1)),
        UnknownField,
        "/filters/0/field",
        "dep_delay?",
    );
    refused(
        &one("dep_delay", "gte_", json!(1)),
        UnknownOperator,
        "/filters/0/operator",
        "gte?",
    );
    let value = "/filters/0/value";
    refused(
        &one("dep_delay", "eq", json!("x")),
        InvalidParameter,
        value,
        "integer",
    );
    refused(
        &one("dep_delay", "eq", json!(1.5)),
        InvalidParameter,
        value,
        "integer",
    );
    refused(
        &one("dep_delay", "eq", json!(null)),
        InvalidParameter,
        value,
        "is_null",
    );
    refused(
        &one("dep_delay", "ne", json!(null)),
        InvalidParameter,
        value,
        "is_not_null",
    );
    refused(
        &one("dep_delay", "in", json!(1)),
        InvalidParameter,
        value,
        "a list",
    );
    refused(
        &one("dep_delay", "in", json!([1, null])),
        InvalidParameter,
        "/filters/0/value/1",
        "",
    );
    refused(
        &one("dep_delay", "between", json!([1])),
        InvalidParameter,
        value,
        "two values",
    );
    refused(
        &one("carrier", "eq", json!("a\u{0}b")),
        InvalidParameter,
        value,
        "",
    );
    refused(
        &one("carrier", "contains", json!("\u{0}")),
        InvalidParameter,
        value,
        "",
    );
    refused(
        &one("carrier", "like", json!("a\\")),
        InvalidParameter,
        value,
        "lone",
    );
    refused(
        &one("carrier", "eq", json!(5)),
        InvalidParameter,
        value,
        "quotes",
    );
    refused(
        &json!({"and": [{"feild": "a"}]}),
        InvalidParameter,
        "/filters/and/0/feild",
        "field?",
    );
    refused(
        &json!({"and": [], "or": []}),
        InvalidParameter,
        "/filters/or",
        "unknown key",
    );
    refused(&json!("x"), InvalidParameter, "/filters", "an object");
}

#[test]
fn operators_fit_their_types() {
    let fits = |field: &str, operator: &str, value: Json| {
        parse(&json!([{"field": field, "operator": operator, "value": value}])).is_ok()
    };
    assert!(fits("extra", "is_null", json!(null)));
    assert!(!fits("extra", "eq", json!({})));
    assert!(!fits("extra", "contains", json!("a")));
    assert!(fits("codes", "contains", json!(5)));
    assert!(!fits("codes", "contains", json!("x")));
    assert!(!fits("codes", "eq", json!([5])));
    assert!(!fits("dep_delay", "like", json!("1%")));
    assert!(!fits("dep_delay", "contains", json!("1")));
    assert!(fits("late", "ne", json!(false)));
    assert!(fits(
        "plane",
        "gt",
        json!("01890a5d-ac96-774b-bcce-b302099a8057")
    ));
    assert!(!fits("plane", "starts_with", json!("01")));
}

#[test]
fn limits_hold() {
    let mut deep = json!({"field": "late", "operator": "is_null"});
    for _ in 0..31 {
        deep = json!({ "not": deep });
    }
    assert!(parse(&deep).is_ok());
    assert!(
        parse(&json!({ "not": deep }))
            .unwrap_err()
            .message
            .contains("32 deep")
    );
    let condition = json!({"field": "late", "operator": "is_null"});
    assert!(parse(&json!(vec![condition.clone(); 50])).is_ok());
    assert!(
        parse(&json!(vec![condition; 51]))
            .unwrap_err()
            .message
            .contains("50 conditions")
    );
}

#[test]
fn the_short_form_of_a_url() {
    let one = |name: &str, value: &str| parse_filter_param(&flights(), name, value);
    let integer = |value| Value::Integer(value);
    let expected = leaf("dep_delay", Test::Compare(Comparison::Gt, integer(60)));
    assert_eq!(one("filter[dep_delay][gt]", "60").unwrap(), Some(expected));
    let expected = leaf(
        "carrier",
        Test::Compare(Comparison::Eq, Value::String("UA".to_owned())),
    );
    assert_eq!(one("filter[carrier]", "UA").unwrap(), Some(expected));
    let expected = leaf("dep_delay", Test::In(vec![integer(1), integer(2)]));
    assert_eq!(
        one("filter[dep_delay][in]", "1,2").unwrap(),
        Some(expected.clone())
    );
    assert_eq!(
        one("filter[dep_delay][in]", "[1,\"2\"]").unwrap(),
        Some(expected)
    );
    let null = leaf("late", Test::IsNull);
    assert_eq!(
        one("filter[late][is_null]", "").unwrap(),
        Some(null.clone())
    );
    let not_null = Filter::Not(Box::new(null));
    assert_eq!(
        one("filter[late][is_null]", "false").unwrap(),
        Some(not_null)
    );
    assert_eq!(one("page", "1").unwrap(), None);
    for name in [
        "filter[",
        "filter[a",
        "filter[carrier][eq",
        "filter[a][b][c]",
        "filter[nope]",
    ] {
        assert_eq!(one(name, "1").unwrap_err().pointer, format!("/{name}"));
    }
    let many = [
        ("page", "1"),
        ("filter[carrier]", "UA"),
        ("filter[late]", "true"),
    ];
    let filter = parse_filter_params(&flights(), many, &Limits::default())
        .unwrap()
        .unwrap();
    assert_eq!(filter.conditions(), 2);
}

#[test]
fn sorts_and_fields() {
    let schema = flights();
    let sort = parse_sort_text(&schema, "-time_hour, carrier", "sort").unwrap();
    let json = json!([{"field": "time_hour", "order": "desc"}, {"field": "carrier"}]);
    assert_eq!(parse_sort_json(&schema, &json, "/sort").unwrap(), sort);
    assert_eq!(
        parse_sort_text(&schema, &json.to_string(), "sort").unwrap(),
        sort
    );
    assert_eq!(
        parse_sort_json(&schema, &write_sort(&schema, &sort), "").unwrap(),
        sort
    );
    let nulls = json!([{"field": "late", "nulls": "first"}]);
    assert!(parse_sort_json(&schema, &nulls, "").unwrap()[0].nulls_first);
    assert_eq!(parse_sort_text(&schema, "", "sort").unwrap(), []);
    for bad in [
        "extra",
        "codes",
        "carrier,-carrier",
        "nope",
        "carrier,",
        "-",
    ] {
        assert!(parse_sort_text(&schema, bad, "sort").is_err(), "{bad}");
    }
    let bad = parse_sort_json(
        &schema,
        &json!([{"field": "late", "order": "down"}]),
        "/sort",
    );
    assert_eq!(bad.unwrap_err().pointer, "/sort/0/order");
    assert_eq!(
        parse_fields(&schema, "late,id,carrier,late", "fields").unwrap(),
        [0, 4]
    );
    assert_eq!(
        parse_fields(&schema, "id", "fields").unwrap(),
        Vec::<usize>::new()
    );
    assert!(parse_fields(&schema, "nope", "fields").is_err());
    let listed = parse_fields_json(&schema, &json!(["day", "carrier"]), "/fields").unwrap();
    assert_eq!(listed, Some(vec![0, 5]));
}

#[test]
fn an_aggregate_is_read_in_full() {
    let schema = flights();
    let body = json!({
        "group_by": ["carrier", {"field": "time_hour", "unit": "month", "as": "m"},
            {"field": "dep_delay", "width": 100}],
        "metrics": [{"op": "avg", "field": "dep_delay", "as": "mean"}, {"op": "count"},
            {"op": "percentile", "field": "ratio", "p": 0.95}],
        "filters": [{"field": "late", "operator": "eq", "value": true}],
        "having": [{"field": "mean", "operator": "gt", "value": 1},
            {"metric": "count", "operator": "lt", "value": "9"}],
        "sort": "-mean,carrier",
        "limit": 5,
    });
    let read = parse_aggregate(&schema, &body, &Limits::default()).unwrap();
    let buckets: Vec<Bucket> = read.group_by.iter().map(|group| group.bucket).collect();
    let expected = [
        Bucket::Value,
        Bucket::Date(DateUnit::Month),
        Bucket::Width(100.0),
    ];
    assert_eq!(buckets, expected);
    assert_eq!(read.group_by[1].name, "m");
    assert_eq!(read.metrics[2].kind, MetricKind::Percentile(0.95));
    assert_eq!(read.metrics[2].name, "percentile_ratio");
    assert_eq!(read.having[0].value, Value::Number(1.0));
    assert_eq!(read.having[1].value, Value::Integer(9));
    assert_eq!((read.sort[0].output, read.sort[0].descending), (3, true));
    assert_eq!((read.sort[1].output, read.limit), (0, 5));
    let plain = parse_aggregate(&schema, &json!({"group_by": ["late"]}), &Limits::default());
    assert_eq!(plain.unwrap().metrics[0].name, "count");
}

#[test]
fn a_wrong_aggregate_is_refused() {
    let schema = flights();
    let refused = |body: Json, pointer: &str| {
        let problem = parse_aggregate(&schema, &body, &Limits::default()).unwrap_err();
        assert_eq!(problem.pointer, pointer, "{problem}");
    };
    refused(json!({"groupby": []}), "/groupby");
    refused(json!({"metrics": []}), "");
    refused(json!({"group_by": ["extra"]}), "/group_by/0");
    refused(json!({"group_by": ["late", "late"]}), "/group_by/1");
    refused(
        json!({"group_by": [{"field": "day", "unit": "hour"}]}),
        "/group_by/0/unit",
    );
    refused(
        json!({"group_by": [{"field": "ratio", "width": 0}]}),
        "/group_by/0/width",
    );
    refused(
        json!({"group_by": [{"field": "dep_delay", "width": 1e16}]}),
        "/group_by/0/width",
    );
    refused(
        json!({"metrics": [{"op": "avg", "field": "carrier"}]}),
        "/metrics/0/field",
    );
    refused(json!({"metrics": [{"op": "sum"}]}), "/metrics/0");
    refused(json!({"metrics": [{"op": "mean"}]}), "/metrics/0/op");
    refused(
        json!({"metrics": [{"op": "percentile", "field": "ratio", "p": 2}]}),
        "/metrics/0/p",
    );
    refused(
        json!({"metrics": [{"op": "count", "as": "a b"}]}),
        "/metrics/0/as",
    );
    refused(json!({"sort": "nope"}), "/sort");
    refused(json!({"sort": "count,".repeat(17)}), "/sort");
    refused(json!({"limit": 10_001}), "/limit");
    refused(
        json!({"having": [{"field": "late", "operator": "eq", "value": 1}]}),
        "/having/0/field",
    );
    refused(
        json!({"having": [{"metric": "count", "operator": "like", "value": 1}]}),
        "/having/0/operator",
    );
}

fn any_value(name: &'static str) -> BoxedStrategy<Value> {
    let text = any::<String>().prop_map(|text| Value::String(text.replace('\0', "")));
    match name {
        "carrier" => text.boxed(),
        "dep_delay" => any::<i64>().prop_map(Value::Integer).boxed(),
        "ratio" => any::<f64>()
            .prop_filter("finite", |value| value.is_finite())
            .prop_map(Value::Number)
            .boxed(),
        "price" => (-10_i128.pow(38) + 1..10_i128.pow(38))
            .prop_map(Value::Decimal)
            .boxed(),
        "late" => any::<bool>().prop_map(Value::Boolean).boxed(),
        "day" => (-719_162_i32..=2_932_896).prop_map(Value::Date).boxed(),
        "time_hour" => (Timestamp::MIN.as_micros()..=Timestamp::MAX.as_micros())
            .prop_map(|micros| Value::Datetime(Timestamp::from_micros(micros)))
            .boxed(),
        _ => any::<[u8; 16]>()
            .prop_map(|id| Value::Uuid(RecordId::from_bytes(id)))
            .boxed(),
    }
}

const ORDERED: [&str; 8] = [
    "carrier",
    "dep_delay",
    "ratio",
    "price",
    "late",
    "day",
    "time_hour",
    "plane",
];

fn any_leaf() -> impl Strategy<Value = Filter> {
    let comparisons = [
        Comparison::Eq,
        Comparison::Ne,
        Comparison::Gt,
        Comparison::Gte,
        Comparison::Lt,
        Comparison::Lte,
    ];
    let ordered = (0..ORDERED.len()).prop_flat_map(move |index| {
        let name = ORDERED[index];
        let value = any_value(name);
        let pair = (value.clone(), value.clone());
        prop_oneof![
            (0..6_usize, value.clone())
                .prop_map(move |(at, value)| Test::Compare(comparisons[at], value)),
            vec(value, 0..4).prop_map(Test::In),
            pair.prop_map(|(low, high)| Test::Between(low, high)),
            Just(Test::IsNull),
        ]
        .prop_map(move |test| leaf(name, test))
    });
    let text = "[a-z%_\"\\n]{0,6}";
    let texts = prop_oneof![
        (text, any::<bool>()).prop_map(|(pattern, ignore_case)| Test::Like {
            pattern,
            ignore_case
        }),
        text.prop_map(Test::Contains),
        text.prop_map(Test::StartsWith),
        text.prop_map(Test::EndsWith),
    ]
    .prop_map(|test| leaf("carrier", test));
    let item = any::<i64>().prop_map(|item| leaf("codes", Test::HasItem(Value::Integer(item))));
    prop_oneof![6 => ordered, 2 => texts, 1 => item]
}

fn any_filter() -> impl Strategy<Value = Filter> {
    any_leaf().prop_recursive(4, 40, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Filter::And),
            vec(inner.clone(), 0..4).prop_map(Filter::Or),
            inner.prop_map(|part| Filter::Not(Box::new(part))),
        ]
    })
}

proptest! {
    #[test]
    fn a_filter_survives_the_wire(filter in any_filter()) {
        let schema = flights();
        let limits = Limits { depth_max: 60, conditions_max: 1_000 };
        let written = write_filter(&schema, &filter);
        let read = parse_filters(&schema, &written, "", &limits).unwrap();
        assert_eq!(read.as_ref(), Some(&filter));
        let read = parse_filters_text(&schema, &written.to_string(), "", &limits).unwrap();
        assert_eq!(read, Some(filter));
    }

    #[test]
    fn a_position_survives_the_cursor(
        values in ORDERED.map(any_value),
        null in 0..ORDERED.len(),
        id: [u8; 16],
    ) {
        let schema = flights();
        let sort: Vec<Sort> = ORDERED
            .iter()
            .map(|name| Sort {
                field: Field::find(&schema, name).unwrap(),
                descending: false,
                nulls_first: false,
            })
            .collect();
        let mut values = values.to_vec();
        values[null] = Value::Null;
        let position = Position { values, id: RecordId::from_bytes(id) };
        let written = write_position(&schema, &sort, &position);
        let text = written.to_string();
        let read = read_position(&schema, &sort, &serde_json::from_str(&text).unwrap(), "").unwrap();
        assert_eq!(format!("{read:?}"), format!("{position:?}"));
        assert!(read_position(&schema, &sort[1..], &written, "").is_err());
    }
}
