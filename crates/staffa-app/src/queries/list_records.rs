//! Reads one page of records.

use std::sync::Arc;

use arrow_array::RecordBatch;
use futures_util::TryStreamExt;
use staffa_codec::question::{QuestionCode, QuestionProblem};
use staffa_domain::batch::{bytes_of, record_id, value_at};
use staffa_domain::record::system;
use staffa_domain::{Count, Field, Filter, Position, RecordQuery, SchemaSnapshot, Sort, Value};

use crate::context::{Context, Stage};
use crate::cursor::Cursor;
use crate::error::Error;
use crate::queries::Queries;

/// Where a page starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StartAt {
    /// At the page with this number, from one.
    Page(u64),
    /// Where an earlier page's `next_cursor` points.
    Cursor(String),
}

/// Whether and how to count all that match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CountMode {
    /// Exactly.
    Exact,
    /// An estimate will do.
    Estimated,
    /// Not at all.
    None,
}

/// What to list.
#[derive(Debug, Clone)]
pub struct ListRecords {
    /// The schema, as the question was read by it.
    pub schema: Arc<SchemaSnapshot>,
    /// Which records; all when absent.
    pub filter: Option<Filter>,
    /// In which order; by id when empty.
    pub sort: Vec<Sort>,
    /// Which properties; all when absent.
    pub select: Option<Vec<usize>>,
    /// Where the page starts.
    pub start: StartAt,
    /// Records on the page, from one.
    pub size: u64,
    /// Whether to count.
    pub count: CountMode,
}

/// One page.
#[derive(Debug)]
pub struct RecordPage {
    /// The schema.
    pub schema: Arc<SchemaSnapshot>,
    /// The records: system fields, then the selected properties.
    pub records: RecordBatch,
    /// How many match in all, where that was asked.
    pub total: Option<Count>,
    /// The page's number, where it was asked for by number.
    pub page: Option<u64>,
    /// Whether records follow.
    pub has_next: bool,
    /// Whether records come before.
    pub has_previous: bool,
    /// Where the next page starts, unless this one is the last.
    pub next_cursor: Option<String>,
}

impl Queries {
    /// Reads a page. The order is total, so pages neither overlap nor leave a gap.
    pub async fn list_records(
        &self,
        ctx: &Context,
        request: ListRecords,
    ) -> Result<RecordPage, Error> {
        self.check_size(&request)?;
        let plan = self.plan(ctx, &request).await?;
        let records = self.page(ctx, plan.query.clone()).await?;
        // The answer will be text of about this length.
        ctx.hold(bytes_of(records.columns()))?;
        let has_next = records.num_rows() as u64 > request.size;
        let kept = records
            .num_rows()
            .min(usize::try_from(request.size).unwrap_or(usize::MAX));
        let records = records.slice(0, kept);
        let next_cursor = if has_next {
            Some(self.cursor_after(&plan, &records)?)
        } else {
            None
        };
        let total = self.total(ctx, &request).await?;
        ctx.count_records(kept);
        Ok(RecordPage {
            records: project(&records, &plan, request.select.as_deref())?,
            schema: request.schema,
            total,
            page: plan.page,
            has_next,
            has_previous: plan.has_previous,
            next_cursor,
        })
    }

    fn check_size(&self, request: &ListRecords) -> Result<(), Error> {
        let most = self.limits.page_size_max;
        if request.size == 0 || request.size > most {
            return Err(parameter("size", format!("size is 1 to {most}")).into());
        }
        Ok(())
    }

    async fn plan(&self, ctx: &Context, request: &ListRecords) -> Result<Plan, Error> {
        let mut query = RecordQuery {
            filter: request.filter.clone(),
            sort: request.sort.clone(),
            ordered: true,
            // One more than the page holds tells whether another follows.
            limit: Some(request.size + 1),
            select: select_with_sort(request),
            bytes_max: Some(self.limits.page_bytes_max),
            ..RecordQuery::all(Arc::clone(&request.schema))
        };
        match &request.start {
            StartAt::Page(page) => {
                let offset = page
                    .checked_sub(1)
                    .and_then(|n| n.checked_mul(request.size));
                let most = self.limits.page_offset_max;
                let offset = offset.filter(|offset| *offset <= most).ok_or_else(|| {
                    let message = format!("page starts at 1 and skips at most {most} records; use the cursor to go deeper");
                    parameter("page", message)
                })?;
                query.offset = offset;
                Ok(Plan {
                    query,
                    page: Some(*page),
                    has_previous: offset > 0,
                })
            }
            StartAt::Cursor(text) => {
                let cursor = Cursor::open(text, &query, &self.cursor_key)?;
                query.after = Some(self.position(ctx, cursor, &query).await?);
                Ok(Plan {
                    query,
                    page: None,
                    has_previous: true,
                })
            }
        }
    }

    /// Where a cursor points. What it could not hold is asked of its record.
    async fn position(
        &self,
        ctx: &Context,
        mut cursor: Cursor,
        query: &RecordQuery,
    ) -> Result<Position, Error> {
        if !cursor.is_cut() {
            return Ok(cursor.position);
        }
        let ids = [cursor.position.id];
        let found = self.reader.get(&query.schema, &ids);
        let found = ctx.time_async(Stage::Engine, found).await?;
        if found.num_rows() > 0 {
            let all: Vec<usize> = (0..query.schema.schema().properties.len()).collect();
            cursor.complete(&sort_values(query, &all, (&found, 0)));
        }
        Ok(cursor.position)
    }

    async fn page(&self, ctx: &Context, query: RecordQuery) -> Result<RecordBatch, Error> {
        let layout = batch_layout(&query)?;
        let read = async {
            let batches: Vec<_> = self.reader.scan(query).await?.try_collect().await?;
            match batches.as_slice() {
                [only] => Ok(only.clone()),
                many => arrow_select::concat::concat_batches(&layout, many)
                    .map_err(staffa_domain::StorageError::internal),
            }
        };
        ctx.time_async(Stage::Engine, read)
            .await
            .map_err(Error::from)
    }

    fn cursor_after(&self, plan: &Plan, records: &RecordBatch) -> Result<String, Error> {
        let query = &plan.query;
        let row = records.num_rows().saturating_sub(1);
        let id = record_id(records, row).ok_or(Error::CursorMismatch)?;
        let values = sort_values(query, &query.selected(), (records, row));
        Ok(Cursor::seal(
            &Position { values, id },
            query,
            &self.cursor_key,
        ))
    }

    async fn total(&self, ctx: &Context, request: &ListRecords) -> Result<Option<Count>, Error> {
        let exact = match request.count {
            CountMode::None => return Ok(None),
            CountMode::Exact => true,
            CountMode::Estimated => false,
        };
        self.count_records(ctx, &request.schema, request.filter.as_ref(), exact)
            .await
            .map(Some)
    }
}

struct Plan {
    query: RecordQuery,
    page: Option<u64>,
    has_previous: bool,
}

fn parameter(name: &str, message: String) -> QuestionProblem {
    QuestionProblem {
        code: QuestionCode::InvalidParameter,
        pointer: format!("/{name}"),
        message,
    }
}

/// The properties to read: those asked for, and those the cursor is made of.
fn select_with_sort(request: &ListRecords) -> Option<Vec<usize>> {
    let mut positions = request.select.clone()?;
    for key in &request.sort {
        if let Field::Property(position) = key.field {
            positions.push(position);
        }
    }
    positions.sort_unstable();
    positions.dedup();
    Some(positions)
}

fn batch_layout(query: &RecordQuery) -> Result<arrow_schema::SchemaRef, Error> {
    let columns: Vec<usize> = (0..system::COUNT)
        .chain(
            query
                .selected()
                .into_iter()
                .map(|position| system::COUNT + position),
        )
        .collect();
    let layout = query.schema.record_layout().project(&columns);
    layout
        .map(Arc::new)
        .map_err(|e| Error::Storage(staffa_domain::StorageError::internal(e)))
}

/// Leaves out what was read for the cursor alone.
fn project(
    records: &RecordBatch,
    plan: &Plan,
    select: Option<&[usize]>,
) -> Result<RecordBatch, Error> {
    let Some(select) = select else {
        return Ok(records.clone());
    };
    let read = plan.query.selected();
    let wanted: Vec<usize> = (0..system::COUNT)
        .chain(
            read.iter()
                .enumerate()
                .filter(|(_, position)| select.contains(position))
                .map(|(index, _)| system::COUNT + index),
        )
        .collect();
    records
        .project(&wanted)
        .map_err(|e| Error::Storage(staffa_domain::StorageError::internal(e)))
}

/// What a record has of the values by which a query sorts, in a batch that holds the selected
/// properties.
fn sort_values(
    query: &RecordQuery,
    selected: &[usize],
    (records, row): (&RecordBatch, usize),
) -> Vec<Value> {
    let keys = query.sort.iter();
    keys.map(|key| value_of(&query.schema, selected, key.field, records, row))
        .collect()
}

/// The value of a field in a batch that holds the selected properties.
fn value_of(
    schema: &SchemaSnapshot,
    selected: &[usize],
    field: Field,
    records: &RecordBatch,
    row: usize,
) -> Value {
    let column = match field {
        Field::Property(position) => selected
            .iter()
            .position(|p| *p == position)
            .map(|index| system::COUNT + index),
        _ => Some(field.index()),
    };
    column
        .and_then(|column| value_at(field.property_type(schema), records.column(column), row))
        .unwrap_or(Value::Null)
}
