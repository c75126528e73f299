//! Pictures on request.

use super::measure::judge_of;
use super::{Grid, Session};
use crate::data::class_index;
use crate::error::{Error, Result};
use crate::eval::Judged;
use crate::eval::generate::make;
use crate::job_context::JobContext;
use crate::models::{Model, Unet, Weights};
use crate::sampling::Wanted;
use crate::words::SampleOptions;

impl Session {
    /// `n` samples of one class, or of every class.
    ///
    /// # Errors
    /// An option or the class is wrong, the model draws no classes; cancelled, or the device failed.
    pub async fn sample(
        &mut self,
        name: &str,
        class: Option<String>,
        n: usize,
        options: SampleOptions,
        job: &mut JobContext,
    ) -> Result<Grid> {
        options.check()?;
        if !(1..=1000).contains(&n) {
            return Err(Error::argument("n", n, "1 to 1000 is needed"));
        }
        let model = self.model(name)?;
        let rows: Vec<Option<usize>> = match class.as_deref() {
            None => (0..model.card.classes.len()).map(Some).collect(),
            Some("null") => vec![None],
            Some(given) => vec![Some(class_index(&model.card.classes, given)?)],
        };
        let weights = model.weights.upload(&self.device);
        job.phase("Sampling", rows.len() * n * options.steps);
        self.samples(&model, &weights, rows, n, &options, job).await
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
        job: &mut JobContext,
    ) -> Result<Grid> {
        let net = model.unet().ok_or_else(|| {
            Error::argument("model", &model.card.name, "a diffusion model is needed to sample")
        })?;
        let judge = self.judge(&model.card.data, net.config.channels)?;
        let on_device = judge.as_ref().map(|j| j.weights.upload(&self.device));
        let judge = match (&judge, &on_device) {
            (Some(j), Some(w)) => Some(judge_of(j, w)?),
            _ => None,
        };
        let wanted: Vec<_> = rows
            .iter()
            .flat_map(|&condition| {
                (0..columns as u64).map(move |noise| Wanted { condition, noise })
            })
            .collect();
        let judged = make(net, weights, judge, &wanted, options, job).await?;
        Ok(Grid { rows, ..Grid::of_samples(net, columns, columns, judged) })
    }
}

impl Grid {
    /// The first `columns` of the `each` samples of every class.
    pub fn of_samples(net: &Unet, each: usize, columns: usize, judged: Judged) -> Self {
        let (channels, side) = (net.config.channels, net.config.resolution);
        let size = channels * side * side;
        let rows = judged.values.chunks_exact(each * size);
        let bytes = |row: &[f32]| -> Vec<u8> {
            row[..columns * size].iter().map(|v| (v * 255.0).round() as u8).collect()
        };
        Self {
            rows: (0..rows.len()).map(Some).collect(),
            names: Vec::new(),
            columns,
            channels,
            tile: [side; 2],
            pixels: rows.flat_map(bytes).collect(),
            seen: judged.seen.chunks_exact(each).flat_map(|row| row[..columns].to_vec()).collect(),
        }
    }
}
