//! Who says what drawn pictures show: a classifier, in the classes of its own, or CLIP, in any words.

mod names;
mod resample;

pub use resample::fitted;

use std::{collections::HashMap, sync::Arc};

use burn::tensor::{Device, Tensor};

use super::Features;
use super::classify::{BATCH, percent, top};
use crate::data::{Pictures, plain};
use crate::error::{Error, Result};
use crate::gpu::tensor4;
use crate::job_context::JobContext;
use crate::models::clip::Clip;
use crate::models::weights::read;
use crate::models::{Classifier, HostWeights, Mode, Model, Network, Pass, Weights};

/// Pictures that are looked at together where they are enlarged.
const LARGE: usize = 16;

/// What a picture shows: which of the names, or none of them, and how surely.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Glance {
    pub name: Option<usize>,
    /// The probability of what it shows.
    pub p: f32,
}

/// A network that can be asked what pictures show, and its weights on a device; whatever names it is asked about.
pub struct Sight {
    name: String,
    network: Seer,
    weights: Weights,
    /// Channels of the pictures that it looks at.
    pub channels: usize,
    /// Height and width of those, where it looks at one size alone.
    size: Option<[usize; 2]>,
}

enum Seer {
    /// With the names of its classes.
    Classifier(Arc<Network>, Vec<String>),
    Clip(Box<Clip>),
}

impl Sight {
    /// A classifier's. One of ImageNet's looks at pictures of 224 pixels, any other at those of the data that
    /// it was trained on, where its card says which those are.
    ///
    /// # Errors
    /// The model is no classifier.
    pub fn of_classifier(name: &str, model: &Model, device: &Device) -> Result<Self> {
        let needed = || Error::argument("judge", name, "a classifier is needed");
        model.classifier().ok_or_else(needed)?;
        let architecture = &model.card.architecture;
        let own = || crate::data::shape(&model.card.data).map(|s| [s.height, s.width]);
        Ok(Self {
            name: name.into(),
            network: Seer::Classifier(model.network.clone(), model.card.classes.clone()),
            weights: model.weights.upload(device),
            channels: architecture.channels_and_classes()[0],
            size: architecture.side().map(|side| [side; 2]).or_else(own),
        })
    }

    /// CLIP's.
    pub fn of_clip(name: &str, clip: Clip, weights: &HostWeights, device: &Device) -> Self {
        let side = clip.config.vision.image_size;
        Self {
            name: name.into(),
            weights: weights.upload(device),
            network: Seer::Clip(Box::new(clip)),
            channels: 3,
            size: Some([side; 2]),
        }
    }

    /// What it can tell apart, where that is not any words.
    pub fn classes(&self) -> Option<&[String]> {
        match &self.network {
            Seer::Classifier(_, classes) => Some(classes),
            Seer::Clip(_) => None,
        }
    }

    fn pass(&self) -> Pass<'_> {
        Pass::new(&self.weights, Mode::Eval)
    }

    /// Pictures as it looks at them: [n, c, h, w] in [0, 1], and how many go together.
    fn batches<'a>(
        &'a self,
        values: &'a [f32],
        shape: [usize; 3],
    ) -> impl Iterator<Item = Tensor<4>> + 'a {
        let [c, h, w] = shape;
        let to = self.size.unwrap_or([h, w]);
        let as_is = to == [h, w] && c == self.channels;
        let each = if as_is { BATCH } else { LARGE };
        values.chunks(each * c * h * w).map(move |batch| {
            let n = batch.len() / (c * h * w);
            let values = match as_is {
                true => batch.to_vec(),
                false => fitted(batch, shape, self.channels, to),
            };
            tensor4(values, [n, self.channels, to[0], to[1]], &self.weights.device())
        })
    }
}

/// Who says what drawn pictures show, in the names it was asked about.
pub struct Judge {
    sight: Arc<Sight>,
    asked: Asked,
    /// The first of the names that it cannot tell from each; nothing for one that it does not know.
    same: Vec<Option<usize>>,
}

enum Asked {
    /// The first name of each class of its own.
    Classes(Vec<Option<usize>>),
    /// The names that differ, and what each is as a vector.
    Words(Vec<usize>, Box<Tensor<2>>),
}

impl Judge {
    /// A network that is asked about names. Those of a classifier's classes are matched
    /// ([`Judge::same`] says which are none of them); CLIP is asked for a photo of each.
    pub fn new(sight: Arc<Sight>, of: &[String]) -> Self {
        let (places, asked) = match &sight.network {
            Seer::Classifier(_, classes) => {
                let places: Vec<_> = of.iter().map(|name| names::class(classes, name)).collect();
                let name = |class| places.iter().position(|place| *place == Some(class));
                let asked = Asked::Classes((0..classes.len()).map(name).collect());
                (places, asked)
            }
            Seer::Clip(clip) => {
                let mut known = HashMap::new();
                let alike =
                    |(i, name): (usize, &String)| Some(*known.entry(plain(name)).or_insert(i));
                let places: Vec<_> = of.iter().enumerate().map(alike).collect();
                let differ: Vec<usize> = (0..of.len()).filter(|i| places[*i] == Some(*i)).collect();
                let texts: Vec<String> = differ.iter().map(|i| names::prompt(&of[*i])).collect();
                let words = clip.words(&sight.pass(), &texts);
                (places, Asked::Words(differ, Box::new(words)))
            }
        };
        let mut first = HashMap::new();
        let same = |(i, place): (usize, &Option<usize>)| Some(*first.entry((*place)?).or_insert(i));
        let same = places.iter().enumerate().map(same).collect();
        Self { sight, asked, same }
    }

    /// What a person calls it.
    pub fn name(&self) -> &str {
        &self.sight.name
    }

    /// The first of the names that it cannot tell from the i-th; nothing where it does not know that.
    pub fn same(&self, i: usize) -> Option<usize> {
        self.same.get(i).copied().flatten()
    }

    /// What each picture shows. `values`: n · channels · height · width in [0, 1], channels first, of any size;
    /// they are fitted to what it looks at.
    ///
    /// # Errors
    /// The device failed.
    pub async fn look(&self, values: &[f32], shape: [usize; 3]) -> Result<Vec<Glance>> {
        let mut all = Vec::new();
        for x in self.sight.batches(values, shape) {
            let pass = self.sight.pass();
            match (&self.sight.network, &self.asked) {
                (Seer::Classifier(network, _), Asked::Classes(first)) => {
                    let net = classifier(network);
                    let logits = read(net.forward(&pass, x)).await?;
                    all.extend(logits.chunks_exact(net.classes()).map(|row| {
                        let (class, p) = top(row);
                        Glance { name: first[class], p }
                    }));
                }
                (Seer::Clip(clip), Asked::Words(differ, words)) => {
                    let shares = clip.shares(&pass, clip.pictures(&pass, x), Tensor::clone(words));
                    let shares = read(shares).await?;
                    all.extend(shares.chunks_exact(differ.len()).map(|row| {
                        let (best, _) = top(row);
                        Glance { name: Some(differ[best]), p: row[best] }
                    }));
                }
                _ => unreachable!("what is asked follows from the network"),
            }
        }
        Ok(all)
    }

    /// Penultimate features of pictures, as [`Judge::look`] takes them: for the Frechet distance.
    ///
    /// # Errors
    /// The device failed.
    pub async fn features(&self, values: &[f32], shape: [usize; 3]) -> Result<Features> {
        let mut features = Features::default();
        for x in self.sight.batches(values, shape) {
            let pass = self.sight.pass();
            let rows = match &self.sight.network {
                Seer::Classifier(network, _) => classifier(network).features(&pass, x),
                Seer::Clip(clip) => clip.features(&pass, x),
            };
            features.append(rows).await?;
        }
        Ok(features)
    }

    /// The features of these pictures.
    ///
    /// # Errors
    /// Cancelled, or the device failed.
    pub async fn features_of(
        &self,
        pictures: &Pictures,
        items: &[usize],
        job: &mut JobContext,
    ) -> Result<Features> {
        let mut all = Features::default();
        for batch in items.chunks(BATCH) {
            all.extend(self.features(&pictures.unit(batch), pictures.shape.axes()).await?);
            job.advance(batch.len()).await?;
        }
        Ok(all)
    }

    /// The share of these pictures in which it sees their own class, in percent; `asked` about the classes.
    ///
    /// # Errors
    /// Cancelled, or the device failed.
    pub async fn accuracy(
        &self,
        pictures: &Pictures,
        items: &[usize],
        job: &mut JobContext,
    ) -> Result<f64> {
        let mut right = Vec::with_capacity(items.len());
        for batch in items.chunks(BATCH) {
            let seen = self.look(&pictures.unit(batch), pictures.shape.axes()).await?;
            let own = pictures.labels(batch).into_iter().map(|label| self.same(label));
            right.extend(seen.iter().zip(own).map(|(g, own)| own.is_some() && g.name == own));
            job.advance(batch.len()).await?;
        }
        Ok(percent(right.into_iter()))
    }
}

/// The network of a sight, which was asked for when it was made.
fn classifier(network: &Network) -> &dyn Classifier {
    match network {
        Network::Classifier(net) => &**net,
        Network::Unet(_) => unreachable!("refused when the sight was made"),
    }
}
