//! The recipe of an unlearning run: everything that fixes it, as TOML.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use strum::{Display, EnumString};

pub use super::budget::Budget;
use super::{Fingerprint, ForgetKind, Format};
use crate::error::{Error, Result};
use crate::words::{Estimator, SampleOptions};

/// Where a diffusion model is sent instead of the forgotten class.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, Display, EnumString)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
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
    #[strum(default)]
    Class(String),
}

/// An unlearning run. Two runs of one recipe on one kind of device give the same weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    #[serde(default)]
    pub format: Format,
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
    /// Weights that others made forget: nothing is trained, and `method` is what they are called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub given: Option<String>,
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
    /// The update that the run ends with, before the last one: its weights are those that the whole run has
    /// there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<usize>,
    /// The run of the same request that this one goes on from: it starts from the weights which that ended with,
    /// with a fresh optimiser, and what its mask freezes stays as it was there. It is measured against the
    /// unchanged model as any other. What came before both is said once, by this recipe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<Box<Self>>,
    /// Requests to the same model that were met before this one, the first one first: this run
    /// starts from the weights that the last of them ended with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<Self>,
}

/// Of a path its last name: where a folder lies is nobody's business.
fn last(path: &str) -> String {
    path.rsplit(['/', '\\']).next().unwrap_or(path).to_string()
}

/// A model's name with the LoRA files and the pictures that are said behind it by their last names, as a model
/// itself; `unet` and `judge` have always been whole.
fn laid(model: &str) -> String {
    let Some((file, said)) = model.rsplit_once('?') else { return model.into() };
    let short = |part: &str| {
        let (key, value) = part.split_once('=')?;
        let (kind, path) = match key {
            "lora" => ("", value),
            "data" => value.split_at(value.find("%3A")? + 3),
            _ => return None,
        };
        let name = ["%2F", "%5C"].iter().fold(path, |p, slash| p.rsplit(slash).next().unwrap_or(p));
        Some(format!("{key}={kind}{name}"))
    };
    let said: Vec<String> =
        said.split('&').map(|part| short(part).unwrap_or_else(|| part.into())).collect();
    format!("{file}?{}", said.join("&"))
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

impl Default for Recipe {
    /// That of nothing yet.
    fn default() -> Self {
        Self::new("", "", "")
    }
}

impl Recipe {
    /// A recipe with every default.
    pub fn new(model: &str, data: &str, forget: &str) -> Self {
        Self {
            format: Format,
            model: model.into(),
            data: data.into(),
            forget: forget.into(),
            method: default_method(),
            mask: None,
            mask_file: None,
            given: None,
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
            until: None,
            branch: None,
            after: Vec::new(),
        }
    }

    /// This request to the model that a run of `done` ended with.
    pub fn following(self, done: &Self) -> Self {
        let mut after = done.after.clone();
        after.push(Self { after: Vec::new(), ..done.clone() });
        Self { model: done.model.clone(), after, ..self }
    }

    /// This request as others met it: their weights, which are called after their file.
    pub fn met_by(self, file: &str) -> Self {
        Self {
            method: last(file.trim_end_matches(['/', '\\'])),
            given: Some(file.into()),
            epochs: None,
            steps: None,
            lr: None,
            batch: None,
            redirect: Redirect::default(),
            knobs: BTreeMap::new(),
            until: None,
            branch: None,
            ..self
        }
    }

    /// The whole run that this one is the beginning of.
    pub fn whole(&self) -> Self {
        Self { until: None, ..self.clone() }
    }

    /// This request from where a run of the same request ended.
    pub fn going_on(self, from: &Self) -> Self {
        Self { branch: Some(Box::new(Self { after: Vec::new(), ..from.clone() })), ..self }
    }

    /// The run that this one goes on from.
    pub fn parent(&self) -> Option<Self> {
        self.branch.as_ref().map(|branch| Self { after: self.after.clone(), ..*branch.clone() })
    }

    /// Whether a run of another recipe can go on from one of this: both are of the same request.
    pub fn leads_to(&self, other: &Self) -> bool {
        self.model == other.model && self.data == other.data && self.forget == other.forget
    }

    /// The same request, to be met here.
    pub fn to_be_met(self) -> Self {
        match self.given {
            Some(_) => Self { given: None, method: default_method(), ..self },
            None => self,
        }
    }

    /// Whether a prompt is to be forgotten, and not pictures.
    pub fn names_prompt(&self) -> bool {
        ForgetKind::of(&self.forget) == Some(ForgetKind::Prompt)
    }

    /// The name of the weights that a run starts from: the model's, or one that stands for the
    /// model after the earlier requests.
    pub fn start(&self) -> String {
        if self.after.is_empty() {
            return self.model.clone();
        }
        let hashes: Vec<String> = self.after.iter().map(Self::protocol).collect();
        let hash = super::sha256(hashes.concat());
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

    /// The same job with the control's mask: random, of equal size.
    pub fn random_control(&self) -> Self {
        Self { mask: Some(Estimator::Random), mask_file: None, ..self.clone() }
    }

    /// Whether a classifier's run ends with an audit.
    pub fn audits(&self) -> bool {
        self.audit.unwrap_or(self.budget == Budget::Full || self.given.is_some())
    }

    /// The recipe as TOML.
    ///
    /// # Errors
    /// A value has no form as TOML.
    pub fn to_toml(&self) -> Result<String> {
        let text = toml::to_string(self).map_err(|e| Error::Request(e.to_string()))?;
        // Who has the recipe alone is told.
        let said = self.data.contains("+mine:").then_some(
            "# A person's own pictures are no part of a recipe; the folder of a run has them in mine/.\n",
        );
        Ok(said.unwrap_or_default().to_string() + &text)
    }

    /// The same without what the data was, and without where files lie: they go by their last names.
    fn unplaced(&self) -> Self {
        let within = |text: &str| match text.split_once(':') {
            Some((kind, path)) => format!("{kind}:{}", last(path)),
            None => text.to_string(),
        };
        Self {
            fingerprint: None,
            model: laid(&last(&self.model)),
            data: within(&self.data),
            forget: match ForgetKind::of(&self.forget) {
                Some(ForgetKind::Indices) => within(&self.forget),
                _ => self.forget.clone(),
            },
            mask_file: self.mask_file.as_deref().map(last),
            given: self.given.as_deref().map(last),
            branch: self.branch.as_ref().map(|branch| Box::new(branch.unplaced())),
            ..self.clone()
        }
    }

    /// SHA-256 over the recipe and the program's version: equal protocols have equal hashes. What the data
    /// was is no part of it: a recipe has that once it was run.
    pub fn protocol(&self) -> String {
        let after = self.after.iter().map(Self::unplaced).collect();
        let text = Self { after, ..self.unplaced() }.to_toml().unwrap_or_default();
        // Requests had their names before there was a version.
        let text = text.lines().filter(|line| !line.starts_with("format = "));
        let text: String = text.flat_map(|line| [line, "\n"]).collect();
        super::sha256(format!("{}\n{text}", env!("CARGO_PKG_VERSION")))
    }
}
