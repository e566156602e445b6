//! What is said while a GPU is silent.

use std::ops::ControlFlow;
use std::sync::mpsc::{Receiver, channel};
use std::thread::sleep;
use std::time::Duration;

use candle_whisper::device::patience::Patient;
use candle_whisper_core::observer::Silent;
use candle_whisper_core::{Event, Observer};

const PATIENCE: Duration = Duration::from_millis(200);

fn waiting(silent: &mut Silent) -> (Patient<'_, Silent>, Receiver<()>) {
    let (said, heard) = channel();
    (Patient::new(silent, PATIENCE, move || said.send(()).unwrap()), heard)
}

#[test]
fn a_long_silence_is_explained_once() {
    let mut silent = Silent;
    let (_patient, heard) = waiting(&mut silent);
    assert_eq!(heard.recv_timeout(10 * PATIENCE), Ok(()));
    assert!(heard.recv_timeout(PATIENCE).is_err());
}

#[test]
fn text_in_time_needs_no_explanation() {
    let mut silent = Silent;
    let (mut patient, heard) = waiting(&mut silent);
    assert_eq!(patient.event(Event::Text { so_far: " and" }), ControlFlow::Continue(()));
    // The thread is gone, not waiting.
    assert!(
        heard
            .recv_timeout(10 * PATIENCE)
            .is_err_and(|e| e == std::sync::mpsc::RecvTimeoutError::Disconnected)
    );
}

#[test]
fn reading_is_no_silence() {
    let mut silent = Silent;
    let (mut patient, heard) = waiting(&mut silent);
    for frames in 0..10 {
        let _ = patient.event(Event::Reading { frames });
        sleep(PATIENCE / 4);
    }
    assert!(heard.try_recv().is_err());
    assert_eq!(heard.recv_timeout(10 * PATIENCE), Ok(()));
}
