//! The steps of the sampler between noise and pictures, of several models from the same noise.

use std::ops::Range;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::measure::preview;
use super::session::twin;
use super::{Grid, Request, Work, bytes};
use crate::data::corpus::resampled;
use crate::error::{Error, Result, ensure};
use crate::eval::Drawer;
use crate::models::{AnyModel, HostWeights, Model, Shipped, delta};
use crate::sampling::{Recorded, Wanted, record, sampler, trace};
use crate::words::{Budget, Recipe, SampleOptions, Task};

/// Pixels of a side that are told, at the most: a larger picture is made smaller.
const SIDE: usize = 256;

/// Whose steps are traced.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Traced {
    /// The model's before the request.
    Original,
    /// The shipped Retrain twin's.
    Twin,
    /// Those of the weights that a run ended with, with so much of its change ([`delta::blend`]).
    Ended { model: Arc<AnyModel>, strength: f64 },
}

/// Tiles of a grid, and whose steps are traced on the way to them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TraceRequest {
    /// The model that is open, and what its pictures were drawn by.
    pub model: String,
    pub seed: u64,
    pub budget: Budget,
    /// The request whose pictures they are; without one they are those of the model as it was opened.
    pub recipe: Option<Recipe>,
    pub row: usize,
    pub columns: Vec<usize>,
    pub of: Vec<Traced>,
}

/// Every step on the way to some tiles.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trace {
    /// The steps, the finished pictures last.
    pub moments: Vec<Moment>,
    /// Of each tile, the words that it was drawn for, where they were words.
    pub words: Vec<Vec<String>>,
    /// As asked for.
    pub films: Vec<Film>,
}

/// A step of a sampler.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Moment {
    /// The network's time step; `None` of the finished pictures.
    pub time: Option<f32>,
    /// Share of the noise in the standard deviation of what the network is shown, 0..=1.
    pub noise: f32,
}

/// Every step of one model: a row a tile, a column a step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Film {
    /// x_t: what the network is shown.
    pub noisy: Arc<Grid>,
    /// x_0 as the network predicts it, and what a judge sees in that; in the last column the finished pictures.
    pub predicted: Arc<Grid>,
    /// Of each tile what its words attend to.
    pub attention: Vec<Attention>,
}

/// How much of what each place of a picture takes in comes from each word of its prompt, at every step but the last.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Attention {
    /// Height and width of a map.
    pub raster: [usize; 2],
    pub words: usize,
    /// Step after step, word after word, row after row: shares, of which those of a place and all tokens, the special
    /// ones among them, sum to 1.
    #[serde(with = "crate::wire::numbers")]
    pub shares: Vec<f32>,
}

impl Attention {
    /// Steps that there are maps of.
    pub fn steps(&self) -> usize {
        self.shares.len() / (self.words * self.raster[0] * self.raster[1]).max(1)
    }

    /// A word's map at a step.
    pub fn at(&self, step: usize, word: usize) -> &[f32] {
        let each = self.raster[0] * self.raster[1];
        &self.shares[(step * self.words + word) * each..][..each]
    }

    /// A word's mean map over all steps.
    pub fn mean(&self, word: usize) -> Vec<f32> {
        let mut mean = vec![0.0; self.raster[0] * self.raster[1]];
        for step in 0..self.steps() {
            let add = |(sum, v): (&mut f32, &f32)| *sum += v / self.steps() as f32;
            mean.iter_mut().zip(self.at(step, word)).for_each(add);
        }
        mean
    }
}

/// What draws tiles of classes.
struct OfClasses<'a> {
    model: &'a Model,
    data: &'a str,
    twin: Option<&'static Shipped>,
    options: SampleOptions,
}

impl Work<'_> {
    /// Every step on the way to some tiles, from the noise that they were drawn from.
    ///
    /// # Errors
    /// There are no such tiles, the model draws nothing, a run is of another network; cancelled, or the device failed.
    pub async fn traced(&mut self, request: &TraceRequest) -> Result<Trace> {
        let none = || Error::argument("columns", "none", "a tile is needed");
        ensure(!request.columns.is_empty() && !request.of.is_empty(), none)?;
        let TraceRequest { model, seed, budget, recipe, .. } = request;
        if let Some(recipe) = recipe {
            return match self.resolve(recipe).await? {
                Request::Classes(of) => {
                    let (data, options) = (&*of.asked.recipe.data, of.sampling());
                    let from = OfClasses { model: &of.model, data, twin: twin(&of), options };
                    self.traced_classes(request, from).await
                }
                Request::Prompts(of) => self.traced_request(request, &of).await,
            };
        }
        if self.session.is_latent(model) {
            return self.traced_opening(request).await;
        }
        let open = self.session.model(model)?;
        let options = preview(budget.sizes().sampler[Task::Generate as usize], *seed);
        let from = OfClasses { model: &open, data: &open.card.data, twin: None, options };
        self.traced_classes(request, from).await
    }

    /// Tiles of a class-conditional model: a row a class, a column a noise.
    async fn traced_classes(&mut self, asked: &TraceRequest, from: OfClasses<'_>) -> Result<Trace> {
        let OfClasses { model, data, twin, options } = from;
        let unet = model.unet().ok_or_else(|| {
            Error::argument("model", &model.card.name, "a diffusion model is needed to sample")
        })?;
        let right = || Error::argument("row", asked.row, "the model has no such class");
        ensure(asked.row < model.card.classes.len(), right)?;
        let wanted = |column: &usize| Wanted { condition: Some(asked.row), noise: *column as u64 };
        let wanted: Vec<_> = asked.columns.iter().map(wanted).collect();
        let shape = unet.picture_shape();
        let judge = self.session.judge(&model.card, data, shape[0])?;
        let mut trace = Trace::of(vec![Vec::new(); wanted.len()]);
        for (i, of) in asked.of.iter().enumerate() {
            let weights = match (of, twin) {
                (Traced::Twin, Some(twin)) => twin.open()?.weights,
                (of, _) => ended(&model.weights, of)?,
            };
            let weights = weights.upload(&self.session.device);
            let drawer = Drawer { unet, weights: &weights, judge: judge.as_deref() };
            let see = async |values: &[f32]| drawer.look(values).await;
            let pictures = sampler::classes(unet, &weights, &wanted, &options);
            if i == 0 {
                self.phase_of_trace(asked, pictures.calls());
            }
            let frames = record(pictures, sampler::values, self.job).await?;
            let tiles = Tiles { shape, classes: vec![Some(asked.row); wanted.len()], words: &[] };
            trace.add(frames, &tiles, &see).await?;
        }
        Ok(trace)
    }

    /// Begins the phase of a trace, whose pictures take so many calls of the network.
    pub(super) fn phase_of_trace(&mut self, asked: &TraceRequest, calls: usize) {
        let each = calls + trace::looks(calls) + 1;
        self.job.phase("Tracing", asked.of.len() * asked.columns.len() * each);
    }
}

/// The weights of a run, or the original's.
///
/// # Errors
/// The run is of another network, or a Retrain twin is asked for where none is.
pub(super) fn ended(original: &HostWeights, of: &Traced) -> Result<HostWeights> {
    match of {
        Traced::Ended { model, strength } => delta::blend(original, model.weights(), *strength),
        Traced::Original => Ok(original.clone()),
        Traced::Twin => Err(Error::Request("no Retrain twin is shipped for this".into())),
    }
}

/// What the tiles of a trace are.
pub(super) struct Tiles<'a> {
    /// Channels, height and width of a picture.
    pub shape: [usize; 3],
    /// Of each tile, what it is asked to show.
    pub classes: Vec<Option<usize>>,
    /// Of each tile, the places of each word's tokens; nothing where there are no words.
    pub words: &'a [Vec<Range<usize>>],
}

impl Trace {
    /// A trace of tiles with these words, before the first film.
    pub(super) fn of(words: Vec<Vec<String>>) -> Self {
        Self { moments: Vec::new(), words, films: Vec::new() }
    }

    /// Adds what was recorded of a model; `see` says what pictures show.
    pub(super) async fn add(
        &mut self,
        frames: Vec<Recorded>,
        tiles: &Tiles<'_>,
        see: &impl AsyncFn(&[f32]) -> Result<Vec<Option<(usize, f32)>>>,
    ) -> Result<()> {
        let mut seen = Vec::with_capacity(frames.len());
        for frame in &frames {
            seen.push(see(&frame.predicted).await?);
        }
        let n = tiles.classes.len();
        let seen = (0..n).flat_map(|tile| seen.iter().map(move |seen| seen[tile]));
        let seen: Vec<_> = seen.collect();
        let noisy = tiles.grid(&frames, |frame| &frame.noisy, vec![None; seen.len()]);
        let predicted = tiles.grid(&frames, |frame| &frame.predicted, seen);
        let attention = tiles.words.iter().enumerate();
        let attention = attention.map(|(tile, words)| tiles.attention(&frames, tile, words));
        self.films.push(Film {
            noisy: noisy.into(),
            predicted: predicted.into(),
            attention: attention.collect(),
        });
        self.moments = frames.iter().map(|f| Moment { time: f.time, noise: f.noise }).collect();
        Ok(())
    }
}

impl Tiles<'_> {
    /// The pictures of all steps, a row a tile.
    fn grid(
        &self,
        frames: &[Recorded],
        of: impl Fn(&Recorded) -> &[f32],
        seen: Vec<Option<(usize, f32)>>,
    ) -> Grid {
        let [c, h, w] = self.shape;
        let side = h.min(SIDE);
        let mut pixels = Vec::with_capacity(seen.len() * c * side * side);
        for tile in 0..self.classes.len() {
            for frame in frames {
                let picture = &of(frame)[tile * c * h * w..][..c * h * w];
                if side < h {
                    pixels.extend(bytes(&resampled(picture, h, side)));
                } else {
                    pixels.extend(bytes(picture));
                }
            }
        }
        let shape = if side < h { [c, side, side] } else { self.shape };
        Grid::new(self.classes.clone(), shape, pixels, seen)
    }

    /// The shares of a tile's words, those of a word's tokens added up.
    fn attention(&self, frames: &[Recorded], tile: usize, words: &[Range<usize>]) -> Attention {
        let shown = || frames.iter().filter(|frame| !frame.attention.is_empty());
        let Some(first) = shown().next() else { return Attention::default() };
        let each = first.attention.len() / self.classes.len();
        let raster = first.raster;
        let n = raster[0] * raster[1];
        let mut shares = Vec::with_capacity(frames.len() * words.len() * n);
        for frame in shown() {
            let tokens = &frame.attention[tile * each..][..each];
            for word in words {
                let map = |token: usize| &tokens[token * n..][..n];
                shares.extend((0..n).map(|i| word.clone().map(|t| map(t)[i]).sum::<f32>()));
            }
        }
        Attention { raster, words: words.len(), shares }
    }
}
