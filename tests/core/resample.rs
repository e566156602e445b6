//! `Waveform::from_pcm`: frequency, amplitude, length and place survive any rate.

use std::f64::consts::{PI, TAU};

use candle_whisper_core::Waveform;

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
    for rate in [22_050, 44_100, 48_000, 96_000] {
        for frequency in [8_400.0, 9_000.0, 10_500.0] {
            let pcm = tone(frequency, rate, rate as usize, 1);
            let waveform = Waveform::from_pcm(&pcm, 1, rate).unwrap();
            let loudest = waveform.samples()[800..15_000].iter().fold(0.0, |a: f32, b| a.max(b.abs()));
            assert!(loudest < 1e-4, "{frequency} Hz at {rate} Hz leaves {loudest}");
        }
    }
}

/// The textbook: each output sample is a long windowed sinc over the input.
fn sinc_oracle(input: &[f32], rate: f64) -> Vec<f64> {
    const HALF_WIDTH: f64 = 400.0;
    let cutoff = 0.985 * (16_000.0 / rate).min(1.0);
    let n_out = (input.len() as f64 * 16_000.0 / rate).ceil() as usize;
    let at = |i: usize| {
        let centre = i as f64 * rate / 16_000.0;
        let first = (centre - HALF_WIDTH).max(0.0).ceil() as usize;
        let last = ((centre + HALF_WIDTH) as usize).min(input.len() - 1);
        let tap = |k: usize| {
            let t = k as f64 - centre;
            let x = PI * cutoff * t;
            let sinc = if x == 0.0 { 1.0 } else { x.sin() / x };
            f64::from(input[k]) * cutoff * sinc * (PI * t / (2.0 * HALF_WIDTH)).cos().powi(2)
        };
        (first..=last).map(tap).sum()
    };
    (0..n_out).map(at).collect()
}

#[test]
fn noise_is_resampled_as_a_slow_sinc_does_it() {
    for rate in [8_000, 22_050, 44_100, 48_000] {
        // Noise without its top: two filters' edges need not be alike.
        let mut state = 1_u32;
        let mut white = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            f64::from(state >> 8) / f64::from(1 << 23) - 1.0
        };
        let raw: Vec<f64> = (0..rate as usize / 4).map(|_| white()).collect();
        let width = 64 * rate as usize / 16_000 + 64;
        let edge = 2.0 * 5_500.0_f64.min(0.35 * f64::from(rate)) / f64::from(rate);
        let smooth = |i: usize| -> f32 {
            let taps = i.saturating_sub(width)..(i + width).min(raw.len());
            let tap = |k: usize| {
                let t = k as f64 - i as f64;
                let x = PI * edge * t;
                let sinc = if x == 0.0 { 1.0 } else { x.sin() / x };
                raw[k] * edge * sinc * (PI * t / (2.0 * width as f64)).cos().powi(2)
            };
            0.3 * taps.map(tap).sum::<f64>() as f32
        };
        let input: Vec<f32> = (0..raw.len()).map(smooth).collect();
        let expected = sinc_oracle(&input, f64::from(rate));
        let waveform = Waveform::from_pcm(&input, 1, rate).unwrap();
        let samples = waveform.samples();
        assert_eq!(samples.len(), expected.len());
        let inner = 1000..samples.len() - 1000;
        let pairs = samples[inner.clone()].iter().zip(&expected[inner]);
        let worst = pairs.map(|(&a, b)| (f64::from(a) - b).abs()).fold(0.0, f64::max);
        assert!(worst < 2e-4, "{rate} Hz: {worst}");
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
