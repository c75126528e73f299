//! Fashion-MNIST (Xiao et al. 2017), complete, packed by `scripts/pack-fashion.py`.

use std::{
    io::Read,
    sync::{Arc, OnceLock},
};

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
        train: Arc::new(pictures(assets::FASHION_TRAIN[0], 60_000)?),
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
    let test = pictures(assets::FASHION_TEST[0], 10_000)?;
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

/// Contexts that differences are sorted by.
const CONTEXTS: usize = 256;
/// Where a step begins of the value above, of its change, and of how rough it is around it.
const VALUES: [i16; 7] = [32, 64, 96, 128, 160, 192, 224];
const CHANGES: [i16; 7] = [-60, -20, -5, 0, 1, 6, 21];
const ROUGH: [i16; 3] = [3, 20, 70];

/// The `n` pictures of a packed file.
fn pictures(path: &str, n: usize) -> Result<Pictures> {
    let bad = |reason: &str| Error::file(path, reason);
    let file = assets::bytes(path)?;
    let (mut parts, mut rest) = (Vec::new(), &*file);
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let length = u32::from_le_bytes(*length) as usize;
        parts.push(after.get(..length).ok_or_else(|| bad("is cut off"))?);
        rest = &after[length..];
    }
    if !rest.is_empty() {
        return Err(bad("has bytes after its end"));
    }
    let (mut pixels, mut labels) = (Vec::with_capacity(n * SHAPE.n()), Vec::with_capacity(n));
    for part in par::map(parts, |part| unpack(part, n)) {
        let (some, their) = part.ok_or_else(|| bad("is damaged"))?;
        pixels.extend(some);
        labels.extend(their);
    }
    match labels.len() == n {
        true => Ok(Pictures { pixels, labels, shape: SHAPE }),
        false => Err(bad(&format!("{} pictures, expected {n}", labels.len()))),
    }
}

/// Pixels and labels of a part of at most `most` pictures; `None` where it is damaged.
fn unpack(part: &[u8], most: usize) -> Option<(Vec<u8>, Vec<u8>)> {
    let mut bytes = Vec::new();
    let limit = 4 * CONTEXTS + most * (SHAPE.n() + 1);
    flate2::read::ZlibDecoder::new(part).take(limit as u64).read_to_end(&mut bytes).ok()?;
    let (counts, body) = bytes.split_at_checked(4 * CONTEXTS)?;
    let n = body.len() / (SHAPE.n() + 1);
    let (differences, labels) = body.split_at_checked(n * SHAPE.n())?;
    // Where each context's next difference is; they end where the next context's begin.
    let mut next = [0; CONTEXTS];
    let mut end = 0usize;
    for (next, count) in next.iter_mut().zip(counts.as_chunks::<4>().0) {
        *next = end;
        end = end.checked_add(u32::from_le_bytes(*count) as usize)?;
    }
    if end != differences.len() || labels.len() != n {
        return None;
    }
    let mut pixels = vec![0; differences.len()];
    for picture in pixels.chunks_exact_mut(SHAPE.n()) {
        // The two rows above.
        let mut above = [[0; SHAPE.width]; 2];
        for row in picture.as_chunks_mut().0 {
            let contexts = contexts(&above[1], &above[0]);
            for (x, value) in row.iter_mut().enumerate() {
                let next = &mut next[usize::from(contexts[x])];
                *value = above[1][x].wrapping_add(*differences.get(*next)?);
                *next += 1;
            }
            above = [above[1], *row];
        }
    }
    Some((pixels, labels.to_vec()))
}

/// The contexts of a row's pixels, from the row above and the one above that.
fn contexts(above: &[u8; SHAPE.width], higher: &[u8; SHAPE.width]) -> [u8; SHAPE.width] {
    /// How many steps have begun at a value.
    #[inline(always)]
    fn step<const N: usize>(begins: [i16; N], value: i16) -> u8 {
        let mut step = 0;
        for begins in begins {
            step += u8::from(value >= begins);
        }
        step
    }
    let mut row = [0i16; SHAPE.width + 2];
    for (value, above) in row[1..].iter_mut().zip(above) {
        *value = i16::from(*above);
    }
    // Plain loops: each is a few instructions for the whole row.
    let mut contexts = [0; SHAPE.width];
    for (x, context) in contexts.iter_mut().enumerate() {
        let [west, n, east] = [row[x], row[x + 1], row[x + 2]];
        *context = step(VALUES, n) * 32
            + step(CHANGES, n - i16::from(higher[x])) * 4
            + step(ROUGH, (n - west).abs() + (east - n).abs());
    }
    contexts
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
    fn a_damaged_file_is_none() {
        let file = assets::bytes(assets::FASHION_TEST[0]).unwrap();
        let length = u32::from_le_bytes(file[..4].try_into().unwrap()) as usize;
        let part = &file[4..4 + length];
        assert_eq!(unpack(part, 5_000).unwrap().1.len(), 5_000);
        // Fewer pictures than there are, an end too early, and bits that others took the place of.
        assert!(unpack(part, 4_999).is_none() && unpack(&part[..length / 2], 5_000).is_none());
        for at in (0..length).step_by(length / 50) {
            let mut other = part.to_vec();
            other[at] ^= 0x55;
            assert!(unpack(&other, 5_000).is_none(), "byte {at}");
        }
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
