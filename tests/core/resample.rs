//! `Waveform::from_pcm`: frequency, amplitude, length and place survive any rate.

use std::f64::consts::TAU;

use candle_whisper_core::Waveform;

use crate::data::golden_f32;

const RATES: [u32; 14] = [
    8_000, 11_025, 12_000, 16_000, 16_001, 22_050, 24_000, 32_000, 37_800, 44_100, 48_000, 88_200, 96_000,
    192_000,
];

fn tone(frequency: f64, rate: u32, n_frames: usize, channels: usize) -> Vec<f32> {
    let sample = |i: usize| 0.5 * (TAU * frequency * i as f64 / f64::from(rate)).sin();
    (0..n_frames).flat_map(|i| std::iter::repeat_n(sample(i) as f32, channels)).collect()
}

#[test]
fn a_sine_at_any_rate_and_channel_count_stays_where_it_is() {
    for rate in RATES {
        for channels in 1..=8 {
            let n_frames = rate as usize / 2 + 123;
            let pcm = tone(1000.0, rate, n_frames, channels);
            let waveform = Waveform::from_pcm(&pcm, channels, rate).unwrap();
            let samples = waveform.samples();
            assert_eq!(samples.len(), (n_frames * 16_000).div_ceil(rate as usize), "{rate} Hz");
            let expected = tone(1000.0, 16_000, samples.len(), 1);
            let inner = 800..samples.len() - 800;
            let worst = samples[inner.clone()].iter().zip(&expected[inner]);
            let worst = worst.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst < 2e-4, "{rate} Hz, {channels} channels: {worst}");
        }
    }
}

#[test]
fn what_16_khz_can_not_carry_is_gone() {
    // The filter's edge is as wide as ffmpeg's: what lies just above 8 kHz is weaker, not gone.
    for rate in [22_050, 44_100, 48_000, 96_000] {
        for (frequency, most) in [(9_000.0, 0.03), (10_000.0, 3e-4), (10_900.0, 1e-4)] {
            let pcm = tone(frequency, rate, rate as usize, 1);
            let waveform = Waveform::from_pcm(&pcm, 1, rate).unwrap();
            let loudest = waveform.samples()[800..15_000].iter().fold(0.0, |a: f32, b| a.max(b.abs()));
            assert!(loudest < most, "{frequency} Hz at {rate} Hz leaves {loudest}");
        }
    }
}

/// As `tests/golden/resample/make.py` makes it.
fn noise(n: usize) -> Vec<f32> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 24) as f32 - 0.5
    };
    (0..n).map(|_| next()).collect()
}

#[test]
fn noise_is_resampled_as_ffmpeg_does_it_to_the_last_bit_or_so() {
    for rate in [8_000, 11_025, 22_050, 44_100, 48_000, 96_000] {
        let golden = golden_f32(&format!("resample/{rate}.f32"));
        let ours = Waveform::from_pcm(&noise(rate as usize / 10 + 7), 1, rate).unwrap();
        let ours = ours.samples();
        // ffmpeg may leave out the last sample where ours lies on the input's end.
        assert!(golden.len() <= ours.len() && ours.len() <= golden.len() + 1, "{rate} Hz");
        let worst = golden.iter().zip(ours).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst < 1.5 / 65_536.0, "{rate} Hz: {worst}");
    }
}

#[test]
fn blocks_of_any_size_give_what_the_whole_gives_at_every_length() {
    // Lengths around the filter's, where its ends overlap.
    for rate in [8_000, 44_100, 96_000] {
        for n in (0..40).chain([91, 92, 182, 183, 1000, 5000]) {
            let waveform = Waveform::from_pcm(&noise(n), 1, rate).unwrap();
            assert_eq!(waveform.samples().len(), (n * 16_000).div_ceil(rate as usize), "{n} at {rate} Hz");
            assert!(waveform.samples().iter().all(|x| x.abs() <= 1.0), "{n} at {rate} Hz");
        }
    }
}

#[test]
fn the_mix_is_ffmpegs() {
    // An amplitude on one channel at a time of 5.1: front, front, centre, low, surround, surround.
    let expected = [0.2071, 0.2071, 0.2929, 0.0, 0.1465, 0.1465];
    for (channel, weight) in expected.into_iter().enumerate() {
        let pcm: Vec<f32> = (0..600).map(|i| if i % 6 == channel { 0.9 } else { 0.0 }).collect();
        let waveform = Waveform::from_pcm(&pcm, 6, 16_000).unwrap();
        assert!((waveform.samples()[50] - 0.9 * weight).abs() < 1e-4, "channel {channel}");
    }
    let stereo = Waveform::from_pcm(&[0.5, 0.25, -0.5, 0.5], 2, 16_000).unwrap();
    assert_eq!(stereo.samples(), [0.375, 0.0]);
}

#[test]
fn samples_are_rounded_to_16_bits_and_clipped() {
    let pcm = [0.3, 1.5, -7.0, f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e30];
    let waveform = Waveform::from_pcm(&pcm, 1, 16_000).unwrap();
    let top = 32767.0 / 32768.0;
    let expected = [(0.3_f32 * 32768.0).round() / 32768.0, top, -1.0, 0.0, top, -1.0, top];
    assert_eq!(waveform.samples(), expected);
}

#[test]
fn pcm_that_makes_no_sense_is_an_error_in_words() {
    let error =
        |pcm: &[f32], channels, rate| Waveform::from_pcm(pcm, channels, rate).unwrap_err().to_string();
    assert!(error(&[], 0, 16_000).contains("`0` channels"));
    assert!(error(&[0.0; 4], 100_000, 16_000).contains("`100000` channels"));
    assert!(error(&[0.0; 3], 2, 16_000).contains("whole number of frames"));
    assert!(error(&[0.0; 2], 2, 0).contains("`0` Hz"));
    assert!(error(&[0.0; 2], 2, u32::MAX).contains("`4294967295` Hz"));
    assert!(Waveform::from_pcm(&[], 2, 44_100).unwrap().samples().is_empty());
}
