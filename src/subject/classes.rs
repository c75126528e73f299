//! A class-conditional diffusion model, which denoises pixels.

use std::sync::Arc;

use burn::tensor::{Device, Tensor};
use rand::RngExt;

use super::{Diffuser, Noisy, ScoreSettings, Settings, Under};
use crate::data::{Dataset, Rng};
use crate::diffusion::Schedule;
use crate::models::{Pass, Unet};
use crate::sampling::predict;
use crate::train::losses::Augment;
use crate::train::{CONDITION_DROP, Noised, NoisedClasses, drop_condition, noised};

/// What a diffusion model is to make instead of the forgotten class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sent {
    /// A class; `None` is the null condition.
    To(Option<usize>),
    /// One of these for each picture, at random.
    ToAny(Vec<usize>),
    ToNoise,
}

impl Sent {
    /// A batch of the forget set that is sent there.
    pub fn apply(&self, batch: NoisedClasses, schedule: &Schedule, rng: &mut Rng) -> NoisedClasses {
        let mut sent = |of: &dyn Fn(&mut Rng) -> Option<usize>| {
            batch.t.iter().map(|_| of(rng)).collect::<Vec<_>>()
        };
        match self {
            Self::To(class) => Noised { sent: sent(&|_| *class), ..batch },
            Self::ToAny(classes) => {
                let any = |rng: &mut Rng| Some(classes[rng.random_range(0..classes.len())]);
                Noised { sent: sent(&any), ..batch }
            }
            Self::ToNoise => batch.of_noise(schedule, rng),
        }
    }
}

/// The model and the training pictures; items are their indices.
pub struct Classes {
    pub unet: Unet,
    pub data: Arc<Dataset>,
    pub sent: Sent,
    /// Pictures are varied as they were when the model was trained.
    pub augment: Augment,
    pub schedule: Schedule,
    pub device: Device,
}

/// Items in one pass: a cancel is heard after each.
const PART: usize = 32;

impl Diffuser for Classes {
    fn learnt(&self, items: &[usize], forgotten: bool, rng: &mut Rng) -> Box<dyn Noisy + '_> {
        let Self { data, augment, schedule, device, .. } = self;
        let mut batch = noised(&data.train, items, *augment, schedule, rng, device);
        if forgotten {
            batch = self.sent.apply(batch, schedule, rng);
        } else {
            drop_condition(&mut batch.own, CONDITION_DROP, rng);
        }
        let to_noise = forgotten && self.sent == Sent::ToNoise;
        Box::new(Batch { unet: &self.unet, batch, to_noise })
    }

    fn plain(&self, items: &[usize], rng: &mut Rng) -> Box<dyn Noisy + '_> {
        let batch =
            noised(&self.data.train, items, Augment::None, &self.schedule, rng, &self.device);
        Box::new(Batch { unet: &self.unet, batch, to_noise: false })
    }

    /// Scored with guidance, summed over a picture and clipped; clipped before the mask when it is updated, both as
    /// the official code does (docs/methods.md#scores, docs/methods.md#diffusion-models).
    fn settings(&self) -> Settings {
        let config = &self.unet.config;
        let times = (config.channels * config.resolution.pow(2)) as f32;
        let (plain, clip) = (Settings::PLAIN, Some(1.0));
        let scoring = ScoreSettings { guidance: 2.0, times, clip, ..plain.scoring };
        let augment = Some(self.augment);
        let most = self.unet.activations().together();
        Settings { scoring, augment, part: PART, most, together: true, clip, ..plain }
    }
}

struct Batch<'a> {
    unet: &'a Unet,
    batch: NoisedClasses,
    to_noise: bool,
}

impl Noisy for Batch<'_> {
    fn n(&self) -> usize {
        self.batch.t.len()
    }

    fn target(&self) -> Tensor<4> {
        self.batch.target.clone()
    }

    fn predict(&self, pass: &Pass, under: Under) -> Tensor<4> {
        let Noised { x, t, own, sent, .. } = &self.batch;
        match under {
            Under::Own => self.unet.forward(pass, x.clone(), t, own),
            Under::Sent => self.unet.forward(pass, x.clone(), t, sent),
            Under::Nothing => self.unet.forward(pass, x.clone(), t, &vec![None; t.len()]),
        }
    }

    fn guided(&self, pass: &Pass, w: f32) -> Tensor<4> {
        let Noised { x, t, own, .. } = &self.batch;
        let conditions = [own.clone(), vec![None; t.len()]];
        predict(self.unet, pass, x.clone(), t, conditions, w)
    }

    fn to_noise(&self) -> bool {
        self.to_noise
    }

    fn split<'a>(self: Box<Self>, size: usize) -> Vec<Box<dyn Noisy + 'a>>
    where
        Self: 'a,
    {
        let Self { unet, batch, to_noise } = *self;
        let part = |batch| Box::new(Batch { unet, batch, to_noise }) as Box<dyn Noisy>;
        batch.split(size).into_iter().map(part).collect()
    }
}
