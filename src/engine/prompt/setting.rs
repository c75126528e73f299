//! What a prompt's recipe comes to: model, judge, corpus, sizes; and the latents it trains on.

use std::{path::Path, sync::Arc};

use super::Jury;
use crate::data::corpus;
use crate::data::corpus::{Pair, Target};
use crate::data::{seeded, shuffled};
use crate::engine::fit::{listed, unchanged};
use crate::engine::measure::sampling;
use crate::engine::{Asked, Work};
use crate::error::{Error, Result};
use crate::job_context::JobContext;
use crate::models::latent::LatentModel;
use crate::models::{HostWeights, Weights, registry};
use crate::sampling::LatentWeights;
use crate::subject::{Items, Noising};
use crate::unlearn::{Plan, Scope};
use crate::words::{AttackKind, Budget, Forgotten, Recipe, Redirect, SampleOptions, Task, sha256};

/// What a budget sets for prompts.
#[derive(Debug, Clone, Copy)]
pub struct Sizes {
    /// Latents of the forget set and of the retain set.
    pub items: [usize; 2],
    /// Pictures of each prompt of the pane.
    pub columns: usize,
    /// Looks at the pane while it trains, after the first early one.
    pub previews: usize,
    /// Concepts that an opened model shows.
    pub shown: usize,
    /// Pictures of each way that an attack tries, and updates of what it learns.
    pub attacked: [usize; 2],
}

/// The sizes of a budget.
pub fn sizes(budget: Budget) -> Sizes {
    let (items, columns, previews, shown, attacked) = match budget {
        Budget::Tiny => ([16, 16], 2, 1, 4, [4, 4]),
        Budget::Brief => ([64, 96], 4, 2, 8, [16, 80]),
        Budget::Quick => ([192, 256], 4, 3, 8, [16, 80]),
        Budget::Full => ([1024, 2048], 4, 3, 8, [64, 300]),
    };
    Sizes { items, columns, previews, shown, attacked }
}

/// A recipe that forgets a prompt, resolved.
pub struct PromptSetting {
    pub asked: Asked,
    pub model: Arc<LatentModel>,
    pub jury: Jury,
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

    /// Whether attacks can be told from failures: pictures of the forgotten, and a judge that knows something of it.
    pub fn attackable(&self) -> bool {
        let forgotten = &self.noising.target.named.concepts;
        let knows = match &self.jury {
            Jury::Emoji(_) => true,
            Jury::Named(judge, _) => forgotten.iter().any(|c| judge.same(*c).is_some()),
            Jury::Nobody => false,
        };
        knows && !self.pairs[0].is_empty()
    }

    /// The attacks that can be tried: without pictures none is walked back to noise.
    pub fn attacks(&self) -> &'static [AttackKind] {
        if self.noising.corpus.has_pictures() { AttackKind::ALL } else { &[AttackKind::Prompt] }
    }

    /// How the prompt was read, for a person.
    pub fn notice(&self) -> String {
        let Noising { corpus, target: Target { prompt, named, .. }, .. } = &self.noising;
        let concepts = named.concepts.iter().map(|c| corpus.index.concepts[*c].name.clone());
        let styles = named.styles.iter();
        let styles = styles.map(|s| format!("{} style", corpus.index.styles[*s].name));
        let names: Vec<String> = concepts.chain(styles).collect();
        let listed = listed(&names);
        let mut said = match (names.as_slice(), self.pairs[0].len()) {
            ([], _) => "Names nothing that the model was shown: what it draws for these words is \
                        forgotten, and nobody can tell whether it is"
                .to_string(),
            (_, 0) => format!(
                "The model was never shown {listed}: what it draws for these words is forgotten"
            ),
            (_, n) if corpus.has_pictures() => {
                format!("Read as {listed}: {n} pictures of the corpus")
            }
            _ => format!("Read as {listed}: the model draws them by itself"),
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
        let Recipe { data, forget, redirect, seed, budget, .. } = recipe;
        let corpus = corpus::find(data)?;
        unchanged(recipe, corpus.fingerprint.as_ref())?;
        // What is wrong with the words is told before a model is looked for.
        let asked = Target::parse(forget, redirect, &corpus, usize::MAX)?;
        let other: Vec<String> = asked.strange().map(String::from).collect();
        let corpus = if other.is_empty() { corpus } else { corpus.with(&other).into() };
        self.session.latent_network(&recipe.model)?.is_coloured()?;
        let jury = self.session.jury(&recipe.model, &corpus)?;
        let start = self.meet_earlier(recipe).await?;
        let model = self.session.latent(&start)?;
        let notes = model.network.notes.iter().chain(&corpus.notes);
        notes.for_each(|note| self.job.note(note));
        let known = model.known(&corpus);
        let size = sizes(*budget);
        let steps = budget.sizes().sampler[Task::TextToImage as usize];
        let options = sampling(recipe, steps);
        let noising = Noising {
            network: model.network.clone(),
            target: Target::parse(forget, redirect, &corpus, known)?,
            corpus,
            schedule: model.network.scheduler.schedule(),
            device: self.session.device.clone(),
        };
        let [forgotten, mut retain] = noising.pairs(known)?;
        let mut earlier = Vec::new();
        for spec in forgot_before(&model, recipe) {
            let target = Target::parse(&spec, &Redirect::Null, &noising.corpus, known)?;
            let all = forgotten.iter().chain(&retain).copied();
            let gone = all.filter(|pair| target.covers(*pair)).collect();
            earlier.push((spec, target, gone));
        }
        let gone = |pair: &Pair| earlier.iter().any(|(_, t, _)| t.covers(*pair));
        retain.retain(|pair| !gone(pair));
        if retain.is_empty() {
            let right = "nothing would be left to keep beside what was forgotten before";
            return Err(Error::argument("forget set", forget, right));
        }
        let fingerprint = noising.corpus.fingerprint.clone();
        let content = fingerprint.as_ref().map(|print| &print.sha256);
        Ok(PromptSetting {
            asked: Asked {
                plan,
                key: format!("{start}|{data}|{content:?}|{forget}|{seed}|{budget:?}|{options:?}"),
                forget: Forgotten { spec: forget.clone(), n: 0 },
                recipe: Recipe { fingerprint, ..recipe.clone() },
            },
            jury,
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
        let corpus = &noising.corpus;
        let network = &noising.network;
        let by = (
            setting.model.parts().map(HostWeights::hash),
            (&network.text.config, &network.unet.config, &network.vae.config, &network.scheduler),
            self.session.info.label(),
            env!("CARGO_PKG_VERSION"),
        );
        let drawn = async |prompts: &[String], n: usize, job: &mut JobContext| {
            job.phase("Drawing what there are no pictures of", n * options.steps);
            let ids: Vec<_> = prompts.iter().map(|p| network.tokenizer.encode(p).ids).collect();
            let key = sha256(format!("{by:?} {n} {options:?} {prompts:?} {ids:?}"));
            Items::of_prompts(weights, prompts, n, options, &key, job).await
        };
        let of = async |at: usize, n: usize, purpose, job: &mut JobContext| {
            if corpus.has_pictures() {
                job.phase("Encoding pictures", n);
                let seed = (options.seed, purpose);
                return Items::of_pairs(weights, corpus, &pairs[at], n, seed, job).await;
            }
            let all = &pairs[at];
            if n < all.len() {
                job.note(format!("{n} of {} prompts are drawn, at random", all.len()));
            }
            let order = shuffled(&mut seeded(options.seed, purpose), all.len());
            let captions: Vec<String> = order.iter().map(|&i| corpus.caption(all[i])).collect();
            drawn(&captions, n, job).await
        };
        let make = async |work: &mut Work<'_>| {
            let [n, kept] = size.items;
            let retain = of(1, kept, "retain items", work.job).await?;
            let parts = noising.target.parts.len();
            let unknown = noising.target.unknown(&pairs[0]);
            // Each prompt has its share.
            let strange = if pairs[0].is_empty() { n.min(32) } else { n * unknown.len() / parts };
            let forget = match unknown.is_empty() {
                true => of(0, n, "forget items", work.job).await?,
                false => {
                    let shown = if pairs[0].is_empty() { 0 } else { n - strange };
                    let shown = of(0, shown, "forget items", work.job).await?;
                    shown.and(drawn(&unknown, strange, work.job).await?)
                }
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
