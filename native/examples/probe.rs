use candle_whisper::{core::*, load};
fn main() {
    let args: Vec<String> = std::env::args().collect();
    let t0 = std::time::Instant::now();
    let t = load::load(std::path::Path::new(&args[1]), &candle_core::Device::Cpu, None).unwrap();
    let bytes = std::fs::read(&args[2]).unwrap();
    let samples: Vec<f32> =
        bytes[44..].chunks_exact(2).map(|b| i16::from_le_bytes([b[0], b[1]]) as f32 / 32768.0).collect();
    println!("load {:?}", t0.elapsed());
    let mut options =
        TranscribeOptions { temperatures: vec![0.0], word_timestamps: args.len() > 3, ..Default::default() };
    if args.len() > 4 {
        options.decode.beam_size = Some(5);
    }
    let t0 = std::time::Instant::now();
    let tr = t.run(&Waveform::new(samples), options, &mut observer::Silent).unwrap();
    println!("run {:?}", t0.elapsed());
    for s in &tr.segments {
        println!(
            "{:.2} {:.2} {} {:?} {} {} {}",
            s.start, s.end, s.text, s.tokens, s.avg_logprob, s.compression_ratio, s.no_speech_prob
        );
        for w in s.words.iter().flatten() {
            print!("{}({:.2},{:.2},{:.3})", w.word, w.start, w.end, w.probability);
        }
        println!();
    }
    println!("{}", tr.language);
}
