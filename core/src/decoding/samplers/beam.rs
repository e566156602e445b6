//! Beam search: of all continuations of all beams the best are kept, until enough of them have ended.

use super::{Batch, Candidate, Step, TokenDecoder};
use crate::decoding::choice::Chosen;
use crate::kernels;

/// Keeps `beam_size` rows per piece of audio; ends when `beam_size * patience` candidates have ended.
#[derive(Debug)]
pub struct BeamSearchDecoder {
    beam_size: usize,
    eot: u32,
    max_candidates: usize,
    /// Per piece of audio.
    finished: Vec<Vec<Candidate>>,
}

/// A row continued by one token.
struct Continuation {
    tokens: Vec<u32>,
    sum_logprob: f64,
    source: usize,
}

impl BeamSearchDecoder {
    /// `patience` 1 if not given (arXiv 2204.05424).
    pub fn new(beam_size: usize, eot: u32, patience: Option<f64>) -> Self {
        let max_candidates = (beam_size as f64 * patience.unwrap_or(1.0)).round_ties_even() as usize;
        Self { beam_size, eot, max_candidates, finished: Vec::new() }
    }

    /// The best continuations of one piece of audio's rows, best first.
    fn continuations(
        &self,
        batch: &Batch,
        rows: std::ops::Range<usize>,
        chosen: &[Chosen],
    ) -> Vec<Continuation> {
        let mut all: Vec<Continuation> = Vec::with_capacity(self.beam_size * (self.beam_size + 1));
        for source in rows {
            for &(token, logprob) in &chosen[source] {
                let mut tokens = Vec::with_capacity(batch.tokens[source].len() + 1);
                tokens.extend(&batch.tokens[source]);
                tokens.push(token);
                let sum_logprob = batch.sum_logprobs[source] + f64::from(logprob);
                // At the first step all rows are alike: of equal sequences one remains.
                match all.iter_mut().find(|c| c.tokens == tokens) {
                    Some(same) => *same = Continuation { tokens, sum_logprob, source },
                    None => all.push(Continuation { tokens, sum_logprob, source }),
                }
            }
        }
        all.sort_by(|a, b| b.sum_logprob.total_cmp(&a.sum_logprob));
        all
    }
}

impl TokenDecoder for BeamSearchDecoder {
    fn update(&mut self, batch: &mut Batch, logits: &[f32], n_vocab: usize) -> Step {
        let chosen: Vec<Chosen> = logits
            .chunks_exact(n_vocab)
            .map(|row| {
                let normaliser = kernels::log_sum_exp(row);
                let top = top(row, self.beam_size + 1).into_iter();
                top.map(|token| (token as u32, row[token] - normaliser)).collect()
            })
            .collect();
        self.update_chosen(batch, &chosen)
    }

    fn top(&self) -> Option<usize> {
        Some(self.beam_size + 1)
    }

    fn update_chosen(&mut self, batch: &mut Batch, chosen: &[Chosen]) -> Step {
        let n_audio = batch.n_audio();
        self.finished.resize_with(n_audio, Vec::new);
        let mut next = Batch { n_group: batch.n_group, ..Batch::default() };
        let mut source_rows = Vec::with_capacity(batch.tokens.len());
        for audio in 0..n_audio {
            let rows = batch.rows(audio);
            let mut kept = 0;
            for c in self.continuations(batch, rows, chosen) {
                if c.tokens.last() == Some(&self.eot) {
                    let finished = &mut self.finished[audio];
                    if finished.len() < self.max_candidates {
                        finished.push(Candidate { tokens: c.tokens, sum_logprob: c.sum_logprob });
                    }
                    continue;
                }
                next.tokens.push(c.tokens);
                next.sum_logprobs.push(c.sum_logprob);
                source_rows.push(c.source);
                kept += 1;
                if kept == self.beam_size {
                    break;
                }
            }
        }
        *batch = next;
        let completed = self.finished.iter().all(|f| f.len() >= self.max_candidates);
        Step { source_rows: Some(source_rows), completed }
    }

    fn is_finished(&self, _batch: &Batch, audio: usize) -> bool {
        self.finished[audio].len() >= self.max_candidates
    }

    fn candidates(&self, batch: &Batch, audio: usize) -> Vec<Candidate> {
        let mut candidates = self.finished.get(audio).cloned().unwrap_or_default();
        let mut rows: Vec<usize> = batch.rows(audio).collect();
        rows.sort_by(|&a, &b| batch.sum_logprobs[b].total_cmp(&batch.sum_logprobs[a]));
        let missing = self.beam_size.saturating_sub(candidates.len());
        for row in rows.into_iter().take(missing) {
            let mut tokens = batch.tokens[row].clone();
            tokens.push(self.eot);
            candidates.push(Candidate { tokens, sum_logprob: batch.sum_logprobs[row] });
        }
        candidates
    }

    fn keep(&mut self, audios: &[usize]) {
        self.finished = audios.iter().map(|&audio| std::mem::take(&mut self.finished[audio])).collect();
    }
}

/// Positions of the `n` largest values, largest first, earlier ones first among equals.
fn top(row: &[f32], n: usize) -> Vec<usize> {
    let n = n.min(row.len());
    let mut best: Vec<usize> = Vec::with_capacity(n + 1);
    for (i, &x) in row.iter().enumerate() {
        if best.len() == n && !best.last().is_some_and(|&worst| x > row[worst]) {
            continue;
        }
        let at = best.partition_point(|&b| row[b] >= x);
        best.insert(at, i);
        best.truncate(n);
    }
    best
}
