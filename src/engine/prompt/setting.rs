//! What a prompt's recipe comes to: model, judge, corpus, sizes; and the latents it trains on.

use std::{path::Path, sync::Arc};

use burn::tensor::Device;

use crate::{
    data::{
        emoji::{self, Emoji, Pair, target::Target},
        forget,
    },
    diffusion::schedule::Schedule,
    engine::session::Session,
    error::{Error, Result},
    job_context::JobContext,
    models::{Model, latent::LatentModel, registry, weights::Weights},
    saliency::{score::Scoring, scores::Scores},
    sampling::latent::LatentWeights,
    subject::{
        Subject,
        items::{Items, Noising},
        prompts::Prompts,
    },
    unlearn::{plan::Plan, scope::Scope},
    words::{budget::Budget, recipe::Recipe, sampling::SampleOptions},
};

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
    pub size: Sizes,
    /// Items in an update.
    pub batch: usize,
    pub options: SampleOptions,
    schedule: Schedule,
    device: Device,
    /// What caches know the request by.
    key: String,
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

    /// What is made to forget, where the text encoder's weights are.
    pub fn subject(&self, sets: Arc<[Items; 2]>, text: Weights) -> Subject {
        let device = text.device();
        Subject::Diffusion(Box::new(Prompts {
            network: self.model.network.clone(),
            text,
            emoji: self.emoji.clone(),
            target: self.target.clone(),
            schedule: self.schedule.clone(),
            sets,
            device,
        }))
    }

    /// What caches know the pictures of the unchanged model by.
    pub fn key(&self) -> String {
        format!("{}|{:?}", self.key, self.options)
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
    pub fn prompt_setting(&mut self, recipe: &Recipe) -> Result<PromptSetting> {
        recipe.check()?;
        if let Some(earlier) = recipe.after.first() {
            let right = "a request to forget a prompt follows no other";
            return Err(Error::argument("after", &earlier.forget, right));
        }
        let other =
            registry::shipped(&recipe.model).is_some() || Path::new(&recipe.model).is_file();
        if other && !registry::is_latent(&recipe.model) {
            // What cannot be opened says by itself what it is.
            registry::open(&recipe.model)?;
            let right = format!("{} takes no prompts; write class:NAME", recipe.model);
            return Err(Error::argument("forget set", &recipe.forget, right));
        }
        Plan::new(recipe, Scope::of_prompts([0, 0]))?;
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
        let model = self.latent(&recipe.model)?;
        if let Some(earlier) = model.card.as_ref().and_then(|card| card.unlearned.first()) {
            return Err(Error::Request(format!(
                "{} was made to forget {} before and would be taught it again; a text-to-image \
                 model takes one request",
                recipe.model,
                forget::brief(earlier)
            )));
        }
        let known = model.known(emoji.index.concepts.len());
        let target = Target::parse(&recipe.forget, &redirect, &emoji, known)?;
        let judge = self.emoji_judge(&recipe.model)?;
        let size = sizes(recipe.budget);
        let options = recipe.sampling.unwrap_or_else(|| preview(recipe.seed, recipe.budget));
        let schedule = model.network.scheduler.schedule();
        let device = self.device.clone();
        let Recipe { model: name, data, forget, seed, budget, .. } = recipe;
        let key = format!("{name}|{data}|{forget}|{seed}|{budget:?}|{options:?}");
        let mut setting = PromptSetting {
            model,
            judge,
            emoji,
            target,
            known,
            pairs: Default::default(),
            size,
            batch: recipe.budget.sizes().batch[2],
            options: SampleOptions { seed: recipe.seed, ..options },
            schedule,
            device,
            key,
        };
        setting.pairs = setting.noising().pairs(known)?;
        Ok(setting)
    }

    /// The latents of the forget set and of the retain set; those of the latest request are kept.
    pub async fn items(
        &mut self,
        setting: &PromptSetting,
        weights: &LatentWeights,
        job: &mut JobContext,
    ) -> Result<Arc<[Items; 2]>> {
        if let Some((_, items)) = self.items.as_ref().filter(|(key, _)| *key == setting.key) {
            return Ok(items.clone());
        }
        let PromptSetting { model, emoji, pairs, size, options, device, .. } = setting;
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
        let items = Arc::new([forget, retain]);
        self.items = Some((setting.key.clone(), items.clone()));
        Ok(items)
    }

    /// The scores that a prompt's mask is cut from; computed once. `early` is shown first guesses.
    pub async fn rank_prompt(
        &mut self,
        recipe: &Recipe,
        setting: &PromptSetting,
        items: &Arc<[Items; 2]>,
        weights: &LatentWeights,
        job: &mut JobContext,
        early: &mut dyn FnMut(Scores),
    ) -> Result<Arc<Scores>> {
        let scope = Scope::of_prompts(items.each_ref().map(Items::len));
        let Plan { estimator, scored: [scored, beside], .. } = Plan::new(recipe, scope)?;
        let subject = setting.subject(items.clone(), weights.text.clone());
        let of = Scoring {
            subject: &subject,
            original: &setting.model.unet,
            weights: Some(&weights.unet),
            forget: &recipe.forget,
            items: &scored,
            retain: &beside,
            seed: recipe.seed,
        };
        self.ranked(&setting.key, estimator, &of, job, early).await
    }
}

/// How pictures of prompts are sampled, unless a recipe says otherwise.
pub fn preview(seed: u64, budget: Budget) -> SampleOptions {
    let steps = sizes(budget).sampler;
    SampleOptions { steps, guidance: GUIDANCE, seed, ..SampleOptions::default() }
}
