//! Evolution: a schema's next version takes the records along, or nothing changes.

use std::sync::Arc;

use staffa_domain::change::{next_version, plan};
use staffa_domain::error::RecordErrorCode;
use staffa_domain::ports::{SchemaChange, Storage};
use staffa_domain::{
    Operation, PropertyName, PropertyType, Schema, SchemaSnapshot, StorageError, Value, WriteMode,
};

use crate::builders::{batch, values};
use crate::conformance::support::{all, create, create_with, execute, insert};
use crate::schemas::{SchemaBuilder, decimal, orders, readings};
use crate::{assert_fails, row};

fn next(from: &Arc<SchemaSnapshot>, change: impl FnOnce(&mut Schema)) -> Arc<SchemaSnapshot> {
    let mut to = from.schema().clone();
    change(&mut to);
    let problems = staffa_domain::schema::check(&to);
    assert!(problems.is_empty(), "{problems:?}");
    let plan = plan(from.schema(), &to).expect("a way between the two");
    Arc::new(next_version(from, &to, &plan))
}

/// Carries an evolution out.
pub async fn evolve(
    storage: &Storage,
    from: &Arc<SchemaSnapshot>,
    to: &Arc<SchemaSnapshot>,
) -> Result<(), StorageError> {
    let change = SchemaChange::Evolve {
        from: Arc::clone(from),
        to: Arc::clone(to),
        document: format!("version: {}", to.version()),
        steps: format!("to {}", to.version()),
    };
    storage.catalog.apply(change).await
}

async fn evolved(
    storage: &Storage,
    from: &Arc<SchemaSnapshot>,
    change: impl FnOnce(&mut Schema),
) -> Arc<SchemaSnapshot> {
    let to = next(from, change);
    evolve(storage, from, &to).await.expect("an evolution");
    to
}

fn things() -> Arc<SchemaSnapshot> {
    SchemaBuilder::new("things")
        .property("code", PropertyType::Integer, |p| p.indexed = true)
        .optional("name", PropertyType::String)
        .optional("day", PropertyType::Date)
        .optional("weight", PropertyType::Number)
        .snapshot()
}

/// Three things; the names of two are the same, and one weighs no whole number.
async fn three_things(storage: &Storage) -> Arc<SchemaSnapshot> {
    let rows = vec![
        row! { code: 1, name: "a", day: Value::Date(3), weight: 2.0 },
        row! { code: 2, name: "a", weight: 2.5 },
        row! { code: 3 },
    ];
    create_with(storage, batch(&things(), 0, rows)).await
}

async fn column(storage: &Storage, schema: &Arc<SchemaSnapshot>, name: &str) -> Vec<Value> {
    let position = schema.position(name).expect("a property");
    let records = all(storage, schema).await.into_iter();
    records
        .map(|mut record| record.values.swap_remove(position))
        .collect()
}

fn integers<const N: usize>(of: [i64; N]) -> Vec<Value> {
    of.into_iter().map(Value::Integer).collect()
}

/// A value of every type, and what is hard to write down.
fn defaults() -> Vec<(PropertyType, Value)> {
    vec![
        (
            PropertyType::String,
            Value::String("it's \\ \"é\" $1".to_owned()),
        ),
        (PropertyType::Integer, Value::Integer(i64::MIN)),
        (PropertyType::Number, Value::Number(-1.5e300)),
        (decimal(6, 2), Value::Decimal(-1_250)),
        (PropertyType::Boolean, Value::Boolean(true)),
        (PropertyType::Date, Value::Date(-719_162)),
        (
            PropertyType::Datetime,
            Value::Datetime(staffa_domain::Timestamp::MAX),
        ),
        (PropertyType::Uuid, Value::Uuid(crate::fakes::nth_id(7))),
        (
            PropertyType::Object,
            Value::Object("{\"a\":[1,'x']}".replace('\'', "\"")),
        ),
        (
            crate::schemas::array(PropertyType::String),
            Value::Array(
                [
                    "x'y",
                    "",
                    "null",
                    " a,b ",
                    "[c]",
                    "\\\"{d}\\",
                    "\n",
                    "\u{1f600}",
                ]
                .map(|text| Value::String(text.to_owned()))
                .to_vec(),
            ),
        ),
        (
            crate::schemas::array(PropertyType::Integer),
            Value::Array(Vec::new()),
        ),
        (
            crate::schemas::array(PropertyType::Number),
            Value::Array(vec![Value::Number(-1.5e300)]),
        ),
        (
            crate::schemas::array(decimal(6, 2)),
            Value::Array(vec![Value::Decimal(-1_250)]),
        ),
        (
            crate::schemas::array(PropertyType::Boolean),
            Value::Array(vec![Value::Boolean(false)]),
        ),
        (
            crate::schemas::array(PropertyType::Date),
            Value::Array(vec![Value::Date(-719_162)]),
        ),
        (
            crate::schemas::array(PropertyType::Datetime),
            Value::Array(vec![Value::Datetime(staffa_domain::Timestamp::MAX)]),
        ),
        (
            crate::schemas::array(PropertyType::Uuid),
            Value::Array(vec![Value::Uuid(crate::fakes::nth_id(7))]),
        ),
    ]
}

/// A new property has its default in all records, whatever its type.
pub async fn added_properties_have_their_defaults(storage: Storage) {
    let first = three_things(&storage).await;
    let defaults = defaults();
    let builder = defaults.iter().enumerate().fold(
        SchemaBuilder::new("things"),
        |builder, (at, (kind, default))| {
            builder.property(&format!("p{at}"), kind.clone(), |p| {
                p.default = Some(default.clone());
                p.required = true;
            })
        },
    );
    let added = builder.schema().properties;
    let second = evolved(&storage, &first, |s| s.properties.extend(added)).await;
    for record in all(&storage, &second).await {
        let expected: Vec<Value> = defaults.iter().map(|(_, value)| value.clone()).collect();
        assert_eq!(record.values[4..], expected);
    }
    // Whole records are still written and read.
    let mut whole = values(&second, row! { code: 9 });
    for (at, (_, value)) in defaults.iter().enumerate() {
        whole[4 + at] = value.clone();
    }
    let new = crate::builders::numbered(&second, 50, &[whole]);
    execute(&storage, vec![Operation::Create(new)])
        .await
        .expect("a new record");
    assert_eq!(all(&storage, &second).await.len(), 4);
}

/// A renamed property is the same values under another name, an indexed one too.
pub async fn renaming_keeps_values(storage: Storage) {
    let first = three_things(&storage).await;
    let second = evolved(&storage, &first, |s| {
        s.properties[0].renamed_from = Some(s.properties[0].name.clone());
        s.properties[0].name = PropertyName::new("number").expect("a name");
        s.properties.reverse();
    })
    .await;
    assert_eq!(second.property_ids()[3], first.property_ids()[0]);
    assert_eq!(
        column(&storage, &second, "number").await,
        integers([1, 2, 3])
    );
}

/// Dropped values are gone, also for a property that later has the name; indexes stay good.
pub async fn dropping_forgets_values(storage: Storage) {
    let first = three_things(&storage).await;
    let name = first.schema().properties[1].clone();
    let second = evolved(&storage, &first, |s| drop(s.properties.remove(1))).await;
    assert_eq!(column(&storage, &second, "code").await, integers([1, 2, 3]));
    let third = evolved(&storage, &second, |s| s.properties.push(name)).await;
    assert_eq!(column(&storage, &third, "name").await, vec![Value::Null; 3]);
    let fourth = evolved(&storage, &third, |s| {
        s.properties[1].indexed = true;
        s.properties.remove(0);
    })
    .await;
    let days = column(&storage, &fourth, "day").await;
    assert_eq!(days[0], Value::Date(3));
    let fifth = evolved(&storage, &fourth, |s| drop(s.properties.remove(0))).await;
    assert_eq!(
        column(&storage, &fifth, "weight").await[0],
        Value::Number(2.0)
    );
}

/// Types change where every value has an exact counterpart; an index goes along.
pub async fn types_change_exactly(storage: Storage) {
    let first = three_things(&storage).await;
    let second = evolved(&storage, &first, |s| {
        s.properties[0].property_type = decimal(21, 2);
        s.properties[2].property_type = PropertyType::Datetime;
    })
    .await;
    let cents = [100, 200, 300].map(Value::Decimal);
    assert_eq!(column(&storage, &second, "code").await, cents);
    let day = staffa_domain::Timestamp::from_micros(3 * 86_400_000_000);
    let days = [Value::Datetime(day), Value::Null, Value::Null];
    assert_eq!(column(&storage, &second, "day").await, days);
    let third = evolved(&storage, &second, |s| {
        s.properties[0].property_type = PropertyType::Integer;
        s.properties[2].property_type = PropertyType::Date;
    })
    .await;
    assert_eq!(column(&storage, &third, "code").await, integers([1, 2, 3]));
    assert_eq!(column(&storage, &third, "day").await[0], Value::Date(3));
}

/// Records in the way are told with their values, and nothing changes.
pub async fn records_in_the_way_are_told(storage: Storage) {
    let first = three_things(&storage).await;
    let told = async |change: fn(&mut Schema)| {
        let to = next(&first, change);
        match evolve(&storage, &first, &to).await {
            Err(StorageError::Incompatible(found)) => found.examples,
            other => panic!("expected examples, found {other:?}"),
        }
    };
    let found = told(|s| s.properties[3].property_type = PropertyType::Integer).await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].id, crate::fakes::nth_id(1));
    assert_eq!(found[0].property, "weight");
    assert_eq!(found[0].value, Some(Value::Number(2.5)));
    assert_eq!(found[0].code, RecordErrorCode::OutOfRange);
    let found = told(|s| s.properties[1].required = true).await;
    assert_eq!((found.len(), found[0].code), (1, RecordErrorCode::Required));
    let found = told(|s| s.properties[0].constraints.maximum = Some(Value::Integer(1))).await;
    assert_eq!(
        (found.len(), found[0].code),
        (2, RecordErrorCode::AboveMaximum)
    );
    assert_eq!(all(&storage, &first).await.len(), 3);
    let stored = storage.catalog.load().await.expect("the stored schemas");
    assert_eq!(stored[0].version, 1);
}

/// Values that repeat keep a property from becoming unique; others are unique from then on.
pub async fn uniqueness_comes_and_goes(storage: Storage) {
    if crate::schemas::is_spread() {
        return;
    }
    let first = three_things(&storage).await;
    let to = next(&first, |s| s.properties[1].unique = true);
    match evolve(&storage, &first, &to).await {
        Err(StorageError::Incompatible(found)) => {
            let codes: Vec<_> = found.examples.iter().map(|e| e.code).collect();
            assert!(
                codes.contains(&RecordErrorCode::UniqueViolation),
                "{codes:?}"
            );
        }
        other => panic!("expected examples, found {other:?}"),
    }
    let second = evolved(&storage, &first, |s| s.properties[0].unique = true).await;
    let twice = || Operation::Create(batch(&second, 9, vec![row! { code: 3 }]));
    assert_fails!(
        execute(&storage, vec![twice()]).await,
        StorageError::UniqueViolation { violation } if violation.properties == ["code"]
    );
    let third = evolved(&storage, &second, |s| s.properties[0].unique = false).await;
    let again = Operation::Create(batch(&third, 9, vec![row! { code: 3 }]));
    execute(&storage, vec![again])
        .await
        .expect("values may repeat");
}

/// A thousand examples are told, and that there are more.
pub async fn only_so_many_examples_are_told(storage: Storage) {
    let schema = things();
    create(&storage, &schema).await;
    let rows = (0..1_500).map(|code| row! { code: code }).collect();
    insert(&storage, vec![batch(&schema, 0, rows)])
        .await
        .expect("records");
    let to = next(&schema, |s| s.properties[1].required = true);
    match evolve(&storage, &schema, &to).await {
        Err(StorageError::Incompatible(found)) => {
            assert_eq!((found.examples.len(), found.truncated), (1_000, true));
        }
        other => panic!("expected examples, found {other:?}"),
    }
}

/// Records begin to be only added and can be changed again.
pub async fn append_only_comes_and_goes(storage: Storage) {
    if crate::schemas::is_spread() {
        return;
    }
    let first = create_with(
        &storage,
        batch(
            &readings(),
            0,
            vec![row! { sensor: "a" }, row! { sensor: "b" }],
        ),
    )
    .await;
    let before = all(&storage, &first).await;
    let second = evolved(&storage, &first, |s| {
        s.append_only = false;
        s.properties[0].unique = true;
    })
    .await;
    assert_eq!(all(&storage, &second).await, before);
    let replace = Operation::Replace {
        batch: crate::builders::next(&second, before[0].id, 2, row! { sensor: "c" }),
        expected: 1,
    };
    execute(&storage, vec![replace]).await.expect("a change");
    let third = evolved(&storage, &second, |s| {
        s.properties[0].unique = false;
        s.append_only = true;
    })
    .await;
    let after = all(&storage, &third).await;
    assert_eq!(after.len(), 2);
    assert!(
        after
            .iter()
            .all(|r| r.version == 1 && r.updated_at == r.created_at)
    );
    insert(&storage, vec![batch(&third, 9, vec![row! { sensor: "d" }])])
        .await
        .expect("a new record");
}

/// A session of the version before fails whole; a stream of it keeps its snapshot.
pub async fn writes_of_the_version_before_do_not_land(storage: Storage) {
    for layout in [false, true] {
        let first = match layout {
            false => three_things(&storage).await,
            true => create_with(&storage, batch(&orders(), 0, vec![row! { reference: "a" }])).await,
        };
        let records = all(&storage, &first).await.len();
        let to = next(&first, |s| match layout {
            false => s.properties[0].required = true,
            true => s.properties[4].property_type = decimal(30, 2),
        });
        let session = storage.writer.begin(&first, WriteMode::Insert.into()).await;
        let mut session = session.expect("a session");
        let late = if layout {
            row! { reference: "late" }
        } else {
            row! { code: 7 }
        };
        let late = batch(&first, 70, vec![late]);
        // Where an open session holds the change up, the change comes after it.
        evolve(&storage, &first, &to).await.expect("an evolution");
        let appended = session.append(late.clone()).await;
        let outcome = match appended {
            Ok(()) => session.commit(Vec::new()).await.map(drop),
            Err(error) => Err(error),
        };
        assert_fails!(
            outcome,
            StorageError::SchemaMoved { .. } | StorageError::Conflict
        );
        assert_fails!(
            execute(&storage, vec![Operation::Create(late)]).await,
            StorageError::SchemaMoved { .. }
        );
        assert_eq!(all(&storage, &to).await.len(), records);
    }
}

/// Every version is kept with how it came about.
pub async fn every_version_is_kept(storage: Storage) {
    let first = three_things(&storage).await;
    let second = evolved(&storage, &first, |s| s.properties[0].indexed = false).await;
    evolved(&storage, &second, |s| s.properties[1].indexed = true).await;
    let versions = storage.catalog.versions("things").await.expect("versions");
    let found: Vec<_> = versions
        .iter()
        .map(|v| {
            (
                v.stored.version,
                v.stored.document.as_str(),
                v.change.as_ref(),
            )
        })
        .map(|(version, document, change)| {
            (
                version,
                document,
                change.map(|c| (c.steps.as_str(), c.records)),
            )
        })
        .collect();
    let expected = [
        (1, "name: things", None),
        (2, "version: 2", Some(("to 2", 3))),
        (3, "version: 3", Some(("to 3", 3))),
    ];
    assert_eq!(found, expected);
    let none = storage
        .catalog
        .versions("nothing")
        .await
        .expect("no versions");
    assert_eq!(none, []);
}
