//! Tests of the native crate.
