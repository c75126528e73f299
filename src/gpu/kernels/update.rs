//! Optimiser updates under a mask, fused, with exact freezing; and the proximal step.

use super::{Kernels, Shader, Slice, Work, constants, shader};

const SGD: Shader = shader!("step_sgd");
const ADAM: Shader = shader!("step_adam");
const SOFT: Shader = shader!("soft_threshold");

/// One update's rule and constants.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Update {
    /// PyTorch's SGD.
    Sgd { lr: f32, momentum: f32, weight_decay: f32 },
    /// Adam; `step` counts from 1.
    Adam { lr: f32, beta1: f32, beta2: f32, eps: f32, step: i32 },
}

/// One tensor of an update.
#[derive(Debug, Clone, Copy)]
pub struct Updated<'a> {
    /// The weights, their gradient, and where the updated weights go.
    pub tensors: &'a [Slice; 3],
    /// The velocity of SGD, or both moments of Adam; updated in place.
    pub moments: &'a [Slice],
    /// Which weights may change, and the position of the tensor's first weight there: one bit a
    /// weight of the whole network, as [`super::Selection`] gives them.
    pub mask: (&'a Slice, usize),
}

impl Kernels {
    /// An update of these tensors. A frozen weight keeps its bits, whatever momentum and weight
    /// decay do, and its moments are 0.
    pub fn update<'a>(&self, update: Update, tensors: &[Updated<'a>]) {
        let work = |of: &Updated<'a>| Work {
            parts: of.tensors.iter().chain(of.moments).collect(),
            whole: vec![of.mask.0],
            start: of.mask.1,
        };
        let works: Vec<_> = tensors.iter().map(work).collect();
        let (shader, rule) = match update {
            Update::Sgd { lr, momentum, weight_decay } => (SGD, vec![lr, momentum, weight_decay]),
            Update::Adam { lr, beta1, beta2, eps, step } => {
                let lr = lr / (1.0 - beta1.powi(step));
                let unbias = 1.0 / (1.0 - beta2.powi(step));
                (ADAM, vec![lr, beta1, beta2, unbias, eps])
            }
        };
        self.walk_over(shader, &works, |start, n| constants(&[start, n], &rule));
    }

    /// Draws every weight back to its original by `lambda`; one that moved less is the original.
    /// Of each tensor: the weights, the original, and where the result goes.
    pub fn soft_threshold<'a>(&self, tensors: &'a [[Slice; 3]], lambda: f32) {
        let work =
            |of: &'a [Slice; 3]| Work { parts: of.iter().collect(), whole: vec![], start: 0 };
        let works: Vec<_> = tensors.iter().map(work).collect();
        self.walk_over(SOFT, &works, |_, n| constants(&[n], &[lambda]));
    }
}
