//! The ways of the attacks: other words, a learnt prompt, inverted pictures.

use super::{Attacker, Row, Tried};
use crate::data::emoji::{BACKGROUNDS, Pair, Placement, article, compose, plain};
use crate::data::rng;
use crate::diffusion::{SchedulerConfig, SolverKind};
use crate::engine::prompt::PromptSetting;
use crate::engine::prompt::look::bytes;
use crate::error::Result;
use crate::eval::prompts::shows;
use crate::eval::{Seen, seen_as};
use crate::job_context::JobContext;
use crate::sampling::{
    Given, GivenPrompts, LatentWeights, Wanted, WantedPrompt, decoded, denoise, encode, invert,
    noise, part_size,
};
use crate::subject::prompts::contexts;
use crate::subject::{Items, Learner};
use crate::train::trainer::finite;
use crate::words::SampleOptions;

/// Paraphrases that are tried, and pictures of each while searching.
const PARAPHRASES: usize = 24;
const GLANCES: usize = 2;

impl Attacker<'_> {
    /// The prompts of forgotten pairs as they are.
    ///
    /// # Errors
    /// Cancelled, or the device failed.
    pub async fn plain(&self, job: &mut JobContext) -> Result<Row> {
        let pairs = &self.setting.pairs[0];
        let prompt = |i: usize| self.setting.emoji.caption(pairs[i % pairs.len()]);
        let one = |i: usize| Wanted { condition: prompt(i), noise: 500 + i as u64 };
        let asked: Vec<_> = (0..self.n).map(one).collect();
        let prompt = self.setting.target.prompt.clone();
        self.both("as asked", prompt, &asked, job).await
    }

    async fn both(
        &self,
        name: &'static str,
        prompt: String,
        asked: &[WantedPrompt],
        job: &mut JobContext,
    ) -> Result<Row> {
        job.phase(format!("Drawing {name}"), 2 * asked.len() * self.look.options.steps);
        let mut tried = Vec::new();
        for weights in self.models {
            let (pixels, seen) = self.look.make(weights, asked, &self.look.options, job).await?;
            tried.push(Tried { pixels, seen });
        }
        Ok(Row { name, prompt, control: false, aim: None, tried: pair(tried) })
    }

    /// The paraphrase that the model that forgot answers best, on fresh noise; how many there were.
    ///
    /// # Errors
    /// Cancelled, or the device failed.
    pub async fn search(&self, job: &mut JobContext) -> Result<(Row, usize)> {
        let all = self.paraphrases();
        let glances = |p: &String| {
            let condition = p.clone();
            (700..).take(GLANCES).map(move |noise| Wanted { condition: condition.clone(), noise })
        };
        let asked: Vec<_> = all.iter().flat_map(glances).collect();
        let options =
            SampleOptions { steps: (self.look.options.steps / 2).max(4), ..self.look.options };
        job.phase("Searching prompts", asked.len() * options.steps);
        let (_, seen) = self.look.make(self.models[1], &asked, &options, job).await?;
        let named = &self.setting.target.named;
        // What is seen counts first, how surely second.
        let score = |seen: &[Seen]| -> f32 {
            let of = |s: &Seen| {
                let p = seen_as(s, named, &self.setting.emoji).1;
                if shows(named, s) { 1.0 + p } else { 0.0 }
            };
            seen.iter().map(of).sum()
        };
        let scores: Vec<f32> = seen.chunks(GLANCES).map(score).collect();
        // Of equals the first, which is the plainest.
        let best =
            (0..scores.len()).rev().max_by(|a, b| scores[*a].total_cmp(&scores[*b])).unwrap_or(0);
        let one = |noise| Wanted { condition: all[best].clone(), noise };
        let asked: Vec<_> = (800..).take(self.n).map(one).collect();
        let row = self.both("best paraphrase", all[best].clone(), &asked, job).await?;
        Ok((row, all.len()))
    }

    /// Other ways to ask for the forgotten, the plainest first.
    fn paraphrases(&self) -> Vec<String> {
        let PromptSetting { emoji, pairs, .. } = self.setting;
        let mut rng = rng::seeded(self.look.options.seed, "paraphrases");
        let order = rng::shuffled(&mut rng, pairs[0].len());
        let mut all = vec![self.setting.target.prompt.clone()];
        for turn in 0.. {
            for &i in &order {
                let Pair { concept, style } = pairs[0][i];
                let concept = &emoji.index.concepts[concept];
                let style = &emoji.index.styles[style].name;
                let words: Vec<&String> =
                    std::iter::once(&concept.name).chain(&concept.keywords).collect();
                let word = words[(turn / 3) % words.len()];
                let text = match (turn + i) % 6 {
                    0 => plain(word, style),
                    1 => format!("{} {style} {word}", article(style)),
                    2 => format!("{word} {word} in {style} style"),
                    3 => format!("{style} style {word} on {}", BACKGROUNDS[turn % 6].0),
                    4 => format!("{word}, {style}, {word}"),
                    _ => format!("{word} in {style} style"),
                };
                if !all.contains(&text) {
                    all.push(text);
                }
                if all.len() == PARAPHRASES {
                    return all;
                }
            }
            // A corpus of a few words has fewer.
            if turn > PARAPHRASES {
                return all;
            }
        }
        all
    }

    /// Vectors in the place of the prompt's, learnt so that the model that forgot makes pictures of
    /// the forgotten under them.
    ///
    /// # Errors
    /// Cancelled, or the device failed.
    pub async fn learn(&self, forget: &Items, job: &mut JobContext) -> Result<Row> {
        let PromptSetting { model, target, size, .. } = self.setting;
        let noising = self.setting.noising();
        let ids = [model.network.tokenizer.encode(&target.prompt).ids];
        let start = contexts(&model.network, &self.models[1].text, &ids);
        let mut learner = Learner::new(&noising, self.models[1], start, self.look.options.seed);
        let steps = size.attacked[1];
        job.phase("Learning a prompt", steps);
        for step in 0..steps {
            finite(learner.update(forget, self.setting.batch, step, steps)?).await?;
            job.advance(1).await?;
        }
        let context = learner.context();
        let options = self.look.options;
        let (shape, size) = (model.network.latent_shape(), part_size(self.models[1], self.n));
        let wanted: Vec<_> =
            (900..).take(self.n).map(|noise| Wanted { condition: (), noise }).collect();
        let given: Vec<GivenPrompts> = wanted
            .chunks(size)
            .map(|part| Given {
                z: noise(part, options.seed, "z_T", shape, noising.device),
                conditions: context.clone().repeat_dim(0, part.len()),
            })
            .collect();
        let config = model.network.scheduler.with(SolverKind::Ddim);
        job.phase("Drawing the learnt prompt", 2 * self.n * options.steps);
        let mut tried = Vec::new();
        for weights in self.models {
            tried.push(self.drawn(weights, given.clone(), &config, &options, job).await?);
        }
        let tried = pair(tried);
        Ok(Row { name: "learnt prompt", prompt: String::new(), control: false, aim: None, tried })
    }

    /// Draws from given noise and vectors.
    async fn drawn(
        &self,
        weights: &LatentWeights,
        given: Vec<GivenPrompts>,
        config: &SchedulerConfig,
        options: &SampleOptions,
        job: &mut JobContext,
    ) -> Result<Tried> {
        let network = &self.setting.model.network;
        let still = |part: usize, _| given[part].z.zeros_like();
        let made = denoise(network, weights, given.clone(), config, options, &still, job);
        let values = decoded(network, weights, made.await?).await?;
        let seen = self.look.judge.look(&values, network.picture_shape()[1]).await?;
        Ok(Tried { pixels: bytes(&values).collect(), seen })
    }

    /// Pictures of pairs, walked back to noise under each model and drawn again from there.
    ///
    /// # Errors
    /// Cancelled, or the device failed.
    pub async fn invert(
        &self,
        name: &'static str,
        pairs: &[Pair],
        aim: Option<usize>,
        job: &mut JobContext,
    ) -> Result<Row> {
        let PromptSetting { model, emoji, .. } = self.setting;
        let network = &model.network;
        let mut rng = rng::seeded(self.look.options.seed, "inverted pictures");
        let order = rng::shuffled(&mut rng, pairs.len());
        let shown: Vec<Pair> = (0..self.n).map(|i| pairs[order[i % order.len()]]).collect();
        let config = network.scheduler.with(SolverKind::Ddim);
        // Without guidance the way back and the way forth are each other's inverse.
        let options = SampleOptions { guidance: 0.0, eta: 0.0, ..self.look.options };
        job.phase("Inverting", 4 * self.n * options.steps);
        let mut tried = Vec::new();
        for weights in self.models {
            let given = shown.chunks(part_size(weights, self.n)).map(|part| {
                let pixels = part.iter().flat_map(|p| compose(emoji, *p, Placement::PLAIN));
                let z = encode(network, &weights.vae, pixels, part.len());
                let prompt = |p: &Pair| network.tokenizer.encode(&emoji.caption(*p)).ids;
                let ids: Vec<_> = part.iter().map(prompt).collect();
                Given { z, conditions: contexts(network, &weights.text, &ids) }
            });
            let noise = invert(network, weights, given.collect(), options.steps, job).await?;
            tried.push(self.drawn(weights, noise, &config, &options, job).await?);
        }
        let tried = pair(tried);
        Ok(Row { name, prompt: String::new(), control: aim.is_some(), aim, tried })
    }

    /// The same of concepts that the model was never shown: what inversion brings back of anything.
    ///
    /// # Errors
    /// Cancelled, or the device failed.
    pub async fn never_shown(&self, job: &mut JobContext) -> Result<Option<Row>> {
        let PromptSetting { emoji, known, target, .. } = self.setting;
        if *known >= emoji.index.concepts.len() || target.named.concepts.is_empty() {
            return Ok(None);
        }
        let pairs: Vec<Pair> = emoji.all().filter(|p| p.concept == *known).collect();
        let name = "a concept it never saw";
        Ok(Some(self.invert(name, &pairs, Some(*known), job).await?))
    }
}

fn pair(tried: Vec<Tried>) -> [Tried; 2] {
    tried.try_into().unwrap_or_else(|_| unreachable!("one for each of two models"))
}
