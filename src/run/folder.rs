//! The run folder (DESIGN 4): everything a run was and did, whole or not there.

use std::{fs, path::Path};

use serde::Serialize;

use super::{figures, files, output::Output, recipe::Recipe, report::Report};
use crate::{
    engine::job::{LogLine, Run},
    error::{Error, Result},
    models::{
        Model,
        checkpoint::{self, Precision},
    },
};

/// Writes a run to `dir`.
///
/// # Errors
/// `dir` exists and `force` is off, or it cannot be written.
pub fn write(run: &Run, dir: &Path, force: bool) -> Result<()> {
    let output = Output::folder(dir, force)?;
    fill(run, output.path())?;
    output.commit()
}

/// Writes a run's files into an empty folder.
///
/// # Errors
/// A file cannot be written.
pub fn fill(run: &Run, dir: &Path) -> Result<()> {
    let put = |name: &str, bytes: &[u8]| {
        let path = dir.join(name);
        fs::write(&path, bytes).map_err(|e| Error::write(&path, e))
    };
    let (report, classes) = (&run.report, &run.model.card.classes);
    put("recipe.toml", run.recipe.to_toml()?.as_bytes())?;
    put("report.json", &json(report)?)?;
    put("model.safetensors", &checkpoint::encode(&run.model, Precision::Full)?)?;
    if let Some(mask) = &run.mask {
        put("mask.safetensors", &mask.encode()?)?;
        put(
            "saliency.png",
            &figures::saliency(mask, run.ranking.as_deref(), &report.forget.spec)?,
        )?;
    }
    put("before.png", &figures::grid(&run.before, classes)?)?;
    put("after.png", &figures::grid(&run.after, classes)?)?;
    put("side-by-side.png", &figures::side_by_side(run)?)?;
    put("log.jsonl", log(&run.log)?.as_bytes())
}

/// A run folder as read back.
#[derive(Debug, Clone)]
pub struct Saved {
    pub recipe: Recipe,
    pub report: Report,
    pub model: Model,
}

/// Reads the recipe, the report and the weights of a run folder.
///
/// # Errors
/// One of them is missing or damaged; the file is named.
pub fn read(dir: &Path) -> Result<Saved> {
    if !dir.is_dir() {
        return Err(Error::file(dir, "is not a run folder"));
    }
    let get = |name: &str| {
        let path = dir.join(name);
        let bytes = files::read(&path)?;
        Ok::<_, Error>((path, bytes))
    };
    let path = dir.join("recipe.toml");
    let text = files::read_text(&path)?;
    let recipe = Recipe::parse(&text, &path.to_string_lossy())?;
    let (path, bytes) = get("report.json")?;
    let report = serde_json::from_slice(&bytes).map_err(|e| Error::file(&path, e))?;
    let (path, bytes) = get("model.safetensors")?;
    Ok(Saved { recipe, report, model: checkpoint::decode(&bytes, &path)? })
}

/// Indented JSON that ends its last line.
///
/// # Errors
/// A value has no JSON form.
pub fn json(value: &impl Serialize) -> Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec_pretty(value).map_err(|e| Error::Request(e.to_string()))?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// A log as JSON lines.
///
/// # Errors
/// A line has no JSON form.
pub fn log(lines: &[LogLine]) -> Result<String> {
    let mut text = String::new();
    for line in lines {
        text += &serde_json::to_string(line).map_err(|e| Error::Request(e.to_string()))?;
        text.push('\n');
    }
    Ok(text)
}
