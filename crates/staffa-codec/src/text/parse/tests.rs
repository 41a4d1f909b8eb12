//! Tests of reading scalars.
