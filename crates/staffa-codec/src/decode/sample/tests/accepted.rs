//! Whatever the sample, the schema proposed for it takes every row of it that can be read.

use proptest::collection::vec;
use proptest::prelude::{BoxedStrategy, Just, Strategy, any, prop_oneof, proptest};
use proptest::test_runner::TestCaseError;
use proptest::{prop_assert, prop_assert_eq};

use super::{InputFormat, Proposal, infer, refusals};

/// The kinds of values that a property has in a random sample.
const KINDS: u8 = 10;

/// A value of one kind as JSON.
fn json(kind: u8) -> BoxedStrategy<String> {
    match kind {
        0 => any::<i64>().prop_map(|n| n.to_string()).boxed(),
        1 => any::<i8>().prop_map(|n| n.to_string()).boxed(),
        2 => "-?(0|[1-9][0-9]{0,19})(\\.[0-9]{1,19})?(e-?[0-9]{1,2})?".boxed(),
        3 => any::<bool>().prop_map(|b| b.to_string()).boxed(),
        4 => "\"20[0-2][0-9]-0[1-9]-[0-3][0-9]\"".boxed(),
        5 => "\"20[0-2][0-9]-0[1-9]-[0-2][0-9][T ][0-2][0-9]:00:00(\\.[0-9]{1,9})?(Z|[+-]0[0-9]:00)?\"".boxed(),
        6 => "\"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}\"".boxed(),
        7 => any::<String>()
            .prop_map(|text| serde_json::to_string(&text).unwrap())
            .boxed(),
        8 => "\\{\"[a-c]\": (1|null|\\[1, \\{\\}\\]|\"x\\\\n\")\\}".boxed(),
        _ => "\"-?[0-9]{1,20}(\\.[0-9]{1,3})?\"".boxed(),
    }
}

/// A value of one kind, an array of some, or null.
fn value(kind: u8) -> BoxedStrategy<String> {
    if kind < KINDS {
        return prop_oneof![6 => json(kind), 1 => Just("null".to_owned())].boxed();
    }
    vec(json(kind - KINDS), 0..3)
        .prop_map(|items| format!("[{}]", items.join(", ")))
        .boxed()
}

/// Rows of values: those of a property are mostly of one kind.
fn rows() -> impl Strategy<Value = Vec<Vec<String>>> {
    let kinds = vec((0..2 * KINDS, 0..2 * KINDS, any::<bool>()), 1..4);
    kinds.prop_flat_map(|kinds| {
        let of_row: Vec<_> = kinds
            .into_iter()
            .map(|(kind, other, is_mixed)| match is_mixed {
                true => prop_oneof![5 => value(kind), 1 => value(other)].boxed(),
                false => value(kind),
            })
            .collect();
        vec(of_row, 1..12)
    })
}

fn check(format: InputFormat, body: &str) -> Result<Proposal, TestCaseError> {
    let proposal = infer(format, body);
    prop_assert!(staffa_domain::schema::check(&proposal.schema).is_empty());
    if proposal.obstacles().next().is_none() {
        let refused = refusals(format, body.as_bytes(), &proposal);
        let mut indices: Vec<u64> = refused.iter().map(|error| error.index).collect();
        indices.sort_unstable();
        indices.dedup();
        prop_assert_eq!(
            indices.len() as u64,
            proposal.unreadable,
            "{:#?}\n{:#?}",
            refused,
            proposal
        );
    }
    Ok(proposal)
}

fn objects(rows: &[Vec<String>]) -> Vec<String> {
    let names = ["a", "b", "c"];
    rows.iter()
        .map(|row| {
            let members = row.iter().zip(names).enumerate();
            // Some are absent instead of null.
            let members = members.filter(|(at, (value, _))| at % 2 == 0 || *value != "null");
            let members: Vec<_> = members
                .map(|(_, (v, name))| format!("\"{name}\": {v}"))
                .collect();
            format!("{{{}}}", members.join(", "))
        })
        .collect()
}

/// A value as a cell: a text without its quotes, or any other in quotes where it needs them.
fn cell(value: &str, is_quoted: bool) -> String {
    let text = match serde_json::from_str(value) {
        Ok(serde_json::Value::String(text)) => text,
        Ok(serde_json::Value::Null) => return if is_quoted { "NA" } else { "" }.to_owned(),
        _ => value.to_owned(),
    };
    let needs = text.is_empty() || text.contains([',', '"', '\n', '\r']);
    match is_quoted || needs {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text,
    }
}

proptest! {
    #[test]
    fn json_is_accepted(rows in rows()) {
        let objects = objects(&rows);
        let lines = check(InputFormat::NdJson, &objects.join("\n"))?;
        let array = check(InputFormat::Json, &format!("[{}]", objects.join(",")))?;
        prop_assert_eq!(lines.schema, array.schema);
    }

    #[test]
    fn csv_is_accepted(rows in rows(), quoted in any::<u64>()) {
        let names = ["a", "b", "c"];
        let mut body = names[..rows[0].len()].join(",");
        for (row, values) in rows.iter().enumerate() {
            body.push('\n');
            let cells = values.iter().enumerate();
            let cells: Vec<_> = cells
                .map(|(at, value)| cell(value, quoted >> (row * 3 + at) & 1 > 0))
                .collect();
            body.push_str(&cells.join(","));
        }
        check(InputFormat::Csv, &body)?;
    }

    #[test]
    fn no_body_is_fatal(body in vec(any::<u8>(), 0..200), format in 0..5_usize) {
        let formats = [
            InputFormat::Json,
            InputFormat::NdJson,
            InputFormat::Csv,
            InputFormat::ArrowStream,
            InputFormat::Parquet,
        ];
        let _ = super::try_infer(formats[format], &body, 11);
    }
}
