//! A batch in parts: gradients of each, added up.

use burn::tensor::Tensor;

use super::optimizer::plus;
use crate::gpu::{flex, spread};
use crate::models::{Mode, Pass, Weights};

/// Pictures of a part on the CPU. A constant, so that a sum is the same on any number of cores.
pub const SHARD: usize = 16;

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
    let (sum, [gradients]) = joint([weights], mode, parts, |[pass], part| loss(pass, part));
    (sum, gradients)
}

/// The same of several sets of weights under one loss.
pub fn joint<const N: usize, P: Send>(
    weights: [&Weights; N],
    mode: Mode,
    parts: Vec<P>,
    loss: impl Fn([&Pass; N], P) -> Tensor<1> + Sync,
) -> (Tensor<1>, [Vec<Tensor<1>>; N]) {
    let parts = parts.into_iter().enumerate().collect();
    let one = |(i, part)| of(weights, mode.from(i * SHARD), part, &loss);
    let mut done = spread(&weights[0].device(), parts, one).into_iter();
    let first = done.next().expect("a batch has parts");
    done.fold(first, |(loss, sums), (l, more)| {
        let mut more = more.into_iter();
        (loss + l, sums.map(|sum| plus(sum, more.next().unwrap_or_default())))
    })
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
            let one = |[pass]: [&Pass; 1], item| loss(pass, item);
            let (_, [gradient]) = of([weights], Mode::Eval, item, &one);
            plus(sum, gradient.into_iter().map(|g| g.square()).collect())
        })
    };
    spread(&weights.device(), parts, part).into_iter().fold(Vec::new(), plus)
}

/// A part's loss and gradients, from a graph of its own.
pub fn of<const N: usize, P>(
    weights: [&Weights; N],
    mode: Mode,
    part: P,
    loss: &impl Fn([&Pass; N], P) -> Tensor<1>,
) -> (Tensor<1>, [Vec<Tensor<1>>; N]) {
    let tracked = weights.map(Weights::tracked);
    let passes = tracked.each_ref().map(|weights| Pass::new(weights, mode));
    let loss = loss(passes.each_ref(), part);
    let mut all = loss.backward();
    let gradients = tracked.each_ref().map(|weights| weights.gradients(&mut all));
    (loss.without_autodiff(), gradients)
}
