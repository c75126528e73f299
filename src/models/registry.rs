//! The models that come with the product.

use std::path::Path;

use super::{Model, Task, checkpoint};
use crate::error::{Error, Result};

/// A model inside the program.
#[derive(Debug)]
pub struct Shipped {
    pub name: &'static str,
    pub task: Task,
    bytes: &'static [u8],
    /// The forget set that a Retrain twin was trained without, and the model that it is a twin of.
    pub twin: Option<(&'static str, &'static str)>,
}

macro_rules! embedded {
    ($name:literal) => {
        include_bytes!(concat!("../../assets/models/", $name, ".safetensors"))
    };
}

/// Every shipped model. A diffusion model trained without a class is not among them.
pub const SHIPPED: &[Shipped] = &[
    Shipped {
        name: "fashion-classifier",
        task: Task::Classify,
        bytes: embedded!("fashion-classifier"),
        twin: None,
    },
    Shipped {
        name: "fashion-classifier-retrain-sneaker",
        task: Task::Classify,
        bytes: embedded!("fashion-classifier-retrain-sneaker"),
        twin: Some(("fashion-classifier", "class:Sneaker")),
    },
    Shipped {
        name: "fashion-ddpm",
        task: Task::Generate,
        bytes: embedded!("fashion-ddpm"),
        twin: None,
    },
];

impl Shipped {
    /// Unpacks the model.
    ///
    /// # Errors
    /// The embedded file is damaged.
    pub fn open(&self) -> Result<Model> {
        checkpoint::decode(self.bytes, Path::new(self.name))
    }
}

/// Opens a shipped model by name, or a weights file.
///
/// # Errors
/// No such model or file, or the file cannot be used.
pub fn open(name: &str) -> Result<Model> {
    if let Some(shipped) = SHIPPED.iter().find(|s| s.name == name) {
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

/// The classifier that judges pictures of a data set.
pub fn judge(data: &str) -> Option<&'static Shipped> {
    let name = match data {
        "fashion-mnist" => "fashion-classifier",
        _ => return None,
    };
    SHIPPED.iter().find(|s| s.name == name)
}
