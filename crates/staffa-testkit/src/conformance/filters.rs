//! Filters: every test on every type, and three-valued trees.

use std::sync::Arc;

use staffa_domain::ports::Storage;
use staffa_domain::query::{Comparison, Test};
use staffa_domain::{Field, Filter, PropertyType, SchemaSnapshot, Value};

use crate::builders::{batch, numbered};
use crate::conformance::support::{all, assert_identical, create_with, field, matching};
use crate::conformance::values::{edge_rows, edges};
use crate::eval::matches;
use crate::row;
use crate::schemas::{SchemaBuilder, all_types, array};

const COMPARISONS: [Comparison; 6] = [
    Comparison::Eq,
    Comparison::Ne,
    Comparison::Gt,
    Comparison::Gte,
    Comparison::Lt,
    Comparison::Lte,
];

async fn everything(storage: &Storage) -> Arc<SchemaSnapshot> {
    let schema = all_types();
    let rows = edge_rows(&schema);
    create_with(storage, numbered(&schema, 0, &rows)).await
}

/// Checks a filter against the reference for filters, record by record.
async fn check(storage: &Storage, schema: &Arc<SchemaSnapshot>, filter: Filter) {
    let mut expected = all(storage, schema).await;
    expected.retain(|record| matches(Some(&filter), record));
    let found = matching(storage, schema, filter.clone()).await;
    assert_eq!(found.len(), expected.len(), "{filter:?}");
    assert_identical(&found, &expected);
}

/// The texts of a schema with one text property that match a test.
async fn texts(storage: &Storage, schema: &Arc<SchemaSnapshot>, test: Test) -> Vec<String> {
    let filter = Filter::condition(Field::Property(0), test);
    let found = matching(storage, schema, filter).await.into_iter();
    found
        .map(|record| match &record.values[0] {
            Value::String(text) => text.clone(),
            other => panic!("{other:?} is no text"),
        })
        .collect()
}

async fn with_texts(storage: &Storage, texts: &[&'static str]) -> Arc<SchemaSnapshot> {
    let schema = SchemaBuilder::new("texts")
        .optional("text", PropertyType::String)
        .snapshot();
    let rows = texts
        .iter()
        .map(|text| row! { text: *text })
        .chain([row! {}])
        .collect();
    create_with(storage, batch(&schema, 0, rows)).await
}

/// Every comparison, `in` and `between` on every ordered type.
pub async fn comparisons_on_every_type(storage: Storage) {
    let schema = everything(&storage).await;
    for (position, property) in schema.schema().properties.iter().enumerate() {
        if !property.property_type.is_ordered() {
            continue;
        }
        let edges = edges(&property.property_type);
        let middle = edges[edges.len() / 2].clone();
        let (low, high) = (edges[1].clone(), edges[edges.len() - 1].clone());
        let mut tests: Vec<Test> = COMPARISONS
            .into_iter()
            .map(|comparison| Test::Compare(comparison, middle.clone()))
            .collect();
        tests.push(Test::In(vec![low.clone(), high.clone()]));
        tests.push(Test::In(Vec::new()));
        tests.push(Test::Between(low.clone(), middle.clone()));
        tests.push(Test::Between(high, low));
        for test in tests {
            check(
                &storage,
                &schema,
                Filter::condition(Field::Property(position), test),
            )
            .await;
        }
    }
}

/// Nulls match no comparison and no negation of one; `IsNull` is always known.
pub async fn nulls_are_unknown(storage: Storage) {
    let schema = everything(&storage).await;
    let total = all(&storage, &schema).await.len();
    for (position, property) in schema.schema().properties.iter().enumerate() {
        let field = Field::Property(position);
        let null = Filter::condition(field, Test::IsNull);
        let some = Filter::Not(Box::new(null.clone()));
        let nulls = matching(&storage, &schema, null).await.len();
        assert_eq!(nulls + matching(&storage, &schema, some).await.len(), total);
        let known = matches!(property.property_type, PropertyType::Object);
        if known {
            continue;
        }
        let test = match &property.property_type {
            PropertyType::Array(items) => Test::HasItem(edges(items)[0].clone()),
            other => Test::In(vec![edges(other)[0].clone()]),
        };
        let is = Filter::condition(field, test);
        let is_not = Filter::Not(Box::new(is.clone()));
        let decided = matching(&storage, &schema, is.clone()).await.len()
            + matching(&storage, &schema, is_not).await.len();
        assert_eq!(decided + nulls, total, "{}", property.name);
        check(&storage, &schema, is).await;
    }
}

/// `and`, `or` and `not` of true, false and unknown, empty ones included.
pub async fn trees_are_three_valued(storage: Storage) {
    let schema = everything(&storage).await;
    let integer = field(&schema, "a_integer");
    let leaf =
        |comparison| Filter::condition(integer, Test::Compare(comparison, Value::Integer(0)));
    let leaves = [
        leaf(Comparison::Gt),
        leaf(Comparison::Lte),
        Filter::condition(integer, Test::IsNull),
    ];
    for left in &leaves {
        for right in &leaves {
            let pair = vec![left.clone(), right.clone()];
            for tree in [Filter::And(pair.clone()), Filter::Or(pair)] {
                check(&storage, &schema, tree.clone()).await;
                check(&storage, &schema, Filter::Not(Box::new(tree))).await;
            }
        }
    }
    let total = all(&storage, &schema).await.len();
    assert_eq!(
        matching(&storage, &schema, Filter::And(Vec::new()))
            .await
            .len(),
        total
    );
    assert_eq!(
        matching(&storage, &schema, Filter::Or(Vec::new()))
            .await
            .len(),
        0
    );
}

/// Id, times and version are filtered as properties are.
pub async fn system_fields_are_filtered(storage: Storage) {
    let schema = everything(&storage).await;
    let record = all(&storage, &schema).await[3].clone();
    for system in [
        Field::Id,
        Field::CreatedAt,
        Field::UpdatedAt,
        Field::Version,
    ] {
        for comparison in COMPARISONS {
            let test = Test::Compare(comparison, record.field(system));
            check(&storage, &schema, Filter::condition(system, test)).await;
        }
    }
}

/// `%`, `_` and escapes; without regard to case for A-Z alone.
pub async fn patterns_match_as_defined(storage: Storage) {
    let schema = with_texts(
        &storage,
        &[
            "", "abc", "ABC", "a%c", "a_c", "a\\c", "axxc", "É", "é", "日本", "😀", "a\nc",
        ],
    )
    .await;
    let cases: [(&str, bool, &[&str]); 10] = [
        ("abc", false, &["abc"]),
        ("abc", true, &["abc", "ABC"]),
        ("a_c", false, &["abc", "a%c", "a_c", "a\\c", "a\nc"]),
        ("a\\_c", false, &["a_c"]),
        ("a\\%c", false, &["a%c"]),
        ("a\\\\c", false, &["a\\c"]),
        (
            "A%C",
            true,
            &["abc", "ABC", "a%c", "a_c", "a\\c", "axxc", "a\nc"],
        ),
        ("é", true, &["é"]),
        ("_", false, &["É", "é", "😀"]),
        ("", false, &[""]),
    ];
    for (pattern, ignore_case, expected) in cases {
        let pattern = pattern.to_owned();
        let test = Test::Like {
            pattern,
            ignore_case,
        };
        assert_eq!(
            texts(&storage, &schema, test.clone()).await,
            expected,
            "{test:?}"
        );
    }
}

/// Parts of texts match as they are: no character has a meaning.
pub async fn text_parts_match_literally(storage: Storage) {
    let schema = with_texts(
        &storage,
        &["", "a%b", "a_b", "a\\b", "axb", "'quoted'", "é😀"],
    )
    .await;
    let part = str::to_owned;
    let cases: [(Test, &[&str]); 8] = [
        (Test::Contains(part("%")), &["a%b"]),
        (Test::Contains(part("_")), &["a_b"]),
        (Test::Contains(part("\\")), &["a\\b"]),
        (Test::Contains(part("'")), &["'quoted'"]),
        (Test::StartsWith(part("a_")), &["a_b"]),
        (Test::EndsWith(part("%b")), &["a%b"]),
        (Test::EndsWith(part("😀")), &["é😀"]),
        (Test::StartsWith(part("A")), &[]),
    ];
    for (test, expected) in cases {
        assert_eq!(
            texts(&storage, &schema, test.clone()).await,
            expected,
            "{test:?}"
        );
    }
    assert_eq!(
        texts(&storage, &schema, Test::Contains(String::new()))
            .await
            .len(),
        7
    );
}

/// A list of a thousand values is searched.
pub async fn lists_of_any_length_are_searched(storage: Storage) {
    let schema = everything(&storage).await;
    let mut values: Vec<Value> = (10..1_010).map(Value::Integer).collect();
    values.push(Value::Integer(i64::MAX));
    let filter = Filter::condition(field(&schema, "a_integer"), Test::In(values));
    assert_eq!(matching(&storage, &schema, filter.clone()).await.len(), 1);
    check(&storage, &schema, Filter::Not(Box::new(filter))).await;
}

/// Items are found in arrays of every scalar type.
pub async fn items_are_found(storage: Storage) {
    let schema = everything(&storage).await;
    for (position, property) in schema.schema().properties.iter().enumerate() {
        let PropertyType::Array(items) = &property.property_type else {
            continue;
        };
        for item in edges(items) {
            let filter = Filter::condition(Field::Property(position), Test::HasItem(item));
            check(&storage, &schema, filter.clone()).await;
            check(&storage, &schema, Filter::Not(Box::new(filter))).await;
        }
    }
}

/// The two zeros are one value to every comparison, in arrays too.
pub async fn negative_zero_equals_zero(storage: Storage) {
    let schema = SchemaBuilder::new("zeros")
        .optional("number", PropertyType::Number)
        .optional("list", array(PropertyType::Number))
        .snapshot();
    let zeros = [-0.0, 0.0].map(|zero| row! { number: zero, list: vec![Value::Number(zero)] });
    create_with(&storage, batch(&schema, 0, zeros.into())).await;
    for zero in [-0.0, 0.0].map(Value::Number) {
        let tests = [
            (0, Test::Compare(Comparison::Eq, zero.clone()), 2),
            (0, Test::In(vec![zero.clone()]), 2),
            (0, Test::Compare(Comparison::Lt, zero.clone()), 0),
            (1, Test::HasItem(zero.clone()), 2),
        ];
        for (position, test, expected) in tests {
            let filter = Filter::condition(Field::Property(position), test);
            assert_eq!(matching(&storage, &schema, filter).await.len(), expected);
        }
    }
}
