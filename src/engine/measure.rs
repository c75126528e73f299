//! What a model does, measured and drawn.

use std::{fmt::Debug, sync::Arc};

use super::{Asked, Grid, Setting, Work, bytes, known};
use crate::data::{PictureShape, Pictures, class_index};
use crate::error::{Error, Result};
use crate::eval;
use crate::eval::{Answers, Drawer, Evaluator, Judge, Judged, Outputs, Shares, Shown, frechet};
use crate::models::{Model, Network, Unet, Weights};
use crate::unlearn::Local;
use crate::words::{Extent, Frechet, Metrics, Recipe, SampleOptions, Sizes};

/// A model's metrics, and what a pane shows of it.
#[derive(Debug, Clone)]
pub struct Measured {
    pub metrics: Metrics,
    /// What a classifier said of each item.
    pub answers: Option<Arc<Answers>>,
    pub grid: Arc<Grid>,
    /// How many pictures it is over, counted as [`Extent::most`].
    pub n: [usize; 3],
}

/// Hears what was found so far: the pictures of a pane, once they are there, and the figures of the rounds.
pub type Hears<'a> = &'a mut dyn FnMut(Option<Arc<Grid>>, Option<Metrics>);

/// Hears nothing.
pub fn deaf() -> impl FnMut(Option<Arc<Grid>>, Option<Metrics>) {
    |_, _| {}
}

impl Setting {
    /// How the request samples.
    pub fn sampling(&self) -> SampleOptions {
        self.asked.sampling()
    }

    /// Tiles in a row of a pane.
    pub fn columns(&self) -> usize {
        self.asked.recipe.budget.sizes().columns
    }

    /// What caches know a model's measurement over `n` pictures by.
    pub fn measured_as(&self, name: &str, n: [usize; 3]) -> impl Debug + use<> {
        let Recipe { data, budget, .. } = self.asked.recipe.clone();
        (name.to_string(), data, self.set.spec.clone(), budget, self.sampling(), n)
    }

    /// How many pictures the request is measured on, of those that there are.
    pub fn measured_on(&self) -> Extent {
        let (extent, set) = (self.asked.extent(), &self.set);
        match self.model.unet() {
            // It draws as many as are asked for.
            Some(_) => extent,
            None => extent.within([set.forget.len(), set.retain.len(), self.data.test.len()]),
        }
    }
}

impl Asked {
    /// How the request samples.
    pub fn sampling(&self) -> SampleOptions {
        let recipe = &self.recipe;
        sampling(recipe, recipe.budget.sizes().sampler[self.plan.how.task as usize])
    }

    /// How many pictures the request is measured on.
    pub fn extent(&self) -> Extent {
        self.recipe.budget.sizes().measured[self.plan.how.task as usize]
    }
}

impl Work<'_> {
    /// [`super::job::Job::Evaluate`].
    ///
    /// # Errors
    /// The recipe is wrong, cancelled, or the device failed.
    pub async fn measured(&mut self, model: Arc<Model>, recipe: &Recipe) -> Result<Metrics> {
        let of = self.setting_of(model, recipe).await?;
        let weights = of.model.weights.upload(&self.session.device);
        let (extent, model) = (of.asked.extent(), of.model.clone());
        Ok(self.measure(&model, &weights, &of, extent, &mut deaf()).await?.metrics)
    }

    /// Measures some weights under a request. Boxed, so that it is compiled once for all who await it.
    ///
    /// # Errors
    /// A judge cannot be used, the device failed, or cancelled.
    pub fn measure<'a>(
        &'a mut self,
        model: &'a Model,
        weights: &'a Weights,
        of: &'a Setting,
        extent: Extent,
        hears: Hears<'a>,
    ) -> Local<'a, Result<Measured>> {
        Box::pin(async move {
            let Setting { data, set, .. } = of;
            let Sizes { columns, .. } = of.asked.recipe.budget.sizes();
            match &*model.network {
                Network::Classifier(net) => {
                    let options = of.sampling();
                    let grid = self.grid(model, weights, &data.test, columns, &options).await?;
                    let grid = Arc::new(grid);
                    hears(Some(grid.clone()), None);
                    let asked = Evaluator { net: &**net, weights };
                    let mut told = |seen: &Metrics| hears(None, Some(seen.clone()));
                    let answers = asked.answers(data, set, &extent, self.job, &mut told).await?;
                    let metrics = eval::classify::metrics(&answers, set);
                    let n = [&answers.forget, &answers.retain, &answers.test].map(Outputs::len);
                    Ok(Measured { metrics, answers: Some(answers.into()), grid, n })
                }
                Network::Unet(net) => {
                    let known = Vec::new();
                    let (measured, _) =
                        self.shares((net, weights), of, (extent, known), hears).await?;
                    Ok(measured)
                }
            }
        })
    }

    /// [`Work::measure`] of a diffusion model, of which these samples are `known`; and all samples.
    async fn shares(
        &mut self,
        (net, weights): (&Unet, &Weights),
        of: &Setting,
        (extent, known): (Extent, Vec<Judged>),
        hears: Hears<'_>,
    ) -> Result<(Measured, Vec<Judged>)> {
        let Setting { asked: Asked { recipe, .. }, set, model, .. } = of;
        let Sizes { columns, frechet, .. } = recipe.budget.sizes();
        let judge = self.session.judge(&model.card, &recipe.data, net.config.channels)?;
        let drawer = Drawer { unet: net, weights, judge: judge.as_deref() };
        let mut grid = None;
        let mut told = |shares: &Shares| {
            let first = grid.is_none();
            if first {
                // The first samples of every class are those that a pane shows: from one noise.
                grid = Grid::of_samples(net, columns, &shares.samples).map(Arc::new);
            }
            let shown = grid.clone().filter(|_| first);
            hears(shown, Some(shares.metrics.clone()));
        };
        let (options, asked) = (of.sampling(), (&extent, known));
        let measured = drawer.measure(set, asked, &options, self.job, &mut told).await?;
        let Shares { mut metrics, samples, n } = measured;
        if let Some(judge) = judge.as_ref().filter(|_| frechet) {
            metrics.FD = Some(self.frechet(judge, of, &samples, n[1]).await?);
        }
        let grid = grid.unwrap_or_default();
        Ok((Measured { metrics, answers: None, grid, n }, samples))
    }

    /// The Frechet distance of the kept classes' samples, the first `each` of a class.
    async fn frechet(
        &mut self,
        judge: &Judge,
        of: &Setting,
        samples: &[Judged],
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
        let rows = kept.iter().map(|&c| &samples[c].values[..each * s.n()]);
        frechet::measure(judge, &reference, &rows.collect::<Vec<_>>().concat(), s, self.job).await
    }

    /// [`Work::measure`] of a model that no job changes, over `n` pictures, once for each protocol.
    ///
    /// # Errors
    /// Cancelled, or the device failed.
    pub async fn measure_once(
        &mut self,
        name: &str,
        model: &Model,
        of: &Setting,
        n: [usize; 3],
    ) -> Result<Arc<Measured>> {
        let key = of.measured_as(name, n);
        self.once(&key, async |work| {
            let weights = model.weights.upload(&work.session.device);
            let (extent, hears) = (Extent::exactly(n), &mut deaf());
            let Network::Unet(net) = &*model.network else {
                return work.measure(model, &weights, of, extent, hears).await;
            };
            // Samples are what they are whatever is to be forgotten.
            let Recipe { data, budget, .. } = &of.asked.recipe;
            let key = (name, data, &of.model.card.judge, budget, of.sampling());
            let known = match work.session.store.get::<Vec<Judged>>(&key) {
                Some(known) => Vec::clone(&known),
                // The distance is of the pictures themselves.
                None if budget.sizes().frechet => Vec::new(),
                None => of.known(name, &model.weights),
            };
            let known = (extent, known);
            let (measured, samples) = work.shares((net, &weights), of, known, hears).await?;
            work.session.store.put(&key, samples);
            Ok(measured)
        })
        .await
    }

    /// What a pane shows of a model that no job changes, by its name and that of the data; drawn once, or not at all
    /// where it is recorded.
    ///
    /// # Errors
    /// Cancelled, or the device failed.
    pub async fn shown_once(
        &mut self,
        name: (&str, &str),
        model: &Model,
        test: &Pictures,
        columns: usize,
        options: &SampleOptions,
    ) -> Result<Arc<Grid>> {
        self.once(&shown_as(name, columns, options), async |work| {
            if let Some(grid) = known::shown(name.0, &[&model.weights], columns, options) {
                return Ok(Grid::clone(&grid));
            }
            let weights = model.weights.upload(&work.session.device);
            work.grid(model, &weights, test, columns, options).await
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
        let Judged { values, seen } = drawer.draw(&rows, columns, options, self.job).await?;
        Ok(Grid::new(rows, unet.picture_shape(), bytes(&values).collect(), seen))
    }
}

impl Grid {
    /// The first `columns` samples of every class; nothing where only what was seen in them is known.
    pub fn of_samples(unet: &Unet, columns: usize, samples: &[Judged]) -> Option<Self> {
        let shape = unet.picture_shape();
        let each = shape.iter().product::<usize>();
        if samples.iter().any(|row| row.values.len() != row.seen.len() * each) {
            return None;
        }
        let size = columns * each;
        let pixels = samples.iter().flat_map(|row| bytes(&row.values[..size])).collect();
        let seen = samples.iter().flat_map(|row| row.seen[..columns].to_vec()).collect();
        Some(Self::new((0..samples.len()).map(Some).collect(), shape, pixels, seen))
    }
}

/// What caches know by what a pane shows of a model, by its name and that of the data.
pub fn shown_as(name: (&str, &str), columns: usize, options: &SampleOptions) -> impl Debug {
    (name, columns, options)
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
