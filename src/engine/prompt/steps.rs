//! The steps of the sampler on the way to the pictures of prompts.

use super::PromptSetting;
use super::look::{Opening, pane_tiles};
use crate::engine::measure::preview;
use crate::engine::steps::{Tiles, ended};
use crate::engine::{Trace, TraceRequest, Traced, Work};
use crate::error::{Error, Result, ensure};
use crate::eval::{PromptJudge, Seen, seen_as};
use crate::models::HostWeights;
use crate::sampling::{LatentWeights, Recorded, WantedPrompt, record};
use crate::words::SampleOptions;

/// Tiles of prompts, and what each is asked to show.
type Asked = Vec<(WantedPrompt, Option<usize>)>;

/// Who draws, and who looks.
struct From<'a> {
    weights: &'a LatentWeights,
    unet: &'a HostWeights,
    options: &'a SampleOptions,
    judge: &'a PromptJudge<'a>,
}

impl Work<'_> {
    /// Tiles of a request's pane.
    pub(in crate::engine) async fn traced_request(
        &mut self,
        request: &TraceRequest,
        of: &PromptSetting,
    ) -> Result<Trace> {
        let judge = of.judge()?;
        let (weights, unet, options) = (&of.weights, &of.model.unet, &of.options);
        let from = From { weights, unet, options, judge: &judge };
        let (named, corpus) = (&of.noising.target.named, &of.noising.corpus);
        let see = |seen: &Seen| seen_as(seen, named, corpus);
        self.traced_prompts(request, pane_tiles(of, &judge), from, see).await
    }

    /// Tiles of a text-to-image model as it was opened.
    pub(in crate::engine) async fn traced_opening(
        &mut self,
        request: &TraceRequest,
    ) -> Result<Trace> {
        let model = self.session.latent(&request.model)?;
        let corpus = self.corpus_of(&model)?;
        let jury = self.session.jury(&request.model, &corpus)?;
        let judge = jury.judge(&corpus, &self.session.device)?;
        let weights = LatentWeights::upload(&model, &self.session.device);
        let opening = Opening::new(&model, &corpus, request.budget);
        let options = &preview(opening.steps, request.seed);
        let from = From { weights: &weights, unet: &model.unet, options, judge: &judge };
        self.traced_prompts(request, opening.tiles(), from, |seen| seen.concept).await
    }

    /// Traces rows of tiles.
    async fn traced_prompts(
        &mut self,
        request: &TraceRequest,
        rows: Vec<Asked>,
        from: From<'_>,
        name: impl Fn(&Seen) -> (usize, f32),
    ) -> Result<Trace> {
        let From { weights, unet, options, judge } = from;
        let network = &weights.network;
        let right = || Error::argument("row", request.row, "there are no such tiles");
        let row = rows.get(request.row).ok_or_else(right)?;
        ensure(request.columns.iter().all(|c| *c < row.len()), right)?;
        let (wanted, classes): (Vec<_>, Vec<_>) =
            request.columns.iter().map(|&column| row[column].clone()).unzip();
        let words = wanted.iter().map(|w| network.tokenizer.words(&w.condition));
        let words: Vec<(Vec<_>, Vec<_>)> = words.map(|words| words.into_iter().unzip()).collect();
        let (words, places): (Vec<_>, Vec<_>) = words.into_iter().unzip();
        let shape = network.picture_shape();
        let see = async |values: &[f32]| {
            let seen = judge.look(values, shape).await?;
            // Of what is nothing to the judge it is not told what it sees.
            let told = |(seen, class): (Option<Seen>, &Option<usize>)| {
                seen.filter(|_| class.is_some()).map(|seen| name(&seen))
            };
            Ok(seen.into_iter().zip(&classes).map(told).collect())
        };
        let tiles = Tiles { shape, classes: classes.clone(), words: &places };
        let mut trace = Trace::of(words);
        for (i, of) in request.of.iter().enumerate() {
            let unet = match of {
                // They are on the device.
                Traced::Original => weights.unet.clone(),
                of => ended(unet, of)?.upload(&self.session.device),
            };
            let weights = LatentWeights { unet, ..weights.clone() };
            let mut frames: Vec<Recorded> = Vec::new();
            for (part, together) in weights.fitting(&wanted)?.enumerate() {
                let pictures = weights.prompts(together, options, None);
                if i == 0 && part == 0 {
                    self.phase_of_trace(request, pictures.calls());
                }
                let show = async |latents| weights.decoded(latents).await;
                let more = record(pictures, show, self.job).await?;
                if frames.is_empty() {
                    frames = more;
                } else {
                    frames.iter_mut().zip(more).for_each(|(frame, more)| frame.join(more));
                }
            }
            trace.add(frames, &tiles, &see).await?;
        }
        Ok(trace)
    }
}
