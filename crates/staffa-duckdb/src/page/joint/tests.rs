//! Whatever waits together, each page is what the plain question answers.

use std::sync::Arc;
use std::time::Duration;

use staffa_domain::{Field, Position, RecordQuery, SchemaSnapshot, Sort};
use tokio::sync::oneshot::Receiver;

use super::super::tests::{Reader, first_by, ids, insert, last_position, schema};
use super::{CALLS_MAX, Call, Found, RECORDS_MAX};
use crate::sql::{names, select};

const LEVEL: usize = 1;
const FEW: usize = 3;

impl Reader {
    /// Makes fences by a field, and looks for one page so slow that it is worth waiting for others.
    fn slow(&self, schema: &SchemaSnapshot, field: Field) {
        let fences = &self.pages.fences;
        let fence = fences.of(&self.link, schema, field).unwrap();
        let fence = fence.expect("there are records enough");
        fence.note_alone(Duration::from_hours(1));
    }

    fn call(&self, query: &RecordQuery) -> Option<(Call, Receiver<Found>)> {
        self.pages.call(&self.sequences, query)
    }

    /// Lets pages wait, then answers as many jobs. None for a page that is to be asked for alone.
    fn together(&self, queries: &[RecordQuery]) -> Vec<Option<Found>> {
        let mut jobs = Vec::new();
        let waiting = queries.iter().map(|query| {
            let (call, answer) = self.call(query)?;
            let queue = |call| {
                jobs.push(call);
                Ok::<_, ()>(())
            };
            self.pages.wait(call, queue).unwrap();
            Some(answer)
        });
        let waiting: Vec<_> = waiting.collect();
        for job in jobs {
            self.pages
                .answer(&self.link, &self.sequences, job.question());
        }
        let answer = |answer: Receiver<Found>| answer.blocking_recv().unwrap();
        waiting.into_iter().map(|one| one.map(answer)).collect()
    }

    /// Pages after records that lie apart in an order.
    fn apart(&self, first: &RecordQuery, step: usize) -> Vec<RecordQuery> {
        let mut all = first.clone();
        all.limit = None;
        let all = select::records(&all).fetch(&self.link).unwrap();
        let positions = all.iter().flat_map(|batch| {
            (0..batch.num_rows()).map(|row| {
                let key = |key: &Sort| crate::types::value_at(batch.column(key.field.index()), row);
                Position {
                    values: first.sort.iter().map(key).collect(),
                    id: staffa_domain::batch::record_id(batch, row).unwrap(),
                }
            })
        });
        let queries = positions.step_by(step).map(|position| {
            let mut query = first.clone();
            query.after = Some(position);
            query
        });
        queries.collect()
    }
}

#[test]
fn pages_found_together_are_the_plain_pages() {
    let schema = schema(false);
    let reader = Reader::of(&schema);
    let mut found = 0;
    for field in [Field::Property(0), Field::Property(LEVEL)] {
        for (descending, nulls_first) in [(false, false), (true, false), (true, true)] {
            let key = |field| Sort {
                field,
                descending,
                nulls_first,
            };
            let then = [Field::Property(LEVEL), Field::Id, Field::CreatedAt];
            for then in then.map(|field| (field != Field::Id).then(|| key(field))) {
                let mut query = first_by(&schema, 0, 10);
                query.sort = [Some(key(field)), then].into_iter().flatten().collect();
                reader.slow(&schema, field);
                // Some meet, and the positions of some are of records that lie elsewhere now.
                let mut queries = reader.apart(&query, 57);
                queries.extend(reader.apart(&query, 131).into_iter().map(|mut query| {
                    query.after.as_mut().unwrap().id = staffa_testkit::nth_id(7);
                    query
                }));
                for queries in queries.chunks(20) {
                    for (query, page) in queries.iter().zip(reader.together(queries)) {
                        let Some(Some(page)) = page.map(Result::unwrap) else {
                            continue;
                        };
                        found += 1;
                        let plain = select::records(query).fetch(&reader.link).unwrap();
                        assert_eq!(
                            ids(&page),
                            ids(&plain),
                            "{:?} {:?}",
                            query.sort,
                            query.after
                        );
                    }
                }
            }
        }
    }
    // Of 18 orders, 100 pages each, but the ends of the orders and what starts at nulls.
    assert!(found > 1_200, "{found} were found together");
}

#[test]
fn who_follows_finds_more_for_later() {
    let schema = schema(false);
    let reader = Reader::of(&schema);
    let first = first_by(&schema, LEVEL, 10);
    reader.slow(&schema, Field::Property(LEVEL));
    let mut queries = reader.apart(&first, 1_000);
    queries.truncate(3);
    for _ in 0..2 {
        let pages = reader.together(&queries);
        for (query, page) in queries.iter_mut().zip(pages) {
            let page = page.expect("it may wait").unwrap().expect("it is found");
            let last = page.last().unwrap();
            query.after = last_position(query, last);
        }
    }
    for query in &queries {
        assert!(reader.knows(query), "the second look went further");
        assert!(reader.call(query).is_none(), "what is known needs no look");
    }
}

/// Only those wait that one look can find, and only where it takes less than one for each.
#[test]
fn most_pages_do_not_wait() {
    let schema = schema(false);
    let reader = Reader::of(&schema);
    let middle = |property| {
        let queries = reader.apart(&first_by(&schema, property, 10), 1_000);
        queries[1].clone()
    };
    let query = middle(LEVEL);
    assert!(reader.call(&query).is_none(), "no fences are made");
    reader.compare(&query);
    let fence = reader.pages.fences.made(&schema, Field::Property(LEVEL));
    let fence = fence.expect("the first page made them");
    fence.note_alone(Duration::from_secs(1));
    assert!(reader.call(&query).is_some());
    fence.note_joint(Duration::from_secs(CALLS_MAX as u64));
    assert!(reader.call(&query).is_none(), "a joint look takes too long");
    reader.slow(&schema, Field::Property(LEVEL));
    let changed = |change: fn(&mut RecordQuery)| {
        let mut query = query.clone();
        change(&mut query);
        reader.call(&query).is_some()
    };
    assert!(changed(|_| ()));
    assert!(!changed(|query| query.after = None));
    assert!(!changed(|query| query.offset = 1));
    assert!(!changed(|query| query.limit = Some(1_000)));
    assert!(!changed(|query| {
        query.filter = Some(staffa_domain::Filter::Not(Box::new(
            staffa_domain::Filter::condition(
                Field::Property(LEVEL),
                staffa_domain::query::Test::IsNull,
            ),
        )));
    }));
    reader.slow(&schema, Field::Property(FEW));
    let heavy = middle(FEW);
    assert!(reader.call(&heavy).is_none(), "a value is a third of all");
    reader.slow(&schema, Field::Property(2));
    assert!(reader.call(&middle(2)).is_none(), "texts");
}

#[test]
fn who_has_gone_is_not_looked_for() {
    let schema = schema(false);
    let reader = Reader::of(&schema);
    reader.slow(&schema, Field::Property(LEVEL));
    let queries = reader.apart(&first_by(&schema, LEVEL, 10), 500);
    let mut answers = Vec::new();
    let mut jobs = Vec::new();
    for query in &queries[..4] {
        let (call, answer) = reader.call(query).unwrap();
        let queue = |call: Arc<Call>| {
            jobs.push(call);
            Ok::<_, ()>(())
        };
        reader.pages.wait(call, queue).unwrap();
        answers.push(answer);
    }
    // One caller goes, and the job of another is never done.
    drop(answers.remove(0));
    let job = jobs.remove(1);
    let question = job.question().to_owned();
    drop(job);
    answers
        .remove(0)
        .blocking_recv()
        .expect_err("no answer comes");
    let taken = reader.pages.room.take(&question);
    assert_eq!(taken.len(), 2, "{taken:?}");
    assert!(reader.pages.room.take(&question).is_empty());
    // Where the queue takes no job nobody waits.
    let (call, answer) = reader.call(&queries[0]).unwrap();
    reader.pages.wait(call, |_| Err("full")).unwrap_err();
    assert!(reader.pages.room.take(&question).is_empty());
    answer.blocking_recv().expect_err("no answer comes");
}

#[test]
fn what_goes_wrong_is_told_to_whom_it_concerns() {
    let schema = schema(false);
    let reader = Reader::of(&schema);
    reader.slow(&schema, Field::Property(LEVEL));
    let mut queries = reader.apart(&first_by(&schema, LEVEL, 10), 500);
    queries.truncate(4);
    queries[1].bytes_max = Some(1);
    let answers = reader.together(&queries);
    let is_found = |answer: &Option<Found>| matches!(answer, Some(Ok(Some(_))));
    assert!(is_found(&answers[0]));
    assert!(matches!(answers[1], Some(Err(_))), "too large");
    for answer in &answers[2..] {
        // They were found by the same look, but their records were not fetched.
        assert!(matches!(answer, Some(Ok(None))), "{answer:?}");
    }
    let table = names::table(&schema);
    reader.write(&schema, &format!("ALTER TABLE {table} RENAME TO gone"));
    for answer in reader.together(&queries[..1]) {
        assert!(matches!(answer, Some(Ok(None))), "one is asked for alone");
    }
    for answer in reader.together(&queries) {
        assert!(matches!(answer, Some(Err(_))), "{answer:?}");
    }
}

/// Where the records have grown under old fences, a look that found too much tells nothing.
#[test]
fn too_much_is_asked_for_alone() {
    let schema = schema(false);
    let reader = Reader::of(&schema);
    let level = Field::Property(LEVEL);
    reader.slow(&schema, level);
    let mut queries = reader.apart(&first_by(&schema, LEVEL, 10), 500);
    queries.truncate(2);
    let column = names::expression(&schema, level);
    let number = queries[1].after.as_ref().unwrap().values[0].clone();
    let many = u32::try_from(RECORDS_MAX).unwrap();
    let insert = insert(&schema, 10_000..10_000 + many);
    reader.write(&schema, &insert);
    let table = names::table(&schema);
    let same = format!("UPDATE {table} SET {column} = {number} WHERE {column} IS NOT NULL");
    reader.write(
        &schema,
        &format!("{same}; INSERT INTO {table} SELECT gen_random_uuid(), * EXCLUDE id FROM {table}"),
    );
    for answer in reader.together(&queries) {
        assert!(matches!(answer, Some(Ok(None))), "{answer:?}");
    }
}
