//! Boundary expanding (Chen et al. 2023): the forget set gets a class of its own,
//! a further row of the head, which goes when the training is done.

use burn::tensor::Tensor;
use rand::RngExt;

use super::{Batch, Knob, Local, Method, MethodContext, MethodHooks, bs};
use crate::data::rng;
use crate::error::{Error, Result};
use crate::models::Weights;
use crate::models::weights::vector;
use crate::subject::{Pictured, Subject};
use crate::train::cross_entropy;

/// Boundary expanding.
pub const METHOD: Method = Method {
    name: "be",
    title: "Boundary expand",
    knobs: &[Knob::switch("keep-row").says(
        "Keep the further class",
        "as released: the further class stays in the finished model",
    )],
    work: |knobs| Box::new(Expand { keep: knobs.on("keep-row"), head: None }),
    ..bs::METHOD
};

struct Expand {
    keep: bool,
    /// Indices of the head's parameters.
    head: Option<Vec<usize>>,
}

impl MethodHooks for Expand {
    /// Adds the row, drawn as PyTorch's fresh linear layer is; a mask lets it change.
    fn begin<'a>(&'a mut self, scene: &'a mut MethodContext<'_>) -> Local<'a, Result<()>> {
        Box::pin(async move {
            let Subject::Classifier(Pictured { net, .. }) = scene.subject else {
                return Err(Error::Request("boundary expanding is for classifiers".into()));
            };
            let head = net.head_params();
            let [classes, features] = scene.original.layout.params[head[0]].shape[..] else {
                return Err(Error::Request("the head is not a linear layer".into()));
            };
            let bound = (features as f32).powf(-0.5);
            let mut rng = rng::seeded(scene.plan.seed, "further class");
            let device = scene.original.device();
            for &param in &head {
                let n = if param == head[0] { features } else { 1 };
                let row: Vec<f32> = (0..n).map(|_| rng.random_range(-bound..=bound)).collect();
                let wider = vec![scene.weights.params[param].clone(), vector(&row, &device)];
                scene.weights.params[param] = Tensor::cat(wider, 0);
            }
            scene.weights.layout = scene.weights.layout.with_rows(&head, classes + 1);
            self.head = Some(head);
            Ok(())
        })
    }

    fn loss(&self, batch: Batch) -> Tensor<1> {
        let further = batch.logits.dims()[1] - 1;
        cross_entropy(batch.logits, &vec![further; batch.labels.len()])
    }

    fn delivered(&self, weights: &Weights) -> Weights {
        match &self.head {
            Some(head) if !self.keep => {
                let classes = weights.layout.params[head[0]].shape[0] - 1;
                let layout = weights.layout.with_rows(head, classes);
                let mut params = weights.params.clone();
                for &param in head {
                    let n = layout.params[param].n();
                    params[param] = params[param].clone().narrow(0, 0, n);
                }
                Weights { layout, params, buffers: weights.buffers.clone() }
            }
            _ => weights.clone(),
        }
    }
}
