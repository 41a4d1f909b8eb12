//! Tests of reading samples.
