//! What a text-to-image model draws, as its judge sees it: panes and measurements.

use std::sync::Arc;

use super::PromptSetting;
use super::setting::{preview, sizes};
use crate::data::emoji;
use crate::data::emoji::{Pair, Target};
use crate::engine::{Grid, Opened, PromptPane, Session};
use crate::error::Result;
use crate::eval::prompts::{metrics, pane};
use crate::eval::{EmojiJudge, Measure, Row, Seen, seen_as};
use crate::job_context::JobContext;
use crate::models::latent::LatentModel;
use crate::sampling::latent::sample;
use crate::sampling::{LatentWeights, Wanted, WantedPrompt};
use crate::words::{Budget, EarlierReport, Metrics, SampleOptions, Task};

/// Pictures that are sampled at a time.
const BATCH: usize = 32;
/// Steps of the very first pictures.
const ROUGH: usize = 4;

/// How models are looked at.
pub struct Look<'a> {
    pub model: &'a LatentModel,
    pub judge: EmojiJudge<'a>,
    pub options: SampleOptions,
}

impl<'a> Look<'a> {
    /// As a request looks at models.
    ///
    /// # Errors
    /// The judge is none.
    pub fn new(setting: &'a PromptSetting) -> Result<Self> {
        let PromptSetting { model, judge, emoji, options, .. } = setting;
        let judge = EmojiJudge::new(judge, emoji, setting.noising().device)?;
        Ok(Self { model, judge, options: *options })
    }

    /// The pictures of prompts, values in [0, 1], and what the judge sees in each.
    ///
    /// # Errors
    /// Cancelled, or the device failed.
    pub async fn make(
        &self,
        weights: &LatentWeights,
        asked: &[WantedPrompt],
        options: &SampleOptions,
        job: &mut JobContext,
    ) -> Result<(Vec<u8>, Vec<Seen>)> {
        let (mut pixels, mut seen) = (Vec::new(), Vec::new());
        let network = &self.model.network;
        for batch in asked.chunks(BATCH) {
            let values = sample(network, weights, batch, options, None, job).await?;
            seen.extend(self.judge.look(&values, network.picture_shape()[1]).await?);
            pixels.extend(bytes(&values));
        }
        Ok((pixels, seen))
    }

    /// Pictures as a grid; `seen` has the class that each tile shows.
    pub fn grid(
        &self,
        rows: Vec<Option<usize>>,
        names: Vec<String>,
        pixels: Vec<u8>,
        seen: Vec<(usize, f32)>,
    ) -> Grid {
        let [channels, height, width] = self.model.network.picture_shape();
        let columns = seen.len() / rows.len().max(1);
        let judged = |(i, s): (usize, _)| rows[i / columns].is_some().then_some(s);
        Grid {
            seen: seen.into_iter().enumerate().map(judged).collect(),
            rows,
            names,
            columns,
            channels,
            tile: [height, width],
            pixels,
        }
    }

    /// What a request's rows show.
    ///
    /// # Errors
    /// Cancelled, or the device failed.
    pub async fn pane(
        &self,
        weights: &LatentWeights,
        setting: &PromptSetting,
        options: &SampleOptions,
        job: &mut JobContext,
    ) -> Result<Grid> {
        let PromptSetting { target, emoji, known, size, .. } = setting;
        let (rows, _) = pane(target, emoji, *known);
        let of_row = |r: &Row| {
            let condition = r.prompt.clone();
            (0..size.columns as u64)
                .map(move |noise| Wanted { condition: condition.clone(), noise })
        };
        let asked: Vec<_> = rows.iter().flat_map(of_row).collect();
        job.phase("Drawing", asked.len() * options.steps);
        let (pixels, seen) = self.make(weights, &asked, options, job).await?;
        let classes = rows.iter().map(|r| r.class(&target.named, emoji)).collect();
        let seen = seen.iter().map(|s| seen_as(s, &target.named, emoji)).collect();
        Ok(self.grid(classes, rows.into_iter().map(|r| r.prompt).collect(), pixels, seen))
    }

    /// UA, RA and TA of prompts that are drawn from what the model was shown.
    ///
    /// # Errors
    /// Cancelled, or the device failed.
    pub async fn measure(
        &self,
        weights: &LatentWeights,
        setting: &PromptSetting,
        job: &mut JobContext,
    ) -> Result<Metrics> {
        let PromptSetting { target, pairs, size, .. } = setting;
        self.count(weights, setting, (target, pairs), size.measured, job).await
    }

    /// Metrics of `n` prompts, of what a target names and of what is kept.
    async fn count(
        &self,
        weights: &LatentWeights,
        setting: &PromptSetting,
        (target, pairs): (&Target, &[Vec<Pair>; 2]),
        n: [usize; 2],
        job: &mut JobContext,
    ) -> Result<Metrics> {
        let measure = Measure::draw(target, pairs, &setting.emoji, n, self.options.seed);
        let rows = measure.forgotten.iter().chain(&measure.kept).enumerate();
        let one =
            |(i, r): (usize, &Row)| Wanted { condition: r.prompt.clone(), noise: 100 + i as u64 };
        let asked: Vec<_> = rows.map(one).collect();
        job.phase("Evaluating", asked.len() * self.options.steps);
        let (_, seen) = self.make(weights, &asked, &self.options, job).await?;
        Ok(metrics(&target.named, &measure, &seen))
    }
}

impl Session {
    /// What the unchanged model makes of a request's prompts; drawn once.
    ///
    /// # Errors
    /// Cancelled, or the device failed.
    pub async fn pane_before(
        &mut self,
        setting: &PromptSetting,
        job: &mut JobContext,
    ) -> Result<PromptPane> {
        let (_, forgotten) = pane(&setting.target, &setting.emoji, setting.known);
        let grid = match self.store.get(&setting.key) {
            Some(grid) => grid,
            None => {
                let look = Look::new(setting)?;
                let grid = look.pane(&setting.weights, setting, &setting.options, job).await?;
                self.store.put(&setting.key, grid)
            }
        };
        Ok(PromptPane { grid, forgotten, notice: setting.notice() })
    }

    /// The metrics of the unchanged model; measured once.
    ///
    /// # Errors
    /// Cancelled, or the device failed.
    pub async fn metrics_before(
        &mut self,
        setting: &PromptSetting,
        job: &mut JobContext,
    ) -> Result<Metrics> {
        if let Some(metrics) = self.store.get(&setting.key) {
            return Ok(Metrics::clone(&metrics));
        }
        let metrics = Look::new(setting)?.measure(&setting.weights, setting, job).await?;
        Ok(Metrics::clone(&self.store.put(&setting.key, metrics)))
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
        job: &mut JobContext,
    ) -> Result<Vec<EarlierReport>> {
        let mut all = Vec::new();
        for (spec, target, pairs) in &setting.earlier {
            let look = Look::new(setting)?;
            let (of, n) = ((target, &[pairs.clone(), Vec::new()]), [setting.size.measured[0], 0]);
            let key = (&setting.key, spec);
            let before = match self.store.get::<Metrics>(&key) {
                Some(metrics) => metrics,
                None => {
                    let metrics = look.count(&setting.weights, setting, of, n, job).await?;
                    self.store.put(&key, metrics)
                }
            };
            let after = look.count(weights, setting, of, n, job).await?.UA;
            all.push(EarlierReport { spec: spec.clone(), before: before.UA, after, n: n[0] });
        }
        Ok(all)
    }

    /// Opens a text-to-image model: a row a concept, a column a style.
    ///
    /// # Errors
    /// Cancelled, or the device failed.
    pub async fn open_latent(
        &mut self,
        name: &str,
        seed: u64,
        budget: Budget,
        job: &mut JobContext,
        rough: &mut dyn FnMut(Opened),
    ) -> Result<Opened> {
        let first = !self.latents.contains_key(name);
        let model = self.latent(name)?;
        let judge = self.emoji_judge(name)?;
        let data = model.card.as_ref().map_or("emoji", |card| &card.data).to_string();
        let emoji = emoji::find(&data)?;
        let known = model.known(emoji.index.concepts.len());
        let weights = LatentWeights::upload(&model, &self.device);
        let options = preview(seed, budget);
        let look =
            Look { model: &model, judge: EmojiJudge::new(&judge, &emoji, &self.device)?, options };
        let shown = sizes(budget).shown.min(known);
        let concepts: Vec<usize> = (0..shown).map(|i| i * known / shown).collect();
        let styles = emoji.index.styles.len();
        let of = |&concept: &usize| (0..styles).map(move |style| Pair { concept, style });
        let pairs: Vec<Pair> = concepts.iter().flat_map(of).collect();
        let asked = asked(&emoji, &pairs);
        let opened = |grid: Grid| Opened {
            name: name.to_string(),
            after: self.adopted.get(name).cloned().unwrap_or_default(),
            task: Task::TextToImage,
            classes: judge.card.classes.clone(),
            data: data.clone(),
            seed,
            budget,
            grid: Arc::new(grid),
            params: model.unet.values.len(),
            assumed: Default::default(),
        };
        let steps = [ROUGH, options.steps];
        for steps in steps.into_iter().skip(usize::from(!first || options.steps <= 2 * ROUGH)) {
            let options = SampleOptions { steps, ..options };
            job.phase("Drawing", asked.len() * steps);
            let (pixels, seen) = look.make(&weights, &asked, &options, job).await?;
            let rows = concepts.iter().map(|c| Some(*c)).collect();
            let seen = seen.iter().map(|s| s.concept).collect();
            let grid = look.grid(rows, Vec::new(), pixels, seen);
            if steps == self::sizes(budget).sampler {
                return Ok(opened(grid));
            }
            rough(opened(grid));
        }
        unreachable!("the last pictures are of the whole sampler")
    }
}

/// The plain prompts of pairs, each with noise of its own.
pub fn asked(emoji: &emoji::Emoji, pairs: &[Pair]) -> Vec<WantedPrompt> {
    let asked = |(pair, noise): (&Pair, u64)| Wanted { condition: emoji.caption(*pair), noise };
    pairs.iter().zip(0..).map(asked).collect()
}

/// Values in [0, 1] as bytes.
pub fn bytes(values: &[f32]) -> impl Iterator<Item = u8> {
    values.iter().map(|v| (v * 255.0).round() as u8)
}
