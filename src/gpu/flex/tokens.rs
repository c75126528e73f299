//! What a transformer does to each token by itself. `x` [rows, 1, 1, width].

use burn::backend::flex::FlexTensor;

use super::{Made, Operation, dims4, tensor, unset_like, values};
use crate::gpu::cpu::gate;
use crate::gpu::cpu::norm::{self, NormGrads};
use crate::gpu::cpu::par::unset;

/// Layer normalisation.
#[derive(Debug, Clone)]
pub struct LayerNorm {
    pub eps: f32,
}

impl LayerNorm {
    fn kernel<'a>(&self, [_, weight, bias]: [&'a FlexTensor; 3]) -> norm::LayerNorm<'a> {
        norm::LayerNorm { eps: self.eps, weight: values(weight), bias: values(bias) }
    }
}

impl Operation for LayerNorm {
    /// Mean and 1 / standard deviation of each row.
    type Kept = Vec<[f32; 2]>;

    fn forward(&self, [x, weight, bias, _]: [&FlexTensor; 4]) -> (FlexTensor, Self::Kept) {
        let mut y = unset_like(x);
        let mut stats = vec![[0.0; 2]; dims4(x)[0]];
        self.kernel([x, weight, bias]).forward(values(x), &mut y, &mut stats);
        (tensor(y, dims4(x)), stats)
    }

    fn backward(&self, made: Made<Self::Kept>) -> [Option<Vec<f32>>; 4] {
        let Made { operands, kept, grad, .. } = made;
        let [mut dx, mut dw, mut db] = operands.map(unset_like);
        let to = NormGrads { x: &mut dx, residual: None, weight: &mut dw, bias: &mut db };
        self.kernel(operands).backward(values(operands[0]), kept, grad, to);
        [Some(dx), Some(dw), Some(db), None]
    }
}

/// GEGLU, to half the width; without weights.
#[derive(Debug, Clone)]
pub struct Geglu;

impl Operation for Geglu {
    type Kept = ();

    fn forward(&self, [x, ..]: [&FlexTensor; 4]) -> (FlexTensor, ()) {
        let [rows, _, _, width] = dims4(x);
        let mut y = unset(rows * width / 2);
        gate::geglu(width / 2, values(x), &mut y);
        (tensor(y, [rows, 1, 1, width / 2]), ())
    }

    fn backward(&self, made: Made<()>) -> [Option<Vec<f32>>; 4] {
        let Made { operands: [x, ..], grad, .. } = made;
        let mut dx = unset_like(x);
        gate::geglu_backward(dims4(x)[3] / 2, values(x), grad, &mut dx);
        [Some(dx), None, None, None]
    }
}
