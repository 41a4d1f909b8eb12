//! The one textual form of each scalar type, in and out.

pub mod format;
pub mod parse;
