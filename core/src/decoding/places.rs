//! The loop of decoding over some places: a window that is done leaves its place to the next one, so that the network always
//! reads its weights for as many of them as there are.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::Arc;

use candle_core::{Device, Tensor};

use super::choice::{Chosen, Question, Rules};
use super::filters::{LogitFilter, NoBreakingOff};
use super::samplers::{Batch, Step, TokenDecoder};
use super::{DecodingResult, DecodingTask, detect_language, most_probable};
use crate::error::Result;
use crate::kernels;
use crate::kv_cache::KvCache;
use crate::model::{AudioFeatures, Model, Piece};

/// A window that is to be decoded.
pub(crate) struct Wanted<'a> {
    /// What its asker knows it by.
    pub id: usize,
    pub task: DecodingTask<'a>,
    pub audio: Arc<Piece>,
    /// All that is random in it follows from this.
    pub seed: u64,
    /// For a window of which nobody hears the rest, if it breaks off.
    pub whole: Option<NoBreakingOff>,
}

impl Wanted<'_> {
    fn filters(&self) -> impl Iterator<Item = &dyn LogitFilter> {
        let own = self.whole.as_ref().map(|filter| filter as &dyn LogitFilter);
        self.task.filters.iter().map(|filter| &**filter as &dyn LogitFilter).chain(own)
    }
}

/// Who has windows to be decoded.
pub(crate) trait Asker<'a> {
    /// The next windows, `n` at most; none if there are none before another one is done.
    fn next(&mut self, n: usize) -> Result<Vec<Wanted<'a>>>;

    /// The leading candidate's sampled tokens so far, of the window that has been there longest.
    fn on_tokens(&mut self, id: usize, tokens: &[u32]) -> ControlFlow<()>;

    /// Whether nothing that follows these sampled tokens would make a difference any more.
    fn is_vain(&self, id: usize, tokens: &[u32]) -> bool;

    /// A window is decoded, or was in vain.
    fn done(&mut self, id: usize, audio: Arc<Piece>, result: DecodingResult) -> Result<ControlFlow<()>>;
}

/// A window that is being decoded.
struct Place<'a> {
    wanted: Wanted<'a>,
    /// Its candidates alone.
    batch: Batch,
    decoder: Box<dyn TokenDecoder>,
    language: String,
    no_speech_prob: f64,
    /// Tokens that were sampled.
    n_steps: usize,
    /// How many came before it.
    number: usize,
}

impl Place<'_> {
    /// Chooses the next tokens; what each row continues if that is not itself. logits: (n_group, n_vocab)
    fn sample(&mut self, logits: &mut [f32], n_vocab: usize) -> Option<Vec<usize>> {
        for (row, tokens) in logits.chunks_exact_mut(n_vocab).zip(&self.batch.tokens) {
            self.wanted.filters().for_each(|filter| filter.apply(row, tokens));
        }
        let Step { source_rows, .. } = self.decoder.update(&mut self.batch, logits, n_vocab);
        self.n_steps += 1;
        source_rows
    }

    /// As `sample`, from what the device chose.
    fn take(&mut self, chosen: &[Chosen]) -> Option<Vec<usize>> {
        let Step { source_rows, .. } = self.decoder.update_chosen(&mut self.batch, chosen);
        self.n_steps += 1;
        source_rows
    }

    /// What the filters never let through.
    fn suppressed(&self) -> Vec<u32> {
        self.wanted.filters().filter_map(|filter| filter.suppressed()).flatten().copied().collect()
    }

    /// What the other filters do to a row with these tokens, if it can be said so.
    fn rules(&self, tokens: &[u32]) -> Option<Rules> {
        let mut rules = Rules::default();
        self.wanted
            .filters()
            .all(|filter| filter.suppressed().is_some() || filter.rules(tokens, &mut rules))
            .then_some(rules)
    }

    fn is_finished(&self) -> bool {
        let task = &self.wanted.task;
        self.n_steps >= task.sample_len
            || self.batch.tokens[0].len() > task.model.dims().n_text_ctx
            || self.decoder.is_finished(&self.batch, 0)
    }

    fn tokens(&self) -> &[u32] {
        &self.batch.tokens[0][self.wanted.task.initial_tokens.len()..]
    }
}

/// All that is being decoded.
struct Places<'a> {
    model: &'a dyn Model,
    most: usize,
    /// Rows of the cache are those of each place's candidates in turn.
    places: Vec<Option<Place<'a>>>,
    cache: KvCache,
    /// Candidates of each window, and tokens that a row of the cache has room for.
    n_group: usize,
    capacity: usize,
    /// What needs another cache waits until this one is free.
    waiting: VecDeque<Wanted<'a>>,
    n_entered: usize,
}

/// Decodes all that `asker` has, up to `most` windows at once; `Break` if it gave up.
pub(crate) fn decode<'a>(
    model: &'a dyn Model,
    most: usize,
    asker: &mut dyn Asker<'a>,
) -> Result<ControlFlow<()>> {
    let mut all = Places {
        model,
        most,
        places: Vec::new(),
        cache: KvCache::default(),
        n_group: 0,
        capacity: 0,
        waiting: VecDeque::new(),
        n_entered: 0,
    };
    loop {
        if all.fill(asker)?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
        all.close_gaps()?;
        if all.places.is_empty() {
            return Ok(ControlFlow::Continue(()));
        }
        if all.step(asker)?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
}

impl<'a> Places<'a> {
    /// Gives free places to windows until there are none of the one or the other.
    fn fill(&mut self, asker: &mut dyn Asker<'a>) -> Result<ControlFlow<()>> {
        loop {
            let n_free = self.most - self.places.iter().flatten().count();
            if n_free == 0 {
                return Ok(ControlFlow::Continue(()));
            }
            if self.waiting.is_empty() {
                self.waiting.extend(asker.next(n_free)?);
            }
            let Some(first) = self.waiting.front() else { return Ok(ControlFlow::Continue(())) };
            let (n_group, needed) = (first.task.n_group(), first.task.capacity());
            let fits = n_group == self.n_group && needed <= self.capacity;
            if !fits && n_free < self.most {
                return Ok(ControlFlow::Continue(()));
            }
            // Prompts of one length run together.
            let alike = |wanted: &Wanted<'_>| {
                let task = &wanted.task;
                (task.n_group(), task.capacity()) == (n_group, needed)
                    && task.initial_tokens.len() == first.task.initial_tokens.len()
                    && task.sot_index == first.task.sot_index
            };
            let n = self.waiting.iter().take(n_free).take_while(|wanted| alike(wanted)).count();
            if !fits {
                self.places.clear();
                self.cache = self.model.new_cache(n * n_group, needed)?;
                self.cache.clear();
                (self.n_group, self.capacity) = (n_group, needed);
            }
            let wanted = self.waiting.drain(..n).collect();
            if self.enter(wanted, asker)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
    }

    /// Runs the prompts of some windows, and gives them free places.
    fn enter(&mut self, all: Vec<Wanted<'a>>, asker: &mut dyn Asker<'a>) -> Result<ControlFlow<()>> {
        let audio: AudioFeatures =
            all.iter().map(|wanted| Arc::clone(&wanted.audio)).collect::<Vec<_>>().into();
        let prompts = self.prompts(&all, &audio)?;
        let n_tokens = prompts.first().map_or(0, |(row, _)| row.len());
        let mut cache = self.model.new_cache(all.len(), n_tokens)?;
        let rows: Vec<u32> = prompts.iter().flat_map(|(row, _)| row.iter().copied()).collect();
        let sot_index = all.first().map_or(0, |wanted| wanted.task.sot_index);
        let (logits, no_speech_probs) =
            self.first_logits(rows, n_tokens, sot_index, &audio, &mut cache, &all)?;
        let n_vocab = self.model.dims().n_vocab;
        let n_before = self.n_entered;
        for (i, (wanted, (row, language))) in all.into_iter().zip(prompts).enumerate() {
            let mut place = Place {
                batch: Batch::new(vec![row; self.n_group], self.n_group),
                decoder: wanted.task.decoder(wanted.seed),
                language,
                no_speech_prob: no_speech_probs[i],
                n_steps: 0,
                number: n_before + i,
                wanted,
            };
            self.n_entered += 1;
            // The candidates of one window begin alike, so that all of them may continue the one row there is.
            place.sample(&mut logits[i * n_vocab..][..n_vocab].repeat(self.n_group), n_vocab);
            if self.is_first(&place) && asker.on_tokens(place.wanted.id, place.tokens()).is_break() {
                return Ok(ControlFlow::Break(()));
            }
            if place.is_finished() {
                if hand_out(place, asker)?.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
                continue;
            }
            let free = self.places.iter().position(Option::is_none).unwrap_or(self.places.len());
            let rows: Vec<usize> = (free * self.n_group..(free + 1) * self.n_group).collect();
            self.cache.put(&rows, &cache, &vec![i; self.n_group])?;
            match self.places.get_mut(free) {
                Some(free) => *free = Some(place),
                None => self.places.push(Some(place)),
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Each window's initial tokens and language, heard where it is not given.
    fn prompts(&self, all: &[Wanted<'a>], audio: &AudioFeatures) -> Result<Vec<(Vec<u32>, String)>> {
        let unknown: Vec<usize> = (0..all.len()).filter(|&i| all[i].task.must_detect()).collect();
        let mut heard = Vec::new().into_iter();
        if let Some(&first) = unknown.first() {
            let tokenizer = all[first].task.tokenizer;
            heard = detect_language(self.model, tokenizer, &audio.select(&unknown)?)?.into_iter();
        }
        let prompt = |wanted: &Wanted<'a>| -> Result<(Vec<u32>, String)> {
            let task = &wanted.task;
            let mut row = task.initial_tokens.clone();
            if !task.must_detect() {
                return Ok((row, task.language()?));
            }
            let best = most_probable(&heard.next().unwrap_or_default())?;
            row[task.sot_index + 1] = task.tokenizer.language_token(best.code)?.0;
            Ok((row, best.code.to_owned()))
        };
        all.iter().map(prompt).collect()
    }

    /// Runs prompts. -> logits of their last tokens, (n_audio, n_vocab), and the probabilities of no speech
    fn first_logits(
        &self,
        rows: Vec<u32>,
        n_tokens: usize,
        sot_index: usize,
        audio: &AudioFeatures,
        cache: &mut KvCache,
        all: &[Wanted<'a>],
    ) -> Result<(Vec<f32>, Vec<f64>)> {
        let tokens = Tensor::from_vec(rows, (all.len(), n_tokens), &Device::Cpu)?;
        let hidden = self.model.decode(&tokens, audio, cache)?; // (n_audio, n_tokens, n_state)
        let logits_at = |index: usize| -> Result<Vec<f32>> {
            let hidden = hidden.narrow(1, index, 1)?.squeeze(1)?.contiguous()?;
            self.model.logits(&hidden)
        };
        let last = logits_at(n_tokens - 1)?;
        let at_sot = if sot_index + 1 == n_tokens { last.clone() } else { logits_at(sot_index)? };
        let probability = |(wanted, row): (&Wanted<'a>, &[f32])| {
            let no_speech = wanted.task.tokenizer.special().no_speech as usize;
            f64::from((row[no_speech] - kernels::log_sum_exp(row)).exp())
        };
        let rows = all.iter().zip(at_sot.chunks_exact(self.model.dims().n_vocab));
        let no_speech_probs = rows.map(probability).collect();
        Ok((last, no_speech_probs))
    }

    /// Lets windows that were last take places that nobody wants.
    fn close_gaps(&mut self) -> Result<()> {
        if self.places.iter().all(Option::is_some) {
            return Ok(());
        }
        let mut order: Vec<usize> = (0..self.places.len()).collect();
        let mut i = 0;
        while i < self.places.len() {
            if self.places[i].is_none() {
                self.places.swap_remove(i);
                order.swap_remove(i);
            } else {
                i += 1;
            }
        }
        let rows = order.iter().flat_map(|&place| place * self.n_group..(place + 1) * self.n_group);
        self.cache.reorder(&rows.collect::<Vec<_>>())?;
        Ok(())
    }

    /// Runs each row's last token, and samples the next one. There are no gaps before it.
    fn step(&mut self, asker: &mut dyn Asker<'a>) -> Result<ControlFlow<()>> {
        let rows = || self.places.iter().flatten();
        let last: Vec<u32> =
            rows().flat_map(|p| &p.batch.tokens).filter_map(|tokens| tokens.last().copied()).collect();
        let audio: AudioFeatures = rows().map(|p| Arc::clone(&p.wanted.audio)).collect::<Vec<_>>().into();
        let tokens = Tensor::new(last, &Device::Cpu)?.unsqueeze(1)?;
        let hidden = self.model.decode(&tokens, &audio, &mut self.cache)?.squeeze(1)?;
        let mut source_rows: Vec<usize> = (0..self.cache.n_batch()).collect();
        let mut finished = Vec::new();
        let sources = self.sample(&hidden)?;
        let n_group = self.n_group;
        for (i, (place, sources)) in self.places.iter().flatten().zip(sources).enumerate() {
            // Of several candidates another one may take the place of the first.
            let is_vain = || n_group == 1 && asker.is_vain(place.wanted.id, place.tokens());
            if place.is_finished() || is_vain() {
                finished.push(i);
            } else if let Some(sources) = sources {
                let rows = source_rows[i * n_group..].iter_mut().zip(sources);
                rows.for_each(|(row, source)| *row = i * n_group + source);
            }
        }
        if let Some(first) = self.places.iter().flatten().min_by_key(|place| place.number)
            && asker.on_tokens(first.wanted.id, first.tokens()).is_break()
        {
            return Ok(ControlFlow::Break(()));
        }
        self.cache.reorder(&source_rows)?;
        for i in finished {
            if let Some(place) = self.places[i].take()
                && hand_out(place, asker)?.is_break()
            {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Chooses each row's next token, where the logits are if that can be. hidden: (n_batch, n_state)
    /// -> what each place's rows continue if that is not themselves
    fn sample(&mut self, hidden: &Tensor) -> Result<Vec<Option<Vec<usize>>>> {
        let n_group = self.n_group;
        let chosen = match self.asked() {
            Some((suppressed, top, rows)) => {
                let question = Question { suppressed: &suppressed, rows: &rows, top };
                self.model.choose(hidden, &question)?
            }
            None => None,
        };
        if let Some(chosen) = chosen {
            let of_places = self.places.iter_mut().flatten().zip(chosen.chunks_exact(n_group));
            return Ok(of_places.map(|(place, chosen)| place.take(chosen)).collect());
        }
        let mut logits = self.model.logits(hidden)?;
        let n_vocab = self.model.dims().n_vocab;
        let of_places = self.places.iter_mut().flatten().zip(logits.chunks_exact_mut(n_vocab * n_group));
        Ok(of_places.map(|(place, logits)| place.sample(logits, n_vocab)).collect())
    }

    /// What a device would have to know to choose the next tokens, if that is all there is to know: tokens that no row samples,
    /// how many of each row are asked for, and each row's rules.
    fn asked(&self) -> Option<(Vec<u32>, usize, Vec<Rules>)> {
        if self.model.device().is_cpu() {
            return None; // the logits are here
        }
        let first = self.places.iter().flatten().next()?;
        let (suppressed, top) = (first.suppressed(), first.decoder.top()?);
        let mut rows = Vec::new();
        for place in self.places.iter().flatten() {
            if place.decoder.top() != Some(top) || place.suppressed() != suppressed {
                return None;
            }
            for tokens in &place.batch.tokens {
                rows.push(place.rules(tokens)?);
            }
        }
        Some((suppressed, top, rows))
    }

    /// Whether nobody has been there longer.
    fn is_first(&self, place: &Place<'a>) -> bool {
        self.places.iter().flatten().all(|other| other.number > place.number)
    }
}

fn hand_out<'a>(place: Place<'a>, asker: &mut dyn Asker<'a>) -> Result<ControlFlow<()>> {
    let candidates = place.decoder.candidates(&place.batch, 0);
    let Wanted { id, task, audio, .. } = place.wanted;
    asker.done(id, audio, task.result(candidates, place.language, place.no_speech_prob))
}
