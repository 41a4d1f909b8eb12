//! Whatever the fences say, a page is what the plain question answers.

use std::cmp::Ordering;
use std::sync::{Arc, mpsc};

use arrow_array::RecordBatch;
use arrow_select::concat::concat_batches;
use staffa_domain::batch::record_id;
use staffa_domain::query::{Comparison, Test};
use staffa_domain::{
    Field, Filter, Position, PropertyType, RecordId, RecordQuery, SchemaSnapshot, Sort, Value,
};
use staffa_testkit::schemas::SchemaBuilder;

use super::Pages;
use super::ahead::{self, Known, ReadAhead};
use super::fence::{Fences, Sizes};
use super::joint::Room;
use crate::catalog::make_storage;
use crate::engine::Link;
use crate::sequence::{Sequences, Touched};
use crate::sql::{names, select};
use crate::types::value_at;

const SIZES: Sizes = Sizes {
    fences_max: 2_048,
    records_min: 100,
    deep_offset: 300,
};

pub(super) fn schema(append_only: bool) -> Arc<SchemaSnapshot> {
    let mut builder = SchemaBuilder::new("readings");
    if append_only {
        builder = builder.append_only();
    }
    builder
        .required("place", PropertyType::Integer)
        .optional("level", PropertyType::Number)
        .optional("label", PropertyType::String)
        .optional("few", PropertyType::Integer)
        .snapshot()
}

fn filled(schema: &SchemaSnapshot) -> Link {
    let connection = Link::in_memory();
    connection
        .execute_batch("SET arrow_lossless_conversion = true; CREATE SCHEMA records")
        .unwrap();
    make_storage(&connection, schema).unwrap();
    let insert = insert(schema, 0..4_000);
    connection.execute_batch(&insert).unwrap();
    connection
}

/// Values that are spread, clustered, repeated and absent.
pub(super) fn insert(schema: &SchemaSnapshot, numbers: std::ops::Range<u32>) -> String {
    let system = match schema.schema().append_only {
        true => "TIMESTAMP '2024-01-01'",
        false => "TIMESTAMP '2024-01-01', TIMESTAMP '2024-01-01', 1",
    };
    format!(
        "INSERT INTO {} SELECT
             ('00000000-0000-7000-8000-' || lpad(range::VARCHAR, 12, '0'))::UUID, {system},
             (range * 7919) % 10007,
             CASE WHEN range % 5 = 0 THEN NULL ELSE ((range * 31) % 977) / 8.0 END,
             CASE WHEN range % 3 = 0 THEN NULL
                  ELSE 'a text with a head that all of them have ' || (range * 17) % 501 END,
             range % 3
         FROM range({}, {})",
        names::table(schema),
        numbers.start,
        numbers.end
    )
}

pub(super) fn ids(batches: &[RecordBatch]) -> Vec<RecordId> {
    let ids = |batch: &RecordBatch| {
        let batch = batch.clone();
        (0..batch.num_rows()).map(move |row| record_id(&batch, row).unwrap())
    };
    batches.iter().flat_map(ids).collect()
}

fn orders() -> Vec<Vec<Sort>> {
    let fields = [
        Field::Id,
        Field::CreatedAt,
        Field::Property(0),
        Field::Property(1),
        Field::Property(2),
        Field::Property(3),
    ];
    let mut orders = Vec::new();
    for field in fields {
        for (descending, nulls_first) in [(false, false), (true, false), (false, true)] {
            let key = |field, descending| Sort {
                field,
                descending,
                nulls_first,
            };
            orders.push(vec![key(field, descending)]);
            orders.push(vec![key(field, descending), key(Field::Property(0), true)]);
        }
    }
    orders
}

/// What is known of orders, and how often a schema was written to.
pub(super) struct Reader {
    pub(super) link: Link,
    pub(super) pages: Pages,
    pub(super) sequences: Sequences,
}

impl Reader {
    pub(super) fn of(schema: &SchemaSnapshot) -> Self {
        Self {
            link: filled(schema),
            pages: Pages {
                fences: Fences::with(SIZES),
                ahead: ReadAhead::of(500),
                room: Room::default(),
            },
            sequences: Sequences::default(),
        }
    }

    pub(super) fn write(&self, schema: &SchemaSnapshot, statement: &str) {
        let under_way = self.sequences.begin([(schema.name(), Touched::Any)]);
        self.link.execute_batch(statement).unwrap();
        drop(under_way);
    }

    /// Asks both ways, and answers the position of the last record and how many there were.
    pub(super) fn compare(&self, query: &RecordQuery) -> Option<(Position, usize)> {
        let plain = select::records(query).fetch(&self.link).unwrap();
        let page = self.pages.fetch(&self.link, &self.sequences, query);
        let page = page.unwrap();
        assert_eq!(
            ids(&page),
            ids(&plain),
            "{:?} after {:?}, {} left out",
            query.sort,
            query.after,
            query.offset
        );
        let whole = concat_batches(&plain.first()?.schema(), &plain).unwrap();
        let same = concat_batches(&page.first()?.schema(), &page).unwrap();
        assert_eq!(whole.columns(), same.columns(), "the records are whole");
        Some((last_position(query, &whole)?, whole.num_rows()))
    }

    /// What is known of a page before it is asked for.
    fn known(&self, query: &RecordQuery) -> Known {
        let commit = self.sequences.of_resting(query.schema.name());
        commit.map_or(Known::Nothing, |commit| {
            self.pages.ahead.find(query, commit)
        })
    }

    /// Whether it would be found without a look.
    pub(super) fn knows(&self, query: &RecordQuery) -> bool {
        matches!(self.known(query), Known::Page(_))
    }

    /// Goes on to the next page.
    fn follow(&self, query: &mut RecordQuery) {
        let (position, _) = self.compare(query).unwrap();
        query.after = Some(position);
    }

    fn walk(&self, schema: &Arc<SchemaSnapshot>) {
        for sort in orders() {
            let mut query = RecordQuery::all(Arc::clone(schema));
            query.sort = sort;
            for limit in [7, 400] {
                query.limit = Some(limit);
                for offset in [0, 20, 299, 300, 1_500, 3_190, 3_990, 9_000] {
                    query.offset = offset;
                    query.after = None;
                    let mut last = self.compare(&query);
                    query.offset = 0;
                    for _ in 0..2 {
                        let Some((position, _)) = last.take() else {
                            break;
                        };
                        query.after = Some(position);
                        last = self.compare(&query);
                    }
                }
            }
        }
    }
}

pub(super) fn last_position(query: &RecordQuery, page: &RecordBatch) -> Option<Position> {
    let last = page.num_rows().checked_sub(1)?;
    let key = |key: &Sort| value_at(page.column(key.field.index()), last);
    Some(Position {
        values: query.sort.iter().map(key).collect(),
        id: record_id(page, last).unwrap(),
    })
}

/// The question for the first so many records in the order of a property, its nulls last.
pub(super) fn first_by(schema: &Arc<SchemaSnapshot>, property: usize, limit: u64) -> RecordQuery {
    let mut query = RecordQuery::all(Arc::clone(schema));
    query.sort = vec![Sort {
        field: Field::Property(property),
        descending: false,
        nulls_first: false,
    }];
    query.limit = Some(limit);
    query
}

#[test]
fn pages_by_fences_are_the_plain_pages() {
    for append_only in [false, true] {
        let schema = schema(append_only);
        let reader = Reader::of(&schema);
        reader.walk(&schema);
        // The fences stay as they were made while the records under them go and come.
        let some = "id < '00000000-0000-7000-8000-000000001800'";
        let table = names::table(&schema);
        reader.write(&schema, &format!("DELETE FROM {table} WHERE {some}"));
        reader.walk(&schema);
        reader.write(&schema, &insert(&schema, 10_000..13_000));
        reader.walk(&schema);
    }
}

/// A look at each order, with a filter and without, says what the pages are up to the end.
#[test]
fn pages_that_follow_are_the_plain_pages() {
    let schema = schema(false);
    let reader = Reader::of(&schema);
    let few = |value| {
        let test = Test::Compare(Comparison::Eq, Value::Integer(value));
        Filter::condition(Field::Property(3), test)
    };
    let mut known = 0;
    for filter in [None, Some(few(1)), Some(few(2))] {
        for sort in orders() {
            let mut query = RecordQuery::all(Arc::clone(&schema));
            query.filter = filter.clone();
            query.sort = sort;
            query.limit = Some(151);
            let mut pages = 0;
            loop {
                known += usize::from(reader.knows(&query));
                let Some((position, count)) = reader.compare(&query) else {
                    break;
                };
                pages += 1;
                query.after = Some(position);
                if count < 151 {
                    break;
                }
            }
            assert!(pages >= 9, "{pages} pages by {:?}", query.sort);
        }
    }
    // 3 × 30 orders, those by id aside, of 27 or 9 pages, of which about one in four is a look.
    assert!(known > 800, "{known} pages were known");
}

#[test]
fn what_was_found_ahead_is_forgotten_at_a_write() {
    let schema = schema(false);
    let reader = Reader::of(&schema);
    let mut query = first_by(&schema, 2, 10);
    assert_eq!(reader.known(&query), Known::Nothing);
    reader.follow(&mut query);
    assert_eq!(reader.known(&query), Known::Follows, "nobody has gone on");
    reader.follow(&mut query);
    assert!(reader.knows(&query), "somebody has");
    query.limit = Some(200);
    assert!(reader.knows(&query), "a page of another size");
    let position = query.after.clone().unwrap();
    for elsewhere in [Value::String("elsewhere".to_owned()), Value::Null] {
        query.after = Some(Position {
            values: vec![elsewhere],
            ..position
        });
        assert_eq!(
            reader.known(&query),
            Known::Nothing,
            "it does not lie there"
        );
    }
    query.after = Some(position);
    let under_way = reader.sequences.begin([("readings", Touched::None)]);
    assert_eq!(
        reader.known(&query),
        Known::Nothing,
        "a commit is under way"
    );
    reader.compare(&query);
    drop(under_way);
    assert_eq!(reader.known(&query), Known::Nothing, "it is over");
    reader.follow(&mut query);
    reader.follow(&mut query);
    assert!(reader.knows(&query), "after it");
}

/// A look for one page finds no more: who jumps pays for nobody.
#[test]
fn only_who_goes_on_looks_ahead() {
    let schema = schema(false);
    let reader = Reader::of(&schema);
    let mut query = first_by(&schema, 0, 10);
    reader.follow(&mut query);
    query.limit = Some(9);
    assert_eq!(
        reader.known(&query),
        Known::Follows,
        "nine follow the last, if any"
    );
    let (first, _) = reader.compare(&first_by(&schema, 0, 1)).unwrap();
    query.after = Some(first);
    assert!(reader.knows(&query), "the nine others of the page");
}

/// Texts that are known by their heads alone are not taken for each other.
#[test]
fn long_texts_are_not_known() {
    let schema = schema(false);
    let reader = Reader::of(&schema);
    let (table, label) = (
        names::table(&schema),
        names::expression(&schema, Field::Property(2)),
    );
    for length in [ahead::TEXT_MAX, ahead::TEXT_MAX + 1] {
        let long = format!("UPDATE {table} SET {label} = repeat('ä', {length})");
        reader.write(&schema, &long);
        let mut query = first_by(&schema, 2, 10);
        reader.follow(&mut query);
        assert_eq!(
            reader.known(&query) == Known::Follows,
            length == ahead::TEXT_MAX
        );
        reader.compare(&query);
    }
}

/// A page is of one moment: its records lie in the order that it has, whatever moves meanwhile.
#[test]
fn pages_are_in_order_while_records_move() {
    let schema = schema(false);
    let reader = Reader::of(&schema);
    let other = reader.link.another().unwrap();
    let field = Field::Property(1);
    let (table, column) = (names::table(&schema), names::expression(&schema, field));
    // As records change in the lane: where they lie, and under the same ids but elsewhere.
    let turns = [
        format!("UPDATE {table} SET {column} = -{column}"),
        format!(
            "BEGIN; CREATE TEMP TABLE turned AS FROM {table};
             UPDATE turned SET {column} = -{column};
             DELETE FROM {table}; INSERT INTO {table} FROM turned;
             DROP TABLE turned; COMMIT"
        ),
    ];
    let mut query = first_by(&schema, 1, 20);
    let (sequences, name) = (&reader.sequences, schema.name());
    let (asks, asked) = mpsc::sync_channel(0);
    let known = std::thread::scope(|scope| {
        scope.spawn(move || {
            for turn in turns.iter().cycle() {
                if asked.recv().is_err() {
                    break;
                }
                let under_way = sequences.begin([(name, Touched::Any)]);
                other.execute_batch(turn).unwrap();
                drop(under_way);
            }
        });
        let mut known = 0;
        for number in 0..2_000 {
            if number % 5 == 0 {
                // If the last turn is over; the pages go on while this one is taken.
                let _ = asks.try_send(());
            }
            known += usize::from(reader.knows(&query));
            let page = reader.pages.fetch(&reader.link, &reader.sequences, &query);
            let page = page.unwrap();
            let Some(first) = page.first() else {
                query.after = None;
                continue;
            };
            let page = concat_batches(&first.schema(), &page).unwrap();
            let value = |row| value_at(page.column(field.index()), row);
            let from = query
                .after
                .as_ref()
                .map(|position| position.values[0].clone());
            let values: Vec<Value> = from
                .into_iter()
                .chain((0..page.num_rows()).map(value))
                .collect();
            let is_sorted = values.is_sorted_by(|a, b| match (a, b) {
                (_, Value::Null) => true,
                (a, b) => a.compare(b).is_some_and(Ordering::is_le),
            });
            assert!(is_sorted, "{values:?}");
            query.after = last_position(&query, &page);
        }
        drop(asks);
        known
    });
    assert!(known > 0, "no page was known");
}

#[test]
fn a_page_needs_less_than_all() {
    let schema = schema(false);
    let reader = Reader::of(&schema);
    let (connection, fences) = (&reader.link, &reader.pages.fences);
    let mut query = first_by(&schema, 0, 10);
    for offset in [0, 2_000] {
        query.offset = offset;
        let is_deep = offset > 0;
        let ladder = super::ladder(connection, fences, &query, is_deep);
        let ladder = ladder.unwrap().expect("there are records enough");
        let bounds = super::place::find(connection, &query, &ladder, is_deep);
        let bounds = bounds.unwrap().expect("a place is found");
        assert!(bounds.to.is_some(), "{bounds:?}");
        assert_eq!(bounds.from.is_some(), is_deep, "{bounds:?}");
        assert!(bounds.offset <= offset, "{bounds:?}");
        let page = super::within(connection, (&query, &query), &bounds, |_, _| ()).unwrap();
        assert_eq!(ids(&page.expect("it is whole")).len(), 10);
    }
}
