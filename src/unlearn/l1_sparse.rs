//! l1-sparse: fine-tuning with a penalty on the size of all weights that decays to 0
//! (Jia et al. 2023). Despite its name nothing is pruned.

use burn::tensor::Tensor;

use super::{Knob, Method, MethodHooks, StepInfo, Update, ft};
use crate::models::Weights;
use crate::train::optimizer::plus;

/// Fine-tuning with the penalty.
pub const METHOD: Method = Method {
    name: "l1-sparse",
    title: "l1-sparse",
    paper: "Jia et al., NeurIPS 2023, arXiv 2304.04934",
    knobs: &[
        Knob::log("alpha", 1e-4, [0.0, 1.0])
            .says("Weight of the L1 norm", "weight of the l1 norm of all weights at first"),
        Knob::whole("free-epochs", 0.0, [0.0, 1e4])
            .says("Epochs without it", "last epochs without the penalty"),
    ],
    work: |knobs| Box::new(Sparse { alpha: knobs.get("alpha"), free: knobs.count("free-epochs") }),
    ..ft::METHOD
};

struct Sparse {
    alpha: f64,
    free: usize,
}

impl Sparse {
    /// The weight of the penalty: alpha (1 - e / (E - E0)) in epoch e of E, then 0. A diffusion
    /// model's updates stand for epochs.
    fn weight(&self, at: StepInfo) -> f64 {
        let span = at.epochs.saturating_sub(self.free);
        if at.epoch < span { self.alpha * (1.0 - at.epoch as f64 / span as f64) } else { 0.0 }
    }
}

impl MethodHooks for Sparse {
    fn weighs_all(&self) -> bool {
        true
    }

    fn adjust(&self, update: Update, weights: &Weights, at: StepInfo) -> Update {
        let alpha = self.weight(at);
        if alpha == 0.0 {
            return update;
        }
        let norms = weights.params.iter().map(|w| w.clone().abs().sum()).collect();
        let slope = weights.params.iter().map(|w| w.clone().sign() * alpha).collect();
        Update {
            loss: update.loss + Tensor::cat(norms, 0).sum() * alpha,
            gradients: plus(update.gradients, slope),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unlearn::hooks::BatchSource;

    #[test]
    fn the_weight_falls_from_alpha_to_nothing() {
        let sparse = Sparse { alpha: 0.4, free: 2 };
        let at = |epoch| StepInfo {
            step: 0,
            steps: 60,
            epoch,
            epochs: 6,
            turn: 0,
            part: BatchSource::Retain,
        };
        let weights: Vec<f64> = (0..6).map(|e| sparse.weight(at(e))).collect();
        let expected = [0.4, 0.3, 0.2, 0.1, 0.0, 0.0];
        assert!(weights.iter().zip(expected).all(|(w, e)| (w - e).abs() < 1e-12), "{weights:?}");
    }
}
