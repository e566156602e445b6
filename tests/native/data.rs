//! Where the test data lies.

use std::path::{Path, PathBuf};

pub fn tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests")
}
