//! The files of a run folder, before anybody knows where they go.

use std::io::{Cursor, Write};

use serde::Serialize;
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

use super::{audit::Audit, charts, figures};
use crate::{
    engine::job::{LogLine, PromptRun, Run},
    error::{Error, Result},
    models::{
        checkpoint::{self, Precision},
        latent,
    },
    saliency::Mask,
};

/// The names of the files, in their order.
pub const FILES: [&str; 12] = [
    "recipe.toml",
    "report.json",
    "model.safetensors",
    "mask.safetensors",
    "saliency.png",
    AUDIT[0],
    AUDIT[1],
    AUDIT[2],
    "before.png",
    "after.png",
    "side-by-side.png",
    "log.jsonl",
];

/// The files of a run folder: name and content.
///
/// # Errors
/// A picture cannot be drawn.
pub fn contents(run: &Run) -> Result<Vec<(&'static str, Vec<u8>)>> {
    let each = |name| Ok(file(run, name)?.map(|bytes| (name, bytes)));
    FILES.into_iter().filter_map(|name| each(name).transpose()).collect()
}

/// One file of a run folder; `None` where there is none, such as the mask of a run without one.
///
/// # Errors
/// A picture cannot be drawn.
pub fn file(run: &Run, name: &str) -> Result<Option<Vec<u8>>> {
    let (report, classes) = (&run.report, &run.model.card.classes);
    let mask = run.mask.as_ref();
    let bytes = match name {
        "recipe.toml" => run.recipe.to_toml()?.into_bytes(),
        "report.json" => json(report)?,
        "model.safetensors" => checkpoint::encode(&run.model, Precision::Full)?,
        "mask.safetensors" => return mask.map(Mask::encode).transpose(),
        "saliency.png" => {
            let draw = |m| figures::saliency(m, run.ranking.as_deref(), &report.forget.spec);
            return mask.map(draw).transpose();
        }
        "before.png" => figures::grid(&run.before, classes)?,
        "after.png" => figures::grid(&run.after, classes)?,
        "side-by-side.png" => figures::side_by_side(run)?,
        "log.jsonl" => log(&run.log)?.into_bytes(),
        name if AUDIT.contains(&name) => {
            let Some(found) = &report.audit else { return Ok(None) };
            let file = audit(found)?.into_iter().find(|(file, _)| *file == name);
            return Ok(file.map(|(_, bytes)| bytes));
        }
        _ => return Ok(None),
    };
    Ok(Some(bytes))
}

/// The names of an audit's files.
pub const AUDIT: [&str; 3] = ["audit.json", "roc.png", "relearn.png"];

/// The files of an audit: name and content.
///
/// # Errors
/// A picture cannot be drawn.
pub fn audit(audit: &Audit) -> Result<[(&'static str, Vec<u8>); 3]> {
    let [found, roc, relearn] = AUDIT;
    let (curves, back) = (charts::roc(audit).png()?, charts::relearn(audit).png()?);
    Ok([(found, json(audit)?), (roc, curves), (relearn, back)])
}

/// The files of a prompt's run folder: the model is a diffusers folder in it.
///
/// # Errors
/// A picture cannot be drawn.
pub fn prompt_contents(run: &PromptRun) -> Result<Vec<(String, Vec<u8>)>> {
    let report = &run.report;
    let mut files = vec![
        ("recipe.toml".to_string(), run.recipe.to_toml()?.into_bytes()),
        ("report.json".into(), json(report)?),
    ];
    for (name, bytes) in latent::folder::write(&run.model, Precision::Full)? {
        files.push((format!("model/{name}"), bytes));
    }
    if let Some(mask) = &run.mask {
        let saliency = figures::saliency(mask, run.ranking.as_deref(), &report.forget.spec)?;
        files.extend([
            ("mask.safetensors".into(), mask.encode()?),
            ("saliency.png".into(), saliency),
        ]);
    }
    let side_by_side = figures::pair(report, &run.names, [&run.before, &run.after])?;
    files.extend([
        ("before.png".into(), figures::grid(&run.before, &run.names)?),
        ("after.png".into(), figures::grid(&run.after, &run.names)?),
        ("side-by-side.png".into(), side_by_side),
        ("log.jsonl".into(), log(&run.log)?.into_bytes()),
    ]);
    Ok(files)
}

/// A run folder as one zip archive.
///
/// # Errors
/// A picture cannot be drawn.
pub fn archive(run: &Run) -> Result<Vec<u8>> {
    let failed = |e: &dyn std::fmt::Display| Error::Request(format!("the archive: {e}"));
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    // Weights and pictures hardly pack.
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for (file, bytes) in contents(run)? {
        zip.start_file(format!("{}/{file}", name(run)), stored).map_err(|e| failed(&e))?;
        zip.write_all(&bytes).map_err(|e| failed(&e))?;
    }
    Ok(zip.finish().map_err(|e| failed(&e))?.into_inner())
}

/// What a run's folder is called: `<task>-<forget>-<mask>`, in characters that any file system
/// takes.
pub fn name(run: &Run) -> String {
    let r = &run.report;
    let mask = r.mask.as_ref().map_or("none", |m| m.estimator.as_str());
    plain(&format!("{}-{}-{mask}", r.task, r.forget.spec))
}

fn plain(name: &str) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    name.chars().map(safe).take(80).collect()
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

#[cfg(test)]
mod tests {
    #[test]
    fn a_run_is_named_for_any_file_system() {
        assert_eq!(
            super::plain("classify-class:Ankle boot-random"),
            "classify-class-ankle-boot-random"
        );
    }
}
