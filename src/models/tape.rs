//! Blocks that are computed again when a gradient is wanted: between the forward and the backward pass only what
//! goes into them is kept (gradient checkpointing; Chen et al. 2016, "Training Deep Nets with Sublinear Memory Cost").
//!
//! A block is done outside any graph, and what it makes is a leaf of the graph that follows. [`Tape::unwind`] walks
//! back: it does each block again in a graph of its own, on the same inputs, weights and dropout, and sends the
//! gradient of what it made through that. So the gradient is the same, and one block's graph is all there is at a time.

use std::cell::RefCell;
use std::rc::Rc;

use burn::tensor::{Gradients, Tensor};

use super::{Activations, Beside, Pass, Weights};

/// What goes into a block.
#[derive(Debug, Clone)]
pub struct Inputs {
    /// Pictures [n, c, h, w] that are joined along their channels.
    pub pictures: Vec<Tensor<4>>,
    /// As in [`Beside`].
    pub embedding: Option<Tensor<2>>,
    pub context: Option<Tensor<3>>,
}

impl Inputs {
    /// These pictures, and what stands beside them.
    pub fn new(pictures: Vec<Tensor<4>>, beside: Beside) -> Self {
        let (embedding, context) = (beside.embedding.cloned(), beside.context.cloned());
        Self { pictures, embedding, context }
    }

    /// What stands beside the pictures.
    pub fn beside(&self) -> Beside<'_> {
        Beside { embedding: self.embedding.as_ref(), context: self.context.as_ref() }
    }

    /// The pictures, joined; they are gone from here.
    pub fn joined(&mut self) -> Tensor<4> {
        let mut pictures = std::mem::take(&mut self.pictures);
        match pictures.len() {
            1 => pictures.remove(0),
            _ => Tensor::cat(pictures, 1),
        }
    }

    /// The same outside any graph.
    fn plain(&self) -> Self {
        Self {
            pictures: self.pictures.iter().map(|p| p.clone().without_autodiff()).collect(),
            embedding: self.embedding.clone().map(Tensor::without_autodiff),
            context: self.context.clone().map(Tensor::without_autodiff),
        }
    }
}

/// What was done on a way forward, in order.
#[derive(Default)]
pub struct Tape {
    steps: RefCell<Vec<Step>>,
    /// Blocks are done on it whatever their size.
    always: bool,
}

type Take = Box<dyn Fn(&mut Gradients) -> Option<Tensor<1>>>;

/// One value: a leaf of the graph that follows.
struct Step {
    /// Takes the leaf's gradient, flat, out of a backward pass.
    take: Take,
    /// What came of it so far.
    gradient: Option<Tensor<1>>,
    /// Makes the value, flat, in a graph.
    again: Box<dyn FnOnce() -> Tensor<1>>,
    /// It came from outside, in a graph that it may share with others.
    given: bool,
}

impl Tape {
    /// A tape for blocks of any size, and not of heavy networks alone.
    pub fn always() -> Self {
        Self { always: true, ..Self::default() }
    }

    /// Whether blocks are done on it that keep so much.
    pub fn is_for(&self, activations: Activations) -> bool {
        self.always || activations.is_heavy()
    }

    /// A value from outside, of whatever graph: the gradient goes on there when all blocks are done. What is in no
    /// graph stays as it is.
    pub fn given<const D: usize>(&self, value: Tensor<D>) -> Tensor<D> {
        if !value.is_tracked() {
            return value;
        }
        self.leaf(value.clone(), true, move || flat(value))
    }

    fn leaf<const D: usize>(
        &self,
        value: Tensor<D>,
        given: bool,
        again: impl FnOnce() -> Tensor<1> + 'static,
    ) -> Tensor<D> {
        let leaf = value.without_autodiff().autodiff().require_grad();
        let own = leaf.clone();
        let take =
            move |all: &mut Gradients| own.grad_remove(all).map(|g| flat(g.without_autodiff()));
        let (take, again) = (Box::new(take), Box::new(again));
        self.steps.borrow_mut().push(Step { take, gradient: None, again, given });
        leaf
    }

    /// Sends a loss's gradients back through all that was done, and forgets it; `each` is shown what every backward
    /// pass has found, this one first, to take the weights' gradients, which are to be added up.
    pub fn unwind(&self, mut found: Gradients, mut each: impl FnMut(&mut Gradients)) {
        let mut steps = self.steps.take();
        let collect = |steps: &mut [Step], found: &mut Gradients| {
            for step in steps {
                if let Some(more) = (step.take)(found) {
                    let sum = step.gradient.take();
                    step.gradient =
                        Some(sum.map_or_else(|| more.clone(), |sum| sum + more.clone()));
                }
            }
        };
        each(&mut found);
        collect(&mut steps, &mut found);
        drop(found);
        // Of the values from outside since the last block: they may share a graph, which is walked back once.
        let mut outside: Option<Tensor<1>> = None;
        while let Some(Step { gradient, again, given, .. }) = steps.pop() {
            // Its gradient by the value is the gradient that came.
            let seed = gradient.map(|gradient| (again() * gradient).sum());
            let seed = if given {
                outside = outside.into_iter().chain(seed).reduce(|sum, seed| sum + seed);
                outside.take_if(|_| steps.last().is_none_or(|before| !before.given))
            } else {
                seed
            };
            if let Some(seed) = seed {
                let mut found = seed.backward();
                each(&mut found);
                collect(&mut steps, &mut found);
            }
        }
    }
}

/// The tape of a pass, and the pass's weights in the graph and outside it.
#[derive(Clone)]
pub struct Taped {
    tape: Rc<Tape>,
    weights: Rc<[Weights; 2]>,
}

impl Taped {
    /// On a tape, of these weights.
    pub fn new(tape: Rc<Tape>, weights: &Weights) -> Self {
        let plain = |all: &[Tensor<1>]| all.iter().map(|t| t.clone().without_autodiff()).collect();
        let outside = Weights {
            layout: weights.layout.clone(),
            params: plain(&weights.params),
            buffers: plain(&weights.buffers),
        };
        Self { tape, weights: Rc::new([weights.clone(), outside]) }
    }

    /// The same tape.
    pub fn tape(&self) -> &Rc<Tape> {
        &self.tape
    }

    /// Does a block of a pass, [n, c, h, w]; its inputs were [`Tape::given`] or made by blocks.
    pub fn block(
        &self,
        pass: &Pass,
        inputs: Inputs,
        of: impl Fn(&Pass, Inputs) -> Tensor<4> + 'static,
    ) -> Tensor<4> {
        let drawn = pass.drawn();
        let [_, plain] = &*self.weights;
        let outside = Pass::new(plain, pass.mode).after(drawn);
        let made = of(&outside, inputs.plain());
        pass.take(outside);
        let (weights, mode) = (self.weights.clone(), pass.mode);
        self.tape.leaf(made, false, move || {
            let [tracked, _] = &*weights;
            flat(of(&Pass::new(tracked, mode).after(drawn), inputs))
        })
    }
}

fn flat<const D: usize>(value: Tensor<D>) -> Tensor<1> {
    let n: usize = value.dims().iter().product();
    value.reshape([n])
}
