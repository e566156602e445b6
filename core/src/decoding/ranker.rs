//! Which candidate is the best.

use super::samplers::Candidate;

/// The candidate of the highest log-probability for its length; the first of equals.
///
/// Length counts plainly, or by Google NMT's `((5 + length) / 6) ^ length_penalty`.
pub fn best_candidate(candidates: Vec<Candidate>, length_penalty: Option<f64>) -> Option<Candidate> {
    let score = |c: &Candidate| {
        let length = c.tokens.len() as f64;
        let penalty = match length_penalty {
            None => length.max(1.0),
            Some(alpha) => ((5.0 + length) / 6.0).powf(alpha),
        };
        c.sum_logprob / penalty
    };
    let better = |best: Option<(f64, Candidate)>, next: Candidate| match (best, score(&next)) {
        (Some((best_score, best)), next_score) if best_score >= next_score => Some((best_score, best)),
        (_, next_score) => Some((next_score, next)),
    };
    candidates.into_iter().fold(None, better).map(|(_, candidate)| candidate)
}
