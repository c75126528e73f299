//! The files of a run folder, before anybody knows where they go.

use std::io::{Cursor, Write};
use std::sync::Arc;

use image::{Rgb, RgbImage};
use serde::Serialize;
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

use super::canvas::packed;
use super::html::{Picture, Told};
use super::{animation, charts, figures, html};
use crate::data::{Mine, PictureShape};
use crate::engine::{Attack, Grid, LogLine, Run};
use crate::error::{Error, Result};
use crate::eval::METRICS;
use crate::models::{AnyModel, Precision, checkpoint, latent};
use crate::saliency::Mask;
use crate::words::{Audit, Metrics, Report, files, sha256};

/// What a text-to-image model's weights that changed are called in its folder.
const UNET: &str = "unet/diffusion_pytorch_model.safetensors";

/// The files of a run folder: name and content. A text-to-image model is a folder in it, `model/`: diffusers', or
/// the single file that it came from, with its tokenizer.
///
/// # Errors
/// A picture cannot be drawn.
pub fn contents(run: &Run) -> Result<Vec<(String, Vec<u8>)>> {
    let mut files = Vec::new();
    for name in files::RUN {
        match (name, &run.model) {
            // They are the last, because they hold the others' hashes and pictures.
            (files::REPORT | files::PAGE, _) => {}
            ("model.safetensors", AnyModel::Latent(model)) => {
                let folder = latent::folder::write(model, Precision::Full)?.into_iter();
                files.extend(folder.map(|(name, bytes)| (format!("model/{name}"), bytes)));
            }
            _ => files.extend(file(run, name)?.map(|bytes| (name.to_string(), bytes))),
        }
    }
    if let Some(mine) = &run.mine {
        files.extend(pictures(mine, run.model.classes())?);
    }
    let hash = |(name, bytes): &(String, Vec<u8>)| {
        let sealed = SEALED.contains(&name.as_str());
        sealed.then(|| (name.clone(), sha256(bytes)))
    };
    let report = Report { files: files.iter().filter_map(hash).collect(), ..run.report.clone() };
    let told = told(run, &report, |name| {
        let made = files.iter().find(|(file, _)| file == name);
        Ok(made.map(|(_, bytes)| bytes.clone()))
    })?;
    let page = told.html()?;
    files.push((files::REPORT.into(), json(&report)?));
    files.push((files::PAGE.into(), page.into_bytes()));
    Ok(files)
}

/// What the page of a run tells; its pictures are those `files` of its folder.
///
/// # Errors
/// Those of `files`.
pub fn told<'a>(
    run: &'a Run,
    report: &'a Report,
    mut files: impl FnMut(&str) -> Result<Option<Vec<u8>>>,
) -> Result<Told<'a>> {
    let mut pictures = Vec::new();
    for (file, title) in html::PICTURES {
        pictures.extend(files(file)?.map(|png| Picture::of(title, report, png)));
    }
    Ok(Told {
        recipe: &run.recipe,
        report,
        control: None,
        classes: run.model.classes(),
        log: &run.log,
        scores: run.ranking.as_deref().and_then(figures::scores),
        pictures,
        address: "",
    })
}

/// The page of a run that stands beside its control, with what it showed on the way: pictures by the number of
/// updates before them. Links on it begin with an address.
///
/// # Errors
/// A picture cannot be drawn.
pub fn page(
    run: &Run,
    control: Option<&Run>,
    steps: &[(usize, Arc<Grid>)],
    address: &str,
) -> Result<String> {
    let mut told = told(run, &run.report, |name| file(run, name))?;
    let classes = run.model.classes();
    if let Some(control) = control {
        let title = "Random mask of equal size".to_string();
        let alt = "The same pictures after forgetting with a random mask".to_string();
        told.pictures.push(Picture { title, alt, png: figures::grid(&control.after, classes)? });
        told.control = Some(&control.report);
    }
    if let Some(png) = animation::over_steps(steps, classes)? {
        let title = "After, over the updates".to_string();
        let alt = format!("The same pictures at {} steps of the training, in a loop", steps.len());
        told.pictures.push(Picture { title, alt, png });
    }
    told.address = address;
    told.html()
}

/// The files whose SHA-256 the report of a run folder holds: what a run was, and what came of it.
pub const SEALED: [&str; 5] = [
    "recipe.toml",
    "model.safetensors",
    "mask.safetensors",
    "model/unet/diffusion_pytorch_model.safetensors",
    "model/model.safetensors",
];

/// One file of a run folder; `None` where there is none, such as the mask of a run without one. Of
/// a text-to-image model's weights, those that were trained.
///
/// # Errors
/// A picture cannot be drawn.
pub fn file(run: &Run, name: &str) -> Result<Option<Vec<u8>>> {
    let (report, classes) = (&run.report, run.model.classes());
    let mask = run.mask.as_ref();
    let bytes = match name {
        "recipe.toml" => run.recipe.anywhere().to_toml()?.into_bytes(),
        "forgotten.txt" if run.forgotten.is_empty() => return Ok(None),
        "forgotten.txt" => (run.forgotten.join("\n") + "\n").into_bytes(),
        files::REPORT => json(report)?,
        files::PAGE => page(run, None, &[], "")?.into_bytes(),
        "model.safetensors" => match &run.model {
            AnyModel::Plain(model) => checkpoint::encode(model, Precision::Full)?,
            AnyModel::Latent(model) => {
                let changed = if model.single.is_some() { files::SINGLE } else { UNET };
                return Ok(named(latent::folder::write(model, Precision::Full)?, changed));
            }
        },
        "mask.safetensors" => return mask.map(Mask::encode).transpose(),
        "saliency.png" => {
            let scores = run.ranking.as_deref().and_then(figures::scores);
            let draw = |m| figures::saliency(m, scores.as_ref(), &report.forget.spec).png();
            return report.mask.as_ref().map(draw).transpose();
        }
        "before.png" => figures::grid(&run.before, classes)?,
        "after.png" => figures::grid(&run.after, classes)?,
        "side-by-side.png" => figures::side_by_side(run)?,
        "log.jsonl" => log(&run.log)?.into_bytes(),
        files::SNAPSHOTS => return run.snapshots.encode(),
        name if files::ATTACKS.contains(&name) => return Ok(named(attacks(&run.attacks)?, name)),
        name if files::AUDIT.contains(&name) => {
            let files = report.audit.as_deref().map(audit).transpose()?;
            return Ok(files.and_then(|files| named(files, name)));
        }
        _ => return Ok(None),
    };
    Ok(Some(bytes))
}

/// A person's own pictures as a folder that `+folder:` reads again, as they are: those of a class in a folder
/// of its name, or of its number, where the name is none for a folder.
fn pictures(mine: &Mine, classes: &[String]) -> Result<Vec<(String, Vec<u8>)>> {
    let own = &mine.pictures;
    let PictureShape { channels, height, width } = own.shape;
    let plain = |c: char| c.is_alphanumeric() || ['-', '_', ' '].contains(&c);
    let place = |class: &String| match class.trim() == class && class.chars().all(plain) {
        true => class.clone(),
        false => classes.iter().position(|c| c == class).unwrap_or(0).to_string(),
    };
    let one = |i: usize| {
        let pixels = own.picture(i);
        let value = |x, y, c: usize| {
            pixels[(c.min(channels - 1) * height + y as usize) * width + x as usize]
        };
        let pixel = |x, y| Rgb([0, 1, 2].map(|c| value(x, y, c)));
        let picture = RgbImage::from_fn(width as u32, height as u32, pixel);
        let class = place(&mine.classes[usize::from(own.labels[i])]);
        Ok((format!("{}/{class}/{i:03}.png", files::MINE), packed(&picture)?))
    };
    (0..own.len()).map(one).collect()
}

/// What the file of this name holds.
fn named<N: AsRef<str>>(
    files: impl IntoIterator<Item = (N, Vec<u8>)>,
    name: &str,
) -> Option<Vec<u8>> {
    files.into_iter().find(|(file, _)| file.as_ref() == name).map(|(_, bytes)| bytes)
}

/// The files of an audit: name and content.
///
/// # Errors
/// A picture cannot be drawn.
pub fn audit(audit: &Audit) -> Result<[(&'static str, Vec<u8>); 3]> {
    let [found, roc, relearn] = files::AUDIT;
    let (curves, back) = (charts::roc(audit).png()?, charts::relearn(audit).png()?);
    Ok([(found, json(audit)?), (roc, curves), (relearn, back)])
}

/// The files of attacks: name and content; none without attacks.
///
/// # Errors
/// A picture cannot be drawn.
pub fn attacks(attacks: &[Attack]) -> Result<Vec<(&'static str, Vec<u8>)>> {
    if attacks.is_empty() {
        return Ok(Vec::new());
    }
    let [numbers, pictures] = files::ATTACKS;
    let reports: Vec<_> = attacks.iter().map(|a| &a.report).collect();
    Ok(vec![(numbers, json(&reports)?), (pictures, figures::attacks(attacks)?)])
}

/// Every metric of a run and of its control as CSV: before, after, of the control, of Retrain, each with its
/// 95 % interval where it is a share, and the pictures behind it.
///
/// # Errors
/// It has no form as CSV.
pub fn metrics(report: &Report, control: Option<&Report>) -> Result<Vec<u8>> {
    let none = Metrics::unjudged();
    let columns = [
        ("before", &report.before),
        ("after", &report.after),
        ("random mask", control.map_or(&none, |control| &control.after)),
        ("Retrain", report.retrain.as_ref().unwrap_or(&none)),
    ];
    let failed = |e: csv::Error| Error::Request(format!("the table: {e}"));
    let mut table = csv::Writer::from_writer(Vec::new());
    table.write_record(["metric", "of", "value", "low", "high", "n"]).map_err(failed)?;
    for (metric, (of, metrics)) in
        METRICS.iter().flat_map(|metric| columns.iter().map(move |column| (metric, column)))
    {
        let Some(value) = metric.value(metrics) else { continue };
        let n = (metric.n)(metrics).0;
        let ends = metric
            .interval(metrics)
            .map_or(Default::default(), |ends| ends.map(|end| format!("{end:.2}")));
        let [low, high] = ends;
        let row = [metric.key, of, &format!("{value:.4}"), &low, &high, &n.to_string()];
        table.write_record(row).map_err(failed)?;
    }
    table.into_inner().map_err(|e| Error::Request(format!("the table: {e}")))
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

/// A name in characters that any file system takes.
pub fn plain(name: &str) -> String {
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
    let json = |line| serde_json::to_string(line).map(|text| text + "\n");
    lines
        .iter()
        .map(json)
        .collect::<std::result::Result<_, _>>()
        .map_err(|e| Error::Request(e.to_string()))
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
