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
        self.submit(|pass| {
            for Updated { tensors: [weights, gradient, updated], moments, mask } in tensors {
                for (at, n) in self.parts(weights.n, LANES as usize) {
                    let (start, count) = ((mask.1 + at) as u32, n as u32);
                    let (shader, step) = match update {
                        Update::Sgd { lr, momentum, weight_decay } => {
                            let step = Sgd { start, n: count, lr, momentum, weight_decay };
                            (SGD, self.uniform(step))
                        }
                        Update::Adam { lr, beta1, beta2, eps, step } => {
                            let lr = lr / (1.0 - beta1.powi(step));
                            let unbias = 1.0 / (1.0 - beta2.powi(step));
                            let step = Adam { start, n: count, lr, beta1, beta2, unbias, eps };
                            (ADAM, self.uniform(step))
                        }
                    };
                    let mut all =
                        vec![weights.part(at, n), gradient.part(at, n), updated.part(at, n)];
                    all.extend([mask.0.whole(), step.as_entire_binding()]);
                    all.extend(moments.iter().map(|moment| moment.part(at, n)));
                    self.dispatch(pass, shader, &all, Self::walk(n));
                }
            }
        });
    }

    /// Draws every weight back to its original by `lambda`; one that moved less is the original.
    /// Of each tensor: the weights, the original, and where the result goes.
    pub fn soft_threshold(&self, tensors: &[[Slice; 3]], lambda: f32) {
        self.submit(|pass| {
            for tensor in tensors {
                for (at, n) in self.parts(tensor[0].n, LANES as usize) {
                    let prox = self.uniform(Prox { n: n as u32, lambda });
                    let [weights, original, drawn] = tensor.each_ref().map(|t| t.part(at, n));
                    let all = [weights, original, drawn, prox.as_entire_binding()];
                    self.dispatch(pass, SOFT, &all, Self::walk(n));
                }
            }
        });
    }
}
