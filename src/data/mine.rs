//! Pictures of a person's own beside a data set: `DATA+mine:NAME`, drawn, dropped or taken in the studio, and
//! `DATA+folder:PATH`, which lie in a folder, a sub-folder a class.
//!
//! They follow the data set's own training pictures, all in the training part: the split of those stays as it
//! was. A class that the data set has not is a new one, and some of its pictures are for tests.

use std::{
    ops::Range,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use image::{RgbImage, RgbaImage, imageops};
use serde::{Deserialize, Serialize};
use sha2::Digest;

use super::{Dataset, PictureShape, Pictures, ground, lay, luma, tone};
use crate::error::{Error, Result, ensure};
use crate::words::hex;

/// What stands between a data set and the name of pictures beside it, or their folder.
const MINE: &str = "+mine:";
const FOLDER: &str = "+folder:";
/// Pictures at the most.
pub const MOST: usize = 400;
/// Characters of a name that are kept.
const LONGEST: usize = 40;
/// One of so many pictures of a new class is for tests.
const TESTED: usize = 4;
/// A picture is kept no larger than this square, in pixels.
const SIDE: u32 = 128;

/// Pictures of a person's own, with a class each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Mine {
    /// As the person called them, in letters, digits, `-` and `_`.
    pub title: String,
    /// Those that there are pictures of, sorted; labels are places in it.
    pub classes: Vec<String>,
    /// Sorted by class.
    pub pictures: Pictures,
}

/// What of a data set's training pictures a person added to it.
#[derive(Debug, Clone)]
pub struct Added {
    /// [`Mine::name`].
    pub name: String,
    /// How many, the last of all.
    pub n: usize,
    /// With those that were added before them.
    pub all: usize,
}

/// Where the pictures beside a data set are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Kept here, under a name.
    Kept,
    Folder,
}

impl Mine {
    /// Pictures of a shape with the names of their classes.
    pub fn new(title: &str, shape: PictureShape, all: &[(String, Vec<u8>)]) -> Self {
        let mut classes: Vec<String> = all.iter().map(|(class, _)| class.clone()).collect();
        classes.sort();
        classes.dedup();
        let of = |class: &String| classes.iter().position(|c| c == class).unwrap_or(0) as u8;
        let mut sorted: Vec<(u8, &Vec<u8>)> = all.iter().map(|(c, p)| (of(c), p)).collect();
        sorted.sort_by_key(|(label, _)| *label);
        let pictures = Pictures {
            pixels: sorted.iter().flat_map(|(_, pixels)| pixels.iter().copied()).collect(),
            labels: sorted.iter().map(|(label, _)| *label).collect(),
            shape,
        };
        Self { title: titled(title), classes, pictures }
    }

    /// What recipes and caches know them by: the title and the beginning of a hash of what they are.
    pub fn name(&self) -> String {
        let mut sha = sha2::Sha256::new();
        let PictureShape { channels, height, width } = self.pictures.shape;
        sha.update(format!("{channels} {height} {width}\n{}\n", self.classes.join("\n")));
        sha.update(&self.pictures.labels);
        sha.update(&self.pictures.pixels);
        format!("{}-{}", self.title, &hex(&sha.finalize())[..8])
    }

    /// What a data set is called that they are added to.
    pub fn beside(&self, data: &str) -> String {
        beside(data, &self.name())
    }

    /// A data set with them added, called `name`.
    ///
    /// # Errors
    /// They are of another shape, there are too many classes, or too few pictures of a new one.
    fn added(&self, data: &Dataset, name: &str) -> Result<Dataset> {
        let wrong = |right: String| Error::argument("data", name, right);
        let (shape, own) = (data.train.shape, &self.pictures);
        let other = || {
            let [of, has] = [own.shape, shape].map(|s| {
                let PictureShape { channels, height, width } = s;
                format!("{width} x {height} pixels in {channels} channels")
            });
            wrong(format!("the pictures have {of}, those of {} {has}", data.name))
        };
        ensure(own.shape == shape, other)?;
        let mut classes = data.classes.clone();
        classes.extend(self.classes.iter().filter(|c| !data.classes.contains(c)).cloned());
        ensure(classes.len() <= 256, || wrong("there can be 256 classes at the most".into()))?;
        let (mut train, mut test) = (Pictures::clone(&data.train), Pictures::clone(&data.test));
        let (mut n, before) = (0, data.added.as_ref().map_or(0, |added| added.all));
        for (place, class) in self.classes.iter().enumerate() {
            let label = classes.iter().position(|c| c == class).unwrap_or(0);
            let items: Vec<usize> = own.of_class(place).collect();
            let held_out = match label < data.classes.len() {
                true => 0,
                false => items.len().div_ceil(TESTED),
            };
            let few = || wrong(format!("at least 2 pictures of the new class {class} are needed"));
            ensure(held_out < items.len(), few)?;
            let (tested, trained) = items.split_at(held_out);
            for (set, items) in [(&mut test, tested), (&mut train, trained)] {
                set.pixels.extend(items.iter().flat_map(|&i| own.picture(i)));
                set.labels.extend(items.iter().map(|_| label as u8));
            }
            n += trained.len();
        }
        let mut names = Vec::clone(&data.names);
        if !names.is_empty() {
            names.extend((0..n).map(|i| format!("{}/{i}", self.title)));
        }
        Ok(Dataset {
            name: name.into(),
            classes,
            train: train.into(),
            test: test.into(),
            names: names.into(),
            added: Some(Added { name: self.name(), n, all: n + before }),
            ..data.clone()
        })
    }
}

impl Dataset {
    /// The training pictures that a person added under a name, or `all` that were.
    ///
    /// # Errors
    /// There are none, or others; what to do as a text.
    pub fn added_items(&self, name: &str) -> std::result::Result<Range<usize>, String> {
        let gone = "a person's own pictures are no part of a recipe or a link: bring them again in the \
                    studio under My pictures, or write --data 'DATA+folder:PATH' --forget mine:all";
        let added = self.added.as_ref().ok_or(gone)?;
        // A folder may have another name; the hash says what is in it.
        let hash = |name: &str| name.rsplit_once('-').map(|(_, hash)| hash.to_string());
        let same = name == "all" || hash(name) == hash(&added.name);
        ensure(same, || format!("the pictures are {} here; {gone}", added.name))?;
        Ok(self.train.len() - added.n..self.train.len())
    }
}

/// A title in letters, digits, `-` and `_`: it becomes part of names of files.
fn titled(title: &str) -> String {
    let plain = |c: char| if c.is_alphanumeric() || c == '_' { c } else { '-' };
    let title: String = title.trim().chars().map(plain).take(LONGEST).collect();
    if title.is_empty() { "mine".into() } else { title }
}

/// What a data set is called that pictures of a name are added to.
pub fn beside(data: &str, name: &str) -> String {
    format!("{data}{MINE}{name}")
}

/// The data set that pictures are beside, where there are pictures, and they.
fn parts(name: &str) -> Option<(&str, Place, &str)> {
    let of = |place, (data, own)| (data, place, own);
    let kept = name.rsplit_once(MINE).map(|parts| of(Place::Kept, parts));
    let folder = || name.split_once(FOLDER).map(|parts| of(Place::Folder, parts));
    // A folder's own path may have these letters in it.
    let there = |data: &str, own: &str| !data.starts_with("folder:") || Path::new(own).is_dir();
    kept.or_else(|| folder().filter(|(data, _, own)| there(data, own)))
}

/// The data set without any pictures beside it.
pub fn base(name: &str) -> &str {
    parts(name).map_or(name, |(data, ..)| base(data))
}

/// A data set that pictures in a folder are beside, and that folder's path.
pub fn folder(name: &str) -> Option<(&str, &str)> {
    let (data, _, path) = parts(name).filter(|(_, place, _)| *place == Place::Folder)?;
    Some((data, path))
}

/// What a data set is called that pictures in a folder are added to.
pub fn with_folder(data: &str, folder: &str) -> String {
    format!("{data}{FOLDER}{folder}")
}

/// A data set's name where the pictures beside it lie in this folder.
pub fn found(name: &str, folder: &str) -> Option<String> {
    let (data, ..) = parts(name).filter(|(_, place, _)| *place == Place::Kept)?;
    Some(with_folder(data, folder))
}

/// All pictures that were brought here.
static KEPT: Mutex<Vec<(String, Arc<Mine>)>> = Mutex::new(Vec::new());

/// Keeps pictures for the data sets that are called after them.
///
/// # Errors
/// There are none or too many, or they are not what they say.
pub fn keep(mine: Arc<Mine>) -> Result<String> {
    let own = &mine.pictures;
    let wrong = |right: String| Error::argument("pictures", &mine.title, right);
    let many = || wrong(format!("there are {}; 1 to {MOST} are needed", own.len()));
    ensure((1..=MOST).contains(&own.len()), many)?;
    let whole = own.pixels.len() == own.len() * own.shape.n()
        && own.labels.iter().all(|label| usize::from(*label) < mine.classes.len());
    ensure(whole, || wrong("their pixels or their classes are not whole".into()))?;
    let name = mine.name();
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    if kept.iter().all(|(known, _)| *known != name) {
        kept.push((name.clone(), mine));
    }
    Ok(name)
}

/// Pictures that were brought here, by their name.
pub fn kept(name: &str) -> Option<Arc<Mine>> {
    let kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    kept.iter().find(|(known, _)| known == name).map(|(_, mine)| mine.clone())
}

/// Data sets and what was made of them by adding pictures, the latest last.
static LATEST: Mutex<Vec<[Arc<Dataset>; 2]>> = Mutex::new(Vec::new());
/// How many of them are kept: each holds all pictures.
const LATEST_MOST: usize = 2;

/// Opens a data set with pictures beside it; `None` where its name has none.
///
/// # Errors
/// The data set cannot be opened, or the pictures are not there or do not fit it.
pub fn open(name: &str) -> Option<Result<Arc<Dataset>>> {
    let (data, place, own) = parts(name)?;
    Some(super::open(data).and_then(|data| added(data, name, place, own)))
}

fn added(data: Arc<Dataset>, name: &str, place: Place, own: &str) -> Result<Arc<Dataset>> {
    let (mine, notes) = match place {
        Place::Kept => {
            let gone = "a person's own pictures are kept as long as the studio is open and are no part of a \
                        recipe; a run's folder has them: write --data 'DATA+folder:RUN/mine'";
            (kept(own).ok_or_else(|| Error::argument("pictures", own, gone))?, Vec::new())
        }
        #[cfg(not(target_arch = "wasm32"))]
        Place::Folder => super::folder::beside(own, &data)?,
        #[cfg(target_arch = "wasm32")]
        Place::Folder => return Err(Error::file(own, "a page cannot read folders")),
    };
    let mut latest = LATEST.lock().unwrap_or_else(PoisonError::into_inner);
    let own = mine.name();
    let same = |[of, with]: &&[Arc<Dataset>; 2]| {
        let there = with.added.as_ref().is_some_and(|added| added.name == own);
        Arc::ptr_eq(of, &data) && with.name == name && there
    };
    if let Some([_, with]) = latest.iter().find(same) {
        return Ok(with.clone());
    }
    let mut with = mine.added(&data, name)?;
    with.notes.extend(notes);
    let with = Arc::new(with);
    if latest.len() == LATEST_MOST {
        latest.remove(0);
    }
    latest.push([data, with.clone()]);
    Ok(with)
}

/// A picture's square middle, laid on black or white where it is transparent in part, and no larger than need
/// be; whether it was laid.
///
/// # Errors
/// It has no pixels.
pub fn square(mut picture: RgbaImage) -> Result<(RgbImage, bool)> {
    let (width, height) = picture.dimensions();
    let side = width.min(height);
    let empty = || Error::Request("a picture without pixels".into());
    ensure(side > 0, empty)?;
    let (left, top) = ((width - side) / 2, (height - side) / 2);
    picture = imageops::crop_imm(&picture, left, top, side, side).to_image();
    let transparent = picture.pixels().any(|p| p[3] < 255);
    if transparent {
        let tone = tone(&picture);
        lay(&mut picture, ground(tone));
    }
    let pixels = picture.pixels().flat_map(|p| [p[0], p[1], p[2]]).collect();
    let picture = RgbImage::from_raw(side, side, pixels).ok_or_else(empty)?;
    let picture = match side > SIDE {
        true => imageops::resize(&picture, SIDE, SIDE, imageops::FilterType::Triangle),
        false => picture,
    };
    Ok((picture, transparent))
}

/// A picture's bytes, channels first, as a classifier of a shape takes them; `inverted`: dark for light.
pub fn fitted(picture: &RgbImage, shape: PictureShape, inverted: bool) -> Vec<u8> {
    let [width, height] = [shape.width, shape.height].map(|side| side as u32);
    let picture = match picture.dimensions() == (width, height) {
        true => picture.clone(),
        false => imageops::resize(picture, width, height, imageops::FilterType::Triangle),
    };
    let mut bytes: Vec<u8> = match shape.channels {
        1 => picture.pixels().map(|p| luma(p.0)).collect(),
        _ => (0..3).flat_map(|c| picture.pixels().map(move |p| p[c])).collect(),
    };
    if inverted {
        bytes.iter_mut().for_each(|value| *value = 255 - *value);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::open;

    const SHAPE: PictureShape = PictureShape { channels: 1, height: 28, width: 28 };

    fn mine(classes: &[&str]) -> Mine {
        let one = |(i, class): (usize, &&str)| (class.to_string(), vec![i as u8; SHAPE.n()]);
        Mine::new("a mug/2", SHAPE, &classes.iter().enumerate().map(one).collect::<Vec<_>>())
    }

    #[test]
    fn they_come_after_the_others_and_move_no_split() {
        let whole = open("fashion-mnist").unwrap();
        let [mine, more] =
            [mine(&["mug", "Bag", "mug", "mug", "mug", "mug"]), mine(&["mug", "Bag"])];
        assert_eq!(mine.title, "a-mug-2");
        let name = keep(Arc::new(mine.clone())).unwrap();
        let data = open(&mine.beside("fashion-mnist")).unwrap();
        // A bag, and of five mugs three; two are for tests.
        assert_eq!(data.train.labels[60_000..], [8, 10, 10, 10]);
        assert_eq!(data.test.labels[10_000..], [10, 10]);
        assert_eq!(data.train.picture(60_000), vec![1; SHAPE.n()]);
        assert_eq!(data.classes[10], "mug");
        assert_eq!(data.statistics(), whole.statistics());
        let (own, split) = (data.split(1), whole.split(1));
        assert_eq!(own.validation, split.validation);
        assert_eq!(own.train[..split.train.len()], split.train);
        assert_eq!(own.train[split.train.len()..], [60_000, 60_001, 60_002, 60_003]);
        assert_eq!(data.added_items("all"), Ok(60_000..60_004));
        assert_eq!(data.added_items(&name), Ok(60_000..60_004));
        assert!(data.added_items("a-mug-2-00000000").is_err() && whole.added_items("all").is_err());
        // And others after them.
        keep(Arc::new(more.clone())).unwrap();
        let more = open(&more.beside(&data.name)).unwrap();
        assert_eq!(more.train.labels[60_000..], [8, 10, 10, 10, 8, 10]);
        assert_eq!((more.classes.len(), more.added_items("all")), (11, Ok(60_004..60_006)));
        assert_eq!(more.split(1).validation, split.validation);
        assert!(Arc::ptr_eq(&data, &open(&mine.beside("fashion-mnist")).unwrap()));
        assert_eq!(super::super::test(&mine.beside("fashion-mnist")).unwrap().len(), 10_002);
    }

    #[test]
    fn their_name_says_what_they_are() {
        let [one, same, other] =
            [&["b", "a"], &["b", "a"], &["a", "b"]].map(|classes| mine(classes).name());
        assert_eq!(one, same);
        assert_ne!(one, other, "other pictures are of those classes");
        assert_eq!(titled("  "), "mine");
        assert_eq!(titled("Émile's 3"), "Émile-s-3");
    }

    #[test]
    fn names_are_taken_apart() {
        for (name, data, path) in [
            ("fashion-mnist", "fashion-mnist", None),
            ("folder:a+folder:b", "folder:a+folder:b", None),
            ("folder:a?rgb+mine:x-1", "folder:a?rgb", None),
            ("folder:a?rgb+folder:src", "folder:a?rgb", Some("src")),
            ("svhn+mine:x-1+mine:y-2", "svhn", None),
            ("fashion-mnist@4000+folder:/x+y", "fashion-mnist@4000", Some("/x+y")),
        ] {
            assert_eq!(base(name), data, "{name}");
            assert_eq!(folder(name).map(|(_, path)| path), path, "{name}");
        }
        assert_eq!(found("x@9+mine:a-1", "run/mine").as_deref(), Some("x@9+folder:run/mine"));
        assert_eq!(found("x", "run/mine"), None);
    }

    #[test]
    fn the_middle_is_taken_and_laid_on_what_it_stands_out_from() {
        let wide = RgbaImage::from_fn(300, 100, |x, _| {
            image::Rgba(if (100..200).contains(&x) { [9, 9, 9, 0] } else { [255; 4] })
        });
        let (middle, laid) = square(wide).unwrap();
        assert_eq!((middle.dimensions(), laid), ((100, 100), true));
        assert!(middle.pixels().all(|p| p.0 == [255; 3]), "dark lies on white");
        let (small, laid) =
            square(RgbaImage::from_pixel(500, 900, image::Rgba([7, 8, 9, 255]))).unwrap();
        assert_eq!((small.dimensions(), laid), ((SIDE, SIDE), false));
        let colour = PictureShape { channels: 3, height: 4, width: 4 };
        assert_eq!(fitted(&small, colour, false), [[7; 16], [8; 16], [9; 16]].concat());
        assert_eq!(fitted(&small, PictureShape { channels: 1, ..colour }, true), [255 - 8; 16]);
        assert!(square(RgbaImage::new(0, 5)).is_err());
    }
}
