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

/// The noise of a part and a step, where `eta` asks for it.
pub type Fresh<'a> = Box<dyn Fn(usize, usize) -> Tensor<4> + Sync + 'a>;

/// Pictures on their way out of noise, part by part.
pub struct Denoising<'a, N: Denoiser> {
    net: &'a N,
    weights: &'a Weights,
    options: SampleOptions,
    fresh: Fresh<'a>,
    parts: Vec<Part<N::Conditions>>,
    pace: Pace,
}

/// A part on its way: its place, its own solver, because a solver remembers latents, where it is, and its conditions
/// and the null ones.
struct Part<C>(usize, Solver, Tensor<4>, [C; 2]);

/// What a part of pictures is at a call of the network.
pub struct Frame {
    /// What the network is shown, [n, c, h, w].
    pub noisy: Tensor<4>,
    /// x_0 as it predicts it.
    pub predicted: Tensor<4>,
    /// Of each cross-attention, where there are some, the share of each token at each place, mean over heads, under the
    /// pictures' own conditions: [n, tokens, h, w].
    pub attention: Vec<Tensor<4>>,
}

impl<'a, N: Denoiser> Denoising<'a, N> {
    /// Pictures before the first call. `nothing` makes the null conditions of so many pictures.
    pub fn new(
        (net, weights): (&'a N, &'a Weights),
        given: Vec<Given<N::Conditions>>,
        nothing: &dyn Fn(usize) -> N::Conditions,
        config: &SchedulerConfig,
        options: &SampleOptions,
        fresh: Fresh<'a>,
    ) -> Self {
        let part = |(i, Given { z, conditions }): (usize, Given<N::Conditions>)| {
            let conditions = [conditions, nothing(z.dims()[0])];
            Part(i, Solver::new(config, options.steps), z, conditions)
        };
        let parts = given.into_iter().enumerate().map(part).collect();
        Self { net, weights, options: *options, fresh, parts, pace: Pace::start() }
    }

    /// The solver of all parts, as it is.
    pub fn solver(&self) -> Option<&Solver> {
        self.parts.first().map(|Part(_, solver, ..)| solver)
    }

    /// Calls of the network.
    pub fn calls(&self) -> usize {
        self.solver().map_or(0, |solver| solver.times.len())
    }

    /// How many pictures there are.
    pub fn n(&self) -> usize {
        self.parts.iter().map(|Part(_, _, z, _)| z.dims()[0]).sum()
    }

    /// Makes a call of the network, and the step that follows from it; where somebody watches, tells what the parts
    /// were at the call.
    ///
    /// # Errors
    /// Cancelled, or the device failed.
    pub async fn call(
        &mut self,
        i: usize,
        watched: bool,
        job: &mut JobContext,
    ) -> Result<Vec<Frame>> {
        job.advance(self.n()).await?;
        let parts = std::mem::take(&mut self.parts);
        let Self { net, weights, options, fresh, .. } = &*self;
        let (device, guidance) = (weights.device(), options.guidance);
        let one = |Part(part, mut solver, z, conditions): Part<N::Conditions>| {
            let pass = Pass::new(weights, Mode::Eval);
            let pass = if watched { pass.watched() } else { pass };
            let n = z.dims()[0];
            let times = vec![solver.times[i]; n];
            let input = solver.input(i, z.clone());
            let out = predict(*net, &pass, input.clone(), &times, conditions.clone(), guidance);
            let frame = watched.then(|| Frame {
                predicted: solver.predicted(i, out.clone(), input.clone()),
                noisy: input,
                // Where there is guidance, the null conditions' follow.
                attention: pass.into_seen().into_iter().map(|s| s.narrow(0, 0, n)).collect(),
            });
            let z = solver.step(i, out, z, options.eta, || fresh(part, i));
            (Part(part, solver, z, conditions), frame)
        };
        let (parts, frames): (Vec<_>, Vec<_>) = spread(&device, parts, one).into_iter().unzip();
        self.parts = parts;
        if let Some(Part(_, _, z, _)) = self.parts.first() {
            self.pace.step(z).await?;
        }
        Ok(frames.into_iter().flatten().collect())
    }

    /// Makes all calls: the finished pictures, [n, c, h, w] a part.
    ///
    /// # Errors
    /// Cancelled, or the device failed.
    pub async fn run(mut self, job: &mut JobContext) -> Result<Vec<Tensor<4>>> {
        for i in 0..self.calls() {
            self.call(i, false, job).await?;
        }
        Ok(self.pictures())
    }

    /// The pictures as they are now.
    pub fn pictures(self) -> Vec<Tensor<4>> {
        self.parts.into_iter().map(|Part(_, _, z, _)| z).collect()
    }
}

/// Pictures of classes before the first call.
pub fn classes<'a>(
    unet: &'a Unet,
    weights: &'a Weights,
    wanted: &'a [WantedClass],
    options: &SampleOptions,
) -> Denoising<'a, Unet> {
    let (device, seed) = (weights.device(), options.seed);
    let config = SchedulerConfig::ddpm(options.clip);
    let times = Solver::new(&config, options.steps).times;
    let noise = move |purpose: &str| noise(wanted, seed, purpose, unet.picture_shape(), &device);
    let conditions = wanted.iter().map(|w| w.condition).collect();
    let given = vec![Given { z: noise("x_T"), conditions }];
    let fresh = Box::new(move |_, step: usize| noise(&format!("z {}", times[step])));
    let nothing = |n| vec![None; n];
    Denoising::new((unet, weights), given, &nothing, &config, options, fresh)
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
    values(classes(unet, weights, wanted, options).run(job).await?).await
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
