//! Pictures on request.

use super::Grid;
use super::measure::judge_of;
use super::prompt::bytes;
use super::session::Work;
use crate::data::class_index;
use crate::error::{Error, Result};
use crate::eval::{Drawer, Judged};
use crate::models::{Model, Unet, Weights};
use crate::words::SampleOptions;

impl Work<'_> {
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
        let judge = self.session.judge(&model.card.data, unet.config.channels)?;
        let on_device = judge.as_ref().map(|j| j.weights.upload(&self.session.device));
        let judge = match (&judge, &on_device) {
            (Some(j), Some(w)) => Some(judge_of(j, w)?),
            _ => None,
        };
        let drawer = Drawer { unet, weights, judge };
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
