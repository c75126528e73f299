//! SGD with momentum and Adam, with exact freezing under a mask.

mod freeze;
mod packed;
mod state;

pub use freeze::WeightFreeze;
pub use state::{Take, of_tensor};

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use self::freeze::Free;
use self::packed::{Packed, Step};
use crate::error::Result;
use crate::gpu::kernels::{Kernels, Slice, Update, Updated};
use crate::gpu::{buffers, spread};
use crate::models::Weights;

/// An update rule and its constants.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Rule {
    /// g += wd θ; v = μ v + g; θ -= lr v (PyTorch's SGD).
    Sgd { momentum: f64, weight_decay: f64 },
    /// Adam (Kingma and Ba 2015) with bias correction, no weight decay.
    Adam { beta1: f64, beta2: f64, eps: f64 },
}

impl Rule {
    /// The official code's SGD.
    pub const SGD: Self = Self::Sgd { momentum: 0.9, weight_decay: 5e-4 };
    /// PyTorch's default Adam.
    pub const ADAM: Self = Self::Adam { beta1: 0.9, beta2: 0.999, eps: 1e-8 };
}

/// An update rule with its state.
#[derive(Debug)]
pub struct Optimizer {
    rule: Rule,
    freeze: Option<WeightFreeze>,
    /// Velocity of SGD or first moment of Adam, per parameter.
    pub first: Vec<Tensor<1>>,
    /// Second moment of Adam.
    pub second: Vec<Tensor<1>>,
    /// Instead of both where a mask is on the CPU: of free weights alone.
    packed: Vec<Packed>,
    /// Instead of both where a mask is on a GPU: SGD's velocity, or both moments of Adam.
    moments: Vec<Vec<Slice>>,
    pub steps: usize,
}

impl Optimizer {
    /// A fresh optimiser; with `freeze` only free weights ever change.
    pub fn new(rule: Rule, freeze: Option<WeightFreeze>) -> Self {
        let (first, second, packed, moments) = (vec![], vec![], vec![], vec![]);
        Self { rule, freeze, first, second, packed, moments, steps: 0 }
    }

    /// One update of every parameter. Gradients are in parameter order.
    ///
    /// # Errors
    /// The device failed.
    pub fn step(
        &mut self,
        weights: &mut Weights,
        gradients: Vec<Tensor<1>>,
        lr: f64,
    ) -> Result<()> {
        self.steps += 1;
        match self.freeze.as_ref().map(|freeze| &freeze.free) {
            Some(Free::Bits(_)) => {
                self.of_free(weights, gradients, lr);
                return Ok(());
            }
            Some(Free::Resident { kernels, mask, .. }) => {
                let (kernels, mask) = (kernels.clone(), mask.clone());
                return self.by_kernel(&kernels, &mask, weights, gradients, lr as f32);
            }
            Some(Free::Drift(_)) | None => {}
        }
        if self.first.is_empty() {
            self.first = gradients.iter().map(|g| g.zeros_like()).collect();
            if matches!(self.rule, Rule::Adam { .. }) {
                self.second = self.first.clone();
            }
        }
        let device = weights.device();
        // Nobody else holds them meanwhile, so that what is done to them is done in place.
        let [thetas, first, second] =
            [&mut weights.params, &mut self.first, &mut self.second].map(std::mem::take);
        let second = second.into_iter().map(Some).chain(std::iter::repeat(None));
        let tasks = thetas.into_iter().zip(gradients).zip(first.into_iter().zip(second));
        let one = |(i, ((theta, gradient), moments))| self.update(i, theta, gradient, moments, lr);
        // On the CPU every core takes parameters: each operation is too small to be shared.
        for (theta, (first, second)) in spread(&device, tasks.enumerate().collect(), one) {
            weights.params.push(theta);
            self.first.push(first);
            self.second.extend(second);
        }
        Ok(())
    }

    /// One update of the free weights on the CPU, each parameter in place.
    fn of_free(&mut self, weights: &mut Weights, gradients: Vec<Tensor<1>>, lr: f64) {
        let Some(Free::Bits(free)) = self.freeze.as_ref().map(|freeze| &freeze.free) else {
            return;
        };
        if self.packed.is_empty() {
            self.packed = free.iter().map(|free| Packed::new(self.rule, free)).collect();
        }
        let step = Step { rule: self.rule, lr, number: self.steps as i32 };
        let device = weights.device();
        let all = std::mem::take(&mut weights.params).into_iter().zip(gradients);
        let tasks = all.zip(free.iter().zip(&mut self.packed)).collect();
        weights.params = spread(&device, tasks, |((theta, gradient), (free, packed))| {
            packed.update(theta, gradient, free, step)
        });
    }

    /// One update by our own kernels: one pass over each parameter, mask and all.
    fn by_kernel(
        &mut self,
        kernels: &Kernels,
        mask: &Slice,
        weights: &mut Weights,
        gradients: Vec<Tensor<1>>,
        lr: f32,
    ) -> Result<()> {
        let (update, moments) = match self.rule {
            Rule::Sgd { momentum, weight_decay } => {
                let (momentum, weight_decay) = (momentum as f32, weight_decay as f32);
                (Update::Sgd { lr, momentum, weight_decay }, 1)
            }
            Rule::Adam { beta1, beta2, eps } => {
                let (beta1, beta2, eps) = (beta1 as f32, beta2 as f32, eps as f32);
                (Update::Adam { lr, beta1, beta2, eps, step: self.steps as i32 }, 2)
            }
        };
        if self.moments.is_empty() {
            let zeros =
                |theta: &Tensor<1>| (0..moments).map(|_| kernels.zeros(theta.dims()[0])).collect();
            self.moments = weights.params.iter().map(zeros).collect();
        }
        // The results are fresh vectors, those of a group at a time.
        let (mut start, mut done) = (0, 0);
        while done < weights.params.len() {
            let params = &weights.params[done..];
            let group = done..done + first_few(params);
            let (slices, after) =
                buffers::with_results(&weights.params[group.clone()], &gradients[group.clone()])?;
            let each = slices.iter().zip(&self.moments[group.clone()]);
            let tensors: Vec<Updated> = each
                .map(|(tensors, moments)| {
                    let at = start;
                    start += tensors[0].n;
                    Updated { tensors, moments, mask: (mask, at) }
                })
                .collect();
            kernels.update(update, &tensors);
            weights.params[group.clone()].clone_from_slice(&after);
            done = group.end;
        }
        Ok(())
    }

    /// Gives the frozen weights the original's bits again, whatever was done since the last step.
    pub fn hold(&self, weights: &mut Weights) {
        if let Some(freeze) = self.freeze.as_ref().filter(|freeze| !freeze.drifts()) {
            freeze.restore(weights);
        }
    }

    /// The weights and the moments of parameter `i` after an update.
    fn update(
        &self,
        i: usize,
        theta: Tensor<1>,
        g: Tensor<1>,
        moments: Moments,
        lr: f64,
    ) -> (Tensor<1>, Moments) {
        let g = match self.freeze.as_ref().map(|freeze| &freeze.free) {
            Some(Free::Drift(free)) => g.mask_fill(free[i].clone().bool_not(), 0.0),
            _ => g,
        };
        let (first, second) = moments;
        match self.rule {
            Rule::Sgd { momentum, weight_decay } => {
                let g = g + theta.clone() * weight_decay;
                let first = first * momentum + g;
                (theta - first.clone() * lr, (first, None))
            }
            Rule::Adam { beta1, beta2, eps } => {
                let t = self.steps as i32;
                let first = first * beta1 + g.clone() * (1.0 - beta1);
                let second = second.unwrap_or_else(|| g.zeros_like());
                let second = second * beta2 + g.square() * (1.0 - beta2);
                let root = (second.clone() / (1.0 - beta2.powi(t))).sqrt() + eps;
                let theta = theta - first.clone() / root * (lr / (1.0 - beta1.powi(t)));
                (theta, (first, Some(second)))
            }
        }
    }
}

/// How many of the first parameters are updated together: as many as [`TOGETHER`] holds, and one at least.
fn first_few(params: &[Tensor<1>]) -> usize {
    let mut n = 0;
    let fits = |theta: &&Tensor<1>| {
        n += theta.dims()[0];
        n <= TOGETHER
    };
    params.iter().take_while(fits).count().max(1)
}

/// Weights that a GPU updates at once: all of most networks.
pub(super) const TOGETHER: usize = 1 << 26;

/// Velocity of SGD or first moment of Adam, and Adam's second moment.
type Moments = (Tensor<1>, Option<Tensor<1>>);

/// The sum of two sets of gradients; nothing plus something is that.
pub fn plus(sum: Vec<Tensor<1>>, more: Vec<Tensor<1>>) -> Vec<Tensor<1>> {
    if sum.is_empty() {
        return more;
    }
    sum.into_iter().zip(more).map(|(s, m)| s + m).collect()
}

/// Scales the gradients so that their common norm is at most `limit` (PyTorch's `clip_grad_norm_`).
/// The norm never leaves the device.
pub fn clip_norm(gradients: Vec<Tensor<1>>, limit: f64) -> Vec<Tensor<1>> {
    let squares = gradients.iter().map(|g| g.clone().square().sum()).collect();
    let norm = Tensor::cat(squares, 0).sum().sqrt();
    let scale = ((norm + 1e-6).recip() * limit).clamp_max(1.0);
    gradients.into_iter().map(|g| g * scale.clone()).collect()
}

/// How the learning rate goes over a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LrSchedule {
    /// A tenth of linear warm-up, then a cosine to 0.
    WarmCosine,
    /// A tenth of it from epoch 91 of 182 on, a hundredth from epoch 136 on, and at the same shares
    /// of a run of another length (docs/methods.md#models).
    Milestones,
    Constant,
    /// A cosine to 0.
    Cosine,
}

impl LrSchedule {
    /// Learning rate of step `i` of `n`.
    pub fn at(self, peak: f64, i: usize, n: usize) -> f64 {
        match self {
            Self::WarmCosine => warm_cosine(peak, 0.1, i, n),
            Self::Milestones => {
                let passed = [91, 136].iter().filter(|m| i * 182 >= **m * n).count();
                peak * 0.1f64.powi(passed as i32)
            }
            Self::Constant => peak,
            Self::Cosine => warm_cosine(peak, 0.0, i, n),
        }
    }

    /// In words, for the model card.
    pub fn describe(self) -> &'static str {
        match self {
            Self::WarmCosine => "linear warm-up over the first tenth, then cosine to 0",
            Self::Milestones => "a tenth at 91/182 and again at 136/182 of the run",
            Self::Constant => "constant",
            Self::Cosine => "cosine to 0",
        }
    }
}

/// Learning rate of step `i` of `n`: linear warm-up over the first `warm` share, then a cosine to 0.
fn warm_cosine(peak: f64, warm: f64, i: usize, n: usize) -> f64 {
    // The middle of the step: neither the first nor the last update is one of nothing.
    let at = (i as f64 + 0.5) / n.max(1) as f64;
    if at < warm {
        peak * at / warm
    } else {
        peak * 0.5 * (1.0 + (std::f64::consts::PI * (at - warm) / (1.0 - warm)).cos())
    }
}

#[cfg(test)]
mod tests {
    use super::LrSchedule;

    #[test]
    fn milestones_fall_on_the_papers_epochs() {
        let per_epoch = 176;
        let at = |epoch: usize, step: usize| {
            LrSchedule::Milestones.at(0.1, epoch * per_epoch + step, 182 * per_epoch)
        };
        for (epoch, step, lr) in
            [(0, 0, 0.1), (90, 175, 0.1), (91, 0, 0.01), (135, 175, 0.01), (136, 0, 0.001)]
        {
            assert!((at(epoch, step) - lr).abs() < 1e-12, "epoch {epoch} step {step}");
        }
    }
}
