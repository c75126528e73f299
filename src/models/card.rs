//! The model card: where weights come from. Stored inside the weights file and beside it.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

use super::Architecture;
use crate::words::{Fingerprint, Format};

/// What a person must know to trust, repeat or use a set of weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Card {
    #[serde(default)]
    pub format: Format,
    pub name: String,
    pub architecture: Architecture,
    pub data: String,
    pub classes: Vec<String>,
    /// What the data was, if it was a folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<Fingerprint>,
    /// What a file without a card did not say and was assumed.
    #[serde(default, skip_serializing_if = "Assumed::is_nothing")]
    pub assumed: Assumed,
    /// What a person should know of how the file was read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// The classifier that judges what it draws, where a person named one.
    #[serde(skip)]
    pub judge: Option<String>,
    /// Seed of the one train/validation split, used again for unlearning and evaluation.
    pub split_seed: u64,
    /// What the training data was lacking, for a Retrain twin.
    #[serde(default)]
    pub without: Option<String>,
    #[serde(default)]
    pub training: Option<Training>,
    /// What trained weights were made to forget since, one request after another.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "one_or_several")]
    pub unlearned: Vec<Unlearned>,
    /// Measured values by name, `TA` in percent and so on.
    #[serde(default)]
    pub metrics: BTreeMap<String, f64>,
    #[serde(default)]
    pub device: String,
    #[serde(default)]
    pub version: String,
}

impl Card {
    /// The card of weights of which no more is known.
    pub fn new(name: &str, architecture: Architecture, data: &str, classes: Vec<String>) -> Self {
        Self {
            format: Format,
            name: name.into(),
            architecture,
            data: data.into(),
            classes,
            fingerprint: None,
            assumed: Assumed::default(),
            notes: Vec::new(),
            judge: None,
            split_seed: 1,
            without: None,
            training: None,
            unlearned: Vec::new(),
            metrics: BTreeMap::new(),
            device: String::new(),
            version: String::new(),
        }
    }
}

/// What was assumed of weights that came without a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Assumed {
    /// The classes' names and order.
    pub classes: bool,
    /// Mean and deviation that pixels are normalised with.
    pub normalisation: bool,
    /// The side of the pictures that a U-Net draws.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub side: bool,
    /// The groups of a U-Net's normalisations.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub groups: bool,
}

impl Assumed {
    fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// An unlearning run that the weights came out of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Unlearned {
    pub method: String,
    pub forget: String,
    /// Seed of the request, which a random share follows from.
    #[serde(default = "first_seed")]
    pub seed: u64,
    /// The items as [`crate::data::ranges`] writes them, where they do not follow from the
    /// specification, the seed and the split.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items: Option<String>,
    /// The items by name, where they are a person's files: others may come and go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub names: Option<Vec<String>>,
    /// SHA-256 of the mask's bytes.
    pub mask: Option<String>,
    /// Protocol hash of the run.
    pub protocol: String,
}

fn first_seed() -> u64 {
    1
}

/// What older files have one of, without a list, or none.
///
/// # Errors
/// It is something else.
pub fn one_or_several<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    from: D,
) -> Result<Vec<T>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Form<T> {
        One(T),
        Several(Vec<T>),
    }
    Ok(match Option::<Form<T>>::deserialize(from)? {
        None => Vec::new(),
        Some(Form::One(one)) => vec![one],
        Some(Form::Several(several)) => several,
    })
}

/// How the weights were trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Training {
    pub steps: usize,
    pub batch: usize,
    pub optimizer: String,
    /// Peak of the learning-rate schedule.
    pub lr: f64,
    pub schedule: String,
    /// Decay of the exponential moving average; 0 where there is none.
    pub ema: f64,
    pub augmentation: String,
    /// The weights that training started from, as name and hash; fresh ones where there is none.
    #[serde(default)]
    pub from: Option<String>,
    pub seed: u64,
    pub seconds: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cards_of_the_first_version_are_read() {
        let card = |unlearned: &str| {
            let text = format!(
                r#"{{"name":"m","architecture":{{"kind":"resnet","width":4,"channels":1,
                "classes":2,"mean":[0.5],"std":[0.5]}},"data":"d","classes":["a","b"],
                "split_seed":1{unlearned}}}"#
            );
            serde_json::from_str::<Card>(&text).unwrap()
        };
        let one = r#"{"method":"salun","forget":"class:a","mask":null,"protocol":"p"}"#;
        assert!(card("").unlearned.is_empty() && card(r#","unlearned":null"#).unlearned.is_empty());
        let old = card(&format!(r#","unlearned":{one}"#));
        assert_eq!((old.unlearned.len(), old.unlearned[0].seed), (1, 1));
        let new = card(&format!(r#","unlearned":[{one},{one}]"#));
        assert_eq!(new.unlearned.len(), 2);
        let again: Card = serde_json::from_str(&serde_json::to_string(&new).unwrap()).unwrap();
        assert_eq!(again, new);
    }
}
