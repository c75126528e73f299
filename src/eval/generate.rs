//! What a diffusion model still makes, as a judge sees it (docs/methods.md#metrics): one that looks at pictures of
//! their size judges them as they are, without stretching and without flips.

use super::Judge;
use super::classify::percent;
use crate::data::ForgetSet;
use crate::error::{Error, Result};
use crate::job_context::JobContext;
use crate::models::{Unet, Weights};
use crate::sampling::Wanted;
use crate::sampling::sampler::sample;
use crate::words::{Metrics, SampleOptions};

/// Pictures sampled together.
const BATCH: usize = 50;

/// Samples as values in [0, 1], one after another, and what the judge sees in each: a class, or one more than
/// there are where it is something else; nothing without a judge.
pub struct Judged {
    pub values: Vec<f32>,
    pub seen: Vec<Option<(usize, f32)>>,
}

/// A diffusion model, its weights on the device, and who looks at what it draws.
pub struct Drawer<'a> {
    pub unet: &'a Unet,
    pub weights: &'a Weights,
    pub judge: Option<&'a Judge>,
}

impl Drawer<'_> {
    /// Draws `each` samples of every class; the i-th starts from noise i.
    ///
    /// # Errors
    /// Cancelled, or the device failed.
    pub async fn draw(
        &self,
        classes: &[Option<usize>],
        each: usize,
        options: &SampleOptions,
        job: &mut JobContext,
    ) -> Result<Judged> {
        let Self { unet, weights, judge } = self;
        let wanted: Vec<_> =
            classes.iter().flat_map(|class| Wanted::each(class, 0..each as u64)).collect();
        let [channels, height, width] = unet.picture_shape();
        let (mut values, mut seen) = (Vec::new(), Vec::new());
        for batch in wanted.chunks(BATCH) {
            let made = sample(unet, weights, batch, options, job).await?;
            match judge {
                Some(judge) => {
                    let glances = judge.look(&made, [channels, height, width]).await?;
                    // Beyond all classes: something else.
                    let other = unet.config.classes;
                    seen.extend(glances.iter().map(|g| Some((g.name.unwrap_or(other), g.p))));
                }
                None => seen.extend(std::iter::repeat_n(None, batch.len())),
            }
            values.extend(made);
        }
        Ok(Judged { values, seen })
    }

    /// Shares of each class's samples that the judge gives that class, and the samples. UA is 100 - the
    /// forgotten class's share; RA and TA are the mean share of the kept classes. Without a judge nothing is
    /// measured.
    ///
    /// # Errors
    /// Cancelled, or the device failed.
    pub async fn measure(
        &self,
        set: &ForgetSet,
        each: usize,
        options: &SampleOptions,
        job: &mut JobContext,
    ) -> Result<(Metrics, Judged)> {
        let forgotten = set
            .class
            .ok_or_else(|| Error::Request("a diffusion model is measured on a class".into()))?;
        let classes: Vec<_> = (0..self.unet.config.classes).map(Some).collect();
        job.phase("Evaluating", classes.len() * each * options.steps);
        let judged = self.draw(&classes, each, options, job).await?;
        if self.judge.is_none() {
            return Ok((Metrics::unjudged(), judged));
        }
        let rows = judged.seen.chunks_exact(each).enumerate();
        let share = |(class, row): (usize, &[Option<(usize, f32)>])| {
            percent(row.iter().map(|s| s.is_some_and(|(c, _)| c == class)))
        };
        let shares: Vec<f64> = rows.map(share).collect();
        let kept: Vec<f64> =
            shares.iter().enumerate().filter(|(c, _)| !set.absent(*c)).map(|(_, s)| *s).collect();
        let mean = kept.iter().sum::<f64>() / kept.len().max(1) as f64;
        let metrics = Metrics {
            UA: 100.0 - shares[forgotten],
            RA: mean,
            TA: mean,
            n: [each, each * kept.len(), each * kept.len()],
            per_class: shares,
            ..Metrics::default()
        };
        Ok((metrics, judged))
    }
}
