//! The models that come with the product.

use std::path::{Path, PathBuf};

use super::latent::{Files, LatentModel, LatentNetwork, folder};
#[cfg(not(target_arch = "wasm32"))]
use super::latent::{OnDisk, single, single::SingleFile};
use super::{Model, Said, checkpoint};
use crate::assets;
use crate::data::{class_index, sets};
use crate::error::{Error, Result};
use crate::words::{JUDGE_IMAGENET, JUDGE_NONE, Task};

/// A model that comes with the program.
#[derive(Debug)]
pub struct Shipped {
    pub name: &'static str,
    pub task: Task,
    /// The data set that it was trained on.
    pub data: &'static str,
    /// Its paths among the [`assets`]: a weights file, or the files of a diffusers folder.
    pub files: &'static [&'static str],
    /// The forget set that a Retrain twin was trained without, and the model that it is a twin of.
    pub twin: Option<(&'static str, &'static str)>,
}

/// The classifier of Fashion-MNIST.
const FASHION: Shipped = Shipped {
    name: "fashion-classifier",
    task: Task::Classify,
    data: "fashion-mnist",
    files: fashion(0),
    twin: None,
};

/// A file among those of Fashion-MNIST.
const fn fashion(place: usize) -> &'static [&'static str] {
    std::slice::from_ref(&assets::FASHION_MODELS[place])
}

/// Every shipped model.
pub const SHIPPED: &[Shipped] = &[
    FASHION,
    Shipped {
        name: "fashion-classifier-retrain-sneaker",
        files: fashion(1),
        twin: Some((FASHION.name, "class:Sneaker")),
        ..FASHION
    },
    Shipped { name: "fashion-ddpm", task: Task::Generate, files: fashion(2), ..FASHION },
    Shipped {
        name: "fashion-ddpm-retrain-sneaker",
        task: Task::Generate,
        files: fashion(3),
        twin: Some(("fashion-ddpm", "class:Sneaker")),
        ..FASHION
    },
    // A page has no way to its pictures.
    #[cfg(not(target_arch = "wasm32"))]
    Shipped { name: "cifar-classifier", data: "cifar10", files: &assets::CIFAR_MODELS, ..FASHION },
    Shipped {
        name: "emoji-t2i",
        task: Task::TextToImage,
        data: "emoji",
        files: &assets::EMOJI_T2I,
        twin: None,
    },
];

/// The classifier that judges the pictures of the shipped text-to-image model.
const JUDGE: &str = "models/emoji-t2i/judge.safetensors";

impl Shipped {
    /// Whether it is a text-to-image model's folder and no single file.
    fn is_folder(&self) -> bool {
        self.task.prompted()
    }

    /// Unpacks a classifier or a class-conditional diffusion model.
    ///
    /// # Errors
    /// The file is damaged, or not there yet; it is a text-to-image model.
    pub fn open(&self) -> Result<Model> {
        if self.is_folder() {
            let right = "is a text-to-image model, which takes prompts and not classes";
            return Err(Error::file(self.name, right));
        }
        checkpoint::decode(&assets::bytes(self.files[0])?, Path::new(self.name))
    }

    /// Unpacks a text-to-image model.
    ///
    /// # Errors
    /// It is none, or a file is damaged.
    pub fn open_latent(&self) -> Result<LatentModel> {
        if !self.is_folder() {
            return Err(Error::file(self.name, "is not a text-to-image model"));
        }
        folder::read(&Assets(self), None)
    }
}

/// Unpacks the classifier that judges the text-to-image model's pictures.
///
/// # Errors
/// The file is damaged, or not there yet.
pub fn open_judge() -> Result<Model> {
    checkpoint::decode(&assets::bytes(JUDGE)?, Path::new(JUDGE))
}

/// A shipped model's files under the names that they have in its folder.
struct Assets<'a>(&'a Shipped);

impl Files for Assets<'_> {
    fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let path = format!("models/{}/{name}", self.0.name);
        match self.0.files.iter().any(|file| *file == path) {
            true => Ok(Some(assets::bytes(&path)?.into_owned())),
            false => Ok(None),
        }
    }

    fn path(&self) -> PathBuf {
        self.0.name.into()
    }
}

/// What can be opened as a model beside those that are shipped, and how it is named.
pub const OPENS: &[[&str; 2]] = &[
    [
        "FILE.safetensors, .pth, .pt",
        "a classifier or a class-conditional diffusion model of salun train",
    ],
    [
        "FILE.pth, .pt, .safetensors",
        "a state dictionary: ResNet (CIFAR's and ImageNet's), VGG-16-BN, Swin-T, EfficientNet-lite0",
    ],
    ["FILE.pth", "a checkpoint of the official DDPM code (Conditional_Model)"],
    ["DIR", "a diffusers folder of Stable Diffusion 1.x or 2.x, or a run's folder"],
    [
        "FILE.safetensors, .ckpt",
        "a single file of Stable Diffusion 1.x or 2.x, with a tokenizer beside it",
    ],
    ["--lora FILE@S", "a LoRA, merged into a text-to-image model"],
    ["--judge FILE, DIR", "a judge: a classifier, CLIP's folder, imagenet, none"],
];

/// The model that a task opens with.
pub fn first(task: Task) -> &'static str {
    SHIPPED.iter().find(|s| s.task == task).map_or("", |s| s.name)
}

/// A shipped model by name.
pub fn shipped(name: &str) -> Option<&'static Shipped> {
    SHIPPED.iter().find(|s| s.name == name)
}

/// Opens a shipped model by name, a weights file, or the one in a run's folder.
///
/// # Errors
/// No such model or file, or the file cannot be used.
pub fn open(name: &str) -> Result<Model> {
    let (file, said) = Said::of(name)?;
    if let Some(shipped) = shipped(file) {
        return said.apply(shipped.open()?);
    }
    #[cfg(not(target_arch = "wasm32"))]
    if name.contains(['/', '\\', '.']) || Path::new(name).is_dir() {
        let file = crate::disk::expanded(file);
        let within = file.join("model.safetensors");
        let path = if within.is_file() { &within } else { &file };
        let bytes = crate::disk::read(path)?;
        return said.apply(checkpoint::decode(&bytes, path)?);
    }
    let names = SHIPPED.iter().map(|s| s.name).chain(["a weights file or a run's folder"]);
    Err(Error::unknown("model", name, names))
}

/// Opens a shipped text-to-image model by name, a diffusers folder, a single file, or the one in a run's folder.
///
/// # Errors
/// There is no such model, it is not one for prompts, or it does not fit this machine.
pub fn open_latent(name: &str) -> Result<LatentModel> {
    let (file, said) = Said::of(name)?;
    let classes = said.classes.map(|classes| classes.join(","));
    let number = said.side.or(said.groups).map(|n| n.to_string());
    let given = classes.or(said.normalize.map(|how| how.to_string())).or(number);
    if let Some(given) = given {
        let right = "a text-to-image model has no classes and no normalisation to be said";
        return Err(Error::argument("model", given, right));
    }
    let mut model = match shipped(file) {
        Some(shipped) => shipped.open_latent()?,
        None => folder::read(&*latent_files(file)?, crate::platform::memory_to_be_had())?,
    };
    model.pictures = said.data.clone();
    #[cfg(not(target_arch = "wasm32"))]
    {
        if let Some(unet) = &said.unet {
            super::latent::parts::lay_over(&mut model.unet, unet)?;
        }
        for lora in &said.loras {
            super::latent::lora::merge(&mut model, lora)?;
        }
    }
    #[cfg(target_arch = "wasm32")]
    if let Some(file) = said.unet.as_ref().or(said.loras.first().map(|lora| &lora.file)) {
        return Err(Error::file(file, "a page cannot read files by name"));
    }
    Ok(model)
}

/// The networks of a text-to-image model, without its weights.
///
/// # Errors
/// As [`open_latent`], as far as that is known before the weights are read.
pub fn latent_network(name: &str) -> Result<LatentNetwork> {
    latent_network_within(name, crate::platform::memory_to_be_had())
}

/// The same where so much memory is free, or as much as is needed.
///
/// # Errors
/// As [`latent_network`].
pub fn latent_network_within(name: &str, room: Option<u64>) -> Result<LatentNetwork> {
    let (file, _) = Said::of(name)?;
    match shipped(file) {
        Some(shipped) => folder::network(&Assets(shipped), None),
        None => folder::network(&*latent_files(file)?, room),
    }
}

/// The files of a model's folder or of a single file, or of the one in a run's folder.
fn latent_files(file: &str) -> Result<Box<dyn Files>> {
    #[cfg(target_arch = "wasm32")]
    return Err(Error::file(file, "is a folder on a disk, which a page cannot open"));
    #[cfg(not(target_arch = "wasm32"))]
    {
        if let Some(single) = single_file(file) {
            return Ok(Box::new(single));
        }
        let folder = pipeline(file).unwrap_or_else(|| file.into());
        if folder.is_file() {
            // What it is instead, in the words that every command has for it.
            open(file)?;
            let right = "takes classes and no prompts; a text-to-image model is a diffusers folder \
                         or a single-file checkpoint of Stable Diffusion";
            return Err(Error::file(folder, right));
        }
        if !folder.is_dir() {
            let right = "is not a folder; a text-to-image model is a diffusers folder or a \
                         single-file checkpoint of Stable Diffusion";
            return Err(Error::file(folder, right));
        }
        Ok(Box::new(OnDisk(folder)))
    }
}

/// The single-file checkpoint that a path leads to: it, or the one in a run's folder; none of a diffusers folder.
#[cfg(not(target_arch = "wasm32"))]
fn single_file(file: &str) -> Option<SingleFile> {
    use crate::words::SINGLE;
    let whole = crate::disk::expanded(file);
    let places = [whole.join("model").join(SINGLE), whole.join(SINGLE), whole];
    let recognised = |path: &PathBuf| single::recognised(path);
    let path = places.into_iter().find(recognised).filter(|_| pipeline(file).is_none())?;
    Some(SingleFile::new(path.parent()?.into(), path.file_name()?.to_str()?))
}

/// Whether a name is a single-file checkpoint's.
#[cfg(not(target_arch = "wasm32"))]
pub fn is_single(name: &str) -> bool {
    single_file(file_of(name)).is_some()
}

/// A name without what is said behind it.
fn file_of(name: &str) -> &str {
    Said::of(name).map_or(name, |(file, _)| file)
}

/// Whether a name is that of a model on this machine, and of none that comes with the program.
pub fn is_file(name: &str) -> bool {
    let file = file_of(name);
    shipped(file).is_none() && Path::new(file).exists()
}

/// Whether a name is a text-to-image model's: a shipped one's, a folder, or a single file.
pub fn is_latent(name: &str) -> bool {
    let file = file_of(name);
    match shipped(file) {
        Some(shipped) => shipped.is_folder(),
        #[cfg(not(target_arch = "wasm32"))]
        None => pipeline(file).is_some() || single_file(file).is_some(),
        #[cfg(target_arch = "wasm32")]
        None => pipeline(file).is_some(),
    }
}

#[cfg(not(target_arch = "wasm32"))]
pub use crate::disk::Stamp;
/// A page has no files.
#[cfg(target_arch = "wasm32")]
pub type Stamp = ();

/// The files that a text-to-image model is read from as they are now, with those that are laid over it; none of
/// another.
#[cfg(not(target_arch = "wasm32"))]
pub fn stamps(name: &str) -> Vec<Stamp> {
    let single = || single_file(file_of(name)).map(|single| single.stamps());
    let folder = pipeline(name).map(|folder| crate::disk::stamps(&folder));
    let mut all = folder.or_else(single).unwrap_or_default();
    let said = Said::of(name).map(|(_, said)| said).unwrap_or_default();
    let laid = said.unet.iter().chain(said.loras.iter().map(|lora| &lora.file));
    all.extend(laid.filter_map(|file| crate::disk::stamp(&crate::disk::expanded(file))));
    all
}

/// A page has no files.
#[cfg(target_arch = "wasm32")]
pub fn stamps(_: &str) -> Vec<Stamp> {
    Vec::new()
}

/// The diffusers folder that a path leads to: it, or the one in a run's folder.
pub fn pipeline(path: &str) -> Option<PathBuf> {
    let file = file_of(path);
    #[cfg(not(target_arch = "wasm32"))]
    let whole = crate::disk::expanded(file);
    #[cfg(target_arch = "wasm32")]
    let whole = PathBuf::from(file);
    let folders = [whole.clone(), whole.join("model")];
    folders.into_iter().find(|folder| folder.join("model_index.json").is_file())
}

/// The Retrain twin of a model for a forget set, whose class may be named or numbered.
pub fn twin(of: &str, forget: &str) -> Option<&'static Shipped> {
    SHIPPED.iter().find(|s| {
        let classes = sets::find(s.data).map_or(&[][..], |set| set.classes);
        let class = |spec: &str| class_index(classes, spec.strip_prefix("class:")?).ok();
        s.twin.is_some_and(|(model, spec)| {
            model == of && (spec == forget || class(spec).is_some() && class(spec) == class(forget))
        })
    })
}

/// The classifier that judges pictures of a data set, or of a part of it.
pub fn judge(data: &str) -> Option<&'static Shipped> {
    let data = sets::whole(data);
    let judges = |s: &&Shipped| s.task.classifies() && s.twin.is_none() && s.data == data;
    SHIPPED.iter().find(judges)
}

/// Whether a name is a judge's that is no file: nobody, one that is fetched, or a shipped one.
pub fn is_judge(name: &str) -> bool {
    [JUDGE_NONE, JUDGE_IMAGENET].contains(&name) || shipped(name).is_some()
}

/// The classifier that a person names as a judge: one that is fetched or shipped, or a file.
///
/// # Errors
/// As [`open`], or it was not fetched.
pub fn open_as_judge(name: &str) -> Result<Model> {
    #[cfg(not(target_arch = "wasm32"))]
    if name == JUDGE_IMAGENET {
        return super::fetched::find(name)?.open();
    }
    let path = name.contains(['/', '\\', '.']) || is_file(name);
    if !path && shipped(name).is_none() {
        let own = SHIPPED.iter().filter(|s| s.task.classifies() && s.twin.is_none());
        let names = own.map(|s| s.name);
        let kinds = [JUDGE_NONE, JUDGE_IMAGENET, "a classifier's file", "a folder of CLIP"];
        return Err(Error::unknown("judge", name, names.chain(kinds)));
    }
    open(name)
}

/// The file or folder that a judge is read from; nothing where it comes with the program.
#[cfg(not(target_arch = "wasm32"))]
pub fn judge_file(name: &str) -> Option<PathBuf> {
    let file = file_of(name);
    if name == JUDGE_IMAGENET {
        return super::fetched::find(name).and_then(super::fetched::Fetched::path).ok();
    }
    shipped(file).is_none().then(|| crate::disk::expanded(file))
}

/// The files among the [`assets`] that a job on a model opens: its own, its judge's, and its twin's
/// for a forget set.
pub fn files(name: &str, data: &str, forget: &str) -> Vec<&'static str> {
    shipped(name)
        .into_iter()
        .chain(judge(data))
        .chain(twin(name, forget))
        .flat_map(|s| s.files)
        .copied()
        .collect()
}
