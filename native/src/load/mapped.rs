//! Files mapped into memory: pages come when they are read, and go when they are not needed.

use std::fs::File;
use std::ops::Range;
use std::path::Path;

use anyhow::{Context, Result};
use candle_whisper_core::weights::Bytes;
use memmap2::Mmap;

struct Mapped(Mmap);

/// The bytes of a file.
pub(super) fn map(path: &Path) -> Result<Box<dyn Bytes>> {
    let cannot = || format!("could not read `{}`", path.display());
    let file = File::open(path).with_context(cannot)?;
    // Nothing can't be mapped.
    if file.metadata().with_context(cannot)?.len() == 0 {
        return Ok(Box::new(Vec::new()));
    }
    // SAFETY: the file is read only; changing one while it is mapped is the user's to avoid.
    let map = unsafe { Mmap::map(&file) }.with_context(cannot)?;
    Ok(Box::new(Mapped(map)))
}

impl Bytes for Mapped {
    fn bytes(&self) -> &[u8] {
        &self.0
    }

    #[cfg(unix)]
    fn release(&self, range: Range<usize>) {
        // SAFETY: the map is of a file and never written, so what is dropped is read again from it.
        let dropped = unsafe {
            self.0.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, range.start, range.len())
        };
        // It was only to save memory.
        let _ = dropped;
    }
}
