//! From noise to pictures: the DDIM family with classifier-free guidance.

use burn::tensor::Tensor;

use crate::{
    data::rng::{normals, seeded},
    diffusion::schedule::Schedule,
    error::Result,
    gpu::{pace::Pace, tensor4},
    job_context::JobContext,
    models::{
        layers::{Mode, Pass},
        unet::Unet,
        weights::{Weights, read},
    },
    words::sampling::SampleOptions,
};

/// One picture to make: its class, and the index that fixes its initial noise.
/// The same index and seed give the same x_T in every pane and every model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    pub class: Option<usize>,
    pub noise: u64,
}

/// Guided noise prediction for a batch (docs/methods.md#models). Shapes as [`Unet::forward`].
pub fn predict(
    unet: &Unet,
    pass: &Pass,
    x: Tensor<4>,
    t: &[usize],
    class: &[Option<usize>],
    guidance: f32,
) -> Tensor<4> {
    if guidance == 0.0 {
        return unet.forward(pass, x, t, class);
    }
    // One batch of twice the size: the same sums as two passes, fewer launches.
    let n = t.len();
    let both = Tensor::cat(vec![x.clone(), x], 0);
    let classes: Vec<_> = class.iter().copied().chain(std::iter::repeat_n(None, n)).collect();
    let out = unet.forward(pass, both, &[t, t].concat(), &classes);
    let [_, c, h, w] = out.dims();
    let conditional = out.clone().slice([0..n, 0..c, 0..h, 0..w]);
    let null = out.slice([n..2 * n, 0..c, 0..h, 0..w]);
    conditional * (1.0 + guidance) - null * guidance
}

/// Samples a batch. Values in [0, 1], clamped, [n, c, h, w] flat. No per-image stretching.
///
/// # Errors
/// Cancelled, or the device failed.
pub async fn sample(
    unet: &Unet,
    weights: &Weights,
    schedule: &Schedule,
    wanted: &[Wanted],
    options: &SampleOptions,
    job: &mut JobContext,
) -> Result<Vec<f32>> {
    let device = weights.device();
    let config = &unet.config;
    let shape = [wanted.len(), config.channels, config.resolution, config.resolution];
    let each = shape[1..].iter().product::<usize>();
    let classes: Vec<_> = wanted.iter().map(|w| w.class).collect();
    let noise = |purpose: &str| {
        let values = wanted.iter().flat_map(|w| {
            normals(&mut seeded(options.seed, &format!("{purpose} {}", w.noise)), each)
        });
        tensor4(values.collect(), shape, &device)
    };
    let mut x = noise("x_T");
    let mut pace = Pace::start();
    for (t, s) in schedule.uniform(options.steps) {
        job.advance(wanted.len()).await?;
        let pass = Pass::new(weights, Mode::Eval);
        let times = vec![t; wanted.len()];
        let mut eps = predict(unet, &pass, x.clone(), &times, &classes, options.guidance);
        let (signal, sigma) = schedule.mix(t);
        let mut x0 = (x.clone() - eps.clone() * sigma) / signal;
        if options.clip {
            x0 = x0.clamp(-1.0, 1.0);
            eps = (x - x0.clone() * signal) / sigma;
        }
        let step = schedule.step(t, s, options.eta);
        x = x0 * step.signal + eps * step.direction;
        if step.noise > 0.0 {
            x = x + noise(&format!("z {t}")) * step.noise;
        }
        pace.step(&x).await?;
    }
    let values = read(x).await?;
    Ok(values.into_iter().map(|v| ((v + 1.0) / 2.0).clamp(0.0, 1.0)).collect())
}
