//! Reads a sample in any format into the facts from which a schema is proposed. Bodies are cut
//! into records, and values read, by what reads them for good: a type is only said to fit
//! where the decoder of that format takes the value.

mod arrow;
mod csv;
mod json;
mod scalar;

#[cfg(test)]
mod tests;

use staffa_domain::infer::{Sample, SampleLimits};

use self::arrow::{FileSample, StreamSample};
use self::csv::CsvSample;
use self::json::JsonSample;
use super::array::ArrayDecoder;
use super::csv::CsvDecoder;
use super::ndjson::NdJsonDecoder;
use super::{DecodeError, DecodeOptions, InputFormat};

/// How much of a sample is read, and how.
#[derive(Debug, Clone)]
pub struct SampleOptions {
    /// How records are read.
    pub decode: DecodeOptions,
    /// The most rows.
    pub rows_max: u64,
    /// The most bytes, once unpacked; a Parquet file is read whole.
    pub bytes_max: u64,
    /// The most values by which keys are sought: eight bytes each.
    pub prints_max: usize,
}

/// Reads one sample, chunk by chunk, until it is over or enough of it was read.
#[derive(Debug)]
pub struct Sampler {
    source: Source,
    bytes: u64,
    bytes_max: u64,
}

#[derive(Debug)]
enum Source {
    Json(Box<ArrayDecoder<JsonSample>>),
    NdJson(Box<NdJsonDecoder<JsonSample>>),
    Csv(Box<CsvDecoder<CsvSample>>),
    Arrow(Box<StreamSample>),
    Parquet(Box<FileSample>),
}

impl Sampler {
    /// Starts to read a sample.
    pub fn new(format: InputFormat, options: SampleOptions) -> Self {
        let sample = Sample::new(SampleLimits {
            rows_max: options.rows_max,
            prints_max: options.prints_max,
        });
        let decode = options.decode;
        let source = match format {
            InputFormat::Json => {
                let records = JsonSample::new(sample, &decode);
                Source::Json(Box::new(ArrayDecoder::over(records)))
            }
            InputFormat::NdJson => {
                let records = JsonSample::new(sample, &decode);
                Source::NdJson(Box::new(NdJsonDecoder::over(records)))
            }
            InputFormat::Csv => {
                let delimiter = decode.csv.delimiter;
                let records = CsvSample::new(sample, decode);
                Source::Csv(Box::new(CsvDecoder::over(records, delimiter)))
            }
            InputFormat::ArrowStream => Source::Arrow(Box::new(StreamSample::new(sample, decode))),
            InputFormat::Parquet => Source::Parquet(Box::new(FileSample::new(sample, decode))),
        };
        let bytes_max = match format {
            InputFormat::Parquet => u64::MAX,
            _ => options.bytes_max,
        };
        Self {
            source,
            bytes: 0,
            bytes_max,
        }
    }

    /// Reads a chunk; nothing once enough was read.
    pub fn push(&mut self, chunk: &[u8]) -> Result<(), DecodeError> {
        if self.is_done() {
            return Ok(());
        }
        self.bytes += chunk.len() as u64;
        match &mut self.source {
            Source::Json(source) => source.feed(chunk),
            Source::NdJson(source) => source.feed(chunk),
            Source::Csv(source) => source.feed(chunk),
            Source::Arrow(source) => source.push(chunk),
            Source::Parquet(source) => source.push(chunk),
        }
    }

    /// Whether enough was read, so that the rest of the body does not matter.
    pub fn is_done(&self) -> bool {
        self.bytes >= self.bytes_max || self.sample().is_cut()
    }

    /// What was read. Unless enough was, the body is over: an error where it should not be.
    pub fn finish(mut self) -> Result<Sample, DecodeError> {
        let is_done = self.is_done();
        if !is_done {
            match &mut self.source {
                Source::Json(source) => source.end()?,
                Source::NdJson(source) => source.end()?,
                Source::Csv(source) => source.end()?,
                Source::Arrow(source) => source.end()?,
                Source::Parquet(source) => source.end()?,
            }
        }
        let mut sample = match self.source {
            Source::Json(source) => source.reader.sample,
            Source::NdJson(source) => source.reader.sample,
            Source::Csv(source) => source.rows.sample,
            Source::Arrow(source) => source.into_sample(),
            Source::Parquet(source) => source.into_sample(),
        };
        if is_done {
            sample.cut();
        }
        Ok(sample)
    }

    fn sample(&self) -> &Sample {
        match &self.source {
            Source::Json(source) => &source.reader.sample,
            Source::NdJson(source) => &source.reader.sample,
            Source::Csv(source) => &source.rows.sample,
            Source::Arrow(source) => source.sample(),
            Source::Parquet(source) => source.sample(),
        }
    }
}
