//! What the engine remembers between jobs, and the job table.

use std::{collections::HashMap, path::Path, sync::Arc};

use burn::tensor::Device;

use super::{
    Send,
    fit::{fitted, settled},
    job::{Event, Grid, Job, Outcome},
    measure::Measured,
    requests::{self, Adopted},
};
use crate::{
    assets,
    data::{
        self, Dataset, Split,
        forget::{ForgetSet, by_loss},
    },
    error::{Error, Result},
    eval::{self, examine::Examined, frechet, references::References},
    gpu::device::{Compute, DeviceInfo},
    job_context::{JobContext, Switches},
    models::{
        Model, checkpoint,
        latent::LatentModel,
        registry::{self, Shipped},
    },
    saliency::{
        score::{Scoring, rank},
        scores::Scores,
    },
    subject::{Subject, items::Items},
    unlearn::{hooks::Local, plan::Plan},
    words::{
        estimator::Estimator, fingerprint::Fingerprint, recipe::Recipe, report::Metrics, task::Task,
    },
};

/// Scores that are remembered: half a gibibyte.
const MOST_SCORES: usize = 1 << 27;

/// The device, the models and what was measured of them.
pub struct Session {
    pub device: Device,
    pub info: DeviceInfo,
    pub switches: Switches,
    pub models: HashMap<String, Arc<Model>>,
    pub adopted: Adopted,
    pub(super) judges: HashMap<String, Arc<Model>>,
    pub(super) rankings: HashMap<String, Arc<Scores>>,
    /// What shipped Retrain twins show.
    pub(super) twins: HashMap<String, Arc<Grid>>,
    /// Of the Retrains that were made here.
    pub(super) retrained: HashMap<String, Metrics>,
    /// Losses of original models on the training pictures.
    pub(super) losses: HashMap<String, Arc<Vec<f32>>>,
    /// What unchanged models do: the original, measured once for all methods, and Retrain.
    pub(super) measured: HashMap<String, Measured>,
    /// What an audit found in them, and the reference models of its attacks.
    pub(super) examined: HashMap<String, Arc<Examined>>,
    pub(super) references: HashMap<String, Arc<References>>,
    /// What folders of pictures were when they were last looked at.
    folders: HashMap<String, Fingerprint>,
    /// Real pictures that generated ones are compared with.
    pub(super) real: HashMap<String, Arc<frechet::Reference>>,
    /// Text-to-image models, and the latents that the latest request to one trains on.
    pub(super) latents: HashMap<String, Arc<LatentModel>>,
    pub(super) items: Option<(String, Arc<[Items; 2]>)>,
    /// What unchanged ones make of a request's prompts, and their metrics.
    pub(super) panes: HashMap<String, Arc<Grid>>,
    pub(super) prompts: HashMap<String, Metrics>,
}

/// A recipe's model, data and forget set.
pub struct Setting {
    pub model: Arc<Model>,
    pub data: Arc<Dataset>,
    pub split: Split,
    pub set: ForgetSet,
    pub plan: Plan,
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
            judges: HashMap::new(),
            rankings: HashMap::new(),
            twins: HashMap::new(),
            retrained: HashMap::new(),
            losses: HashMap::new(),
            measured: HashMap::new(),
            examined: HashMap::new(),
            references: HashMap::new(),
            real: HashMap::new(),
            latents: HashMap::new(),
            items: None,
            panes: HashMap::new(),
            prompts: HashMap::new(),
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
                    let opened = match registry::is_latent(&model) {
                        true => self.open_latent(&model, seed, budget, job, &mut rough).await?,
                        false => self.open(&model, seed, budget, job, &mut rough).await?,
                    };
                    Outcome::Opened(Arc::new(opened))
                }
                Job::Adopt { run, seed, budget } => {
                    Outcome::Opened(Arc::new(self.adopt(&run, seed, budget, job).await?))
                }
                Job::Train { request, resume } => {
                    Outcome::Trained(Arc::new(self.train(id, request, resume, send, job).await?))
                }
                Job::Rank(recipe) if recipe.forget.starts_with("prompt:") => {
                    Outcome::Ranked(self.rank_prompts(id, &recipe, send, job).await?)
                }
                Job::Rank(recipe) => {
                    let setting = self.setting(&recipe, job).await?;
                    let mut early = |ranking| {
                        send(Event::Early { id, ranking: Arc::new(ranking) });
                    };
                    let ranking = self.rank(&recipe, &setting, job, &mut early).await?;
                    if let Some(twin) = twin(&recipe, &setting).filter(|_| job.wants_previews()) {
                        let forget = setting.set.spec.clone();
                        let grid = self.twin_grid(twin, &setting, &recipe, job).await?;
                        send(Event::Retrain { id, forget, grid });
                    }
                    Outcome::Ranked(ranking)
                }
                Job::Overlap { recipe, by, seeds } => {
                    Outcome::Overlapped(self.overlap(&recipe, by, seeds, job).await?.into())
                }
                Job::Unlearn(recipe) if recipe.forget.starts_with("prompt:") => {
                    Outcome::Unlearned(Arc::new(self.unlearn_prompt(id, recipe, send, job).await?))
                }
                Job::Unlearn(recipe) => {
                    Outcome::Unlearned(Arc::new(self.unlearn(id, recipe, send, job).await?))
                }
                Job::Browse { model, data } => Outcome::Browsed(Arc::new(self.shelf(model, data)?)),
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
    pub async fn setting(&mut self, recipe: &Recipe, job: &mut JobContext) -> Result<Setting> {
        recipe.check()?;
        let model = self.start(recipe, job).await?;
        self.setting_of(model, recipe, job).await
    }

    /// The same with another model in the place of the one that the recipe starts from.
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
        let mut plan = Plan::new(recipe, &model.card.architecture, &data, &set)?;
        plan.as_trained(&model.card, recipe, split.train.len());
        Ok(Setting { model, data, split, set, plan })
    }

    /// Forgets what was found on a folder of pictures that has changed since.
    fn notice(&mut self, data: &Dataset) {
        let Some(now) = &data.fingerprint else { return };
        let then = self.folders.insert(data.name.clone(), now.clone());
        if then.is_some_and(|then| then != *now) {
            self.rankings.clear();
            self.retrained.clear();
            self.losses.clear();
            self.measured.clear();
            self.examined.clear();
            self.references.clear();
            self.real.clear();
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
        let key = format!("{}|{}", recipe.start(), recipe.data);
        if let Some(losses) = self.losses.get(&key) {
            return Ok(losses.clone());
        }
        let model = settled(self.start(recipe, job).await?, data, recipe, job);
        let net = model.classifier().ok_or_else(|| {
            let right = "only a classifier has a loss for each picture; write class:NAME";
            Error::argument("forget set", &recipe.forget, right)
        })?;
        let weights = model.weights.upload(&self.device);
        let device = self.device.clone();
        job.phase("Losses", split.train.len());
        let found =
            eval::classify::losses(net, &weights, &data.train, &split.train, &device, job).await?;
        let mut losses = vec![0.0; data.train.len()];
        split.train.iter().zip(found).for_each(|(&i, loss)| losses[i] = loss);
        let losses = Arc::new(losses);
        self.losses.insert(key, losses.clone());
        Ok(losses)
    }

    /// The scores that a recipe's mask is cut from; computed once. `early` is shown first guesses.
    pub async fn rank(
        &mut self,
        recipe: &Recipe,
        setting: &Setting,
        job: &mut JobContext,
        early: &mut dyn FnMut(Scores),
    ) -> Result<Arc<Scores>> {
        let Setting { model, data, set, plan, .. } = setting;
        let key = format!(
            "{}|{}|{}|{:?}|{}",
            recipe.start(),
            recipe.data,
            set.spec,
            recipe.budget,
            recipe.seed,
        );
        let subject = Subject::of_classes(model, data.clone(), plan.redirect.clone(), &self.device);
        let of = Scoring {
            subject: &subject,
            original: &model.weights,
            weights: None,
            forget: &set.spec,
            items: &plan.score,
            retain: &plan.beside(&set.retain),
            seed: recipe.seed,
        };
        self.ranked(&key, plan.estimator, &of, job, early).await
    }

    /// Scores in an estimator's order. Those of [`Estimator::base`] are computed once and kept as `key`.
    pub(super) async fn ranked(
        &mut self,
        key: &str,
        estimator: Estimator,
        of: &Scoring<'_>,
        job: &mut JobContext,
        early: &mut dyn FnMut(Scores),
    ) -> Result<Arc<Scores>> {
        let base = estimator.base();
        let key = format!("{key}|{}", base.name());
        let scored = match self.rankings.get(&key) {
            Some(ranking) => ranking.clone(),
            None => {
                // A first guess in this order, or none: scores that are no numbers fail at the end.
                let mut ordered = |ranking: Scores| {
                    ranking.ordered(estimator).into_iter().for_each(&mut *early);
                };
                let ranking = rank(base, of, &self.device, job, &mut ordered).await?;
                let ranking = Arc::new(ranking);
                if base.looks() {
                    self.keep_scores(key, ranking.clone());
                }
                ranking
            }
        };
        Ok(match estimator {
            Estimator::Inverted | Estimator::LayerBalanced => {
                Arc::new(Scores::clone(&scored).ordered(estimator)?)
            }
            _ => scored,
        })
    }

    /// Keeps scores for later jobs.
    pub(super) fn keep_scores(&mut self, key: String, ranking: Arc<Scores>) {
        // Only the latest keeps its scores on the GPU.
        self.rankings.values().for_each(|old| old.resident.release());
        // A table asks for many; they come back at the price of a pass.
        let kept: usize = self.rankings.values().map(|r| r.scores.len()).sum();
        if kept + ranking.scores.len() > MOST_SCORES {
            self.rankings.clear();
        }
        self.rankings.insert(key, ranking);
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
            let shown = registry::shipped(model).map_or(&[][..], |s| match s.task {
                Task::Classify => data::files(s.data)[0],
                Task::Generate => &[],
                Task::TextToImage => data::files(s.data)[1],
            });
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
