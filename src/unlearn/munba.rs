//! MUNBa (Wu and Harandi 2025): forgetting and retaining bargain about every
//! update; the Nash solution weighs their gradients by what each asks for.

use burn::tensor::Tensor;

use super::hooks::{Batch, BatchSource, ForgetNoise, MethodHooks};
use super::statistics::product;
use super::{Knob, Local, Method, Update, neggrad_plus};
use crate::data::{Rng, normals};
use crate::error::Result;
use crate::models::weights::vector;

/// MUNBa.
pub const METHOD: Method = Method {
    name: "munba",
    title: "MUNBa",
    paper: "Wu and Harandi, ICCV 2025, arXiv 2411.15537",
    knobs: &[Knob::log("xi", 1e-8, [1e-12, 1.0])
        .says("Stabiliser", "keeps the weights finite for parallel gradients")],
    work: |knobs| Box::new(Bargain { xi: knobs.get("xi") }),
    ..neggrad_plus::METHOD
};

/// Cosines this near to 1 or -1 count as parallel.
const PARALLEL: f64 = 1e-6;

struct Bargain {
    xi: f64,
}

impl MethodHooks for Bargain {
    fn loss(&self, batch: Batch) -> Tensor<1> {
        let forgets = batch.at.part == BatchSource::Forget;
        let loss = batch.cross_entropy();
        if forgets { loss.neg() } else { loss }
    }

    fn forget_noise(&self, step: ForgetNoise) -> Tensor<1> {
        step.denoising().neg()
    }

    fn weighs_all(&self) -> bool {
        true
    }

    fn combine<'a>(&'a self, both: [Update; 2], rng: &'a mut Rng) -> Local<'a, Result<Update>> {
        let [mut forget, mut retain] = both;
        Box::pin(async move {
            let mut norms = [norm(&forget).await?, norm(&retain).await?];
            let mut cosine = cosine(&forget, &retain, norms).await?;
            if cosine < PARALLEL - 1.0 {
                // Opposite demands have no compromise: the smaller one is turned a little.
                let smaller = if norms[0] < norms[1] { &mut forget } else { &mut retain };
                let n: usize = smaller.gradients.iter().map(|g| g.dims()[0]).sum();
                let length = norms[0].min(norms[1]) * 0.1 / (n as f64).sqrt();
                for g in &mut smaller.gradients {
                    let noise = vector(&normals(rng, g.dims()[0]), &g.device());
                    *g = g.clone() + noise * length;
                }
                norms = [norm(&forget).await?, norm(&retain).await?];
                cosine = self::cosine(&forget, &retain, norms).await?;
            }
            let [f, r] = shares(norms, cosine, self.xi);
            Ok(forget.times(f).plus(retain.times(r)))
        })
    }
}

async fn norm(update: &Update) -> Result<f64> {
    Ok(product(&update.gradients, &update.gradients).await?.sqrt())
}

async fn cosine(a: &Update, b: &Update, norms: [f64; 2]) -> Result<f64> {
    let inner = product(&a.gradients, &b.gradients).await?;
    Ok((inner / (norms[0] * norms[1]).max(1e-30)).clamp(-1.0, 1.0))
}

/// The weights of both gradients: 1/|g_i| sqrt((1 - cos) / (sin² + xi)); a half each where they
/// point the same way.
pub fn shares(norms: [f64; 2], cosine: f64, xi: f64) -> [f64; 2] {
    if cosine > 1.0 - PARALLEL {
        return [0.5; 2];
    }
    let common = ((1.0 - cosine) / (1.0 - cosine * cosine + xi)).sqrt();
    norms.map(|norm| common / norm.max(1e-30))
}
