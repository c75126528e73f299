//! The ways of the attacks: other words, a learnt prompt, inverted pictures.

use super::{Attacker, Row};
use crate::data::corpus::{BACKGROUNDS, Corpus, Pair, Placement, Target, article, plain};
use crate::data::rng;
use crate::diffusion::SolverKind;
use crate::engine::PromptSetting;
use crate::engine::prompt::look::{Drawn, bytes, make};
use crate::error::Result;
use crate::eval::{Seen, seen_as};
use crate::sampling::{
    Given, GivenPrompts, LatentWeights, Wanted, WantedPrompt, contexts, encode, noise,
};
use crate::subject::{Learner, Noising};
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
    pub async fn plain(&mut self) -> Result<Row> {
        let PromptSetting { noising: Noising { corpus, target, .. }, pairs, .. } = self.setting;
        let prompt = |i: usize| corpus.caption(pairs[0][i % pairs[0].len()]);
        let one = |i: usize| Wanted { condition: prompt(i), noise: 500 + i as u64 };
        let asked: Vec<_> = (0..self.n).map(one).collect();
        self.both("as asked", target.prompt.clone(), &asked).await
    }

    async fn both(
        &mut self,
        name: &'static str,
        prompt: String,
        asked: &[WantedPrompt],
    ) -> Result<Row> {
        let options = &self.setting.options;
        self.job.phase(format!("Drawing {name}"), 2 * asked.len() * options.steps);
        let mut tried = Vec::new();
        for weights in self.models {
            tried.push(make(&self.judge, weights, asked, options, self.job).await?);
        }
        Ok(Row { name, prompt, aim: None, tried })
    }

    /// The paraphrase that the model that forgot answers best, on fresh noise; how many there were.
    ///
    /// # Errors
    /// Cancelled, or the device failed.
    pub async fn search(&mut self) -> Result<(Row, usize)> {
        let all = self.paraphrases();
        let glances = |p: &String| Wanted::each(p, 700..700 + GLANCES as u64);
        let asked: Vec<_> = all.iter().flat_map(glances).collect();
        let options = self.setting.options;
        let options = SampleOptions { steps: (options.steps / 2).max(4), ..options };
        self.job.phase("Searching prompts", asked.len() * options.steps);
        let drawn = make(&self.judge, self.models[1], &asked, &options, self.job).await?;
        let Noising { corpus, target: Target { named, .. }, .. } = &self.setting.noising;
        // What is seen counts first, how surely second.
        let tells = &self.judge.tells;
        let score = |seen: &[Option<Seen>]| -> f32 {
            let of = |s: &Seen| {
                let p = seen_as(s, named, corpus).1;
                if tells.shows(named, s) == Some(true) { 1.0 + p } else { 0.0 }
            };
            seen.iter().flatten().map(of).sum()
        };
        let scores: Vec<f32> = drawn.seen.chunks(GLANCES).map(score).collect();
        // Of equals the first, which is the plainest.
        let best =
            (0..scores.len()).rev().max_by(|a, b| scores[*a].total_cmp(&scores[*b])).unwrap_or(0);
        let asked: Vec<_> = Wanted::each(&all[best], 800..800 + self.n as u64).collect();
        let row = self.both("best paraphrase", all[best].clone(), &asked).await?;
        Ok((row, all.len()))
    }

    /// Other ways to ask for the forgotten, the plainest first.
    fn paraphrases(&self) -> Vec<String> {
        let PromptSetting { noising, pairs, options, .. } = self.setting;
        let Noising { corpus, target, .. } = noising;
        let mut rng = rng::seeded(options.seed, "paraphrases");
        let order = rng::shuffled(&mut rng, pairs[0].len());
        let mut all = vec![target.prompt.clone()];
        for turn in 0.. {
            for &i in &order {
                let text = paraphrase(corpus, pairs[0][i], turn, turn + i);
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
    pub async fn learn(&mut self) -> Result<Row> {
        let PromptSetting { asked, noising, size, options, items, .. } = self.setting;
        let Noising { network, target, device, .. } = noising;
        let forgot = self.models[1];
        let ids = [network.tokenizer.encode(&target.prompt).ids];
        let start = contexts(network, &forgot.text, &ids);
        let mut learner = Learner::new(noising, forgot, start, options.seed);
        let steps = size.attacked[1];
        let batch = asked.recipe.budget.sizes().batch[2];
        self.job.phase("Learning a prompt", steps);
        for step in 0..steps {
            finite(learner.update(&items[0], batch, step, steps)?).await?;
            self.job.advance(1).await?;
        }
        let context = learner.context();
        let wanted: Vec<_> = Wanted::each(&(), 900..900 + self.n as u64).collect();
        let given: Vec<GivenPrompts> = wanted
            .chunks(forgot.part_size(self.n))
            .map(|part| Given {
                z: noise(part, options.seed, "z_T", network.latent_shape(), device),
                conditions: context.clone().repeat_dim(0, part.len()),
            })
            .collect();
        self.job.phase("Drawing the learnt prompt", 2 * self.n * options.steps);
        let mut tried = Vec::new();
        for weights in self.models {
            tried.push(self.drawn(weights, given.clone(), options).await?);
        }
        Ok(Row { name: "learnt prompt", prompt: String::new(), aim: None, tried })
    }

    /// Draws from given noise and vectors.
    async fn drawn(
        &mut self,
        weights: &LatentWeights,
        given: Vec<GivenPrompts>,
        options: &SampleOptions,
    ) -> Result<Drawn> {
        let network = &weights.network;
        let config = network.scheduler.with(SolverKind::Ddim);
        let still = Box::new(|part: usize, _| given[part].z.zeros_like());
        let drawing = weights.denoising(given.clone(), &config, options, still);
        let made = drawing.run(self.job).await?;
        let values = weights.decoded(made).await?;
        let seen = self.judge.look(&values, network.picture_shape()).await?;
        Ok(Drawn { pixels: bytes(&values).collect(), seen })
    }

    /// Pictures of pairs, walked back to noise under each model and drawn again from there.
    ///
    /// # Errors
    /// Cancelled, or the device failed.
    pub async fn invert(
        &mut self,
        name: &'static str,
        pairs: &[Pair],
        aim: Option<usize>,
    ) -> Result<Row> {
        let Noising { network, corpus, .. } = &self.setting.noising;
        // Without guidance the way back and the way forth are each other's inverse.
        let options = SampleOptions { guidance: 0.0, eta: 0.0, ..self.setting.options };
        let mut rng = rng::seeded(options.seed, "inverted pictures");
        let order = rng::shuffled(&mut rng, pairs.len());
        let shown: Vec<Pair> = (0..self.n).map(|i| pairs[order[i % order.len()]]).collect();
        self.job.phase("Inverting", 4 * self.n * options.steps);
        let [_, side, _] = network.picture_shape();
        let mut tried = Vec::new();
        for weights in self.models {
            let given = shown.chunks(weights.part_size(self.n)).map(|part| {
                let read = |pair: &Pair| corpus.picture(*pair, Placement::PLAIN, side);
                let pictures = part.iter().map(read).collect::<Result<Vec<_>>>()?;
                let pixels = pictures.into_iter().flatten();
                let z = encode(network, &weights.vae, pixels, part.len());
                let prompt = |p: &Pair| network.tokenizer.encode(&corpus.caption(*p)).ids;
                let ids: Vec<_> = part.iter().map(prompt).collect();
                Ok(Given { z, conditions: contexts(network, &weights.text, &ids) })
            });
            let given = given.collect::<Result<Vec<_>>>()?;
            let noise = weights.invert(given, options.steps, self.job).await?;
            tried.push(self.drawn(weights, noise, &options).await?);
        }
        Ok(Row { name, prompt: String::new(), aim, tried })
    }

    /// The same of concepts that the model was never shown: what inversion brings back of anything.
    ///
    /// # Errors
    /// Cancelled, or the device failed.
    pub async fn never_shown(&mut self) -> Result<Option<Row>> {
        let PromptSetting { noising: Noising { corpus, target, .. }, known, .. } = self.setting;
        if *known >= corpus.index.concepts.len() || target.named.concepts.is_empty() {
            return Ok(None);
        }
        let pairs: Vec<Pair> = corpus.all().filter(|p| p.concept == *known).collect();
        // What a person wrote beside their own pictures has none.
        if pairs.is_empty() || self.judge.tells.label(*known).is_none() {
            return Ok(None);
        }
        Ok(Some(self.invert("a concept it never saw", &pairs, Some(*known)).await?))
    }
}

/// A way to ask for a pair's concept, in its style where it has one.
fn paraphrase(corpus: &Corpus, pair: Pair, turn: usize, form: usize) -> String {
    let concept = &corpus.index.concepts[pair.concept];
    let words: Vec<&String> = std::iter::once(&concept.name).chain(&concept.keywords).collect();
    let word = words[(turn / 3) % words.len()];
    let Some(style) = corpus.index.styles.get(pair.style).map(|style| &style.name) else {
        return match form % 6 {
            0 => corpus.caption(pair),
            1 => word.clone(),
            2 => format!("a picture of {word}"),
            3 => format!("{word} {word}"),
            4 => format!("{}, {word}", corpus.caption(pair)),
            _ => format!("{word}, seen from close"),
        };
    };
    match form % 6 {
        0 => plain(word, style),
        1 => format!("{} {style} {word}", article(style)),
        2 => format!("{word} {word} in {style} style"),
        3 => format!("{style} style {word} on {}", BACKGROUNDS[turn % 6].0),
        4 => format!("{word}, {style}, {word}"),
        _ => format!("{word} in {style} style"),
    }
}
