//! What a prompt's recipe comes to: model, judge, corpus, sizes; and the latents it trains on.

use std::{path::Path, sync::Arc};

use crate::data::emoji;
use crate::data::emoji::{Pair, Target};
use crate::engine::measure::sampling;
use crate::engine::{Asked, Work};
use crate::error::{Error, Result};
use crate::job_context::JobContext;
use crate::models::latent::LatentModel;
use crate::models::{Model, Weights, registry};
use crate::sampling::LatentWeights;
use crate::subject::{Items, Noising};
use crate::unlearn::{Plan, Scope};
use crate::words::{Budget, Forgotten, Recipe, SampleOptions};

/// What a budget sets for prompts.
#[derive(Debug, Clone, Copy)]
pub struct Sizes {
    /// Latents of the forget set and of the retain set.
    pub items: [usize; 2],
    /// Measured prompts, forgotten and kept.
    pub measured: [usize; 2],
    /// Pictures of each prompt of the pane.
    pub columns: usize,
    pub sampler: usize,
    /// Looks at the pane while it trains.
    pub previews: usize,
    /// Concepts that an opened model shows.
    pub shown: usize,
    /// Pictures of each way that an attack tries, and updates of what it learns.
    pub attacked: [usize; 2],
}

/// The sizes of a budget.
pub fn sizes(budget: Budget) -> Sizes {
    let (items, measured, columns, sampler, previews, shown, attacked) = match budget {
        Budget::Tiny => ([16, 16], [6, 6], 2, 8, 1, 4, [4, 4]),
        Budget::Quick => ([192, 256], [48, 96], 4, 20, 3, 8, [16, 80]),
        Budget::Full => ([1024, 2048], [200, 400], 4, 50, 3, 8, [64, 300]),
    };
    Sizes { items, measured, columns, sampler, previews, shown, attacked }
}

/// A recipe that forgets a prompt, resolved.
pub struct PromptSetting {
    pub asked: Asked,
    pub model: Arc<LatentModel>,
    pub judge: Arc<Model>,
    /// The model's networks with the corpus, and what is to be forgotten of it.
    pub noising: Noising,
    /// Concepts of the corpus that the model was shown: the first ones.
    pub known: usize,
    /// Pairs that it was shown: to be forgotten, to be kept.
    pub pairs: [Vec<Pair>; 2],
    /// What was forgotten before, and its pairs.
    pub earlier: Vec<(String, Target, Vec<Pair>)>,
    /// The original's weights on the engine's device.
    pub weights: LatentWeights,
    /// Latents of the forget set and of the retain set, once they were made.
    pub items: Arc<[Items; 2]>,
    pub size: Sizes,
    pub options: SampleOptions,
}

impl PromptSetting {
    /// The whole model with other weights of its U-Net.
    pub fn with(&self, unet: &Weights) -> LatentWeights {
        LatentWeights { unet: unet.clone(), ..self.weights.clone() }
    }

    /// How the prompt was read, for a person.
    pub fn notice(&self) -> String {
        let Noising { emoji, target: Target { prompt, named, .. }, .. } = &self.noising;
        let concepts = named.concepts.iter().map(|c| emoji.index.concepts[*c].name.clone());
        let styles = named.styles.iter();
        let styles = styles.map(|s| format!("{} style", emoji.index.styles[*s].name));
        let names: Vec<String> = concepts.chain(styles).collect();
        let mut said = match (names.as_slice(), self.pairs[0].len()) {
            ([], _) => "Names nothing that the model was shown: what it draws for these words is \
                        forgotten"
                .to_string(),
            (_, 0) => format!(
                "The model was never shown {}: what it draws for these words is forgotten",
                names.join(", ")
            ),
            (_, n) => format!("Read as {}: {n} pictures of the corpus", names.join(", ")),
        };
        let dropped = self.model.network.tokenizer.encode(prompt).dropped;
        if dropped > 0 {
            said += &format!("; the last {dropped} tokens are too many and are not read");
        }
        said
    }
}

impl Work<'_> {
    /// Resolves a recipe that forgets a prompt; everything that can be wrong with it is found here.
    ///
    /// # Errors
    /// What is wrong with the request; cancelled.
    pub async fn prompt_setting(&mut self, recipe: &Recipe) -> Result<PromptSetting> {
        recipe.check()?;
        let other =
            registry::shipped(&recipe.model).is_some() || Path::new(&recipe.model).is_file();
        if other && !registry::is_latent(&recipe.model) {
            // What cannot be opened says by itself what it is.
            registry::open(&recipe.model)?;
            let right = format!("{} takes no prompts; write class:NAME", recipe.model);
            return Err(Error::argument("forget set", &recipe.forget, right));
        }
        let plan = Plan::new(recipe, Scope::of_prompts([0, 0]))?;
        let emoji = emoji::find(&recipe.data)?;
        // What is wrong with the words is told before a model is looked for.
        let redirect = recipe.redirect.to_string();
        let asked = Target::parse(&recipe.forget, &redirect, &emoji, usize::MAX)?;
        if asked.named.is_nothing() {
            let right = "the corpus has no picture of it, so nobody could tell whether it is \
                         forgotten; name a concept, a style or both: a cat, mono style, a 3d pizza";
            return Err(Error::argument("forget set", &recipe.forget, right));
        }
        self.session.latent_network(&recipe.model)?.takes(emoji.index.side)?;
        let judge = self.session.emoji_judge(&recipe.model)?;
        let start = self.meet_earlier(recipe).await?;
        let model = self.session.latent(&start)?;
        model.network.notes.iter().for_each(|note| self.job.note(note));
        let known = model.known(emoji.index.concepts.len());
        let Recipe { data, forget, seed, budget, .. } = recipe;
        let size = sizes(*budget);
        let options = sampling(recipe, size.sampler);
        let noising = Noising {
            network: model.network.clone(),
            target: Target::parse(forget, &redirect, &emoji, known)?,
            emoji,
            schedule: model.network.scheduler.schedule(),
            device: self.session.device.clone(),
        };
        let [forgotten, mut retain] = noising.pairs(known)?;
        let mut earlier = Vec::new();
        for spec in forgot_before(&model, recipe) {
            let target = Target::parse(&spec, "null", &noising.emoji, known)?;
            let all = forgotten.iter().chain(&retain).copied();
            let gone = all.filter(|pair| target.named.covers(*pair)).collect();
            earlier.push((spec, target, gone));
        }
        let gone = |pair: &Pair| earlier.iter().any(|(_, t, _)| t.named.covers(*pair));
        retain.retain(|pair| !gone(pair));
        if retain.is_empty() {
            let right = "nothing would be left to keep beside what was forgotten before";
            return Err(Error::argument("forget set", forget, right));
        }
        Ok(PromptSetting {
            asked: Asked {
                plan,
                key: format!("{start}|{data}|{forget}|{seed}|{budget:?}|{options:?}"),
                forget: Forgotten { spec: forget.clone(), n: 0 },
                recipe: Recipe { fingerprint: None, ..recipe.clone() },
            },
            judge,
            noising,
            known,
            pairs: [forgotten, retain],
            earlier,
            weights: LatentWeights::upload(&model, &self.session.device),
            items: Arc::default(),
            size,
            options,
            model,
        })
    }

    /// The latents of the forget set and of the retain set; made once.
    ///
    /// # Errors
    /// What is wrong with the request; cancelled.
    pub async fn items(&mut self, setting: &PromptSetting) -> Result<Arc<[Items; 2]>> {
        let PromptSetting { asked, weights, noising, pairs, size, options, .. } = setting;
        let of = async |at: usize, purpose, job: &mut JobContext| {
            let (emoji, seed) = (&noising.emoji, (options.seed, purpose));
            Items::of_pairs(weights, emoji, &pairs[at], size.items[at], seed, job).await
        };
        let make = async |work: &mut Work<'_>| {
            work.job.phase("Encoding pictures", size.items.iter().sum());
            let retain = of(1, "retain items", work.job).await?;
            let forget = if pairs[0].is_empty() {
                let n = size.items[0].min(32);
                work.job.phase("Sampling what is to be forgotten", n * options.steps);
                Items::of_prompt(weights, &noising.target.prompt, n, options, work.job).await?
            } else {
                of(0, "forget items", work.job).await?
            };
            Ok([forget, retain])
        };
        self.once(&asked.key, make).await
    }
}

/// What a model was made to forget before, by its card or by the recipe.
fn forgot_before(model: &LatentModel, recipe: &Recipe) -> Vec<String> {
    match &model.card {
        Some(card) if !card.unlearned.is_empty() => card.unlearned.clone(),
        _ => recipe.after.iter().map(|earlier| earlier.forget.clone()).collect(),
    }
}
