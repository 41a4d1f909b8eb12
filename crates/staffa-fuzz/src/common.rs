//! What several checks need: schemas, limits, ways to cut bytes, and what every refusal has.

use std::sync::{Arc, LazyLock};

use staffa_codec::decode::{DecodeError, DecodeOptions};
use staffa_codec::document::{DocumentForm, read_schema};
use staffa_codec::question::QuestionProblem;
use staffa_domain::{RecordError, SchemaSnapshot};

const THINGS: &str = "
name: things
properties:
  - {name: a, type: string}
  - {name: b, type: integer}
  - {name: c, type: number}
  - {name: d, type: decimal, precision: 10, scale: 2}
  - {name: e, type: boolean}
  - {name: f, type: date}
  - {name: g, type: datetime}
  - {name: h, type: uuid}
  - {name: i, type: object}
  - {name: j, type: array, items: integer}
  - {name: k, type: array, items: string}
  - {name: l, type: string, default: x}
";

static STRICT: LazyLock<Arc<SchemaSnapshot>> = LazyLock::new(|| schema(THINGS));
static LENIENT: LazyLock<Arc<SchemaSnapshot>> =
    LazyLock::new(|| schema(&format!("{THINGS}unknown_properties: ignore\n")));

fn schema(document: &str) -> Arc<SchemaSnapshot> {
    let schema = read_schema(document, DocumentForm::Yaml).expect("the schema is good");
    Arc::new(SchemaSnapshot::first(schema))
}

/// A schema with a property of every type, which refuses what it does not know.
pub(crate) fn things() -> Arc<SchemaSnapshot> {
    Arc::clone(&STRICT)
}

/// The same, which leaves out what it does not know.
pub(crate) fn lenient() -> Arc<SchemaSnapshot> {
    Arc::clone(&LENIENT)
}

/// Limits low enough for small inputs to reach them.
pub(crate) fn options() -> DecodeOptions {
    DecodeOptions {
        batch_rows: 3,
        batch_bytes: 200,
        record_bytes_max: 4 << 10,
        held_bytes_max: 1 << 20,
        depth_max: 16,
        ..DecodeOptions::default()
    }
}

/// Ways to cut bytes into chunks besides the whole: byte by byte, and in pieces whose lengths
/// depend on the bytes alone, so that a seed is always cut alike.
pub(crate) fn cuts(bytes: &[u8]) -> Vec<Vec<&[u8]>> {
    const SINGLES_MAX: usize = 2_048;
    let mut ways = Vec::new();
    if bytes.len() <= SINGLES_MAX {
        ways.push(bytes.chunks(1).collect());
    }
    let mut state = bytes.iter().fold(0xCBF2_9CE4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3)
    });
    let mut pieces = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        // An empty piece now and then: a stream may hold one.
        let len = usize::from(state.to_be_bytes()[0] % 33);
        let (piece, after) = rest.split_at(len.min(rest.len()));
        pieces.push(piece);
        rest = after;
    }
    ways.push(pieces);
    ways
}

/// A JSON pointer (RFC 6901) is empty, or starts with a slash and escapes what it must.
#[track_caller]
pub(crate) fn check_pointer(pointer: &str) {
    assert!(
        pointer.is_empty() || pointer.starts_with('/'),
        "no pointer: {pointer:?}"
    );
    let mut parts = pointer.split('~');
    parts.next();
    assert!(
        parts.all(|part| part.starts_with(['0', '1'])),
        "a pointer that does not escape: {pointer:?}"
    );
}

/// What a message of any refusal is: something, and no copy of a large input.
#[track_caller]
fn check_message(message: &str) {
    assert!(!message.is_empty(), "a refusal says nothing");
    assert!(
        message.len() < 4_096,
        "a refusal of {} bytes",
        message.len()
    );
}

#[track_caller]
pub(crate) fn check_decode_error(error: &DecodeError) {
    assert!(!error.code.as_str().is_empty(), "{error:?}");
    check_pointer(&error.pointer);
    check_message(&error.message);
}

#[track_caller]
pub(crate) fn check_record_error(error: &RecordError) {
    assert!(!error.code.as_str().is_empty(), "{error:?}");
    check_pointer(&error.pointer);
    check_message(&error.message);
    let shown = error
        .value
        .as_ref()
        .map_or(0, |value| value.chars().count());
    assert!(shown <= 201, "a refusal shows {shown} characters");
}

/// What is wrong with a question stands below where the question stands.
#[track_caller]
pub(crate) fn check_question_problem(problem: &QuestionProblem, base: &str) {
    assert!(!problem.code.as_str().is_empty(), "{problem:?}");
    check_pointer(&problem.pointer);
    assert!(problem.pointer.starts_with(base), "{problem:?}");
    check_message(&problem.message);
}
