//! What a person says of weights that came without a card: it stands behind the file's name, as in
//! `own.pth?classes=cat,dog&normalize=unit`, so that recipes and links have it, too.

use std::ops::RangeInclusive;

use form_urlencoded::{Serializer, parse};

use super::{Architecture, Assumed, Model, UnetConfig, imagenet};
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
    /// The side of a class-conditional diffusion model's pictures.
    pub side: Option<usize>,
    /// The groups of its normalisations.
    pub groups: Option<usize>,
    /// The U-Net to lay over a text-to-image model's own.
    pub unet: Option<String>,
    /// The LoRA files to merge into a text-to-image model, in this order.
    pub loras: Vec<Lora>,
    /// The classifier that judges what a class-conditional diffusion model draws, a weights file.
    pub judge: Option<String>,
    /// The pictures that it is about, as a data set's name; else those that its card names.
    pub data: Option<String>,
}

/// A LoRA file, and how strongly it is merged.
#[derive(Debug, Clone, PartialEq)]
pub struct Lora {
    pub file: String,
    /// What its change is multiplied by.
    pub strength: f64,
}

/// Largest strength of a LoRA, either way.
const STRONGEST: f64 = 10.0;

impl std::str::FromStr for Lora {
    type Err = Error;

    /// `FILE`, or `FILE@STRENGTH`.
    fn from_str(given: &str) -> Result<Self> {
        let parts = given.rsplit_once('@').filter(|(file, _)| !file.is_empty());
        let number = parts.and_then(|(file, s)| Some((file, s.trim().parse::<f64>().ok()?)));
        let (file, strength) = number.unwrap_or((given, 1.0));
        let right = || {
            let right = format!(
                "FILE or FILE@STRENGTH is needed, a strength from -{STRONGEST} to {STRONGEST}"
            );
            Error::argument("lora", given, right)
        };
        ensure(!file.is_empty() && strength.abs() <= STRONGEST, right)?;
        Ok(Self { file: file.into(), strength })
    }
}

impl std::fmt::Display for Lora {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        let Self { file, strength } = self;
        // A name that ends like a strength needs one.
        match *strength == 1.0 && !file.contains('@') {
            true => f.write_str(file),
            false => write!(f, "{file}@{strength}"),
        }
    }
}

impl Said {
    /// A file's name with what is said of it.
    pub fn behind(&self, file: &str) -> String {
        let said = [
            ("classes", self.classes.as_ref().map(|classes| classes.join(","))),
            ("normalize", self.normalize.as_ref().map(Normalise::to_string)),
            ("side", self.side.map(|side| side.to_string())),
            ("groups", self.groups.map(|groups| groups.to_string())),
            ("unet", self.unet.clone()),
            ("judge", self.judge.clone()),
            ("data", self.data.clone()),
        ];
        let said = said.into_iter().filter_map(|(key, value)| Some((key, value?)));
        let loras = self.loras.iter().map(|lora| ("lora", lora.to_string()));
        let query = Serializer::new(String::new()).extend_pairs(said.chain(loras)).finish();
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
                "side" => said.side = Some(side(&value)?),
                "groups" => said.groups = Some(groups(&value)?),
                "unet" => said.unet = Some(value.into_owned()),
                "lora" => said.loras.push(value.parse()?),
                "judge" => said.judge = Some(value.into_owned()),
                "data" => said.data = Some(value.into_owned()),
                _ => {
                    let right = "behind the ? of a model, classes=A,B, normalize=HOW, side=N, groups=N, unet=FILE, lora=FILE@STRENGTH, judge=FILE and data=NAME are known";
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
        let Assumed { classes: free, normalisation, .. } = model.card.assumed;
        let [channels, n] = model.card.architecture.channels_and_classes();
        if let Some(unet) = &self.unet {
            return Err(Error::argument("unet", unet, "only a text-to-image model takes one"));
        }
        if let Some(lora) = self.loras.first() {
            return Err(Error::argument("lora", lora, "only a text-to-image model takes one"));
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
        model = self.drawn(model)?;
        if let Some(judge) = &self.judge {
            let right = "only what a class-conditional diffusion model draws is judged by it";
            ensure(model.unet().is_some(), || Error::argument("judge", judge, right))?;
            model.card.judge = Some(judge.clone());
        }
        if let Some(data) = &self.data {
            (model.card.data, model.card.fingerprint) = (data.clone(), None);
        }
        Ok(model)
    }

    /// The model with what is said of a U-Net's pictures and normalisations.
    fn drawn(&self, mut model: Model) -> Result<Model> {
        let Assumed { side: any_side, groups: any_groups, .. } = model.card.assumed;
        let own = |what: &'static str, given: usize, free: bool| {
            let right = match model.unet() {
                Some(_) => "the file says it by itself; leave it out",
                None => "only a class-conditional diffusion model has it; leave it out",
            };
            ensure(free, || Error::argument(what, given, right))
        };
        self.side.map_or(Ok(()), |side| own("side", side, any_side))?;
        self.groups.map_or(Ok(()), |groups| own("groups", groups, any_groups))?;
        if let Some(side) = self.side {
            let Architecture::Unet(UnetConfig { mult, .. }) = &model.card.architecture else {
                return Ok(model);
            };
            let right = format!("a multiple of {} is needed", 1 << mult.len().saturating_sub(1));
            model = sided(model, side).ok_or_else(|| Error::argument("side", side, right))?;
            model.card.assumed.side = false;
        }
        if let (Some(groups), Architecture::Unet(config)) =
            (self.groups, model.card.architecture.clone())
        {
            model = rebuilt(model, Architecture::Unet(UnetConfig { groups, ..config }));
            model.card.assumed.groups = false;
        }
        Ok(model)
    }
}

/// The side of pictures.
///
/// # Errors
/// It is none that a U-Net has.
pub fn side(given: &str) -> Result<usize> {
    let side = given.parse().ok().filter(|side| SIDES.contains(side));
    side.ok_or_else(|| Error::argument("side", given, "a number of pixels from 4 to 256 is needed"))
}

/// The groups of a normalisation.
///
/// # Errors
/// It is no number of groups.
pub fn groups(given: &str) -> Result<usize> {
    let groups = given.parse().ok().filter(|n| GROUPS.contains(n));
    groups.ok_or_else(|| Error::argument("groups", given, "a number from 1 to 64 is needed"))
}

/// Sides of a U-Net's pictures, and groups of its normalisations.
pub const SIDES: RangeInclusive<usize> = 4..=256;
pub const GROUPS: RangeInclusive<usize> = 1..=64;

/// A model whose pictures have another side; `None` where its levels cannot halve that.
pub fn sided(model: Model, side: usize) -> Option<Model> {
    let Architecture::Unet(config) = model.card.architecture.clone() else { return None };
    let halved = config.mult.len().saturating_sub(1);
    let fits = SIDES.contains(&side) && side.is_multiple_of(1 << halved);
    fits.then(|| rebuilt(model, Architecture::Unet(config.with_side(side))))
}

/// A model whose network has another form around the same weights.
fn rebuilt(model: Model, architecture: Architecture) -> Model {
    let network = std::sync::Arc::new(architecture.build().0);
    Model { network, card: super::card::Card { architecture, ..model.card }, ..model }
}

/// A model whose network normalises with this mean and deviation.
pub fn normalised(model: Model, (mean, std): (Vec<f32>, Vec<f32>)) -> Model {
    let architecture = model.card.architecture.clone().with_statistics(mean, std);
    rebuilt(model, architecture)
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
                side: classes.map(|_| 64),
                groups: normalize.map(|_| 8),
                unet: None,
                loras: classes.map_or(Vec::new(), |_| {
                    ["a.pt", "b@2.safetensors", "c.pt@-0.5"].map(|l| l.parse().unwrap()).into()
                }),
                judge: classes.map(|_| "a folder/judge.pth".into()),
                data: classes.map(|_| "folder:a b?size=32&caption=a+%7Bclass%7D".into()),
                classes: classes.map(|c| list(c).unwrap()),
                normalize: normalize.map(|n| n.parse().unwrap()),
            };
            let name = said.behind("own.pth");
            assert_eq!(Said::of(&name).unwrap(), ("own.pth", said), "{name}");
        }
        for wrong in [
            "own.pth?width=4",
            "own.pth?normalize=half",
            "own.pth?normalize=1,2,3",
            "own.pth?classes=a,,b",
            "own?lora=x@11",
            "own?lora=x@nan",
            "own?lora=",
            "own.pth?side=0",
            "own.pth?groups=x",
        ] {
            assert!(Said::of(wrong).is_err(), "{wrong}");
        }
        assert!("0.5,0".parse::<Normalise>().is_err());
    }
}
