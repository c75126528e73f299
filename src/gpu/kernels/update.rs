//! Optimiser updates under a mask, fused, with exact freezing; and the proximal step.

use super::{Kernels, LANES, Shader, Slice, shader};

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

#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
struct Sgd {
    start: u32,
    n: u32,
    lr: f32,
    momentum: f32,
    weight_decay: f32,
}

#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
struct Adam {
    start: u32,
    n: u32,
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
    /// An update of these tensors. A frozen weight keeps its bits, whatever momentum and weight
    /// decay do, and its moments are 0.
    pub fn update(&self, update: Update, tensors: &[Updated]) {
        match update {
            Update::Sgd { lr, momentum, weight_decay } => {
                let step = |start, n| Sgd { start, n, lr, momentum, weight_decay };
                self.update_each(SGD, tensors, step);
            }
            Update::Adam { lr, beta1, beta2, eps, step } => {
                let lr = lr / (1.0 - beta1.powi(step));
                let unbias = 1.0 / (1.0 - beta2.powi(step));
                let step = |start, n| Adam { start, n, lr, beta1, beta2, unbias, eps };
                self.update_each(ADAM, tensors, step);
            }
        }
    }

    /// One submission for all tensors; `step` makes the constants for a part's place and length.
    fn update_each<T: bytemuck::Pod>(
        &self,
        shader: Shader,
        tensors: &[Updated],
        step: impl Fn(u32, u32) -> T,
    ) {
        let parts = self.parts_of(tensors, |t| t.tensors[0].n);
        let steps = parts.iter().map(|(t, (at, n))| step((t.mask.1 + at) as u32, *n as u32));
        let steps = self.uniforms(&steps.collect::<Vec<_>>());
        self.submit(|pass| {
            for (i, (Updated { tensors, moments, mask }, (at, n))) in parts.iter().enumerate() {
                let mut all = tensors.each_ref().map(|t| t.part(*at, *n)).to_vec();
                all.extend([mask.0.whole(), steps.at(i)]);
                all.extend(moments.iter().map(|moment| moment.part(*at, *n)));
                self.dispatch(pass, shader, &all, Self::walk(*n));
            }
        });
    }

    /// Every part of tensors of `n` values each that one binding and one dispatch can take.
    fn parts_of<'a, T>(
        &self,
        tensors: &'a [T],
        n: impl Fn(&T) -> usize,
    ) -> Vec<(&'a T, (usize, usize))> {
        let parts = |t| self.parts(n(t), LANES as usize).map(move |part| (t, part));
        tensors.iter().flat_map(parts).collect()
    }

    /// Draws every weight back to its original by `lambda`; one that moved less is the original.
    /// Of each tensor: the weights, the original, and where the result goes.
    pub fn soft_threshold(&self, tensors: &[[Slice; 3]], lambda: f32) {
        let parts = self.parts_of(tensors, |t| t[0].n);
        let steps = parts.iter().map(|(_, (_, n))| Prox { n: *n as u32, lambda });
        let steps = self.uniforms(&steps.collect::<Vec<_>>());
        self.submit(|pass| {
            for (i, (tensor, (at, n))) in parts.iter().enumerate() {
                let [weights, original, drawn] = tensor.each_ref().map(|t| t.part(*at, *n));
                self.dispatch(pass, SOFT, &[weights, original, drawn, steps.at(i)], Self::walk(*n));
            }
        });
    }
}
