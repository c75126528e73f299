//! Influence unlearning: one step along the inverse curvature (Koh and Liang 2017; Izzo et al. 2021).
//!
//! To take the forget set out of the mean loss of all n = n_f + n_r pictures is to move by
//! H⁻¹ v, v = n_f / n (mean gradient of D_f - mean gradient of D_r). The released code calls a
//! rank-one recursion WoodFisher that never leaves v and the first retain gradient; it is here under
//! its name, beside two steps that do use the curvature.

use burn::tensor::{Tensor, activation};

use super::statistics::{FORGET, RETAIN, dot, plus_scaled, product};
use super::{Knob, Knobs, Local, Method, MethodContext, MethodHooks, Treatment, statistics};
use crate::data::rng;
use crate::error::{Error, Result};
use crate::job_context::JobContext;
use crate::models::weights::read;
use crate::models::{Mode, Pass, Weights};
use crate::saliency::diagonal;
use crate::subject::{Pictured, Subject};
use crate::train::optimizer::plus;
use crate::train::shards;

/// The influence step.
pub const METHOD: Method = Method {
    name: "iu",
    title: "Influence",
    paper: "Koh and Liang, ICML 2017, arXiv 1703.04730; Izzo et al., AISTATS 2021",
    knobs: &[
        Knob::log("alpha", 1.0, [0.0, 1e4]).says("Step length", "length of the step"),
        Knob::choice("form", &["as-released", "conjugate-gradient", "diagonal"]).says(
            "Curvature",
            "inverse curvature: the released recursion, or the Fisher information's",
        ),
        Knob::whole("samples", 1000.0, [1.0, 1e5])
            .says("Pictures for the curvature", "retain pictures that the curvature is over"),
        Knob::log("damping", 1e-2, [1e-8, 10.0])
            .says("Damping", "added to the curvature of every weight"),
        Knob::whole("iterations", 10.0, [1.0, 200.0])
            .says("Iterations", "conjugate gradient: its iterations"),
    ],
    treatments: &[Treatment::CLOSED],
    work: |knobs| Box::new(Influence(knobs.clone())),
    ..Method::PLAIN
};

/// Pictures in one pass of the conjugate gradient.
const BATCH: usize = 128;

struct Influence(Knobs);

impl MethodHooks for Influence {
    fn begin<'a>(&'a mut self, scene: &'a mut MethodContext<'_>) -> Local<'a, Result<()>> {
        Box::pin(async move {
            let [forget, retain] = scene.plan.looked_at();
            let of_forget = statistics::mean(scene, FORGET, &forget).await?;
            let of_retain = statistics::mean(scene, RETAIN, &retain).await?;
            let [n_f, n_r] = [&scene.plan.forget, &scene.plan.retain].map(|set| set.len() as f64);
            let v: Vec<Tensor<1>> = plus_scaled(&of_forget, -1.0, &of_retain)
                .into_iter()
                .map(|v| v * (n_f / (n_f + n_r)))
                .collect();
            let samples = &retain[..retain.len().min(self.0.count("samples"))];
            let step = match self.0.count("form") {
                0 => released(scene, v, samples).await?,
                1 => self.conjugate_gradient(scene, v, samples).await?,
                _ => {
                    // v over the damped diagonal of the empirical Fisher information.
                    let (subject, theta, seed) = (scene.subject, scene.original, scene.plan.seed);
                    let fisher = diagonal(subject, theta, samples, seed, scene.job).await?;
                    let damping = self.0.get("damping");
                    v.into_iter().zip(fisher).map(|(v, f)| v / (f + damping)).collect()
                }
            };
            let theta = &mut scene.weights.params;
            *theta = plus_scaled(theta, self.0.get("alpha"), &step);
            Ok(())
        })
    }
}

/// The recursion of the released code for M samples: with k = v and o = g_1, for each further g
/// t = o g, k -= (k g) / (M + t) o, o -= t / (M + t) o, where both use the old o.
///
/// o is only ever scaled, so k = v - s g_1 and o = c g_1: two numbers are the whole state.
#[derive(Debug, Clone, PartialEq)]
pub struct Recursion {
    m: f64,
    /// o = `scale` g_1.
    pub scale: f64,
    /// k = v - `taken` g_1.
    pub taken: f64,
}

impl Recursion {
    /// Before the second sample.
    pub fn new(m: usize) -> Self {
        Self { m: m as f64, scale: 1.0, taken: 0.0 }
    }

    /// Takes a further sample g by its products with g_1 and with v.
    pub fn take(&mut self, with_first: f64, with_v: f64) {
        let t = self.scale * with_first;
        let kg = with_v - self.taken * with_first;
        self.taken += kg / (self.m + t) * self.scale;
        self.scale -= t / (self.m + t) * self.scale;
    }
}

/// v less a multiple of the first retain picture's gradient.
async fn released(
    scene: &mut MethodContext<'_>,
    v: Vec<Tensor<1>>,
    samples: &[usize],
) -> Result<Vec<Tensor<1>>> {
    scene.job.phase("WoodFisher", samples.len());
    let mut first = None;
    let one = &samples[..samples.len().min(1)];
    statistics::gradients(scene, one, 1, |g, _| g, |g| first = Some(g)).await?;
    let Some(first) = first else { return Ok(v) };
    let mut products = Vec::new();
    let both = |g: Vec<Tensor<1>>, _| Tensor::cat(vec![dot(&first, &g), dot(&v, &g)], 0);
    statistics::gradients(scene, &samples[1..], 1, both, |p| products.push(p)).await?;
    let mut state = Recursion::new(samples.len());
    if !products.is_empty() {
        for pair in read(Tensor::cat(products, 0)).await?.chunks_exact(2) {
            state.take(f64::from(pair[0]), f64::from(pair[1]));
        }
    }
    Ok(plus_scaled(&v, -state.taken, &first))
}

impl Influence {
    /// (F + damping)⁻¹ v by conjugate gradients, F the Fisher information of the retain pictures.
    async fn conjugate_gradient(
        &self,
        scene: &mut MethodContext<'_>,
        v: Vec<Tensor<1>>,
        samples: &[usize],
    ) -> Result<Vec<Tensor<1>>> {
        let Subject::Classifier(of) = scene.subject else {
            return Err(Error::Request("influence unlearning is for classifiers".into()));
        };
        let (damping, iterations) = (self.0.get("damping"), self.0.count("iterations"));
        scene.job.phase("Conjugate gradient", iterations * samples.len());
        let mut x: Vec<Tensor<1>> = v.iter().map(Tensor::zeros_like).collect();
        let mut residual = v.clone();
        let mut direction = v;
        let mut size = product(&residual, &residual).await?;
        let enough = size * 1e-10;
        for _ in 0..iterations {
            if size <= enough {
                break;
            }
            let curved = fisher_times(scene.original, of, &direction, samples, scene.job).await?;
            let curved = plus_scaled(&curved, damping, &direction);
            let step = size / product(&direction, &curved).await?;
            x = plus_scaled(&x, step, &direction);
            residual = plus_scaled(&residual, -step, &curved);
            let next = product(&residual, &residual).await?;
            direction = plus_scaled(&residual, next / size, &direction);
            size = next;
        }
        Ok(x)
    }
}

/// F d = mean of Jᵀ (diag p - p pᵀ) J d, J the logits' derivative: the Fisher information under
/// the model's own labels, which is the Gauss-Newton matrix of cross-entropy. J d is a central
/// difference.
///
/// # Errors
/// Cancelled, or the device failed.
pub async fn fisher_times(
    theta: &Weights,
    of: &Pictured,
    d: &[Tensor<1>],
    samples: &[usize],
    job: &mut JobContext,
) -> Result<Vec<Tensor<1>>> {
    /// Length of the difference's half step: well above rounding, well below curvature.
    const STEP: f64 = 1e-2;
    let length = product(d, d).await?.sqrt().max(1e-30);
    let moved = |s: f64| Weights { params: plus_scaled(&theta.params, s, d), ..theta.clone() };
    let sides = [STEP, -STEP].map(|s| moved(s / length));
    let mut sum = Vec::new();
    for batch in samples.chunks(BATCH) {
        // Evaluation draws nothing at random.
        let mut rng = rng::seeded(0, "none");
        let (net, x) = (&*of.net, of.plain(batch, &mut rng));
        let size = shards::size(theta, batch.len());
        let parts = (x.split(size, 0), size);
        let (_, more) = shards::gradients(theta, Mode::Eval, parts, |pass, x| {
            let [ahead, behind] =
                sides.each_ref().map(|w| net.forward(&Pass::new(w, Mode::Eval), x.clone()));
            let slope = (ahead - behind) * (0.5 * length / STEP);
            let logits = net.forward(pass, x);
            let p = activation::softmax(logits.clone().without_autodiff(), 1);
            let mean = (p.clone() * slope.clone()).sum_dim(1);
            let target = p * (slope - mean);
            (logits * target).sum() / samples.len() as f64
        });
        sum = plus(sum, more);
        job.advance(batch.len()).await?;
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_12_6() {
        let v = [1.0, -2.0, 0.5];
        let g = [[0.1, 0.2, -0.3], [0.4, -0.1, 0.2], [-0.2, 0.3, 0.1]];
        let dot = |a: &[f64; 3], b: &[f64; 3]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let mut state = Recursion::new(1000);
        for next in &g[1..] {
            state.take(dot(&g[0], next), dot(&v, next));
        }
        let k = [0, 1, 2].map(|i| v[i] - state.taken * g[0][i]);
        let o = [0, 1, 2].map(|i| state.scale * g[0][i]);
        let close = |got: [f64; 3], want: [f64; 3]| {
            assert!(got.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-6), "{got:?}");
        };
        close(k, [1.000005, -1.99999, 0.499985]);
        close(o, [0.100003, 0.200006, -0.300009]);
    }
}
