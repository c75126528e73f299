//! Selective synaptic dampening (Foster et al. 2024): weights that matter more to
//! the forget set than to all data are scaled down. No training.

use burn::tensor::Tensor;

use super::statistics::FORGET;
use super::{
    Knob, Knobs, Local, Losses, Method, MethodContext, MethodHooks, Treatment, statistics,
};
use crate::error::Result;

/// Dampening.
pub const METHOD: Method = Method {
    name: "ssd",
    title: "SSD",
    paper: "Foster et al., AAAI 2024, arXiv 2308.07707",
    knobs: &[
        Knob::log("alpha", 10.0, [0.1, 1e4])
            .says("Selection", "how many times more a weight matters to be dampened"),
        Knob::log("lambda", 1.0, [1e-3, 1e2])
            .says("Dampening", "how little is left of it, as a multiple"),
        Knob::whole("group", 64.0, [1.0, 1024.0]).says(
            "Pictures in a gradient",
            "pictures in each squared gradient, a batch as released; 1 is the Fisher information",
        ),
    ],
    treatments: &[Treatment::CLOSED, Treatment::classes(Losses::Retain, 0, 0.0)],
    work: |knobs| Box::new(Dampening(knobs.clone())),
    ..Method::PLAIN
};

struct Dampening(Knobs);

impl MethodHooks for Dampening {
    fn begin<'a>(&'a mut self, scene: &'a mut MethodContext<'_>) -> Local<'a, Result<()>> {
        Box::pin(async move {
            let plan = scene.plan;
            let group = self.0.count("group");
            let [forget, _] = plan.looked_at();
            let all = plan.some(&[&plan.forget[..], &plan.retain].concat(), plan.each[1], "all");
            let of_forget = statistics::squares(scene, FORGET, &forget, group).await?;
            let of_all = statistics::squares(scene, "Measuring all data", &all, group).await?;
            let [alpha, lambda] = [self.0.get("alpha"), self.0.get("lambda")];
            let importances = of_forget.into_iter().zip(of_all);
            let params = scene.weights.params.iter().zip(importances);
            scene.weights.params = params
                .map(|(theta, (f, all))| dampened(theta.clone(), f, all, alpha, lambda))
                .collect();
            Ok(())
        })
    }
}

/// theta min(lambda I_D / I_f, 1) where I_f > alpha I_D, else theta.
pub fn dampened(
    theta: Tensor<1>,
    of_forget: Tensor<1>,
    of_all: Tensor<1>,
    alpha: f64,
    lambda: f64,
) -> Tensor<1> {
    let chosen = of_forget.clone().greater(of_all.clone() * alpha);
    // A weight that is chosen has an importance above 0.
    let factor = (of_all * lambda / of_forget.clamp_min(1e-38)).clamp_max(1.0);
    theta.clone().mask_where(chosen, theta * factor)
}
