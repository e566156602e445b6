//! Recordings that are read block by block: the same mel, voice activity and transcripts as of whole ones, in a memory that does
//! not grow with them.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use candle_whisper_core::audio::{HOP_LENGTH, N_FRAMES, SAMPLE_RATE};
use candle_whisper_core::mel::{Extent, LogMel, Mel, MelStream};
use candle_whisper_core::recording::{Blocks, Open, Recording};
use candle_whisper_core::vad::{self, Vad, VadOptions};
use candle_whisper_core::{Error, Result, Waveform, media};

use crate::data::{Noise, tests};
use crate::heap;
use crate::kernels::on_one_level;

/// Samples in blocks of all sizes.
struct Uneven {
    samples: Arc<Vec<f32>>,
    at: usize,
    noise: Noise,
}

impl Blocks for Uneven {
    fn next_block(&mut self) -> Result<Option<&[f32]>> {
        let rest = &self.samples[self.at..];
        let block = &rest[..rest.len().min(1 + self.noise.below(9000))];
        self.at += block.len();
        Ok(Some(block).filter(|block| !block.is_empty()))
    }
}

fn uneven(samples: &Arc<Vec<f32>>) -> Uneven {
    Uneven { samples: Arc::clone(samples), at: 0, noise: Noise(samples.len() as u64) }
}

fn open(samples: &Arc<Vec<f32>>) -> Open {
    let samples = Arc::clone(samples);
    Arc::new(move || Ok(Box::new(uneven(&samples))))
}

/// Noise that grows loud and quiet again.
fn sound(n: usize) -> Arc<Vec<f32>> {
    let loud = |i: usize| 0.001 + (i as f32 / 300_000.0).sin().powi(8);
    Arc::new(Noise(9).vec(n, 0.5).iter().enumerate().map(|(i, x)| x * loud(i)).collect())
}

fn whole(samples: &Arc<Vec<f32>>) -> (Arc<LogMel>, Mel) {
    let log_mel = Arc::new(LogMel::new(80).unwrap());
    let mel = log_mel.compute(&Waveform::new(samples.to_vec())).unwrap();
    (log_mel, mel)
}

fn measured(log_mel: &Arc<LogMel>, open: &Open) -> Extent {
    Extent::measure(log_mel, open().unwrap(), &mut |_| ControlFlow::Continue(())).unwrap().unwrap()
}

#[test]
fn windows_of_a_stream_are_those_of_the_whole_mel_to_the_last_bit() {
    for n in [0, 1, 159, 160, 201, 16_000, 480_000, 655_360 + 80, 1_600_123] {
        let samples = sound(n);
        let (log_mel, mel) = whole(&samples);
        let open = open(&samples);
        let extent = measured(&log_mel, &open);
        assert_eq!(extent.n_samples, n);
        let mut stream = MelStream::new(Arc::clone(&log_mel), open, extent);
        let end = n / HOP_LENGTH;
        assert_eq!(stream.content_frames(0, N_FRAMES).unwrap(), end);
        // Forwards, in overlaps, over gaps and back to the start; with a place before it kept, and past the end.
        let mut places = vec![(0, 0), (0, 1), (0, 700), (700, 2900), (2900, 4000)];
        places.extend([(end.saturating_sub(3), end.saturating_sub(1)), (end, end + 2), (5, 5), (1, 3000)]);
        for (keep, start) in places {
            for n_frames in [N_FRAMES, 1234, 1, 0] {
                let (ours, expected) =
                    (stream.window(keep, start, n_frames).unwrap(), mel.window(start, n_frames));
                assert!(ours == expected, "{n} samples, {n_frames} frames from {start}");
            }
        }
    }
}

#[test]
fn a_recording_that_is_read_once_differs_by_the_clamp_alone() {
    let samples = sound(2_000_000);
    let (log_mel, mel) = whole(&samples);
    let mut stream = MelStream::running(Arc::clone(&log_mel), Box::new(uneven(&samples)));
    let extent = measured(&log_mel, &open(&samples));
    let mut n_clamped = 0;
    for start in [0, 1500, 3000, 7001, 7100, 9500, 12_400] {
        let n = N_FRAMES.min(stream.content_frames(start, start + N_FRAMES).unwrap() - start);
        let (ours, expected) = (stream.window(start, start, n).unwrap(), mel.window(start, n));
        // Where the two differ, the maximum so far let through what is below the whole recording's floor.
        let content = |window: &[f32]| -> Vec<f32> {
            window.chunks_exact(N_FRAMES).flat_map(|row| row[..n].to_vec()).collect()
        };
        let (ours, expected) = (content(&ours), content(&expected));
        let whole_floor = ((extent.maximum as f32 - 8.0) + 4.0) / 4.0;
        for (a, b) in ours.iter().zip(&expected) {
            assert!(a.max(whole_floor) == *b, "{a} {b} from {start}");
            n_clamped += usize::from(a != b);
        }
    }
    assert!(n_clamped > 0, "the clamp was never another");
    assert_eq!(stream.content_so_far(), 12_500);
    let error = stream.window(0, 0, N_FRAMES).unwrap_err().to_string();
    assert!(error.contains("read only once"), "{error}");
}

#[test]
fn voice_activity_of_blocks_is_that_of_the_whole() {
    let _level = on_one_level();
    let clip = |name: &str| {
        media::decode(std::fs::File::open(tests().join("data").join(name)).unwrap(), None).unwrap()
    };
    let silence = vec![0f32; 3 * SAMPLE_RATE + 77];
    let samples = [clip("jfk.flac").samples(), &silence, clip("lj-LJ001-0002.flac").samples()].concat();
    let audio = Waveform::new(samples.clone());
    let samples = Arc::new(samples);
    let limits = [
        VadOptions::default(),
        VadOptions { min_silence_duration_ms: 100.0, speech_pad_ms: 30.0, ..VadOptions::default() },
        VadOptions { max_speech_duration_s: Some(2.0), ..VadOptions::default() },
    ];
    let told = &mut |_| ControlFlow::Continue(());
    let mut apart = Vec::new();
    for options in &limits {
        let expected = vad::speech(Vad::bundled().unwrap(), &audio, options).unwrap();
        let heard = vad::listen(Vad::bundled().unwrap(), &mut uneven(&samples), options, told);
        let heard = heard.unwrap().unwrap();
        assert_eq!((&heard.spans, heard.n_samples), (&expected, samples.len()), "{options:?}");
        apart.push(heard);
    }
    for threads in [1, 2, 5] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let mut blocks = uneven(&samples);
        let at_once = pool.install(|| {
            vad::listen_by(Vad::bundled().unwrap(), &mut blocks, &limits, &mut |_| ControlFlow::Continue(()))
        });
        assert_eq!(at_once.unwrap().unwrap(), apart, "by {threads} threads");
    }
    let stop =
        vad::listen(Vad::bundled().unwrap(), &mut uneven(&samples), &VadOptions::default(), &mut |_| {
            ControlFlow::Break(())
        });
    assert_eq!(stop.unwrap(), None);
}

#[test]
fn a_recording_that_changes_while_it_is_read_is_an_error_if_it_lost_something() {
    let (samples, shorter) = (sound(500_000), sound(400_000));
    let log_mel = Arc::new(LogMel::new(80).unwrap());
    let extent = measured(&log_mel, &open(&samples));
    let mut stream = MelStream::new(Arc::clone(&log_mel), open(&shorter), extent);
    assert!(stream.window(0, 0, 100).is_ok());
    let error = stream.window(0, 0, N_FRAMES).unwrap_err().to_string();
    assert!(error.contains("became shorter"), "{error}");
    // What was added meanwhile is not heard.
    let extent = measured(&log_mel, &open(&shorter));
    let mut stream = MelStream::new(Arc::clone(&log_mel), open(&samples), extent);
    stream.window(0, 0, N_FRAMES).unwrap();
    assert_eq!(stream.content_so_far(), 2500);
}

/// A tone of any length, made while it is read; counts how often it is read to its end.
struct Tone {
    left: usize,
    block: Vec<f32>,
    ended: Arc<AtomicUsize>,
}

impl Blocks for Tone {
    fn next_block(&mut self) -> Result<Option<&[f32]>> {
        let n = self.left.min(4096);
        self.left -= n;
        let left = self.left;
        self.block.clear();
        self.block.extend((0..n).map(|i| (((left + i) % 97) as f32 / 97.0 - 0.5) * 0.1));
        if n == 0 {
            self.ended.fetch_add(1, Ordering::Relaxed);
        }
        Ok(Some(&self.block[..]).filter(|block| !block.is_empty()))
    }
}

/// The most that the heap holds while a recording of so many seconds is looked through, and its first, last and one other window heard.
fn heap_of(log_mel: &Arc<LogMel>, seconds: usize) -> usize {
    let ended = Arc::new(AtomicUsize::new(0));
    let tone = {
        let ended = Arc::clone(&ended);
        move || Ok(Tone { left: seconds * SAMPLE_RATE, block: Vec::new(), ended: Arc::clone(&ended) })
    };
    let Recording::Again(open) = Recording::again(tone) else { unreachable!() };
    let ((), peak) = heap::peak(|| {
        let extent = measured(log_mel, &open);
        let mut stream = MelStream::new(Arc::clone(log_mel), open, extent);
        let last = seconds * 100 - N_FRAMES;
        for start in [0, 2800, last / 2, last] {
            assert_eq!(stream.window(start, start, N_FRAMES).unwrap().len(), 80 * N_FRAMES);
        }
    });
    assert_eq!(ended.load(Ordering::Relaxed), 1, "the second time nothing is read after the last window");
    peak
}

#[test]
fn an_hour_takes_no_more_memory_than_two_minutes() {
    let log_mel = Arc::new(LogMel::new(80).unwrap());
    // Only this thread's heap is counted: that of others, who work on the frames, does not depend on the length.
    let (short, long) = (heap_of(&log_mel, 120), heap_of(&log_mel, 3600));
    println!("heap: {short} bytes for two minutes, {long} for an hour");
    assert!(long as f64 <= 1.05 * short as f64, "{short} bytes for two minutes, {long} for an hour");
}

#[test]
fn what_a_decoder_says_of_its_end_is_an_error_of_the_run() {
    struct Broken;
    impl Blocks for Broken {
        fn next_block(&mut self) -> Result<Option<&[f32]>> {
            Err(Error::Audio("the disk is gone".into()))
        }
    }
    let log_mel = Arc::new(LogMel::new(80).unwrap());
    let failed = Extent::measure(&log_mel, Box::new(Broken), &mut |_| ControlFlow::Continue(()));
    assert_eq!(failed.unwrap_err().to_string(), "the disk is gone");
}
