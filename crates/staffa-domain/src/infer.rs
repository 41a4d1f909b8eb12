//! A schema proposed from a sample: facts gathered value by value in bounded memory, and what
//! follows from them. What a text can be read as is the reader's to say; nothing is parsed here.

mod facts;
mod keys;
mod kinds;
mod names;
mod propose;
mod remark;
mod sample;
mod types;

#[cfg(test)]
mod tests;

pub use facts::{Digits, Marks, Scalar};
pub use kinds::Kinds;
pub use names::{property_names, schema_name};
pub use propose::Proposal;
pub use remark::{Remark, RemarkCode};
pub use sample::{NULL_WORDS, Sample, SampleLimits};
