//! Retrain: fresh weights, trained on the retain set alone as the model was. What every
//! other method is measured against.

use burn::tensor::Tensor;

use super::{Local, Losses, Method, MethodContext, MethodHooks, Order, Rate, StepInfo, Treatment};
use crate::error::Result;
use crate::models::Weights;
use crate::train::average;

/// Retrain.
pub const METHOD: Method = Method {
    name: "retrain",
    title: "Retrain",
    // It would make of a model trained anew one that holds the original's weights.
    masked: false,
    // Rates and lengths are the presets' own; these are those of the models that the studio opens with.
    treatments: &[
        Treatment::classifier(Order::Retain, 6, 0.1).rate(Rate::AsTrained),
        Treatment::classes(Losses::Retain, 3800, 1e-3).rate(Rate::AsTrained),
    ],
    work: |_| Box::new(Fresh { decay: 0.0, average: Vec::new() }),
    ..Method::PLAIN
};

struct Fresh {
    /// Of the moving average of the weights; 0 for none.
    decay: f64,
    average: Vec<Tensor<1>>,
}

impl MethodHooks for Fresh {
    fn begin<'a>(&'a mut self, scene: &'a mut MethodContext<'_>) -> Local<'a, Result<()>> {
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

    fn carried(&mut self) -> Option<&mut Vec<Tensor<1>>> {
        (self.decay > 0.0).then_some(&mut self.average)
    }

    fn delivered(&self, weights: &Weights) -> Weights {
        let mut delivered = weights.clone();
        if !self.average.is_empty() {
            delivered.params = self.average.clone();
        }
        delivered
    }
}
