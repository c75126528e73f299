//! The recipe of an unlearning run: everything that fixes it, as TOML.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::Digest;

pub use super::budget::Budget;
use super::fingerprint::Fingerprint;
use crate::{
    diffusion::sampler::SampleOptions,
    error::{Error, Result},
    models::Task,
    saliency::estimator::Estimator,
    unlearn::registry,
};

/// Where a diffusion model is sent instead of the forgotten class.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Redirect {
    /// (c + 1) mod C, the official code's choice.
    #[default]
    Next,
    /// The null condition.
    Null,
    /// Another class for each picture, drawn at random.
    Random,
    /// Noise.
    Noise,
    /// A class by name or number.
    #[serde(untagged)]
    Class(String),
}

impl std::fmt::Display for Redirect {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str(match self {
            Self::Next => "next",
            Self::Null => "null",
            Self::Random => "random",
            Self::Noise => "noise",
            Self::Class(class) => class,
        })
    }
}

impl std::str::FromStr for Redirect {
    type Err = std::convert::Infallible;
    fn from_str(s: &str) -> std::result::Result<Self, Self::Err> {
        Ok(match s {
            "next" => Self::Next,
            "null" => Self::Null,
            "random" => Self::Random,
            "noise" => Self::Noise,
            class => Self::Class(class.to_string()),
        })
    }
}

/// An unlearning run. Two runs of one recipe on one kind of device give the same weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// A shipped model's name, or a weights file.
    pub model: String,
    /// A data set's name, or `folder:PATH`.
    pub data: String,
    /// `class:Sneaker`, `random:10%`, …
    pub forget: String,
    #[serde(default = "default_method")]
    pub method: String,
    /// Absent: the method's own default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask: Option<Estimator>,
    /// The file of a mask that is [`Estimator::Given`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask_file: Option<String>,
    /// Share of weights that may change.
    #[serde(default = "default_density")]
    pub density: f64,
    /// Passes over the forget set and the retain set (classification).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epochs: Option<usize>,
    /// Updates; overrides `epochs`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lr: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<usize>,
    /// The knob `alpha`, as recipes had it before there were knobs; read only.
    #[serde(default, skip_serializing)]
    pub alpha: Option<f64>,
    #[serde(default)]
    pub redirect: Redirect,
    #[serde(default)]
    pub budget: Budget,
    #[serde(default = "default_seed")]
    pub seed: u64,
    /// Whether an audit follows (classification); absent: with the full budget.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audit: Option<bool>,
    /// How pictures are sampled before and after (generation); its seed is the recipe's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sampling: Option<SampleOptions>,
    /// The method's own knobs that are not at their defaults, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub knobs: BTreeMap<String, f64>,
    /// What the data was when the recipe was run, if it was a folder: another is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<Fingerprint>,
    /// Requests to the same model that were met before this one, the first one first: this run
    /// starts from the weights that the last of them ended with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<Recipe>,
}

/// Requests that may have been met before one.
const MOST_BEFORE: usize = 100;

/// The line around a byte of a text, cut short.
fn line_at(text: &str, byte: usize) -> String {
    let before = text.get(..byte).unwrap_or_default();
    let start = before.rfind('\n').map_or(0, |i| i + 1);
    text[start..].lines().next().unwrap_or_default().chars().take(60).collect()
}

/// Whether a model comes with the program.
#[cfg(not(target_arch = "wasm32"))]
fn registry_has(model: &str) -> bool {
    crate::models::registry::shipped(model).is_some()
}

fn default_method() -> String {
    "salun".into()
}
fn default_density() -> f64 {
    0.5
}
fn default_seed() -> u64 {
    1
}

impl Recipe {
    /// A recipe with every default.
    pub fn new(model: &str, data: &str, forget: &str) -> Self {
        Self {
            model: model.into(),
            data: data.into(),
            forget: forget.into(),
            method: default_method(),
            mask: None,
            mask_file: None,
            density: default_density(),
            epochs: None,
            steps: None,
            lr: None,
            batch: None,
            alpha: None,
            redirect: Redirect::default(),
            budget: Budget::default(),
            seed: default_seed(),
            audit: None,
            sampling: None,
            knobs: BTreeMap::new(),
            fingerprint: None,
            after: Vec::new(),
        }
    }

    /// This request to the model that a run of `done` ended with.
    pub fn following(self, done: &Recipe) -> Self {
        let mut after = done.after.clone();
        after.push(Recipe { after: Vec::new(), ..done.clone() });
        Self { model: done.model.clone(), after, ..self }
    }

    /// The name of the weights that a run starts from: the model's, or one that stands for the
    /// model after the earlier requests.
    pub fn start(&self) -> String {
        if self.after.is_empty() {
            return self.model.clone();
        }
        let hashes: Vec<String> = self.after.iter().map(Self::protocol).collect();
        let hash = super::hex(&sha2::Sha256::digest(hashes.concat()));
        format!("{}@{}", self.model, &hash[..8])
    }

    /// The name of the weights that a run ends with, once they are adopted.
    pub fn end(&self) -> String {
        Self::new("", "", "").following(self).start()
    }

    /// The fields that a method may have no use for and that are set, with their values.
    pub fn set_fields(&self) -> Vec<(&'static str, String)> {
        let number = |n: Option<usize>| n.map(|n| n.to_string());
        let mask = self.mask.filter(|mask| *mask != Estimator::None);
        let redirect = Some(&self.redirect).filter(|r| **r != Redirect::Next);
        [
            ("mask", mask.map(|mask| mask.name().into())),
            ("epochs", number(self.epochs)),
            ("steps", number(self.steps)),
            ("lr", self.lr.map(|lr| lr.to_string())),
            ("batch", number(self.batch)),
            ("redirect", redirect.map(|r| r.to_string())),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
    }

    /// The recipe without what its method has no use for in a task.
    pub fn fitting(mut self, task: Task) -> Self {
        let Ok(method) = registry::find(&self.method) else { return self };
        let fields = method.fields(task);
        for (name, _) in self.set_fields() {
            match name {
                _ if fields.contains(&name) => {}
                "mask" => self.mask = None,
                "epochs" => self.epochs = None,
                "steps" => self.steps = None,
                "lr" => self.lr = None,
                "batch" => self.batch = None,
                _ => self.redirect = Redirect::Next,
            }
        }
        self
    }

    /// The same with its paths as they are from anywhere: absolute, where they lead to something.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn anywhere(&self) -> Self {
        match std::env::current_dir() {
            Ok(here) => self.within(&here),
            Err(_) => self.clone(),
        }
    }

    /// A page has no folders.
    #[cfg(target_arch = "wasm32")]
    pub fn anywhere(&self) -> Self {
        self.clone()
    }

    /// The same with its relative paths taken from a folder, where they lead to something there.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn within(&self, folder: &std::path::Path) -> Self {
        let from = |path: &str| {
            let (file, said) = match path.rsplit_once('?') {
                Some((file, said)) if !folder.join(path).exists() => (file, Some(said)),
                _ => (path, None),
            };
            let there = folder.join(file);
            let relative = std::path::Path::new(file).is_relative() && !file.is_empty();
            let text = there.to_str().filter(|_| relative && there.exists())?;
            Some(said.map_or(text.to_string(), |said| format!("{text}?{said}")))
        };
        let after = |kind: &str, text: &str| {
            let found = text.strip_prefix(kind).and_then(from);
            found.map_or(text.to_string(), |path| format!("{kind}{path}"))
        };
        let model = match registry_has(&self.model) {
            true => self.model.clone(),
            false => from(&self.model).unwrap_or_else(|| self.model.clone()),
        };
        Self {
            model,
            data: after("emoji:", &after("folder:", &self.data)),
            forget: after("indices:", &self.forget),
            mask_file: self
                .mask_file
                .as_ref()
                .map(|file| from(file).unwrap_or_else(|| file.clone())),
            after: self.after.iter().map(|before| before.within(folder)).collect(),
            ..self.clone()
        }
    }

    /// The same job with the control's mask: random, of equal size.
    pub fn random_control(&self) -> Self {
        Self { mask: Some(Estimator::Random), mask_file: None, ..self.clone() }
    }

    /// Whether a classifier's run ends with an audit.
    pub fn audits(&self) -> bool {
        self.audit.unwrap_or(self.budget == Budget::Full)
    }

    /// Reads TOML. `name` is for messages.
    ///
    /// # Errors
    /// Not TOML, an unknown or missing key, a value out of range.
    pub fn parse(text: &str, name: &str) -> Result<Self> {
        let mut recipe: Self = toml::from_str(text).map_err(|e| {
            let message = e.message().lines().next().unwrap_or("not TOML");
            // What TOML takes for an escape is a Windows path most of the time.
            let escape = ["escape", "unicode"].iter().any(|word| message.contains(word));
            let line = e.span().filter(|_| escape).map(|at| line_at(text, at.start));
            let escaped = line.filter(|line| line.contains('\\'));
            if let Some(line) = escaped {
                let right = "a path with backslashes stands in single quotes: 'C:\\pictures'";
                return Error::file(name, format!("'{line}': {message}; {right}"));
            }
            match e.span().filter(|_| !message.starts_with("missing")) {
                Some(at) => Error::file(name, format!("'{}': {message}", line_at(text, at.start))),
                None => Error::file(name, message),
            }
        })?;
        recipe.modernise();
        recipe.after.iter_mut().for_each(Self::modernise);
        recipe.check()?;
        Ok(recipe)
    }

    /// The knob `alpha` was a field before there were knobs.
    fn modernise(&mut self) {
        if let Some(alpha) = self.alpha.take() {
            self.knobs.entry("alpha".into()).or_insert(alpha);
        }
    }

    /// Sets a knob of the method, `alpha=3`; switches are `on` or `off`.
    ///
    /// # Errors
    /// The method has no such knob, or the value is not one of its.
    pub fn set(&mut self, assignment: &str) -> Result<()> {
        let Some((name, value)) = assignment.split_once('=') else {
            return Err(Error::argument("set", assignment, "NAME=VALUE is needed"));
        };
        let knob = registry::find(&self.method)?.knob(name)?;
        self.knobs.insert(name.into(), knob.parse(value)?);
        Ok(())
    }

    /// The recipe as TOML.
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string(self).map_err(|e| Error::Request(e.to_string()))
    }

    /// Refuses values that are out of range, before any work.
    ///
    /// # Errors
    /// The argument is named.
    pub fn check(&self) -> Result<()> {
        let positive = |name, value: Option<f64>| match value {
            Some(v) if !(v.is_finite() && v > 0.0) => {
                Err(Error::argument(name, v, "a number above 0 is needed"))
            }
            _ => Ok(()),
        };
        let counted = |name, value: Option<usize>, most: usize| match value {
            Some(v) if v == 0 || v > most => {
                Err(Error::argument(name, v, format!("1 to {most} is needed")))
            }
            _ => Ok(()),
        };
        if !(0.0..=1.0).contains(&self.density) {
            let right = "a share from 0 to 1 is needed, 0.5 for half of the weights";
            return Err(Error::argument("density", self.density, right));
        }
        counted("epochs", self.epochs, 10_000)?;
        counted("steps", self.steps, 10_000_000)?;
        counted("batch", self.batch, 4096)?;
        positive("lr", self.lr)?;
        if !self.knobs.is_empty() {
            let method = registry::find(&self.method)?;
            for (name, value) in &self.knobs {
                method.knob(name)?.check(*value)?;
            }
        }
        if let Some(s) = &self.sampling {
            s.check()?;
        }
        if self.after.len() > MOST_BEFORE {
            let right = format!("{MOST_BEFORE} earlier requests at the most");
            return Err(Error::argument("after", self.after.len(), right));
        }
        for earlier in &self.after {
            if !earlier.after.is_empty() || earlier.model != self.model {
                let right = "earlier requests are a flat list, all to the recipe's own model";
                return Err(Error::argument("after", &earlier.forget, right));
            }
            earlier.check()?;
        }
        Ok(())
    }

    /// SHA-256 over the recipe and the program's version: equal protocols have equal hashes. What the data
    /// was is no part of it: a recipe has that once it was run.
    pub fn protocol(&self) -> String {
        // Of a path its last name: where a folder lies is nobody's business.
        let last = |path: &str| path.rsplit(['/', '\\']).next().unwrap_or(path).to_string();
        let within = |text: &str| match text.split_once(':') {
            Some((kind, path)) => format!("{kind}:{}", last(path)),
            None => text.to_string(),
        };
        let asked = |recipe: &Self| Self {
            fingerprint: None,
            model: last(&recipe.model),
            data: within(&recipe.data),
            forget: match recipe.forget.starts_with("indices:") {
                true => within(&recipe.forget),
                false => recipe.forget.clone(),
            },
            mask_file: recipe.mask_file.as_deref().map(last),
            ..recipe.clone()
        };
        let after = self.after.iter().map(asked).collect();
        let text = Self { after, ..asked(self) }.to_toml().unwrap_or_default();
        super::hex(&sha2::Sha256::digest(format!("{}\n{text}", env!("CARGO_PKG_VERSION"))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recipe_names_the_requests_that_it_follows() {
        let request = |forget: &str| Recipe::new("fashion-classifier", "fashion-mnist", forget);
        let first = request("class:Bag");
        let second = Recipe { density: 0.3, ..request("class:Coat") }.following(&first);
        let third = Recipe { steps: Some(9), ..request("random:1%") }.following(&second);
        assert_eq!(first.start(), "fashion-classifier");
        assert_eq!(second.start(), first.end());
        assert_eq!(third.start(), second.end());
        assert_eq!(
            third.after.iter().map(|r| &*r.forget).collect::<Vec<_>>(),
            ["class:Bag", "class:Coat"]
        );
        assert_ne!(first.end(), second.end());
        assert_ne!(second.protocol(), Recipe { after: Vec::new(), ..second.clone() }.protocol());
        let again = Recipe::parse(&third.to_toml().unwrap(), "recipe").unwrap();
        assert_eq!(again, third);

        let nested = Recipe { after: vec![second.clone()], ..request("class:Bag") };
        let other = Recipe { after: vec![Recipe::new("m", "d", "f")], ..request("class:Bag") };
        let many = Recipe { after: vec![first.clone(); MOST_BEFORE + 1], ..request("class:Bag") };
        for wrong in [nested, other, many] {
            assert!(wrong.check().unwrap_err().to_string().contains("after"));
        }
    }
}
