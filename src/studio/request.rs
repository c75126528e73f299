//! What a person picks to be forgotten, as a forget set's specification and back.

use std::sync::Arc;

use super::items;
use crate::data::class_index;
use crate::engine::Opened;
use crate::error::{Error, Result};
use crate::unlearn::registry;
use crate::words::{Estimator, ForgetKind, Recipe};

/// What is to be forgotten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// A class, by its index.
    Class(usize),
    /// A random share of the training items, or of those that the model finds hardest or easiest, in percent.
    Share(ForgetKind, u32),
    /// Picked training items, by ascending index.
    Items(Arc<[usize]>),
    /// What a text-to-image model draws for these words.
    Prompt(String),
}

/// How a recipe's mask is chosen.
pub fn estimator(recipe: &Recipe) -> Estimator {
    match registry::find(&recipe.method) {
        Ok(method) if method.masked => recipe.mask.unwrap_or(method.mask),
        _ => Estimator::None,
    }
}

impl Choice {
    /// The forget set, `class:Sneaker` or `random:10%`.
    pub fn spec(&self, opened: &Opened) -> Option<String> {
        match self {
            Self::Class(class) => opened.classes.get(*class).map(|name| format!("class:{name}")),
            Self::Share(kind, percent) => Some(format!("{kind}:{percent}%")),
            Self::Items(items) => Some(items::spec(items)),
            Self::Prompt(text) => Some(format!("prompt:{text}")),
        }
    }

    /// The choice of a forget set.
    ///
    /// # Errors
    /// The class is unknown, or the studio has no control for such a set.
    pub fn parse(spec: &str, opened: &Opened) -> Result<Self> {
        let bad = |right| Error::argument("forget", spec, right);
        let parts = opened.task.classifies();
        if opened.task.prompted() {
            let text = spec.strip_prefix("prompt:").map(|text| text.trim_matches('"').trim());
            let text = text.filter(|text| !text.is_empty());
            let text = text.ok_or_else(|| bad("prompt:\"a cat\" is needed"))?;
            return Ok(Self::Prompt(text.into()));
        }
        match ForgetKind::split(spec) {
            Some((ForgetKind::Class, name)) => class_index(&opened.classes, name).map(Self::Class),
            Some((ForgetKind::Items, list)) if parts => {
                items::parse(list).map(|items| Self::Items(items.into()))
            }
            Some((
                kind @ (ForgetKind::Random | ForgetKind::Hardest | ForgetKind::Easiest),
                share,
            )) if parts => {
                let percent = share.strip_suffix('%').and_then(|p| p.parse().ok());
                let percent = percent.filter(|percent| (1..=50).contains(percent));
                let percent = percent.ok_or_else(|| bad("a share of 1% to 50% is needed"))?;
                Ok(Self::Share(kind, percent))
            }
            _ => Err(bad("class:NAME, or a part of the classifier's")),
        }
    }
}
