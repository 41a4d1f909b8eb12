//! The records that are measured with: `well_production` rows, the same for the same number.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::Path;

use staffa_duckdb::reference::RawValue;

/// How many months each well has produced for.
const MONTHS: u64 = 120;

/// The properties in their order, with their abstract types.
pub(crate) const PROPERTIES: [(&str, &str); 14] = [
    ("field_code", "integer"),
    ("_field_name", "string"),
    ("well_code", "integer"),
    ("_well_reference", "string"),
    ("well_name", "string"),
    ("production_period", "datetime"),
    ("days_on_production", "integer"),
    ("oil_production_kbd", "number"),
    ("gas_production_mmcfd", "number"),
    ("liquids_production_kbd", "number"),
    ("water_production_kbd", "number"),
    ("data_source", "string"),
    ("source_data", "object"),
    ("partition_0", "string"),
];

/// The properties that get an index first, in this order.
pub(crate) const INDEXED: [&str; 3] = ["well_code", "production_period", "field_code"];

/// What a schema of the benchmark declares.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Declared {
    /// No id index.
    pub(crate) append_only: bool,
    /// How many of [`INDEXED`] are.
    pub(crate) indexes: usize,
    /// Field, well and period together are unique.
    pub(crate) natural_key: bool,
    /// Whether other columns are passed over.
    pub(crate) ignores_unknown: bool,
}

/// Records with an id index and nothing else.
pub(crate) const PLAIN: &str = "well_production";
/// Append-only records.
pub(crate) const APPEND: &str = "well_production_append";
/// Records that play no part but to be written beside the others.
pub(crate) const OTHER: &str = "well_production_other";
/// Records with one declared index.
pub(crate) const INDEXED_1: &str = "well_production_indexed_1";
/// Records with three declared indexes.
pub(crate) const INDEXED_3: &str = "well_production_indexed_3";
/// Records with a natural key.
pub(crate) const KEYED: &str = "well_production_keyed";
/// Records that take what a stream wrote, system columns and all.
pub(crate) const COPIED: &str = "well_production_copied";
/// The same, append-only.
pub(crate) const COPIED_APPEND: &str = "well_production_copied_append";

/// Every schema of the benchmark.
pub(crate) const SCHEMAS: [(&str, Declared); 8] = {
    const NOTHING: Declared = Declared {
        append_only: false,
        indexes: 0,
        natural_key: false,
        ignores_unknown: false,
    };
    [
        (PLAIN, NOTHING),
        (
            APPEND,
            Declared {
                append_only: true,
                ..NOTHING
            },
        ),
        (OTHER, NOTHING),
        (
            INDEXED_1,
            Declared {
                indexes: 1,
                ..NOTHING
            },
        ),
        (
            INDEXED_3,
            Declared {
                indexes: 3,
                ..NOTHING
            },
        ),
        (
            KEYED,
            Declared {
                natural_key: true,
                ..NOTHING
            },
        ),
        (
            COPIED,
            Declared {
                ignores_unknown: true,
                ..NOTHING
            },
        ),
        (
            COPIED_APPEND,
            Declared {
                append_only: true,
                ignores_unknown: true,
                ..NOTHING
            },
        ),
    ]
};

/// The schema document.
pub(crate) fn document(name: &str, declared: Declared) -> String {
    let mut text = format!("name: {name}\ndescription: Monthly production by well\n");
    if declared.natural_key {
        text.push_str("primary_key: [field_code, well_code, production_period]\n");
    }
    if declared.append_only {
        text.push_str("append_only: true\n");
    }
    if declared.ignores_unknown {
        text.push_str("unknown_properties: ignore\n");
    }
    text.push_str("properties:\n");
    for (property, kind) in PROPERTIES {
        let required = matches!(property, "field_code" | "well_code" | "production_period");
        let required = if required { ", required: true" } else { "" };
        let indexed = INDEXED[..declared.indexes].contains(&property);
        let indexed = if indexed { ", indexed: true" } else { "" };
        text.push_str(&format!(
            "  - {{name: {property}, type: {kind}{required}{indexed}}}\n"
        ));
    }
    text
}

/// One row, by its number. Another `salt` gives the same key with other figures.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    index: u64,
    salt: u64,
}

impl Row {
    /// The row of this number.
    pub(crate) const fn new(index: u64) -> Self {
        Self { index, salt: 0 }
    }

    /// The same key with other figures.
    pub(crate) const fn salted(index: u64, salt: u64) -> Self {
        Self { index, salt }
    }

    const fn well(self) -> u64 {
        self.index / MONTHS
    }

    /// Rises with the number of the row.
    pub(crate) const fn field_code(self) -> u64 {
        1_000 + self.well() / 40
    }

    /// One for each well, in no order.
    pub(crate) const fn well_code(self) -> u64 {
        self.well() * 7_919 % 1_000_003
    }

    fn period(self) -> String {
        let month = self.index % MONTHS;
        format!(
            "{:04}-{:02}-01T00:00:00Z",
            2015 + month / 12,
            1 + month % 12
        )
    }

    /// A figure from 0 to `most`, without any order.
    fn amount(self, which: u64, most: f64) -> f64 {
        let bits = mix(self.index ^ mix(which ^ self.salt)) >> 11;
        super::figure::float(bits) / super::figure::float(1 << 53) * most
    }

    fn days(self) -> u64 {
        1 + mix(self.index ^ 0xd) % 31
    }

    fn texts(self) -> [String; 6] {
        let (field, well) = (self.well() / 40, self.well());
        [
            format!("North Alwyn Unit {field:05}"),
            format!("NCS/{field:05}/{well:07}-A1"),
            format!("{}/{}-A-{well:06} T2", 1 + field % 36, 1 + well % 12),
            "Petroleum directorate, monthly extract".to_owned(),
            format!("{{\"test\":\"data_{}\"}}", self.index),
            format!("region_{:02}", field % 40),
        ]
    }

    /// The same for all rows of a well, and no other's.
    pub(crate) fn reference(self) -> String {
        let [_, reference, ..] = self.texts();
        reference
    }

    /// Appends the row as a JSON object.
    pub(crate) fn write_json(self, out: &mut Vec<u8>) {
        let [field_name, reference, well_name, source, object, partition] = self.texts();
        let result = write!(
            out,
            "{{\"field_code\":{},\"_field_name\":\"{field_name}\",\"well_code\":{},\
             \"_well_reference\":\"{reference}\",\"well_name\":\"{well_name}\",\
             \"production_period\":\"{}\",\"days_on_production\":{},\
             \"oil_production_kbd\":{},\"gas_production_mmcfd\":{},\
             \"liquids_production_kbd\":{},\"water_production_kbd\":{},\
             \"data_source\":\"{source}\",\"source_data\":{object},\
             \"partition_0\":\"{partition}\"}}",
            self.field_code(),
            self.well_code(),
            self.period(),
            self.days(),
            self.amount(1, 40.0),
            self.amount(2, 90.0),
            self.amount(3, 9.0),
            self.amount(4, 60.0),
        );
        debug_assert!(result.is_ok(), "writing to memory");
    }

    /// Appends the row as a line of CSV.
    pub(crate) fn write_csv(self, out: &mut Vec<u8>) {
        let [field_name, reference, well_name, source, object, partition] = self.texts();
        let object = object.replace('"', "\"\"");
        let result = writeln!(
            out,
            "{},{field_name},{},{reference},{well_name},{},{},{},{},{},{},\"{source}\",\
             \"{object}\",{partition}",
            self.field_code(),
            self.well_code(),
            self.period(),
            self.days(),
            self.amount(1, 40.0),
            self.amount(2, 90.0),
            self.amount(3, 9.0),
            self.amount(4, 60.0),
        );
        debug_assert!(result.is_ok(), "writing to memory");
    }

    /// The values in the order of the properties.
    pub(crate) fn values(self) -> Vec<RawValue> {
        let [field_name, reference, well_name, source, object, partition] = self.texts();
        let integer = |value: u64| RawValue::Integer(i64::try_from(value).unwrap_or(i64::MAX));
        vec![
            integer(self.field_code()),
            RawValue::Text(field_name),
            integer(self.well_code()),
            RawValue::Text(reference),
            RawValue::Text(well_name),
            RawValue::Text(self.period().trim_end_matches('Z').to_owned()),
            integer(self.days()),
            RawValue::Number(self.amount(1, 40.0)),
            RawValue::Number(self.amount(2, 90.0)),
            RawValue::Number(self.amount(3, 9.0)),
            RawValue::Number(self.amount(4, 60.0)),
            RawValue::Text(source),
            RawValue::Text(object),
            RawValue::Text(partition),
        ]
    }
}

/// A well-mixed number (splitmix64), for choices that must look random and be the same again.
pub(crate) const fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Writes rows as NDJSON.
pub(crate) fn write_ndjson(path: &Path, rows: impl Iterator<Item = Row>) -> io::Result<()> {
    write_lines(path, rows, |row, line| {
        row.write_json(line);
        line.push(b'\n');
    })
}

/// Writes rows as CSV with a header.
pub(crate) fn write_csv(path: &Path, rows: impl Iterator<Item = Row>) -> io::Result<()> {
    let mut header = PROPERTIES.map(|(name, _)| name).join(",").into_bytes();
    header.push(b'\n');
    write_lines(path, rows, |row, line| {
        line.append(&mut header);
        row.write_csv(line);
    })
}

fn write_lines(
    path: &Path,
    rows: impl Iterator<Item = Row>,
    mut write: impl FnMut(Row, &mut Vec<u8>),
) -> io::Result<()> {
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    let mut line = Vec::with_capacity(1024);
    for row in rows {
        line.clear();
        write(row, &mut line);
        file.write_all(&line)?;
    }
    file.flush()
}

#[cfg(test)]
mod tests;
