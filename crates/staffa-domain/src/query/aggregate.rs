//! What an aggregation asks for: groups, metrics, and what to do with the groups.

use std::sync::Arc;

use crate::query::{Comparison, Field, Filter};
use crate::schema::SchemaSnapshot;
use crate::value::Value;

/// A question for figures over groups of records.
///
/// The answer is record batches with one array a group, then one a metric, in order.
#[derive(Debug, Clone)]
pub struct Aggregate {
    /// The schema whose records are counted.
    pub schema: Arc<SchemaSnapshot>,
    /// Which records; all when absent.
    pub filter: Option<Filter>,
    /// By what to group; empty: one group of all.
    pub group_by: Vec<Group>,
    /// What to compute of each group.
    pub metrics: Vec<Metric>,
    /// Which groups to keep: all conditions must hold.
    pub having: Vec<Having>,
    /// The order of the groups; ties by the groups' own values, ascending, nulls last.
    pub sort: Vec<OutputSort>,
    /// At most this many groups.
    pub limit: u64,
}

/// One way to group.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// The name of the output.
    pub name: String,
    /// By which field.
    pub field: Field,
    /// By its value, or by a range of values.
    pub bucket: Bucket,
}

/// How values fall into groups.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bucket {
    /// Each value by itself.
    Value,
    /// By the start of the period that holds the date or datetime, in UTC.
    Date(DateUnit),
    /// By `floor(value / width) * width`, for integers and numbers.
    Width(f64),
}

/// A calendar period. Weeks start on Monday (ISO 8601).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DateUnit {
    /// A year.
    Year,
    /// Three months.
    Quarter,
    /// A month.
    Month,
    /// A week.
    Week,
    /// A day.
    Day,
    /// An hour.
    Hour,
    /// A minute.
    Minute,
}

/// One figure.
#[derive(Debug, Clone, PartialEq)]
pub struct Metric {
    /// The name of the output.
    pub name: String,
    /// What to compute.
    pub kind: MetricKind,
    /// Of which field; absent only for [`MetricKind::Count`], which then counts records.
    pub field: Option<Field>,
}

/// What to compute; nulls are left out of all.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum MetricKind {
    /// How many records or values.
    Count,
    /// How many different values.
    CountDistinct,
    /// The sum.
    Sum,
    /// The arithmetic mean.
    Avg,
    /// The smallest value.
    Min,
    /// The largest value.
    Max,
    /// The sample standard deviation.
    Stddev,
    /// The middle value, interpolated.
    Median,
    /// The value below which this share lies (0 to 1), interpolated.
    Percentile(f64),
}

/// A condition on an output.
#[derive(Debug, Clone, PartialEq)]
pub struct Having {
    /// The index of the metric.
    pub metric: usize,
    /// How it compares.
    pub comparison: Comparison,
    /// With what.
    pub value: Value,
}

/// An order over outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutputSort {
    /// The index of the output: groups first, then metrics.
    pub output: usize,
    /// From the largest down. Nulls are last either way.
    pub descending: bool,
}
