//! What a text-to-image model draws, as its judge sees it: panes and measurements.

use std::{collections::HashMap, sync::Arc};

use web_time::Instant;

use super::PromptSetting;
use super::setting::sizes;
use crate::data::corpus;
use crate::data::corpus::{Corpus, Pair, Target};
use crate::engine::foreseen::PREVIEW;
use crate::engine::measure::preview;
use crate::engine::{Grid, Opened, PromptPane, Work};
use crate::error::Result;
use crate::eval::prompts::{metrics, pane};
use crate::eval::{Measure, PromptJudge, Row, Seen, seen_as};
use crate::job_context::JobContext;
use crate::models::latent::LatentModel;
use crate::sampling::{LatentWeights, Wanted, WantedPrompt};
use crate::subject::Noising;
use crate::words::{Budget, EarlierReport, Extent, Metrics, SampleOptions, Task};

/// Pictures that are sampled at a time.
const BATCH: usize = 32;

/// Pictures as bytes, and what a judge sees in each.
pub struct Drawn {
    pub pixels: Vec<u8>,
    pub seen: Vec<Option<Seen>>,
}

/// Draws the pictures of prompts.
///
/// # Errors
/// Cancelled, or the device failed.
pub async fn make(
    judge: &PromptJudge<'_>,
    weights: &LatentWeights,
    asked: &[WantedPrompt],
    options: &SampleOptions,
    job: &mut JobContext,
) -> Result<Drawn> {
    let (mut pixels, mut seen) = (Vec::new(), Vec::new());
    for batch in asked.chunks(BATCH) {
        let values = weights.sample(batch, options, None, job).await?;
        seen.extend(judge.look(&values, weights.network.picture_shape()).await?);
        pixels.extend(bytes(&values));
    }
    Ok(Drawn { pixels, seen })
}

impl PromptSetting {
    /// Who looks at a model's pictures.
    ///
    /// # Errors
    /// The judge is none.
    pub fn judge(&self) -> Result<PromptJudge<'_>> {
        self.jury.judge(&self.noising.corpus, &self.noising.device)
    }

    /// Rows of the request's pane.
    pub fn rows(&self) -> usize {
        let Noising { target, corpus, .. } = &self.noising;
        pane(target, corpus, self.known).0.len()
    }

    /// What the request's rows show of some weights.
    ///
    /// # Errors
    /// Cancelled, or the device failed.
    pub async fn pane(
        &self,
        weights: &LatentWeights,
        options: &SampleOptions,
        job: &mut JobContext,
    ) -> Result<Grid> {
        self.first_rows(usize::MAX, weights, options, job).await
    }

    /// What the first of the request's rows show of some weights: with one, the prompt as it was asked for.
    ///
    /// # Errors
    /// Cancelled, or the device failed.
    pub async fn first_rows(
        &self,
        rows: usize,
        weights: &LatentWeights,
        options: &SampleOptions,
        job: &mut JobContext,
    ) -> Result<Grid> {
        let Noising { target, corpus, .. } = &self.noising;
        let judge = self.judge()?;
        let (asked, classes): (Vec<_>, Vec<_>) =
            pane_tiles(self, &judge).into_iter().take(rows).flatten().unzip();
        job.phase("Drawing", asked.len() * options.steps);
        let Drawn { pixels, seen } = make(&judge, weights, &asked, options, job).await?;
        // Of a row that is nothing to the judge it is not told what it sees.
        let told = |(seen, class): (&Option<Seen>, &Option<usize>)| {
            class.and(seen.as_ref()).map(|seen| seen_as(seen, &target.named, corpus))
        };
        let seen = seen.iter().zip(&classes).map(told).collect();
        let each = self.size.columns;
        let rows = classes.iter().step_by(each).copied().collect();
        let names = asked.into_iter().step_by(each).map(|wanted| wanted.condition).collect();
        Ok(Grid { names, ..Grid::new(rows, weights.network.picture_shape(), pixels, seen) })
    }

    /// UA, RA and TA of prompts that are drawn from what the model was shown; `told` hears of every round. What the
    /// judge sees in the first of them may be known.
    ///
    /// # Errors
    /// Cancelled, or the device failed.
    pub async fn measure(
        &self,
        weights: &LatentWeights,
        (extent, known): (Extent, SeenPrompts),
        job: &mut JobContext,
        told: &mut dyn FnMut(&Metrics),
    ) -> Result<(Metrics, SeenPrompts)> {
        let of = (&self.noising.target, &self.pairs);
        self.count(weights, of, (extent, known), job, told).await
    }

    /// Metrics of prompts, of what a target names and of what is kept, and what was seen in them.
    async fn count(
        &self,
        weights: &LatentWeights,
        (target, pairs): (&Target, &[Vec<Pair>; 2]),
        (extent, known): (Extent, SeenPrompts),
        job: &mut JobContext,
        told: &mut dyn FnMut(&Metrics),
    ) -> Result<(Metrics, SeenPrompts)> {
        let (corpus, options, judge) = (&self.noising.corpus, &self.options, self.judge()?);
        // What nobody looks at is not drawn.
        if !judge.is_somebody() {
            return Ok((Metrics::unjudged(), known));
        }
        let in_rounds = self.asked.extent().rounds.is_some();
        let draw = |n: [usize; 3]| {
            let [forgotten, kept, _] = n;
            Measure::draw(target, pairs, corpus, [forgotten, kept], options.seed)
        };
        let all = draw(extent.most);
        let extent = extent.within([all.forgotten.len(), all.kept.len(), 0]);
        let wanted = wanted(&all, corpus, in_rounds);
        let missing = |seen: &SeenPrompts, n: [usize; 3]| -> [Vec<WantedPrompt>; 2] {
            std::array::from_fn(|i| wanted[i][seen[i].len().min(n[i])..n[i]].to_vec())
        };
        let mut seen = known;
        let left = missing(&seen, extent.most).map(|part| part.len());
        job.phase("Evaluating", left.iter().sum::<usize>() * options.steps);
        let mut n = extent.first();
        loop {
            let asked = missing(&seen, n);
            let drawn = make(&judge, weights, &asked.concat(), options, job).await?.seen;
            let (forgotten, kept) = drawn.split_at(asked[0].len());
            seen[0].extend_from_slice(forgotten);
            seen[1].extend_from_slice(kept);
            let first: Vec<_> = (0..2).flat_map(|i| seen[i][..n[i]].to_vec()).collect();
            let metrics = metrics(&target.named, &draw(n), &first, &judge.tells);
            told(&metrics);
            match extent.next(n, &metrics.intervals) {
                Some(more) => n = more,
                None => return Ok((metrics, seen)),
            }
        }
    }
}

/// What a judge sees in pictures of forgotten prompts, and of kept ones.
pub type SeenPrompts = [Vec<Option<Seen>>; 2];

/// Pictures that a survey draws of a pair which is to be known before it is measured.
pub const TIMES: usize = 10;

/// The pictures of a measurement. In rounds, whose number is not known before, those of a prompt are from noises of its
/// own: where it is of a pair, from those that a survey of [`TIMES`] pictures of each pair has.
fn wanted(measure: &Measure, corpus: &Corpus, in_rounds: bool) -> [Vec<WantedPrompt>; 2] {
    const FIRST: u64 = 100;
    let styles = corpus.index.styles.len().max(1);
    let own = |pair: Pair| ((pair.concept * styles + pair.style) * TIMES) as u64;
    let mut times: HashMap<String, u64> = HashMap::new();
    let mut behind = 0;
    [&measure.forgotten, &measure.kept].map(|rows| {
        let one = |row: &Row| {
            let again = times.entry(row.prompt.clone()).or_default();
            let noise = match row.pair.filter(|_| in_rounds) {
                Some(pair) => own(pair) + *again,
                None if in_rounds => FIRST + *again,
                None => FIRST + behind,
            };
            *again += 1;
            behind += 1;
            Wanted { condition: row.prompt.clone(), noise }
        };
        rows.iter().map(one).collect()
    })
}

impl PromptSetting {
    /// What is seen in the measured pictures, of both kinds from the first one on as far as it is known by prompt and
    /// turn.
    pub fn seen_of(&self, known: impl Fn(&str, usize) -> Option<Seen>) -> SeenPrompts {
        let Noising { target, corpus, .. } = &self.noising;
        let [forgotten, kept, _] = self.asked.extent().most;
        let all = Measure::draw(target, &self.pairs, corpus, [forgotten, kept], self.options.seed);
        let mut times: HashMap<&str, usize> = HashMap::new();
        [&all.forgotten, &all.kept].map(|rows| {
            let mut seen = Vec::new();
            for row in rows {
                let again = times.entry(&*row.prompt).or_default();
                let Some(found) = row.pair.and_then(|_| known(&row.prompt, *again)) else { break };
                *again += 1;
                seen.push(Some(found));
            }
            seen
        })
    }
}

/// The tiles of a request's pane, row by row: a prompt from one noise after another, and what it is to the judge.
pub fn pane_tiles(
    of: &PromptSetting,
    judge: &PromptJudge<'_>,
) -> Vec<Vec<(WantedPrompt, Option<usize>)>> {
    let Noising { target, corpus, .. } = &of.noising;
    let (rows, _) = pane(target, corpus, of.known);
    let row = |r: &Row| {
        let class = r.class(&target.named, corpus).and_then(|c| judge.tells.class(c));
        let tiles = Wanted::each(&r.prompt, 0..of.size.columns as u64);
        tiles.map(|wanted| (wanted, class)).collect()
    };
    rows.iter().map(row).collect()
}

/// What a text-to-image model shows when it is opened.
pub struct Opening {
    /// A row each.
    pub concepts: Vec<usize>,
    /// The tiles, a column a style, or a picture where there are none.
    pub asked: Vec<WantedPrompt>,
    /// Of the sampler.
    pub steps: usize,
}

impl Opening {
    /// Concepts from all over the corpus, as far as the model was shown it.
    pub fn new(model: &LatentModel, corpus: &Corpus, budget: Budget) -> Self {
        let (size, known) = (sizes(budget), model.known(corpus));
        let shown = size.shown.min(known);
        let concepts: Vec<usize> = (0..shown).map(|i| i * known / shown).collect();
        let styles = if corpus.has_styles() { corpus.index.styles.len() } else { size.columns };
        let of = |&concept: &usize| (0..styles).map(move |style| Pair { concept, style });
        let pairs: Vec<Pair> = concepts.iter().flat_map(of).collect();
        let asked = asked(corpus, &pairs);
        let steps = budget.sizes().sampler[Task::TextToImage as usize];
        Self { concepts, asked, steps }
    }

    /// The tiles row by row, and what each is.
    pub fn tiles(self) -> Vec<Vec<(WantedPrompt, Option<usize>)>> {
        let each = (self.asked.len() / self.concepts.len().max(1)).max(1);
        let row = |(tiles, concept): (&[WantedPrompt], &usize)| {
            tiles.iter().map(|wanted| (wanted.clone(), Some(*concept))).collect()
        };
        self.asked.chunks(each).zip(&self.concepts).map(row).collect()
    }
}

impl Work<'_> {
    /// A first, small look at what the unchanged model makes of a request's prompts, where the pictures themselves are
    /// large; nothing where they are drawn at once or are known.
    ///
    /// # Errors
    /// Cancelled, or the device failed.
    pub async fn rough_pane(&mut self, of: &PromptSetting) -> Result<Option<PromptPane>> {
        let known = self.session.store.get::<Grid>(&of.asked.key).is_some();
        let Some(rough) = of.weights.rough().filter(|_| !known) else {
            return Ok(None);
        };
        let (_, forgotten) = pane(&of.noising.target, &of.noising.corpus, of.known);
        // Beside the parts that the one bar is made of.
        let clock = Instant::now();
        let grid = Arc::new(of.pane(&rough, &of.options.quick(), &mut self.job.quiet()).await?);
        self.job.beside(PREVIEW, 0, clock.elapsed());
        Ok(Some(PromptPane { grid, forgotten, notice: of.notice() }))
    }

    /// What the unchanged model makes of a request's prompts; drawn once.
    ///
    /// # Errors
    /// Cancelled, or the device failed.
    pub async fn pane_before(&mut self, of: &PromptSetting) -> Result<PromptPane> {
        let (_, forgotten) = pane(&of.noising.target, &of.noising.corpus, of.known);
        let draw = async |work: &mut Work<'_>| of.pane(&of.weights, &of.options, work.job).await;
        let grid = self.once(&of.asked.key, draw).await?;
        Ok(PromptPane { grid, forgotten, notice: of.notice() })
    }

    /// UA of each request that was met before, of the original, measured once, and of these weights, by as many
    /// pictures.
    ///
    /// # Errors
    /// Cancelled, or the device failed.
    pub async fn earlier_prompts(
        &mut self,
        setting: &PromptSetting,
        weights: &LatentWeights,
    ) -> Result<Vec<EarlierReport>> {
        let mut all = Vec::new();
        for (spec, target, pairs) in &setting.earlier {
            let [n, ..] = setting.asked.extent().most;
            let of = (target, &[pairs.clone(), Vec::new()]);
            let asked = || (Extent::exactly([n, 0, 0]), SeenPrompts::default());
            let key = (&setting.asked.key, spec);
            let original = async |work: &mut Work<'_>| {
                Ok(setting.count(&setting.weights, of, asked(), work.job, &mut |_| {}).await?.0)
            };
            let before = self.once(&key, original).await?;
            let (after, _) = setting.count(weights, of, asked(), self.job, &mut |_| {}).await?;
            // Of what nobody judged there is no figure, and no number for a report's file.
            if !(before.judged() && after.judged()) {
                continue;
            }
            let (before, after, n) = (before.UA, after.UA, after.n[0]);
            all.push(EarlierReport { spec: spec.clone(), before, after, n });
        }
        Ok(all)
    }

    /// Opens a text-to-image model: a row a concept, a column a style, or a picture where there are none.
    ///
    /// # Errors
    /// Cancelled, or the device failed.
    pub async fn open_prompts(
        &mut self,
        model: &LatentModel,
        to: Opened,
        first: bool,
    ) -> Result<Opened> {
        model.network.notes.iter().for_each(|note| self.job.note(note));
        let corpus = self.corpus_of(model)?;
        let jury = self.session.jury(&to.name, &corpus)?;
        let to = Opened { classes: corpus.classes(), ..to };
        let device = &self.session.device;
        let weights = LatentWeights::upload(model, device);
        let judge = jury.judge(&corpus, device)?;
        let Opening { concepts, asked, steps } = Opening::new(model, &corpus, to.budget);
        let options = preview(steps, to.seed);
        let columns = asked.len() / concepts.len().max(1);
        let draw = async |work: &mut Work<'_>, options: SampleOptions| {
            work.job.phase("Drawing", asked.len() * options.steps);
            let drawn = make(&judge, &weights, &asked, &options, work.job).await?;
            Ok(of_concepts(concepts.clone(), &weights, drawn))
        };
        self.shown((to, first), (&model.parts(), columns), options, draw).await
    }

    /// The pictures with words that a model was trained on; where they are not there any more, what it was shown by
    /// name.
    ///
    /// # Errors
    /// They are not there, and it does not say what it was shown.
    pub fn corpus_of(&mut self, model: &LatentModel) -> Result<Arc<Corpus>> {
        let data = model.data();
        let shown = model.card.as_ref().map_or(&[][..], |card| &card.concepts);
        match corpus::find(data) {
            Err(error) if !shown.is_empty() => {
                self.job.note(format!("{error}; what the model was shown is known by name alone"));
                Ok(Corpus::of_prompts(data, shown.to_vec()).into())
            }
            found => found,
        }
    }
}

/// Pictures with a concept a row.
pub fn of_concepts(
    rows: impl IntoIterator<Item = usize>,
    weights: &LatentWeights,
    Drawn { pixels, seen }: Drawn,
) -> Grid {
    let (rows, shape) = (rows.into_iter().map(Some).collect(), weights.network.picture_shape());
    let seen = seen.iter().map(|seen| seen.as_ref().map(|s| s.concept)).collect();
    Grid::new(rows, shape, pixels, seen)
}

/// The plain prompts of pairs, each with noise of its own.
pub fn asked(corpus: &Corpus, pairs: &[Pair]) -> Vec<WantedPrompt> {
    let asked = |(pair, noise): (&Pair, u64)| Wanted { condition: corpus.caption(*pair), noise };
    pairs.iter().zip(0..).map(asked).collect()
}

/// Values in [0, 1] as bytes.
pub fn bytes(values: &[f32]) -> impl Iterator<Item = u8> {
    values.iter().map(|v| (v * 255.0).round() as u8)
}
