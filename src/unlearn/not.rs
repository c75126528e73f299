//! NoT (Khalil et al. 2025): a layer's parameters are multiplied by -1, which breaks what later layers have
//! learnt to read of it, and fine-tuning on the retain set repairs the model. D_f is never looked at.
//!
//! θ_l ← -θ_l, weight and bias of the layer l, then as fine-tuning. The paper has it for federated learning, with
//! the first layer the best to negate; here one process holds all that is retained.

use super::{Knob, Local, Losses, Method, MethodContext, MethodHooks, Order, Treatment};
use crate::error::{Error, Result};
use crate::models::Weights;

/// Negation, then fine-tuning.
pub const METHOD: Method = Method {
    name: "not",
    title: "NoT",
    paper: "Khalil et al., CVPR 2025, arXiv 2503.05657",
    knobs: &[Knob::whole("layer", 1.0, [1.0, 1e3])
        .says("Convolution to negate", "which convolution is negated, the first being 1")],
    treatments: &[
        Treatment::classifier(Order::Retain, 10, 0.01).quick(0.01),
        Treatment::prompts(Losses::Retain),
    ],
    work: |knobs| Box::new(Negation { layer: knobs.count("layer") }),
    ..Method::PLAIN
};

struct Negation {
    /// Counted from 1.
    layer: usize,
}

impl MethodHooks for Negation {
    fn begin<'a>(&'a mut self, scene: &'a mut MethodContext<'_>) -> Local<'a, Result<()>> {
        Box::pin(async move { negate(scene.weights, self.layer) })
    }
}

/// Negates the parameters of a convolution, counted from 1 in forward order.
fn negate(weights: &mut Weights, layer: usize) -> Result<()> {
    let entries = &weights.layout.params;
    // Kernels have four axes.
    let kernels = entries.iter().filter(|e| e.shape.len() == 4);
    let names: Vec<&str> = kernels.filter_map(|e| e.name.strip_suffix("weight")).collect();
    let Some(name) = layer.checked_sub(1).and_then(|at| names.get(at)) else {
        let right = format!("the model has {} convolutions", names.len());
        return Err(Error::argument("layer", layer, right));
    };
    for (entry, value) in entries.iter().zip(&mut weights.params) {
        if entry.name.strip_prefix(name).is_some_and(|of| ["weight", "bias"].contains(&of)) {
            *value = value.clone().neg();
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use burn::tensor::Device;

    use super::*;
    use crate::models::{Init, WeightLayout, read_all};

    fn weights() -> Weights {
        let mut layout = WeightLayout::default();
        for (name, shape) in [
            ("embedding.weight", &[2, 2][..]),
            ("conv1.weight", &[2, 1, 3, 3]),
            ("conv1.bias", &[2]),
            ("conv10.weight", &[1, 2, 1, 1]),
            ("fc.weight", &[3, 2]),
        ] {
            layout.param(name.into(), shape, Init::Normal(1.0));
        }
        Arc::new(layout).init(1).upload(&Device::flex())
    }

    /// Which parameters are negated, where the others keep every bit.
    fn negated(layer: usize) -> Result<Vec<bool>> {
        let (before, mut after) = (weights(), weights());
        negate(&mut after, layer)?;
        let of = |w: &Weights| pollster::block_on(read_all(&w.params)).unwrap();
        let (before, after) = (of(&before), of(&after));
        let is = |range: std::ops::Range<usize>| {
            let minus: Vec<f32> = before[range.clone()].iter().map(|v| -v).collect();
            assert!(after[range.clone()] == minus || after[range.clone()] == before[range.clone()]);
            after[range] == minus
        };
        Ok(weights().layout.params.iter().map(|e| is(e.range())).collect())
    }

    #[test]
    fn one_convolution_is_negated_with_its_bias_and_nothing_else() {
        assert_eq!(negated(1).unwrap(), [false, true, true, false, false]);
        assert_eq!(negated(2).unwrap(), [false, false, false, true, false]);
    }

    #[test]
    fn a_layer_that_is_not_there_is_refused() {
        for layer in [0, 3] {
            let error = negated(layer).unwrap_err().to_string();
            assert!(error.contains("layer") && error.contains("2 convolutions"), "{error}");
        }
    }
}
