//! What a prompt's recipe comes to: model, judge, corpus, sizes; and the latents it trains on.

use std::{path::Path, sync::Arc};

use burn::tensor::Device;

use crate::data::emoji;
use crate::data::emoji::{Emoji, Pair, Target};
use crate::diffusion::Schedule;
use crate::engine::Session;
use crate::error::{Error, Result};
use crate::job_context::JobContext;
use crate::models::latent::LatentModel;
use crate::models::{Model, Weights, registry};
use crate::sampling::LatentWeights;
use crate::subject::{Items, Noising};
use crate::unlearn::{Plan, Scope};
use crate::words::{Budget, Recipe, SampleOptions};

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
    let quick = Sizes {
        items: [192, 256],
        measured: [48, 96],
        columns: 4,
        sampler: 20,
        previews: 3,
        shown: 8,
        attacked: [16, 80],
    };
    match budget {
        Budget::Tiny => Sizes {
            items: [16, 16],
            measured: [6, 6],
            columns: 2,
            sampler: 8,
            previews: 1,
            shown: 4,
            attacked: [4, 4],
        },
        Budget::Quick => quick,
        Budget::Full => Sizes {
            items: [1024, 2048],
            measured: [200, 400],
            sampler: 50,
            attacked: [64, 300],
            ..quick
        },
    }
}

/// Guidance of the samples that are shown and measured.
pub const GUIDANCE: f32 = 2.0;

/// A recipe that forgets a prompt, resolved.
pub struct PromptSetting {
    pub model: Arc<LatentModel>,
    pub judge: Arc<Model>,
    pub emoji: Arc<Emoji>,
    pub target: Target,
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
    pub plan: Plan,
    pub spec: String,
    pub size: Sizes,
    /// Items in an update.
    pub batch: usize,
    pub options: SampleOptions,
    pub schedule: Schedule,
    pub device: Device,
    /// What caches know the request by.
    pub key: String,
}

impl PromptSetting {
    /// What noising needs to know.
    pub fn noising(&self) -> Noising<'_> {
        Noising {
            network: &self.model.network,
            emoji: &self.emoji,
            target: &self.target,
            schedule: &self.schedule,
            device: &self.device,
        }
    }

    /// The whole model with other weights of its U-Net.
    pub fn with(&self, unet: &Weights) -> LatentWeights {
        LatentWeights { unet: unet.clone(), ..self.weights.clone() }
    }

    /// What the model was made to forget before, by its card or by the recipe.
    fn forgot_before(&self, recipe: &Recipe) -> Vec<String> {
        match &self.model.card {
            Some(card) if !card.unlearned.is_empty() => card.unlearned.clone(),
            _ => recipe.after.iter().map(|earlier| earlier.forget.clone()).collect(),
        }
    }

    /// How the prompt was read, for a person.
    pub fn notice(&self) -> String {
        let Target { prompt, named, .. } = &self.target;
        let concepts = named.concepts.iter().map(|c| self.emoji.index.concepts[*c].name.clone());
        let styles = named.styles.iter();
        let styles = styles.map(|s| format!("{} style", self.emoji.index.styles[*s].name));
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

impl Session {
    /// Resolves a recipe that forgets a prompt; everything that can be wrong with it is found here.
    ///
    /// # Errors
    /// What is wrong with the request; cancelled.
    pub async fn prompt_setting(
        &mut self,
        recipe: &Recipe,
        job: &mut JobContext,
    ) -> Result<PromptSetting> {
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
        self.latent_network(&recipe.model)?.takes(emoji.index.side)?;
        let judge = self.emoji_judge(&recipe.model)?;
        let start = self.meet_earlier(recipe, job).await?;
        let model = self.latent(&start)?;
        let known = model.known(emoji.index.concepts.len());
        let options = recipe.sampling.unwrap_or_else(|| preview(recipe.seed, recipe.budget));
        let Recipe { data, forget, seed, budget, .. } = recipe;
        let mut setting = PromptSetting {
            judge,
            target: Target::parse(&recipe.forget, &redirect, &emoji, known)?,
            emoji,
            known,
            pairs: Default::default(),
            earlier: Vec::new(),
            weights: LatentWeights::upload(&model, &self.device),
            items: Arc::default(),
            plan,
            size: sizes(recipe.budget),
            batch: recipe.budget.sizes().batch[2],
            options: SampleOptions { seed: recipe.seed, ..options },
            schedule: model.network.scheduler.schedule(),
            device: self.device.clone(),
            key: format!("{start}|{data}|{forget}|{seed}|{budget:?}|{options:?}"),
            spec: forget.clone(),
            model,
        };
        let [forget, mut retain] = setting.noising().pairs(known)?;
        for spec in setting.forgot_before(recipe) {
            let target = Target::parse(&spec, "null", &setting.emoji, known)?;
            let all = forget.iter().chain(&retain).copied();
            let gone = all.filter(|pair| target.named.covers(*pair)).collect();
            setting.earlier.push((spec, target, gone));
        }
        let gone = |pair: &Pair| setting.earlier.iter().any(|(_, t, _)| t.named.covers(*pair));
        retain.retain(|pair| !gone(pair));
        if retain.is_empty() {
            let right = "nothing would be left to keep beside what was forgotten before";
            return Err(Error::argument("forget set", &recipe.forget, right));
        }
        setting.pairs = [forget, retain];
        Ok(setting)
    }

    /// The latents of the forget set and of the retain set; made once.
    ///
    /// # Errors
    /// What is wrong with the request; cancelled.
    pub async fn items(
        &mut self,
        setting: &PromptSetting,
        job: &mut JobContext,
    ) -> Result<Arc<[Items; 2]>> {
        if let Some(items) = self.store.get(&setting.key) {
            return Ok(items);
        }
        let PromptSetting { model, weights, emoji, pairs, size, options, device, .. } = setting;
        job.phase("Encoding pictures", size.items.iter().sum());
        let of = async |at: usize, purpose, job: &mut JobContext| {
            let seed = (options.seed, purpose);
            Items::of_pairs(model, emoji, &pairs[at], size.items[at], seed, device, job).await
        };
        let retain = of(1, "retain items", job).await?;
        let forget = if pairs[0].is_empty() {
            let n = size.items[0].min(32);
            job.phase("Sampling what is to be forgotten", n * options.steps);
            let prompt = &setting.target.prompt;
            Items::of_prompt(&model.network, weights, prompt, n, options, job).await?
        } else {
            of(0, "forget items", job).await?
        };
        Ok(self.store.put(&setting.key, [forget, retain]))
    }
}

/// How pictures of prompts are sampled, unless a recipe says otherwise.
pub fn preview(seed: u64, budget: Budget) -> SampleOptions {
    let steps = sizes(budget).sampler;
    SampleOptions { steps, guidance: GUIDANCE, seed, ..SampleOptions::default() }
}
