//! SFR-on (Huang et al. 2024): every update retains; every few retain updates, one
//! ascends on the forget set, weighted by picture, through a saliency of its own and ever less.

use burn::tensor::{Bool, Tensor};

use super::distil::each_cross_entropy;
use super::hooks::{Batch, BatchSource, ForgetNoise, MethodContext, MethodHooks, StepInfo};
use super::statistics::{FORGET, RETAIN};
use super::{Knob, Local, Losses, Method, Order, Rate, Treatment, Update, statistics};
use crate::error::Result;
use crate::models::Weights;
use crate::train::clip_norm;
use crate::words::Task;

/// SFR-on.
pub const METHOD: Method = Method {
    name: "sfr-on",
    title: "SFR-on",
    paper: "Huang et al., NeurIPS 2024, arXiv 2409.19732",
    knobs: &[
        Knob::log("alpha", 25.0, [0.0, 1e3])
            .says("Weight of the ascent", "weight of the ascent at first; falls to 0")
            .only(Task::Classify),
        DENOISING.only(Task::Generate),
        DENOISING.only(Task::TextToImage),
        Knob::whole("every", 5.0, [1.0, 100.0])
            .says("Retain updates for each", "retain updates for each forget update"),
        Knob::log("clip", 7.0, [1e-2, 1e3])
            .says("Largest gradient norm", "largest norm of a gradient"),
    ],
    treatments: &[
        Treatment::classifier(Order::Every, 10, 0.01).quick(0.01).rate(Rate::Cosine),
        // As many updates as the authors say for theirs (tens to 150).
        Treatment::classes(Losses::Every, 150, 1e-4).quick(1e-4).rate(Rate::Cosine),
        Treatment::prompts(Losses::Every),
    ],
    work: |knobs| {
        let [alpha, clip] = ["alpha", "clip"].map(|name| knobs.get(name));
        Box::new(Ascent { alpha, clip, salient: Vec::new() })
    },
    ..Method::PLAIN
};

/// The authors' weight for diffusion models.
const DENOISING: Knob = Knob::log("alpha", 10.0, [0.0, 1e3])
    .says("Weight of the ascent", "weight of the ascent at first; falls to 0");

/// Pictures in each squared gradient of a classifier; of a diffusion model as many as in an update.
const GROUP: usize = 128;
/// Keeps the ratio of two importances finite.
const TINY: f64 = 1e-15;

struct Ascent {
    alpha: f64,
    clip: f64,
    /// Where a weight matters at least as much to the forget set as to the retain set.
    salient: Vec<Tensor<1, Bool>>,
}

impl MethodHooks for Ascent {
    fn begin<'a>(&'a mut self, scene: &'a mut MethodContext<'_>) -> Local<'a, Result<()>> {
        Box::pin(async move {
            let [forget, retain] = scene.plan.looked_at();
            let group = if scene.plan.how.draws() { scene.plan.batch } else { GROUP };
            let of_forget = statistics::squares(scene, FORGET, &forget, group).await?;
            let of_retain = statistics::squares(scene, RETAIN, &retain, group).await?;
            let pairs = of_forget.into_iter().zip(of_retain);
            self.salient = pairs.map(|(f, r)| (f + TINY).greater_equal(r + TINY)).collect();
            Ok(())
        })
    }

    fn loss(&self, batch: Batch) -> Tensor<1> {
        match batch.at.part {
            BatchSource::Forget => {
                let at = batch.at;
                ascent(batch.logits, batch.labels) * falling(self.alpha, at.step, at.steps)
            }
            _ => batch.cross_entropy(),
        }
    }

    fn whole(&self) -> bool {
        true
    }

    fn forget_noise(&self, step: ForgetNoise) -> Tensor<1> {
        let errors: Tensor<2> = (step.prediction() - step.batch.target()).square().flatten(1, 3);
        weighed(errors.mean_dim(1).squeeze_dim(1))
            * falling(self.alpha, step.at.step, step.at.steps)
    }

    fn weighs_all(&self) -> bool {
        true
    }

    fn adjust(&self, update: Update, _weights: &Weights, at: StepInfo) -> Update {
        let Update { loss, mut gradients } = update;
        if at.part == BatchSource::Forget {
            let masked = gradients.into_iter().zip(&self.salient);
            gradients = masked.map(|(g, s)| g.mask_fill(s.clone().bool_not(), 0.0)).collect();
        }
        Update { loss, gradients: clip_norm(gradients, self.clip) }
    }
}

/// alpha (1 + cos(pi t / T)) / 2.
pub fn falling(alpha: f64, step: usize, steps: usize) -> f64 {
    alpha * 0.5 * (1.0 + (std::f64::consts::PI * step as f64 / steps.max(1) as f64).cos())
}

/// Minus the mean of w_i l_i, l_i a picture's cross-entropy and w_i proportional to l_i^-1/2 with
/// mean 1 and without gradient. Logits [n, classes].
pub fn ascent(logits: Tensor<2>, labels: &[usize]) -> Tensor<1> {
    weighed(each_cross_entropy(logits, labels))
}

/// The same of losses [n].
fn weighed(losses: Tensor<1>) -> Tensor<1> {
    // A loss that rounds to 0 would weigh infinitely much.
    let weights = losses.clone().without_autodiff().clamp_min(1e-8).sqrt().recip();
    let weights = weights.clone() / weights.mean();
    (losses * weights).mean().neg()
}
