//! Updates of the free weights alone, in place, on the CPU: no state exists for a weight that is frozen.

use burn::tensor::Tensor;

use super::Rule;
use crate::gpu::flex;
use crate::models::Bits;

/// The state of a parameter's free weights, in their order.
#[derive(Debug)]
pub struct Packed {
    /// Velocity of SGD or first moment of Adam.
    pub first: Vec<f32>,
    /// Second moment of Adam; empty for SGD.
    pub second: Vec<f32>,
}

/// One update's rule and constants.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    pub rule: Rule,
    pub lr: f64,
    /// Counted from 1.
    pub number: i32,
}

impl Packed {
    /// Before the first update.
    pub fn new(rule: Rule, free: &Bits) -> Self {
        let zeros = || vec![0.0; free.ones()];
        let second = matches!(rule, Rule::Adam { .. }).then(zeros);
        Self { first: zeros(), second: second.unwrap_or_default() }
    }

    /// A parameter after an update by its gradient, of every weight or of the free ones alone. The arithmetic is that
    /// of [`super::Optimizer`] on whole tensors, number by number and in its order, so that the bits are the same.
    pub fn update(
        &mut self,
        theta: Tensor<1>,
        gradient: Tensor<1>,
        free: &Bits,
        step: Step,
    ) -> Tensor<1> {
        let dense = gradient.dims() == theta.dims();
        let gradient = flex::on_cpu(gradient);
        let g = flex::values(&gradient);
        flex::edit(theta, |theta| match dense {
            true => self.step(theta, free.places().map(|at| (at, g[at])), step),
            false => self.step(theta, free.places().zip(g.iter().copied()), step),
        })
    }

    /// Moves the weights at some places by a gradient each.
    fn step(&mut self, theta: &mut [f32], by: impl Iterator<Item = (usize, f32)>, step: Step) {
        match step.rule {
            Rule::Sgd { momentum, weight_decay } => {
                let [lr, momentum, decay] = [step.lr, momentum, weight_decay].map(|v| v as f32);
                for ((at, g), first) in by.zip(&mut self.first) {
                    *first = *first * momentum + (g + theta[at] * decay);
                    theta[at] -= *first * lr;
                }
            }
            Rule::Adam { beta1, beta2, eps } => {
                let scale = (step.lr / (1.0 - beta1.powi(step.number))) as f32;
                let unbias = (1.0 - beta2.powi(step.number)) as f32;
                let [new1, new2] = [beta1, beta2].map(|beta| (1.0 - beta) as f32);
                let [beta1, beta2, eps] = [beta1, beta2, eps].map(|v| v as f32);
                let moments = self.first.iter_mut().zip(&mut self.second);
                for ((at, g), (first, second)) in by.zip(moments) {
                    *first = *first * beta1 + g * new1;
                    *second = *second * beta2 + g * g * new2;
                    let root = (*second / unbias).sqrt() + eps;
                    theta[at] -= *first / root * scale;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::data::{normals, seeded};
    use crate::models::weights::vector;
    use crate::models::{Init, WeightLayout};
    use crate::train::{Optimizer, WeightFreeze};

    #[test]
    fn free_weights_move_as_without_a_mask_and_frozen_ones_keep_their_bits() {
        let mut layout = WeightLayout::default();
        for (i, n) in [1000, 16, 4608, 1].into_iter().enumerate() {
            layout.param(format!("{i}"), &[n], Init::Normal(0.1));
        }
        let start = Arc::new(layout).init(1);
        let cpu = burn::tensor::Device::flex();
        let n = start.layout.n();
        let bits = Bits::of(&(0..n).map(|i| u8::from(i % 3 > 0)).collect::<Vec<_>>());
        for rule in [Rule::SGD, Rule::ADAM] {
            let run = |masked: bool, few: bool| {
                let mut weights = start.upload(&cpu);
                let of = (&start.layout, weights.clone());
                let freeze = masked.then(|| WeightFreeze::new(&bits, of.0, &of.1, &weights, false));
                let mut optimizer = Optimizer::new(rule, freeze);
                let mut rng = seeded(1, "packed");
                for step in 0..4 {
                    let each = |e: &crate::models::WeightEntry| {
                        vector(&normals(&mut rng, e.n()), &cpu) * 0.1f32.powi(step)
                    };
                    let gradients = start.layout.params.iter().map(each).collect::<Vec<_>>();
                    let pick = |(e, g): (&crate::models::WeightEntry, Tensor<1>)| {
                        let free = bits.slice(e.range());
                        flex::picked(g, free.ones(), free.places())
                    };
                    let gradients = match few {
                        true => start.layout.params.iter().zip(gradients).map(pick).collect(),
                        false => gradients,
                    };
                    optimizer.step(&mut weights, gradients, 0.01).unwrap();
                }
                let kept = |packed: &Packed| packed.first.len() + packed.second.len();
                let packed = optimizer.packed.iter().map(kept).sum::<usize>();
                (pollster::block_on(weights.download()).unwrap().values, packed)
            };
            let ((whole, none), (masked, packed)) = (run(false, false), run(true, false));
            assert_eq!(run(true, true), (masked.clone(), packed), "by gradients of the free alone");
            let moments = if rule == Rule::SGD { 1 } else { 2 };
            assert_eq!((none, packed), (0, moments * bits.ones()));
            for i in 0..n {
                let right = if bits.get(i) { whole[i] } else { start.values[i] };
                assert_eq!(masked[i].to_bits(), right.to_bits(), "{rule:?}: weight {i}");
            }
        }
    }
}
