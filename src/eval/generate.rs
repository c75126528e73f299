//! What a diffusion model still makes, as a judge sees it (docs/methods.md#metrics): one that looks at pictures of
//! their size judges them as they are, without stretching and without flips.

use super::Judge;
use super::classify::percent;
use crate::data::ForgetSet;
use crate::error::{Error, Result};
use crate::job_context::JobContext;
use crate::models::{Unet, Weights};
use crate::sampling::sampler::sample;
use crate::sampling::{Wanted, WantedClass};
use crate::words::{Extent, Metrics, SampleOptions};

/// Pictures sampled together.
const BATCH: usize = 48;

/// Samples as values in [0, 1], one after another, and what the judge sees in each: a class, or one more than
/// there are where it is something else; nothing without a judge.
#[derive(Debug, Clone, Default)]
pub struct Judged {
    pub values: Vec<f32>,
    pub seen: Vec<Option<(usize, f32)>>,
}

impl Judged {
    /// Takes the first `n` samples out, of `each` values.
    fn take(&mut self, n: usize, each: usize) -> Self {
        let rest = Self { values: self.values.split_off(n * each), seen: self.seen.split_off(n) };
        std::mem::replace(self, rest)
    }

    /// Adds samples behind these.
    fn append(&mut self, mut others: Self) {
        self.values.append(&mut others.values);
        self.seen.append(&mut others.seen);
    }

    /// Bytes of main memory.
    pub fn bytes(&self) -> usize {
        size_of_val(&self.values[..]) + size_of_val(&self.seen[..])
    }
}

/// A diffusion model's samples by class, those of each from noise 0 on, and the metrics of the first of them.
pub struct Shares {
    pub metrics: Metrics,
    pub samples: Vec<Judged>,
    /// How many of them were counted: of the forgotten class and of each other.
    pub n: [usize; 3],
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
        let of = |class| Wanted::each(class, 0..each as u64);
        self.make(&classes.iter().flat_map(of).collect::<Vec<_>>(), options, job).await
    }

    async fn make(
        &self,
        wanted: &[WantedClass],
        options: &SampleOptions,
        job: &mut JobContext,
    ) -> Result<Judged> {
        let mut judged = Judged::default();
        for batch in wanted.chunks(BATCH) {
            let made = sample(self.unet, self.weights, batch, options, job).await?;
            judged.seen.extend(self.look(&made).await?);
            judged.values.extend(made);
        }
        Ok(judged)
    }

    /// What the judge sees in each of some pictures, values in [0, 1], as [`Judged::seen`] has it.
    ///
    /// # Errors
    /// The device failed.
    pub async fn look(&self, values: &[f32]) -> Result<Vec<Option<(usize, f32)>>> {
        let shape = self.unet.picture_shape();
        let Some(judge) = self.judge else {
            return Ok(vec![None; values.len() / shape.iter().product::<usize>()]);
        };
        // Beyond all classes: something else.
        let other = self.unet.config.classes;
        let glances = judge.look(values, shape).await?;
        Ok(glances.iter().map(|g| Some((g.name.unwrap_or(other), g.p))).collect())
    }

    /// Shares of each class's samples that the judge gives that class. UA is 100 - the forgotten class's share; RA
    /// and TA are the mean share of the kept classes. Without a judge nothing is measured. What is `known` of the
    /// same weights and noise is not drawn again; after every round `told` hears of all so far.
    ///
    /// # Errors
    /// Cancelled, or the device failed.
    pub async fn measure(
        &self,
        set: &ForgetSet,
        (extent, known): (&Extent, Vec<Judged>),
        options: &SampleOptions,
        job: &mut JobContext,
        told: &mut dyn FnMut(&Shares),
    ) -> Result<Shares> {
        let forgotten = set
            .class
            .ok_or_else(|| Error::Request("a diffusion model is measured on a class".into()))?;
        let classes = self.unet.config.classes;
        let of = |n: [usize; 3], class: usize| n[usize::from(class != forgotten)];
        let mut samples = known;
        samples.resize_with(classes, Judged::default);
        let missing = |samples: &[Judged], n| -> Vec<WantedClass> {
            let row = |(class, row): (usize, &Judged)| {
                Wanted::each(&Some(class), row.seen.len() as u64..of(n, class) as u64)
            };
            samples.iter().enumerate().flat_map(row).collect()
        };
        job.phase("Evaluating", missing(&samples, extent.most).len() * options.steps);
        let each = self.unet.picture_shape().iter().product();
        let mut n = extent.first();
        loop {
            let mut drawn = self.make(&missing(&samples, n), options, job).await?;
            for (class, row) in samples.iter_mut().enumerate() {
                row.append(drawn.take(of(n, class).saturating_sub(row.seen.len()), each));
            }
            let metrics = self.counted(set, forgotten, n, &samples);
            let next = extent.next(n, &metrics.intervals);
            let shares = Shares { metrics, samples, n };
            told(&shares);
            let Some(more) = next else { return Ok(shares) };
            (samples, n) = (shares.samples, more);
        }
    }

    /// The metrics of the first `n` samples.
    fn counted(
        &self,
        set: &ForgetSet,
        forgotten: usize,
        n: [usize; 3],
        samples: &[Judged],
    ) -> Metrics {
        if self.judge.is_none() {
            return Metrics::unjudged();
        }
        let share = |(class, row): (usize, &Judged)| {
            let row = &row.seen[..n[usize::from(class != forgotten)]];
            percent(row.iter().map(|s| s.is_some_and(|(c, _)| c == class)))
        };
        let shares: Vec<f64> = samples.iter().enumerate().map(share).collect();
        let kept: Vec<f64> =
            shares.iter().enumerate().filter(|(c, _)| !set.absent(*c)).map(|(_, s)| *s).collect();
        let mean = kept.iter().sum::<f64>() / kept.len().max(1) as f64;
        let metrics = Metrics {
            UA: 100.0 - shares[forgotten],
            RA: mean,
            TA: mean,
            n: [n[0], n[1] * kept.len(), n[1] * kept.len()],
            per_class: shares,
            ..Metrics::default()
        };
        metrics.with_intervals()
    }
}
