//! The first stage: pictures through the bottleneck and back. And the last: the way back alone.

use std::sync::Arc;

use burn::tensor::{Device, Tensor};
use rand::RngExt;

use super::Setting;
use crate::data::corpus::{Corpus, Pair, Placement};
use crate::data::{Rng, normals, rng};
use crate::error::Result;
use crate::gpu::{flex, tensor4};
use crate::models::latent::{LatentModel, LatentNetwork};
use crate::models::weights::read;
use crate::models::{Mode, Pass};
use crate::train::{Descent, Learner, Objective, clip_norm, shards};

/// Weight of the latents' Kullback-Leibler divergence, a mean over their values.
const KL: f64 = 1e-3;
/// Pictures of a part on the CPU: few, because their activations are large.
const SHARD: usize = 4;

/// Of the autoencoder: mean absolute error and, while the encoder learns, a little divergence.
pub struct OfPictures {
    pub network: Arc<LatentNetwork>,
    pub setting: Setting,
    pub batch: usize,
    /// Latents keep their meaning: the encoder does not change.
    pub decoder_alone: bool,
}

/// Pictures [n, 3, s, s] in [-1, 1] and the noise of their latents.
type Part = (Tensor<4>, Tensor<4>);

impl Objective for OfPictures {
    fn gradients(&mut self, learners: &mut [Learner], step: usize) -> Result<Descent> {
        let (batch, weights) = (self.batch, &learners[0].weights);
        let Setting { corpus, plan, device } = &self.setting;
        let stage = if self.decoder_alone { "decoder" } else { "autoencoder" };
        let mut rng = rng::seeded(plan.seed, &format!("{stage} step {step}"));
        let [z, h, w] = self.network.latent_shape();
        // Held-out pairs are for the generator; the autoencoder may see every picture.
        let all: Vec<_> = corpus.all().filter(|p| p.concept < plan.concepts).collect();
        let [_, side, _] = self.network.picture_shape();
        let x = drawn(corpus, &all, (batch, side), &mut rng, device)?;
        let noise = tensor4(normals(&mut rng, batch * z * h * w), [batch, z, h, w], device);
        let most = if flex::is_cpu(device) { SHARD } else { batch };
        let size = shards::size(weights, batch).min(most);
        let parts: Vec<Part> = x.split(size, 0).into_iter().zip(noise.split(size, 0)).collect();
        let vae = &self.network.vae;
        let loss = |pass: &Pass, (x, noise): Part| {
            let share = x.dims()[0] as f64 / batch as f64;
            if self.decoder_alone {
                let fixed = Pass::new(weights, Mode::Eval);
                let [mean, logvar] = vae.encode(&fixed, x.clone());
                let latent = mean + (logvar * 0.5).exp() * noise;
                return (vae.decode(pass, latent) - x).abs().mean() * share;
            }
            let [mean, logvar] = vae.encode(pass, x.clone());
            let latent = mean.clone() + (logvar.clone() * 0.5).exp() * noise;
            let error = (vae.decode(pass, latent) - x).abs().mean();
            let divergence = (mean.square() + logvar.clone().exp() - logvar - 1.0).mean() * 0.5;
            (error + divergence * KL) * share
        };
        let (loss, gradients) = shards::gradients(weights, Mode::TRAIN, (parts, size), loss);
        Ok((loss, vec![clip_norm(gradients, 1.0)]))
    }
}

/// So many of these pictures at random and as they may be placed, [n, 3, s, s] in [-1, 1].
///
/// # Errors
/// One cannot be read any more.
fn drawn(
    corpus: &Corpus,
    of: &[Pair],
    (n, side): (usize, usize),
    rng: &mut Rng,
    device: &Device,
) -> Result<Tensor<4>> {
    let mut pixels = Vec::with_capacity(n * 3 * side * side);
    for _ in 0..n {
        let pair = of[rng.random_range(0..of.len())];
        let at = Placement::random(side, rng);
        pixels.extend(corpus.picture(pair, at, side)?.iter().map(|v| 2.0 * v - 1.0));
    }
    Ok(tensor4(pixels, [n, 3, side, side], device))
}

/// What latents are multiplied by so that their standard deviation is 1.
///
/// # Errors
/// A picture cannot be read any more, or the device failed.
pub async fn scaling(model: &LatentModel, setting: &Setting) -> Result<f64> {
    let Setting { corpus, device, .. } = setting;
    let weights = model.vae.upload(device);
    let all: Vec<_> = corpus.all().collect();
    let [_, side, _] = model.network.picture_shape();
    let mut rng = rng::seeded(1, "latent scale");
    let (mut sum, mut squares, mut n) = (0.0, 0.0, 0.0);
    for _ in 0..16 {
        let x = drawn(corpus, &all, (8, side), &mut rng, device)?;
        let [mean, _] = model.network.vae.encode(&Pass::new(&weights, Mode::Eval), x);
        for v in read(mean).await? {
            sum += v as f64;
            squares += (v * v) as f64;
            n += 1.0;
        }
    }
    let mean: f64 = sum / n;
    Ok(1.0 / (squares / n - mean * mean).max(1e-12).sqrt())
}
