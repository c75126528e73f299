//! The reference models of RMIA: small networks, trained here, that show how hard a picture is for a
//! model that never saw it.

use std::sync::Arc;

use burn::tensor::Device;

use super::attacks::unseen;
use super::roc::roc;
use super::{Answers, Evaluator, Outputs, Shown, rmia};
use crate::data::{Dataset, rng};
use crate::error::Result;
use crate::job_context::JobContext;
use crate::models::{Architecture, Network, ResnetConfig, Weights};
use crate::train::losses::Augment;
use crate::train::trainer::finite;
use crate::train::{LrSchedule, Rule, TrainPlan, Trainer};
use crate::words::{Attack, AuditSizes, audit};

/// Base width of the networks.
const WIDTH: usize = 8;
const BATCH: usize = 64;
/// Two halves: every training picture is unknown to exactly one of the networks.
const MODELS: usize = 2;
/// Updates between two looks at the loss.
const LOOK: usize = 20;

/// Trained reference models.
pub struct References {
    network: Arc<Network>,
    weights: Vec<Weights>,
    /// Per training picture: the network that saw it.
    half: Vec<usize>,
    steps: usize,
}

/// What the references say of the items of an evaluation: one probability of the true class each, by
/// a network that did not see the item.
#[derive(Debug, Clone)]
pub struct Calibration {
    forget: Vec<f32>,
    test: Vec<f32>,
}

impl References {
    /// Bytes of memory, most of them the networks' weights.
    pub fn bytes(&self) -> usize {
        self.weights.iter().map(|weights| weights.layout.n() * size_of::<f32>()).sum()
    }

    /// Trains the networks on halves of `items`, indices into the training pictures.
    ///
    /// # Errors
    /// Cancelled, the device failed, or training diverged.
    pub async fn train(
        data: &Arc<Dataset>,
        items: &[usize],
        sizes: &AuditSizes,
        device: &Device,
        job: &mut JobContext,
    ) -> Result<Self> {
        let channels = data.train.shape.channels;
        let architecture = Architecture::Resnet(ResnetConfig {
            width: WIDTH,
            channels,
            classes: data.classes.len(),
            mean: vec![0.5; channels],
            std: vec![0.5; channels],
        });
        let (network, layout) = architecture.build();
        let network = Arc::new(network);
        let mut half = vec![0; data.train.len()];
        for (place, j) in rng::shuffled(&mut rng::seeded(0, "reference halves"), items.len())
            .into_iter()
            .enumerate()
        {
            half[items[j]] = place % MODELS;
        }
        let steps = sizes.references;
        job.phase("Training reference models", MODELS * steps);
        let mut weights = Vec::new();
        for model in 0..MODELS {
            let plan = TrainPlan {
                steps,
                batch: BATCH,
                rule: Rule::SGD,
                lr: 0.1,
                schedule: LrSchedule::WarmCosine,
                ema: 0.0,
                augment: Augment::None,
                seed: model as u64,
            };
            let own = items.iter().filter(|i| half[**i] == model).copied().collect();
            let start = layout.init(model as u64);
            let mut trainer =
                Trainer::of_classes(network.clone(), start, data.clone(), own, plan, device);
            while trainer.step < steps {
                let loss = trainer.step()?;
                if trainer.step.is_multiple_of(LOOK) || trainer.step == steps {
                    finite(loss).await?;
                }
                job.advance(1).await?;
            }
            weights.extend(trainer.learners.into_iter().map(|learner| learner.weights));
        }
        Ok(Self { network, weights, half, steps })
    }

    /// Asks the networks about an evaluation's items.
    ///
    /// # Errors
    /// Cancelled, or the device failed.
    pub async fn calibrate(
        &self,
        answers: &Answers,
        data: &Dataset,
        job: &mut JobContext,
    ) -> Result<Calibration> {
        let Network::Classifier(net) = &*self.network else { unreachable!("built as a ResNet") };
        let (forget, test) = (&answers.forget.items, &answers.test.items);
        job.phase("Asking the reference models", MODELS * (forget.len() + test.len()));
        let mut said = [vec![0.0; forget.len()], vec![0.0; test.len()]];
        for (model, weights) in self.weights.iter().enumerate() {
            // No network saw a test picture; each is asked by one, as each forgotten picture is.
            let unknown = |set: usize, i: usize| match set {
                0 => self.half[forget[i]] != model,
                _ => test[i] / 2 % MODELS == model,
            };
            for (set, items) in [forget, test].into_iter().enumerate() {
                let asked: Vec<usize> = (0..items.len()).filter(|&i| unknown(set, i)).collect();
                let pictures = if set == 0 { &data.train } else { &data.test };
                let items: Vec<usize> = asked.iter().map(|&i| items[i]).collect();
                let model = Evaluator { net: &**net, weights };
                let out = Outputs::of(&model, Shown(pictures, &items), job).await?;
                for (k, i) in asked.into_iter().enumerate() {
                    said[set][i] = out.confidence(k);
                }
            }
        }
        let [forget, test] = said;
        Ok(Calibration { forget, test })
    }

    /// For the report.
    pub fn report(&self) -> audit::References {
        audit::References { models: MODELS, width: WIDTH, steps: self.steps, batch: BATCH }
    }
}

impl Calibration {
    /// RMIA on the forget set of these answers; the population is the half of the test pictures that
    /// is not attacked.
    pub fn attack(&self, answers: &Answers, class: Option<usize>) -> Option<Attack> {
        let test = &answers.test;
        let ratio = |own: &Outputs, i: usize, out: f32| rmia::ratio(own.confidence(i), &[out]);
        let of_test = |i: usize| ratio(test, i, self.test[i]);
        let population: Vec<f64> = (0..test.len()).filter(|i| i % 2 == 0).map(of_test).collect();
        let members: Vec<f64> =
            (0..answers.forget.len()).map(|i| ratio(&answers.forget, i, self.forget[i])).collect();
        let others = unseen(answers, class);
        // Both lists ascend in the test set.
        let others: Vec<f64> = (0..test.len())
            .filter(|&i| others.items.binary_search(&test.items[i]).is_ok())
            .map(of_test)
            .collect();
        let [members, others] = [&members, &others].map(|r| rmia::scores(r, &population));
        roc("RMIA", &members, &others)
    }
}
