//! The run folder (docs/use.md): everything a run was and did, whole or not there.

use std::path::{Path, PathBuf};

use super::bundle::{SEALED, contents};
use super::html::{Picture, Told};
use super::{bundle, html};
use crate::disk::output::{Output, OutputKind};
use crate::disk::{files, output};
use crate::engine::{LogLine, Past, Run};
use crate::error::{Error, Result};
use crate::models::delta::Snapshots;
use crate::models::{AnyModel, checkpoint, latent};
use crate::platform;
use crate::words::files::SNAPSHOTS;
use crate::words::{REPORT, Recipe, Report, sha256};

/// Writes a run to `dir` and says where it is.
///
/// # Errors
/// `dir` exists and `force` is off, or it cannot be written.
pub fn write(run: &Run, dir: &Path, force: bool) -> Result<PathBuf> {
    Output::new(dir, OutputKind::Run, force)?.write_folder(contents(run)?)
}

/// Writes a run to the first free `<task>-<forget>-<mask>-<n>` in a folder, and says where it is.
///
/// # Errors
/// It cannot be written.
pub fn write_free(run: &Run, within: &Path) -> Result<PathBuf> {
    let files = contents(run)?;
    output::first(&within.join(bundle::name(run)), OutputKind::Run, false, |place| {
        Output::new(place, OutputKind::Run, false)?.write_here(&files)
    })
}

/// Refuses a folder whose files are not those that its report was written with. A report that was written
/// before reports held hashes says nothing.
fn sealed(dir: &Path, report: &Report) -> Result<()> {
    let files = &report.files;
    if files.is_empty() {
        return Ok(());
    }
    for name in SEALED {
        let path = dir.join(name);
        let there = path.is_file();
        let why = match files.get(name) {
            Some(_) if !there => "is missing",
            Some(right) if sha256(files::read(&path)?) != *right => {
                "is not the run's: it was changed since, or is another run's"
            }
            None if there => "is not the run's, which had none",
            _ => continue,
        };
        return Err(Error::file(path, why));
    }
    Ok(())
}

/// The page of a run folder, made anew from what lies in it: of the log, lines that can be read.
///
/// # Errors
/// The folder is none of a run, or a file in it is damaged; the file is named.
pub fn page(dir: &Path) -> Result<String> {
    let Saved { recipe, report, model } = read(dir)?;
    let there = |name: &str| Some(dir.join(name)).filter(|path| path.is_file());
    let log = there("log.jsonl").map(|path| files::read_text(&path)).transpose()?;
    let lines = log.iter().flat_map(|text| text.lines());
    let log: Vec<LogLine> = lines.filter_map(|line| serde_json::from_str(line).ok()).collect();
    let mut pictures = Vec::new();
    for (name, title) in html::PICTURES {
        let Some(path) = there(name) else { continue };
        let png = files::read(&path)?;
        image::load_from_memory_with_format(&png, image::ImageFormat::Png)
            .map_err(|e| Error::file(&path, e))?;
        pictures.push(Picture::of(title, &report, png));
    }
    let classes = model.classes();
    let (recipe, report, log, control) = (&recipe, &report, &log, None);
    Told { recipe, report, control, classes, log, scores: None, pictures, address: "" }.html()
}

/// A run folder as read back.
#[derive(Debug, Clone)]
pub struct Saved {
    pub recipe: Recipe,
    pub report: Report,
    pub model: AnyModel,
}

/// What the run of a folder was on its way; nothing where the folder has no snapshots.
///
/// # Errors
/// A file is damaged; it is named.
pub fn past(dir: &Path) -> Result<Option<Past>> {
    let path = dir.join(SNAPSHOTS);
    if !path.is_file() {
        return Ok(None);
    }
    let snapshots = Snapshots::decode(&files::read(&path)?, &path)?;
    let path = dir.join("log.jsonl");
    let text = files::read_text(&path)?;
    let lines = text.lines().map(serde_json::from_str);
    let log = lines.collect::<std::result::Result<_, _>>().map_err(|e| Error::file(&path, e))?;
    Ok(Some(Past { snapshots, log }))
}

/// Reads the recipe, the report and the weights of a run folder.
///
/// # Errors
/// One of them is missing or damaged; the file is named.
pub fn read(dir: &Path) -> Result<Saved> {
    if !dir.is_dir() {
        return Err(Error::file(dir, "is not a run folder"));
    }
    let path = dir.join("recipe.toml");
    let recipe = Recipe::parse(&files::read_text(&path)?, &path.to_string_lossy())?;
    let recipe = recipe.with_pictures(dir);
    let path = dir.join(REPORT);
    let bytes = files::read(&path)?;
    let report = serde_json::from_slice(&bytes).map_err(|e| Error::file(&path, e))?;
    sealed(dir, &report)?;
    let inside = dir.join("model");
    let model = if inside.is_dir() {
        let free = platform::free_memory();
        AnyModel::Latent(latent::folder::read(&*latent::on_disk(inside), free)?.into())
    } else {
        let path = dir.join("model.safetensors");
        AnyModel::Plain(checkpoint::decode(&files::read(&path)?, &path)?.into())
    };
    Ok(Saved { recipe, report, model })
}
