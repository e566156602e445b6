//! Greedy, sampling and beam search on rows of a few tokens.

use candle_whisper_core::decoding::best_candidate;
use candle_whisper_core::decoding::samplers::{
    Batch, BeamSearchDecoder, Candidate, GreedyDecoder, TokenDecoder,
};

const EOT: u32 = 4;

fn logits(rows: &[[f64; 5]]) -> Vec<f32> {
    rows.iter().flatten().map(|p| p.ln() as f32).collect()
}

fn batch(rows: usize, n_group: usize) -> Batch {
    Batch::new(vec![vec![9]; rows], n_group)
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-5
}

#[test]
fn greedy_takes_the_most_probable_and_counts_the_end() {
    let mut decoder = GreedyDecoder::new(0.0, EOT, &[0]);
    let mut rows = batch(2, 1);
    let step = decoder.update(&mut rows, &logits(&[[0.1, 0.5, 0.2, 0.1, 0.1], [0.1, 0.1, 0.1, 0.1, 0.6]]), 5);
    assert!(!step.completed && step.source_rows.is_none());
    let step = decoder.update(&mut rows, &logits(&[[0.1, 0.1, 0.1, 0.1, 0.6], [0.9, 0.0, 0.0, 0.0, 0.1]]), 5);
    assert!(step.completed);
    assert_eq!(rows.tokens, [[9, 1, 4], [9, 4, 4]]);
    assert!(close(rows.sum_logprobs[0], 0.3f64.ln()) && close(rows.sum_logprobs[1], 0.6f64.ln()));
    assert_eq!(decoder.finalize(&rows).len(), 2);
}

#[test]
fn the_first_of_equal_tokens_is_taken() {
    let mut rows = batch(1, 1);
    GreedyDecoder::new(0.0, EOT, &[0]).update(&mut rows, &logits(&[[0.1, 0.4, 0.4, 0.05, 0.05]]), 5);
    assert_eq!(rows.tokens, [[9, 1]]);
}

#[test]
fn sampling_follows_the_probabilities_and_the_seed() {
    let row = logits(&[[0.5, 0.3, 0.2, 0.0, 0.0]]);
    let run = |seed: u64, temperature: f64| {
        let mut decoder = GreedyDecoder::new(temperature, EOT, &[seed]);
        let mut counts = [0; 5];
        for _ in 0..4000 {
            let mut rows = batch(1, 1);
            decoder.update(&mut rows, &row, 5);
            counts[rows.tokens[0][1] as usize] += 1;
        }
        counts
    };
    let counts = run(1, 1.0);
    assert_eq!(counts, run(1, 1.0));
    assert_ne!(counts, run(2, 1.0));
    assert!((1850..2150).contains(&counts[0]) && (1050..1350).contains(&counts[1]), "{counts:?}");
    assert_eq!(counts[3..], [0, 0]);
    // A low temperature sharpens: 0.5^5 against 0.3^5 and 0.2^5.
    assert!(run(1, 0.2)[0] > 3500);
}

#[test]
fn beams_begin_apart_and_follow_the_best_sums() {
    let mut decoder = BeamSearchDecoder::new(2, EOT, None);
    let mut rows = batch(2, 2);
    let first = [0.1, 0.5, 0.3, 0.05, 0.05];
    let step = decoder.update(&mut rows, &logits(&[first, first]), 5);
    assert_eq!(rows.tokens, [[9, 1], [9, 2]]);
    assert_eq!(step.source_rows.unwrap().len(), 2);
    // The second beam's sure continuation overtakes the first's unsure ones.
    let step = decoder.update(
        &mut rows,
        &logits(&[[0.3, 0.25, 0.15, 0.15, 0.15], [0.96, 0.01, 0.01, 0.01, 0.01]]),
        5,
    );
    assert_eq!(step.source_rows.unwrap(), [1, 0]);
    assert_eq!(rows.tokens, [[9, 2, 0], [9, 1, 0]]);
    assert!(close(rows.sum_logprobs[0], (0.3f64 * 0.96).ln()));
}

#[test]
fn beam_search_ends_when_enough_have_ended() {
    for (patience, steps) in [(None, 1), (Some(2.0), 2)] {
        let mut decoder = BeamSearchDecoder::new(1, EOT, patience);
        let mut rows = batch(1, 1);
        let row = logits(&[[0.2, 0.1, 0.05, 0.05, 0.6]]);
        let mut taken = 1;
        while !decoder.update(&mut rows, &row, 5).completed {
            taken += 1;
        }
        assert_eq!(taken, steps, "{patience:?}");
        let candidates = decoder.finalize(&rows).swap_remove(0);
        assert_eq!(candidates[0].tokens, [9, EOT]);
        assert_eq!(candidates.len(), steps);
    }
}

#[test]
fn beams_that_have_not_ended_fill_up_the_candidates() {
    let mut decoder = BeamSearchDecoder::new(3, EOT, None);
    let mut rows = batch(3, 3);
    let row = [0.3, 0.2, 0.1, 0.1, 0.3];
    decoder.update(&mut rows, &logits(&[row, row, row]), 5);
    let candidates = decoder.finalize(&rows).swap_remove(0);
    let tokens: Vec<_> = candidates.iter().map(|c| c.tokens.clone()).collect();
    assert_eq!(tokens, [vec![9, EOT], vec![9, 0, EOT], vec![9, 1, EOT]]);
}

#[test]
fn pieces_of_audio_do_not_mix() {
    let mut decoder = BeamSearchDecoder::new(2, EOT, None);
    let mut rows = batch(4, 2);
    let (a, b) = ([0.6, 0.2, 0.1, 0.05, 0.05], [0.05, 0.05, 0.2, 0.6, 0.1]);
    let step = decoder.update(&mut rows, &logits(&[a, a, b, b]), 5);
    assert_eq!(rows.tokens, [[9, 0], [9, 1], [9, 3], [9, 2]]);
    assert!(step.source_rows.unwrap().iter().enumerate().all(|(i, s)| i / 2 == s / 2));
}

#[test]
fn candidates_rank_by_logprob_for_their_length() {
    let candidate = |n: usize, sum_logprob: f64| Candidate { tokens: vec![1; n], sum_logprob };
    let both = || vec![candidate(2, -1.0), candidate(8, -2.0)];
    assert_eq!(best_candidate(both(), None).unwrap().tokens.len(), 8);
    // alpha 0: the sum alone counts.
    assert_eq!(best_candidate(both(), Some(0.0)).unwrap().tokens.len(), 2);
    assert_eq!(best_candidate(vec![candidate(3, -3.0), candidate(1, -1.0)], None).unwrap().tokens.len(), 3);
    assert!(best_candidate(Vec::new(), None).is_none());
}
