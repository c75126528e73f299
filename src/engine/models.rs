//! The models that a session has open: by name, as judges, as they are shown.

use std::{collections::HashMap, path::Path, sync::Arc};

use super::measure::preview;
use super::session::Setting;
use super::{Grid, Opened, Session, TrainingSet};
use crate::data;
use crate::error::{Error, Result};
use crate::eval::judge;
use crate::job_context::JobContext;
use crate::models::latent::{LatentModel, LatentNetwork};
use crate::models::{Model, Said, Shipped, registry};
use crate::words::{Budget, Recipe, SampleOptions};

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
        if let Some(open) = self.models.get(name) {
            return Ok(open.clone());
        }
        // Of a page, the file itself is gone by the time that more is said of it.
        let (file, said) = Said::of(name)?;
        let given = self.models.get(file).filter(|_| !Path::new(file).exists()).cloned();
        once(&mut self.models, name, || match given {
            Some(given) => said.apply(Model::clone(&given)),
            None => registry::open(name),
        })
    }

    /// A text-to-image model by name or folder, opened once.
    ///
    /// # Errors
    /// It cannot be read, or is of another kind; cancelled.
    pub fn latent(&mut self, name: &str) -> Result<Arc<LatentModel>> {
        if !self.latents.contains_key(name) {
            self.stamps.insert(name.into(), registry::stamps(name));
        }
        once(&mut self.latents, name, || registry::open_latent(name))
    }

    /// A text-to-image model's networks; its weights, which may take a minute, are not read for them.
    ///
    /// # Errors
    /// It cannot be read, or is of another kind; cancelled.
    pub fn latent_network(&self, name: &str) -> Result<Arc<LatentNetwork>> {
        match self.latents.get(name) {
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
        let own = folder.map(|folder| folder.join(judge::FILE)).filter(|own| own.is_file());
        if let Some(own) = own {
            return self.model(&own.to_string_lossy());
        }
        self.shipped_judge(judge::NAME, registry::open_judge)
    }

    /// The classifier for a data set's pictures, if one is shipped that looks at so many channels.
    ///
    /// # Errors
    /// It cannot be read, or is of another kind; cancelled.
    pub fn judge(&mut self, data: &str, channels: usize) -> Result<Option<Arc<Model>>> {
        let Some(shipped) = registry::judge(data) else { return Ok(None) };
        let judge = self.shipped_judge(data, || shipped.open())?;
        let looks_at = judge.card.architecture.channels_and_classes()[0];
        Ok(Some(judge).filter(|_| looks_at == channels))
    }

    fn shipped_judge(
        &mut self,
        of: &str,
        open: impl FnOnce() -> Result<Model>,
    ) -> Result<Arc<Model>> {
        let key = ("judge", of);
        match self.store.get(&key) {
            Some(judge) => Ok(judge),
            None => Ok(self.store.put(&key, open()?)),
        }
    }

    /// Takes a model by a name that others may have had; what was known of those is forgotten.
    pub(super) fn replace(&mut self, name: &str, model: Model) {
        self.let_go(name);
        self.models.insert(name.into(), Arc::new(model));
    }

    /// Forgets what went by a name: the model, those that requests to it ended with, what was found of them.
    fn let_go(&mut self, name: &str) {
        let adopted = format!("{name}@");
        let other = |known: &String| known != name && !known.starts_with(&adopted);
        self.models.retain(|known, _| other(known));
        self.latents.retain(|known, _| other(known));
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
        let Some(known) = self.models.get(name).filter(|_| Path::new(file).is_file()) else {
            return Ok(());
        };
        let now = registry::open(name)?;
        if now.card != known.card || now.weights.hash() != known.weights.hash() {
            self.replace(name, now);
        }
        Ok(())
    }

    /// Opens a model; the first time, `rough` is shown its pictures after a few steps of the
    /// sampler, long before they are finished.
    ///
    /// # Errors
    /// It cannot be read, or is of another kind; cancelled.
    pub async fn open(
        &mut self,
        name: &str,
        seed: u64,
        budget: Budget,
        job: &mut JobContext,
        rough: &mut dyn FnMut(Opened),
    ) -> Result<Opened> {
        if self.latents.contains_key(name) || registry::is_latent(name) {
            return self.open_latent(name, seed, budget, job, rough).await;
        }
        let first = !self.models.contains_key(name);
        let model = self.model(name)?;
        let test = match model.classifier() {
            Some(_) => {
                let test = data::test(&model.card.data)?;
                if model.card.data.starts_with("folder:") {
                    data::open(&model.card.data)?.notes.iter().for_each(|note| job.note(note));
                }
                let [channels, _] = model.card.architecture.channels_and_classes();
                if channels != test.shape.channels {
                    return Err(Error::Request(format!(
                        "{name} looks at {channels} channels, the pictures of {}, which it says \
                         that it was trained on, have {}",
                        model.card.data, test.shape.channels
                    )));
                }
                test
            }
            None => Arc::default(),
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
            assumed: model.card.assumed,
        };
        let columns = budget.sizes().columns;
        let options = preview(seed, budget);
        if first && model.unet().is_some() && options.steps > 2 * ROUGH {
            let few = SampleOptions { steps: ROUGH, ..options };
            rough(opened(self.grid(&model, &weights, &test, columns, &few, job).await?));
        }
        let grid = self.grid(&model, &weights, &test, columns, &options, job).await?;
        Ok(opened(grid))
    }

    /// What a Retrain twin shows; drawn once.
    ///
    /// # Errors
    /// It cannot be read, or is of another kind; cancelled.
    pub(super) async fn twin_grid(
        &mut self,
        twin: &'static Shipped,
        setting: &Setting,
        recipe: &Recipe,
        job: &mut JobContext,
    ) -> Result<Arc<Grid>> {
        let options = preview(recipe.seed, recipe.budget);
        let key = (twin.name, &options, recipe.budget);
        if let Some(grid) = self.store.get(&key) {
            return Ok(grid);
        }
        let model = twin.open()?;
        let weights = model.weights.upload(&self.device);
        let (test, columns) = (setting.data.test.clone(), recipe.budget.sizes().columns);
        let grid = self.grid(&model, &weights, &test, columns, &options, job).await?;
        Ok(self.store.put(&key, grid))
    }
}

/// What is kept by this name, opened and kept if nothing is.
fn once<T>(
    kept: &mut HashMap<String, Arc<T>>,
    name: &str,
    open: impl FnOnce() -> Result<T>,
) -> Result<Arc<T>> {
    if let Some(known) = kept.get(name) {
        return Ok(known.clone());
    }
    let opened = Arc::new(open()?);
    kept.insert(name.to_string(), opened.clone());
    Ok(opened)
}
