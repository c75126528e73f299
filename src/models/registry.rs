//! The models that come with the product.

use std::path::Path;

use super::{Model, Task, checkpoint};
use crate::{
    assets,
    data::sets,
    error::{Error, Result},
};

/// A model that comes with the program.
#[derive(Debug)]
pub struct Shipped {
    pub name: &'static str,
    pub task: Task,
    /// The data set that it was trained on.
    pub data: &'static str,
    /// Its path among the [`assets`].
    pub file: &'static str,
    /// The forget set that a Retrain twin was trained without, and the model that it is a twin of.
    pub twin: Option<(&'static str, &'static str)>,
}

/// Every shipped model. A diffusion model trained without a class is not among them.
pub const SHIPPED: &[Shipped] = &[
    Shipped {
        name: "fashion-classifier",
        task: Task::Classify,
        data: "fashion-mnist",
        file: "models/fashion-classifier.safetensors",
        twin: None,
    },
    Shipped {
        name: "fashion-classifier-retrain-sneaker",
        task: Task::Classify,
        data: "fashion-mnist",
        file: "models/fashion-classifier-retrain-sneaker.safetensors",
        twin: Some(("fashion-classifier", "class:Sneaker")),
    },
    Shipped {
        name: "fashion-ddpm",
        task: Task::Generate,
        data: "fashion-mnist",
        file: "models/fashion-ddpm.safetensors",
        twin: None,
    },
];

impl Shipped {
    /// Unpacks the model.
    ///
    /// # Errors
    /// The file is damaged, or not there yet.
    pub fn open(&self) -> Result<Model> {
        checkpoint::decode(&assets::bytes(self.file)?, Path::new(self.name))
    }
}

/// The model that a task opens with.
pub fn first(task: Task) -> &'static str {
    SHIPPED.iter().find(|s| s.task == task).map_or("", |s| s.name)
}

/// A shipped model by name.
pub fn shipped(name: &str) -> Option<&'static Shipped> {
    SHIPPED.iter().find(|s| s.name == name)
}

/// Opens a shipped model by name, or a weights file.
///
/// # Errors
/// No such model or file, or the file cannot be used.
pub fn open(name: &str) -> Result<Model> {
    if let Some(shipped) = shipped(name) {
        return shipped.open();
    }
    #[cfg(not(target_arch = "wasm32"))]
    if name.contains(['/', '\\', '.']) {
        let path = Path::new(name);
        let bytes = crate::run::files::read(path)?;
        return checkpoint::decode(&bytes, path);
    }
    let names = SHIPPED.iter().map(|s| s.name).chain(["a weights file (a path)"]);
    Err(Error::unknown("model", name, names))
}

/// The Retrain twins of a model: (forget set, model).
pub fn twins(of: &str) -> impl Iterator<Item = (&'static str, &'static Shipped)> {
    SHIPPED.iter().filter_map(move |s| s.twin.filter(|(model, _)| *model == of).map(|t| (t.1, s)))
}

/// The classifier that judges pictures of a data set, or of a part of it.
pub fn judge(data: &str) -> Option<&'static Shipped> {
    let data = sets::whole(data);
    let judges = |s: &&Shipped| s.task == Task::Classify && s.twin.is_none() && s.data == data;
    SHIPPED.iter().find(judges)
}

/// The files among the [`assets`] that a job on a model opens: its own, its judge's, its twins'.
pub fn files(name: &str, data: &str) -> Vec<&'static str> {
    let twins = twins(name).map(|(_, twin)| twin);
    shipped(name).into_iter().chain(judge(data)).chain(twins).map(|s| s.file).collect()
}
