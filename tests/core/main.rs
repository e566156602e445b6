//! Tests of the core crate.
