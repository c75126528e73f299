//! A person's own pictures: one sub-folder a class, read through the `image` crate.
//!
//! `folder:PATH` reads them grey, 28 x 28; `folder:PATH?rgb` in colour, 32 x 32;
//! `folder:PATH?size=48&rgb` at a size of one's own.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use image::imageops::FilterType;

use super::{Dataset, PictureShape, Pictures, rng};
use crate::{
    error::{Error, Result},
    gpu::cpu::par,
};

/// Sides of the square that every picture is brought to, unless said otherwise: grey, colour.
const SIDES: [usize; 2] = [28, 32];
/// A picture larger than this on a side is not opened.
const MAX_SIDE: u32 = 16_384;
/// Memory that decoding one picture may take.
const MAX_BYTES: u64 = 512 << 20;

/// The folder and the shape of pictures that `PATH` or `PATH?size=N&rgb` asks for.
///
/// # Errors
/// What follows the question mark is something else.
fn parse(given: &str) -> Result<(&Path, PictureShape)> {
    let square = |channels, side| PictureShape { channels, height: side, width: side };
    let whole = Path::new(given);
    let (path, options) = match given.rsplit_once('?') {
        Some((path, options)) if !whole.is_dir() => (Path::new(path), options),
        _ => (whole, ""),
    };
    let (mut channels, mut side) = (1, None);
    for option in options.split('&').filter(|o| !o.is_empty()) {
        let size = option.strip_prefix("size=").and_then(|n| n.parse::<usize>().ok());
        match (option, size) {
            ("rgb", _) => channels = 3,
            ("grey", _) => channels = 1,
            (_, Some(n)) if (16..=64).contains(&n) && n.is_multiple_of(4) => side = Some(n),
            _ => {
                let right = "after the ? of a folder, rgb or grey and size=N with a multiple of 4 \
                             from 16 to 64 are known, joined by &";
                return Err(Error::argument("data", format!("folder:{given}"), right));
            }
        }
    }
    Ok((path, square(channels, side.unwrap_or(SIDES[usize::from(channels == 3)]))))
}

/// What is in a folder: every sub-folder and its files, with what tells that a file has changed.
type Listing = Vec<(PathBuf, Vec<(PathBuf, u64, Option<SystemTime>)>)>;

/// The latest folder that was read.
static LATEST: Mutex<Option<(String, Listing, Arc<Dataset>)>> = Mutex::new(None);

/// Reads a folder as [`parse`] understands it, a class for each sub-folder in alphabetical order.
/// A fixed tenth of each class (at least one) is the test set. Unreadable files are skipped and
/// counted. The same folder is read again only when a file in it has changed.
///
/// # Errors
/// The folder cannot be read, has fewer than two classes, or nothing readable is left in one.
pub fn open(given: &str) -> Result<Arc<Dataset>> {
    let (path, shape) = parse(given)?;
    let listing = list(path)?;
    let mut latest = LATEST.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((name, then, data)) = &*latest
        && (name.as_str(), then) == (given, &listing)
    {
        return Ok(data.clone());
    }
    let data = Arc::new(decode(given, shape, &listing)?);
    *latest = Some((given.into(), listing, data.clone()));
    Ok(data)
}

fn list(path: &Path) -> Result<Listing> {
    let inside = |folder: &Path| -> Result<Vec<PathBuf>> {
        let entries = fs::read_dir(folder).map_err(|e| Error::file(folder, e))?;
        let mut paths: Vec<_> = entries.filter_map(|e| e.ok().map(|e| e.path())).collect();
        paths.sort();
        Ok(paths)
    };
    let folders: Vec<_> = inside(path)?.into_iter().filter(|p| p.is_dir()).collect();
    if !(2..=256).contains(&folders.len()) {
        let reason =
            format!("{} sub-folders; one sub-folder a class is needed, 2 to 256", folders.len());
        return Err(Error::file(path, reason));
    }
    let file = |path: PathBuf| {
        let known = fs::metadata(&path).ok().filter(fs::Metadata::is_file)?;
        Some((path, known.len(), known.modified().ok()))
    };
    let class = |folder: PathBuf| {
        let files = inside(&folder)?.into_iter().filter_map(file).collect();
        Ok((folder, files))
    };
    folders.into_iter().map(class).collect()
}

fn decode(given: &str, shape: PictureShape, listing: &Listing) -> Result<Dataset> {
    let empty = || Pictures { pixels: Vec::new(), labels: Vec::new(), shape };
    let (mut train, mut test) = (empty(), empty());
    let mut skipped = 0;
    let mut classes = Vec::new();
    for (label, (folder, files)) in listing.iter().enumerate() {
        let all = files.len();
        let pictures = par::map(files.iter().collect(), |(file, ..)| read(file, shape));
        let pictures: Vec<Vec<u8>> = pictures.into_iter().flatten().collect();
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
    Ok(Dataset { name: format!("folder:{given}"), classes, train, test, skipped })
}

/// One picture as bytes, channels first, or nothing if it cannot be read.
fn read(path: &Path, shape: PictureShape) -> Option<Vec<u8>> {
    let mut reader = image::ImageReader::open(path).ok()?.with_guessed_format().ok()?;
    let mut limits = image::Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_BYTES);
    reader.limits(limits);
    let picture = reader.decode().ok()?;
    let picture =
        picture.resize_exact(shape.width as u32, shape.height as u32, FilterType::Triangle);
    Some(if shape.channels == 1 {
        picture.to_luma8().into_raw()
    } else {
        let pixels = picture.to_rgb8().into_raw();
        (0..3).flat_map(|c| pixels[c..].iter().step_by(3).copied()).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_read_grey_or_in_colour_at_the_size_asked_for() {
        let dir = std::env::temp_dir().join(format!("salun-folder-{}", std::process::id()));
        for class in ["a", "b"] {
            fs::create_dir_all(dir.join(class)).unwrap();
            for i in 0..3 {
                let picture = image::RgbImage::from_pixel(40, 40, image::Rgb([200, 100, i]));
                picture.save(dir.join(class).join(format!("{i}.png"))).unwrap();
            }
        }
        let path = dir.display();
        for (given, channels, side) in [
            (format!("{path}"), 1, 28),
            (format!("{path}?rgb"), 3, 32),
            (format!("{path}?size=32"), 1, 32),
            (format!("{path}?size=16&rgb"), 3, 16),
        ] {
            let data = open(&given).unwrap();
            let shape = PictureShape { channels, height: side, width: side };
            assert_eq!((data.train.shape, data.train.len(), data.test.len()), (shape, 4, 2));
            let picture = data.train.picture(0);
            assert_eq!(picture.len(), shape.n());
            if channels == 3 {
                assert_eq!([picture[0], picture[side * side]], [200, 100]);
            }
        }
        for given in ["?size=30", "?size=1000", "?blue", "?size="] {
            let error = open(&format!("{path}{given}")).unwrap_err();
            assert!(error.to_string().contains("rgb or grey"), "{error}");
        }
        fs::remove_dir_all(dir).unwrap();
    }
}
