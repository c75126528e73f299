//! Data sets, their one split, and what is to be forgotten.

pub mod fashion;
#[cfg(not(target_arch = "wasm32"))]
pub mod folder;
pub mod forget;
pub mod ranges;
pub mod rng;

use std::sync::Arc;

use rng::RandomState;

use crate::{
    assets,
    error::{Error, Result},
};

/// Pictures of one size with a class each, all in main memory.
#[derive(Debug, Clone, Default)]
pub struct Pictures {
    /// n · channels · height · width bytes, channels first.
    pub pixels: Vec<u8>,
    pub labels: Vec<u8>,
    pub shape: PictureShape,
}

/// Channels, height and width of one picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PictureShape {
    pub channels: usize,
    pub height: usize,
    pub width: usize,
}

impl PictureShape {
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

    /// Labels of the pictures `indices`.
    pub fn labels(&self, indices: &[usize]) -> Vec<usize> {
        indices.iter().map(|&i| self.labels[i] as usize).collect()
    }
}

/// A data set with the official training and test pictures.
#[derive(Debug, Clone)]
pub struct Dataset {
    pub name: String,
    pub classes: Vec<String>,
    pub train: Arc<Pictures>,
    pub test: Arc<Pictures>,
    /// Files that could not be read and were left out.
    pub skipped: usize,
}

/// The official training set divided once; the seed is stored with every weights file.
#[derive(Debug, Clone)]
pub struct Split {
    pub train: Vec<usize>,
    pub validation: Vec<usize>,
}

impl Dataset {
    /// Holds out 10 % of each class for validation, as the field's code does: one NumPy generator
    /// over the classes in order, indices kept ascending (ALGORITHMS 1.1, 1.2).
    pub fn split(&self, seed: u64) -> Split {
        let mut state = RandomState::new(seed as u32);
        let mut held_out = vec![false; self.train.len()];
        for class in 0..self.classes.len() {
            let members: Vec<usize> =
                (0..self.train.len()).filter(|&i| self.train.labels[i] as usize == class).collect();
            for j in state.choice(members.len(), members.len() / 10) {
                held_out[members[j]] = true;
            }
        }
        let (validation, train) = (0..self.train.len()).partition(|&i| held_out[i]);
        Split { train, validation }
    }

    /// [`class_index`] among this data set's classes.
    ///
    /// # Errors
    /// The class is unknown; the nearest names are given.
    pub fn class(&self, given: &str) -> Result<usize> {
        class_index(&self.classes, given)
    }
}

/// The index of a class given by name, by name in another case, or by number, in this order: a
/// folder may be called `1` and not be the class of that number.
///
/// # Errors
/// The class is unknown; the nearest names are given.
pub fn class_index(classes: &[String], given: &str) -> Result<usize> {
    let exact = classes.iter().position(|c| c == given);
    exact
        .or_else(|| classes.iter().position(|c| c.eq_ignore_ascii_case(given)))
        .or_else(|| given.parse().ok().filter(|&i: &usize| i < classes.len()))
        .ok_or_else(|| Error::unknown("class", given, classes.iter().map(String::as_str)))
}

/// The names of the data sets that come with the product.
pub const NAMES: [&str; 1] = ["fashion-mnist"];

/// Opens a data set by name, or `folder:PATH`.
///
/// # Errors
/// The name is unknown, or the folder holds no readable pictures.
pub fn open(name: &str) -> Result<Arc<Dataset>> {
    #[cfg(not(target_arch = "wasm32"))]
    if let Some(path) = name.strip_prefix("folder:") {
        return folder::open(std::path::Path::new(path)).map(Arc::new);
    }
    match name {
        "fashion-mnist" => fashion::open(),
        _ => Err(Error::unknown("data set", name, NAMES.into_iter().chain(["folder:PATH"]))),
    }
}

/// The test pictures of a data set, where the others are not needed.
///
/// # Errors
/// As [`open`].
pub fn test(name: &str) -> Result<Arc<Pictures>> {
    match name {
        "fashion-mnist" => fashion::test(),
        _ => open(name).map(|data| data.test.clone()),
    }
}

/// The files among the [`assets`] that hold a data set's test pictures, and its training
/// pictures.
pub fn files(name: &str) -> [&'static [&'static str]; 2] {
    match name {
        "fashion-mnist" => [&assets::FASHION_TEST, &assets::FASHION_TRAIN],
        _ => [&[], &[]],
    }
}

#[cfg(test)]
mod tests {
    use super::class_index;

    #[test]
    fn a_class_is_found_by_name_before_number() {
        let classes = ["1", "2", "Ab", "ab"].map(String::from);
        for (given, index) in [("1", 0), ("2", 1), ("ab", 3), ("AB", 2), ("3", 3), ("0", 0)] {
            assert_eq!(class_index(&classes, given).unwrap(), index, "{given}");
        }
        assert!(class_index(&classes, "4").is_err());
    }
}
