//! What the engine remembers between jobs, and the job table.

use std::{collections::HashMap, fmt::Debug, path::Path, sync::Arc};

use burn::tensor::Device;

use super::foreseen::Ahead;
use super::judges::Judges;
use super::requests::Adopted;
use super::store::{Kept, Store};
use super::{Asked, Beside, Event, Inspection, Job, Outcome, Request, Send, known, requests};
use crate::data::{Dataset, ForgetSet, Split, by_loss};
use crate::error::{Error, Result};
use crate::eval::{Evaluator, Shown};
use crate::gpu::{Compute, DeviceInfo};
use crate::job_context::{JobContext, Paces, Switches};
use crate::models::{AnyModel, Model, Said, Shipped, checkpoint, registry};
use crate::saliency::{Early, Scores, Scoring, rank};
use crate::unlearn::{Local, Plan, Scope};
use crate::words::{Estimator, Fingerprint, Forgotten, Metrics, Recipe};
use crate::{assets, data};

/// The device, the models and what was measured of them.
pub struct Session {
    pub device: Device,
    pub info: DeviceInfo,
    pub switches: Switches,
    pub models: HashMap<String, AnyModel>,
    pub adopted: Adopted,
    /// How fast this machine was at each kind of work.
    pub paces: Paces,
    /// Metrics of the Retrains that were made here: to find them out again is a whole training.
    pub(super) retrained: HashMap<String, Metrics>,
    /// What was found out about models that no job changes.
    pub(super) store: Store,
    pub(super) judges: Judges,
    /// What folders of pictures were when they were last looked at.
    folders: HashMap<String, Fingerprint>,
    /// What the files of opened text-to-image models were.
    pub(super) stamps: HashMap<String, Vec<registry::Stamp>>,
}

/// A job at work.
pub struct Work<'a> {
    pub session: &'a mut Session,
    pub job: &'a mut JobContext,
    pub on: Client<'a>,
}

/// Who hears of a job, and by what number.
#[derive(Clone, Copy)]
pub struct Client<'a> {
    pub id: u64,
    pub send: &'a Send,
}

/// A recipe's model, data and forget set.
pub struct Setting {
    pub asked: Asked,
    pub model: Arc<Model>,
    pub data: Arc<Dataset>,
    pub split: Split,
    pub set: ForgetSet,
}

impl Session {
    /// A session on a device.
    pub fn new(compute: &Compute, switches: Switches) -> Self {
        Self {
            device: compute.device.clone(),
            info: compute.info.clone(),
            switches,
            models: HashMap::new(),
            judges: Judges::default(),
            folders: HashMap::new(),
            adopted: HashMap::new(),
            paces: Paces::default(),
            stamps: HashMap::new(),
            retrained: HashMap::new(),
            store: Store::default(),
        }
    }

    /// Goes on with another device, and the same models.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn go_on(&mut self, compute: &Compute) {
        (self.device, self.info) = (compute.device.clone(), compute.info.clone());
        self.paces = Paces::default();
        // Scores may lie on the device that was; whoever else holds them looks there no more.
        self.store.all::<Scores>().for_each(|scores| scores.resident.release());
        self.store.clear();
        self.judges = Judges::default();
    }

    /// Forgets what was found on a folder of pictures that has changed since.
    pub(super) fn notice(&mut self, data: &Dataset) {
        let Some(now) = &data.fingerprint else { return };
        let then = self.folders.insert(data.name.clone(), now.clone());
        if then.is_some_and(|then| then != *now) {
            self.store.clear();
            self.retrained.clear();
        }
    }
}

impl<'a> Work<'a> {
    /// Runs one job. Boxed, because an async function is compiled once more in every part of the
    /// program that awaits it, and on this one hang all the others.
    ///
    /// # Errors
    /// What is wrong with the request, or happened on the way; cancelled.
    pub fn run(mut self, asked: Job) -> Local<'a, Result<Outcome>> {
        Box::pin(async move {
            assets::fetch(&needed(&asked), self.job).await?;
            Ok(match asked {
                Job::Import { name, bytes, seed, budget } => {
                    let model = checkpoint::decode(&bytes, Path::new(&name))?;
                    self.session.replace(&name, model);
                    Outcome::Opened(self.open(&name, seed, budget).await?.into())
                }
                Job::Open { model, seed, budget } => {
                    self.session.look_again(&model)?;
                    Outcome::Opened(self.open(&model, seed, budget).await?.into())
                }
                Job::Adopt { run, seed, budget } => {
                    let name = self.session.keep(&run.recipe, run.model.clone());
                    Outcome::Opened(self.open(&name, seed, budget).await?.into())
                }
                Job::Train { request, resume } => {
                    Outcome::Trained(self.train(request, resume).await?.into())
                }
                Job::Rank(recipe) => Outcome::Ranked(self.rank_request(&recipe).await?),
                Job::Overlap { recipe, by, seeds } => {
                    Outcome::Overlapped(self.overlap(&recipe, by, seeds).await?.into())
                }
                Job::Unlearn(recipe) => {
                    Outcome::Unlearned(self.unlearn(&recipe, None).await?.into())
                }
                Job::UnlearnKept(recipe, state) => {
                    Outcome::Unlearned(self.unlearn(&recipe, Some(&state)).await?.into())
                }
                Job::Remember { recipe, past, model } => {
                    self.session.remember(&recipe, &past);
                    if let Some(model) = model {
                        self.session.keep(&recipe, model);
                    }
                    Outcome::Kept(recipe.protocol())
                }
                Job::Browse { model, data } => {
                    Outcome::Browsed(self.session.training_set(model, data)?.into())
                }
                Job::Evaluate { model, recipe } => {
                    Outcome::Measured(self.measured(model, &recipe).await?)
                }
                Job::Audit { model, recipe, retrain } => {
                    let audited = self.measure_and_audit(model, &recipe, retrain).await?;
                    Outcome::Audited(audited.into())
                }
                Job::Look { model, pictures, after } => {
                    Outcome::Looked(self.look_at(&model, &pictures, after).await?)
                }
                Job::Inspect(asked) => Outcome::Inspected(self.inspect(asked).await?),
                Job::Keep(mine) => Outcome::Kept(data::mine::keep(mine)?),
                Job::Learn { model, data, mine, seed, budget } => {
                    let name = self.learn(&model, &data, mine, seed).await?;
                    Outcome::Opened(self.open(&name, seed, budget).await?.into())
                }
                Job::Sample { model, class, n, options } => {
                    Outcome::Sampled(self.sample(&model, class, n, &options).await?.into())
                }
                Job::Prompt(request) => {
                    Outcome::Sampled(self.sample_prompts(request).await?.into())
                }
                Job::Survey { model, concepts, n, options } => {
                    Outcome::Surveyed(self.survey(&model, concepts, n, options).await?.into())
                }
                Job::Attack { model, recipe, attacks } => {
                    Outcome::Attacked(self.attack_prompt(&model, &recipe, &attacks).await?.into())
                }
                Job::Interpolate { model, recipe, strength } => {
                    Outcome::Interpolated(self.interpolated(&model, &recipe, strength).await?)
                }
                Job::Trace(request) => Outcome::Traced(self.traced(&request).await?.into()),
                Job::Export { model, recipe, protocol, mask, what } => {
                    let of = (&recipe, &*protocol);
                    let made = self.exported(&model, of, mask.as_ref(), what).await?;
                    Outcome::Exported(made.into())
                }
            })
        })
    }

    /// What is kept by a key, found out if nothing is.
    ///
    /// # Errors
    /// Those of finding it out.
    pub async fn once<T: Kept>(
        &mut self,
        key: &impl Debug,
        find: impl AsyncFnOnce(&mut Work<'_>) -> Result<T>,
    ) -> Result<Arc<T>> {
        if let Some(kept) = self.session.store.get(key) {
            return Ok(kept);
        }
        let found = find(self).await?;
        Ok(self.session.store.put(key, found))
    }

    /// Resolves a recipe for a classifier or a class-conditional diffusion model, which may be another than the
    /// one that the recipe starts from.
    ///
    /// # Errors
    /// What is wrong with the request; cancelled.
    pub async fn setting_of(&mut self, model: Arc<Model>, recipe: &Recipe) -> Result<Setting> {
        let data = data::open(&recipe.data)?;
        self.session.notice(&data);
        let (mut model, data) = self.fitted(model, data, recipe)?;
        let (_, said) = Said::of(&recipe.model)?;
        if model.card.judge.is_none() && said.judge.is_some() {
            // Of a run that is read again, its recipe names the judge.
            Arc::make_mut(&mut model).card.judge = said.judge;
        }
        let split = data.split(model.card.split_seed);
        let losses = if by_loss(&recipe.forget) {
            // A wrong request is refused before the losses are taken: any will do for that.
            let any = vec![0.0; data.train.len()];
            ForgetSet::select(&recipe.forget, &data, &split, recipe.seed, Some(&any))?;
            Some(self.losses(recipe, &data, &split).await?)
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
        let recipe = Recipe { fingerprint: data.fingerprint.clone(), ..recipe.clone() };
        let Recipe { budget, seed, .. } = recipe;
        let key = format!("{}|{}|{}|{budget:?}|{seed}", recipe.start(), recipe.data, set.spec);
        let forget = Forgotten { spec: set.spec.clone(), n: set.forget.len() };
        let asked = Asked { plan, forget, key, recipe };
        Ok(Setting { asked, model, data, split, set })
    }

    /// The loss of the model that a recipe starts from on every training picture; once.
    async fn losses(
        &mut self,
        recipe: &Recipe,
        data: &Dataset,
        split: &Split,
    ) -> Result<Arc<Vec<f32>>> {
        let key = (recipe.start(), &recipe.data);
        let find = async |work: &mut Work<'_>| {
            let model = work.start(recipe).await?;
            let model = work.settled(model, data, recipe);
            let net = model.classifier().ok_or_else(|| {
                let right = "only a classifier has a loss for each picture; write class:NAME";
                Error::argument("forget set", &recipe.forget, right)
            })?;
            let weights = model.weights.upload(&work.session.device);
            work.job.phase("Losses", split.train.len());
            let asked = Evaluator { net, weights: &weights };
            let found = asked.losses(Shown(&data.train, &split.train), work.job).await?;
            let mut losses = vec![0.0; data.train.len()];
            split.train.iter().zip(found).for_each(|(&i, loss)| losses[i] = loss);
            Ok(losses)
        };
        self.once(&key, find).await
    }

    /// The scores that a request's mask is cut from, in its estimator's order. Those of [`Estimator::base`] are
    /// computed once. Where `early` is set, first guesses are told.
    ///
    /// # Errors
    /// What is wrong with the request; cancelled.
    pub async fn rank(&mut self, request: &Request, early: bool) -> Result<Arc<Scores>> {
        let Asked { recipe, plan, key, forget } = request.asked();
        let (estimator, base) = (plan.estimator, plan.estimator.base());
        let key = (key, base);
        let scored = match self.session.store.get::<Scores>(&key) {
            Some(scores) => scores,
            None => {
                let (subject, weights) = request.on(&self.session.device);
                let of = Scoring {
                    subject: &subject,
                    original: request.original(),
                    weights: &weights,
                    forget: &forget.spec,
                    items: &plan.scored[0],
                    retain: &plan.scored[1],
                    seed: recipe.seed,
                };
                let Client { id, send } = self.on;
                let mut tell = |scores: Scores| {
                    // A first guess in this order, or none: scores that are no numbers fail at the end.
                    if let Ok(guess) = scores.ordered(estimator) {
                        send(Event::Early { id, ranking: Arc::new(guess) });
                    }
                };
                let tell = early.then_some(&mut tell as Early<'_>);
                let scores = rank(base, &of, self.job, tell).await?;
                let store = &mut self.session.store;
                // Only the latest keeps its scores on the GPU, too.
                store.all::<Scores>().for_each(|old| old.resident.release());
                match base.looks() {
                    true => store.put(&key, scores),
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
    pub async fn resolve(&mut self, recipe: &Recipe) -> Result<Request> {
        Ok(match self.session.is_latent(&recipe.model) || recipe.names_prompt() {
            true => Request::Prompts(Box::new(self.prompt_setting(recipe).await?)),
            false => {
                recipe.check()?;
                let model = self.start(recipe).await?;
                Request::Classes(Box::new(self.setting_of(model, recipe).await?))
            }
        })
    }

    /// Prepares a request and scores the weights for it.
    async fn rank_request(&mut self, recipe: &Recipe) -> Result<Arc<Scores>> {
        self.afford(recipe, Ahead::Scores)?;
        let mut request = self.resolve(recipe).await?;
        self.foresee(&request, Ahead::Scores);
        self.introduce(&request).await?;
        self.prepare(&mut request).await?;
        let scores = self.rank(&request, true).await?;
        if let Request::Classes(of) = &request
            && let Some(twin) = twin(of).filter(|_| self.job.wants_previews())
        {
            let (forget, grid) = (of.set.spec.clone(), self.twin_grid(twin, of).await?);
            (self.on.send)(Event::Retrain { id: self.on.id, forget, grid });
        }
        Ok(scores)
    }
}

/// The shipped Retrain twin for a request; it was trained without this forget set only.
pub fn twin(of: &Setting) -> Option<&'static Shipped> {
    registry::twin(&of.asked.recipe.model, &of.set.spec).filter(|_| of.set.earlier.is_empty())
}

/// The files that a job reads: a page fetches them when they are needed.
fn needed(job: &Job) -> Vec<&'static str> {
    // A model that is not shipped is judged by the classifier of the only shipped data.
    let data_of = |model: &str| registry::shipped(model).map_or(data::NAMES[0], |s| s.data);
    let whole = |model: &str, data: &str, forget: &str| {
        [registry::files(model, data, forget), data::files(data).concat()].concat()
    };
    match job {
        Job::Open { model, .. } => {
            let shown = registry::shipped(model).and_then(|s| s.task.shows());
            let shown = shown.map_or(&[][..], |part| data::files(data_of(model))[part]);
            [&registry::files(model, data_of(model), ""), shown, &known::paths(model)].concat()
        }
        // Which of both it is will be seen once it is read.
        Job::Import { .. } => {
            let shipped = data::NAMES[0];
            [&registry::files("", shipped, ""), data::files(shipped)[0]].concat()
        }
        Job::Train { request, .. } => data::files(&request.data).concat(),
        // Its data are there since it was run.
        Job::Adopt { .. } | Job::Remember { .. } => Vec::new(),
        Job::Unlearn(recipe) | Job::UnlearnKept(recipe, _) => {
            let Recipe { model, data, forget, .. } = recipe;
            let twin = registry::twin(model, forget).map(|twin| twin.name);
            let measured = [Some(&**model), twin].into_iter().flatten();
            let recorded: Vec<_> = measured.filter_map(known::path).collect();
            [whole(model, data, forget), recorded].concat()
        }
        Job::Rank(recipe) => {
            let Recipe { model, data, forget, .. } = recipe;
            let twin = registry::twin(model, forget).map(|twin| known::paths(twin.name));
            [whole(model, data, forget), twin.unwrap_or_default()].concat()
        }
        Job::Overlap { recipe, .. }
        | Job::Evaluate { recipe, .. }
        | Job::Attack { recipe, .. }
        | Job::Interpolate { recipe, .. }
        | Job::Export { recipe, .. }
        | Job::Audit { recipe, .. } => whole(&recipe.model, &recipe.data, &recipe.forget),
        Job::Trace(of) => match &of.recipe {
            Some(recipe) => whole(&recipe.model, &recipe.data, &recipe.forget),
            None => registry::files(&of.model, data_of(&of.model), ""),
        },
        Job::Look { model, .. } => registry::files(model, data_of(model), ""),
        Job::Inspect(asked) => match asked {
            // The model is there: it is open.
            Inspection::Weights { .. } => Vec::new(),
            Inspection::Scores(recipe)
            | Inspection::Embed(Beside { recipe, .. })
            | Inspection::Attribute { of: Beside { recipe, .. }, .. } => {
                whole(&recipe.model, &recipe.data, &recipe.forget)
            }
        },
        Job::Keep(_) => Vec::new(),
        Job::Learn { model, data, .. } => whole(model, data, ""),
        Job::Browse { model, data } => whole(model, data, ""),
        Job::Sample { model, .. } | Job::Survey { model, .. } => {
            registry::files(model, data_of(model), "")
        }
        // What it draws with comes with it.
        Job::Prompt(_) => Vec::new(),
    }
}
