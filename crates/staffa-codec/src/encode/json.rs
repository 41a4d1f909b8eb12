//! Records as JSON: NDJSON lines, elements of a list, or one by one.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::RecordBatch;

use staffa_domain::record::system;
use staffa_domain::schema::{PropertyType, SchemaSnapshot};

use super::column::Column;
use super::{BatchEncoder, EncodeError, OutputFormat, Shape};
use crate::text::format::push_json_string;

/// What most fragments take, so that their buffer does not grow step by step.
const FRAGMENT_BYTES: usize = 32;

/// Writes records of one schema as compact JSON.
///
/// The parts that are alike in every record are made once; a record costs no allocation.
#[derive(Debug)]
pub struct JsonRecordEncoder {
    shape: Shape,
    /// What is alike in every record, in one piece: an encoder is made anew for a single record.
    fragments: Vec<u8>,
    /// From after the id to the first property.
    data_start: Range<usize>,
    /// The properties that batches hold, in order.
    properties: Vec<Key>,
}

#[derive(Debug)]
struct Key {
    /// `"name":`, with a comma before it but for the first.
    fragment: Range<usize>,
    is_object: bool,
}

impl JsonRecordEncoder {
    /// An encoder for batches with the selected properties, by ascending position; all when
    /// absent.
    pub fn new(schema: &Arc<SchemaSnapshot>, select: Option<&[usize]>, shape: Shape) -> Self {
        let declared = &schema.schema().properties;
        let all: Vec<usize>;
        let positions = if let Some(positions) = select {
            positions
        } else {
            all = (0..declared.len()).collect();
            &all
        };
        let mut fragments = Vec::with_capacity((positions.len() + 2) * FRAGMENT_BYTES);
        fragments.extend_from_slice(b",\"schema_name\":");
        push_json_string(&mut fragments, schema.name());
        fragments.extend_from_slice(b",\"data\":{");
        let data_start = 0..fragments.len();
        let mut properties = Vec::with_capacity(positions.len());
        for (index, position) in positions.iter().enumerate() {
            let property = &declared[*position];
            let start = fragments.len();
            if index > 0 {
                fragments.push(b',');
            }
            push_json_string(&mut fragments, property.name.as_str());
            fragments.push(b':');
            properties.push(Key {
                fragment: start..fragments.len(),
                is_object: property.property_type == PropertyType::Object,
            });
        }
        Self {
            shape,
            fragments,
            data_start,
            properties,
        }
    }

    /// Appends one record. For many of a batch, the other methods cost less.
    pub fn encode_row(
        &mut self,
        batch: &RecordBatch,
        row: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        let columns = self.columns(batch)?;
        self.push_record(&columns, row, out);
        Ok(())
    }

    /// Appends every record of a batch, each followed by a line feed.
    pub fn encode_lines(
        &mut self,
        batch: &RecordBatch,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        let columns = self.columns(batch)?;
        for row in 0..batch.num_rows() {
            self.push_record(&columns, row, out);
            out.push(b'\n');
        }
        Ok(())
    }

    /// Appends every record of a batch as elements of a JSON list whose brackets the caller
    /// writes. `first` says that no element was written yet, and is cleared by the first.
    pub fn encode_list(
        &mut self,
        batch: &RecordBatch,
        out: &mut Vec<u8>,
        first: &mut bool,
    ) -> Result<(), EncodeError> {
        let columns = self.columns(batch)?;
        for row in 0..batch.num_rows() {
            if !*first {
                out.push(b',');
            }
            *first = false;
            self.push_record(&columns, row, out);
        }
        Ok(())
    }

    fn columns<'a>(&self, batch: &'a RecordBatch) -> Result<Vec<Column<'a>>, EncodeError> {
        let expected = system::COUNT + self.properties.len();
        if batch.num_columns() != expected {
            let message = format!("{} arrays instead of {expected}", batch.num_columns());
            return Err(EncodeError::Layout(message));
        }
        let objects = self.properties.iter().map(|key| key.is_object);
        let json = [false; system::COUNT].into_iter().chain(objects);
        let arrays = batch.columns().iter().zip(json);
        arrays
            .map(|(array, json)| Column::new(array, json))
            .collect()
    }

    #[inline]
    fn push_record(&self, columns: &[Column<'_>], row: usize, out: &mut Vec<u8>) {
        if self.shape == Shape::Data {
            out.push(b'{');
            self.push_data(columns, row, out);
            out.push(b'}');
            return;
        }
        out.extend_from_slice(b"{\"id\":");
        columns[system::ID].push_json(row, out);
        out.extend_from_slice(&self.fragments[self.data_start.clone()]);
        self.push_data(columns, row, out);
        out.extend_from_slice(b"},\"created_at\":");
        columns[system::CREATED_AT].push_json(row, out);
        out.extend_from_slice(b",\"updated_at\":");
        columns[system::UPDATED_AT].push_json(row, out);
        out.extend_from_slice(b",\"version\":");
        columns[system::VERSION].push_json(row, out);
        out.push(b'}');
    }

    #[inline]
    fn push_data(&self, columns: &[Column<'_>], row: usize, out: &mut Vec<u8>) {
        for (key, column) in self.properties.iter().zip(&columns[system::COUNT..]) {
            out.extend_from_slice(&self.fragments[key.fragment.clone()]);
            column.push_json(row, out);
        }
    }
}

impl BatchEncoder for JsonRecordEncoder {
    fn content_type(&self) -> &'static str {
        OutputFormat::NdJson.content_type()
    }

    fn start(&mut self, _out: &mut Vec<u8>) -> Result<(), EncodeError> {
        Ok(())
    }

    fn encode(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.encode_lines(batch, out)
    }

    fn finish(&mut self, _out: &mut Vec<u8>) -> Result<(), EncodeError> {
        Ok(())
    }
}
