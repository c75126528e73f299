//! From noise to pictures: classifier-free guidance and the solvers, for models of classes and of prompts.

use std::ops::Range;

use burn::tensor::{Device, Tensor};

use crate::data::{normals, seeded};
use crate::diffusion::{SchedulerConfig, Solver};
use crate::error::Result;
use crate::gpu::{Pace, spread, tensor4};
use crate::job_context::JobContext;
use crate::models::latent::LatentUnet;
use crate::models::weights::read;
use crate::models::{Mode, Pass, Unet, Weights};
use crate::words::SampleOptions;

/// One picture to make: its condition, a class or a prompt, and the index that fixes its initial noise.
/// The same index and seed give the same noise in every pane and every model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted<C> {
    pub condition: C,
    pub noise: u64,
}

impl<C: Clone> Wanted<C> {
    /// A picture of one condition from each of these noises.
    pub fn each(condition: &C, noises: Range<u64>) -> impl Iterator<Item = Self> + use<C> {
        let condition = condition.clone();
        noises.map(move |noise| Self { condition: condition.clone(), noise })
    }
}

/// A class; `None` is the null condition.
pub type WantedClass = Wanted<Option<usize>>;

/// A network that predicts the noise in pictures under conditions.
pub trait Denoiser: Sync {
    /// The conditions of a batch.
    type Conditions: Clone + Send;

    /// `x` [n, c, h, w], `t` n time steps, to [n, c, h, w].
    fn predict(&self, pass: &Pass, x: Tensor<4>, t: &[f32], of: &Self::Conditions) -> Tensor<4>;

    /// The conditions of two batches one after the other.
    fn joined(two: [Self::Conditions; 2]) -> Self::Conditions;
}

impl Denoiser for Unet {
    type Conditions = Vec<Option<usize>>;

    fn predict(&self, pass: &Pass, x: Tensor<4>, t: &[f32], of: &Self::Conditions) -> Tensor<4> {
        self.forward(pass, x, t, of)
    }

    fn joined(two: [Self::Conditions; 2]) -> Self::Conditions {
        two.concat()
    }
}

impl Denoiser for LatentUnet {
    /// A prompt's vectors each, [n, tokens, d].
    type Conditions = Tensor<3>;

    fn predict(&self, pass: &Pass, x: Tensor<4>, t: &[f32], of: &Tensor<3>) -> Tensor<4> {
        self.forward(pass, x, t, of)
    }

    fn joined(two: [Tensor<3>; 2]) -> Tensor<3> {
        Tensor::cat(two.to_vec(), 0)
    }
}

/// Guided noise prediction: (1 + w) eps(x|own) - w eps(x|nothing) (docs/methods.md#models). `conditions` are the
/// batch's own and as many null ones; shapes as [`Denoiser::predict`].
pub fn predict<N: Denoiser>(
    net: &N,
    pass: &Pass,
    x: Tensor<4>,
    t: &[f32],
    conditions: [N::Conditions; 2],
    guidance: f32,
) -> Tensor<4> {
    if guidance == 0.0 {
        let [own, _] = conditions;
        return net.predict(pass, x, t, &own);
    }
    // One batch of twice the size: the same sums as two passes, fewer launches.
    let n = t.len();
    let both = Tensor::cat(vec![x.clone(), x], 0);
    let out = net.predict(pass, both, &[t, t].concat(), &N::joined(conditions));
    let [_, c, h, w] = out.dims();
    let conditional = out.clone().slice([0..n, 0..c, 0..h, 0..w]);
    let null = out.slice([n..2 * n, 0..c, 0..h, 0..w]);
    conditional * (1.0 + guidance) - null * guidance
}

/// A part of pictures to be made: where they start, [n, c, h, w], and their conditions.
#[derive(Debug, Clone)]
pub struct Given<C> {
    pub z: Tensor<4>,
    pub conditions: C,
}

/// Standard normal noise of wanted pictures, [n, c, h, w], each by its own index.
pub fn noise<C>(
    wanted: &[Wanted<C>],
    seed: u64,
    purpose: &str,
    [c, h, w]: [usize; 3],
    device: &Device,
) -> Tensor<4> {
    let of = |w: &Wanted<C>| seeded(seed, &format!("{purpose} {}", w.noise));
    let values = wanted.iter().flat_map(|wanted| normals(&mut of(wanted), c * h * w));
    tensor4(values.collect(), [wanted.len(), c, h, w], device)
}

/// Takes the noise off, part by part. `nothing` makes the null conditions of so many pictures; `fresh` is
/// the noise of a part and a step where `eta` asks for it.
///
/// # Errors
/// Cancelled, or the device failed.
pub async fn denoise<N: Denoiser>(
    (net, weights): (&N, &Weights),
    given: Vec<Given<N::Conditions>>,
    nothing: &dyn Fn(usize) -> N::Conditions,
    config: &SchedulerConfig,
    options: &SampleOptions,
    fresh: &(dyn Fn(usize, usize) -> Tensor<4> + Sync),
    job: &mut JobContext,
) -> Result<Vec<Tensor<4>>> {
    let device = weights.device();
    let n: usize = given.iter().map(|part| part.z.dims()[0]).sum();
    // Each part has its own solver, because a solver remembers latents.
    let mut parts: Vec<_> = given
        .into_iter()
        .enumerate()
        .map(|(i, Given { z, conditions })| {
            let conditions = [conditions, nothing(z.dims()[0])];
            (i, Solver::new(config, options.steps), z, conditions)
        })
        .collect();
    let calls = parts.first().map_or(0, |(_, solver, ..)| solver.times.len());
    let mut pace = Pace::start();
    for i in 0..calls {
        job.advance(n).await?;
        let one = |(part, mut solver, z, conditions): (usize, Solver, Tensor<4>, [_; 2])| {
            let pass = Pass::new(weights, Mode::Eval);
            let times = vec![solver.times[i]; z.dims()[0]];
            let input = solver.input(i, z.clone());
            let out = predict(net, &pass, input, &times, conditions.clone(), options.guidance);
            let z = solver.step(i, out, z, options.eta, || fresh(part, i));
            (part, solver, z, conditions)
        };
        parts = spread(&device, parts, one);
        if let Some((_, _, z, _)) = parts.first() {
            pace.step(z).await?;
        }
    }
    Ok(parts.into_iter().map(|(_, _, z, _)| z).collect())
}

/// Samples a batch of classes. Values in [0, 1], clamped, [n, c, h, w] flat. No per-image stretching.
///
/// # Errors
/// Cancelled, or the device failed.
pub async fn sample(
    unet: &Unet,
    weights: &Weights,
    wanted: &[WantedClass],
    options: &SampleOptions,
    job: &mut JobContext,
) -> Result<Vec<f32>> {
    let device = weights.device();
    let config = SchedulerConfig::ddpm(options.clip);
    let times = Solver::new(&config, options.steps).times;
    let noise = |purpose: &str| noise(wanted, options.seed, purpose, unet.picture_shape(), &device);
    let conditions = wanted.iter().map(|w| w.condition).collect();
    let given = vec![Given { z: noise("x_T"), conditions }];
    let fresh = |_, step: usize| noise(&format!("z {}", times[step]));
    let nothing = |n| vec![None; n];
    let drawn = denoise((unet, weights), given, &nothing, &config, options, &fresh, job).await?;
    values(drawn).await
}

/// Pictures in [-1, 1] as values in [0, 1], clamped, flat.
///
/// # Errors
/// The device failed.
pub async fn values(pictures: Vec<Tensor<4>>) -> Result<Vec<f32>> {
    let mut values = Vec::new();
    for picture in pictures {
        let all = read(picture).await?;
        values.extend(all.into_iter().map(|v| ((v + 1.0) / 2.0).clamp(0.0, 1.0)));
    }
    Ok(values)
}
