//! A person's own pictures: one sub-folder a class, read through the `image` crate.
//!
//! `folder:PATH` reads them grey, 28 x 28; `folder:PATH?rgb` in colour, 32 x 32;
//! `folder:PATH?size=48&rgb` at a size of one's own.

use std::{
    fs,
    io::Cursor,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use image::imageops::FilterType;
use sha2::Digest;

use super::{Dataset, PictureShape, Pictures, rng};
use crate::{
    error::{Error, Result},
    gpu::cpu::par,
    run::{files, fingerprint::Fingerprint, hex, output::Kind},
};

/// Sides of the square that every picture is brought to, unless said otherwise: grey, colour.
const SIDES: [usize; 2] = [28, 32];
/// A picture larger than this on a side is not opened.
const MAX_SIDE: u32 = 16_384;
/// Bytes of a picture's file, and memory that decoding it may take.
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

/// A file, its length, and when it was written.
type Known = (PathBuf, u64, Option<SystemTime>);

/// What is in a folder: every class with its files, with what tells that a file has changed, and what is
/// not used.
#[derive(PartialEq)]
struct Listing {
    classes: Vec<(PathBuf, Vec<Known>)>,
    notes: Vec<String>,
}

/// The latest folder that was read.
static LATEST: Mutex<Option<(String, Listing, Arc<Dataset>)>> = Mutex::new(None);

/// Reads a folder as [`parse`] understands it, a class for each sub-folder in alphabetical order but
/// those that are hidden or that commands of ours wrote. A fixed tenth of each class (at least one) is the
/// test set. Unreadable files are skipped and counted, what else is not used is noted. The same folder is
/// read again only when a file in it has changed.
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
    let mut notes = Vec::new();
    let (all, beside): (Vec<_>, Vec<_>) = inside(path)?.into_iter().partition(|p| p.is_dir());
    if !beside.is_empty() {
        notes.push(format!("{} beside the class folders and not used", counted(beside.len())));
    }
    let mut folders = Vec::new();
    for folder in all {
        let name = name_of(&folder);
        if name.starts_with('.') {
            notes.push(format!("'{name}' is hidden and no class"));
        } else if let Some(kind) = Kind::of_folder(&folder) {
            notes.push(format!("'{name}' is {} and no class", kind.name()));
        } else {
            folders.push(folder);
        }
    }
    if !(2..=256).contains(&folders.len()) {
        let reason =
            format!("{} sub-folders; one sub-folder a class is needed, 2 to 256", folders.len());
        return Err(Error::file(path, reason));
    }
    let mut classes = Vec::new();
    for folder in folders {
        let mut known = Vec::new();
        let mut deeper = 0;
        for path in inside(&folder)? {
            match fs::metadata(&path) {
                Ok(about) if about.is_file() => {
                    known.push((path, about.len(), about.modified().ok()));
                }
                Ok(about) if about.is_dir() => deeper += below(&path, 8),
                _ => {}
            }
        }
        if deeper > 0 {
            let name = name_of(&folder);
            notes.push(format!("{} in sub-folders of '{name}' and not used", counted(deeper)));
        }
        classes.push((folder, known));
    }
    Ok(Listing { classes, notes })
}

/// "1 file lies", "3 files lie".
fn counted(n: usize) -> String {
    if n == 1 { "1 file lies".into() } else { format!("{n} files lie") }
}

/// How many files lie in a folder and below it, so many levels deep; links are not followed.
fn below(folder: &Path, levels: usize) -> usize {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let count = |entry: fs::DirEntry| match entry.file_type() {
        Ok(kind) if kind.is_dir() && levels > 0 => below(&entry.path(), levels - 1),
        Ok(kind) => usize::from(kind.is_file()),
        Err(_) => 0,
    };
    entries.map(count).sum()
}

/// A folder's own name; bytes that are no text are written as `\xE9`, so that two such names stay apart.
fn name_of(folder: &Path) -> String {
    let name = folder.file_name().unwrap_or_default();
    let mut text = String::new();
    for chunk in name.as_encoded_bytes().utf8_chunks() {
        text += chunk.valid();
        chunk.invalid().iter().for_each(|byte| text += &format!("\\x{byte:02X}"));
    }
    text
}

fn decode(given: &str, shape: PictureShape, listing: &Listing) -> Result<Dataset> {
    let empty = || Pictures { pixels: Vec::new(), labels: Vec::new(), shape };
    let (mut train, mut test) = (empty(), empty());
    let mut classes = Vec::new();
    let mut sha = sha2::Sha256::new();
    let mut read_all = Vec::new();
    for (folder, files) in &listing.classes {
        let name = name_of(folder);
        let pictures = par::map(files.iter().collect(), |(file, ..)| read(file, shape, None));
        let seen = files.iter().zip(&pictures).filter(|(_, (_, seen))| seen.is_some());
        for ((file, ..), (hash, _)) in seen {
            let file = file.file_name().unwrap_or_default();
            sha.update(name.as_bytes());
            sha.update(b"/");
            sha.update(file.as_encoded_bytes());
            sha.update(hash);
        }
        read_all.push(pictures);
        classes.push(name);
    }
    // Pictures that are transparent in part are laid on what their colours stand out from.
    let tones = || {
        read_all.iter().flatten().filter_map(|(_, seen)| match seen {
            Some(Seen::Transparent(tone)) => Some(*tone),
            _ => None,
        })
    };
    let (n, sum) = tones().fold((0, [0.0; 2]), |(n, s), t| (n + 1, [s[0] + t[0], s[1] + t[1]]));
    let ground = if sum[0] > 127.5 * sum[1] { 0 } else { 255 };
    let mut notes = listing.notes.clone();
    if n > 0 {
        let name = if ground == 0 { "black" } else { "white" };
        notes.push(format!("{n} pictures are transparent in part and are laid on {name}"));
    }
    let mut skipped = 0;
    for (label, ((folder, files), pictures)) in listing.classes.iter().zip(read_all).enumerate() {
        let all = files.len();
        let whole =
            par::map(files.iter().zip(pictures).collect(), |((file, ..), (_, seen))| match seen? {
                Seen::Whole(pixels) => Some(pixels),
                Seen::Transparent(_) => match read(file, shape, Some(ground)).1? {
                    Seen::Whole(pixels) => Some(pixels),
                    Seen::Transparent(_) => None,
                },
            });
        let pictures: Vec<Vec<u8>> = whole.into_iter().flatten().collect();
        skipped += all - pictures.len();
        if pictures.len() < 2 {
            let reason = format!(
                "{} of {all} files are readable pictures; at least 2 are needed",
                pictures.len()
            );
            return Err(Error::file(folder, reason));
        }
        let order = rng::shuffled(&mut rng::seeded(0, &classes[label]), pictures.len());
        let held_out = (pictures.len() / 10).max(1);
        for (place, &i) in order.iter().enumerate() {
            let set = if place < held_out { &mut test } else { &mut train };
            set.pixels.extend(&pictures[i]);
            set.labels.push(label as u8);
        }
    }
    let fingerprint = Some(Fingerprint {
        classes: classes.clone(),
        pictures: train.len() + test.len(),
        sha256: hex(&sha.finalize()),
    });
    let (train, test) = (Arc::new(train), Arc::new(test));
    let name = format!("folder:{given}");
    Ok(Dataset { name, classes, train, test, skipped, notes, fingerprint })
}

/// What was seen in a file.
enum Seen {
    /// The picture as bytes, channels first.
    Whole(Vec<u8>),
    /// It is transparent in part: brightness times opacity, and opacity, summed over its pixels.
    Transparent([f64; 2]),
}

/// The hash of a file, and the picture in it, if it can be read, on a ground.
fn read(path: &Path, shape: PictureShape, ground: Option<u8>) -> ([u8; 32], Option<Seen>) {
    if fs::metadata(path).map_or(true, |about| about.len() > MAX_BYTES) {
        return ([0; 32], None);
    }
    let Ok(bytes) = files::read(path) else { return ([0; 32], None) };
    let hash = sha2::Sha256::digest(&bytes).into();
    (hash, picture(&bytes, shape, ground))
}

fn picture(bytes: &[u8], shape: PictureShape, ground: Option<u8>) -> Option<Seen> {
    let mut reader = image::ImageReader::new(Cursor::new(bytes)).with_guessed_format().ok()?;
    let mut limits = image::Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_BYTES);
    reader.limits(limits);
    let mut picture = reader.decode().ok()?;
    if picture.color().has_alpha() {
        let mut pixels = picture.to_rgba8();
        if pixels.pixels().any(|p| p[3] < 255) {
            let Some(ground) = ground else { return Some(Seen::Transparent(tone(&pixels))) };
            for pixel in pixels.pixels_mut() {
                let alpha = u32::from(pixel[3]);
                for value in &mut pixel.0[..3] {
                    let laid = u32::from(*value) * alpha + u32::from(ground) * (255 - alpha);
                    *value = ((laid + 127) / 255) as u8;
                }
                pixel[3] = 255;
            }
            picture = pixels.into();
        }
    }
    let picture =
        picture.resize_exact(shape.width as u32, shape.height as u32, FilterType::Triangle);
    Some(Seen::Whole(if shape.channels == 1 {
        picture.to_luma8().into_raw()
    } else {
        let pixels = picture.to_rgb8().into_raw();
        (0..3).flat_map(|c| pixels[c..].iter().step_by(3).copied()).collect()
    }))
}

/// Brightness times opacity, and opacity, summed over the pixels.
fn tone(pixels: &image::RgbaImage) -> [f64; 2] {
    pixels.pixels().fold([0.0; 2], |[tone, opaque], p| {
        let alpha = f64::from(p[3]) / 255.0;
        let value = p.0[..3].iter().map(|&v| f64::from(v)).sum::<f64>() / 3.0;
        [tone + value * alpha, opaque + alpha]
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
