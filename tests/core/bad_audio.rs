//! Broken, empty and extreme files: an error in words, or the samples a person would expect.

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use candle_whisper_core::media::decode;
use candle_whisper_core::{Result, Waveform};

use crate::heap;
use crate::media::{correlate, decode_file, files, fixture, folders, name, wav_header};

fn decoded(bytes: &[u8]) -> Result<Waveform> {
    decode(Cursor::new(bytes.to_vec()), None)
}

fn n_samples(bytes: &[u8]) -> usize {
    decoded(bytes).unwrap().samples().len()
}

/// What each file of the DEV set's folder gives: samples, as ffmpeg does, or words of its error.
const DEV: [(&str, Result<usize, &str>); 25] = [
    ("clipped.wav", Ok(96_000)),
    // 45 of its 153 frames are damaged. ffmpeg keeps some of them as noise.
    ("corrupted.flac", Ok(124_416)),
    ("dc_offset.wav", Ok(96_000)),
    ("empty.mp3", Err("the file is empty")),
    ("empty.wav", Err("the file is empty")),
    ("f32_out_of_range.wav", Ok(64_000)),
    ("header_claims_4gb.wav", Ok(32_000)),
    ("header_zero_data_size.wav", Ok(32_000)),
    ("nan_inf_f32.wav", Ok(64_000)),
    ("odd_length.wav", Ok(16_000)),
    ("one_sample.wav", Ok(1)),
    ("random_bytes.mp3", Err("no audio or video format was recognised")),
    ("silence_35s.wav", Ok(560_000)),
    ("text.wav", Err("no audio or video format was recognised")),
    ("tone_440hz_5s.wav", Ok(80_000)),
    // ffmpeg plays half of the last frame: 576 more.
    ("truncated.mp3", Ok(58_223)),
    ("truncated.ogg", Ok(80_512)),
    ("truncated.wav", Ok(49_961)),
    ("truncated_no_moov.m4a", Err("no index (`moov`)")),
    ("very_quiet.wav", Ok(96_000)),
    ("video_no_audio.mp4", Err("video but no audio track")),
    ("white_noise_5s.flac", Ok(80_000)),
    ("zero_channels.wav", Err("`0` channels")),
    ("zero_rate.wav", Err("`0` Hz")),
    ("zero_samples.wav", Ok(0)),
];

#[test]
fn every_bad_file_gives_what_is_there_or_says_what_is_wrong() {
    for folder in folders("bad") {
        let files = files(&folder);
        for path in &files {
            let expected = DEV.iter().find(|(known, _)| *known == name(path));
            let expected = expected.unwrap_or_else(|| panic!("{} is not in the table", name(path))).1;
            let (outcome, peak) = heap::peak(|| decode_file(path));
            match (&outcome, expected) {
                (Ok(waveform), Ok(n)) => assert_eq!(waveform.samples().len(), n, "{}", name(path)),
                (Err(error), Err(words)) => {
                    assert!(error.to_string().contains(words), "{}: {error}", name(path));
                }
                _ => panic!("{}: {outcome:?} instead of {expected:?}", name(path)),
            }
            assert!(peak < 8 << 20, "{} takes {peak} bytes", name(path));
        }
        println!("{}: {} files", folder.display(), files.len());
    }
}

#[test]
fn sizes_that_lie_give_what_is_there() {
    let pcm = [0x10_u8, 0x20].repeat(8000);
    for claimed in [0, 1, 16_000, 16_001, 1 << 31, u32::MAX - 1, u32::MAX] {
        let mut file = wav_header(1, 16_000, 16, claimed);
        file.extend(&pcm);
        let (n, peak) = heap::peak(|| n_samples(&file));
        assert_eq!(n, if claimed == 1 { 0 } else { 8000 }, "{claimed} bytes are claimed");
        assert!(peak < 1 << 20, "{claimed} bytes are claimed, {peak} taken");
    }
    assert_eq!(n_samples(&wav_header(1, 16_000, 16, 0)), 0);
}

#[test]
fn mu_law_and_a_law_are_read_whatever_the_length_of_their_format() {
    for name in ["wav_mulaw_8k.wav", "wav_alaw_8k.wav"] {
        let file = fixture(name);
        let whole = decoded(&file).unwrap();
        let at = file.windows(4).position(|bytes| bytes == b"data").unwrap();
        let samples = &file[at + 8..];
        let with_format = |n: u32, claimed: u32| {
            let mut short = [b"RIFF", &u32::MAX.to_le_bytes()[..], b"WAVEfmt ", &n.to_le_bytes()].concat();
            short.extend(&file[20..36]);
            short.resize(20 + n as usize, 0);
            short.extend([b"data", &claimed.to_le_bytes()[..], samples].concat());
            short
        };
        for n in [16, 18, 20, 40] {
            for claimed in [0, samples.len() as u32, u32::MAX] {
                let short = with_format(n, claimed);
                assert!(
                    decoded(&short).unwrap() == whole,
                    "{name}, {n} bytes of format, {claimed} of samples"
                );
            }
        }
        let cut = decoded(&with_format(16, samples.len() as u32)[..44 + samples.len() / 2]).unwrap();
        assert!((cut.duration() - whole.duration() / 2.0).abs() < 0.01);
    }
}

#[test]
fn a_file_that_is_cut_gives_what_is_there() {
    let streams = [
        "wav_s16_16k.wav",
        "wav_adpcm_ms_16k.wav",
        "wav_rf64_8k.wav",
        "aiff_s16.aiff",
        "caf_s16.caf",
        "flac_16k.flac",
        "ogg_flac.oga",
        "aac_adts.aac",
        "mp2_16k.mp2",
        "mp3_vbr_q4_44k1.mp3",
        "m4a_aac_fragments.mp4",
        "mkv_flac.mkv",
        "mkv_h264_opus.mkv",
        "webm_opus.webm",
    ];
    for name in streams {
        let file = fixture(name);
        let whole = decoded(&file).unwrap();
        let part = decoded(&file[..file.len() * 7 / 10]).unwrap_or_else(|error| panic!("{name}: {error}"));
        let share = part.duration() / whole.duration();
        let (correlation, lag) = correlate(part.samples(), whole.samples());
        println!("{name}: {:.0} % of it, correlation {correlation:.4}", share * 100.0);
        assert!((0.4..0.9).contains(&share), "{name}: {share} of it");
        assert!(correlation > 0.99 && lag == 0, "{name}: correlation {correlation} at lag {lag}");
    }
    let m4a = fixture("m4a_aac_lc.m4a");
    let error = decoded(&m4a[..m4a.len() / 2]).unwrap_err().to_string();
    assert!(error.contains("`moov`"), "{error}");
}

#[test]
fn a_caf_whose_size_is_unknown_or_too_large_gives_what_is_there() {
    let file = fixture("caf_s16.caf");
    let whole = decoded(&file).unwrap();
    let data = file.windows(4).position(|bytes| bytes == b"data").unwrap();
    let claims = |size: i64, end: usize| {
        let mut file = file[..end].to_vec();
        file[data + 4..data + 12].copy_from_slice(&size.to_be_bytes());
        decoded(&file)
    };
    assert!(claims(-1, file.len()).unwrap() == whole);
    assert!(claims(i64::MAX, file.len()).unwrap() == whole);
    // In the middle of a sample, of which there is nothing to be had.
    let cut = claims(i64::MAX, data + 16 + 2001).unwrap();
    assert!(cut.samples() == &whole.samples()[..1000]);
    assert!(claims(-1, data + 16).unwrap().samples().is_empty());

    // Packets of other sizes are found by a table, which is often written last.
    let mut table = file[..data + 16 + 2000].to_vec();
    let desc = table.windows(4).position(|bytes| bytes == b"desc").unwrap() + 12;
    table[desc + 8..desc + 12].copy_from_slice(b"alac");
    table[desc + 16..desc + 24].fill(0);
    let error = decoded(&table).unwrap_err().to_string();
    assert!(error.contains("`pakt`"), "{error}");
}

#[test]
fn frames_that_are_damaged_are_left_out_and_the_rest_is_kept() {
    let file = fixture("flac_16k.flac");
    let whole = decoded(&file).unwrap();
    let mut damaged = file.clone();
    for i in 0..3 {
        damaged[22_000 + 6_000 * i] ^= 0x55;
    }
    let kept = decoded(&damaged).unwrap();
    let lost = whole.samples().len() - kept.samples().len();
    assert!((1152..=4 * 1152).contains(&lost), "{lost} samples lost");
    assert!(kept.samples()[..4000] == whole.samples()[..4000]);
    let tail = |waveform: &Waveform| waveform.samples()[waveform.samples().len() - 1000..].to_vec();
    assert!(tail(&kept) == tail(&whole));
}

#[test]
fn what_can_not_be_used_is_an_error_in_words() {
    let with_tag = |tag: u16| {
        let mut file = wav_header(1, 16_000, 16, 64);
        file[20..22].copy_from_slice(&tag.to_le_bytes());
        file.extend([0; 64]);
        file
    };
    let text = b"This is not audio, whatever its name may say.\n".repeat(50);
    let mut noise = vec![0_u8; 40_000];
    let mut state = 7_u32;
    for byte in &mut noise {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *byte = (state >> 24) as u8;
    }
    let cases: [(&[u8], &str); 11] = [
        (b"", "the file is empty"),
        (b"R", "no audio or video format was recognised"),
        (&text, "no audio or video format was recognised"),
        (&noise, "no audio or video format was recognised"),
        (&wav_header(0, 16_000, 16, 64), "`0` channels"),
        (&wav_header(1, 0, 16, 64), "`0` Hz"),
        (&with_tag(0x0055), "MP3 in a WAV file"),
        (&with_tag(0x0161), "WMA 2 in a WAV file"),
        (b"OggS\0\x02\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\x01\x50Speex   1.2", "Speex"),
        (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\0\xaa\0\x62\xce\x6c", "Windows Media"),
        (b"#!AMR\n", "AMR"),
    ];
    for (bytes, words) in cases {
        let error = decoded(bytes).unwrap_err().to_string();
        assert!(error.contains(words), "{words}: {error}");
        assert!(!error.ends_with('.'), "{error}");
    }
    let mut fast = wav_header(1, u32::MAX, 16, 64);
    fast.extend([1; 64]);
    assert!(decoded(&fast).unwrap_err().to_string().contains("`4294967295` Hz"));
}

#[test]
fn claims_of_huge_packets_take_no_memory() {
    let mut channels = fixture("aiff_s16.aiff");
    channels[20..22].fill(0xe6);
    let mut frames = fixture("caf_s16.caf");
    frames[40..44].copy_from_slice(&0x6800_0001_u32.to_be_bytes());
    for (what, file) in [("channels", channels), ("frames", frames)] {
        let (outcome, peak) = heap::peak(|| decoded(&file));
        let error = outcome.unwrap_err().to_string();
        assert!(error.contains("the header claims"), "{what}: {error}");
        assert!(peak < 2 << 20, "{what} takes {peak} bytes");
    }
}

#[test]
fn rate_and_channels_may_change_in_the_middle() {
    let (first, second) = (fixture("ogg_vorbis_16k.ogg"), fixture("ogg_vorbis_44k1_stereo.ogg"));
    let joined = decoded(&[first, second].concat()).unwrap();
    assert_eq!(joined.duration(), 3.0);
    let (start, end) = joined.samples().split_at(24_000);
    let (correlation, _) = correlate(start, end);
    assert!(correlation > 0.98, "{correlation}");
}

#[test]
fn a_panic_below_is_an_error() {
    struct Faulty;
    impl std::io::Read for Faulty {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            // As a panic does, without the words on stderr.
            std::panic::resume_unwind(Box::new("a fault"))
        }
    }
    impl std::io::Seek for Faulty {
        fn seek(&mut self, _: std::io::SeekFrom) -> std::io::Result<u64> {
            Ok(1000)
        }
    }
    let error = decode(Faulty, None).unwrap_err().to_string();
    assert!(error.contains("a decoding library failed"), "{error}");
}

/// Deterministic: the same mutations on every machine, as many as the time allows.
#[test]
fn mutated_files_neither_panic_nor_hang_nor_fill_the_memory() {
    let folder = &folders("formats")[0];
    let files = files(folder);
    let begin = Instant::now();
    let mut runs = 0;
    for round in 0_u64.. {
        for (index, path) in files.iter().enumerate() {
            if begin.elapsed() > Duration::from_secs(6) {
                println!("{runs} mutated files in {round} rounds");
                assert!(round > 0, "not one round in time");
                return;
            }
            let mut bytes = std::fs::read(path).unwrap();
            bytes.truncate(30_000);
            let seed = round << 8 | index as u64;
            mutate(&mut bytes, seed);
            let start = Instant::now();
            let (outcome, peak) = heap::peak(|| catch_unwind(AssertUnwindSafe(|| decoded(&bytes))));
            let what = format!("{} with the seed {seed}", name(path));
            let n_samples = match outcome {
                Ok(result) => result.map_or(0, |waveform| waveform.samples().len()),
                Err(_) => panic!("{what} panics"),
            };
            // The waveform grows by doubling; the codecs' tables and blocks come on top.
            assert!(peak < (16 << 20) + 12 * n_samples, "{what} takes {peak} bytes");
            assert!(n_samples < 64 * 16 * 30_000, "{what} gives {n_samples} samples");
            assert!(start.elapsed() < Duration::from_secs(5), "{what} takes {:?}", start.elapsed());
            runs += 1;
        }
    }
}

pub fn mutate(bytes: &mut Vec<u8>, seed: u64) {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as usize % below.max(1)
    };
    let head = bytes.len().min([64, 256, 1024, 4096][random(4)]);
    match random(8) {
        0 => bytes.truncate(random(bytes.len())),
        1 => {
            let at = random(bytes.len());
            let n = random(64).min(bytes.len() - at);
            bytes.drain(at..at + n);
        }
        2 => {
            let at = random(head);
            let value = [0, 0xff, 0x7f, 0x80][random(4)];
            let n = (1 << random(4)).min(bytes.len() - at);
            bytes[at..at + n].fill(value);
        }
        3 => bytes[random(head)] ^= 1 << random(8),
        n => {
            let range = if n < 6 { head } else { bytes.len() };
            for _ in 0..1 + random(16) {
                bytes[random(range)] = random(256) as u8;
            }
        }
    }
}
