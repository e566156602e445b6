//! Speech of which the encoder hears no more than its sound.

use std::sync::{Arc, Mutex};

use candle_core::{Device, Tensor};
use candle_whisper::load::{ModelFiles, Numbers, load_parts};
use candle_whisper_core::model::{AudioFeatures, Model};
use candle_whisper_core::observer::Silent;
use candle_whisper_core::options::{AudioContext, TranscribeOptions};
use candle_whisper_core::weights::Matrices;
use candle_whisper_core::{Result, Transcriber, Waveform};

use crate::around::{Around, Differs};
use crate::data::{clip, tests};

/// Notes how many mel frames of each window are heard.
struct Noting {
    inner: Arc<dyn Model>,
    frames: Arc<Mutex<Vec<usize>>>,
}

impl Differs for Noting {
    fn inner(&self) -> &dyn Model {
        &*self.inner
    }

    fn encode(&self, mel: &Tensor) -> Result<AudioFeatures> {
        self.frames.lock().unwrap().push(mel.dim(2)?);
        self.inner().encode(mel)
    }
}

type Noted = (Arc<Mutex<Vec<usize>>>, Transcriber);

fn noting(folder: &str, matrices: Matrices) -> Noted {
    let files = ModelFiles::in_folder(&tests().join(folder)).unwrap();
    let numbers = Numbers { matrices, ..Numbers::default() };
    let (inner, tokenizer) = load_parts(&files, &Device::Cpu, numbers).unwrap();
    let frames = Arc::default();
    let noting = Noting { inner, frames: Arc::clone(&frames) };
    (frames, Transcriber::new(Arc::new(Around(noting)), tokenizer).unwrap())
}

/// What is said, and the mel frames of the windows heard for it.
fn run((frames, transcriber): &Noted, audio: &Waveform, options: TranscribeOptions) -> (String, Vec<usize>) {
    let transcript = transcriber.run(audio, options, &mut Silent).unwrap();
    (transcript.text, std::mem::take(&mut *frames.lock().unwrap()))
}

fn of(audio_ctx: AudioContext) -> TranscribeOptions {
    TranscribeOptions { audio_ctx, ..TranscribeOptions::default() }
}

const JFK: &str = "ask not what your country can do for you";

#[test]
fn a_short_recording_is_heard_once_and_its_language_with_it() {
    let (model, jfk) = (noting("models/base", Matrices::Blocks), clip("jfk.flac"));
    let (text, frames) = run(&model, &jfk, of(AudioContext::Auto));
    assert!(text.contains(JFK), "{text}");
    assert_eq!(frames, [1344]);
    let (full, frames) = run(&model, &jfk, of(AudioContext::Full));
    assert_eq!((full, frames), (text, vec![3000, 3000]));
}

#[test]
fn floats_hear_a_window_once_where_its_language_is_heard_in_just_it() {
    let model = noting("models/base", Matrices::Floats);
    let (_, frames) = run(&model, &clip("jfk.flac"), of(AudioContext::Auto));
    // The reference has silence behind the one, and zeros behind the other.
    assert_eq!(frames, [3000, 3000]);
    let long = clip("long-72s.flac");
    let detected = run(&model, &long, of(AudioContext::Auto));
    let mut given = of(AudioContext::Auto);
    given.decode.language = Some("en".into());
    assert_eq!(detected, run(&model, &long, given));
}

#[test]
fn windows_of_a_batch_are_heard_as_far_as_they_have_sound() {
    let (model, jfk) = (noting("../native/models/tiny.en", Matrices::Blocks), clip("jfk.flac"));
    let batch = |audio_ctx| TranscribeOptions {
        batch: Some(3),
        condition_on_previous_text: false,
        word_timestamps: true,
        ..of(audio_ctx)
    };
    let (brief, frames) = run(&model, &jfk, batch(AudioContext::Auto));
    let (full, all) = run(&model, &jfk, batch(AudioContext::Full));
    assert_eq!((all, frames), (vec![3000], vec![1344]));
    assert_eq!(brief.trim_end_matches('.'), full.trim_end_matches('.'));
}
