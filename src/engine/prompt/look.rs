//! What a text-to-image model draws, as its judge sees it: panes and measurements.

use std::sync::Arc;

use super::PromptSetting;
use super::setting::sizes;
use crate::data::corpus;
use crate::data::corpus::{Corpus, Pair, Target};
use crate::engine::{Grid, Opened, PromptPane, Work};
use crate::error::Result;
use crate::eval::prompts::{metrics, pane};
use crate::eval::{Measure, PromptJudge, Row, Seen, seen_as};
use crate::job_context::JobContext;
use crate::models::latent::LatentModel;
use crate::sampling::{LatentWeights, Wanted, WantedPrompt};
use crate::subject::Noising;
use crate::words::{Budget, EarlierReport, Metrics, SampleOptions};

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
        let Noising { network, target, corpus, .. } = &self.noising;
        let judge = self.judge()?;
        let (asked, classes): (Vec<_>, Vec<_>) =
            pane_tiles(self, &judge).into_iter().flatten().unzip();
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
        Ok(Grid { names, ..Grid::new(rows, network.picture_shape(), pixels, seen) })
    }

    /// UA, RA and TA of prompts that are drawn from what the model was shown.
    ///
    /// # Errors
    /// Cancelled, or the device failed.
    pub async fn measure(&self, weights: &LatentWeights, job: &mut JobContext) -> Result<Metrics> {
        self.count(weights, (&self.noising.target, &self.pairs), self.size.measured, job).await
    }

    /// Metrics of `n` prompts, of what a target names and of what is kept.
    async fn count(
        &self,
        weights: &LatentWeights,
        (target, pairs): (&Target, &[Vec<Pair>; 2]),
        n: [usize; 2],
        job: &mut JobContext,
    ) -> Result<Metrics> {
        let options = &self.options;
        let measure = Measure::draw(target, pairs, &self.noising.corpus, n, options.seed);
        let rows = measure.forgotten.iter().chain(&measure.kept).enumerate();
        let one =
            |(i, r): (usize, &Row)| Wanted { condition: r.prompt.clone(), noise: 100 + i as u64 };
        let asked: Vec<_> = rows.map(one).collect();
        let judge = self.judge()?;
        // What nobody looks at is not drawn.
        if !judge.is_somebody() {
            return Ok(Metrics::unjudged());
        }
        job.phase("Evaluating", asked.len() * options.steps);
        let drawn = make(&judge, weights, &asked, options, job).await?;
        Ok(metrics(&target.named, &measure, &drawn.seen, &judge.tells))
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
        Self { concepts, asked, steps: size.sampler }
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
            let (of, n) = ((target, &[pairs.clone(), Vec::new()]), [setting.size.measured[0], 0]);
            let key = (&setting.asked.key, spec);
            let original =
                async |work: &mut Work<'_>| setting.count(&setting.weights, of, n, work.job).await;
            let before = self.once(&key, original).await?;
            let after = setting.count(weights, of, n, self.job).await?;
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
        let draw = async |work: &mut Work<'_>, options: SampleOptions| {
            work.job.phase("Drawing", asked.len() * options.steps);
            let drawn = make(&judge, &weights, &asked, &options, work.job).await?;
            Ok(of_concepts(concepts.clone(), &weights, drawn))
        };
        self.shown(to, first, steps, draw).await
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
