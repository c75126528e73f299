//! What a model does, measured and drawn.

use std::sync::Arc;

use super::session::Setting;
use super::{Grid, Session};
use crate::data::Pictures;
use crate::error::{Error, Result};
use crate::eval;
use crate::eval::{Answers, Evaluator, frechet};
use crate::job_context::JobContext;
use crate::models::{Model, Network, Weights};
use crate::unlearn::Local;
use crate::words::{Budget, Metrics, Recipe, SampleOptions};

/// A model's metrics, and what a pane shows of it.
#[derive(Debug, Clone)]
pub struct Measured {
    pub metrics: Metrics,
    /// What a classifier said of each item.
    pub answers: Option<Arc<Answers>>,
    pub grid: Arc<Grid>,
}

impl Session {
    /// Measures some weights under a recipe. Boxed, so that it is compiled once for all who await it.
    ///
    /// # Errors
    /// There is no judge of the data, the device failed, or cancelled.
    pub fn measure<'a>(
        &'a mut self,
        model: &'a Model,
        weights: &'a Weights,
        setting: &'a Setting,
        recipe: &'a Recipe,
        job: &'a mut JobContext,
    ) -> Local<'a, Result<Measured>> {
        Box::pin(async move {
            let Setting { data, set, .. } = setting;
            let budget = recipe.budget;
            let columns = budget.sizes().columns;
            let options = sampling(recipe);
            match &*model.network {
                Network::Classifier(net) => {
                    let asked = Evaluator { net: &**net, weights };
                    let answers = asked.answers(data, set, budget, job).await?;
                    let metrics = eval::classify::metrics(&answers, set);
                    let test = &data.test;
                    let grid = self.grid(model, weights, test, columns, &options, job).await?;
                    Ok(Measured { metrics, answers: Some(Arc::new(answers)), grid: Arc::new(grid) })
                }
                Network::Unet(net) => {
                    let judge = self.judge(&recipe.data, net.config.channels)?;
                    let judge = judge.ok_or_else(|| no_judge(&recipe.data))?;
                    let on_device = judge.weights.upload(&self.device);
                    let judge = judge_of(&judge, &on_device)?;
                    let (mut metrics, judged) =
                        eval::generate::measure(net, weights, judge, set, budget, &options, job)
                            .await?;
                    let each = budget.sizes().samples;
                    let kept: Vec<usize> =
                        (0..net.config.classes).filter(|c| !set.absent(*c)).collect();
                    let key = (&recipe.data, &kept, each);
                    let reference = match self.store.get(&key) {
                        Some(reference) => reference,
                        None => {
                            let made = frechet::reference(judge, data, &kept, each, job).await?;
                            self.store.put(&key, made)
                        }
                    };
                    let s = data.train.shape;
                    let rows: Vec<&[f32]> = judged.values.chunks_exact(each * s.n()).collect();
                    let made: Vec<f32> = kept.iter().flat_map(|&c| rows[c]).copied().collect();
                    metrics.FD = Some(frechet::measure(judge, &reference, &made, s, job).await?);
                    // The first samples of every class are those that a pane shows: from one noise.
                    let grid = Grid::of_samples(net, budget.sizes().samples, columns, judged);
                    Ok(Measured { metrics, answers: None, grid: Arc::new(grid) })
                }
            }
        })
    }

    /// [`Session::measure`] of a model that no job changes, once for each protocol.
    ///
    /// # Errors
    /// Cancelled, or the device failed.
    pub async fn measure_once(
        &mut self,
        name: &str,
        model: &Model,
        setting: &Setting,
        recipe: &Recipe,
        job: &mut JobContext,
    ) -> Result<Measured> {
        let key = (name, &recipe.data, &setting.set.spec, recipe.budget, sampling(recipe));
        if let Some(measured) = self.store.get(&key) {
            return Ok(Measured::clone(&measured));
        }
        let weights = model.weights.upload(&self.device);
        let measured = self.measure(model, &weights, setting, recipe, job).await?;
        Ok(Measured::clone(&self.store.put(&key, measured)))
    }

    /// What a pane shows of some weights: a row a class. A diffusion model needs no pictures.
    ///
    /// # Errors
    /// Cancelled, or the device failed.
    pub async fn grid(
        &mut self,
        model: &Model,
        weights: &Weights,
        test: &Pictures,
        columns: usize,
        options: &SampleOptions,
        job: &mut JobContext,
    ) -> Result<Grid> {
        let classes: Vec<Option<usize>> = (0..model.card.classes.len()).map(Some).collect();
        match &*model.network {
            Network::Unet(_) => {
                job.phase("Drawing", classes.len() * columns * options.steps);
                self.samples(model, weights, classes, columns, options, job).await
            }
            Network::Classifier(net) => {
                let fewest =
                    (0..classes.len()).map(|c| test.of_class(c).take(columns).count()).min();
                let columns = fewest.unwrap_or(0);
                job.phase("Drawing", classes.len() * columns);
                let items: Vec<usize> =
                    (0..classes.len()).flat_map(|c| test.of_class(c).take(columns)).collect();
                let asked = Evaluator { net: &**net, weights };
                let seen = asked.predict(test, &items, job).await?;
                Ok(Grid {
                    rows: classes,
                    names: Vec::new(),
                    columns,
                    channels: test.shape.channels,
                    tile: [test.shape.height, test.shape.width],
                    pixels: items.iter().flat_map(|&i| test.picture(i)).copied().collect(),
                    seen: seen.into_iter().map(Some).collect(),
                })
            }
        }
    }
}

/// How a recipe samples: its own options or the preview's, always with the recipe's seed.
pub fn sampling(recipe: &Recipe) -> SampleOptions {
    let preview = preview(recipe.seed, recipe.budget);
    SampleOptions { seed: recipe.seed, ..recipe.sampling.unwrap_or(preview) }
}

/// How a preview is sampled.
pub(super) fn preview(seed: u64, budget: Budget) -> SampleOptions {
    let steps = budget.sizes().sampler;
    SampleOptions { steps, guidance: 2.0, eta: 0.0, seed, clip: true }
}

/// A model as a judge.
///
/// # Errors
/// Cancelled, or the device failed.
pub fn judge_of<'a>(model: &'a Model, weights: &'a Weights) -> Result<Evaluator<'a>> {
    let net = model
        .classifier()
        .ok_or_else(|| Error::Request(format!("{} is not a classifier", model.card.name)))?;
    Ok(Evaluator { net, weights })
}

/// Why generations on this data set cannot be measured.
pub fn no_judge(data: &str) -> Error {
    Error::Request(format!("no classifier for {data} is shipped, so generations cannot be judged"))
}
