//! The microphone, an enabled/disabled pair of files: on Linux it needs ALSA's headers to build, so it is a feature there.

#[cfg(any(feature = "microphone", windows, target_os = "macos"))]
#[path = "microphone/cpal.rs"]
mod system;
#[cfg(not(any(feature = "microphone", windows, target_os = "macos")))]
#[path = "microphone/none.rs"]
mod system;

pub(super) use system::{Recording, list, open};
