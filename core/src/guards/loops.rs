//! Text that goes round in circles.

/// Tokens that say nothing new, from which on a text goes round in circles.
pub(crate) const SPARE_TOKENS: usize = 8;

/// The part of `tokens` that says least new, as (length of what is repeated, times it is there, one after the other), if it is
/// there three times and says nothing new for `spare` tokens.
///
/// ```
/// # use candle_whisper_core::guards::longest_loop;
/// assert_eq!(longest_loop(&[7, 1, 2, 1, 2, 1, 2, 1, 2, 9], 6), Some((2, 4)));
/// assert_eq!(longest_loop(&[1, 2, 3, 1, 2, 3], 3), None);
/// ```
pub fn longest_loop(tokens: &[u32], spare: usize) -> Option<(usize, usize)> {
    let (mut most, mut found) = (spare.max(1) - 1, None);
    // Twice is emphasis, or a refrain.
    for length in 1..=tokens.len() / 3 {
        let mut same = 0;
        for i in length..tokens.len() {
            same = if tokens[i] == tokens[i - length] { same + 1 } else { 0 };
            if same >= 2 * length && same > most {
                (most, found) = (same, Some((length, same / length + 1)));
            }
        }
    }
    found
}
