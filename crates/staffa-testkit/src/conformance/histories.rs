//! Random histories: changes of a schema between random writes. After each an engine must hold
//! what the reference engine holds, or have refused what that refused.
//!
//! `STAFFA_TEST_HISTORIES` sets how many there are, `STAFFA_TEST_HISTORIES_SEED` the first.

use std::sync::Arc;

use proptest::prelude::*;
use proptest::sample::{Index, select};

use staffa_domain::change::{next_version, plan};
use staffa_domain::ports::Storage;
use staffa_domain::schema::Constraints;
use staffa_domain::{
    Operation, Property, PropertyName, PropertyType, Schema, SchemaSnapshot, StorageError, Value,
    validate,
};

use crate::builders::{decoded, numbered};
use crate::conformance::evolution::evolve;
use crate::conformance::questions::setting;
use crate::conformance::support::{all, assert_identical, create, execute, insert};
use crate::differential::Random;
use crate::memory::MemoryEngine;
use crate::schemas::{SchemaBuilder, array, decimal};
use crate::strategies;

/// How many schemas have a history, and how many changes each.
const HISTORIES: u64 = 5;
const CHANGES: usize = 20;
/// How many records are written between two changes at most.
const RECORDS_MAX: usize = 4;

/// One random change of a schema. Places are taken among what there is then.
#[derive(Debug, Clone)]
enum Change {
    Add {
        kind: PropertyType,
        default: Option<Value>,
        required: bool,
    },
    Drop(Index),
    Rename(Index),
    Retype(Index, PropertyType),
    Require(Index),
    Index(Index),
    Unique(Index),
    Default(Index, PropertyType, Option<Value>),
    Longest(Index, Option<u64>),
    Smallest(Index, Option<i64>),
    Rotate,
    AppendOnly,
}

/// Changes and writes in turn.
pub async fn random_changes_match_the_reference(storage: Storage) {
    let changes = change();
    let records = (0..=RECORDS_MAX).boxed();
    let first_history: u64 = setting("STAFFA_TEST_HISTORIES_SEED", 0);
    let histories = setting("STAFFA_TEST_HISTORIES", HISTORIES);
    for history in first_history..first_history.saturating_add(histories) {
        let reference = MemoryEngine::open();
        let mut random = Random::new(history);
        let mut schema = SchemaBuilder::new(&format!("history_{history}"))
            .property("p0", PropertyType::Integer, |p| p.indexed = true)
            .optional("p1", PropertyType::String)
            .snapshot();
        create(&storage, &schema).await;
        create(&reference, &schema).await;
        let mut first = 0;
        for step in 0..CHANGES {
            let count = random.next(&records);
            let place = format!("history {history}, step {step}");
            write(
                &storage,
                &reference,
                (&schema, first, count),
                &mut random,
                &place,
            )
            .await;
            first += count as u64;
            let change = random.next(&changes);
            let place = format!("{place}: {change:?}, {:?}", schema.schema());
            let Some(next) = changed(&schema, &change, step) else {
                continue;
            };
            let expected = evolve(&reference, &schema, &next).await;
            let found = evolve(&storage, &schema, &next).await;
            assert_eq!(
                kind(&found),
                kind(&expected),
                "{place}: {found:?}, {expected:?}"
            );
            if expected.is_ok() {
                schema = next;
            }
            let (found, expected) = (all(&storage, &schema).await, all(&reference, &schema).await);
            assert_eq!(found.len(), expected.len(), "{place}");
            assert_identical(&found, &expected);
        }
    }
}

/// Adds some records and removes one, on both alike.
async fn write(
    storage: &Storage,
    reference: &Storage,
    (schema, first, count): (&Arc<SchemaSnapshot>, u64, usize),
    random: &mut Random,
    place: &str,
) {
    let row = strategies::row(schema);
    let mut rows: Vec<Vec<Value>> = (0..count).map(|_| random.next(&row)).collect();
    // Not every value is within the bounds of its property.
    rows.retain(|row| {
        validate(decoded(schema, std::slice::from_ref(row), 0))
            .1
            .is_empty()
    });
    if !rows.is_empty() {
        let batch = || vec![numbered(schema, first, &rows)];
        let expected = insert(reference, batch())
            .await
            .map(|receipt| receipt.inserted);
        let found = insert(storage, batch())
            .await
            .map(|receipt| receipt.inserted);
        assert_eq!(
            kind(&found),
            kind(&expected),
            "{place}: {rows:?}, {found:?}"
        );
    }
    let records = all(reference, schema).await;
    if schema.schema().append_only || records.is_empty() {
        return;
    }
    let id = random.next(&any::<Index>().boxed()).get(&records).id;
    for storage in [storage, reference] {
        let delete = Operation::Delete {
            schema: Arc::clone(schema),
            id,
            expected: None,
        };
        execute(storage, vec![delete]).await.expect("a record");
    }
}

/// What came of something: engines may word an error differently.
fn kind<T>(outcome: &Result<T, StorageError>) -> Option<std::mem::Discriminant<StorageError>> {
    outcome.as_ref().err().map(std::mem::discriminant)
}

/// The next version, where the change makes sense and leads to one.
fn changed(
    from: &Arc<SchemaSnapshot>,
    change: &Change,
    step: usize,
) -> Option<Arc<SchemaSnapshot>> {
    let mut to = from.schema().clone();
    for property in &mut to.properties {
        property.renamed_from = None;
    }
    apply(&mut to, change, step);
    if !staffa_domain::schema::check(&to).is_empty() {
        return None;
    }
    let plan = plan(from.schema(), &to).ok()?;
    (!plan.is_empty()).then(|| Arc::new(next_version(from, &to, &plan)))
}

fn apply(to: &mut Schema, change: &Change, step: usize) {
    let new = PropertyName::new(&format!("n{step}")).expect("a name");
    let count = to.properties.len();
    match change {
        Change::Add {
            kind,
            default,
            required,
        } => to.properties.push(Property {
            default: default.clone(),
            required: *required,
            ..Property::new(new, kind.clone())
        }),
        Change::Drop(at) if count > 1 => drop(to.properties.remove(at.index(count))),
        Change::Drop(_) => {}
        Change::Rename(at) => {
            let property = &mut to.properties[at.index(count)];
            property.renamed_from = Some(std::mem::replace(&mut property.name, new));
        }
        Change::Retype(at, kind) => {
            let property = &mut to.properties[at.index(count)];
            property.property_type = kind.clone();
            property.default = None;
            property.constraints = Constraints::default();
        }
        Change::Require(at) => {
            to.properties[at.index(count)].required ^= true;
        }
        Change::Index(at) => {
            to.properties[at.index(count)].indexed ^= true;
        }
        Change::Unique(at) => {
            to.properties[at.index(count)].unique ^= true;
        }
        Change::Default(at, kind, default) => {
            let property = &mut to.properties[at.index(count)];
            if property.property_type == *kind || default.is_none() {
                property.default.clone_from(default);
            }
        }
        Change::Longest(at, most) => {
            let property = &mut to.properties[at.index(count)];
            if property.property_type == PropertyType::String {
                property.constraints.max_length = *most;
            }
        }
        Change::Smallest(at, least) => {
            let property = &mut to.properties[at.index(count)];
            if property.property_type == PropertyType::Integer {
                property.constraints.minimum = least.map(Value::Integer);
            }
        }
        Change::Rotate => to.properties.rotate_left(1),
        Change::AppendOnly => to.append_only ^= true,
    }
}

fn types() -> Vec<PropertyType> {
    vec![
        PropertyType::String,
        PropertyType::Integer,
        PropertyType::Number,
        decimal(18, 2),
        decimal(9, 0),
        PropertyType::Boolean,
        PropertyType::Date,
        PropertyType::Datetime,
        PropertyType::Uuid,
        PropertyType::Object,
        array(PropertyType::Integer),
    ]
}

/// A type, and perhaps a value of it.
fn typed() -> BoxedStrategy<(PropertyType, Option<Value>)> {
    select(types())
        .prop_flat_map(|kind| {
            let value = proptest::option::of(strategies::value(&kind));
            (Just(kind), value)
        })
        .boxed()
}

fn change() -> BoxedStrategy<Change> {
    let at = || any::<Index>();
    prop_oneof![
        4 => (typed(), any::<bool>()).prop_map(|((kind, default), required)| Change::Add {
            kind,
            default,
            required,
        }),
        2 => at().prop_map(Change::Drop),
        2 => at().prop_map(Change::Rename),
        4 => (at(), select(types())).prop_map(|(at, kind)| Change::Retype(at, kind)),
        2 => at().prop_map(Change::Require),
        3 => at().prop_map(Change::Index),
        2 => at().prop_map(Change::Unique),
        2 => (at(), typed()).prop_map(|(at, (kind, value))| Change::Default(at, kind, value)),
        1 => (at(), proptest::option::of(0..4_u64)).prop_map(|(at, n)| Change::Longest(at, n)),
        1 => (at(), proptest::option::of(-3..3_i64)).prop_map(|(at, n)| Change::Smallest(at, n)),
        1 => Just(Change::Rotate),
        1 => Just(Change::AppendOnly),
    ]
    .boxed()
}
