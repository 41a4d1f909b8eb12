//! Bodies of the form `{"schema_name": …, "data": …}`.

use staffa_codec::decode::{DecodeError, EnvelopeDecoder, Shape};
use staffa_domain::DecodedBatch;

use crate::common::{cuts, options, things};
use crate::records::{Seen, check_batches, seen};

/// How much may come before the schema's name.
const KEPT_MAX: usize = 1 << 10;

/// All that is told of an envelope.
#[derive(Debug, PartialEq)]
struct Told {
    batches: Vec<Seen>,
    outcome: Result<(), DecodeError>,
    name: Option<String>,
    shape: Option<Shape>,
}

/// An envelope, however it is cut.
pub(crate) fn check(bytes: &[u8]) {
    let whole = read(&[bytes]);
    for pieces in cuts(bytes) {
        assert_eq!(read(&pieces), whole, "chunks change what is read");
    }
}

fn read(chunks: &[&[u8]]) -> Told {
    let mut decoder = EnvelopeDecoder::new(KEPT_MAX);
    let mut batches = Vec::new();
    let outcome = drive(&mut decoder, chunks, &mut batches);
    // What was ready before an error may have been taken already, or not.
    batches.extend(std::iter::from_fn(|| decoder.take()));
    check_batches(&batches, &outcome);
    if outcome.is_ok() {
        assert!(
            decoder.shape().is_some(),
            "an envelope without data is refused"
        );
        assert!(decoder.schema_name().is_some(), "and one without a name");
    }
    let (batches, outcome) = seen(&(batches, outcome));
    Told {
        batches,
        outcome,
        name: decoder.schema_name().map(str::to_owned),
        shape: decoder.shape(),
    }
}

/// As the use cases do: the schema is found as soon as its name is known.
fn drive(
    decoder: &mut EnvelopeDecoder,
    chunks: &[&[u8]],
    batches: &mut Vec<DecodedBatch>,
) -> Result<(), DecodeError> {
    let mut is_resolved = false;
    for chunk in chunks {
        decoder.push(chunk)?;
        if !is_resolved && decoder.schema_name().is_some() {
            is_resolved = true;
            decoder.resolve(things(), options())?;
        }
        batches.extend(std::iter::from_fn(|| decoder.take()));
    }
    decoder.finish()
}
