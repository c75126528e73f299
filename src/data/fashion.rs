//! Fashion-MNIST (Xiao et al. 2017), complete.

use std::sync::{Arc, OnceLock};

use super::{Dataset, PictureShape, Pictures};
use crate::{
    assets,
    error::{Error, Result},
};

/// Class names in label order.
pub const CLASSES: [&str; 10] = [
    "T-shirt",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
];

/// One picture.
pub const SHAPE: PictureShape = PictureShape { channels: 1, height: 28, width: 28 };

/// The data set, unpacked once.
///
/// # Errors
/// The files are damaged, or not there yet.
pub fn open() -> Result<Arc<Dataset>> {
    static OPEN: OnceLock<Arc<Dataset>> = OnceLock::new();
    if let Some(open) = OPEN.get() {
        return Ok(open.clone());
    }
    let data = Dataset {
        name: "fashion-mnist".into(),
        classes: CLASSES.map(String::from).to_vec(),
        train: Arc::new(pictures(assets::FASHION_TRAIN, 60_000)?),
        test: test()?,
        skipped: 0,
    };
    Ok(OPEN.get_or_init(|| Arc::new(data)).clone())
}

/// The test pictures alone, unpacked once.
///
/// # Errors
/// The files are damaged, or not there yet.
pub fn test() -> Result<Arc<Pictures>> {
    static OPEN: OnceLock<Arc<Pictures>> = OnceLock::new();
    if let Some(open) = OPEN.get() {
        return Ok(open.clone());
    }
    let test = pictures(assets::FASHION_TEST, 10_000)?;
    Ok(OPEN.get_or_init(|| Arc::new(test)).clone())
}

/// The sha256 of each file, for `salun data check`.
///
/// # Errors
/// A file is not there.
pub fn hashes() -> Result<Vec<(&'static str, String)>> {
    use sha2::Digest;
    let files = assets::FASHION_TRAIN.into_iter().chain(assets::FASHION_TEST);
    let hash = |path: &'static str| {
        let hash = crate::run::hex(&sha2::Sha256::digest(assets::bytes(path)?));
        Ok((path.rsplit('/').next().unwrap_or(path), hash))
    };
    files.map(hash).collect()
}

fn pictures([images, labels]: [&str; 2], n: usize) -> Result<Pictures> {
    let (pixels, labels) = (idx(images, 16, n * SHAPE.n())?, idx(labels, 8, n)?);
    Ok(Pictures { pixels, labels, shape: SHAPE })
}

/// The body of a gzipped IDX file: `header` bytes, then exactly `n`.
fn idx(path: &str, header: usize, n: usize) -> Result<Vec<u8>> {
    let mut bytes = assets::unpacked(path, header + n + 1)?;
    if bytes.len() != header + n {
        return Err(Error::file(path, format!("{} bytes, expected {}", bytes.len(), header + n)));
    }
    bytes.drain(..header);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_set_is_complete_and_balanced() {
        let data = open().unwrap();
        for (pictures, each) in [(&data.train, 6000), (&data.test, 1000)] {
            for class in 0..10 {
                assert_eq!(pictures.labels.iter().filter(|&&l| l == class).count(), each);
            }
        }
        let mean = data.train.pixels.iter().map(|&b| b as f64).sum::<f64>() / 255.0 / 47_040_000.0;
        assert!((mean - 0.2860).abs() < 1e-4);
    }

    #[test]
    fn the_split_holds_out_a_tenth_of_each_class_and_shares_nothing() {
        let data = open().unwrap();
        let split = data.split(1);
        assert_eq!((split.train.len(), split.validation.len()), (54_000, 6_000));
        let train: std::collections::HashSet<_> = split.train.iter().collect();
        assert!(split.validation.iter().all(|i| !train.contains(i)));
        assert!(split.train.is_sorted());
    }
}
