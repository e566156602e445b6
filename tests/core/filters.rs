//! The rules, as tables of what was sampled and what may follow.

use candle_whisper_core::decoding::choice::Rules;
use candle_whisper_core::decoding::filters::{
    ApplyTimestampRules, LogitFilter, NoBreakingOff, SuppressBlank, SuppressTokens,
};

use candle_whisper_core::decoding::repeats::{NoRepeatNgram, RepetitionPenalty};

use crate::data::tokenizer;

const N_VOCAB: usize = 51864;
const EOT: u32 = 50256;
const T0: u32 = 50363;
const TEXT: u32 = 1000;
const SOT: u32 = 50257;

/// All logits 0 before, and what remains after a rule.
fn remaining(filter: &dyn LogitFilter, tokens: &[u32]) -> Vec<bool> {
    let mut logits = vec![0.0; N_VOCAB];
    // Text keeps the upper hand, so the rule on sums does not hide the others.
    logits[TEXT as usize] = 20.0;
    logits[EOT as usize] = 20.0;
    filter.apply(&mut logits, tokens);
    logits.iter().map(|x| x.is_finite()).collect()
}

#[test]
fn timestamps_follow_the_rules() {
    let tokenizer = tokenizer(N_VOCAB);
    let rules = ApplyTimestampRules::new(&tokenizer, 1, Some(50));
    // sampled so far; allowed text?; end allowed?; timestamps allowed from, to
    type Row = (&'static [u32], bool, bool, Option<(u32, u32)>);
    let table: [Row; 7] = [
        (&[], false, false, Some((0, 50))),
        (&[T0], true, true, None),
        (&[T0, TEXT], true, true, Some((1, 1500))),
        (&[T0, TEXT, T0 + 10], false, true, Some((10, 1500))),
        (&[T0, TEXT, T0 + 10, T0 + 10], true, true, None),
        (&[T0, TEXT, T0 + 10, T0 + 10, TEXT], true, true, Some((11, 1500))),
        (&[T0 + 3, TEXT, TEXT], true, true, Some((4, 1500))),
    ];
    for (sampled, text, end, times) in table {
        let tokens = [&[SOT], sampled].concat();
        let left = remaining(&rules, &tokens);
        assert_eq!(left[TEXT as usize], text, "text after {sampled:?}");
        assert_eq!(left[EOT as usize], end, "end after {sampled:?}");
        assert!(!left[T0 as usize - 1], "<|notimestamps|> after {sampled:?}");
        let allowed: Vec<u32> = (0..=1500).filter(|i| left[(T0 + i) as usize]).collect();
        let expected: Vec<u32> = times.map_or(Vec::new(), |(from, to)| (from..=to).collect());
        assert_eq!(allowed, expected, "times after {sampled:?}");
    }
}

#[test]
fn timestamps_win_when_together_they_are_more_probable_than_any_text() {
    let tokenizer = tokenizer(N_VOCAB);
    let rules = ApplyTimestampRules::new(&tokenizer, 1, None);
    for (text_logit, text_left) in [(7.4, true), (7.2, false)] {
        // ln(1499) = 7.31
        let mut logits = vec![0.0; N_VOCAB];
        logits[TEXT as usize] = text_logit;
        rules.apply(&mut logits, &[SOT, T0 + 1, TEXT]);
        assert_eq!(logits[TEXT as usize].is_finite(), text_left, "{text_logit}");
    }
}

#[test]
fn without_a_limit_the_first_timestamp_may_be_any() {
    let tokenizer = tokenizer(N_VOCAB);
    let left = remaining(&ApplyTimestampRules::new(&tokenizer, 1, None), &[SOT]);
    assert_eq!(left.iter().filter(|&&x| x).count(), 1501);
}

#[test]
fn blanks_are_suppressed_at_the_beginning_only() {
    let tokenizer = tokenizer(N_VOCAB);
    let filter = SuppressBlank::new(&tokenizer, 1);
    let left = remaining(&filter, &[SOT]);
    assert!(!left[220] && !left[EOT as usize]);
    assert_eq!(left.iter().filter(|&&x| !x).count(), 2);
    assert!(remaining(&filter, &[SOT, T0]).iter().all(|&x| x));
}

#[test]
fn listed_tokens_are_never_sampled() {
    let left = remaining(&SuppressTokens::new(vec![0, 5, 51863]), &[SOT]);
    let gone: Vec<usize> = (0..N_VOCAB).filter(|&i| !left[i]).collect();
    assert_eq!(gone, [0, 5, 51863]);
}

#[test]
fn text_that_is_there_already_becomes_less_probable_and_times_do_not() {
    let filter = RepetitionPenalty::new(&tokenizer(N_VOCAB), 2, 2.0);
    let mut logits = vec![1.0; N_VOCAB];
    logits[6] = -1.0;
    filter.apply(&mut logits, &[7, SOT, T0, 5, 6, 5, T0 + 3]);
    assert_eq!((logits[5], logits[6]), (0.5, -2.0));
    // The prompt's, times, the end, and what was not said.
    assert!([7, T0 as usize, T0 as usize + 3, EOT as usize, 8].iter().all(|&i| logits[i] == 1.0));
}

#[test]
fn no_row_of_so_many_tokens_comes_twice() {
    // sampled, size, forbidden
    type Row = (&'static [u32], usize, &'static [u32]);
    let table: [Row; 6] = [
        (&[T0, 1, 2, 3, 1, 2], 3, &[3]),
        (&[T0, 1, 2, T0 + 5, T0 + 5, 1], 2, &[2]),
        (&[1, 2, 1, 3, 1], 2, &[2, 3]),
        (&[1, 2], 1, &[1, 2]),
        (&[1], 3, &[]),
        (&[], 1, &[]),
    ];
    for (sampled, size, forbidden) in table {
        let mut logits = vec![0.0; N_VOCAB];
        NoRepeatNgram::new(&tokenizer(N_VOCAB), 1, size).apply(&mut logits, &[&[SOT], sampled].concat());
        let found: Vec<u32> = (0..N_VOCAB as u32).filter(|&i| !logits[i as usize].is_finite()).collect();
        assert_eq!(found, forbidden, "{sampled:?} {size}");
    }
}

#[test]
fn a_text_that_must_be_whole_does_not_end_with_the_start_of_a_segment() {
    let tokenizer = tokenizer(N_VOCAB);
    let filter = NoBreakingOff::new(&tokenizer, 1, 400);
    let may_end = |sampled: &[u32]| remaining(&filter, &[&[SOT], sampled].concat())[EOT as usize];
    assert!(!may_end(&[T0, TEXT, T0 + 10, T0 + 10]));
    assert!(!may_end(&[T0, TEXT, T0 + 10, T0 + 399]));
    assert!(may_end(&[T0, TEXT, T0 + 10, T0 + 400]), "what comes then is no speech");
    assert!(may_end(&[T0, TEXT, T0 + 10]), "one timestamp ends a text");
    assert!(may_end(&[T0, TEXT, T0 + 10, T0 + 10, TEXT]));
    assert!(may_end(&[T0]), "nothing at all may be said");
    assert!(may_end(&[]));
    let left = remaining(&filter, &[SOT, T0, TEXT, T0 + 10, T0 + 10]);
    assert_eq!(left.iter().filter(|&&left| !left).count(), 1, "nothing else is forbidden");
}

/// A device that chooses is given the rules as data: they forbid what the filters forbid, whatever was sampled so far.
#[test]
fn rules_as_data_forbid_what_the_filters_forbid() {
    let tokenizer = tokenizer(N_VOCAB);
    let sampled: [&[u32]; 9] = [
        &[],
        &[T0],
        &[T0, TEXT],
        &[T0, TEXT, T0 + 10],
        &[T0, TEXT, T0 + 10, T0 + 10],
        &[T0, TEXT, T0 + 10, T0 + 10, TEXT],
        &[T0 + 1500, TEXT, TEXT + 1, TEXT],
        &[TEXT, TEXT + 1, TEXT, TEXT + 1, TEXT],
        &[T0, TEXT, TEXT, T0 + 1499, T0 + 1500],
    ];
    let filters: [Box<dyn LogitFilter>; 5] = [
        Box::new(SuppressBlank::new(&tokenizer, 1)),
        Box::new(NoBreakingOff::new(&tokenizer, 1, 400)),
        Box::new(NoRepeatNgram::new(&tokenizer, 1, 2)),
        Box::new(ApplyTimestampRules::new(&tokenizer, 1, Some(50))),
        Box::new(ApplyTimestampRules::new(&tokenizer, 1, None)),
    ];
    for (i, filter) in filters.iter().enumerate() {
        for sampled in sampled {
            let tokens = [&[SOT], sampled].concat();
            let mut rules = Rules::default();
            assert!(filter.rules(&tokens, &mut rules));
            assert_eq!(rules.timestamp_begin, (i >= 3).then_some(T0), "filter {i}");
            let forbidden = |token: u32| rules.forbidden.iter().any(|range| range.contains(&token));
            let left: Vec<bool> = (0..N_VOCAB as u32).map(|token| !forbidden(token)).collect();
            assert!(left == remaining(filter.as_ref(), &tokens), "filter {i} after {sampled:?}");
        }
    }
    let suppress = SuppressTokens::new(vec![TEXT, 7]);
    assert_eq!(suppress.suppressed(), Some(&[TEXT, 7][..]));
    let penalty = RepetitionPenalty::new(&tokenizer, 1, 1.5);
    assert!(!penalty.rules(&[SOT, T0, TEXT], &mut Rules::default()), "it does more than forbid");
}
