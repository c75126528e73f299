//! What a person says of weights that came without a card: it stands behind the file's name, as in
//! `own.pth?classes=cat,dog&normalize=unit`, so that recipes and links have it, too.

use form_urlencoded::{Serializer, parse};

use super::{Assumed, Model, imagenet};
use crate::data;
use crate::data::sets;
use crate::error::{Error, Result, ensure};

/// How pixels in [0, 1] are normalised.
#[derive(Debug, Clone, PartialEq)]
pub enum Normalise {
    /// Not at all.
    Unit,
    Imagenet,
    /// As the field does it for a data set with a name.
    Set(&'static str),
    /// By these numbers: all means, then all deviations.
    By(Vec<f32>),
}

impl std::str::FromStr for Normalise {
    type Err = Error;

    fn from_str(given: &str) -> Result<Self> {
        let wrong = || {
            let right = format!(
                "unit, imagenet, {} or MEAN,STD is needed: one number of each, or one for each channel",
                data::NAMES.join(", ")
            );
            Error::argument("normalize", given, right)
        };
        if let Some(set) = sets::find(given) {
            return Ok(Self::Set(set.name));
        }
        match given {
            "unit" => Ok(Self::Unit),
            "imagenet" => Ok(Self::Imagenet),
            _ => {
                let number = |n: &str| n.trim().parse::<f32>().map_err(|_| wrong());
                let numbers: Vec<f32> = given.split(',').map(number).collect::<Result<_>>()?;
                let (_, stds) = numbers.split_at(numbers.len() / 2);
                let sound = numbers.iter().all(|n| n.is_finite()) && stds.iter().all(|s| *s > 0.0);
                if !sound || numbers.is_empty() || !numbers.len().is_multiple_of(2) {
                    return Err(wrong());
                }
                Ok(Self::By(numbers))
            }
        }
    }
}

impl std::fmt::Display for Normalise {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        match self {
            Self::Unit => f.write_str("unit"),
            Self::Imagenet => f.write_str("imagenet"),
            Self::Set(name) => f.write_str(name),
            Self::By(numbers) => {
                let numbers: Vec<String> = numbers.iter().map(f32::to_string).collect();
                f.write_str(&numbers.join(","))
            }
        }
    }
}

impl Normalise {
    /// Mean and deviation of each channel.
    fn statistics(&self, channels: usize) -> Result<(Vec<f32>, Vec<f32>)> {
        let (mean, std): (&[f32], &[f32]) = match self {
            Self::Unit => (&[0.0], &[1.0]),
            Self::Imagenet => (&imagenet::STATISTICS[0], &imagenet::STATISTICS[1]),
            Self::Set(name) => {
                let set = sets::find(name)
                    .ok_or_else(|| Error::unknown("data set", name, data::NAMES.iter().copied()))?;
                (set.mean, set.std)
            }
            Self::By(numbers) => numbers.split_at(numbers.len() / 2),
        };
        match (mean.len(), std.len()) {
            (1, 1) => Ok((vec![mean[0]; channels], vec![std[0]; channels])),
            (m, s) if (m, s) == (channels, channels) => Ok((mean.to_vec(), std.to_vec())),
            (m, _) => {
                let right = format!("it has {m} channels, the network looks at {channels}");
                Err(Error::argument("normalize", self, right))
            }
        }
    }
}

/// What is said.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Said {
    /// The classes' names, in the order of the network's outputs.
    pub classes: Option<Vec<String>>,
    pub normalize: Option<Normalise>,
    /// The U-Net to lay over a text-to-image model's own.
    pub unet: Option<String>,
    /// The classifier that judges what a class-conditional diffusion model draws, a weights file.
    pub judge: Option<String>,
}

impl Said {
    /// A file's name with what is said of it.
    pub fn behind(&self, file: &str) -> String {
        let said = [
            ("classes", self.classes.as_ref().map(|classes| classes.join(","))),
            ("normalize", self.normalize.as_ref().map(Normalise::to_string)),
            ("unet", self.unet.clone()),
            ("judge", self.judge.clone()),
        ];
        let said = said.into_iter().filter_map(|(key, value)| Some((key, value?)));
        let query = Serializer::new(String::new()).extend_pairs(said).finish();
        if query.is_empty() { file.into() } else { format!("{file}?{query}") }
    }

    /// A name's file, and what is said of it.
    ///
    /// # Errors
    /// What stands behind the question mark is something else.
    pub fn of(name: &str) -> Result<(&str, Self)> {
        let Some((file, query)) =
            name.rsplit_once('?').filter(|_| !std::path::Path::new(name).exists())
        else {
            return Ok((name, Self::default()));
        };
        let mut said = Self::default();
        for (key, value) in parse(query.as_bytes()) {
            match &*key {
                "classes" => said.classes = Some(list(&value)?),
                "normalize" => said.normalize = Some(value.parse()?),
                "unet" => said.unet = Some(value.into_owned()),
                "judge" => said.judge = Some(value.into_owned()),
                _ => {
                    let right = "behind the ? of a model, classes=A,B, normalize=HOW, unet=FILE and judge=FILE are known";
                    return Err(Error::argument("model", name, right));
                }
            }
        }
        Ok((file, said))
    }

    /// The model as it is said to be.
    ///
    /// # Errors
    /// Its own card or its weights say it already, or something does not fit the network.
    pub fn apply(&self, mut model: Model) -> Result<Model> {
        let Assumed { classes: free, normalisation } = model.card.assumed;
        let [channels, n] = model.card.architecture.channels_and_classes();
        if let Some(unet) = &self.unet {
            return Err(Error::argument("unet", unet, "only a text-to-image model takes one"));
        }
        let own = |what: &'static str, given: String| {
            Error::argument(what, given, "the file says it by itself; leave it out")
        };
        if let Some(classes) = &self.classes {
            ensure(free, || own("classes", classes.join(",")))?;
            let right = format!("the network has {n} classes, these are {}", classes.len());
            let other = || Error::argument("classes", classes.join(","), right);
            ensure(classes.len() == n, other)?;
            model.card.classes = classes.clone();
            model.card.assumed.classes = false;
        }
        if let Some(normalize) = &self.normalize {
            ensure(normalisation, || own("normalize", normalize.to_string()))?;
            model = normalised(model, normalize.statistics(channels)?);
            model.card.assumed.normalisation = false;
        }
        if let Some(judge) = &self.judge {
            let right = "only what a class-conditional diffusion model draws is judged by it";
            ensure(model.unet().is_some(), || Error::argument("judge", judge, right))?;
            model.card.judge = Some(judge.clone());
        }
        Ok(model)
    }
}

/// A model whose network normalises with this mean and deviation.
pub fn normalised(model: Model, (mean, std): (Vec<f32>, Vec<f32>)) -> Model {
    let architecture = model.card.architecture.clone().with_statistics(mean, std);
    let network = std::sync::Arc::new(architecture.build().0);
    Model { network, card: super::card::Card { architecture, ..model.card }, ..model }
}

/// Names with commas between.
///
/// # Errors
/// One is empty or there twice.
pub fn list(given: &str) -> Result<Vec<String>> {
    let names: Vec<String> = given.split(',').map(|name| name.trim().to_string()).collect();
    let twice = names.iter().enumerate().any(|(i, name)| names[..i].contains(name));
    if twice || names.iter().any(String::is_empty) {
        let right = "names with commas between are needed, none of them empty or there twice";
        return Err(Error::argument("classes", given, right));
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_stands_behind_the_name_and_is_read_back() {
        for (classes, normalize) in [
            (None, None),
            (Some("cat,dog & co,ä"), None),
            (None, Some("unit")),
            (Some("a,b"), Some("0.5,0.25")),
            (None, Some("cifar10")),
            (None, Some("0.4914,0.4822,0.4465,0.247,0.2435,0.2616")),
        ] {
            let said = Said {
                unet: None,
                judge: classes.map(|_| "a folder/judge.pth".into()),
                classes: classes.map(|c| list(c).unwrap()),
                normalize: normalize.map(|n| n.parse().unwrap()),
            };
            let name = said.behind("own.pth");
            assert_eq!(Said::of(&name).unwrap(), ("own.pth", said), "{name}");
        }
        for wrong in [
            "own.pth?data=x",
            "own.pth?normalize=half",
            "own.pth?normalize=1,2,3",
            "own.pth?classes=a,,b",
        ] {
            assert!(Said::of(wrong).is_err(), "{wrong}");
        }
        assert!("0.5,0".parse::<Normalise>().is_err());
    }
}
