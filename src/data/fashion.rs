//! Fashion-MNIST (Xiao et al. 2017), complete, inside the binary.

use std::{
    io::Read,
    sync::{Arc, OnceLock},
};

use super::{Dataset, PictureShape, Pictures};
use crate::error::{Error, Result};

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

macro_rules! embedded {
    ($file:literal) => {
        ($file, include_bytes!(concat!("../../assets/data/fashion-mnist/", $file)).as_slice())
    };
}

const TRAIN: [(&str, &[u8]); 2] =
    [embedded!("train-images-idx3-ubyte.gz"), embedded!("train-labels-idx1-ubyte.gz")];
const TEST: [(&str, &[u8]); 2] =
    [embedded!("t10k-images-idx3-ubyte.gz"), embedded!("t10k-labels-idx1-ubyte.gz")];

/// The data set, unpacked once.
///
/// # Errors
/// The embedded files are damaged.
pub fn open() -> Result<Arc<Dataset>> {
    static OPEN: OnceLock<Result<Arc<Dataset>>> = OnceLock::new();
    OPEN.get_or_init(|| {
        Ok(Arc::new(Dataset {
            name: "fashion-mnist".into(),
            classes: CLASSES.map(String::from).to_vec(),
            train: pictures(TRAIN, 60_000)?,
            test: pictures(TEST, 10_000)?,
            skipped: 0,
        }))
    })
    .clone()
}

/// The sha256 of each embedded file, for `salun data check`.
pub fn hashes() -> Vec<(&'static str, String)> {
    use sha2::Digest;
    TRAIN
        .iter()
        .chain(&TEST)
        .map(|(n, b)| (*n, crate::run::hex(&sha2::Sha256::digest(b))))
        .collect()
}

fn pictures([images, labels]: [(&str, &[u8]); 2], n: usize) -> Result<Pictures> {
    Ok(Pictures {
        pixels: idx(images, 16, n * 28 * 28)?,
        labels: idx(labels, 8, n)?,
        shape: PictureShape { channels: 1, height: 28, width: 28 },
    })
}

/// The body of a gzipped IDX file: `header` bytes, then exactly `n`.
fn idx((name, packed): (&str, &[u8]), header: usize, n: usize) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(header + n);
    flate2::read::GzDecoder::new(packed)
        .take((header + n + 1) as u64)
        .read_to_end(&mut bytes)
        .map_err(|e| Error::file(name, e))?;
    if bytes.len() != header + n {
        return Err(Error::file(name, format!("{} bytes, expected {}", bytes.len(), header + n)));
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
