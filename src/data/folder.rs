//! A person's own pictures: one sub-folder a class, read through the `image` crate.

use std::{fs, path::Path, sync::Arc};

use image::imageops::FilterType;

use super::{Dataset, PictureShape, Pictures, rng};
use crate::error::{Error, Result};

/// Side of the square that every picture is brought to.
const SIDE: u32 = 28;
/// A picture larger than this on a side is not opened.
const MAX_SIDE: u32 = 16_384;
/// Memory that decoding one picture may take.
const MAX_BYTES: u64 = 512 << 20;

/// Reads `path`: grey 28 x 28 pictures, a class for each sub-folder in alphabetical order. A fixed
/// tenth of each class (at least one) is the test set. Unreadable files are skipped and counted.
///
/// # Errors
/// The folder cannot be read, has fewer than two classes, or nothing readable is left in one.
pub fn open(path: &Path) -> Result<Dataset> {
    let mut folders: Vec<_> = fs::read_dir(path)
        .map_err(|e| Error::file(path, e))?
        .filter_map(|entry| entry.ok().map(|e| e.path()))
        .filter(|p| p.is_dir())
        .collect();
    folders.sort();
    if !(2..=256).contains(&folders.len()) {
        let reason =
            format!("{} sub-folders; one sub-folder a class is needed, 2 to 256", folders.len());
        return Err(Error::file(path, reason));
    }
    let shape = PictureShape { channels: 1, height: SIDE as usize, width: SIDE as usize };
    let empty = || Pictures { pixels: Vec::new(), labels: Vec::new(), shape };
    let (mut train, mut test) = (empty(), empty());
    let mut skipped = 0;
    let mut classes = Vec::new();
    for (label, folder) in folders.iter().enumerate() {
        let mut files: Vec<_> = fs::read_dir(folder)
            .map_err(|e| Error::file(folder, e))?
            .filter_map(|entry| entry.ok().map(|e| e.path()))
            .filter(|p| p.is_file())
            .collect();
        files.sort();
        let all = files.len();
        let pictures: Vec<Vec<u8>> = files.iter().filter_map(|f| read(f)).collect();
        skipped += all - pictures.len();
        if pictures.len() < 2 {
            let reason = format!(
                "{} of {all} files are readable pictures; at least 2 are needed",
                pictures.len()
            );
            return Err(Error::file(folder, reason));
        }
        let name = folder.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let order = rng::shuffled(&mut rng::seeded(0, &name), pictures.len());
        let held_out = (pictures.len() / 10).max(1);
        for (place, &i) in order.iter().enumerate() {
            let set = if place < held_out { &mut test } else { &mut train };
            set.pixels.extend(&pictures[i]);
            set.labels.push(label as u8);
        }
        classes.push(name);
    }
    let (train, test) = (Arc::new(train), Arc::new(test));
    Ok(Dataset { name: format!("folder:{}", path.display()), classes, train, test, skipped })
}

/// One picture as grey bytes, or nothing if it cannot be read.
fn read(path: &Path) -> Option<Vec<u8>> {
    let mut reader = image::ImageReader::open(path).ok()?.with_guessed_format().ok()?;
    let mut limits = image::Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_BYTES);
    reader.limits(limits);
    let picture = reader.decode().ok()?;
    Some(picture.resize_exact(SIDE, SIDE, FilterType::Triangle).to_luma8().into_raw())
}
