//! How the next token of every row is chosen: the most probable, a random one, or by beam search.

use rand_core::{RngCore, SeedableRng};
use rand_pcg::Pcg64Mcg;

use super::choice::Chosen;
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

    /// Pieces of audio.
    pub fn n_audio(&self) -> usize {
        self.tokens.len() / self.n_group
    }

    /// The rows of a piece of audio.
    pub fn rows(&self, audio: usize) -> std::ops::Range<usize> {
        audio * self.n_group..(audio + 1) * self.n_group
    }

    /// The same with the rows of these pieces of audio alone.
    #[must_use]
    pub fn with(&self, audios: &[usize]) -> Self {
        let rows = || audios.iter().flat_map(|&audio| self.rows(audio));
        Self {
            tokens: rows().map(|row| self.tokens[row].clone()).collect(),
            sum_logprobs: rows().map(|row| self.sum_logprobs[row]).collect(),
            n_group: self.n_group,
        }
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

    /// How many of each row's most probable tokens are all that is needed of its logits; `None` if all are.
    fn top(&self) -> Option<usize>;

    /// As `update`, from each row's [`TokenDecoder::top`] tokens.
    fn update_chosen(&mut self, batch: &mut Batch, chosen: &[Chosen]) -> Step;

    /// Whether nothing is left to sample for a piece of audio.
    fn is_finished(&self, batch: &Batch, audio: usize) -> bool;

    /// The candidates of a piece of audio.
    fn candidates(&self, batch: &Batch, audio: usize) -> Vec<Candidate>;

    /// Goes on with these pieces of audio alone; the caller keeps their rows.
    fn keep(&mut self, audios: &[usize]);

    /// The candidates of each piece of audio.
    fn finalize(&self, batch: &Batch) -> Vec<Vec<Candidate>> {
        (0..batch.n_audio()).map(|audio| self.candidates(batch, audio)).collect()
    }
}

/// Takes the most probable token, or at a temperature above 0 a random one by its probability.
#[derive(Debug)]
pub struct GreedyDecoder {
    temperature: f64,
    eot: u32,
    /// Each piece of audio has its own, so that the others make no difference to it.
    random: Vec<Pcg64Mcg>,
}

impl GreedyDecoder {
    /// `seeds`, one for each piece of audio, decide everything that is random.
    pub fn new(temperature: f64, eot: u32, seeds: &[u64]) -> Self {
        Self { temperature, eot, random: seeds.iter().map(|&seed| Pcg64Mcg::seed_from_u64(seed)).collect() }
    }

    fn sample(&mut self, audio: usize, row: &[f32]) -> usize {
        let max = kernels::max(row);
        let temperature = self.temperature;
        let weight = |&x: &f32| (f64::from(x - max) / temperature).exp();
        let total: f64 = row.iter().map(weight).sum();
        // 53 random bits: uniform in [0, 1).
        let uniform = (self.random[audio].next_u64() >> 11) as f64 / (1u64 << 53) as f64;
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

/// Numbers that are looked through at once.
const SOME: usize = 256;

/// The first of the largest values.
fn argmax(row: &[f32]) -> usize {
    let max = kernels::max(row);
    // Some at a time, by vectors, until they have it.
    let (at, some) = row
        .chunks(SOME)
        .enumerate()
        .find(|(_, x)| x.iter().fold(false, |has, &x| has | (x == max)))
        .unwrap_or((0, row));
    at * SOME + some.iter().position(|&x| x == max).unwrap_or(0)
}

impl TokenDecoder for GreedyDecoder {
    fn update(&mut self, batch: &mut Batch, logits: &[f32], n_vocab: usize) -> Step {
        let n_group = batch.n_group;
        let rows = logits.chunks_exact(n_vocab).zip(&batch.tokens).enumerate();
        let mut chosen = Vec::with_capacity(batch.tokens.len());
        for (i, (row, tokens)) in rows {
            chosen.push(if tokens.last() == Some(&self.eot) {
                Vec::new()
            } else {
                let token = if self.temperature == 0.0 { argmax(row) } else { self.sample(i / n_group, row) };
                vec![(token as u32, row[token] - kernels::log_sum_exp(row))]
            });
        }
        self.update_chosen(batch, &chosen)
    }

    fn top(&self) -> Option<usize> {
        (self.temperature == 0.0).then_some(1)
    }

    fn update_chosen(&mut self, batch: &mut Batch, chosen: &[Chosen]) -> Step {
        let mut completed = true;
        let rows = batch.tokens.iter_mut().zip(&mut batch.sum_logprobs);
        for ((tokens, sum_logprob), chosen) in rows.zip(chosen) {
            // A row that has ended stays as it is.
            let next = chosen.first().filter(|_| tokens.last() != Some(&self.eot));
            let &(token, logprob) = next.unwrap_or(&(self.eot, 0.0));
            *sum_logprob += f64::from(logprob);
            tokens.push(token);
            completed &= token == self.eot;
        }
        Step { source_rows: None, completed }
    }

    fn is_finished(&self, batch: &Batch, audio: usize) -> bool {
        batch.tokens[batch.rows(audio)].iter().all(|tokens| tokens.last() == Some(&self.eot))
    }

    fn candidates(&self, batch: &Batch, audio: usize) -> Vec<Candidate> {
        let of_row = |row: usize| Candidate {
            tokens: batch.tokens[row].clone(),
            sum_logprob: batch.sum_logprobs[row],
        };
        batch.rows(audio).map(of_row).collect()
    }

    fn keep(&mut self, audios: &[usize]) {
        self.random = audios.iter().map(|&audio| self.random[audio].clone()).collect();
    }
}
