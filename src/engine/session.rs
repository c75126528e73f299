//! What the engine remembers between jobs, and the job table.

use std::{collections::HashMap, path::Path, sync::Arc};

use burn::tensor::Device;

use super::{
    Send,
    job::{Event, Grid, Job, Opened, Outcome, Shelf},
    requests::{self, Adopted},
};
use crate::{
    assets,
    data::{
        self, Dataset, Pictures, Split,
        forget::{ForgetSet, by_loss},
        rng,
    },
    diffusion::sampler::SampleOptions,
    error::{Error, Result},
    eval::{
        self, examine::Examined, frechet, generate::Judge, outputs::Answers, references::References,
    },
    gpu::{
        device::{Compute, DeviceInfo},
        kernels::Kernels,
    },
    models::{Model, Network, Task, checkpoint, latent::LatentModel, registry, weights::Weights},
    monitor::{Monitor, Switches},
    run::{budget::Budget, recipe::Recipe, report::Metrics},
    saliency::{
        estimator::Estimator,
        ranking::Ranking,
        score::{Scoring, rank},
    },
    train::latent::judge,
    unlearn::{plan::Plan, prompt::items::Items},
};

/// Steps of the very first pictures.
const ROUGH: usize = 4;

/// Scores that are remembered: half a gibibyte.
const MOST_SCORES: usize = 1 << 27;

/// The device, the models and what was measured of them.
pub struct Session {
    pub device: Device,
    pub info: DeviceInfo,
    /// Our own kernels, on a GPU.
    kernels: Option<Kernels>,
    pub switches: Switches,
    pub models: HashMap<String, Arc<Model>>,
    pub adopted: Adopted,
    judges: HashMap<String, Arc<Model>>,
    pub(super) rankings: HashMap<String, Arc<Ranking>>,
    /// Losses of original models on the training pictures.
    losses: HashMap<String, Arc<Vec<f32>>>,
    /// What unchanged models do: the original, measured once for all methods, and Retrain.
    measured: HashMap<String, Measured>,
    /// What an audit found in them, and the reference models of its attacks.
    pub(super) examined: HashMap<String, Arc<Examined>>,
    pub(super) references: HashMap<String, Arc<References>>,
    /// Real pictures that generated ones are compared with.
    real: HashMap<String, Arc<frechet::Reference>>,
    /// Text-to-image models, and the latents that the latest request to one trains on.
    pub(super) latents: HashMap<String, Arc<LatentModel>>,
    pub(super) items: Option<(String, Arc<[Items; 2]>)>,
    /// What unchanged ones make of a request's prompts, and their metrics.
    pub(super) panes: HashMap<String, Arc<Grid>>,
    pub(super) prompts: HashMap<String, Metrics>,
}

/// A model's metrics, and what a pane shows of it.
#[derive(Debug, Clone)]
pub struct Measured {
    pub metrics: Metrics,
    /// What a classifier said of each item.
    pub answers: Option<Arc<Answers>>,
    pub grid: Arc<Grid>,
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
            kernels: compute.kernels(),
            switches,
            models: HashMap::new(),
            adopted: HashMap::new(),
            judges: HashMap::new(),
            rankings: HashMap::new(),
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

    /// Runs one job.
    pub async fn run(
        &mut self,
        id: u64,
        job: Job,
        send: &Send,
        monitor: &mut Monitor,
    ) -> Result<Outcome> {
        assets::fetch(&needed(&job), monitor).await?;
        Ok(match job {
            Job::Import { name, bytes, seed, budget } => {
                let model = checkpoint::decode(&bytes, Path::new(&name))?;
                self.replace(&name, model);
                Outcome::Opened(Arc::new(
                    self.open(&name, seed, budget, monitor, &mut |_| {}).await?,
                ))
            }
            Job::Open { model, seed, budget } => {
                let mut rough = |opened| send(Event::Rough { id, opened: Arc::new(opened) });
                let opened = match registry::is_latent(&model) {
                    true => self.open_latent(&model, seed, budget, monitor, &mut rough).await?,
                    false => self.open(&model, seed, budget, monitor, &mut rough).await?,
                };
                Outcome::Opened(Arc::new(opened))
            }
            Job::Adopt { run, seed, budget } => {
                Outcome::Opened(Arc::new(self.adopt(&run, seed, budget, monitor).await?))
            }
            Job::Train(request) => {
                Outcome::Trained(Arc::new(self.train(id, request, send, monitor).await?))
            }
            Job::Rank(recipe) if recipe.forget.starts_with("prompt:") => {
                Outcome::Ranked(self.rank_prompts(id, &recipe, send, monitor).await?)
            }
            Job::Rank(recipe) => {
                let setting = self.setting(&recipe, monitor).await?;
                let mut early = |ranking| {
                    send(Event::Early { id, ranking: Arc::new(ranking) });
                };
                Outcome::Ranked(self.rank(&recipe, &setting, monitor, &mut early).await?)
            }
            Job::Overlap { recipe, by, seeds } => {
                Outcome::Overlapped(self.overlap(&recipe, by, seeds, monitor).await?.into())
            }
            Job::Unlearn(recipe) if recipe.forget.starts_with("prompt:") => {
                Outcome::Unlearned(Arc::new(self.unlearn_prompt(id, recipe, send, monitor).await?))
            }
            Job::Unlearn(recipe) => {
                Outcome::Unlearned(Arc::new(self.unlearn(id, recipe, send, monitor).await?))
            }
            Job::Browse { model, data } => Outcome::Browsed(Arc::new(self.shelf(model, data)?)),
            Job::Evaluate { model, recipe } => {
                let setting = self.setting_of(model, &recipe, monitor).await?;
                let model = setting.model.clone();
                let weights = model.weights.upload(&self.device);
                let measured = self.measure(&model, &weights, &setting, &recipe, monitor).await?;
                Outcome::Measured(measured.metrics)
            }
            Job::Audit { model, recipe, retrain } => Outcome::Audited(Box::new(
                self.measure_and_audit(model, &recipe, retrain, monitor).await?,
            )),
            Job::Sample { model, class, n, options } => {
                Outcome::Sampled(Arc::new(self.sample(&model, class, n, options, monitor).await?))
            }
            Job::TrainLatent(request) => Outcome::LatentTrained(Arc::new(
                self.train_latent(id, request, send, monitor).await?,
            )),
            Job::TrainJudge { data, steps, seed } => {
                let emoji = data::emoji::find(&data)?;
                let judge = judge::train(&emoji, steps, seed, &self.device, monitor);
                Outcome::Trained(Arc::new(judge.await?))
            }
            Job::Prompt(request) => {
                Outcome::Sampled(Arc::new(self.sample_prompts(request, monitor).await?))
            }
            Job::Survey { model, concepts, n, options } => Outcome::Surveyed(Box::new(
                self.survey(&model, concepts, n, options, monitor).await?,
            )),
            Job::Attack { model, recipe, attacks } => Outcome::Attacked(Box::new(
                self.attack_prompt(&model, &recipe, &attacks, monitor).await?,
            )),
        })
    }

    /// The pictures that a model can be made to forget.
    fn shelf(&mut self, model: String, data: String) -> Result<Shelf> {
        let split_seed = self.model(&model)?.card.split_seed;
        let set = data::open(&data)?;
        let items = set.split(split_seed).train;
        let (classes, pictures) = (set.classes.clone(), set.train.clone());
        Ok(Shelf { model, data, classes, pictures, items })
    }

    /// A model by name or path, opened once.
    pub fn model(&mut self, name: &str) -> Result<Arc<Model>> {
        if let Some(model) = self.models.get(name) {
            return Ok(model.clone());
        }
        let model = Arc::new(registry::open(name)?);
        self.models.insert(name.to_string(), model.clone());
        Ok(model)
    }

    /// The classifier that judges a text-to-image model's pictures: the one in the model's folder
    /// where there is one, else the shipped one.
    pub fn emoji_judge(&mut self, model: &str) -> Result<Arc<Model>> {
        let own = Path::new(model).join(judge::FILE);
        if own.is_file() {
            return self.model(&own.to_string_lossy());
        }
        let shipped = registry::shipped(registry::first(Task::TextToImage));
        if let Some(shipped) = shipped.filter(|s| s.name == model || s.is_here()) {
            if let Some(judge) = self.judges.get(shipped.name) {
                return Ok(judge.clone());
            }
            let judge = Arc::new(shipped.open_judge()?);
            self.judges.insert(shipped.name.into(), judge.clone());
            return Ok(judge);
        }
        let reason = format!(
            "is missing: what the model draws is judged by it; make it with salun train {} --data \
             emoji --out",
            judge::NAME
        );
        Err(Error::file(own, reason))
    }

    /// The classifier for a data set's pictures, if one is shipped.
    pub fn judge(&mut self, data: &str) -> Result<Option<Arc<Model>>> {
        if let Some(model) = self.judges.get(data) {
            return Ok(Some(model.clone()));
        }
        let Some(shipped) = registry::judge(data) else { return Ok(None) };
        let model = Arc::new(shipped.open()?);
        self.judges.insert(data.to_string(), model.clone());
        Ok(Some(model))
    }

    /// Takes a model by a name that others may have had; what was known of those is forgotten.
    fn replace(&mut self, name: &str, model: Model) {
        let adopted = format!("{name}@");
        self.models.retain(|known, _| !known.starts_with(&adopted));
        self.adopted.retain(|known, _| !known.starts_with(&adopted));
        let keys = [format!("{name}|"), adopted];
        let other = |key: &String| !keys.iter().any(|k| key.starts_with(k));
        self.rankings.retain(|key, _| other(key));
        self.losses.retain(|key, _| other(key));
        self.measured.retain(|key, _| other(key));
        self.examined.retain(|key, _| other(key));
        self.models.insert(name.into(), Arc::new(model));
    }

    /// Resolves a recipe; everything that can be wrong with a request is found here.
    pub async fn setting(&mut self, recipe: &Recipe, monitor: &mut Monitor) -> Result<Setting> {
        recipe.check()?;
        let model = self.start(recipe, monitor).await?;
        self.setting_of(model, recipe, monitor).await
    }

    /// The same with another model in the place of the one that the recipe starts from.
    pub async fn setting_of(
        &mut self,
        model: Arc<Model>,
        recipe: &Recipe,
        monitor: &mut Monitor,
    ) -> Result<Setting> {
        let data = data::open(&recipe.data)?;
        fits(&model, &data, recipe)?;
        let split = data.split(model.card.split_seed);
        let losses = if by_loss(&recipe.forget) {
            // A wrong request is refused before the losses are taken: any will do for that.
            let any = vec![0.0; data.train.len()];
            ForgetSet::select(&recipe.forget, &data, &split, recipe.seed, Some(&any))?;
            Some(self.losses(recipe, &data, &split, monitor).await?)
        } else {
            None
        };
        let losses = losses.as_ref().map(|losses| &losses[..]);
        let set = ForgetSet::select(&recipe.forget, &data, &split, recipe.seed, losses)?
            .after(requests::recall(&model.card, &data, &split)?)?;
        let plan = Plan::new(recipe, &model.card.architecture, &data, &set)?;
        Ok(Setting { model, data, split, set, plan })
    }

    /// The loss of the model that a recipe starts from on every training picture; once.
    async fn losses(
        &mut self,
        recipe: &Recipe,
        data: &Dataset,
        split: &Split,
        monitor: &mut Monitor,
    ) -> Result<Arc<Vec<f32>>> {
        let key = format!("{}|{}", recipe.start(), recipe.data);
        if let Some(losses) = self.losses.get(&key) {
            return Ok(losses.clone());
        }
        let model = self.start(recipe, monitor).await?;
        fits(&model, data, recipe)?;
        let net = model.classifier().ok_or_else(|| {
            let right = "only a classifier has a loss for each picture; write class:NAME";
            Error::argument("forget set", &recipe.forget, right)
        })?;
        let weights = model.weights.upload(&self.device);
        let device = self.device.clone();
        monitor.phase("Losses", split.train.len());
        let found =
            eval::classify::losses(net, &weights, &data.train, &split.train, &device, monitor)
                .await?;
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
        monitor: &mut Monitor,
        early: &mut dyn FnMut(Ranking),
    ) -> Result<Arc<Ranking>> {
        let estimator = setting.plan.estimator;
        let base = estimator.base();
        // A first guess in this order, or none: scores that are no numbers fail at the end.
        let mut ordered =
            |ranking: Ranking| ranking.ordered(estimator).into_iter().for_each(&mut *early);
        let scored = self.scored(base, recipe, setting, monitor, &mut ordered).await?;
        let ranking = match estimator {
            Estimator::Inverted | Estimator::LayerBalanced => {
                Arc::new(Ranking::clone(&scored).ordered(estimator)?)
            }
            _ => scored,
        };
        Ok(ranking)
    }

    /// The scores of an estimator that has its own.
    async fn scored(
        &mut self,
        estimator: Estimator,
        recipe: &Recipe,
        setting: &Setting,
        monitor: &mut Monitor,
        early: &mut dyn FnMut(Ranking),
    ) -> Result<Arc<Ranking>> {
        let Setting { model, data, set, plan, .. } = setting;
        let key = format!(
            "{}|{}|{}|{:?}|{}|{}",
            recipe.start(),
            recipe.data,
            set.spec,
            recipe.budget,
            recipe.seed,
            estimator.name()
        );
        if let Some(ranking) = self.rankings.get(&key) {
            return Ok(ranking.clone());
        }
        // As many as of the forget set, so that both halves of a ratio are as certain.
        let mut retain =
            rng::shuffled(&mut rng::seeded(recipe.seed, "retain score"), set.retain.len());
        retain.truncate(plan.score.len());
        let retain: Vec<usize> = retain.into_iter().map(|j| set.retain[j]).collect();
        let (forget, items, retain) = (&*set.spec, &*plan.score, &*retain);
        let of = Scoring { model, data, forget, items, retain, seed: recipe.seed };
        let on = (&self.device, self.kernels.as_ref());
        let ranking = Arc::new(rank(estimator, &of, on, monitor, early).await?);
        if !estimator.looks() {
            return Ok(ranking);
        }
        // Only the latest keeps its scores on the GPU.
        for old in self.rankings.values_mut().filter(|old| old.resident.is_some()) {
            *old = Arc::new(Ranking { resident: None, ..Ranking::clone(old) });
        }
        // A table asks for many; they come back at the price of a pass.
        let kept: usize = self.rankings.values().map(|r| r.scores.len()).sum();
        if kept + ranking.scores.len() > MOST_SCORES {
            self.rankings.clear();
        }
        self.rankings.insert(key, ranking.clone());
        Ok(ranking)
    }

    /// Measures some weights under a recipe.
    pub async fn measure(
        &mut self,
        model: &Model,
        weights: &Weights,
        setting: &Setting,
        recipe: &Recipe,
        monitor: &mut Monitor,
    ) -> Result<Measured> {
        let device = self.device.clone();
        let Setting { data, set, .. } = setting;
        let budget = recipe.budget;
        let columns = budget.sizes().columns;
        let options = sampling(recipe);
        match &*model.network {
            Network::Classifier(net) => {
                let answers =
                    eval::classify::answers(&**net, weights, data, set, budget, &device, monitor)
                        .await?;
                let metrics = eval::classify::metrics(&answers, set);
                let test = &data.test;
                let grid = self.grid(model, weights, test, columns, &options, monitor).await?;
                Ok(Measured { metrics, answers: Some(Arc::new(answers)), grid: Arc::new(grid) })
            }
            Network::Unet(net) => {
                let judge = self.judge(&recipe.data)?.ok_or_else(|| no_judge(&recipe.data))?;
                let on_device = judge.weights.upload(&device);
                let judge = judge_of(&judge, &on_device)?;
                let (mut metrics, judged) =
                    eval::generate::measure(net, weights, &judge, set, budget, &options, monitor)
                        .await?;
                let each = budget.sizes().samples;
                let kept: Vec<usize> =
                    (0..net.config.classes).filter(|c| !set.absent(*c)).collect();
                let key = format!("{}|{kept:?}|{each}", recipe.data);
                let reference = match self.real.get(&key) {
                    Some(reference) => reference.clone(),
                    None => {
                        let made = frechet::reference(&judge, data, &kept, each, monitor).await?;
                        self.real.entry(key).or_insert(Arc::new(made)).clone()
                    }
                };
                let s = data.train.shape;
                let rows: Vec<&[f32]> = judged.values.chunks_exact(each * s.n()).collect();
                let made: Vec<f32> = kept.iter().flat_map(|&c| rows[c]).copied().collect();
                let shape = [s.channels, s.height, s.width];
                metrics.FD =
                    Some(frechet::measure(&judge, &reference, &made, shape, monitor).await?);
                // The first samples of every class are those that a pane shows: from one noise.
                let grid = Grid::of_samples(net, budget.sizes().samples, columns, judged);
                Ok(Measured { metrics, answers: None, grid: Arc::new(grid) })
            }
        }
    }

    /// [`Session::measure`] of a model that no job changes, once for each protocol.
    pub async fn measure_once(
        &mut self,
        name: &str,
        model: &Model,
        setting: &Setting,
        recipe: &Recipe,
        monitor: &mut Monitor,
    ) -> Result<Measured> {
        let key = format!(
            "{name}|{}|{}|{:?}|{:?}",
            recipe.data,
            setting.set.spec,
            recipe.budget,
            sampling(recipe)
        );
        if let Some(measured) = self.measured.get(&key) {
            return Ok(measured.clone());
        }
        let weights = model.weights.upload(&self.device);
        let measured = self.measure(model, &weights, setting, recipe, monitor).await?;
        self.measured.insert(key, measured.clone());
        Ok(measured)
    }

    /// Opens a model; the first time, `rough` is shown its pictures after a few steps of the
    /// sampler, long before they are finished.
    pub async fn open(
        &mut self,
        name: &str,
        seed: u64,
        budget: Budget,
        monitor: &mut Monitor,
        rough: &mut dyn FnMut(Opened),
    ) -> Result<Opened> {
        let first = !self.models.contains_key(name);
        let model = self.model(name)?;
        let test = match model.card.architecture.task() {
            Task::Classify => data::test(&model.card.data)?,
            Task::Generate | Task::TextToImage => Arc::default(),
        };
        let weights = model.weights.upload(&self.device);
        let after = self.adopted.get(name).cloned().unwrap_or_default();
        let opened = |grid| Opened {
            name: name.to_string(),
            after: after.clone(),
            task: model.card.architecture.task(),
            classes: model.card.classes.clone(),
            data: model.card.data.clone(),
            seed,
            budget,
            grid: Arc::new(grid),
            params: model.weights.values.len(),
            retrain: Vec::new(),
        };
        let columns = budget.sizes().columns;
        let options = preview(seed, budget);
        if first && model.unet().is_some() && options.steps > 2 * ROUGH {
            let few = SampleOptions { steps: ROUGH, ..options };
            rough(opened(self.grid(&model, &weights, &test, columns, &few, monitor).await?));
        }
        let grid = self.grid(&model, &weights, &test, columns, &options, monitor).await?;
        let mut retrain = Vec::new();
        for (spec, twin) in registry::twins(name) {
            let twin = twin.open()?;
            let weights = twin.weights.upload(&self.device);
            let grid = self.grid(&twin, &weights, &test, columns, &options, monitor).await?;
            retrain.push((spec.to_string(), Arc::new(grid)));
        }
        Ok(Opened { retrain, ..opened(grid) })
    }

    /// What a pane shows of some weights: a row a class. A diffusion model needs no pictures.
    pub async fn grid(
        &mut self,
        model: &Model,
        weights: &Weights,
        test: &Pictures,
        columns: usize,
        options: &SampleOptions,
        monitor: &mut Monitor,
    ) -> Result<Grid> {
        let device = self.device.clone();
        let classes: Vec<Option<usize>> = (0..model.card.classes.len()).map(Some).collect();
        match &*model.network {
            Network::Unet(_) => {
                monitor.phase("Drawing", classes.len() * columns * options.steps);
                self.samples(model, weights, classes, columns, options, monitor).await
            }
            Network::Classifier(net) => {
                let of_class = |class: usize| {
                    (0..test.len()).filter(move |&i| test.labels[i] as usize == class)
                };
                let fewest = (0..classes.len()).map(|c| of_class(c).take(columns).count()).min();
                let columns = fewest.unwrap_or(0);
                monitor.phase("Drawing", classes.len() * columns);
                let items: Vec<usize> =
                    (0..classes.len()).flat_map(|c| of_class(c).take(columns)).collect();
                let seen = eval::classify::predict(&**net, weights, test, &items, &device, monitor)
                    .await?;
                Ok(Grid {
                    rows: classes,
                    names: Vec::new(),
                    columns,
                    channels: test.shape.channels,
                    tile: [test.shape.height, test.shape.width],
                    pixels: items.iter().flat_map(|&i| test.picture(i)).copied().collect(),
                    seen: seen.into_iter().map(Some).collect(),
                })
            }
        }
    }
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
            [&registry::files(model, data_of(model)), shown].concat()
        }
        // Which of both it is will be seen once it is read.
        Job::Import { .. } => {
            let shipped = data::NAMES[0];
            [&registry::files("", shipped), data::files(shipped)[0]].concat()
        }
        Job::Train(request) => data::files(&request.data).concat(),
        // Its data are there since it was run.
        Job::Adopt { .. } => Vec::new(),
        Job::Rank(recipe)
        | Job::Overlap { recipe, .. }
        | Job::Unlearn(recipe)
        | Job::Evaluate { recipe, .. }
        | Job::Attack { recipe, .. }
        | Job::Audit { recipe, .. } => {
            let models = registry::files(&recipe.model, &recipe.data);
            [models, data::files(&recipe.data).concat()].concat()
        }
        Job::Browse { model, data } => {
            [registry::files(model, data), data::files(data).concat()].concat()
        }
        Job::Sample { model, .. } | Job::Survey { model, .. } => {
            registry::files(model, data_of(model))
        }
        Job::TrainLatent(_) | Job::TrainJudge { .. } => assets::EMOJI.to_vec(),
        Job::Prompt(_) => Vec::new(),
    }
}

/// How a recipe samples: its own options or the preview's, always with the recipe's seed.
pub fn sampling(recipe: &Recipe) -> SampleOptions {
    let preview = preview(recipe.seed, recipe.budget);
    SampleOptions { seed: recipe.seed, ..recipe.sampling.unwrap_or(preview) }
}

/// How a preview is sampled.
fn preview(seed: u64, budget: Budget) -> SampleOptions {
    let steps = budget.sizes().sampler;
    SampleOptions { steps, guidance: 2.0, eta: 0.0, seed, clip: true }
}

/// A model as a judge.
pub fn judge_of<'a>(model: &'a Model, weights: &'a Weights) -> Result<Judge<'a>> {
    let net = model
        .classifier()
        .ok_or_else(|| Error::Request(format!("{} is not a classifier", model.card.name)))?;
    Ok(Judge { net, weights })
}

/// Why generations on this data set cannot be measured.
pub fn no_judge(data: &str) -> Error {
    Error::Request(format!("no classifier for {data} is shipped, so generations cannot be judged"))
}

/// Refuses a model and a data set that do not belong together.
fn fits(model: &Model, data: &Dataset, recipe: &Recipe) -> Result<()> {
    let shape = data.train.shape;
    let (channels, classes) = match &*model.network {
        Network::Classifier(net) => (net.channels(), net.classes()),
        Network::Unet(net) => {
            if [shape.height, shape.width] != [net.config.resolution; 2] {
                return Err(Error::Request(format!(
                    "{} makes pictures of {1} x {1} pixels, {2} has {3} x {4}",
                    recipe.model, net.config.resolution, recipe.data, shape.width, shape.height
                )));
            }
            (net.config.channels, net.config.classes)
        }
    };
    // Boundary expanding as released leaves one class more than there was.
    let further =
        usize::from(!model.card.unlearned.is_empty() && classes == data.classes.len() + 1);
    if (channels, classes - further) != (shape.channels, data.classes.len()) {
        return Err(Error::Request(format!(
            "{} has {channels} channels and {classes} classes, {} has {} and {}",
            recipe.model,
            recipe.data,
            shape.channels,
            data.classes.len()
        )));
    }
    Ok(())
}
