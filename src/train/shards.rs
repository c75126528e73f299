//! A batch in parts: gradients of each, added up.

use burn::tensor::Tensor;

use super::optimizer::plus;
use crate::{
    gpu::{cpu::par, flex},
    models::{
        layers::{Mode, Pass},
        weights::Weights,
    },
};

/// Pictures of a part on the CPU. A constant, so that a sum is the same on any number of cores.
const SHARD: usize = 16;

/// Pictures of a part: few enough on the CPU that every core has one, all of them elsewhere.
pub fn size(weights: &Weights, whole: usize) -> usize {
    if flex::is_cpu(&weights.device()) { SHARD.min(whole) } else { whole }
}

/// The sums of the parts' losses and gradients. On the CPU each core takes parts, which share no
/// graph; elsewhere the device takes one after another. Networks that normalise over the batch
/// cannot be split this way in training mode.
pub fn gradients<P: Send>(
    weights: &Weights,
    mode: Mode,
    parts: Vec<P>,
    loss: impl Fn(&Pass, P) -> Tensor<1> + Sync,
) -> (Tensor<1>, Vec<Tensor<1>>) {
    let one = |part| {
        let tracked = weights.tracked();
        let pass = Pass::new(&tracked, mode);
        let loss = loss(&pass, part);
        let gradients = tracked.gradients(&mut loss.backward());
        (loss.without_autodiff(), gradients)
    };
    let done = if flex::is_cpu(&weights.device()) {
        par::map(parts, one)
    } else {
        parts.into_iter().map(one).collect()
    };
    let mut sums = done.into_iter();
    let first = sums.next().expect("a batch has parts");
    sums.fold(first, |(loss, sum), (l, g)| (loss + l, plus(sum, g)))
}
