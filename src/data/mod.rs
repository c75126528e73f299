//! Data sets, their one split, and what is to be forgotten.

mod augment;
#[cfg(not(target_arch = "wasm32"))]
mod batches;
mod colour;
pub mod corpus;
pub mod fashion;
#[cfg(not(target_arch = "wasm32"))]
pub mod fetch;
#[cfg(not(target_arch = "wasm32"))]
mod folder;
pub mod forget;
#[cfg(not(target_arch = "wasm32"))]
mod indices;
#[cfg(not(target_arch = "wasm32"))]
mod mat;
pub mod mine;
#[cfg(not(target_arch = "wasm32"))]
mod mosaic;
#[cfg(not(target_arch = "wasm32"))]
mod npm;
#[cfg(not(target_arch = "wasm32"))]
pub mod pypi;
pub mod ranges;
#[cfg(not(target_arch = "wasm32"))]
mod records;
pub mod rng;
pub mod sets;
#[cfg(not(target_arch = "wasm32"))]
pub mod store;
mod subset;

pub use augment::Augment;
pub use colour::{ground, lay, luma, tone};
#[cfg(not(target_arch = "wasm32"))]
pub use folder::{captioned, read_picture, uncaptioned};
pub use forget::{Earlier, ForgetSet, brief, by_loss};
pub use mine::{Added, Mine, beside, fitted, square};
#[cfg(not(target_arch = "wasm32"))]
pub use npm::Package;
pub use rng::{Rng, normal, normals, seeded, shuffled};
pub use sets::{Origin, SETS, Set};

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError},
};

use serde::{Deserialize, Serialize};
use sha2::Digest;
use unicode_normalization::UnicodeNormalization;

use crate::assets;
use crate::error::{Error, Result, ensure};
use crate::words::Fingerprint;
use rng::RandomState;

/// Pictures of one size with a class each, all in main memory.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Pictures {
    /// n · channels · height · width bytes, channels first.
    #[serde(with = "crate::wire::numbers")]
    pub pixels: Vec<u8>,
    #[serde(with = "crate::wire::numbers")]
    pub labels: Vec<u8>,
    pub shape: PictureShape,
}

/// Channels, height and width of one picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PictureShape {
    pub channels: usize,
    pub height: usize,
    pub width: usize,
}

impl PictureShape {
    /// Channels, height and width.
    pub fn axes(&self) -> [usize; 3] {
        [self.channels, self.height, self.width]
    }

    /// Values in one picture.
    pub fn n(&self) -> usize {
        self.channels * self.height * self.width
    }
}

impl Pictures {
    /// How many pictures.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no picture.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The bytes of one picture.
    pub fn picture(&self, index: usize) -> &[u8] {
        &self.pixels[index * self.shape.n()..][..self.shape.n()]
    }

    /// The pictures `indices` as values in [0, 1], one after another.
    pub fn unit(&self, indices: &[usize]) -> Vec<f32> {
        let mut out = Vec::with_capacity(indices.len() * self.shape.n());
        for &i in indices {
            out.extend(self.picture(i).iter().map(|&b| b as f32 / 255.0));
        }
        out
    }

    /// Whether a picture is of a class.
    pub fn is_of(&self, index: usize, class: usize) -> bool {
        usize::from(self.labels[index]) == class
    }

    /// The pictures of a class, ascending.
    pub fn of_class(&self, class: usize) -> impl Iterator<Item = usize> {
        (0..self.len()).filter(move |&i| self.is_of(i, class))
    }

    /// Labels of the pictures `indices`.
    pub fn labels(&self, indices: &[usize]) -> Vec<usize> {
        indices.iter().map(|&i| self.labels[i] as usize).collect()
    }
}

/// A data set with the official training and test pictures.
#[derive(Debug, Clone, Default)]
pub struct Dataset {
    pub name: String,
    pub classes: Vec<String>,
    pub train: Arc<Pictures>,
    pub test: Arc<Pictures>,
    /// What the training pictures are called, where they are a person's files: `class/file.png`.
    pub names: Arc<Vec<String>>,
    /// Files that could not be read and were left out.
    pub skipped: usize,
    /// What else lies in a folder and is not used, and what was done to what is, a line each.
    pub notes: Vec<String>,
    /// What a folder was when it was read; data sets with a name have none.
    pub fingerprint: Option<Fingerprint>,
    /// The last of the training pictures, where a person added some.
    pub added: Option<Added>,
}

/// The official training set divided once; the seed is stored with every weights file.
#[derive(Debug, Clone)]
pub struct Split {
    pub train: Vec<usize>,
    pub validation: Vec<usize>,
}

impl Dataset {
    /// Holds out 10 % of each class for validation, as the field's code does: one NumPy generator
    /// over the classes in order, indices kept ascending (docs/methods.md#models). Files are held out by
    /// their names: others that come and go move none. What a person added is held out nowhere.
    pub fn split(&self, seed: u64) -> Split {
        let mut held_out = vec![false; self.train.len()];
        let own = self.train.len() - self.added.as_ref().map_or(0, |added| added.all);
        if self.names.is_empty() {
            let mut state = RandomState::new(seed as u32);
            for class in 0..self.classes.len() {
                let members: Vec<usize> =
                    self.train.of_class(class).take_while(|&i| i < own).collect();
                for j in state.choice(members.len(), members.len() / 10) {
                    held_out[members[j]] = true;
                }
            }
        } else {
            let purpose = format!("validation {seed}");
            let shares: Vec<f64> =
                self.names[..own].iter().map(|name| by_name(&purpose, name)).collect();
            // No class is left without.
            let mut most = vec![0.0f64; self.classes.len()];
            for (share, label) in shares.iter().zip(&self.train.labels) {
                most[*label as usize] = most[*label as usize].max(*share);
            }
            let last = |i: usize| shares[i] == most[self.train.labels[i] as usize];
            held_out[..own]
                .iter_mut()
                .enumerate()
                .for_each(|(i, out)| *out = shares[i] < 0.1 && !last(i));
        }
        let (validation, train) = (0..self.train.len()).partition(|&i| held_out[i]);
        Split { train, validation }
    }

    /// The same pictures with their classes in another order: class i here is class `order[i]` of
    /// `classes`.
    pub fn reordered(&self, classes: Vec<String>, order: &[usize]) -> Self {
        let mapped = |pictures: &Pictures| {
            let label = |l: &u8| order.get(*l as usize).map_or(*l, |at| *at as u8);
            let labels = pictures.labels.iter().map(label).collect();
            Arc::new(Pictures { labels, ..pictures.clone() })
        };
        Self { classes, train: mapped(&self.train), test: mapped(&self.test), ..self.clone() }
    }

    /// The names of these training pictures; none where they have none.
    pub fn named(&self, items: &[usize]) -> Vec<String> {
        items.iter().filter_map(|&i| self.names.get(i)).cloned().collect()
    }

    /// The training pictures of these names, in their order.
    ///
    /// # Errors
    /// There is none of a name, or the data set's pictures have no names; the reason as a text.
    pub fn items(&self, names: &[String]) -> std::result::Result<Vec<usize>, String> {
        let none = || format!("it lists names, and the pictures of {} have none", self.name);
        ensure(!self.names.is_empty(), none)?;
        let place: HashMap<&str, usize> =
            self.names.iter().enumerate().map(|(i, name)| (name.as_str(), i)).collect();
        let item = |name: &String| {
            let name: String = name.nfc().collect();
            let short = || name.escape_default().take(80).collect::<String>();
            let none = || format!("'{}' is no training picture of {}", short(), self.name);
            place.get(name.as_str()).copied().ok_or_else(none)
        };
        names.iter().map(item).collect()
    }

    /// [`class_index`] among this data set's classes.
    ///
    /// # Errors
    /// The class is unknown; the nearest names are given.
    pub fn class(&self, given: &str) -> Result<usize> {
        class_index(&self.classes, given)
    }
}

/// Where a file falls by its name, from 0 to 1, whatever lies beside it.
pub fn by_name(purpose: &str, name: &str) -> f64 {
    let hash = sha2::Sha256::digest(format!("{purpose} {name}"));
    let first = hash.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
    first as f64 / 2f64.powi(64)
}

/// Whether two names are one but for the case of letters and how they are composed.
pub fn alike(a: &str, b: &str) -> bool {
    a == b || plain(a) == plain(b)
}

/// A name as all that are [`alike`] have it.
pub fn plain(name: &str) -> String {
    name.nfc().collect::<String>().to_lowercase()
}

/// The words of a text in lower case, without what stands between them.
pub fn plain_words(text: &str) -> Vec<String> {
    let text = text.to_lowercase();
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty());
    words.map(String::from).collect()
}

/// The index of a class given by name, by name in another case, or by number, in this order: a
/// folder may be called `1` and not be the class of that number.
///
/// # Errors
/// The class is unknown; the nearest names are given.
pub fn class_index<S: AsRef<str>>(classes: &[S], given: &str) -> Result<usize> {
    let exact = classes.iter().position(|c| c.as_ref() == given);
    let alike = |c: &S| alike(c.as_ref(), given);
    if exact.is_none() && classes.iter().filter(|c| alike(c)).count() > 1 {
        let names: Vec<&str> = classes.iter().filter(|c| alike(c)).map(AsRef::as_ref).collect();
        let right = format!("write one of {} as it is", names.join(", "));
        return Err(Error::argument("class", given, right));
    }
    exact
        .or_else(|| classes.iter().position(alike))
        .or_else(|| given.parse().ok().filter(|&i: &usize| i < classes.len()))
        .ok_or_else(|| Error::unknown("class", given, classes.iter().map(AsRef::as_ref)))
}

/// The names of the data sets of [`SETS`]; the one that comes with the product is first.
pub static NAMES: LazyLock<Vec<&str>> = LazyLock::new(|| SETS.iter().map(|set| set.name).collect());

/// Opens a data set by name, a subset of one as `NAME@COUNT` ([`subset`]), or `folder:PATH`, each with
/// pictures of a person's own beside it or without ([`mine`]).
/// Those with a name are read once, a folder when what is in it has changed.
///
/// # Errors
/// The name is unknown, the data set is not on this machine, or the folder holds no readable
/// pictures.
pub fn open(name: &str) -> Result<Arc<Dataset>> {
    if let Some(with) = mine::open(name) {
        return with;
    }
    #[cfg(not(target_arch = "wasm32"))]
    if let Some(path) = name.strip_prefix("folder:") {
        return folder::open(path);
    }
    static OPEN: Mutex<Option<HashMap<String, Arc<Dataset>>>> = Mutex::new(None);
    let known = || OPEN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(data) = known().as_ref().and_then(|open| open.get(name)) {
        return Ok(data.clone());
    }
    let data = match name.split_once('@') {
        Some((of, count)) => Arc::new(subset::of(&*open(of)?, count)?),
        None => whole(name)?,
    };
    known().get_or_insert_default().insert(name.into(), data.clone());
    Ok(data)
}

fn whole(name: &str) -> Result<Arc<Dataset>> {
    match sets::find(name) {
        Some(set) if set.name == "fashion-mnist" => fashion::read().map(Arc::new),
        #[cfg(not(target_arch = "wasm32"))]
        Some(set) => store::open(set).map(Arc::new),
        _ => Err(Error::unknown("data set", name, NAMES.iter().copied().chain(["folder:PATH"]))),
    }
}

/// What is in `kept`, read now if nothing is.
fn once<T>(kept: &OnceLock<Arc<T>>, read: impl FnOnce() -> Result<T>) -> Result<Arc<T>> {
    if let Some(kept) = kept.get() {
        return Ok(kept.clone());
    }
    let read = Arc::new(read()?);
    Ok(kept.get_or_init(|| read).clone())
}

/// The test pictures of a data set, where the others are not needed.
///
/// # Errors
/// As [`open`].
pub fn test(name: &str) -> Result<Arc<Pictures>> {
    match sets::whole(name) {
        // A new class that a person added has its own.
        _ if mine::base(name) != name => open(name).map(|data| data.test.clone()),
        "fashion-mnist" => fashion::test(),
        name => open(name).map(|data| data.test.clone()),
    }
}

/// The shape of a data set's pictures, where its name says it.
pub fn shape(name: &str) -> Option<PictureShape> {
    #[cfg(not(target_arch = "wasm32"))]
    if let Some(path) = name.strip_prefix("folder:") {
        return folder::parse(path).ok().map(|asked| asked.shape());
    }
    sets::find(name).map(|set| set.shape)
}

/// The files among the [`assets`] that hold a data set's test pictures, and its training
/// pictures.
pub fn files(name: &str) -> [&'static [&'static str]; 2] {
    match sets::whole(name) {
        "fashion-mnist" => [&assets::FASHION_TEST, &assets::FASHION_TRAIN],
        "emoji" => [&[], &assets::EMOJI],
        _ => [&[], &[]],
    }
}

#[cfg(test)]
mod tests {
    use super::class_index;

    #[test]
    fn a_class_is_found_by_name_before_number() {
        let classes = ["1", "2", "Ab", "ab", "Éc"].map(String::from);
        for (given, index) in
            [("1", 0), ("2", 1), ("ab", 3), ("Ab", 2), ("éC", 4), ("3", 3), ("0", 0)]
        {
            assert_eq!(class_index(&classes, given).unwrap(), index, "{given}");
        }
        assert!(class_index(&classes, "5").is_err());
        let either = class_index(&classes, "AB").unwrap_err().to_string();
        assert!(either.contains("write one of Ab, ab as it is"), "{either}");
    }
}
