//! Everything that an audit finds out about one classifier.

use std::sync::Arc;

use super::attacks::attacks;
use super::classify::{part, percent};
use super::references::Calibration;
use super::relearn::relearn;
use super::representation::Probe;
use super::{Answers, Evaluator, Features, Shown};
use crate::data::{Dataset, ForgetSet, Pictures};
use crate::error::Result;
use crate::job_context::JobContext;
use crate::models::Pass;
use crate::words::{AuditSizes, Examination, ProbeReport};

/// What a model is examined on.
pub struct Setup<'a> {
    pub data: &'a Dataset,
    pub set: &'a ForgetSet,
    pub sizes: AuditSizes,
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
        of: Evaluator<'_>,
        answers: Arc<Answers>,
        job: &mut JobContext,
    ) -> Result<Examined> {
        let class = self.set.class;
        let mut found = attacks(&answers, class);
        found.extend(self.calibration.attack(&answers, class));
        let report = Examination {
            attacks: found,
            probe: self.probe(of, job).await?,
            relearn: relearn(of, self, job).await?,
        };
        let layers = self.layers(of, job).await?;
        Ok(Examined { report, answers, layers })
    }

    /// The test pictures that are of no forgotten class.
    fn rest(&self) -> Vec<usize> {
        let test = &self.data.test;
        (0..test.len()).filter(|&i| !self.set.absent(test.labels[i].into())).collect()
    }

    /// As many pictures of every class as there are, at most [`AuditSizes::probe`], without those
    /// that it is asked about.
    async fn probe(&self, of: Evaluator<'_>, job: &mut JobContext) -> Result<Option<ProbeReport>> {
        let Self { data, set, sizes, .. } = self;
        let mut pool = set.retain.clone();
        let forgotten: (&Pictures, Vec<usize>) = match set.class {
            Some(class) => {
                pool.extend(&set.forget);
                (&data.test, data.test.of_class(class).collect())
            }
            None => (&data.train, set.forget.clone()),
        };
        let of_class = |c: usize| -> Vec<usize> {
            pool.iter().copied().filter(|&i| data.train.is_of(i, c)).collect()
        };
        let fitted: Vec<usize> = (0..data.classes.len())
            .flat_map(|c| part(&of_class(c), sizes.probe, "probe"))
            .collect();
        let forgotten = (forgotten.0, part(&forgotten.1, sizes.asked, "probe forgotten"));
        let kept = part(&self.rest(), sizes.asked, "probe kept");
        let n = [fitted.len(), forgotten.1.len(), kept.len()];
        job.phase("Probing features", n.iter().sum());
        let features = of.features(Shown(&data.train, &fitted), job).await?;
        let probe = Probe::fit(&features, &data.train.labels(&fitted), data.classes.len());
        let mut shares = [0.0; 2];
        for (share, (pixels, items)) in shares.iter_mut().zip([forgotten, (&*data.test, kept)]) {
            let features = of.features(Shown(pixels, &items), job).await?;
            let Some(probe) = &probe else { continue };
            let seen = probe.classes(&features);
            *share = percent(seen.iter().zip(&items).map(|(c, &i)| pixels.is_of(i, *c)));
        }
        let [forgotten, kept] = shares;
        Ok(probe.map(|_| ProbeReport { forgotten, kept, n }))
    }

    /// What every stage makes of the forget set and of the rest.
    async fn layers(&self, of: Evaluator<'_>, job: &mut JobContext) -> Result<Vec<[Features; 2]>> {
        let Self { data, set, sizes, .. } = self;
        let forget = part(&set.forget, sizes.layers, "layers forget");
        let rest = part(&self.rest(), sizes.layers, "layers rest");
        job.phase("Comparing layers", forget.len() + rest.len());
        let stages = |pass: &Pass, x| of.net.stages(pass, x);
        let forget = of.rows(Shown(&data.train, &forget), stages, job).await?;
        let mut rest = of.rows(Shown(&data.test, &rest), stages, job).await?;
        rest.resize_with(forget.len(), Features::default);
        Ok(forget.into_iter().zip(rest).map(<[Features; 2]>::from).collect())
    }
}
