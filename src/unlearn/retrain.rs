//! Retrain: fresh weights, trained on the retain set alone as the model was (ALGORITHMS 2.3). What
//! every other method is measured against.

use burn::tensor::Tensor;

use super::{
    hooks::{Local, MethodContext, MethodHooks, StepInfo},
    knob::{NORMS, TRAINING},
    registry::{Classify, Generate, Losses, Method, Order, Rate},
};
use crate::{
    error::Result, job_context::JobContext, models::weights::Weights, train::learner::average,
    words::estimator::Estimator,
};

/// Retrain.
pub const METHOD: Method = Method {
    name: "retrain",
    title: "Retrain",
    paper: "-",
    knobs: &[NORMS, TRAINING],
    mask: Estimator::None,
    classify: Some(Classify {
        order: Order::Retain,
        rate: Rate::AsTrained,
        // The presets' own; these are those of the model that the studio opens with.
        lr: 0.1,
        quick_lr: None,
        epochs: 6,
    }),
    generate: Some(Generate {
        losses: Losses::Retain,
        rate: Rate::AsTrained,
        lr: 1e-3,
        quick_lr: None,
        steps: 3800,
        redirects: false,
        attention: false,
    }),
    prompts: None,
    work: |_| Box::new(Fresh { decay: 0.0, average: Vec::new() }),
};

struct Fresh {
    /// Of the moving average of the weights; 0 for none.
    decay: f64,
    average: Vec<Tensor<1>>,
}

impl MethodHooks for Fresh {
    fn begin<'a>(
        &'a mut self,
        scene: &'a mut MethodContext<'_>,
        _monitor: &'a mut JobContext,
    ) -> Local<'a, Result<()>> {
        Box::pin(async move {
            self.decay = scene.plan.preset.map_or(0.0, |preset| preset.ema);
            let fresh = scene.original.layout.init(scene.plan.seed);
            *scene.weights = fresh.upload(&scene.original.device());
            if self.decay > 0.0 {
                self.average = scene.weights.params.clone();
            }
            Ok(())
        })
    }

    fn after<'a>(&'a mut self, weights: &'a mut Weights, at: StepInfo) -> Local<'a, Result<bool>> {
        Box::pin(async move {
            average(&mut self.average, &weights.params, self.decay, at.step + 1);
            Ok(false)
        })
    }

    fn delivered(&self, weights: &Weights) -> Weights {
        let mut delivered = weights.clone();
        if !self.average.is_empty() {
            delivered.params = self.average.clone();
        }
        delivered
    }
}
