//! Which column of an Arrow source is which property.

use std::sync::Arc;

use arrow_array::{Array, RecordBatch, new_null_array};
use arrow_schema::Schema as ArrowSchema;

use staffa_domain::batch::{Given, Origin};
use staffa_domain::schema::{SchemaSnapshot, UnknownProperties};
use staffa_domain::{DecodedBatch, RecordError};

use super::convert::{Bounds, Converted, Flaw, convert, repeat};
use super::expand::expansion;
use crate::decode::rows::unknown_message;
use crate::decode::walk::escape_pointer;
use crate::decode::width::default_bytes;
use crate::decode::{DecodeError, DecodeErrorCode, DecodeOptions};

/// How much more than its input a batch may take whose source says much in few bytes.
const EXPANDED_PER_INPUT: usize = 4;

/// The most bytes that the values of a batch come to which its source says in few.
pub(super) const fn expanded_max(options: &DecodeOptions) -> usize {
    options.batch_bytes.saturating_mul(EXPANDED_PER_INPUT)
}

/// Maps record batches of one Arrow schema to one of ours.
#[derive(Debug)]
pub(super) struct Mapping {
    schema: Arc<SchemaSnapshot>,
    options: DecodeOptions,
    /// The source column of each property.
    sources: Vec<Option<usize>>,
    code: DecodeErrorCode,
    /// The most records that are mapped at once, so that the defaults of what the source does
    /// not have stay within bounds.
    rows_max: usize,
    first: u64,
}

impl Mapping {
    /// Matches names; `code` is what a column that cannot be read is an error of.
    pub(super) fn new(
        schema: Arc<SchemaSnapshot>,
        options: DecodeOptions,
        source: &ArrowSchema,
        code: DecodeErrorCode,
    ) -> Result<Self, DecodeError> {
        let mut sources = vec![None; schema.schema().properties.len()];
        for (index, field) in source.fields().iter().enumerate() {
            let name = field.name();
            let pointer = || format!("/{}", escape_pointer(name));
            match schema.position(name) {
                Some(position) if sources[position].is_some() => {
                    let message = format!("the column {name} comes twice");
                    return Err(DecodeError::new(code, message).at(pointer()));
                }
                Some(position) => sources[position] = Some(index),
                None if schema.schema().unknown_properties == UnknownProperties::Ignore => {}
                None => {
                    let message = unknown_message(&schema, name);
                    let error = DecodeError::new(DecodeErrorCode::UnknownProperty, message);
                    return Err(error.at(pointer()));
                }
            }
        }
        let properties = schema.schema().properties.iter().zip(&sources);
        let repeated = properties.filter(|(_, source)| source.is_none() && !options.parts);
        let repeated = repeated.map(|(property, _)| default_bytes(property));
        let rows_max = options.batch_bytes / repeated.sum::<usize>().max(1);
        Ok(Self {
            rows_max: rows_max.min(options.batch_rows).max(1),
            schema,
            options,
            sources,
            code,
            first: 0,
        })
    }

    /// How many records from the first, one at the least, [`Mapping::map_piece`] is to be given:
    /// few enough that what they come to stays within bounds.
    pub(super) fn rows_at_once(&self, source: &RecordBatch) -> usize {
        let bytes_max = expanded_max(&self.options);
        let mut rows = source.num_rows().min(self.rows_max);
        while rows > 1 {
            let piece = source.slice(0, rows);
            let columns = self.sources.iter().flatten();
            let bytes = columns.map(|at| expansion(piece.column(*at)).unwrap_or(0));
            if bytes.fold(0, usize::saturating_add) <= bytes_max {
                break;
            }
            rows /= 2;
        }
        rows
    }

    /// What has a column is given by every record.
    fn given(&self) -> Vec<Given> {
        let sources = self.sources.iter();
        sources
            .map(|source| source.map_or(Given::None, |_| Given::All))
            .collect()
    }

    /// Maps a batch of at most as many records as are to be mapped at once.
    pub(super) fn map_piece(&mut self, source: &RecordBatch) -> Result<DecodedBatch, DecodeError> {
        let len = source.num_rows();
        let mut errors = Vec::new();
        let mut properties = Vec::with_capacity(self.sources.len());
        let layout = self.schema.property_layout().fields();
        let mut bounds = Bounds {
            depth_max: self.options.depth_max,
            bytes_max: self.options.held_bytes_max,
        };
        let declared = self.schema.schema().properties.iter();
        for ((property, field), index) in declared.zip(layout).zip(&self.sources) {
            let Some(index) = index else {
                properties.push(if self.options.parts {
                    new_null_array(field.data_type(), len)
                } else {
                    repeat(property, field.data_type(), len)
                });
                continue;
            };
            let column = source.column(*index);
            let kind = &property.property_type;
            let expanded = expansion(column).unwrap_or(0);
            let Converted { array, flaws } = convert(column, kind, field.data_type(), bounds)
                .map_err(|why| {
                    let message = format!("the column {} {why}", property.name);
                    DecodeError::new(self.code, message).at(format!("/{}", property.name))
                })?;
            debug_assert_eq!(array.len(), len, "a conversion keeps every value");
            bounds.bytes_max = bounds.bytes_max.saturating_sub(expanded);
            properties.push(array);
            let first = self.first;
            errors.extend(
                flaws
                    .into_iter()
                    .map(|flaw| error(first, property.name.as_str(), flaw)),
            );
        }
        errors.sort_by_key(|error| error.index);
        let origin = Origin {
            first: self.first,
            lines: None,
        };
        self.first += len as u64;
        Ok(DecodedBatch {
            schema: Arc::clone(&self.schema),
            properties,
            len,
            given: self.options.parts.then(|| self.given()),
            origin,
            errors,
        })
    }
}

fn error(first: u64, name: &str, flaw: Flaw) -> RecordError {
    RecordError {
        index: first + flaw.row as u64,
        line: None,
        pointer: format!("/{name}{}", flaw.pointer),
        code: flaw.code,
        message: flaw.message,
        value: flaw.value,
    }
}
