//! Arguments that several commands share, and parsers that say what would be right.

use std::{fmt::Display, ops::RangeInclusive, path::Path, str::FromStr};

use clap::builder::TypedValueParser;

use salun_studio::data::{captioned, corpus, forget};
use salun_studio::error::{Error, Result, ensure};
use salun_studio::gpu::DeviceChoice;
use salun_studio::models::{Lora, Normalise, SHIPPED, Said, registry, said};
use salun_studio::unlearn::registry::METHODS;
use salun_studio::words;
use salun_studio::words::Estimator;

/// Arguments of every command.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Common")]
pub struct Common {
    /// Where to compute: auto, gpu or cpu
    #[arg(long, global = true, default_value = "auto", value_parser = choice("device", DeviceChoice::ALL), value_name = "NAME")]
    pub device: DeviceChoice,
    /// Replace an output that is there, if it is what the command writes
    #[arg(long, global = true)]
    pub force: bool,
    /// Print one JSON object on stdout, nothing else
    #[arg(long, global = true)]
    pub json: bool,
    /// Print nothing but errors, and JSON where it is asked for
    #[arg(long, global = true)]
    pub quiet: bool,
}

impl Common {
    /// Opens a data set for a model before any work and says what of a folder is not used.
    ///
    /// # Errors
    /// It is unknown or not on this machine, or the folder cannot be used.
    pub fn look_at(&self, data: &str, model: &str) -> Result<()> {
        // Captioned pictures are opened by the job.
        if registry::is_latent(model) || corpus::is_corpus(data) {
            return Ok(());
        }
        for line in &salun_studio::data::open(data)?.notes {
            super::print::remark(&format!("{data}: {line}"));
        }
        Ok(())
    }
}

/// What weights that came without a card do not say of themselves.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Of a model that does not say all")]
pub struct Own {
    /// Its classes in the order of its outputs, with commas between [default: those of the data]
    #[arg(long, value_name = "A,B")]
    classes: Option<String>,
    /// How its pixels are normalised: unit (not at all), imagenet, a data set's name, or MEAN,STD
    /// [default: as the data's]
    #[arg(long, value_name = "HOW", allow_negative_numbers = true)]
    normalize: Option<Normalise>,
    /// The side of the pictures that a DDPM U-Net draws, in pixels [default: as the data's]
    #[arg(long, value_name = "N", value_parser = said::side)]
    side: Option<usize>,
    /// The groups of its normalisations [default: 32, as in the official code]
    #[arg(long, value_name = "N", value_parser = said::groups)]
    groups: Option<usize>,
    /// A U-Net, or a part of one, to lay over that of a text-to-image model's folder
    #[arg(long, value_name = "FILE")]
    unet: Option<String>,
    /// A LoRA file to merge into a text-to-image model, as strongly as is said behind it: FILE@0.8; may be given
    /// several times
    #[arg(long, value_name = "FILE[@S]", action = clap::ArgAction::Append)]
    lora: Vec<Lora>,
    /// Who judges what a diffusion model draws: a classifier's file or name, a folder of CLIP,
    /// imagenet (salun model fetch imagenet), or none [default: the shipped one for its data]
    #[arg(long, value_name = "JUDGE")]
    judge: Option<String>,
}

impl Own {
    /// The name of a model with what is said of it.
    ///
    /// # Errors
    /// A list of classes is none.
    pub fn behind(&self, model: &str) -> Result<String> {
        let classes = self.classes.as_deref().map(said::list).transpose()?;
        // What a recipe says of it stands where nothing else is said.
        let (model, before) = Said::of(model)?;
        let classes = classes.or(before.classes);
        let normalize = self.normalize.clone().or(before.normalize);
        let (side, groups) = (self.side.or(before.side), self.groups.or(before.groups));
        let unet = self.unet.clone().or(before.unet);
        let judge = self.judge.clone().or(before.judge);
        let loras = if self.lora.is_empty() { before.loras } else { self.lora.clone() };
        let data = before.data;
        Ok(Said { classes, normalize, side, groups, unet, loras, judge, data }.behind(model))
    }
}

/// What pictures with words are captioned by.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Of a folder of pictures for a text-to-image model")]
pub struct Captions {
    /// How a class's pictures are captioned, as in "an image of a {class}" [default: as the folder's
    /// metadata.jsonl or metadata.csv says]
    #[arg(long, value_name = "TEMPLATE")]
    caption: Option<String>,
}

impl Captions {
    /// The name of a folder with how its pictures are captioned.
    ///
    /// # Errors
    /// It is no folder.
    pub fn of(&self, data: &str) -> Result<String> {
        let Some(template) = &self.caption else { return Ok(data.into()) };
        let right = "only the pictures of a folder are captioned by it: --data folder:PATH";
        ensure(data.starts_with("folder:"), || Error::argument("caption", template, right))?;
        Ok(captioned(data, template))
    }
}

/// Endings that say a format.
const FORMATS: &str = "avif bin bmp ckpt csv gif gguf h5 html jpeg jpg json npy npz onnx pdf pkl png pt pth \
                       safetensors svg tif tiff webp";

/// Refuses a file name whose ending says another format than what is written into it.
///
/// # Errors
/// It does; the formats that there are are named.
pub fn ending(out: &Path, formats: &[&str]) -> Result<()> {
    let given = out.extension().and_then(|e| e.to_str()).unwrap_or_default().to_lowercase();
    if !FORMATS.split(' ').any(|known| known == given) || formats.contains(&given.as_str()) {
        return Ok(());
    }
    let right = format!("what is written is .{}; choose a name that ends so", formats.join(", ."));
    Err(Error::argument("out", out.display(), right))
}

/// The parser of one of `all` by its name.
pub fn choice<T: Copy + Into<&'static str> + Send + Sync>(
    what: &'static str,
    all: &'static [T],
) -> impl TypedValueParser<Value = T> {
    move |given: &str| words::find(what, given, all)
}

/// The parser of one of `all` by the name that stands before it.
pub fn named<T: Copy + Send + Sync>(
    what: &'static str,
    all: &'static [(&str, T)],
) -> impl TypedValueParser<Value = T> {
    move |given: &str| {
        let found = all.iter().find(|(name, _)| *name == given).map(|(_, value)| *value);
        found.ok_or_else(|| Error::unknown(what, given, all.iter().map(|(name, _)| *name)))
    }
}

/// The parser of a whole number within a range.
pub fn whole(
    argument: &'static str,
    range: RangeInclusive<usize>,
) -> impl TypedValueParser<Value = usize> {
    within(argument, range)
}

/// The parser of a real number within a range.
pub fn real(
    argument: &'static str,
    range: RangeInclusive<f64>,
) -> impl TypedValueParser<Value = f64> {
    within(argument, range)
}

/// Not for use as it is: clap asks only at run time whether an argument has its parser's type.
fn within<T>(argument: &'static str, range: RangeInclusive<T>) -> impl TypedValueParser<Value = T>
where
    T: FromStr + PartialOrd + Display + Copy + Send + Sync + 'static,
{
    move |given: &str| {
        let value = given.parse().ok().filter(|v| range.contains(v));
        value.ok_or_else(|| {
            let (from, to) = (range.start(), range.end());
            Error::argument(argument, given, format!("a number from {from} to {to} is needed"))
        })
    }
}

/// A random seed.
pub fn seed(given: &str) -> Result<u64> {
    given.parse().map_err(|_| Error::argument("seed", given, "a whole number from 0 is needed"))
}

/// A learning rate, or another factor above zero.
pub fn above_zero(argument: &'static str) -> impl TypedValueParser<Value = f64> {
    move |given: &str| {
        let value = given.parse().ok().filter(|v: &f64| v.is_finite() && *v > 0.0);
        value.ok_or_else(|| Error::argument(argument, given, "a number above 0 is needed"))
    }
}

/// A way to score weights, by name, or a mask's file.
pub fn mask(given: &str) -> Result<Masked> {
    match Estimator::find(given) {
        Ok(estimator) => Ok(Masked { estimator, file: None }),
        Err(_) if salun_studio::disk::expanded(given).is_file() => {
            Ok(Masked { estimator: Estimator::Given, file: Some(given.into()) })
        }
        Err(error) => Err(error),
    }
}

/// Which mask.
#[derive(Debug, Clone)]
pub struct Masked {
    pub estimator: Estimator,
    pub file: Option<String>,
}

/// Help that lists the methods there are.
pub fn methods_help() -> String {
    format!("The method [default: salun]: {}", list(METHODS.iter().map(|m| m.name)))
}

/// Help that lists the masks there are, a line each.
pub fn masks_help() -> String {
    let line = |e: &Estimator| format!("\n- {}: {}", e.name(), e.about());
    let lines: String = Estimator::ALL.iter().map(line).collect();
    let file = "\n- or the FILE of a mask: of salun saliency, or the official code's with_0.5.pt";
    format!("How weights are scored:{lines}{file}")
}

/// Help that lists the kinds of forget set.
pub fn forget_help() -> String {
    format!("What to forget: {}", forget::HELP)
}

/// Help that lists the models there are.
pub fn models_help() -> String {
    format!("A weights file, or a shipped model: {}", list(SHIPPED.iter().map(|m| m.name)))
}

fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.collect::<Vec<_>>().join(", ")
}
