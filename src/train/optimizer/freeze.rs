//! Which weights an optimiser may change.

use burn::tensor::{Bool, Tensor};

use super::TOGETHER;
use crate::gpu::flex;
use crate::gpu::kernels::{Kernels, Slice};
use crate::models::{Bits, WeightLayout, Weights};
use crate::train::losses::flags;

/// Which weights may change, and what the others are.
///
/// Freezing is by selection, not by multiplication: a frozen weight is the original's very bits,
/// whatever momentum and weight decay do (SalUn eq. 4). What else moves weights
/// between two updates is followed by [`super::Optimizer::hold`]: updates keep the bits they find.
#[derive(Debug, Clone)]
pub struct WeightFreeze {
    original: Vec<Tensor<1>>,
    pub(super) free: Free,
}

/// Which weights are free, in the form that updates take it.
#[derive(Debug, Clone)]
pub(super) enum Free {
    /// On the CPU: a bit a weight, per parameter.
    Bits(Vec<Bits>),
    /// On a GPU: the bits of all of them, where updates are made; and true where a weight may change, per parameter,
    /// unless there are too many of them to be kept.
    Resident { bits: Vec<Bits>, flags: Vec<Tensor<1, Bool>>, kernels: Kernels, mask: Slice },
    /// As the official code was before 28 February 2026: the mask is on gradients only, and weight
    /// decay and momentum move frozen weights.
    Drift(Vec<Tensor<1, Bool>>),
}

impl WeightFreeze {
    /// `bits` holds a 1 for every weight of `layout` that may change; a run starts from `start`.
    /// Where a parameter has grown, its new values are free.
    pub fn new(
        bits: &Bits,
        layout: &WeightLayout,
        original: &Weights,
        start: &Weights,
        drift: bool,
    ) -> Self {
        let device = original.device();
        let (mut each, mut held) = (Vec::new(), Vec::new());
        let params = layout.params.iter().zip(original.params.iter().zip(&start.params));
        for (entry, (original, start)) in params {
            let (had, has) = (original.dims()[0], start.dims()[0]);
            let mut bits = bits.slice(entry.range());
            let mut original = original.clone();
            if has > had {
                bits = Bits::of(&[bits.bytes(), vec![1; has - had]].concat());
                original = Tensor::cat(vec![original, start.clone().narrow(0, had, has - had)], 0);
            }
            each.push(bits);
            held.push(original);
        }
        let flagged =
            |each: &[Bits]| each.iter().map(|bits| flags(&bits.bytes(), &device)).collect();
        let free = match (drift, Kernels::of(&device)) {
            (true, _) => Free::Drift(flagged(&each)),
            (false, None) => Free::Bits(each),
            (false, Some(kernels)) => {
                let all: Vec<u8> = each.iter().flat_map(Bits::bytes).collect();
                let mask = kernels.upload(Bits::of(&all).words());
                let flags = if all.len() <= TOGETHER { flagged(&each) } else { Vec::new() };
                Free::Resident { flags, bits: each, kernels, mask }
            }
        };
        Self { original: held, free }
    }

    /// Gives the frozen weights the original's bits. Rows that a parameter has lost since are left
    /// out.
    pub fn restore(&self, weights: &mut Weights) {
        let params = weights.params.iter_mut().zip(&self.original).enumerate();
        for (i, (theta, original)) in params {
            let n = theta.dims()[0];
            let was = original.clone().narrow(0, 0, n);
            match &self.free {
                Free::Bits(free) => restore(theta, &was, &free[i]),
                Free::Resident { flags: kept, bits, .. } => {
                    let made = || flags(&bits[i].bytes(), &theta.device());
                    let free = kept.get(i).cloned().unwrap_or_else(made);
                    *theta = was.mask_where(free.narrow(0, 0, n), theta.clone());
                }
                Free::Drift(free) => {
                    *theta = was.mask_where(free[i].clone().narrow(0, 0, n), theta.clone());
                }
            }
        }
    }

    /// Whether frozen weights may move.
    pub(super) fn drifts(&self) -> bool {
        matches!(self.free, Free::Drift(_))
    }
}

/// Gives the frozen weights of a parameter on the CPU the original's bits; one that has them is not copied.
fn restore(theta: &mut Tensor<1>, original: &Tensor<1>, free: &Bits) {
    if flex::are_one(theta, original) {
        return;
    }
    let held = flex::on_cpu(original.clone());
    let held = flex::values(&held);
    let frozen = || free.gaps().take_while(|at| *at < held.len());
    {
        let now = flex::on_cpu(theta.clone());
        let now = flex::values(&now);
        if frozen().all(|at| now[at].to_bits() == held[at].to_bits()) {
            return;
        }
    }
    let vector = std::mem::replace(theta, original.clone());
    *theta = flex::edit(vector, |theta| frozen().for_each(|at| theta[at] = held[at]));
}
