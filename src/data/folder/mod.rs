//! A person's own pictures: one sub-folder a class, read through the `image` crate.
//!
//! `folder:PATH` reads them grey, 28 x 28; `folder:PATH?rgb` in colour, 32 x 32;
//! `folder:PATH?size=48&rgb` at a size of one's own. Words for them, `caption=TEMPLATE`, matter to
//! [`super::corpus`] alone.

mod beside;
pub mod list;
pub mod picture;

pub use picture::{Fit, Unread};

pub use beside::{beside, read_picture};

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use sha2::Digest;

use self::{
    list::{Class, Known, Listing},
    picture::{Seen, read},
};
use super::{Dataset, PictureShape, Pictures, by_name};
use crate::disk::files;
use crate::error::{Error, Result};
use crate::gpu::cpu::par;
use crate::words::{Fingerprint, hex};

/// Sides of the square that every picture is brought to, unless said otherwise: grey, colour.
const SIDES: [usize; 2] = [28, 32];

/// What `PATH?size=N&rgb&caption=TEMPLATE` asks for.
pub struct Given {
    pub path: PathBuf,
    pub channels: usize,
    /// Side of the square that pictures are brought to, where it is said.
    pub side: Option<usize>,
    /// How a class's pictures are captioned, for a text-to-image model.
    pub caption: Option<String>,
}

impl Given {
    /// The shape of pictures of a classifier or a class-conditional diffusion model.
    pub fn shape(&self) -> PictureShape {
        let side = self.side.unwrap_or(SIDES[usize::from(self.channels == 3)]);
        PictureShape { channels: self.channels, height: side, width: side }
    }
}

/// The folder that a name asks for, and what is said of its pictures.
///
/// # Errors
/// What follows the question mark is something else.
pub fn parse(given: &str) -> Result<Given> {
    let whole = files::expanded(given);
    let (path, options) = match given.rsplit_once('?') {
        Some((path, options)) if !whole.is_dir() => (files::expanded(path), options),
        _ => (whole, ""),
    };
    let mut asked = Given { path, channels: 1, side: None, caption: None };
    for (key, value) in form_urlencoded::parse(options.as_bytes()) {
        let size = value.parse::<usize>().ok();
        let fits = |n: &usize| (16..=64).contains(n) && n.is_multiple_of(4);
        match (&*key, size) {
            ("rgb", _) if value.is_empty() => asked.channels = 3,
            ("grey", _) if value.is_empty() => asked.channels = 1,
            ("size", Some(n)) if fits(&n) => asked.side = Some(n),
            ("caption", _) if !value.is_empty() => asked.caption = Some(value.into_owned()),
            _ => {
                let right = "after the ? of a folder, rgb or grey, size=N with a multiple of 4 \
                             from 16 to 64 and caption=TEMPLATE are known, joined by &";
                return Err(Error::argument("data", format!("folder:{given}"), right));
            }
        }
    }
    Ok(asked)
}

/// A folder's name with a template for its captions.
pub fn captioned(data: &str, template: &str) -> String {
    let between = if data.contains('?') { '&' } else { '?' };
    let query =
        form_urlencoded::Serializer::new(String::new()).append_pair("caption", template).finish();
    format!("{data}{between}{query}")
}

/// A folder's name without how its pictures are captioned, and that.
pub fn uncaptioned(data: &str) -> (String, Option<String>) {
    let Some((path, options)) = data.rsplit_once('?') else { return (data.into(), None) };
    let (captions, others): (Vec<&str>, Vec<&str>) =
        options.split('&').partition(|option| option.starts_with("caption="));
    let decoded = form_urlencoded::parse(captions.first().unwrap_or(&"").as_bytes());
    let caption = decoded.map(|(_, template)| template.into_owned()).next();
    let rest = others.join("&");
    let between = if rest.is_empty() { "" } else { "?" };
    (format!("{path}{between}{rest}"), caption)
}

/// The latest folder that was read.
static LATEST: Mutex<Option<(String, Listing, Arc<Dataset>)>> = Mutex::new(None);

/// Reads a folder as [`parse`] understands it, a class for each sub-folder in alphabetical order
/// ([`list::list`]). Where the folder itself has no part for tests, a picture is one of them by a hash of
/// its name: about a tenth of each class and at least one, the same whatever else comes and goes. What
/// cannot be read and what is not used is noted. The same folder is read again only when a file in it has
/// changed.
///
/// # Errors
/// The folder cannot be read, has fewer than two classes, or too little readable is in one.
pub fn open(given: &str) -> Result<Arc<Dataset>> {
    let asked = parse(given)?;
    let (path, shape) = (&asked.path, asked.shape());
    let listing = list::list(path)?;
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

fn decode(given: &str, shape: PictureShape, listing: &Listing) -> Result<Dataset> {
    let mut sha = sha2::Sha256::new();
    // Of a folder that was divided in another way, what is known does not hold.
    sha.update(b"divided by names\n");
    let mut read_all = Vec::new();
    for Class { name, files, .. } in &listing.classes {
        let pictures =
            par::map(files.iter().collect(), |file: &Known| read(&file.path, shape, None));
        let seen = files.iter().zip(&pictures).filter(|(_, (_, seen))| seen.is_ok());
        for (file, (hash, _)) in seen {
            sha.update(name.as_bytes());
            sha.update(b"/");
            sha.update(file.within.as_encoded_bytes());
            sha.update(hash);
        }
        read_all.push(pictures);
    }
    let mut notes = listing.notes.clone();
    let ground = ground(read_all.iter().flatten().map(|(_, seen)| seen), &mut notes);
    let empty = Pictures { shape, ..Pictures::default() };
    let (mut train, mut test, mut names) = (empty.clone(), empty, Vec::new());
    let mut unread = Vec::new();
    for (label, (class, pictures)) in listing.classes.iter().zip(read_all).enumerate() {
        let whole =
            par::map(class.files.iter().zip(pictures).collect(), |(file, (_, seen))| match seen? {
                Seen::Whole(pixels) => Ok(pixels),
                Seen::Transparent(_) => match read(&file.path, shape, Some(ground)).1? {
                    Seen::Whole(pixels) => Ok(pixels),
                    Seen::Transparent(_) => Err(Unread::Broken),
                },
            });
        let pictures = readable(class, whole, &mut unread)?;
        for ((file, pixels), held_out) in pictures.iter().zip(held_out(class, &pictures)) {
            let set = if held_out { &mut test } else { &mut train };
            set.pixels.extend(pixels);
            set.labels.push(label as u8);
            if !held_out {
                names.push(named(class, file));
            }
        }
    }
    if !unread.is_empty() {
        notes.push(unreadable(&unread));
    }
    let classes: Vec<String> = listing.classes.iter().map(|c| c.name.clone()).collect();
    let fingerprint = Some(Fingerprint {
        classes: classes.clone(),
        pictures: train.len() + test.len(),
        sha256: hex(&sha.finalize()),
    });
    Ok(Dataset {
        name: format!("folder:{given}"),
        classes,
        train: Arc::new(train),
        test: Arc::new(test),
        names: Arc::new(names),
        skipped: unread.len(),
        notes,
        fingerprint,
        added: None,
    })
}

/// What pictures that are transparent in part are laid on: black or white, from which their colours stand
/// out.
fn ground<'a>(
    all: impl Iterator<Item = &'a std::result::Result<Seen, Unread>>,
    notes: &mut Vec<String>,
) -> u8 {
    let (mut n, mut sum) = (0, [0.0; 2]);
    for seen in all {
        if let Ok(Seen::Transparent(tone)) = seen {
            n += 1;
            sum = [sum[0] + tone[0], sum[1] + tone[1]];
        }
    }
    let ground = super::ground(sum);
    let name = if ground == 0 { "black" } else { "white" };
    if n > 0 {
        notes.push(format!("{n} pictures are transparent in part and are laid on {name}"));
    }
    ground
}

/// The pictures of a class; what of it cannot be read is added to `unread`.
fn readable<'a>(
    class: &'a Class,
    whole: Vec<std::result::Result<Vec<u8>, Unread>>,
    unread: &mut Vec<(String, Unread)>,
) -> Result<Vec<(&'a Known, Vec<u8>)>> {
    let (before, all) = (unread.len(), class.files.len());
    let mut pictures = Vec::new();
    for (file, picture) in class.files.iter().zip(whole) {
        match picture {
            Ok(pixels) => pictures.push((file, pixels)),
            Err(why) => unread.push((list::text(&file.within), why)),
        }
    }
    if pictures.len() < 2 {
        let (n, lost) = (pictures.len(), &unread[before..]);
        let why = if lost.is_empty() { String::new() } else { format!(" ({})", kinds(lost)) };
        let reason =
            format!("{n} of {all} files are readable pictures{why}; at least 2 are needed");
        return Err(Error::file(&class.path, reason));
    }
    if pictures.iter().all(|(file, _)| file.test) {
        let reason = "has no readable picture for training, only for tests";
        return Err(Error::file(&class.path, reason));
    }
    Ok(pictures)
}

/// What a picture is called, whatever the folder is: `class/file.png`.
fn named(class: &Class, file: &Known) -> String {
    format!("{}/{}", class.name, list::text(&file.within))
}

/// Which pictures of a class are for tests: as the folder says, or by their names.
fn held_out(class: &Class, pictures: &[(&Known, Vec<u8>)]) -> Vec<bool> {
    if class.files.iter().any(|file| file.test) {
        return pictures.iter().map(|(file, _)| file.test).collect();
    }
    let shares: Vec<f64> =
        pictures.iter().map(|(file, _)| by_name("test", &named(class, file))).collect();
    let least = shares.iter().copied().fold(f64::MAX, f64::min);
    let most = shares.iter().copied().fold(0.0, f64::max);
    shares.iter().map(|&share| (share < 0.1 || share == least) && share != most).collect()
}

/// "1 file", "3 files".
fn counted(n: usize) -> String {
    if n == 1 { "1 file".into() } else { format!("{n} files") }
}

/// What is said of files that cannot be read, each with why.
pub fn unreadable(files: &[(String, Unread)]) -> String {
    format!("{} cannot be read: {}", counted(files.len()), kinds(files))
}

/// Files by what they are, the first few by name: "3 TIFF (a.tiff, b.tiff, …), 1 damaged (c.png)".
fn kinds(files: &[(String, Unread)]) -> String {
    const SHOWN: usize = 3;
    let mut kinds: Vec<(String, Vec<&str>)> = Vec::new();
    for (name, why) in files {
        let kind = why.name(Path::new(name));
        match kinds.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, names)) => names.push(name),
            None => kinds.push((kind, vec![name])),
        }
    }
    let one = |(kind, names): (String, Vec<&str>)| {
        let more = if names.len() > SHOWN { ", \u{2026}" } else { "" };
        let first = names.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", ");
        format!("{} {kind} ({first}{more})", names.len())
    };
    kinds.into_iter().map(one).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use std::fs;

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
            assert_eq!(data.train.shape, shape);
            assert_eq!(data.train.len() + data.test.len(), 6);
            assert_eq!(data.names.len(), data.train.len());
            let picture = data.train.picture(0);
            assert_eq!(picture.len(), shape.n());
            if channels == 3 {
                assert_eq!([picture[0], picture[side * side]], [200, 100]);
            } else {
                // As Pillow and torchvision weigh the colours.
                assert_eq!(picture[0], 118);
            }
        }
        for given in ["?size=30", "?size=1000", "?blue", "?size="] {
            let error = open(&format!("{path}{given}")).unwrap_err();
            assert!(error.to_string().contains("rgb or grey"), "{error}");
        }
        fs::remove_dir_all(dir).unwrap();
    }
    #[test]
    fn how_pictures_are_captioned_stands_behind_a_folders_name_and_comes_off_again() {
        let template = "a 100 % {class} & more?";
        for folder in ["folder:a b", "folder:c?size=32&rgb"] {
            let whole = captioned(folder, template);
            assert_eq!(uncaptioned(&whole), (folder.to_string(), Some(template.to_string())));
            let asked = parse(whole.strip_prefix("folder:").unwrap()).unwrap();
            assert_eq!(asked.caption.as_deref(), Some(template));
        }
        assert_eq!(uncaptioned("emoji"), ("emoji".to_string(), None));
    }
}
