//! What a model does, measured and drawn.

use std::sync::Arc;

use super::{Asked, Grid, Setting, Work, bytes};
use crate::data::{PictureShape, Pictures, class_index};
use crate::error::{Error, Result};
use crate::eval;
use crate::eval::{Answers, Drawer, Evaluator, Judge, Judged, Shown, frechet};
use crate::models::{Model, Network, Unet, Weights};
use crate::unlearn::Local;
use crate::words::{Frechet, Metrics, Recipe, SampleOptions, Sizes};

/// A model's metrics, and what a pane shows of it.
#[derive(Debug, Clone)]
pub struct Measured {
    pub metrics: Metrics,
    /// What a classifier said of each item.
    pub answers: Option<Arc<Answers>>,
    pub grid: Arc<Grid>,
}

impl Setting {
    /// How the request samples.
    pub fn sampling(&self) -> SampleOptions {
        let recipe = &self.asked.recipe;
        sampling(recipe, recipe.budget.sizes().sampler)
    }
}

impl Work<'_> {
    /// Measures some weights under a request. Boxed, so that it is compiled once for all who await it.
    ///
    /// # Errors
    /// A judge cannot be used, the device failed, or cancelled.
    pub fn measure<'a>(
        &'a mut self,
        model: &'a Model,
        weights: &'a Weights,
        of: &'a Setting,
    ) -> Local<'a, Result<Measured>> {
        Box::pin(async move {
            let Setting { asked: Asked { recipe, .. }, data, set, .. } = of;
            let Sizes { columns, samples, .. } = recipe.budget.sizes();
            let options = of.sampling();
            match &*model.network {
                Network::Classifier(net) => {
                    let asked = Evaluator { net: &**net, weights };
                    let answers = asked.answers(data, set, recipe.budget, self.job).await?;
                    let metrics = eval::classify::metrics(&answers, set);
                    let grid = self.grid(model, weights, &data.test, columns, &options).await?;
                    Ok(Measured { metrics, answers: Some(answers.into()), grid: grid.into() })
                }
                Network::Unet(net) => {
                    let judge =
                        self.session.judge(&of.model.card, &recipe.data, net.config.channels)?;
                    let drawer = Drawer { unet: net, weights, judge: judge.as_deref() };
                    let measured = drawer.measure(set, samples, &options, self.job);
                    let (mut metrics, judged) = measured.await?;
                    if let Some(judge) = &judge {
                        metrics.FD = Some(self.frechet(judge, of, &judged, samples).await?);
                    }
                    // The first samples of every class are those that a pane shows: from one noise.
                    let grid = Grid::of_samples(net, samples, columns, judged);
                    Ok(Measured { metrics, answers: None, grid: grid.into() })
                }
            }
        })
    }

    /// The Frechet distance of the kept classes' samples, of which there are `each` a class.
    async fn frechet(
        &mut self,
        judge: &Judge,
        of: &Setting,
        judged: &Judged,
        each: usize,
    ) -> Result<Frechet> {
        let Setting { asked: Asked { recipe, .. }, data, set, .. } = of;
        let classes = data.classes.len();
        let kept: Vec<usize> = (0..classes).filter(|c| !set.absent(*c)).collect();
        // Features are the judge's: another one has others.
        let key = (&recipe.data, &of.model.card.judge, &kept, each);
        let real = async |work: &mut Work<'_>| {
            frechet::reference(judge, data, &kept, each, work.job).await
        };
        let reference = self.once(&key, real).await?;
        let s = data.train.shape;
        let rows: Vec<&[f32]> = judged.values.chunks_exact(each * s.n()).collect();
        let made: Vec<f32> = kept.iter().flat_map(|&c| rows[c]).copied().collect();
        frechet::measure(judge, &reference, &made, s, self.job).await
    }

    /// [`Work::measure`] of a model that no job changes, once for each protocol.
    ///
    /// # Errors
    /// Cancelled, or the device failed.
    pub async fn measure_once(
        &mut self,
        name: &str,
        model: &Model,
        of: &Setting,
    ) -> Result<Arc<Measured>> {
        let recipe = &of.asked.recipe;
        let key = (name, &recipe.data, &of.set.spec, recipe.budget, of.sampling());
        self.once(&key, async |work| {
            let weights = model.weights.upload(&work.session.device);
            work.measure(model, &weights, of).await
        })
        .await
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
    ) -> Result<Grid> {
        let n = model.card.classes.len();
        let classes: Vec<Option<usize>> = (0..n).map(Some).collect();
        match &*model.network {
            Network::Unet(_) => {
                self.job.phase("Drawing", n * columns * options.steps);
                self.samples(model, weights, classes, columns, options).await
            }
            Network::Classifier(net) => {
                let fewest = (0..n).map(|c| test.of_class(c).take(columns).count()).min();
                let columns = fewest.unwrap_or(0);
                self.job.phase("Drawing", n * columns);
                let items: Vec<usize> =
                    (0..n).flat_map(|c| test.of_class(c).take(columns)).collect();
                let asked = Evaluator { net: &**net, weights };
                let seen = asked.predict(Shown(test, &items), self.job).await?;
                let PictureShape { channels, height, width } = test.shape;
                let pixels = items.iter().flat_map(|&i| test.picture(i)).copied().collect();
                let seen = seen.into_iter().map(Some).collect();
                Ok(Grid::new(classes, [channels, height, width], pixels, seen))
            }
        }
    }

    /// `n` samples of one class, or of every class.
    ///
    /// # Errors
    /// An option or the class is wrong, the model draws no classes; cancelled, or the device failed.
    pub async fn sample(
        &mut self,
        name: &str,
        class: Option<String>,
        n: usize,
        options: &SampleOptions,
    ) -> Result<Grid> {
        options.check()?;
        if !(1..=1000).contains(&n) {
            return Err(Error::argument("n", n, "1 to 1000 is needed"));
        }
        let model = self.session.model(name)?;
        self.hear_notes(name, &model);
        let rows: Vec<Option<usize>> = match class.as_deref() {
            None => (0..model.card.classes.len()).map(Some).collect(),
            Some("null") => vec![None],
            Some(given) => vec![Some(class_index(&model.card.classes, given)?)],
        };
        let weights = model.weights.upload(&self.session.device);
        self.job.phase("Sampling", rows.len() * n * options.steps);
        self.samples(&model, &weights, rows, n, options).await
    }

    /// A grid of samples: column i starts from noise i in every row.
    ///
    /// # Errors
    /// The model draws nothing; cancelled, or the device failed.
    pub async fn samples(
        &mut self,
        model: &Model,
        weights: &Weights,
        rows: Vec<Option<usize>>,
        columns: usize,
        options: &SampleOptions,
    ) -> Result<Grid> {
        let unet = model.unet().ok_or_else(|| {
            Error::argument("model", &model.card.name, "a diffusion model is needed to sample")
        })?;
        let judge = self.session.judge(&model.card, &model.card.data, unet.config.channels)?;
        let drawer = Drawer { unet, weights, judge: judge.as_deref() };
        let judged = drawer.draw(&rows, columns, options, self.job).await?;
        Ok(Grid { rows, ..Grid::of_samples(unet, columns, columns, judged) })
    }
}

impl Grid {
    /// The first `columns` of the `each` samples of every class.
    pub fn of_samples(unet: &Unet, each: usize, columns: usize, judged: Judged) -> Self {
        let shape = unet.picture_shape();
        let size = shape.iter().product::<usize>();
        let values = judged.values.chunks_exact(each * size);
        let pixels = values.flat_map(|row| bytes(&row[..columns * size])).collect();
        let rows = judged.seen.chunks_exact(each);
        let seen = rows.clone().flat_map(|row| row[..columns].to_vec()).collect();
        Self::new((0..rows.len()).map(Some).collect(), shape, pixels, seen)
    }
}

/// How a recipe samples: its own options or those of a preview of so many steps, always with the recipe's seed.
pub fn sampling(recipe: &Recipe, steps: usize) -> SampleOptions {
    let preview = preview(steps, recipe.seed);
    SampleOptions { seed: recipe.seed, ..recipe.sampling.unwrap_or(preview) }
}

/// How a preview is sampled.
pub fn preview(steps: usize, seed: u64) -> SampleOptions {
    SampleOptions { steps, guidance: 2.0, eta: 0.0, seed, clip: true }
}
