//! SGD with momentum and Adam, with exact freezing under a mask.

use burn::tensor::{Bool, Tensor};
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::gpu::kernels::{Kernels, Slice, Update, Updated};
use crate::gpu::{buffers, spread};
use crate::models::{WeightLayout, Weights};
use crate::train::losses::flags;

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

/// Which weights may change, and what the others are.
///
/// Freezing is by selection, not by multiplication: a frozen weight is the original's very bits,
/// whatever momentum and weight decay do (SalUn eq. 4). What else moves weights
/// between two updates is followed by [`Optimizer::hold`]: the kernels keep the bits they find.
#[derive(Debug, Clone)]
pub struct WeightFreeze {
    /// True where a weight may change, per parameter.
    free: Vec<Tensor<1, Bool>>,
    original: Vec<Tensor<1>>,
    /// As the official code was before 28 February 2026: the mask is on gradients only, and weight
    /// decay and momentum move frozen weights.
    drift: bool,
    /// The same mask on a GPU, a bit a weight.
    resident: Option<(Kernels, Slice)>,
}

impl WeightFreeze {
    /// `bits` holds a 1 for every weight of `layout` that may change; a run starts from `start`.
    /// Where a parameter has grown, its new values are free.
    pub fn new(
        bits: &[u8],
        layout: &WeightLayout,
        original: &Weights,
        start: &Weights,
        drift: bool,
    ) -> Self {
        let device = original.device();
        let (mut free, mut held, mut all) = (Vec::new(), Vec::new(), Vec::new());
        let params = layout.params.iter().zip(original.params.iter().zip(&start.params));
        for (entry, (original, start)) in params {
            let (had, has) = (original.dims()[0], start.dims()[0]);
            let mut bits = bits[entry.range()].to_vec();
            let mut original = original.clone();
            if has > had {
                bits.resize(has, 1);
                original = Tensor::cat(vec![original, start.clone().narrow(0, had, has - had)], 0);
            }
            free.push(flags(&bits, &device));
            held.push(original);
            all.extend(bits);
        }
        let resident = Kernels::of(&device).filter(|_| !drift).map(|kernels| {
            let word = |bits: &[u8]| bits.iter().rev().fold(0, |word, b| word << 1 | u32::from(*b));
            let mask = kernels.upload(&all.chunks(32).map(word).collect::<Vec<_>>());
            (kernels, mask)
        });
        Self { free, original: held, drift, resident }
    }

    /// Gives the frozen weights the original's bits. Rows that a parameter has lost since are left
    /// out.
    pub fn restore(&self, weights: &mut Weights) {
        let held = self.free.iter().zip(&self.original);
        for (theta, (free, original)) in weights.params.iter_mut().zip(held) {
            let n = theta.dims()[0];
            let (free, original) = (free.clone().narrow(0, 0, n), original.clone().narrow(0, 0, n));
            *theta = original.mask_where(free, theta.clone());
        }
    }
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
    /// Instead of both where a mask is on a GPU: SGD's velocity, or both moments of Adam.
    moments: Vec<Vec<Slice>>,
    pub steps: usize,
}

impl Optimizer {
    /// A fresh optimiser; with `freeze` only free weights ever change.
    pub fn new(rule: Rule, freeze: Option<WeightFreeze>) -> Self {
        Self { rule, freeze, first: vec![], second: vec![], moments: vec![], steps: 0 }
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
        let resident = self.freeze.as_ref().and_then(|freeze| freeze.resident.clone());
        if let Some((kernels, mask)) = resident {
            return self.by_kernel(&kernels, &mask, weights, gradients, lr as f32);
        }
        if self.first.is_empty() {
            self.first = gradients.iter().map(|g| g.zeros_like()).collect();
            if matches!(self.rule, Rule::Adam { .. }) {
                self.second = self.first.clone();
            }
        }
        let tasks = gradients.into_iter().enumerate().collect();
        let one = |(i, gradient)| self.update(i, weights.params[i].clone(), gradient, lr);
        // On the CPU every core takes parameters: each operation is too small to be shared.
        let updated = spread(&weights.device(), tasks, one);
        for (i, [theta, first, second]) in updated.into_iter().enumerate() {
            weights.params[i] = theta;
            self.first[i] = first;
            if let Some(moment) = self.second.get_mut(i) {
                *moment = second;
            }
        }
        Ok(())
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
        let (slices, after) = buffers::with_results(&weights.params, &gradients)?;
        let mut start = 0;
        let tensors: Vec<Updated> = slices
            .iter()
            .zip(&self.moments)
            .map(|(tensors, moments)| {
                let at = start;
                start += tensors[0].n;
                Updated { tensors, moments, mask: (mask, at) }
            })
            .collect();
        kernels.update(update, &tensors);
        weights.params = after;
        Ok(())
    }

    /// Gives the frozen weights the original's bits again, whatever was done since the last step.
    pub fn hold(&self, weights: &mut Weights) {
        if let Some(freeze) = self.freeze.as_ref().filter(|freeze| !freeze.drift) {
            freeze.restore(weights);
        }
    }

    /// The weights and both moments of parameter `i` after an update.
    fn update(&self, i: usize, theta: Tensor<1>, g: Tensor<1>, lr: f64) -> [Tensor<1>; 3] {
        let Some(freeze) = &self.freeze else { return self.rule(i, theta, g, lr) };
        let frozen = freeze.free[i].clone().bool_not();
        let g = g.mask_fill(frozen.clone(), 0.0);
        let [theta, first, second] = self.rule(i, theta, g, lr);
        if freeze.drift {
            return [theta, first, second];
        }
        let theta = theta.mask_where(frozen.clone(), freeze.original[i].clone());
        [theta, first.mask_fill(frozen, 0.0), second]
    }

    fn rule(&self, i: usize, theta: Tensor<1>, g: Tensor<1>, lr: f64) -> [Tensor<1>; 3] {
        let first = self.first[i].clone();
        match self.rule {
            Rule::Sgd { momentum, weight_decay } => {
                let g = g + theta.clone() * weight_decay;
                let first = first * momentum + g;
                [theta - first.clone() * lr, first.clone(), first]
            }
            Rule::Adam { beta1, beta2, eps } => {
                let t = self.steps as i32;
                let first = first * beta1 + g.clone() * (1.0 - beta1);
                let second = self.second[i].clone() * beta2 + g.square() * (1.0 - beta2);
                let root = (second.clone() / (1.0 - beta2.powi(t))).sqrt() + eps;
                let theta = theta - first.clone() / root * (lr / (1.0 - beta1.powi(t)));
                [theta, first, second]
            }
        }
    }
}

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
