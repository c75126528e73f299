//! A batch in parts: gradients of each, added up.

use std::rc::Rc;

use burn::tensor::Tensor;

use super::optimizer::plus;
use crate::gpu::{flex, spread};
use crate::models::{Bits, Mode, Pass, Tape, Weights};

/// Pictures of a part on the CPU, at the most. A constant, so that a sum is the same on any number of cores.
const SHARD: usize = 16;
/// Pictures that fill the vectors of most CPUs.
const VECTOR: usize = 8;
/// Values of gradients that are held at once by parts that are done together; it changes no sum.
const HELD: usize = 1 << 28;

/// Pictures of a part: few enough on the CPU that two cores at least have one where they fill vectors, all of
/// them elsewhere.
pub fn size(weights: &Weights, whole: usize) -> usize {
    if flex::is_cpu(&weights.device()) { part(whole) } else { whole }
}

/// The same on the CPU.
pub fn part(whole: usize) -> usize {
    whole.div_ceil(2).next_multiple_of(VECTOR).min(SHARD).min(whole)
}

/// Whether so many parts, whose gradients have so many values each, are done together.
pub fn are_together(parts: usize, values: usize) -> bool {
    values * parts <= HELD
}

/// The sums of the losses and gradients of parts of `size` items. On the CPU each core takes parts, which share no
/// graph; elsewhere the device takes one after another, as the CPU does where gradients are large. Networks that
/// normalise over the batch cannot be split this way in training mode.
pub fn gradients<P: Send>(
    weights: &Weights,
    mode: Mode,
    (parts, size): (Vec<P>, usize),
    loss: impl Fn(&Pass, P) -> Tensor<1> + Sync,
) -> (Tensor<1>, Vec<Tensor<1>>) {
    onto(Vec::new(), weights, mode, (parts, size), loss)
}

/// The same, on the CPU, of weights with a 1 in `free` alone, a vector of bits a parameter: each gradient is packed as
/// soon as it is found, and no sum exists of a frozen weight's.
pub fn of_free<P: Send>(
    (weights, free): (&Weights, &[Bits]),
    mode: Mode,
    (parts, size): (Vec<P>, usize),
    loss: impl Fn(&Pass, P) -> Tensor<1> + Sync,
) -> (Tensor<1>, Vec<Tensor<1>>) {
    let one = |[pass]: [&Pass; 1], part| loss(pass, part);
    let sums = Sums { found: [Vec::new()], free: Some(free) };
    let (sum, [gradients]) = summed(sums, [weights], mode, (parts, size), one);
    (sum, gradients)
}

/// The same on top of gradients that were summed before, if any; there is no second copy of large ones.
pub fn onto<P: Send>(
    before: Vec<Tensor<1>>,
    weights: &Weights,
    mode: Mode,
    (parts, size): (Vec<P>, usize),
    loss: impl Fn(&Pass, P) -> Tensor<1> + Sync,
) -> (Tensor<1>, Vec<Tensor<1>>) {
    let one = |[pass]: [&Pass; 1], part| loss(pass, part);
    let (sum, [gradients]) = summed(Sums::onto([before]), [weights], mode, (parts, size), one);
    (sum, gradients)
}

/// The same of several sets of weights under one loss.
pub fn joint<const N: usize, P: Send>(
    weights: [&Weights; N],
    mode: Mode,
    (parts, size): (Vec<P>, usize),
    loss: impl Fn([&Pass; N], P) -> Tensor<1> + Sync,
) -> (Tensor<1>, [Vec<Tensor<1>>; N]) {
    summed(Sums::onto([const { Vec::new() }; N]), weights, mode, (parts, size), loss)
}

fn summed<const N: usize, P: Send>(
    mut sums: Sums<N>,
    weights: [&Weights; N],
    mode: Mode,
    (parts, size): (Vec<P>, usize),
    loss: impl Fn([&Pass; N], P) -> Tensor<1> + Sync,
) -> (Tensor<1>, [Vec<Tensor<1>>; N]) {
    let values: usize = weights.iter().map(|weights| weights.layout.n()).sum();
    let mut parts = parts.into_iter().enumerate().collect::<Vec<_>>();
    if !are_together(parts.len(), values) {
        let each = parts.drain(..);
        let losses = each.map(|(i, part)| sums.add(weights, mode.from(i * size), part, &loss));
        let loss = losses.reduce(|sum, loss| sum + loss).expect("a batch has parts");
        return (loss, sums.done(weights));
    }
    let free = sums.free;
    let none = || Sums { found: [const { Vec::new() }; N], free };
    let one = |(i, part)| none().alone(weights, mode.from(i * size), part, &loss);
    let mut done = spread(&weights[0].device(), parts, one).into_iter();
    let first = done.next().expect("a batch has parts");
    let (loss, more) = done.fold(first, |(loss, sums), (l, more)| (loss + l, each(sums, more)));
    let before = sums.found.map(|before| before.into_iter().flatten().collect());
    (loss, each(before, more))
}

/// Sums of each of several.
fn each<const N: usize>(
    sums: [Vec<Tensor<1>>; N],
    more: [Vec<Tensor<1>>; N],
) -> [Vec<Tensor<1>>; N] {
    let mut more = more.into_iter();
    sums.map(|sum| plus(sum, more.next().unwrap_or_default()))
}

/// The sum of the SQUARED gradients of every item by itself, in evaluation mode. A part is a list
/// of items that one core takes one after another, so that few gradients are held at a time.
pub fn squares<I: Send>(
    weights: &Weights,
    parts: Vec<Vec<I>>,
    loss: impl Fn(&Pass, I) -> Tensor<1> + Sync,
) -> Vec<Tensor<1>> {
    let mut parts = parts;
    if !are_together(parts.len(), 2 * weights.layout.n()) {
        parts = vec![parts.into_iter().flatten().collect()];
    }
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
    Sums::onto([const { Vec::new() }; N]).alone(weights, mode, part, loss)
}

/// Gradients so far.
struct Sums<'a, const N: usize> {
    /// A place for each parameter, or nothing yet.
    found: [Vec<Option<Tensor<1>>>; N],
    /// Where they are packed: a bit for each weight of a parameter, 1 where it is free.
    free: Option<&'a [Bits]>,
}

impl<const N: usize> Sums<'_, N> {
    /// On top of what was summed before, if anything.
    fn onto(before: [Vec<Tensor<1>>; N]) -> Self {
        Self { found: before.map(|sums| sums.into_iter().map(Some).collect()), free: None }
    }

    /// Adds a part's gradients, as they are found, from a graph of its own; its loss.
    fn add<P>(
        &mut self,
        weights: [&Weights; N],
        mode: Mode,
        part: P,
        loss: &impl Fn([&Pass; N], P) -> Tensor<1>,
    ) -> Tensor<1> {
        let tracked = weights.map(Weights::tracked);
        let tape = Rc::new(Tape::default());
        let passes = tracked.each_ref().map(|weights| Pass::new(weights, mode).taped(&tape));
        let loss = loss(passes.each_ref(), part);
        let found = loss.backward();
        let loss = loss.without_autodiff();
        tape.unwind(found, |found| {
            for (weights, sums) in tracked.iter().zip(&mut self.found) {
                sums.resize(weights.params.len(), None);
                weights.add_gradients(found, sums, self.free);
            }
        });
        loss
    }

    /// A part's loss, and its gradients on top of what there was.
    fn alone<P>(
        mut self,
        weights: [&Weights; N],
        mode: Mode,
        part: P,
        loss: &impl Fn([&Pass; N], P) -> Tensor<1>,
    ) -> (Tensor<1>, [Vec<Tensor<1>>; N]) {
        let loss = self.add(weights, mode, part, loss);
        (loss, self.done(weights))
    }

    /// The gradients, zeros where the loss does not depend on a parameter.
    fn done(self, weights: [&Weights; N]) -> [Vec<Tensor<1>>; N] {
        let (mut weights, free) = (weights.into_iter(), self.free);
        self.found.map(|sums| {
            let params = weights.next().map_or(&[][..], |weights| &weights.params);
            let none = |i: usize| match free {
                Some(free) => Tensor::zeros([free[i].ones()], &params[i].device()),
                None => params[i].zeros_like(),
            };
            sums.into_iter().enumerate().map(|(i, sum)| sum.unwrap_or_else(|| none(i))).collect()
        })
    }
}
