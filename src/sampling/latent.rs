//! From a prompt to pictures: guided sampling in latents.

use std::sync::Arc;

use burn::tensor::{Device, Int, Tensor, TensorData};

use super::sampler::{Denoising, Fresh, values};
use super::{Given, Wanted, noise};
use crate::data::corpus::{Corpus, Pair, Placement};
use crate::diffusion::{SchedulerConfig, Solver, SolverKind};
use crate::error::{Error, Result};
use crate::gpu::{Pace, flex, spread, tensor4};
use crate::job_context::JobContext;
use crate::models::latent::{LatentModel, LatentNetwork, LatentUnet};
use crate::models::weights::read;
use crate::models::{Mode, Pass, Weights};
use crate::platform;
use crate::words::{SampleOptions, gib};

/// The weights of a text-to-image model on a device, beside its networks.
#[derive(Debug, Clone)]
pub struct LatentWeights {
    pub network: Arc<LatentNetwork>,
    pub text: Weights,
    pub unet: Weights,
    pub vae: Weights,
}

impl LatentWeights {
    /// Copies a model's weights to a device.
    pub fn upload(model: &LatentModel, device: &Device) -> Self {
        Self {
            network: model.network.clone(),
            text: model.text.upload(device),
            unet: model.unet.upload(device),
            vae: model.vae.upload(device),
        }
    }
}

impl LatentWeights {
    /// The same weights for square pictures of another side, in pixels.
    ///
    /// # Errors
    /// As [`LatentNetwork::sized`].
    pub fn sized(&self, side: usize) -> Result<Self> {
        Ok(Self { network: Arc::new(self.network.sized(side)?), ..self.clone() })
    }

    /// The same for a first look at half the side, where pictures are so large that a person would wait for them.
    pub fn rough(&self) -> Option<Self> {
        let [_, side, _] = self.network.picture_shape();
        (self.network.drawing() >= LARGE).then(|| self.sized(side / 2).ok()).flatten()
    }
}

/// A picture of a prompt.
pub type WantedPrompt = Wanted<String>;

/// A part of pictures, and the vectors of their prompts, [n, tokens, d].
pub type GivenPrompts = Given<Tensor<3>>;

/// Pictures of a part on the CPU: those that are drawn, whose guided pairs fill the widest vectors, and those that are
/// encoded.
const SHARD: usize = 8;
const ENCODED: usize = 4;
/// Bytes that a picture takes while it is drawn from which on a rough one is shown first.
const LARGE: u64 = 512 << 20;
/// Bytes that several pictures may take on a GPU, which does not tell what it has: those of a small one.
const GPU_ROOM: u64 = 3 << 30;

/// How many pictures can be drawn together, where that is known.
///
/// # Errors
/// Not one, with what it needs, what there is, and what would fit.
fn fitting(network: &LatentNetwork, device: &Device, free: Option<u64>) -> Result<Option<usize>> {
    let each = network.drawing().max(1);
    if !flex::is_cpu(device) {
        return Ok(Some((GPU_ROOM / each).max(1) as usize));
    }
    let Some(room) = free else { return Ok(None) };
    let fits = room / each;
    if fits > 0 {
        return Ok(Some(fits as usize));
    }
    let [_, side, _] = network.picture_shape();
    // What a picture takes grows with its area.
    let levels = network.unet.config.block_out_channels.len();
    let step = network.vae.config.factor() << (levels - 1);
    let smaller = (side as f64 * (room as f64 / each as f64).sqrt()) as usize / step * step;
    let right = match smaller {
        0 => "use a smaller model".to_string(),
        n => format!("a model of {n} x {n} would fit"),
    };
    Err(Error::Request(format!(
        "a picture of {side} x {side} takes about {:.1} GiB of memory while it is drawn, {:.1} GiB are \
         free; {right}",
        gib(each),
        gib(room)
    )))
}

impl LatentWeights {
    /// Samples pictures, as many at once as there is memory for, with a solver, the model's own unless said. Values
    /// in [0, 1], clamped, [n, c, h, w] flat.
    ///
    /// # Errors
    /// Cancelled, the device failed, or there is too little memory for one.
    pub async fn sample(
        &self,
        wanted: &[WantedPrompt],
        options: &SampleOptions,
        solver: Option<SolverKind>,
        job: &mut JobContext,
    ) -> Result<Vec<f32>> {
        let mut values = Vec::new();
        for together in self.fitting(wanted)? {
            let latents = self.latents(together, options, solver, job).await?;
            values.extend(self.decoded(latents).await?);
        }
        Ok(values)
    }

    /// As many pictures at once as there is memory for.
    ///
    /// # Errors
    /// There is too little for one.
    pub fn fitting<'a>(
        &self,
        wanted: &'a [WantedPrompt],
    ) -> Result<impl Iterator<Item = &'a [WantedPrompt]> + use<'a>> {
        let fits = fitting(&self.network, &self.unet.device(), platform::free_memory())?;
        Ok(wanted.chunks(fits.unwrap_or(wanted.len()).max(1)))
    }

    /// Samples latents: parts of [n, c, h, w], in order.
    ///
    /// # Errors
    /// Cancelled, or the device failed.
    pub async fn latents(
        &self,
        wanted: &[WantedPrompt],
        options: &SampleOptions,
        solver: Option<SolverKind>,
        job: &mut JobContext,
    ) -> Result<Vec<Tensor<4>>> {
        self.prompts(wanted, options, solver).run(job).await
    }

    /// Pictures of prompts before the first call.
    pub fn prompts<'a>(
        &'a self,
        wanted: &'a [WantedPrompt],
        options: &SampleOptions,
        solver: Option<SolverKind>,
    ) -> Denoising<'a, LatentUnet> {
        let Self { network, text, unet, .. } = self;
        let config = network.scheduler.or_with(solver);
        let (device, seed) = (unet.device(), options.seed);
        let parts: Vec<_> = wanted.chunks(self.part_size(wanted.len())).collect();
        let given = parts.iter().map(|part| {
            let ids = part.iter().map(|w| network.tokenizer.encode(&w.condition).ids);
            contexts(network, text, &ids.collect::<Vec<_>>())
        });
        let given: Vec<_> = given.collect();
        let noise = move |part: usize, purpose: &str| {
            noise(parts[part], seed, purpose, network.latent_shape(), &device)
        };
        let start = Solver::new(&config, options.steps).start();
        let given = given.into_iter().enumerate();
        let given =
            given.map(|(i, conditions)| Given { z: noise(i, "z_T") * start, conditions }).collect();
        let fresh = Box::new(move |part: usize, step: usize| noise(part, &format!("z {step}")));
        self.denoising(given, &config, options, fresh)
    }

    /// How many pictures are worked on together: a few for each core of a CPU, all elsewhere.
    pub fn part_size(&self, n: usize) -> usize {
        if flex::is_cpu(&self.unet.device()) { SHARD.min(n).max(1) } else { n.max(1) }
    }

    /// Latents from given noise and vectors before the first call.
    pub fn denoising<'a>(
        &'a self,
        given: Vec<GivenPrompts>,
        config: &SchedulerConfig,
        options: &SampleOptions,
        fresh: Fresh<'a>,
    ) -> Denoising<'a, LatentUnet> {
        let Self { network, text, unet, .. } = self;
        let nothing = contexts(network, text, &[network.tokenizer.encode("").ids]);
        let nothing = |n| nothing.clone().repeat_dim(0, n);
        Denoising::new((&network.unet, unet), given, &nothing, config, options, fresh)
    }

    /// Walks latents of pictures back to noise under a prompt's vectors: DDIM's steps in reverse (Song
    /// et al. 2021, section 4.3), each solved by fixed-point iteration. Sampling by DDIM from there with
    /// the same vectors, without guidance, makes the pictures again, as far as the steps are small.
    ///
    /// # Errors
    /// Cancelled, or the device failed.
    pub async fn invert(
        &self,
        given: Vec<GivenPrompts>,
        steps: usize,
        job: &mut JobContext,
    ) -> Result<Vec<GivenPrompts>> {
        /// Evaluations of the network in a step.
        const ITERATIONS: usize = 3;
        let config = self.network.scheduler.with(SolverKind::Ddim);
        let solver = Solver::new(&config, steps);
        let device = self.unet.device();
        let n: usize = given.iter().map(|part| part.z.dims()[0]).sum();
        let mut parts = given;
        let mut pace = Pace::start();
        for i in (0..solver.times.len()).rev() {
            job.advance(n).await?;
            let one = |Given { z, conditions }: GivenPrompts| {
                let pass = Pass::new(&self.unet, Mode::Eval);
                let times = vec![solver.times[i]; z.dims()[0]];
                let mut back = z.clone();
                for _ in 0..ITERATIONS {
                    let out = self.network.unet.forward(&pass, back.clone(), &times, &conditions);
                    back = solver.back(i, out, back, z.clone());
                }
                Given { z: back, conditions }
            };
            parts = spread(&device, parts, one);
            if let Some(part) = parts.first() {
                pace.step(&part.z).await?;
            }
        }
        Ok(parts)
    }

    /// The pictures of latents. Values in [0, 1], clamped, [n, c, h, w] flat.
    ///
    /// # Errors
    /// The device failed.
    pub async fn decoded(&self, latents: Vec<Tensor<4>>) -> Result<Vec<f32>> {
        let vae = &self.network.vae;
        let decode = |z: Tensor<4>| {
            vae.decode(&Pass::new(&self.vae, Mode::Eval), z / vae.config.scaling_factor)
        };
        values(spread(&self.vae.device(), latents, decode)).await
    }
}

/// The text encoder's vectors of captions, [n, tokens, width], each encoded once; `text` are its weights.
pub fn contexts(network: &LatentNetwork, text: &Weights, ids: &[Vec<u32>]) -> Tensor<3> {
    let mut once: Vec<Vec<u32>> = Vec::new();
    let mut place = |ids: &Vec<u32>| {
        let known = once.iter().position(|other| other == ids);
        known.unwrap_or_else(|| {
            once.push(ids.clone());
            once.len() - 1
        }) as i32
    };
    let places: Vec<i32> = ids.iter().map(&mut place).collect();
    let vectors = network.text.forward(&Pass::new(text, Mode::Eval), &once);
    if once.len() == ids.len() {
        return vectors;
    }
    let places = TensorData::new(places, [ids.len()]);
    vectors.select(0, Tensor::<1, Int>::from_data(places, &text.device()))
}

/// The scaled latents of `n` pictures with values in [0, 1]; `vae` are the autoencoder's weights. [n, c, h, w].
pub fn encode(
    network: &LatentNetwork,
    vae: &Weights,
    unit: impl Iterator<Item = f32>,
    n: usize,
) -> Tensor<4> {
    let [c, h, w] = network.picture_shape();
    let x = unit.map(|v| 2.0 * v - 1.0).collect();
    let x = tensor4(x, [n, c, h, w], &vae.device());
    let [mean, _] = network.vae.encode(&Pass::new(vae, Mode::Eval), x);
    mean * network.vae.config.scaling_factor
}

/// The latents of pictures of the corpus as they are placed, as [`encode`], flat.
///
/// # Errors
/// A picture cannot be read, cancelled, or the device failed.
pub async fn encoded(
    network: &LatentNetwork,
    vae: &Weights,
    corpus: &Corpus,
    placed: &[(Pair, Placement)],
    job: &mut JobContext,
) -> Result<Vec<f32>> {
    let [_, side, _] = network.picture_shape();
    let one = |part: &[(Pair, Placement)]| {
        let read = |(pair, at): &(Pair, Placement)| corpus.picture(*pair, *at, side);
        let pictures = part.iter().map(read).collect::<Result<Vec<_>>>()?;
        Ok(encode(network, vae, pictures.into_iter().flatten(), part.len()))
    };
    let mut values = Vec::new();
    for batch in placed.chunks(8 * ENCODED) {
        job.advance(batch.len()).await?;
        let size = if flex::is_cpu(&vae.device()) { ENCODED } else { batch.len() };
        for z in spread(&vae.device(), batch.chunks(size).collect(), one) {
            values.extend(read(z?).await?);
        }
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_pictures_are_drawn_at_once_as_there_is_memory_for() {
        let network = crate::models::open_latent("emoji-t2i").unwrap().network;
        let (each, cpu) = (network.drawing(), Device::flex());
        let fits = |free| fitting(&network, &cpu, free).unwrap();
        assert_eq!(
            [fits(None), fits(Some(each)), fits(Some(10 * each + 1))],
            [None, Some(1), Some(10)]
        );
        let error = fitting(&network, &cpu, Some(each / 3)).unwrap_err().to_string();
        let [_, side, _] = network.picture_shape();
        assert!(error.starts_with(&format!("a picture of {side} x {side} takes about")), "{error}");
        assert!(error.contains("would fit"), "{error}");
    }
}
