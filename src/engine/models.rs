//! The models that a session has open: by name, as judges, as they are shown.

use std::{path::Path, sync::Arc};

use super::known;
use super::measure::{preview, shown_as};
use super::{Client, Event, Grid, Opened, Session, Setting, TrainingSet, Work};
use crate::data;
use crate::error::{Error, Result};
use crate::eval::emoji_judge;
use crate::models::latent::{LatentModel, LatentNetwork};
use crate::models::{AnyModel, Assumed, HostWeights, Model, Said, Shipped, registry};
use crate::words::{Budget, Recipe, SampleOptions, Sizes};

/// Steps of the very first pictures.
const ROUGH: usize = 4;

impl Session {
    /// The pictures that a model can be made to forget.
    ///
    /// # Errors
    /// It cannot be read, or is of another kind; cancelled.
    pub(super) fn training_set(&mut self, model: String, data: String) -> Result<TrainingSet> {
        let split_seed = self.model(&model)?.card.split_seed;
        let set = data::open(&data)?;
        let items = set.split(split_seed).train;
        let (classes, pictures) = (set.classes.clone(), set.train.clone());
        Ok(TrainingSet { model, data, classes, pictures, items })
    }

    /// A model by name or path, opened once.
    ///
    /// # Errors
    /// It cannot be read, or is of another kind; cancelled.
    pub fn model(&mut self, name: &str) -> Result<Arc<Model>> {
        if let Some(AnyModel::Plain(open)) = self.models.get(name) {
            return Ok(open.clone());
        }
        // Of a page, the file itself is gone by the time that more is said of it.
        let (file, said) = Said::of(name)?;
        if data::mine::base(file) != file && !Path::new(file).exists() {
            let right =
                "a copy that learnt a person's own pictures is there as long as the studio is open";
            return Err(Error::argument("model", file, right));
        }
        let given = self.models.get(file).and_then(AnyModel::plain);
        let model = Arc::new(match given.filter(|_| !Path::new(file).exists()) {
            Some(given) => said.apply(Model::clone(given))?,
            None => registry::open(name)?,
        });
        self.models.insert(name.into(), AnyModel::Plain(model.clone()));
        Ok(model)
    }

    /// A text-to-image model by name or folder, opened once.
    ///
    /// # Errors
    /// It cannot be read, or is of another kind; cancelled.
    pub fn latent(&mut self, name: &str) -> Result<Arc<LatentModel>> {
        if let Some(AnyModel::Latent(open)) = self.models.get(name) {
            return Ok(open.clone());
        }
        self.stamps.insert(name.into(), registry::stamps(name));
        let model = Arc::new(registry::open_latent(name)?);
        self.models.insert(name.into(), AnyModel::Latent(model.clone()));
        Ok(model)
    }

    /// Whether a name is a text-to-image model's: what is open under it, else what would be opened.
    pub fn is_latent(&self, name: &str) -> bool {
        let open = self.models.get(name);
        open.map_or_else(|| registry::is_latent(name), |open| open.latent().is_some())
    }

    /// A text-to-image model's networks; its weights, which may take a minute, are not read for them.
    ///
    /// # Errors
    /// It cannot be read, or is of another kind; cancelled.
    pub fn latent_network(&self, name: &str) -> Result<Arc<LatentNetwork>> {
        match self.models.get(name).and_then(AnyModel::latent) {
            Some(open) => Ok(open.network.clone()),
            None => registry::latent_network(name).map(Arc::new),
        }
    }

    /// The classifier that judges a text-to-image model's pictures: the one in the model's folder
    /// where there is one, else the shipped one.
    ///
    /// # Errors
    /// It cannot be read, or is of another kind; cancelled.
    pub fn emoji_judge(&mut self, model: &str) -> Result<Arc<Model>> {
        // Of weights that a run ended with, the model that it started from.
        let first = self.adopted.get(model).and_then(|after| after.first());
        let first = first.map(|request| request.model.clone());
        let model = first.as_deref().unwrap_or(model);
        let folder = registry::pipeline(model);
        let own = folder.map(|folder| folder.join(emoji_judge::FILE)).filter(|own| own.is_file());
        if let Some(own) = own {
            return self.model(&own.to_string_lossy());
        }
        self.shipped_judge(emoji_judge::NAME, registry::open_judge)
    }

    fn shipped_judge(&mut self, of: &str, open: impl Fn() -> Result<Model>) -> Result<Arc<Model>> {
        let key = ("judge", of);
        match self.store.get(&key) {
            Some(judge) => Ok(judge),
            None => Ok(self.store.put(&key, open()?)),
        }
    }

    /// Takes a model by a name that others may have had; what was known of those is forgotten.
    pub(super) fn replace(&mut self, name: &str, model: Model) {
        self.let_go(name);
        self.models.insert(name.into(), AnyModel::Plain(model.into()));
    }

    /// Forgets what went by a name: the model, those that requests to it ended with, what was found of them.
    pub(super) fn let_go(&mut self, name: &str) {
        let adopted = format!("{name}@");
        let other = |known: &String| known != name && !known.starts_with(&adopted);
        self.models.retain(|known, _| other(known));
        self.adopted.retain(|known, _| other(known));
        self.retrained.retain(|key, _| !key.contains(name));
        self.store.forget(name);
    }

    /// Reads a file of weights that is open again where a person opens it again: another may have
    /// its name by now.
    ///
    /// # Errors
    /// It cannot be read, or is of another kind; cancelled.
    pub(super) fn look_again(&mut self, name: &str) -> Result<()> {
        // To read a folder again takes minutes: its files' sizes and times say whether it is another.
        if self.stamps.get(name).is_some_and(|then| *then != registry::stamps(name)) {
            self.let_go(name);
        }
        let file = Said::of(name).map_or(name, |(file, _)| file);
        let known = self.models.get(name).and_then(AnyModel::plain);
        let Some(known) = known.filter(|_| Path::new(file).is_file()) else { return Ok(()) };
        let now = registry::open(name)?;
        if now.card != known.card || now.weights.hash() != known.weights.hash() {
            self.replace(name, now);
        }
        Ok(())
    }
}

impl Work<'_> {
    /// Opens a model; the first time, its pictures are shown after a few steps of the sampler, long before they
    /// are finished.
    ///
    /// # Errors
    /// It cannot be read, or is of another kind; cancelled.
    pub async fn open(&mut self, name: &str, seed: u64, budget: Budget) -> Result<Opened> {
        let known = self.session.models.get(name);
        let (first, latent) =
            (known.is_none(), known.is_some_and(|known| known.latent().is_some()));
        let any = match latent || registry::is_latent(name) {
            true => AnyModel::Latent(self.session.latent(name)?),
            false => AnyModel::Plain(self.session.model(name)?),
        };
        let opened = Opened {
            name: name.to_string(),
            after: self.session.adopted.get(name).cloned().unwrap_or_default(),
            task: any.task(),
            classes: any.classes().to_vec(),
            data: any.data().to_string(),
            seed,
            budget,
            grid: Arc::default(),
            params: any.weights().values.len(),
            graph: any.graph().into(),
            assumed: any.plain().map_or_else(Assumed::default, |model| model.card.assumed),
        };
        match &any {
            AnyModel::Plain(model) => self.open_classes(model, opened, first).await,
            AnyModel::Latent(model) => self.open_prompts(model, opened, first).await,
        }
    }

    async fn open_classes(&mut self, model: &Model, to: Opened, first: bool) -> Result<Opened> {
        self.hear_notes(&to.name, model);
        let test = match model.classifier() {
            Some(_) => {
                let test = data::test(&to.data)?;
                if to.data.starts_with("folder:") {
                    let folder = data::open(&to.data)?;
                    self.session.notice(&folder);
                    folder.notes.iter().for_each(|note| self.job.note(note));
                }
                let [channels, _] = model.card.architecture.channels_and_classes();
                if channels != test.shape.channels {
                    return Err(Error::Request(format!(
                        "{} looks at {channels} channels, the pictures of {}, which it says \
                         that it was trained on, have {}",
                        to.name, to.data, test.shape.channels
                    )));
                }
                test
            }
            None => Arc::default(),
        };
        let Sizes { columns, sampler, .. } = to.budget.sizes();
        let (name, of, sampler) = (to.name.clone(), to.data.clone(), sampler[to.task as usize]);
        let (options, slow) = (preview(sampler, to.seed), first && model.unet().is_some());
        let draw = async |work: &mut Work<'_>, options: SampleOptions| {
            let shown = work.shown_once((&name, &of), model, &test, columns, &options).await?;
            Ok(Grid::clone(&shown))
        };
        self.shown((to, slow), (&[&model.weights], columns), options, draw).await
    }

    /// A model with its pictures: those that are recorded of these weights, so many in a row, or else they are drawn;
    /// where that is `slow` and takes many steps of the sampler, they are told after a few.
    pub async fn shown(
        &mut self,
        (opened, slow): (Opened, bool),
        (weights, columns): (&[&HostWeights], usize),
        options: SampleOptions,
        draw: impl AsyncFn(&mut Work<'_>, SampleOptions) -> Result<Grid>,
    ) -> Result<Opened> {
        if let Some(grid) = known::shown(&opened.name, weights, columns, &options) {
            return Ok(Opened { grid, ..opened });
        }
        if slow && options.steps > 2 * ROUGH {
            let grid = draw(self, SampleOptions { steps: ROUGH, ..options }).await?.into();
            let Client { id, send } = self.on;
            send(Event::Rough { id, opened: Arc::new(Opened { grid, ..opened.clone() }) });
        }
        let grid = draw(self, options).await?.into();
        Ok(Opened { grid, ..opened })
    }

    /// What a Retrain twin shows; drawn once.
    ///
    /// # Errors
    /// It cannot be read, or is of another kind; cancelled.
    pub async fn twin_grid(&mut self, twin: &Shipped, of: &Setting) -> Result<Arc<Grid>> {
        let Recipe { data, seed, budget, .. } = &of.asked.recipe;
        let Sizes { columns, sampler, .. } = budget.sizes();
        let options = preview(sampler[of.asked.plan.how.task as usize], *seed);
        let name = (twin.name, &**data);
        // It is opened only where it was not shown before.
        if let Some(shown) = self.session.store.get(&shown_as(name, columns, &options)) {
            return Ok(shown);
        }
        self.shown_once(name, &twin.open()?, &of.data.test, columns, &options).await
    }
}
