//! Fashion-MNIST (Xiao et al. 2017), complete, packed by `scripts/pack-fashion.py`.

use std::sync::{Arc, OnceLock};

use super::{Dataset, PictureShape, Pictures, SETS, once};
use crate::assets;
use crate::error::{Error, Result, ensure};
use crate::gpu::cpu::par;

/// Class names in label order.
#[rustfmt::skip]
pub const CLASSES: [&str; 10] = [
    "T-shirt", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
];

/// One picture.
pub const SHAPE: PictureShape = PictureShape { channels: 1, height: 28, width: 28 };

/// The data set, unpacked once.
///
/// # Errors
/// The files are damaged, or not there yet.
pub fn open() -> Result<Arc<Dataset>> {
    super::open(SETS[0].name)
}

/// Unpacks the data set.
///
/// # Errors
/// As [`open`].
pub fn read() -> Result<Dataset> {
    let train = Arc::new(pictures(assets::FASHION_TRAIN[0], 60_000)?);
    Ok(Dataset { train, test: test()?, ..SETS[0].outline() })
}

/// The test pictures alone, unpacked once.
///
/// # Errors
/// The files are damaged, or not there yet.
pub fn test() -> Result<Arc<Pictures>> {
    static OPEN: OnceLock<Arc<Pictures>> = OnceLock::new();
    once(&OPEN, || pictures(assets::FASHION_TEST[0], 10_000))
}

/// The official files, unpacked, and their MD5.
#[cfg(not(target_arch = "wasm32"))]
const FILES: [(&str, &str); 4] = [
    ("train-images-idx3-ubyte", "f4a8712d7a061bf5bd6d2ca38dc4d50a"),
    ("train-labels-idx1-ubyte", "9018921c3c673c538a1fc5bad174d6f9"),
    ("t10k-images-idx3-ubyte", "8181f5470baa50b63fa0f6fddb340f0a"),
    ("t10k-labels-idx1-ubyte", "15d484375f8d13e6eb1aabb0c3f46965"),
];

/// Checks that the four official files come out of what is shipped: each file's name and MD5.
///
/// # Errors
/// A file is damaged, or not there yet.
#[cfg(not(target_arch = "wasm32"))]
pub fn check() -> Result<Vec<(String, String)>> {
    let data = open()?;
    let mut files = FILES.into_iter();
    let mut checked = Vec::new();
    for pictures in [&data.train, &data.test] {
        let [n, side] = [pictures.len(), SHAPE.height].map(|n| n as u32);
        let bodies = [(&[n, side, side][..], &pictures.pixels), (&[n][..], &pictures.labels)];
        for ((sizes, body), (file, right)) in bodies.into_iter().zip(&mut files) {
            let hash = idx_md5(sizes, body);
            if hash != right {
                let reason = format!("is damaged: its MD5 is {hash}, not {right}");
                return Err(Error::file(file, reason));
            }
            checked.push((file.into(), hash));
        }
    }
    Ok(checked)
}

/// The MD5 of an IDX file of bytes with these dimensions.
#[cfg(not(target_arch = "wasm32"))]
fn idx_md5(sizes: &[u32], body: &[u8]) -> String {
    use md5::Digest;
    let mut hash = md5::Md5::new();
    hash.update([0, 0, 8, sizes.len() as u8]);
    sizes.iter().for_each(|n| hash.update(n.to_be_bytes()));
    hash.update(body);
    crate::words::hex(&hash.finalize())
}

/// Pictures of a part, but of the last.
const PART: usize = 5_000;
/// Contexts that differences are sorted by.
const CONTEXTS: usize = 256;
/// A row's pixels and ground to a whole number of vectors.
const ROW: usize = 32;
/// The same with a pixel of ground beside either end.
type Row = [u8; ROW + 2];

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
    ensure(rest.is_empty(), || bad("has bytes after its end"))?;
    let (mut pixels, mut labels) = (vec![0; n * SHAPE.n()], vec![0; n]);
    let rooms = pixels.chunks_mut(PART * SHAPE.n()).zip(labels.chunks_mut(PART));
    let (has, right) = (parts.len(), rooms.len());
    ensure(has == right, || bad(&format!("{has} parts, expected {right}")))?;
    let unpacked = par::map(parts.into_iter().zip(rooms).collect(), |(part, (pixels, labels))| {
        unpack(part, pixels, labels)
    });
    ensure(unpacked.iter().all(Option::is_some), || bad("is damaged"))?;
    Ok(Pictures { pixels, labels, shape: SHAPE })
}

/// Unpacks a part into its pixels and labels; `None` where it is damaged or holds other numbers of
/// them.
fn unpack(part: &[u8], pixels: &mut [u8], labels: &mut [u8]) -> Option<()> {
    let length = 4 * CONTEXTS + pixels.len() + labels.len();
    // One more, because what ends with the room counts as cut off.
    let bytes = fdeflate::decompress_to_vec_bounded(part, length + 1).ok()?;
    let (counts, body) = bytes.split_at_checked(4 * CONTEXTS)?;
    let (differences, their_labels) = body.split_at_checked(pixels.len())?;
    // Where each context's next difference is; they end where the next context's begin.
    let mut next = [0; CONTEXTS];
    let mut end = 0usize;
    for (next, count) in next.iter_mut().zip(counts.as_chunks::<4>().0) {
        *next = end;
        end = end.checked_add(u32::from_le_bytes(*count) as usize)?;
    }
    if end != differences.len() || their_labels.len() != labels.len() {
        return None;
    }
    labels.copy_from_slice(their_labels);
    for picture in pixels.chunks_exact_mut(SHAPE.n()) {
        // The row above and the one above that.
        let (mut above, mut higher) = ([0; ROW + 2], [0; ROW + 2]);
        for row in picture.as_chunks_mut().0 {
            unpack_row(row, &above, &contexts(&above, &higher), differences, &mut next)?;
            higher = above;
            above[1..=SHAPE.width].copy_from_slice(row);
        }
    }
    Some(())
}

/// Adds each pixel's difference to the pixel above; `None` where a context has no more.
#[inline(always)]
fn unpack_row(
    row: &mut [u8; SHAPE.width],
    above: &Row,
    contexts: &[u8; ROW],
    differences: &[u8],
    next: &mut [usize; CONTEXTS],
) -> Option<()> {
    let (contexts, above) = (contexts.as_chunks::<4>().0, above[1..].as_chunks::<4>().0);
    for (four, row) in row.as_chunks_mut::<4>().0.iter_mut().enumerate() {
        let (contexts, above) = (&contexts[four], &above[four]);
        // Half of all pixels are ground, whose context is the same: those come four at a time.
        let next_of_first = &mut next[usize::from(contexts[0])];
        if *contexts == [contexts[0]; 4] {
            let some = differences.get(*next_of_first..)?.first_chunk::<4>()?;
            for i in 0..4 {
                row[i] = above[i].wrapping_add(some[i]);
            }
            *next_of_first += 4;
            continue;
        }
        for i in 0..4 {
            let next = &mut next[usize::from(contexts[i])];
            row[i] = above[i].wrapping_add(*differences.get(*next)?);
            *next += 1;
        }
    }
    Some(())
}

/// The contexts of a row's pixels, from the row above and the one above that: eight steps of the value
/// above, eight of its change and four of how rough it is around it. By itself it stays a
/// loop over vectors; within another it was unrolled first.
#[inline(never)]
fn contexts(above: &Row, higher: &Row) -> [u8; ROW] {
    let mut contexts = [0; ROW];
    for x in 0..ROW {
        let [west, n, east, up] = [above[x], above[x + 1], above[x + 2], higher[x + 1]];
        let (rise, fall) = (n.saturating_sub(up), up.saturating_sub(n));
        let rough = n.abs_diff(west).saturating_add(east.abs_diff(n));
        let at_least = |value: u8, begins: u8| u8::from(value >= begins);
        let change =
            4 - at_least(fall, 1) - at_least(fall, 6) - at_least(fall, 21) - at_least(fall, 61)
                + at_least(rise, 1)
                + at_least(rise, 6)
                + at_least(rise, 21);
        let rough = at_least(rough, 3) + at_least(rough, 20) + at_least(rough, 70);
        contexts[x] = (n & 0xE0) + 4 * change + rough;
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
        let whole = |part: &[u8], n: usize| {
            unpack(part, &mut vec![0; n * SHAPE.n()], &mut vec![0; n]).is_some()
        };
        assert!(whole(part, PART));
        // Other numbers of pictures than there are, an end too early, and bits that others took the
        // place of.
        assert!(!whole(part, PART - 1) && !whole(part, PART + 1));
        assert!(!whole(&part[..length / 2], PART));
        for at in (0..length).step_by(length / 50) {
            let mut other = part.to_vec();
            other[at] ^= 0x55;
            assert!(!whole(&other, PART), "byte {at}");
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
