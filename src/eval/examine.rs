//! Everything that an audit finds out about one classifier.

use std::sync::Arc;

use burn::tensor::{Device, Tensor};

use super::{
    attacks::attacks,
    classify::part,
    outputs::Answers,
    references::Calibration,
    relearn::relearn,
    representation::{Features, Probe},
};
use crate::{
    data::{Dataset, Pictures, forget::ForgetSet, rng},
    error::Result,
    job_context::JobContext,
    models::{
        classifier::Classifier,
        layers::{Mode, Pass},
        weights::{Weights, read},
    },
    train::losses::{Augment, pictures},
    words::{
        audit::{Examination, ProbeReport},
        budget::AuditSizes,
    },
};

/// Pictures in one forward pass.
const BATCH: usize = 250;

/// What a model is examined on.
pub struct Setup<'a> {
    pub data: &'a Dataset,
    pub set: &'a ForgetSet,
    pub sizes: AuditSizes,
    pub device: &'a Device,
    pub calibration: &'a Calibration,
}

/// A model's findings, and what other models' are compared with.
#[derive(Debug, Clone)]
pub struct Examined {
    pub report: Examination,
    pub answers: Arc<Answers>,
    /// Of each stage: features of the forget set, and of the test pictures of the rest.
    pub layers: Vec<[Features; 2]>,
}

impl Setup<'_> {
    /// Examines a classifier.
    ///
    /// # Errors
    /// Cancelled, or the device failed.
    pub async fn examine(
        &self,
        net: &dyn Classifier,
        weights: &Weights,
        answers: Arc<Answers>,
        job: &mut JobContext,
    ) -> Result<Examined> {
        let class = self.set.class;
        let mut found = attacks(&answers, class);
        found.extend(self.calibration.attack(&answers, class));
        let report = Examination {
            attacks: found,
            probe: self.probe(net, weights, job).await?,
            relearn: relearn(net, weights, self.data, self.set, &self.sizes, self.device, job)
                .await?,
        };
        let layers = self.layers(net, weights, job).await?;
        Ok(Examined { report, answers, layers })
    }

    /// The test pictures that are of no forgotten class.
    fn rest(&self) -> Vec<usize> {
        let test = &self.data.test;
        (0..test.len()).filter(|&i| !self.set.absent(test.labels[i].into())).collect()
    }

    /// As many pictures of every class as there are, at most [`AuditSizes::probe`], without those
    /// that it is asked about.
    async fn probe(
        &self,
        net: &dyn Classifier,
        weights: &Weights,
        job: &mut JobContext,
    ) -> Result<Option<ProbeReport>> {
        let Self { data, set, sizes, .. } = self;
        let mut pool = set.retain.clone();
        let forgotten: (&Pictures, Vec<usize>) = match set.class {
            Some(class) => {
                pool.extend(&set.forget);
                let test = &data.test;
                (test, (0..test.len()).filter(|&i| test.labels[i] as usize == class).collect())
            }
            None => (&data.train, set.forget.clone()),
        };
        let of_class = |c: usize| -> Vec<usize> {
            pool.iter().filter(|i| data.train.labels[**i] as usize == c).copied().collect()
        };
        let fitted: Vec<usize> = (0..data.classes.len())
            .flat_map(|c| part(&of_class(c), sizes.probe, "probe"))
            .collect();
        let forgotten = (forgotten.0, part(&forgotten.1, sizes.asked, "probe forgotten"));
        let kept = part(&self.rest(), sizes.asked, "probe kept");
        let n = [fitted.len(), forgotten.1.len(), kept.len()];
        job.phase("Probing features", n.iter().sum());
        let features = self.features(net, weights, &data.train, &fitted, job).await?;
        let probe = Probe::fit(&features, &data.train.labels(&fitted), data.classes.len());
        let mut shares = [0.0; 2];
        for (share, (pixels, items)) in shares.iter_mut().zip([forgotten, (&*data.test, kept)]) {
            let features = self.features(net, weights, pixels, &items, job).await?;
            let Some(probe) = &probe else { continue };
            let seen = probe.classes(&features);
            let labels = pixels.labels(&items);
            *share = super::classify::percent(seen.iter().zip(&labels).map(|(a, b)| a == b));
        }
        let [forgotten, kept] = shares;
        Ok(probe.map(|_| ProbeReport { forgotten, kept, n }))
    }

    /// Penultimate features.
    async fn features(
        &self,
        net: &dyn Classifier,
        weights: &Weights,
        data: &Pictures,
        items: &[usize],
        job: &mut JobContext,
    ) -> Result<Features> {
        let mut all = Features::default();
        for batch in items.chunks(BATCH) {
            let pass = Pass::new(weights, Mode::Eval);
            let features = net.features(&pass, self.batch(data, batch));
            all.append(features).await?;
            job.advance(batch.len()).await?;
        }
        Ok(all)
    }

    /// What every stage makes of the forget set and of the rest.
    async fn layers(
        &self,
        net: &dyn Classifier,
        weights: &Weights,
        job: &mut JobContext,
    ) -> Result<Vec<[Features; 2]>> {
        let Self { data, set, sizes, .. } = self;
        let forget = part(&set.forget, sizes.layers, "layers forget");
        let rest = part(&self.rest(), sizes.layers, "layers rest");
        job.phase("Comparing layers", forget.len() + rest.len());
        let mut layers = vec![<[Features; 2]>::default(); net.stage_names().len()];
        for (which, (pixels, items)) in
            [(&data.train, forget), (&data.test, rest)].into_iter().enumerate()
        {
            for batch in items.chunks(BATCH) {
                let pass = Pass::new(weights, Mode::Eval);
                let stages = net.stages(&pass, self.batch(pixels, batch));
                for (layer, stage) in layers.iter_mut().zip(stages) {
                    layer[which].append(stage).await?;
                }
                job.advance(batch.len()).await?;
            }
        }
        Ok(layers)
    }

    fn batch(&self, data: &Pictures, items: &[usize]) -> Tensor<4> {
        // Evaluation draws nothing at random.
        pictures(data, items, Augment::None, &mut rng::seeded(0, "none"), self.device)
    }
}

impl Features {
    /// Adds rows. [n, width].
    async fn append(&mut self, rows: Tensor<2>) -> Result<()> {
        let [n, width] = rows.dims();
        self.values.extend(read(rows).await?);
        (self.n, self.width) = (self.n + n, width);
        Ok(())
    }
}
