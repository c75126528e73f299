//! What the engine remembers between jobs, and the job table.

use std::{collections::HashMap, path::Path, sync::Arc};

use burn::tensor::Device;

use super::fit::{fitted, settled};
use super::request::{Client, Request};
use super::requests::Adopted;
use super::store::Store;
use super::{Event, Job, Outcome, Send, requests};
use crate::data::{Dataset, ForgetSet, Split, by_loss};
use crate::error::{Error, Result};
use crate::eval::Evaluator;
use crate::gpu::{Compute, DeviceInfo};
use crate::job_context::{JobContext, Switches};
use crate::models::latent::LatentModel;
use crate::models::{Model, Shipped, checkpoint, registry};
use crate::saliency::{Scores, Scoring, rank};
use crate::unlearn::{Local, Plan, Scope};
use crate::words::{Estimator, Fingerprint, Metrics, Recipe};
use crate::{assets, data};

/// The device, the models and what was measured of them.
pub struct Session {
    pub device: Device,
    pub info: DeviceInfo,
    pub switches: Switches,
    pub models: HashMap<String, Arc<Model>>,
    pub adopted: Adopted,
    /// Metrics of the Retrains that were made here: to find them out again is a whole training.
    pub(super) retrained: HashMap<String, Metrics>,
    /// What was found out about models that no job changes.
    pub(super) store: Store,
    /// What folders of pictures were when they were last looked at.
    folders: HashMap<String, Fingerprint>,
    /// What the files of opened text-to-image models were.
    pub(super) stamps: HashMap<String, Vec<registry::Stamp>>,
    /// Text-to-image models.
    pub(super) latents: HashMap<String, Arc<LatentModel>>,
}

/// A recipe's model, data and forget set.
pub struct Setting {
    pub model: Arc<Model>,
    pub data: Arc<Dataset>,
    pub split: Split,
    pub set: ForgetSet,
    pub plan: Plan,
    /// What caches know scores for it by.
    pub key: String,
}

impl Session {
    /// A session on a device.
    pub fn new(compute: &Compute, switches: Switches) -> Self {
        Self {
            device: compute.device.clone(),
            info: compute.info.clone(),
            switches,
            models: HashMap::new(),
            folders: HashMap::new(),
            adopted: HashMap::new(),
            stamps: HashMap::new(),
            retrained: HashMap::new(),
            latents: HashMap::new(),
            store: Store::default(),
        }
    }

    /// Runs one job. Boxed, because an async function is compiled once more in every part of the
    /// program that awaits it, and on this one hang all the others.
    ///
    /// # Errors
    /// What is wrong with the request, or happened on the way; cancelled.
    pub fn run<'a>(
        &'a mut self,
        id: u64,
        asked: Job,
        send: &'a Send,
        job: &'a mut JobContext,
    ) -> Local<'a, Result<Outcome>> {
        Box::pin(async move {
            assets::fetch(&needed(&asked), job).await?;
            Ok(match asked {
                Job::Import { name, bytes, seed, budget } => {
                    let model = checkpoint::decode(&bytes, Path::new(&name))?;
                    self.replace(&name, model);
                    Outcome::Opened(Arc::new(
                        self.open(&name, seed, budget, job, &mut |_| {}).await?,
                    ))
                }
                Job::Open { model, seed, budget } => {
                    self.look_again(&model)?;
                    let mut rough = |opened| send(Event::Rough { id, opened: Arc::new(opened) });
                    let opened = self.open(&model, seed, budget, job, &mut rough).await?;
                    Outcome::Opened(Arc::new(opened))
                }
                Job::Adopt { run, seed, budget } => {
                    Outcome::Opened(Arc::new(self.adopt(&run, seed, budget, job).await?))
                }
                Job::Train { request, resume } => {
                    Outcome::Trained(Arc::new(self.train(id, request, resume, send, job).await?))
                }
                Job::Rank(recipe) => {
                    Outcome::Ranked(self.rank_request(&recipe, Client { id, send }, job).await?)
                }
                Job::Overlap { recipe, by, seeds } => {
                    Outcome::Overlapped(self.overlap(&recipe, by, seeds, job).await?.into())
                }
                Job::Unlearn(recipe) => {
                    let run = self.unlearn(recipe, Client { id, send }, job).await?;
                    Outcome::Unlearned(Arc::new(run))
                }
                Job::Browse { model, data } => {
                    Outcome::Browsed(Arc::new(self.training_set(model, data)?))
                }
                Job::Evaluate { model, recipe } => {
                    let setting = self.setting_of(model, &recipe, job).await?;
                    let model = setting.model.clone();
                    let weights = model.weights.upload(&self.device);
                    let measured = self.measure(&model, &weights, &setting, &recipe, job).await?;
                    Outcome::Measured(measured.metrics)
                }
                Job::Audit { model, recipe, retrain } => Outcome::Audited(Box::new(
                    self.measure_and_audit(model, &recipe, retrain, job).await?,
                )),
                Job::Sample { model, class, n, options } => {
                    Outcome::Sampled(Arc::new(self.sample(&model, class, n, options, job).await?))
                }
                Job::Prompt(request) => {
                    Outcome::Sampled(Arc::new(self.sample_prompts(request, job).await?))
                }
                Job::Survey { model, concepts, n, options } => Outcome::Surveyed(Box::new(
                    self.survey(&model, concepts, n, options, job).await?,
                )),
                Job::Attack { model, recipe, attacks } => Outcome::Attacked(Box::new(
                    self.attack_prompt(&model, &recipe, &attacks, job).await?,
                )),
            })
        })
    }

    /// Resolves a recipe; everything that can be wrong with a request is found here.
    ///
    /// # Errors
    /// What is wrong with the request; cancelled.
    pub async fn setting(&mut self, recipe: &Recipe, job: &mut JobContext) -> Result<Setting> {
        recipe.check()?;
        let model = self.start(recipe, job).await?;
        self.setting_of(model, recipe, job).await
    }

    /// The same with another model in the place of the one that the recipe starts from.
    ///
    /// # Errors
    /// What is wrong with the request; cancelled.
    pub async fn setting_of(
        &mut self,
        model: Arc<Model>,
        recipe: &Recipe,
        job: &mut JobContext,
    ) -> Result<Setting> {
        let data = data::open(&recipe.data)?;
        self.notice(&data);
        let (model, data) = fitted(model, data, recipe, job)?;
        let split = data.split(model.card.split_seed);
        let losses = if by_loss(&recipe.forget) {
            // A wrong request is refused before the losses are taken: any will do for that.
            let any = vec![0.0; data.train.len()];
            ForgetSet::select(&recipe.forget, &data, &split, recipe.seed, Some(&any))?;
            Some(self.losses(recipe, &data, &split, job).await?)
        } else {
            None
        };
        let losses = losses.as_ref().map(|losses| &losses[..]);
        let set = ForgetSet::select(&recipe.forget, &data, &split, recipe.seed, losses)?
            .after(requests::recall(&model.card, &data, &split)?)?;
        let architecture = &model.card.architecture;
        let scope = Scope::of_classes(architecture, &data, &set, &recipe.redirect)?;
        let mut plan = Plan::new(recipe, scope)?;
        plan.as_trained(&model.card, recipe, split.train.len());
        let Recipe { budget, seed, .. } = recipe;
        let key = format!("{}|{}|{}|{budget:?}|{seed}", recipe.start(), recipe.data, set.spec);
        Ok(Setting { model, data, split, set, plan, key })
    }

    /// Forgets what was found on a folder of pictures that has changed since.
    fn notice(&mut self, data: &Dataset) {
        let Some(now) = &data.fingerprint else { return };
        let then = self.folders.insert(data.name.clone(), now.clone());
        if then.is_some_and(|then| then != *now) {
            self.store.clear();
            self.retrained.clear();
        }
    }

    /// The loss of the model that a recipe starts from on every training picture; once.
    async fn losses(
        &mut self,
        recipe: &Recipe,
        data: &Dataset,
        split: &Split,
        job: &mut JobContext,
    ) -> Result<Arc<Vec<f32>>> {
        let key = (recipe.start(), &recipe.data);
        if let Some(losses) = self.store.get(&key) {
            return Ok(losses);
        }
        let model = settled(self.start(recipe, job).await?, data, recipe, job);
        let net = model.classifier().ok_or_else(|| {
            let right = "only a classifier has a loss for each picture; write class:NAME";
            Error::argument("forget set", &recipe.forget, right)
        })?;
        let weights = model.weights.upload(&self.device);
        job.phase("Losses", split.train.len());
        let asked = Evaluator { net, weights: &weights };
        let found = asked.losses(&data.train, &split.train, job).await?;
        let mut losses = vec![0.0; data.train.len()];
        split.train.iter().zip(found).for_each(|(&i, loss)| losses[i] = loss);
        Ok(self.store.put(&key, losses))
    }

    /// The scores that a recipe's mask is cut from, in its estimator's order. Those of [`Estimator::base`] are
    /// computed once. `early` is shown first guesses.
    ///
    /// # Errors
    /// What is wrong with the request; cancelled.
    pub(super) async fn rank(
        &mut self,
        recipe: &Recipe,
        request: &Request,
        job: &mut JobContext,
        early: &mut dyn FnMut(Scores),
    ) -> Result<Arc<Scores>> {
        let plan = request.plan();
        let (estimator, base) = (plan.estimator, plan.estimator.base());
        let key = (request.key(), base);
        let scored = match self.store.get::<Scores>(&key) {
            Some(scores) => scores,
            None => {
                let of = Scoring {
                    subject: &request.subject(&self.device),
                    original: request.original(),
                    weights: &request.on(&self.device),
                    forget: request.spec(),
                    items: &plan.scored[0],
                    retain: &plan.scored[1],
                    seed: recipe.seed,
                };
                // A first guess in this order, or none: scores that are no numbers fail at the end.
                let mut ordered = |scores: Scores| {
                    scores.ordered(estimator).into_iter().for_each(&mut *early);
                };
                let scores = rank(base, &of, &self.device, job, &mut ordered).await?;
                // Only the latest keeps its scores on the GPU, too.
                self.store.all::<Scores>().for_each(|old| old.resident.release());
                match base.looks() {
                    true => self.store.put(&key, scores),
                    false => Arc::new(scores),
                }
            }
        };
        Ok(match estimator {
            Estimator::Inverted | Estimator::LayerBalanced => {
                Arc::new(Scores::clone(&scored).ordered(estimator)?)
            }
            _ => scored,
        })
    }

    /// Resolves a recipe; everything that can be wrong with a request is found here.
    ///
    /// # Errors
    /// What is wrong with it; cancelled.
    pub(super) async fn resolve(
        &mut self,
        recipe: &Recipe,
        job: &mut JobContext,
    ) -> Result<Request> {
        Ok(match recipe.names_prompt() {
            true => Request::Prompts(Box::new(self.prompt_setting(recipe, job).await?)),
            false => Request::Classes(Box::new(self.setting(recipe, job).await?)),
        })
    }

    /// Prepares a request and scores the weights for it.
    ///
    /// # Errors
    /// Cancelled, or the device failed.
    pub(super) async fn rank_request(
        &mut self,
        recipe: &Recipe,
        on: Client<'_>,
        job: &mut JobContext,
    ) -> Result<Arc<Scores>> {
        let mut request = self.resolve(recipe, job).await?;
        request.introduce(self, on, job).await?;
        request.prepare(self, recipe, job).await?;
        let Client { id, send } = on;
        let mut early = |ranking| send(Event::Early { id, ranking: Arc::new(ranking) });
        let scores = self.rank(recipe, &request, job, &mut early).await?;
        if let Request::Classes(of) = &request
            && let Some(twin) = twin(recipe, of).filter(|_| job.wants_previews())
        {
            let (forget, grid) =
                (of.set.spec.clone(), self.twin_grid(twin, of, recipe, job).await?);
            send(Event::Retrain { id, forget, grid });
        }
        Ok(scores)
    }
}

/// The shipped Retrain twin for a request; it was trained without this forget set only.
pub(super) fn twin(recipe: &Recipe, setting: &Setting) -> Option<&'static Shipped> {
    registry::twin(&recipe.model, &setting.set.spec).filter(|_| setting.set.earlier.is_empty())
}

/// The files that a job reads: a page fetches them when they are needed.
fn needed(job: &Job) -> Vec<&'static str> {
    // A model that is not shipped is judged by the classifier of the only shipped data.
    let data_of = |model: &str| registry::shipped(model).map_or(data::NAMES[0], |s| s.data);
    match job {
        Job::Open { model, .. } => {
            let shown = registry::shipped(model).and_then(|s| s.task.shows());
            let shown = shown.map_or(&[][..], |part| data::files(data_of(model))[part]);
            [&registry::files(model, data_of(model), ""), shown].concat()
        }
        // Which of both it is will be seen once it is read.
        Job::Import { .. } => {
            let shipped = data::NAMES[0];
            [&registry::files("", shipped, ""), data::files(shipped)[0]].concat()
        }
        Job::Train { request, .. } => data::files(&request.data).concat(),
        // Its data are there since it was run.
        Job::Adopt { .. } => Vec::new(),
        Job::Rank(recipe)
        | Job::Overlap { recipe, .. }
        | Job::Unlearn(recipe)
        | Job::Evaluate { recipe, .. }
        | Job::Attack { recipe, .. }
        | Job::Audit { recipe, .. } => {
            let models = registry::files(&recipe.model, &recipe.data, &recipe.forget);
            [models, data::files(&recipe.data).concat()].concat()
        }
        Job::Browse { model, data } => {
            [registry::files(model, data, ""), data::files(data).concat()].concat()
        }
        Job::Sample { model, .. } | Job::Survey { model, .. } => {
            registry::files(model, data_of(model), "")
        }
        Job::Prompt(_) => Vec::new(),
    }
}
