//! Records as CSV: a header, then a line a record, by RFC 4180 but with bare line feeds.

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use super::column::{Column, is_json, push_csv_text};
use super::{BatchEncoder, EncodeError, OutputFormat};

/// Writes records as CSV. Null is the empty field, the empty text is `""`.
#[derive(Debug)]
pub(super) struct CsvEncoder {
    layout: SchemaRef,
}

impl CsvEncoder {
    pub(super) fn new(layout: SchemaRef) -> Self {
        Self { layout }
    }
}

impl BatchEncoder for CsvEncoder {
    fn content_type(&self) -> &'static str {
        OutputFormat::Csv.content_type()
    }

    fn start(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        for (index, field) in self.layout.fields().iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            push_csv_text(out, field.name());
        }
        out.push(b'\n');
        Ok(())
    }

    fn encode(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        if batch.num_columns() != self.layout.fields().len() {
            let message = format!("{} arrays", batch.num_columns());
            return Err(EncodeError::Layout(message));
        }
        let columns = batch
            .columns()
            .iter()
            .zip(self.layout.fields())
            .map(|(array, field)| Column::new(array, is_json(field)))
            .collect::<Result<Vec<_>, _>>()?;
        for row in 0..batch.num_rows() {
            for (index, column) in columns.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                column.push_csv(row, out);
            }
            out.push(b'\n');
        }
        Ok(())
    }

    fn finish(&mut self, _out: &mut Vec<u8>) -> Result<(), EncodeError> {
        Ok(())
    }
}
