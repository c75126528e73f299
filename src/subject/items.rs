//! Latents with their captions: what a text-to-image model forgets and what it keeps.

use std::sync::Arc;

use burn::tensor::Device;
use rand::RngExt;

use crate::data::corpus::{Corpus, Pair, Placement, Target};
use crate::data::{Rng, normals, rng, shuffled};
use crate::diffusion::Schedule;
use crate::error::{Error, Result};
use crate::gpu::tensor4;
use crate::job_context::JobContext;
use crate::models::latent::LatentNetwork;
use crate::models::weights::read;
use crate::sampling::{LatentWeights, Wanted, WantedPrompt, encoded};
use crate::train::losses;
use crate::words::SampleOptions;

/// What one item shows.
#[derive(Debug, Clone)]
enum Shows {
    /// A picture of the corpus, and its background.
    Pair(Pair, Option<usize>),
    /// What the model itself makes of a prompt.
    Prompt(String),
}

/// Latents in main memory, scaled, and what each shows.
#[derive(Debug, Default)]
pub struct Items {
    shows: Vec<Shows>,
    values: Vec<f32>,
    each: usize,
}

impl Items {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.shows.len()
    }

    /// Bytes of main memory, most of them the latents'.
    pub fn bytes(&self) -> usize {
        size_of_val(&self.values[..])
    }

    /// An item: its latent and what it shows.
    pub fn at(&self, i: usize) -> Item<'_> {
        Item { latent: &self.values[i * self.each..][..self.each], shows: &self.shows[i] }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.shows.is_empty()
    }

    /// Up to `n` pictures of these pairs, shifted, scaled and on backgrounds as in training.
    ///
    /// # Errors
    /// Cancelled, or the device failed.
    pub async fn of_pairs(
        weights: &LatentWeights,
        corpus: &Corpus,
        pairs: &[Pair],
        n: usize,
        (seed, purpose): (u64, &str),
        job: &mut JobContext,
    ) -> Result<Self> {
        let mut rng = rng::seeded(seed, purpose);
        let [_, side, _] = weights.network.picture_shape();
        let order = shuffled(&mut rng, pairs.len());
        let wanted: Vec<(Pair, Placement)> = order
            .iter()
            .cycle()
            .take(if pairs.is_empty() { 0 } else { n })
            .map(|&i| (pairs[i], Placement::random(side, &mut rng)))
            .collect();
        let LatentWeights { network, vae, .. } = weights;
        let values = encoded(network, vae, corpus, &wanted, job).await?;
        let shows = wanted.into_iter().map(|(pair, at)| Shows::Pair(pair, at.background)).collect();
        Ok(Self { shows, values, each: network.latent_shape().iter().product() })
    }

    /// `n` latents that the model makes of prompts in turn: all there is where the corpus has no pictures
    /// of them (as the official code does for what it may not have pictures of). They are kept under a key that
    /// says all that they follow from.
    ///
    /// # Errors
    /// Cancelled, or the device failed.
    pub async fn of_prompts(
        weights: &LatentWeights,
        prompts: &[String],
        n: usize,
        options: &SampleOptions,
        key: &str,
        job: &mut JobContext,
    ) -> Result<Self> {
        let turn = prompts.iter().cycle().take(if prompts.is_empty() { 0 } else { n });
        let wanted: Vec<WantedPrompt> = turn
            .zip(1_000_000..)
            .map(|(prompt, noise)| Wanted { condition: prompt.clone(), noise })
            .collect();
        let each: usize = weights.network.latent_shape().iter().product();
        let shows = wanted.iter().map(|drawn| Shows::Prompt(drawn.condition.clone())).collect();
        let values = match kept::read(key, each * wanted.len()) {
            Some(values) => values,
            None => {
                let mut values = Vec::new();
                for z in weights.latents(&wanted, options, None, job).await? {
                    values.extend(read(z).await?);
                }
                // Without it they are drawn again the next time.
                if let Err(error) = kept::write(key, &values) {
                    job.note(format!("What was drawn is not kept: {error}"));
                }
                values
            }
        };
        Ok(Self { shows, values, each })
    }

    /// These and then others, of the same shape.
    pub fn and(mut self, others: Self) -> Self {
        self.shows.extend(others.shows);
        self.values.extend(others.values);
        self
    }
}

/// Latents that models drew, in the program's own folder; a page has none.
mod kept {
    use crate::error::Result;

    #[cfg(not(target_arch = "wasm32"))]
    pub fn read(key: &str, n: usize) -> Option<Vec<f32>> {
        use crate::disk::kept;
        let bytes = kept::read(kept::MADE, key, 4 * n)?;
        let values: Vec<f32> = bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
        values.iter().all(|v| v.is_finite()).then_some(values)
    }

    #[cfg(not(target_arch = "wasm32"))]
    pub fn write(key: &str, values: &[f32]) -> Result<()> {
        use crate::disk::kept;
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        kept::write(kept::MADE, key, &bytes)
    }

    #[cfg(target_arch = "wasm32")]
    pub fn read(_: &str, _: usize) -> Option<Vec<f32>> {
        None
    }

    #[cfg(target_arch = "wasm32")]
    pub fn write(_: &str, _: &[f32]) -> Result<()> {
        Ok(())
    }
}

/// One of [`Items`].
#[derive(Debug, Clone, Copy)]
pub struct Item<'a> {
    latent: &'a [f32],
    shows: &'a Shows,
}

/// A noised batch, and the tokens of its captions and of what they are sent to.
pub type Noised = losses::Noised<Vec<u32>>;

/// What noising needs to know.
#[derive(Clone)]
pub struct Noising {
    pub network: Arc<LatentNetwork>,
    pub corpus: Arc<Corpus>,
    pub target: Target,
    pub schedule: Schedule,
    pub device: Device,
}

impl Noising {
    /// z_t of the items `indices` at random times, each with a caption as a person might write it.
    pub fn batch(&self, items: &Items, indices: &[usize], rng: &mut Rng) -> Noised {
        let items: Vec<Item> = indices.iter().map(|i| items.at(*i)).collect();
        self.noised(&items, false, rng)
    }

    /// The same of items out of several sets; where they go `to_noise`, of noise under their captions.
    pub fn noised(&self, items: &[Item], to_noise: bool, rng: &mut Rng) -> Noised {
        let [c, h, w] = self.network.latent_shape();
        let (n, each) = (items.len(), c * h * w);
        let noise = normals(rng, n * each);
        let prediction = self.network.scheduler.prediction;
        let (mut x, mut target) = (Vec::with_capacity(n * each), Vec::with_capacity(n * each));
        let (mut t, mut own, mut sent) = (Vec::new(), Vec::new(), Vec::new());
        for (item, eps) in items.iter().zip(noise.chunks_exact(each)) {
            let step = rng.random_range(0..self.schedule.steps());
            let (signal, sigma) = self.schedule.mix(step);
            let instead = if to_noise { normals(rng, each) } else { Vec::new() };
            let x0 = if to_noise { &instead } else { item.latent };
            prediction.noised([signal, sigma], x0, eps, [&mut x, &mut target]);
            t.push(step as f32);
            let (caption, other) = match item.shows {
                Shows::Pair(pair, background) => {
                    let own = self.corpus.varied(*pair, *background, rng);
                    (own, self.target.sent_to(*pair, &self.corpus, rng))
                }
                Shows::Prompt(prompt) => {
                    let nowhere = Pair { concept: 0, style: 0 };
                    (prompt.clone(), self.target.sent_to(nowhere, &self.corpus, rng))
                }
            };
            let tokenizer = &self.network.tokenizer;
            own.push(tokenizer.encode(&caption).ids);
            sent.push(tokenizer.encode(&other).ids);
        }
        let shape = [n, c, h, w];
        let (x, target) = (tensor4(x, shape, &self.device), tensor4(target, shape, &self.device));
        Noised { x, target, t, own, sent }
    }

    /// The pairs of the corpus that a target names, out of the first `known` concepts, and the others.
    ///
    /// # Errors
    /// Nothing is left to keep.
    pub fn pairs(&self, known: usize) -> Result<[Vec<Pair>; 2]> {
        let all = self.corpus.pairs().into_iter().filter(|p| p.concept < known);
        let (forget, retain): (Vec<_>, Vec<_>) = all.partition(|p| self.target.covers(*p));
        if retain.is_empty() {
            let right = "it names everything that the model draws; nothing would be left to keep";
            return Err(Error::argument("forget set", &self.target.prompt, right));
        }
        Ok([forget, retain])
    }
}
