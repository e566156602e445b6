use candle_whisper_core::Waveform;
use candle_whisper_core::audio::{HOP_LENGTH, N_FFT, N_FRAMES};
use candle_whisper_core::mel::fourier::Plain;
use candle_whisper_core::mel::{LogMel, Mel, mel_filters};
use realfft::RealToComplex;

use crate::data::{Noise, golden, golden_f32, numbers, tests};

fn clip(name: &str) -> Waveform {
    let file = std::fs::File::open(tests().join("data").join(name)).unwrap();
    candle_whisper_core::media::decode(file, Some("flac")).unwrap()
}

/// All frames from the first. -> (n_frames, n_mels)
fn frames(mel: &Mel, n: usize) -> Vec<f32> {
    let mut out = vec![0.0; n * mel.n_mels()];
    for start in (0..n).step_by(N_FRAMES) {
        let window = mel.window(start, N_FRAMES);
        for t in start..n.min(start + N_FRAMES) {
            for m in 0..mel.n_mels() {
                out[t * mel.n_mels() + m] = window[m * N_FRAMES + t - start];
            }
        }
    }
    out
}

#[test]
fn spectrograms_are_the_references() {
    for entry in golden("mel/index.json")["clips"].as_array().unwrap() {
        let n_mels = entry["n_mels"].as_u64().unwrap() as usize;
        let mel = LogMel::new(n_mels).unwrap().compute(&clip(entry["clip"].as_str().unwrap())).unwrap();
        assert_eq!(mel.content_frames() as u64, entry["content_frames"].as_u64().unwrap());
        let n_frames = entry["n_frames"].as_u64().unwrap() as usize;
        assert_eq!(n_frames, mel.content_frames() + N_FRAMES);
        let ours = frames(&mel, n_frames);
        let golden = golden_f32(&format!("mel/{}", entry["file"].as_str().unwrap()));
        let kept: Vec<usize> = numbers(&entry["frames"]);
        let mut worst = 0f32;
        for (row, t) in golden.chunks_exact(n_mels).zip(kept) {
            let ours = &ours[t * n_mels..][..n_mels];
            worst = row.iter().zip(ours).fold(worst, |worst, (a, b)| worst.max((a - b).abs()));
        }
        assert!(worst <= 2e-4, "{entry:?}: {worst}");
    }
}

/// Over whole recordings, against the reference's recipe in double precision.
#[test]
fn every_clip_of_the_dev_set_is_within_its_tolerance() {
    let folder = tests().join(".cache/mel");
    let Ok(entries) = std::fs::read_dir(&folder) else {
        println!("0 DEV clips checked: no ../shared/data/dev");
        return;
    };
    let mut checked = 0;
    for path in entries.map(|e| e.unwrap().path()).filter(|p| p.extension().is_some_and(|e| e == "f32")) {
        let name = path.file_stem().unwrap().to_str().unwrap();
        let (id, n_mels) = name.rsplit_once('.').unwrap();
        let n_mels: usize = n_mels.parse().unwrap();
        let wav = std::fs::File::open(tests().join(format!(".cache/dev16k/{id}.wav"))).unwrap();
        let audio = candle_whisper_core::media::decode(wav, Some("wav")).unwrap();
        let mel = LogMel::new(n_mels).unwrap().compute(&audio).unwrap();
        let expected = std::fs::read(&path).unwrap();
        let expected = expected.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()));
        let ours = frames(&mel, expected.len() / n_mels);
        let worst = expected.zip(&ours).fold(0f32, |worst, (a, b)| worst.max((a - b).abs()));
        assert!(worst <= 2e-4, "{name}: {worst}");
        checked += 1;
    }
    println!("{checked} DEV spectrograms checked");
    assert!(checked > 0, "{} is empty", folder.display());
}

/// The textbook's transform, in double precision, of the samples around frame `t`.
fn slow_frame(samples: &[f32], t: usize, n_mels: usize) -> Vec<f64> {
    let around: Vec<f64> = (0..N_FFT)
        .map(|i| {
            let at = (t * HOP_LENGTH + i).abs_diff(N_FFT / 2);
            let x = f64::from(samples.get(at).copied().unwrap_or(0.0));
            let phase = 2.0 * std::f64::consts::PI * i as f64 / N_FFT as f64;
            x * (0.5 - 0.5 * phase.cos())
        })
        .collect();
    let power: Vec<f64> = (0..=N_FFT / 2)
        .map(|bin| {
            let turn = |i: usize| 2.0 * std::f64::consts::PI * (i * bin) as f64 / N_FFT as f64;
            let re: f64 = around.iter().enumerate().map(|(i, x)| x * turn(i).cos()).sum();
            let im: f64 = around.iter().enumerate().map(|(i, x)| x * turn(i).sin()).sum();
            re * re + im * im
        })
        .collect();
    mel_filters(n_mels)
        .chunks(N_FFT / 2 + 1)
        .map(|filter| filter.iter().zip(&power).map(|(w, p)| f64::from(*w) * p).sum())
        .collect()
}

#[test]
fn frames_are_those_of_a_slow_transform() {
    let samples = Noise(3).vec(2000, 0.5);
    for n_mels in [80, 128] {
        let mel = LogMel::new(n_mels).unwrap().compute(&Waveform::new(samples.clone())).unwrap();
        let slow: Vec<Vec<f64>> = (0..14).map(|t| slow_frame(&samples, t, n_mels)).collect();
        let log = |p: f64| p.max(1e-10).log10();
        let max = slow.iter().flatten().fold(-10.0, |max: f64, &p| max.max(log(p)));
        let ours = frames(&mel, 14);
        for (ours, slow) in ours.chunks_exact(n_mels).zip(&slow) {
            for (a, &p) in ours.iter().zip(slow) {
                let b = (log(p).max(max - 8.0) + 4.0) / 4.0;
                assert!((f64::from(*a) - b).abs() < 1e-4, "{a} {b}");
            }
        }
    }
}

#[test]
fn filters_have_the_reference_files_sums() {
    // Sums over openai/whisper's mel_filters.npz.
    for (n_mels, sum) in [(80usize, 1.99902f64), (128, 3.19099)] {
        let ours: f64 = mel_filters(n_mels).iter().map(|&w| f64::from(w)).sum();
        assert!((ours - sum).abs() < 1e-4, "{n_mels}: {ours}");
    }
}

#[test]
fn no_sound_has_no_content_and_silence_everywhere() {
    let mel = LogMel::new(80).unwrap().compute(&Waveform::default()).unwrap();
    assert_eq!(mel.content_frames(), 0);
    assert!(mel.window(0, N_FRAMES).iter().all(|&x| x == -1.5));
    assert!(mel.window(0, 0).iter().all(|&x| x == 0.0));
}

#[test]
fn a_short_window_ends_in_zeros() {
    let mel = LogMel::new(80).unwrap().compute(&Waveform::new(Noise(1).vec(16_000, 0.1))).unwrap();
    let window = mel.window(20, 30);
    for row in window.chunks_exact(N_FRAMES) {
        assert!(row[..30].iter().any(|&x| x != 0.0));
        assert!(row[30..].iter().all(|&x| x == 0.0));
    }
}

#[test]
fn another_number_of_bins_is_refused() {
    assert!(LogMel::new(64).unwrap_err().to_string().contains("80 or 128"));
}

#[test]
fn the_plain_transform_of_a_frame_is_the_sum_that_it_stands_for() {
    let plain = Plain::default();
    let n = plain.len();
    let samples = Noise(7).vec(n, 1.0);
    let (mut output, mut scratch) = (plain.make_output_vec(), plain.make_scratch_vec());
    plain.process_with_scratch(&mut samples.clone(), &mut output, &mut scratch).unwrap();
    assert_eq!(output.len(), n / 2 + 1);
    for (k, found) in output.iter().enumerate() {
        let angle = |i: usize| -2.0 * std::f64::consts::PI * ((i * k) % n) as f64 / n as f64;
        let sum = |of: fn(f64) -> f64| {
            samples.iter().zip(0..).map(|(x, i)| f64::from(*x) * of(angle(i))).sum::<f64>()
        };
        let (re, im) = (sum(f64::cos), sum(f64::sin));
        // 400 numbers of at most 1, each with an error of 2^-24.
        let error = (f64::from(found.re) - re).abs().max((f64::from(found.im) - im).abs());
        assert!(error < 400.0 / f64::from(1 << 24), "{k}: {found} and {re} {im}i");
    }
    assert!(plain.process(&mut samples[1..].to_vec(), &mut output).is_err());
    assert!(plain.process(&mut samples.clone(), &mut output[1..]).is_err());
}
