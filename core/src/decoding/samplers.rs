//! How the next token of every row is chosen: the most probable, a random one, or by beam search.

use rand_core::{RngCore, SeedableRng};
use rand_pcg::Pcg64Mcg;

use crate::kernels;

mod beam;

pub use beam::BeamSearchDecoder;

/// The rows being decoded: the candidates of each piece of audio, audio by audio.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// Each row's tokens, prompt included.
    pub tokens: Vec<Vec<u32>>,
    /// Each row's log-probability since the prompt.
    pub sum_logprobs: Vec<f64>,
    /// Rows per piece of audio.
    pub n_group: usize,
}

impl Batch {
    /// Rows of `n_group` candidates each, nothing sampled yet.
    pub fn new(tokens: Vec<Vec<u32>>, n_group: usize) -> Self {
        Self { sum_logprobs: vec![0.0; tokens.len()], tokens, n_group }
    }
}

/// A finished row.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Candidate {
    /// Tokens, with the end of the text among them or after them.
    pub tokens: Vec<u32>,
    /// Their log-probability.
    pub sum_logprob: f64,
}

/// What a [`TokenDecoder`] did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Row `i` now continues what row `source_rows[i]` was; `None` if every row continues itself.
    pub source_rows: Option<Vec<usize>>,
    /// Whether nothing is left to sample.
    pub completed: bool,
}

/// Chooses the next token of every row.
pub trait TokenDecoder {
    /// Appends a token to each row. logits: (n_batch, n_vocab), filtered
    fn update(&mut self, batch: &mut Batch, logits: &[f32], n_vocab: usize) -> Step;

    /// The candidates of each piece of audio.
    fn finalize(&mut self, batch: Batch) -> Vec<Vec<Candidate>>;
}

/// Takes the most probable token, or at a temperature above 0 a random one by its probability.
#[derive(Debug)]
pub struct GreedyDecoder {
    temperature: f64,
    eot: u32,
    random: Pcg64Mcg,
}

impl GreedyDecoder {
    /// `seed` decides everything that is random.
    pub fn new(temperature: f64, eot: u32, seed: u64) -> Self {
        Self { temperature, eot, random: Pcg64Mcg::seed_from_u64(seed) }
    }

    fn sample(&mut self, row: &[f32]) -> usize {
        let max = kernels::max(row);
        let weight = |&x: &f32| (f64::from(x - max) / self.temperature).exp();
        let total: f64 = row.iter().map(weight).sum();
        // 53 random bits: uniform in [0, 1).
        let uniform = (self.random.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
        let mut left = uniform * total;
        let mut last = 0;
        for (i, x) in row.iter().enumerate() {
            let weight = weight(x);
            if weight > 0.0 {
                last = i;
                if left < weight {
                    break;
                }
                left -= weight;
            }
        }
        last
    }
}

/// The first of the largest values.
fn argmax(row: &[f32]) -> usize {
    let max = kernels::max(row);
    row.iter().position(|&x| x == max).unwrap_or(0)
}

impl TokenDecoder for GreedyDecoder {
    fn update(&mut self, batch: &mut Batch, logits: &[f32], n_vocab: usize) -> Step {
        let mut completed = true;
        let rows = batch.tokens.iter_mut().zip(&mut batch.sum_logprobs);
        for ((tokens, sum_logprob), row) in rows.zip(logits.chunks_exact(n_vocab)) {
            if tokens.last() == Some(&self.eot) {
                tokens.push(self.eot);
                continue;
            }
            let token = if self.temperature == 0.0 { argmax(row) } else { self.sample(row) };
            *sum_logprob += f64::from(row[token] - kernels::log_sum_exp(row));
            tokens.push(token as u32);
            completed &= token as u32 == self.eot;
        }
        Step { source_rows: None, completed }
    }

    fn finalize(&mut self, batch: Batch) -> Vec<Vec<Candidate>> {
        let Batch { tokens, sum_logprobs, n_group } = batch;
        let candidates: Vec<Candidate> = tokens
            .into_iter()
            .zip(sum_logprobs)
            .map(|(tokens, sum_logprob)| Candidate { tokens, sum_logprob })
            .collect();
        candidates.chunks(n_group).map(<[Candidate]>::to_vec).collect()
    }
}
