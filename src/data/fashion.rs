//! Fashion-MNIST (Xiao et al. 2017), complete, as lossless WebP (`scripts/pack-fashion.py`).

use std::sync::{Arc, OnceLock};

use super::{Dataset, PictureShape, Pictures};
use crate::{
    assets,
    error::{Error, Result},
    gpu::cpu::par,
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

/// The MD5 of each of the four official files, unpacked, as they come out of what is shipped; for
/// `salun data check`.
///
/// # Errors
/// A file is damaged.
#[cfg(not(target_arch = "wasm32"))]
pub fn hashes() -> Result<Vec<(String, String)>> {
    let data = open()?;
    let mut found = Vec::new();
    for (set, pictures) in [("train", &data.train), ("t10k", &data.test)] {
        let [n, side] = [pictures.len(), SHAPE.height].map(|n| n as u32);
        for (kind, sizes, body) in [
            ("images-idx3", &[n, side, side][..], &pictures.pixels),
            ("labels-idx1", &[n][..], &pictures.labels),
        ] {
            found.push((format!("{set}-{kind}-ubyte"), idx_md5(sizes, body)));
        }
    }
    Ok(found)
}

/// The MD5 of an IDX file of bytes with these dimensions.
#[cfg(not(target_arch = "wasm32"))]
fn idx_md5(sizes: &[u32], body: &[u8]) -> String {
    use md5::Digest;
    let mut hash = md5::Md5::new();
    hash.update([0, 0, 8, sizes.len() as u8]);
    sizes.iter().for_each(|n| hash.update(n.to_be_bytes()));
    hash.update(body);
    crate::run::hex(&hash.finalize())
}

fn pictures([images, labels]: [&str; 2], n: usize) -> Result<Pictures> {
    let (pixels, labels) = (grey(images, n * SHAPE.n())?, grey(labels, n)?);
    Ok(Pictures { pixels, labels, shape: SHAPE })
}

/// Exactly `n` bytes: the grey values of WebP pictures that follow one another in a file.
fn grey(path: &str, n: usize) -> Result<Vec<u8>> {
    let bad = |reason: String| Error::file(path, reason);
    let file = assets::bytes(path)?;
    let mut pictures = Vec::new();
    let mut rest = &*file;
    // A RIFF file begins with its name and the bytes that follow its length.
    while let Some((head, _)) = rest.split_first_chunk::<8>() {
        let [.., a, b, c, d] = *head;
        let end = (u32::from_le_bytes([a, b, c, d]) as usize).saturating_add(8);
        let picture = rest.get(..end).ok_or_else(|| bad("is cut off".into()))?;
        pictures.push(picture);
        rest = &rest[end..];
    }
    let decoded = par::map(pictures, |picture| {
        image::load_from_memory_with_format(picture, image::ImageFormat::WebP)
    });
    let mut bytes = Vec::with_capacity(n);
    for picture in decoded {
        let picture = picture.map_err(|e| bad(e.to_string()))?.into_rgb8();
        bytes.extend(picture.pixels().map(|pixel| pixel[0]));
    }
    match bytes.len() == n {
        true => Ok(bytes),
        false => Err(bad(format!("{} values, expected {n}", bytes.len()))),
    }
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
