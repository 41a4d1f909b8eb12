//! Tests of proposing.
