//! Parquet files: however they are cut into chunks, and whatever is in them.

use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, GzipLevel, ZstdLevel};
use parquet::file::metadata::ParquetMetaDataReader;
use parquet::file::properties::WriterProperties;

use super::{Seen, drive, small_batches, things};
use crate::decode::{
    DecodeError, DecodeErrorCode, DecodeOptions, InputFormat, ParquetBatches, decoder,
};

fn file(texts: Vec<Option<String>>, compression: Compression) -> Vec<u8> {
    let numbers: Int64Array = (0..).take(texts.len()).map(Some).collect();
    let texts = StringArray::from(texts);
    let columns: [(&str, ArrayRef); 2] = [("a", Arc::new(texts)), ("b", Arc::new(numbers))];
    let columns = columns.map(|(name, column)| (name, column, true));
    let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
    let properties = WriterProperties::builder()
        .set_compression(compression)
        .set_dictionary_enabled(false)
        .build();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

fn ten() -> Vec<u8> {
    let texts = (0..10)
        .map(|n| (n % 3 > 0).then(|| format!("t{n}")))
        .collect();
    file(texts, Compression::SNAPPY)
}

fn read(body: &[u8], chunk: usize, options: DecodeOptions) -> (Vec<Seen>, Result<(), DecodeError>) {
    let mut decoder = decoder(InputFormat::Parquet, things(), options);
    let (batches, outcome) = drive(decoder.as_mut(), body.chunks(chunk));
    let outcome = outcome.and_then(|()| decoder.finish());
    (batches.into_iter().map(Seen::from).collect(), outcome)
}

#[test]
fn a_file_may_come_in_any_chunks() {
    let body = ten();
    let (whole, outcome) = read(&body, body.len(), small_batches());
    assert_eq!(outcome, Ok(()));
    let lens: Vec<_> = whole
        .iter()
        .map(|batch| (batch.origin.first, batch.len))
        .collect();
    assert_eq!(lens, [(0, 3), (3, 3), (6, 3), (9, 1)]);
    for chunk in [1, 7, 100] {
        assert_eq!(
            read(&body, chunk, small_batches()),
            (read(&body, body.len(), small_batches()).0, Ok(()))
        );
    }
}

#[test]
fn a_cut_file_is_none() {
    let body = ten();
    for len in 0..body.len() {
        let (batches, outcome) = read(&body[..len], 64, small_batches());
        let code = outcome.unwrap_err().code;
        assert_eq!(
            (batches.len(), code),
            (0, DecodeErrorCode::MalformedParquet),
            "{len}"
        );
    }
}

#[test]
fn a_damaged_file_is_refused_or_read() {
    let body = ten();
    for at in 0..body.len() {
        let mut damaged = body.clone();
        damaged[at] ^= 0x10;
        // A value may be another one; what matters is that it ends, and not in a panic.
        let (_, outcome) = read(&damaged, body.len(), small_batches());
        if let Err(error) = outcome {
            let known = [
                DecodeErrorCode::MalformedParquet,
                DecodeErrorCode::TooLarge,
                DecodeErrorCode::UnknownProperty,
            ];
            assert!(known.contains(&error.code), "{at}: {error:?}");
        }
    }
}

#[test]
fn what_is_held_is_bounded() {
    let body = ten();
    let mut options = small_batches();
    options.held_bytes_max = body.len() - 1;
    let (_, outcome) = read(&body, 64, options.clone());
    assert_eq!(outcome.unwrap_err().code, DecodeErrorCode::TooLarge);
    // A megabyte that is packed into a few kilobytes.
    let texts = (0..100)
        .map(|n| Some(format!("{}{n}", "x".repeat(10_000))))
        .collect();
    let body = file(texts, Compression::ZSTD(ZstdLevel::try_new(1).unwrap()));
    options.held_bytes_max = 100_000;
    assert!(body.len() < options.held_bytes_max);
    let (batches, outcome) = read(&body, body.len(), options);
    assert_eq!(
        (batches.len(), outcome.unwrap_err().code),
        (0, DecodeErrorCode::TooLarge)
    );
}

/// A signed integer as Thrift writes it, in as many bytes as another one took.
fn integer(value: u64, len: usize) -> Vec<u8> {
    let bits = |at| u8::try_from((value << 1 >> (7 * at)) & 0x7F).unwrap();
    let more = |at| if at + 1 < len { 0x80 } else { 0 };
    (0..len).map(|at| bits(at) | more(at)).collect()
}

/// A file whose first page and its column say that they unpack to so many bytes.
fn forged(mut body: Vec<u8>, says: u64) -> bytes::Bytes {
    let source = bytes::Bytes::from(body.clone());
    let metadata = ParquetMetaDataReader::new()
        .parse_and_finish(&source)
        .unwrap();
    let column = metadata.row_group(0).column(0);
    // The kind of the page, then how much it unpacks to.
    let at = usize::try_from(column.data_page_offset()).unwrap();
    assert_eq!(body[at..at + 3], [0x15, 0, 0x15]);
    let len = body[at + 3..].iter().take_while(|it| **it >= 0x80).count() + 1;
    body.splice(at + 3..at + 3 + len, integer(says, len));
    let was = integer(u64::try_from(column.uncompressed_size()).unwrap(), len);
    let index = memchr::memmem::rfind(&body, &was).unwrap();
    body.splice(index..index + len, integer(says, len));
    bytes::Bytes::from(body)
}

#[test]
fn a_page_is_held_to_what_it_says() {
    let texts = || (0..50).map(|_| Some("x".repeat(10_000))).collect();
    let gzip = Compression::GZIP(GzipLevel::try_new(6).unwrap());
    let mut options = small_batches();
    options.held_bytes_max = 100_000;
    let open = |body| ParquetBatches::new(body, things(), options.clone()).unwrap_err();
    // It says less than it unpacks to, and is refused before anything is unpacked.
    let less = open(forged(file(texts(), gzip), 90_000));
    assert_eq!(less.code, DecodeErrorCode::MalformedParquet);
    // It says more than may be held.
    let body = forged(file(texts(), Compression::SNAPPY), 90_000);
    let honest = ParquetBatches::new(body.clone(), things(), options.clone());
    assert!(honest.is_ok(), "{honest:?}");
    let mut body = body.to_vec();
    let at = 4 + 3;
    assert_eq!(body[at..at + 3], integer(90_000, 3));
    body.splice(at..at + 3, integer(110_000, 3));
    let more = open(bytes::Bytes::from(body));
    assert_eq!(more.code, DecodeErrorCode::TooLarge);
}

#[test]
fn every_way_of_compression_is_read() {
    let texts = || {
        (0..10)
            .map(|n| (n % 3 > 0).then(|| format!("t{n}")))
            .collect()
    };
    let expected = read(
        &file(texts(), Compression::UNCOMPRESSED),
        64,
        small_batches(),
    );
    assert_eq!(expected.1, Ok(()));
    for compression in [
        Compression::SNAPPY,
        Compression::GZIP(GzipLevel::default()),
        Compression::ZSTD(ZstdLevel::default()),
        Compression::LZ4,
        Compression::LZ4_RAW,
    ] {
        let found = read(&file(texts(), compression), 64, small_batches());
        assert_eq!(found, expected, "{compression:?}");
    }
}
