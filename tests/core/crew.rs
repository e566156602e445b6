//! Packets that several threads decode give the samples that one thread gives, to the last bit, whole files and broken ones.

use std::io::Cursor;

use candle_whisper_core::Waveform;
use candle_whisper_core::media::decode;

use crate::data::{Noise, tests};
use crate::kernels::on_one_level;
use crate::media::{fixture, folders};

/// The bits of all samples, or what is wrong.
fn bits(file: &[u8], threads: usize) -> Result<Vec<u32>, String> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    let file = Cursor::new(file.to_vec());
    let audio = pool.install(|| decode(file, None)).map_err(|error| error.to_string())?;
    Ok(audio.samples().iter().map(|x| x.to_bits()).collect())
}

fn same(name: &str, file: &[u8]) -> Result<usize, String> {
    let _level = on_one_level();
    let alone = bits(file, 1);
    for threads in [2, 3, 7] {
        assert!(bits(file, threads) == alone, "{name}: {threads} threads give something else");
    }
    alone.map(|bits| bits.len())
}

/// So many of a file behind each other, none of which says how long it is.
fn long(name: &str, times: usize) -> Vec<u8> {
    let mut file = fixture(name);
    while let Some(at) = file.windows(4).position(|bytes| matches!(bytes, b"Info" | b"Xing")) {
        file[at..at + 4].fill(0);
    }
    file.repeat(times)
}

#[test]
fn several_threads_decode_what_one_does() {
    for (name, times) in [
        ("mp3_cbr64_16k.mp3", 40),
        ("mp3_cbr128_44k1_stereo.mp3", 30),
        ("mp3_vbr_q4_44k1.mp3", 40),
        ("mp3 with spaces ü.mp3", 40),
    ] {
        let n = same(name, &long(name, times)).unwrap();
        println!("{name}: {n} samples");
        assert!(n >= times * 20_000, "{name}: {n} samples");
    }
    for name in ["long-72s.flac", "noisy-music5dB-ls-other-1688-142285-0006.flac"] {
        same(name, &std::fs::read(tests().join("data").join(name)).unwrap()).unwrap();
    }
    for name in ["flac_16k_5.1.flac", "flac_24bit_8k.flac", "mkv_flac.mkv", "ogg_flac.oga"] {
        same(name, &fixture(name)).unwrap();
    }
    // One track ends, and another begins.
    same("two of Ogg", &long("ogg_flac.oga", 3)).unwrap();
}

#[test]
fn broken_files_are_broken_in_the_same_way() {
    let mut noise = Noise(12);
    let flac = std::fs::read(tests().join("data/long-72s.flac")).unwrap();
    let files = [
        ("flac", flac, 24),
        ("64 kbit/s", long("mp3_cbr64_16k.mp3", 30), 24),
        ("128 kbit/s", long("mp3_cbr128_44k1_stereo.mp3", 20), 12),
        ("any kbit/s", long("mp3_vbr_q4_44k1.mp3", 30), 24),
    ];
    for (name, whole, turns) in files {
        let mut n = 0;
        for turn in 0..turns {
            let mut file = whole.clone();
            for _ in 0..1 + turn * turn / 4 {
                let at = noise.below(file.len());
                match noise.below(4) {
                    // Side information, the length of a packet, a number of channels: nothing is safe.
                    0 | 1 => file[at] ^= 1 << noise.below(8),
                    2 => file[at..].iter_mut().take(40).for_each(|byte| *byte = noise.below(256) as u8),
                    _ => drop(file.drain(at..(at + noise.below(900)).min(file.len()))),
                }
            }
            n += same(name, &file).unwrap_or(0);
        }
        println!("{name}: {n} samples of {turns} broken files");
        assert!(n > 1_000_000, "{name}: {n} samples");
    }
}

#[test]
fn bad_files_of_the_set_are_the_same_too() {
    for folder in folders("bad") {
        for path in crate::media::files(&folder) {
            let _ = same(crate::media::name(&path), &std::fs::read(&path).unwrap());
        }
    }
}

#[test]
fn samples_have_sixteen_bits_and_one_zero() {
    // What keeps them in sixteen bits relies on it.
    for folder in folders("formats") {
        for path in crate::media::files(&folder) {
            let Ok(audio) = crate::media::decode_file(&path) else { continue };
            for x in audio.samples() {
                let short = (x * 32768.0) as i16;
                let again = f32::from(short) / 32768.0;
                assert!(again.to_bits() == x.to_bits(), "{}: {x:?}", path.display());
            }
        }
    }
    let quiet = Waveform::from_pcm(&[-1e-6; 4410], 1, 44_100).unwrap();
    assert!(quiet.samples().iter().all(|x| x.to_bits() == 0));
}
