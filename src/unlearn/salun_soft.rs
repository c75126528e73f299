//! SalUn with soft thresholds: random labelling, and after every update the k smallest movements
//! are taken back and the others shortened (Fan et al. 2024, the proximal step of
//! beta |theta - theta_o|_1). It needs no mask.

use burn::tensor::Tensor;

use super::rl::Relabel;
use super::{Batch, ForgetNoise, Knob, Local, Method, MethodHooks, StepInfo, Treatment, rl, salun};
use crate::error::Result;
use crate::gpu::buffers;
use crate::gpu::kernels::Kernels;
use crate::models::{Weights, read_all};
use crate::saliency::top_k;

/// SalUn-soft.
pub const METHOD: Method = Method {
    name: "salun-soft",
    title: "SalUn-soft",
    paper: salun::METHOD.paper,
    knobs: &[
        Knob::real("share", 0.5, [0.0, 1.0])
            .says("Share put back at first", "share of weights that is put back at first"),
        Knob::switch("released").says(
            "Distances as released",
            "as released: distances are from the start of each epoch",
        ),
        rl::ALPHA,
        rl::ALPHA_OF_PROMPTS,
        rl::MOVING,
        rl::TRUE_LABEL,
    ],
    treatments: &[
        rl::CLASSIFIER,
        rl::CLASSES,
        Treatment {
            refused: Some((
                "released",
                "a prompt's run has no epochs, which the released code counts by",
            )),
            ..rl::PROMPTS
        },
    ],
    work: |knobs| {
        Box::new(Soft {
            relabel: Relabel::new(knobs),
            share: knobs.get("share"),
            released: knobs.on("released"),
            reference: Vec::new(),
        })
    },
    ..Method::PLAIN
};

struct Soft {
    relabel: Relabel,
    share: f64,
    released: bool,
    /// The weights that movement is measured from.
    reference: Vec<Tensor<1>>,
}

impl MethodHooks for Soft {
    fn loss(&self, batch: Batch) -> Tensor<1> {
        self.relabel.loss(batch)
    }

    fn forget_noise(&self, step: ForgetNoise) -> Tensor<1> {
        self.relabel.forget_noise(step)
    }

    fn before(&mut self, weights: &Weights, at: StepInfo) {
        // A run starts from the original.
        if at.step == 0 || self.released && at.turn == 0 {
            self.reference = weights.params.clone();
        }
    }

    fn carried(&mut self) -> Option<&mut Vec<Tensor<1>>> {
        Some(&mut self.reference)
    }

    fn after<'a>(&'a mut self, weights: &'a mut Weights, at: StepInfo) -> Local<'a, Result<bool>> {
        Box::pin(async move {
            // As released, k holds for an epoch: it is that of the epoch's first update.
            let done = if self.released { at.step - at.turn } else { at.step } + 1;
            let n = weights.layout.n();
            let k = put_back(self.share, done, at.steps, n);
            if k > 0 {
                weights.params = shrunk(&weights.params, &self.reference, k).await?;
            }
            Ok(k > 0)
        })
    }
}

/// How many weights are put back after `done` of `steps` updates: a share that falls to 0.
pub fn put_back(share: f64, done: usize, steps: usize, n: usize) -> usize {
    (share * (steps - done.min(steps)) as f64 / steps as f64 * n as f64) as usize
}

/// The soft threshold: with tau the k-th smallest |theta - reference| of all weights together,
/// movements beyond tau are shortened by it and the others are taken back, bit for bit.
///
/// # Errors
/// The device failed, or a weight is not a finite number.
pub async fn shrunk(
    theta: &[Tensor<1>],
    reference: &[Tensor<1>],
    k: usize,
) -> Result<Vec<Tensor<1>>> {
    let moved: Vec<Tensor<1>> =
        theta.iter().zip(reference).map(|(t, r)| t.clone() - r.clone()).collect();
    let n = moved.iter().map(|m| m.dims()[0]).sum::<usize>();
    let larger = n + 1 - k.clamp(1, n);
    if let Some(kernels) = Kernels::of(&moved[0].device()) {
        let sizes = buffers::slice(&Tensor::cat(moved, 0).abs())?;
        let tau = kernels.kth_largest(&sizes, larger).await?;
        let (tensors, drawn) = buffers::with_results(theta, reference)?;
        kernels.soft_threshold(&tensors, tau);
        return Ok(drawn);
    }
    let mut sizes = read_all(&moved).await?;
    sizes.iter_mut().for_each(|d| *d = d.abs());
    let tau = top_k(&sizes, larger)?.threshold();
    let shrink = |((theta, reference), moved): ((&Tensor<1>, &Tensor<1>), Tensor<1>)| {
        let above = moved.clone().greater_elem(tau);
        let below = moved.lower_elem(-tau);
        let back = reference.clone();
        back.mask_where(above, theta.clone() - tau).mask_where(below, theta.clone() + tau)
    };
    Ok(theta.iter().zip(reference).zip(moved).map(shrink).collect())
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::models::weights::vector;

    #[test]
    fn golden_12_4() {
        let device = Device::flex();
        let theta = [0.5, -0.4, 0.3, -0.2, 0.1, -0.05, 0.02, 0.0];
        // In two parameters: the threshold is one for all.
        let params = [vector(&theta[..3], &device), vector(&theta[3..], &device)];
        let zero = [vector(&[0.0; 3], &device), vector(&[0.0; 5], &device)];
        for (k, expected) in [
            (4, [0.4, -0.3, 0.2, -0.1, 0.0, 0.0, 0.0, 0.0]),
            (6, [0.2, -0.1, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0f32]),
        ] {
            let got = pollster::block_on(shrunk(&params, &zero, k)).unwrap();
            let got = pollster::block_on(read_all(&got)).unwrap();
            let close = got.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6);
            assert!(close, "{k}: {got:?}");
            assert!(got[5..].iter().all(|v| v.to_bits() == 0));
        }
    }

    #[test]
    fn golden_12_5() {
        let k = |epoch: usize| put_back(0.5, epoch * (18 + 159) + 1, 10 * (18 + 159), 11_173_962);
        assert_eq!([k(0), k(4), k(9)], [5_583_824, 3_349_032, 555_541]);
        assert_eq!(put_back(0.5, 1770, 1770, 11_173_962), 0);
    }
}
