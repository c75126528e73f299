//! A text-to-image model, which denoises latents under captions; only its U-Net learns.

use std::sync::{Arc, OnceLock};

use burn::tensor::Tensor;

use super::items::Noised;
use super::{Diffuser, Items, Noising, Noisy, ScoreSettings, Settings, Under};
use crate::data::Rng;
use crate::data::corpus::Redirect;
use crate::models::{Pass, Weights};
use crate::sampling::{contexts, predict};

/// The model and latents; items are those of the forget set, then those of the retain set.
pub struct Prompts {
    pub noising: Noising,
    /// The frozen text encoder's weights.
    pub text: Weights,
    pub sets: Arc<[Items; 2]>,
}

impl Prompts {
    /// These items with noise in them, and their captions; where they go `to_noise`, noise alone.
    pub fn noised(&self, items: &[usize], to_noise: bool, rng: &mut Rng) -> Noised {
        let [forget, retain] = &*self.sets;
        let of = |&i: &usize| match i.checked_sub(forget.len()) {
            None => forget.at(i),
            Some(i) => retain.at(i),
        };
        let items: Vec<_> = items.iter().map(of).collect();
        self.noising.noised(&items, to_noise, rng)
    }

    /// The text encoder's vectors of captions, [n, tokens, width].
    pub fn contexts(&self, ids: &[Vec<u32>]) -> Tensor<3> {
        contexts(&self.noising.network, &self.text, ids)
    }

    /// The same of `n` empty captions.
    fn nothing(&self, n: usize) -> Tensor<3> {
        self.contexts(&vec![self.noising.network.tokenizer.encode("").ids; n])
    }
}

impl Diffuser for Prompts {
    fn plain(&self, items: &[usize], rng: &mut Rng) -> Box<dyn Noisy + '_> {
        Box::new(Batch::new(self, self.noised(items, false, rng), false))
    }

    fn learnt(&self, items: &[usize], forgotten: bool, rng: &mut Rng) -> Box<dyn Noisy + '_> {
        let to_noise = forgotten && self.noising.target.redirect == Redirect::Noise;
        Box::new(Batch::new(self, self.noised(items, to_noise, rng), to_noise))
    }

    /// Scored with guidance as Stable Diffusion is, as the official code does (docs/methods.md#scores).
    fn settings(&self) -> Settings {
        let stream = "prompt saliency";
        let plain = Settings::PLAIN;
        let scoring = ScoreSettings { stream, batch: 32, guidance: 7.5, ..plain.scoring };
        let most = self.noising.network.unet.activations().together();
        // Of a large model one gradient is all that there is room for.
        let together = most < usize::MAX;
        Settings { scoring, stream: "prompt step", most, together, ..plain }
    }

    fn prompts(&self) -> Option<&Prompts> {
        Some(self)
    }
}

struct Batch<'a> {
    of: &'a Prompts,
    batch: Noised,
    /// The vectors of its captions, once they were asked for.
    own: OnceLock<Tensor<3>>,
    to_noise: bool,
}

impl<'a> Batch<'a> {
    fn new(of: &'a Prompts, batch: Noised, to_noise: bool) -> Self {
        Self { of, batch, own: OnceLock::new(), to_noise }
    }

    fn own(&self) -> Tensor<3> {
        self.own.get_or_init(|| self.of.contexts(&self.batch.own)).clone()
    }
}

impl Noisy for Batch<'_> {
    fn n(&self) -> usize {
        self.batch.t.len()
    }

    fn target(&self) -> Tensor<4> {
        self.batch.target.clone()
    }

    fn predict(&self, pass: &Pass, under: Under) -> Tensor<4> {
        let Noised { x, t, sent, .. } = &self.batch;
        let context = match under {
            Under::Own => self.own(),
            Under::Sent => self.of.contexts(sent),
            Under::Nothing => self.of.nothing(t.len()),
        };
        self.of.noising.network.unet.forward(pass, x.clone(), t, &context)
    }

    fn guided(&self, pass: &Pass, w: f32) -> Tensor<4> {
        let Noised { x, t, .. } = &self.batch;
        let contexts = [self.own(), self.of.nothing(t.len())];
        predict(&self.of.noising.network.unet, pass, x.clone(), t, contexts, w)
    }

    fn to_noise(&self) -> bool {
        self.to_noise
    }

    fn split<'a>(self: Box<Self>, size: usize) -> Vec<Box<dyn Noisy + 'a>>
    where
        Self: 'a,
    {
        let Self { of, batch, to_noise, .. } = *self;
        let part = |batch| Box::new(Batch::new(of, batch, to_noise)) as Box<dyn Noisy>;
        batch.split(size).into_iter().map(part).collect()
    }
}
