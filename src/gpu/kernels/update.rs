//! Optimiser updates under a mask, fused, with exact freezing; and the proximal step.

use super::{GROUPS, Kernels, LANES, Shader, Slice, shader};

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

/// Which weights of a tensor may change.
#[derive(Debug, Clone)]
pub struct Masked<'a> {
    /// One bit a weight of the whole network, as [`super::Selection`] gives them.
    pub mask: &'a Slice,
    /// Position of the tensor's first weight in the network.
    pub start: usize,
}

#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
struct Sgd {
    start: u32,
    n: u32,
    masked: u32,
    lr: f32,
    momentum: f32,
    weight_decay: f32,
}

#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
struct Adam {
    start: u32,
    n: u32,
    masked: u32,
    lr: f32,
    beta1: f32,
    beta2: f32,
    unbias: f32,
    eps: f32,
}

#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
struct Prox {
    n: u32,
    lambda: f32,
}

impl Kernels {
    /// Writes the updated weights of one tensor to `updated`. `moments` holds the velocity of SGD
    /// or, one after the other, both moments of Adam, and is updated in place. A frozen weight
    /// keeps its bits, whatever momentum and weight decay do, and its moments are 0.
    pub fn update(
        &self,
        update: Update,
        weights: &Slice,
        gradient: &Slice,
        moments: &Slice,
        masked: Option<Masked>,
        updated: &Slice,
    ) {
        let n = weights.n as u32;
        let start = masked.as_ref().map_or(0, |m| m.start as u32);
        let on = u32::from(masked.is_some());
        let (shader, step) = match update {
            Update::Sgd { lr, momentum, weight_decay } => {
                (SGD, self.uniform(Sgd { start, n, masked: on, lr, momentum, weight_decay }))
            }
            Update::Adam { lr, beta1, beta2, eps, step } => {
                let lr = lr / (1.0 - beta1.powi(step));
                let unbias = 1.0 / (1.0 - beta2.powi(step));
                let masked = on;
                (ADAM, self.uniform(Adam { start, n, masked, lr, beta1, beta2, unbias, eps }))
            }
        };
        let mask = masked.map_or(weights, |m| m.mask);
        let all = [
            weights.whole(),
            gradient.whole(),
            moments.whole(),
            mask.whole(),
            updated.whole(),
            step.as_entire_binding(),
        ];
        let groups = (weights.n as u64).div_ceil(LANES).min(GROUPS);
        self.submit(|pass| self.dispatch(pass, shader, &all, groups));
    }

    /// Draws every weight back to its original by `lambda`; one that moved less is the original.
    pub fn soft_threshold(&self, weights: &Slice, original: &Slice, lambda: f32) {
        let prox = self.uniform(Prox { n: weights.n as u32, lambda });
        let all = [weights.whole(), original.whole(), prox.as_entire_binding()];
        let groups = (weights.n as u64).div_ceil(LANES).min(GROUPS);
        self.submit(|pass| self.dispatch(pass, SOFT, &all, groups));
    }
}
