//! Sums all records of a schema up, so that two storages can be compared.

use std::fmt;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{ArrayRef, RecordBatch, StringArray};
use futures_util::TryStreamExt;
use serde_json::{Number, Value as Json};
use staffa_codec::encode::{JsonRecordEncoder, Shape};
use staffa_domain::record::system;
use staffa_domain::{PropertyType, RecordQuery, SchemaSnapshot, StorageError};

use crate::context::{Context, Stage};
use crate::error::Error;
use crate::queries::Queries;

/// What a set of records comes to, whatever their order and whichever engine keeps them:
/// how many there are, and the sum of the hashes of their canonical JSON, system fields
/// included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Checksum {
    /// How many records there are.
    pub records: u64,
    sum: [u64; 4],
}

impl Checksum {
    /// Adds one record.
    fn add(&mut self, canonical: &[u8]) {
        self.records += 1;
        let hash = blake3::hash(canonical);
        for (sum, bytes) in self.sum.iter_mut().zip(hash.as_bytes().chunks_exact(8)) {
            let part = bytes
                .iter()
                .fold(0, |part, byte| (part << 8) | u64::from(*byte));
            *sum = sum.wrapping_add(part);
        }
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.sum
            .iter()
            .try_for_each(|part| write!(f, "{part:016x}"))
    }
}

impl Queries {
    /// The checksum of all records of a schema, from one snapshot. Calls `progress` with the
    /// number of records that it went on by.
    pub async fn checksum_records(
        &self,
        ctx: &Context,
        schema: &str,
        progress: &(dyn Fn(usize) + Sync),
    ) -> Result<Checksum, Error> {
        let schema = self.catalog.get(schema)?;
        let mut encoder = JsonRecordEncoder::new(&schema, None, Shape::Record);
        let query = RecordQuery::all(Arc::clone(&schema));
        let scan = self.reader.scan(query);
        let mut batches = ctx.time_async(Stage::Engine, scan).await?;
        let mut checksum = Checksum::default();
        let mut lines = Vec::new();
        while let Some(batch) = batches.try_next().await? {
            let batch = with_canonical_objects(&schema, &batch)?;
            lines.clear();
            ctx.time(Stage::Encode, || encoder.encode_lines(&batch, &mut lines))
                .map_err(StorageError::internal)?;
            // A line feed within a text is escaped, so each one here ends a record.
            for line in lines.split_inclusive(|byte| *byte == b'\n') {
                checksum.add(line);
            }
            progress(batch.num_rows());
            tokio::task::coop::consume_budget().await;
        }
        Ok(checksum)
    }
}

/// Engines keep the meaning of an object and not its text, so that its members may come in
/// another order, and a number in another form.
fn with_canonical_objects(
    schema: &SchemaSnapshot,
    batch: &RecordBatch,
) -> Result<RecordBatch, StorageError> {
    let mut columns: Vec<ArrayRef> = batch.columns().to_vec();
    let properties = schema.schema().properties.iter();
    for (property, column) in properties.zip(&mut columns[system::COUNT..]) {
        if property.property_type == PropertyType::Object {
            let texts = column.as_string::<i32>().iter();
            let texts: StringArray = texts.map(|text| text.map(canonical)).collect();
            *column = Arc::new(texts);
        }
    }
    RecordBatch::try_new(batch.schema(), columns).map_err(StorageError::internal)
}

fn canonical(text: &str) -> String {
    // What can't be read is compared as it stands.
    let Ok(mut json) = serde_json::from_str::<Json>(text) else {
        return text.to_owned();
    };
    json.sort_all_objects();
    shorten_numbers(&mut json);
    json.to_string()
}

/// Writes a number without a fraction as an integer: `1e3` and `1000` are one number.
fn shorten_numbers(json: &mut Json) {
    match json {
        Json::Number(number) => {
            if let Some(whole) = whole(number) {
                *number = whole;
            }
        }
        Json::Array(items) => items.iter_mut().for_each(shorten_numbers),
        Json::Object(members) => members.values_mut().for_each(shorten_numbers),
        _ => {}
    }
}

fn whole(number: &Number) -> Option<Number> {
    let value = number.as_f64().filter(|_| number.is_f64())?;
    // Without a fraction, this writes all digits and no exponent.
    let digits = if value.fract() == 0.0 {
        format!("{value:.0}")
    } else {
        return None;
    };
    let digits = if digits == "-0" { "0" } else { digits.as_str() };
    let signed = digits.parse::<i64>().map(Number::from);
    signed
        .or_else(|_| digits.parse::<u64>().map(Number::from))
        .ok()
}

#[cfg(test)]
mod tests {
    use super::{Checksum, canonical};

    #[test]
    fn objects_of_one_meaning_are_alike() {
        let (one, other) = (
            r#"{"b":[1e3,-0.0,{"z":null,"y":1.50}],"a":"é"}"#,
            r#"{ "a": "\u00e9", "b": [1000, 0, {"y": 1.5, "z": null}] }"#,
        );
        assert_eq!(canonical(one), canonical(other));
        assert_eq!(canonical("{\"n\":1e19}"), "{\"n\":10000000000000000000}");
        assert_ne!(
            canonical("{\"n\":9007199254740993}"),
            canonical("{\"n\":9007199254740992}")
        );
        assert_ne!(canonical("{\"n\":[1,2]}"), canonical("{\"n\":[2,1]}"));
    }

    #[test]
    fn order_does_not_matter_and_number_does() {
        let sum = |records: &[&str]| {
            let mut checksum = Checksum::default();
            for record in records {
                checksum.add(record.as_bytes());
            }
            checksum
        };
        assert_eq!(sum(&["a", "b", "c"]), sum(&["c", "a", "b"]));
        assert_ne!(sum(&["a"]), sum(&["b"]));
        assert_ne!(sum(&["a"]), sum(&["a", "a"]));
        assert_eq!(sum(&["a"]).to_string().len(), 64);
    }
}
