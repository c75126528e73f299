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
    let parts = parts.into_iter().enumerate().collect();
    let one = |(i, part)| of(weights, mode.from(i * SHARD), part, &loss);
    let mut sums = spread(weights, parts, one).into_iter();
    let first = sums.next().expect("a batch has parts");
    sums.fold(first, |(loss, sum), (l, g)| (loss + l, plus(sum, g)))
}

/// The sum of the SQUARED gradients of every item by itself, in evaluation mode. A part is a list
/// of items that one core takes one after another, so that few gradients are held at a time.
pub fn squares<I: Send>(
    weights: &Weights,
    parts: Vec<Vec<I>>,
    loss: impl Fn(&Pass, I) -> Tensor<1> + Sync,
) -> Vec<Tensor<1>> {
    let part = |items: Vec<I>| {
        items.into_iter().fold(Vec::new(), |sum, item| {
            let (_, gradient) = of(weights, Mode::Eval, item, &loss);
            plus(sum, gradient.into_iter().map(|g| g.square()).collect())
        })
    };
    spread(weights, parts, part).into_iter().fold(Vec::new(), plus)
}

/// A part's loss and gradients, from a graph of its own.
pub fn of<P>(
    weights: &Weights,
    mode: Mode,
    part: P,
    loss: &impl Fn(&Pass, P) -> Tensor<1>,
) -> (Tensor<1>, Vec<Tensor<1>>) {
    let tracked = weights.tracked();
    let loss = loss(&Pass::new(&tracked, mode), part);
    let gradients = tracked.gradients(&mut loss.backward());
    (loss.without_autodiff(), gradients)
}

/// Does all parts: each core takes some on the CPU, elsewhere the device one after another.
pub fn spread<P: Send, R: Send>(
    weights: &Weights,
    parts: Vec<P>,
    one: impl Fn(P) -> R + Sync + Send,
) -> Vec<R> {
    if flex::is_cpu(&weights.device()) {
        par::map(parts, one)
    } else {
        parts.into_iter().map(one).collect()
    }
}
