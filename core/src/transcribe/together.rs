//! Windows of one recording, or of several, in one batch: where a recording has no more windows, the next one's take the places
//! that are free. Each window is tried at the temperatures that it needs and then leaves its place.

use std::collections::{BTreeMap, VecDeque};
use std::ops::ControlFlow;
use std::sync::Arc;

mod ahead;

use super::batch::{Batches, LONGEST_UNHEARD};
use super::recordings::{Held, Lone, Recordings};
use super::{Transcriber, Transcription, Window, fallback};
use crate::decoding::places::{self, Asker, Wanted};
use crate::decoding::{DecodingResult, DecodingTask};
use crate::error::{Error, Result};
use crate::model::Piece;
use crate::observer::{Event, Observer};

/// Windows that are encoded at once beside the decoding of a batch of so many: a batch's rows become free one by one, and one that has
/// to wait for a window costs more than encoding few at once. Up to twice as many are ready.
pub fn encoded_beside(most: usize) -> usize {
    (most / 4).min(8)
}

/// A window on its way.
struct Job {
    number: usize,
    window: Window,
    /// Whether the encoder heard no more than its sound.
    is_brief: bool,
    /// Its decodings so far, one for each temperature.
    tried: Vec<DecodingResult>,
}

struct Together<'a, 'r> {
    transcriber: &'a Transcriber,
    recordings: &'r mut dyn Recordings,
    /// Windows at once.
    most: usize,
    open: BTreeMap<usize, Held<'r>>,
    n_started: usize,
    all_started: bool,
    /// Windows that may still begin, if not all may.
    quota: Option<usize>,
    jobs: BTreeMap<usize, Job>,
    n_jobs: usize,
    /// Windows that are encoded, or will be before they are decoded.
    ahead: VecDeque<(usize, Arc<Piece>)>,
    /// Windows that are tried again.
    again: VecDeque<(usize, Arc<Piece>)>,
    /// By recording and temperature.
    tasks: BTreeMap<(usize, usize), DecodingTask<'a>>,
    /// Windows of each recording that are in no checkpoint.
    unkept: BTreeMap<usize, usize>,
    stopped: bool,
}

impl Transcriber {
    /// Transcribes recordings with up to `n_windows` of their windows in one batch: when the first has no more, windows of the
    /// next one take the places that are free. What is said in one depends on no other.
    ///
    /// # Errors
    /// If the device fails, and with it every recording that has not ended. One that can't be heard ends alone.
    pub fn run_together(&self, n_windows: usize, recordings: &mut dyn Recordings) -> Result<()> {
        self.together(n_windows, None, recordings)
    }

    /// As [`Self::run_together`], but no more than `quota` windows begin. What is left then comes to [`Recordings::ended`] too, not
    /// done, and can be given again by [`Recordings::next`].
    ///
    /// # Errors
    /// As above.
    pub fn run_some_together(
        &self,
        n_windows: usize,
        quota: usize,
        recordings: &mut dyn Recordings,
    ) -> Result<()> {
        self.together(n_windows, Some(quota), recordings)
    }

    fn together(
        &self,
        n_windows: usize,
        quota: Option<usize>,
        recordings: &mut dyn Recordings,
    ) -> Result<()> {
        let mut together = Together::new(self, recordings, n_windows);
        together.quota = quota;
        // Where nobody stopped it and all may begin, none is left.
        let _ = together.run()?;
        together.end_all();
        Ok(())
    }

    /// Decodes all that is left of a run, or so many windows of it; `Break` when nothing is left or the observer stopped.
    pub(super) fn batched(
        &self,
        run: &mut Transcription,
        quota: Option<usize>,
        observer: &mut dyn Observer,
    ) -> Result<ControlFlow<()>> {
        if run.batches.as_ref().is_none_or(Batches::is_done) {
            return Ok(ControlFlow::Break(()));
        }
        let n = run.options.batch.unwrap_or(1);
        let mut lone = Lone(observer);
        let mut together = Together::new(self, &mut lone, n);
        together.all_started = true;
        together.quota = quota;
        together.begin(Held::Lent(run));
        together.run()
    }
}

impl<'a, 'r> Together<'a, 'r> {
    fn new(transcriber: &'a Transcriber, recordings: &'r mut dyn Recordings, most: usize) -> Self {
        Self {
            transcriber,
            recordings,
            most,
            open: BTreeMap::new(),
            n_started: 0,
            all_started: false,
            quota: None,
            jobs: BTreeMap::new(),
            n_jobs: 0,
            ahead: VecDeque::new(),
            again: VecDeque::new(),
            tasks: BTreeMap::new(),
            unkept: BTreeMap::new(),
            stopped: false,
        }
    }

    fn run(&mut self) -> Result<ControlFlow<()>> {
        let flow = places::decode(self.transcriber.model(), self.most, self)?;
        Ok(if self.stopped { ControlFlow::Break(()) } else { flow })
    }

    /// Takes the next recording's windows in.
    fn begin(&mut self, mut run: Held<'r>) {
        let number = self.n_started;
        self.n_started += 1;
        let initial = &run.tokens[..run.initial_prompt_len];
        let prompt = run.prompt_of(initial, self.transcriber.model().dims().n_text_ctx);
        run.options.decode.prompt = prompt;
        let windows = run.batches.as_mut().map(|batches| {
            batches.forget_claims();
            batches.is_done()
        });
        self.open.insert(number, run);
        match windows {
            Some(false) => {}
            Some(true) => self.end(number),
            None => {
                let why = "recordings that are transcribed together need the option `batch`";
                self.fail(number, Error::Options(why.into()));
            }
        }
    }

    /// The next window that nobody decodes yet.
    fn claim(&mut self) -> Option<(usize, Window)> {
        while self.quota != Some(0) && !self.stopped {
            for (&number, run) in &mut self.open {
                if let Some(window) = run.batches.as_mut().and_then(Batches::claim) {
                    self.quota = self.quota.map(|quota| quota - 1);
                    return Some((number, window));
                }
            }
            let next = if self.all_started { None } else { self.recordings.next() };
            let Some(run) = next else {
                self.all_started = true;
                return None;
            };
            self.begin(Held::Own(Box::new(run)));
        }
        None
    }

    /// A job's next decoding; `None` if its recording was given up meanwhile.
    fn wanted(&mut self, id: usize, audio: Arc<Piece>) -> Result<Option<Wanted<'a>>> {
        let Some(job) = self.jobs.get(&id) else { return Ok(None) };
        let Some(run) = self.open.get(&job.number) else { return Ok(None) };
        let rung = job.tried.len();
        let task = match self.tasks.get(&(job.number, rung)) {
            Some(task) => task.clone(),
            None => {
                let options = fallback::options_at(&run.options.decode, run.options.temperatures[rung]);
                let transcriber = self.transcriber;
                let task = DecodingTask::new(transcriber.model(), transcriber.tokenizer(), &options)?;
                self.tasks.entry((job.number, rung)).or_insert(task).clone()
            }
        };
        let seed = fallback::seed(&run.options, job.window.seek, rung);
        let whole = task.whole(job.window.segment_size.saturating_sub(LONGEST_UNHEARD));
        Ok(Some(Wanted { id, task, audio, seed, whole }))
    }

    /// Whether a decoding is good enough, or none is left to try; `Break` if the observer stopped.
    fn is_settled(
        &mut self,
        run: &mut Transcription,
        job: &mut Job,
        result: DecodingResult,
    ) -> Result<ControlFlow<(), bool>> {
        let verdict = fallback::judge(&run.options, &result);
        job.tried.push(result);
        let is_last = job.tried.len() == run.options.temperatures.len();
        let fallback::Verdict::Retry(reason) = verdict else { return Ok(ControlFlow::Continue(true)) };
        // Where nobody speaks, one decoding is enough.
        if is_last || run.listener.hears(&run.sound, job.window)? == Some(false) {
            return Ok(ControlFlow::Continue(true));
        }
        let temperature = run.options.temperatures[job.tried.len() - 1];
        let flow = self.recordings.event(job.number, Event::Fallback { temperature, reason });
        Ok(match flow {
            ControlFlow::Break(()) => ControlFlow::Break(()),
            ControlFlow::Continue(()) => ControlFlow::Continue(false),
        })
    }

    /// What follows from a decoding: whether its window is done, or `Break` if the observer stopped.
    fn take(
        &mut self,
        run: &mut Transcription,
        job: &mut Job,
        audio: &Arc<Piece>,
        result: DecodingResult,
    ) -> Result<ControlFlow<(), bool>> {
        match self.is_settled(run, job, result)? {
            ControlFlow::Continue(true) => {}
            other => return Ok(other),
        }
        let (number, tried) = (job.number, std::mem::take(&mut job.tried));
        let mut observer = |event: Event<'_>| self.recordings.event(number, event);
        let xa = vec![Arc::clone(audio)].into();
        let flow = self.transcriber.settle(run, job.window, xa, tried, &mut observer)?;
        Ok(match flow {
            ControlFlow::Break(()) => ControlFlow::Break(()),
            ControlFlow::Continue(()) => ControlFlow::Continue(true),
        })
    }

    /// A window less to do: time for a checkpoint after as many as are decoded at once.
    fn window_done(&mut self, number: usize) {
        let unkept = self.unkept.entry(number).or_default();
        *unkept += 1;
        if *unkept >= self.most && !self.keep(number) {
            self.forget(number);
            return;
        }
        let is_done = |run: &Held<'_>| run.batches.as_ref().is_none_or(Batches::is_done);
        if self.open.get(&number).is_some_and(is_done) {
            self.end(number);
        }
    }

    fn keep(&mut self, number: usize) -> bool {
        self.unkept.remove(&number);
        self.open.get_mut(&number).is_none_or(|run| self.recordings.windows_done(number, run))
    }

    /// Forgets a recording, and what of it is being decoded.
    fn forget(&mut self, number: usize) -> Option<Held<'r>> {
        self.jobs.retain(|_, job| job.number != number);
        self.tasks.retain(|(of, _), _| *of != number);
        self.unkept.remove(&number);
        self.open.remove(&number)
    }

    fn end(&mut self, number: usize) {
        let kept = self.keep(number);
        if let (true, Some(Held::Own(run))) = (kept, self.forget(number)) {
            self.stopped |= self.recordings.ended(number, Ok(*run)).is_break();
        }
    }

    fn end_all(&mut self) {
        while let Some((&number, _)) = self.open.first_key_value() {
            self.end(number);
        }
    }

    fn fail(&mut self, number: usize, error: Error) {
        self.forget(number);
        self.stopped |= self.recordings.ended(number, Err(error)).is_break();
    }

    /// An error in a recording is its own, but for one that is lent.
    fn failed(&mut self, number: usize, error: Error) -> Result<()> {
        match self.open.get(&number) {
            Some(Held::Lent(_)) => Err(error),
            _ => {
                self.fail(number, error);
                Ok(())
            }
        }
    }

    fn flow(&self) -> ControlFlow<()> {
        if self.stopped { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

impl<'a> Asker<'a> for Together<'a, '_> {
    fn next(&mut self, n: usize) -> Result<Vec<Wanted<'a>>> {
        let mut all = Vec::new();
        while all.len() < n
            && let Some((id, audio)) = self.again.pop_front()
        {
            all.extend(self.wanted(id, audio)?);
        }
        let beside = self.beside();
        while all.len() < n {
            let at_once = beside.unwrap_or(n - all.len());
            if self.ahead.is_empty() && !self.encode(at_once)? {
                break;
            }
            while all.len() < n
                && let Some((id, audio)) = self.ahead.pop_front()
            {
                all.extend(self.wanted(id, audio)?);
            }
        }
        // While these are decoded.
        if let Some(beside) = beside.filter(|&beside| self.ahead.len() <= beside) {
            self.encode(beside)?;
        }
        Ok(all)
    }

    fn on_tokens(&mut self, id: usize, tokens: &[u32]) -> ControlFlow<()> {
        let Some(job) = self.jobs.get(&id) else { return self.flow() };
        let so_far = self.transcriber.tokenizer().decode(tokens);
        self.stopped |= self.recordings.event(job.number, Event::Text { so_far: &so_far }).is_break();
        self.flow()
    }

    fn is_vain(&self, id: usize, tokens: &[u32]) -> bool {
        self.jobs.get(&id).is_some_and(|job| job.is_brief && self.transcriber.is_vain(job.window, tokens))
    }

    fn done(&mut self, id: usize, audio: Arc<Piece>, result: DecodingResult) -> Result<ControlFlow<()>> {
        let Some(mut job) = self.jobs.remove(&id) else { return Ok(self.flow()) };
        let number = job.number;
        let Some(mut run) = self.open.remove(&number) else { return Ok(self.flow()) };
        if self.is_doubted(&run, &mut job, &result) {
            self.open.insert(number, run);
            return self.hear_all(id, job).map(|()| self.flow());
        }
        let taken = self.take(&mut run, &mut job, &audio, result);
        self.open.insert(number, run);
        match taken {
            Ok(ControlFlow::Continue(true)) => self.window_done(number),
            Ok(ControlFlow::Continue(false)) => {
                self.jobs.insert(id, job);
                self.again.push_back((id, audio));
            }
            Ok(ControlFlow::Break(())) => self.stopped = true,
            Err(error) => self.failed(number, error)?,
        }
        Ok(self.flow())
    }
}
