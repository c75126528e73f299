//! Pictures and labels out of SVHN's files: MATLAB 5.0 MAT-files, read with every size checked.
//!
//! A file is a header of 128 bytes and elements: a tag of type and length, then that many bytes,
//! padded to eight. The pictures `X` [32, 32, 3, n] are bytes in column-major order; the labels
//! `y` [n, 1] are 1 to 10, where 10 is the digit 0.

use std::io::Read;

use super::records::SHAPE;
use crate::error::ensure;

const HEADER: usize = 128;
const INT8: u32 = 1;
const UINT8: u32 = 2;
const INT32: u32 = 5;
const UINT32: u32 = 6;
const DOUBLE: u32 = 9;
const MATRIX: u32 = 14;
const COMPRESSED: u32 = 15;
/// More than the largest of SVHN's files unpacks to.
const MOST: u64 = 2 << 30;

type Reason = String;

/// The records (label, then planes) of a file with `X` and `y`.
///
/// # Errors
/// It is no such file; the reason as a text.
pub fn records(file: &[u8]) -> Result<Vec<u8>, Reason> {
    let little = file.starts_with(b"MATLAB 5.0") && file.get(126..HEADER) == Some(&b"IM"[..]);
    ensure(little, || "is not a little-endian MATLAB 5.0 file")?;
    let (mut pictures, mut labels) = (None, None);
    let mut rest = &file[HEADER..];
    while !rest.is_empty() {
        let (mut kind, mut data) = element(&mut rest, false)?;
        let unpacked;
        if kind == COMPRESSED {
            unpacked = unpack(data)?;
            (kind, data) = element(&mut &unpacked[..], true)?;
        }
        let other = || format!("has an element of type {kind} where an array is expected");
        ensure(kind == MATRIX, other)?;
        let Array { name, dims, values } = array(data)?;
        match (&*name, &*dims) {
            (b"X", [32, 32, 3, _]) => pictures = Some(values),
            (b"y", [_, 1]) if values.iter().all(|l| (1..=10).contains(l)) => labels = Some(values),
            (b"X" | b"y", dims) => {
                return Err(format!(
                    "has pictures or labels of shape {dims:?} or of other values than expected"
                ));
            }
            // Arrays of other names are nobody's business.
            _ => {}
        }
    }
    let (Some(pixels), Some(labels)) = (pictures, labels) else {
        return Err("has no X and y".into());
    };
    let as_many = pixels.len() == labels.len() * SHAPE.n();
    ensure(as_many, || "has not as many labels as pictures")?;
    let mut records = Vec::with_capacity(labels.len() * (1 + SHAPE.n()));
    let [h, w] = [SHAPE.height, SHAPE.width];
    for (picture, label) in pixels.chunks_exact(SHAPE.n()).zip(labels) {
        records.push(label % 10);
        for plane in picture.chunks_exact(h * w) {
            // Rows vary fastest in the file.
            records.extend((0..h * w).map(|i| plane[i % w * h + i / w]));
        }
    }
    Ok(records)
}

/// An array of the file: its name, extents, and values as bytes.
struct Array {
    name: Vec<u8>,
    dims: Vec<usize>,
    values: Vec<u8>,
}

/// The next element: its type and bytes. `padded` elements end on a multiple of eight.
fn element<'a>(rest: &mut &'a [u8], padded: bool) -> Result<(u32, &'a [u8]), Reason> {
    let cut = || Reason::from("ends too early");
    let word = |at: usize| -> Result<u32, Reason> {
        let bytes = rest.get(at..).and_then(|rest| rest.first_chunk()).ok_or_else(cut)?;
        Ok(u32::from_le_bytes(*bytes))
    };
    let first = word(0)?;
    // A small element has type and length in one word, and at most four bytes in the next.
    let (kind, length, start) = match first >> 16 {
        0 => (first, word(4)? as usize, 8),
        n => (first & 0xffff, n as usize, 4),
    };
    ensure(start == 8 || length <= 4, || "has a small element that is too long")?;
    let data = rest[start..].get(..length).ok_or_else(cut)?;
    let end =
        if padded || start == 4 { (start + length).next_multiple_of(8) } else { start + length };
    *rest = rest.get(end..).unwrap_or_default();
    Ok((kind, data))
}

fn unpack(data: &[u8]) -> Result<Vec<u8>, Reason> {
    let mut unpacked = Vec::new();
    let mut stream = flate2::read::ZlibDecoder::new(data).take(MOST + 1);
    stream.read_to_end(&mut unpacked).map_err(|e| format!("cannot be unpacked ({e})"))?;
    let whole = unpacked.len() as u64 <= MOST;
    ensure(whole, || "unpacks to more than any file of SVHN")?;
    Ok(unpacked)
}

/// Flags, extents, name and values of an array.
fn array(mut data: &[u8]) -> Result<Array, Reason> {
    let other = || Reason::from("has an array that is not one of plain numbers");
    let (UINT32, _flags) = element(&mut data, true)? else { return Err(other()) };
    let (INT32, dims) = element(&mut data, true)? else { return Err(other()) };
    let dims = dims.as_chunks().0.iter().map(|b| i32::from_le_bytes(*b).max(0) as usize);
    let dims: Vec<usize> = dims.collect();
    let (INT8, name) = element(&mut data, true)? else { return Err(other()) };
    let n = dims.iter().try_fold(1usize, |n, d| n.checked_mul(*d)).ok_or_else(other)?;
    let values = match element(&mut data, true)? {
        (UINT8, bytes) => bytes.to_vec(),
        (DOUBLE, bytes) => {
            bytes.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b) as u8).collect()
        }
        _ => return Err(other()),
    };
    let of = values.len();
    ensure(of == n, || format!("has {of} values in an array of shape {dims:?}"))?;
    Ok(Array { name: name.to_vec(), dims, values })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn part(kind: u32, data: &[u8]) -> Vec<u8> {
        let mut out = [kind.to_le_bytes(), (data.len() as u32).to_le_bytes()].concat();
        out.extend(data);
        out.resize(out.len().next_multiple_of(8), 0);
        out
    }

    /// An element as MATLAB writes arrays: packed, not padded.
    fn packed(name: &[u8], dims: &[i32], kind: u32, values: &[u8]) -> Vec<u8> {
        let small = |name: &[u8]| {
            let tag = INT8 | (name.len() as u32) << 16;
            let mut out = tag.to_le_bytes().to_vec();
            out.extend(name);
            out.resize(8, 0);
            out
        };
        let dims: Vec<u8> = dims.iter().flat_map(|d| d.to_le_bytes()).collect();
        let body = [
            part(UINT32, &[9, 0, 0, 0, 0, 0, 0, 0]),
            part(INT32, &dims),
            small(name),
            part(kind, values),
        ];
        let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        zlib.write_all(&part(MATRIX, &body.concat())).unwrap();
        let data = zlib.finish().unwrap();
        [&COMPRESSED.to_le_bytes()[..], &(data.len() as u32).to_le_bytes(), &data].concat()
    }

    fn file(labels: &[u8]) -> Vec<u8> {
        let mut header = b"MATLAB 5.0 MAT-file".to_vec();
        header.resize(124, b' ');
        header.extend([0x00, 0x01, b'I', b'M']);
        // Value = row + 8 x channel + picture, so that a transposed read is seen.
        let pixels: Vec<u8> = (0..labels.len() * 3072)
            .map(|i| (i % 32 + 8 * (i / 1024 % 3) + i / 3072) as u8)
            .collect();
        let n = labels.len() as i32;
        [
            header,
            packed(b"X", &[32, 32, 3, n], UINT8, &pixels),
            packed(b"y", &[n, 1], UINT8, labels),
        ]
        .concat()
    }

    #[test]
    fn pictures_are_turned_to_rows_and_the_label_ten_is_the_digit_zero() {
        let records = records(&file(&[10, 3])).unwrap();
        let second = &records[3073..];
        assert_eq!((records[0], second[0]), (0, 3));
        assert_eq!((second[1], second[1 + 31], second[1 + 32]), (1, 1, 2));
        assert_eq!(second[1 + 2 * 1024 + 5 * 32 + 3], 5 + 16 + 1);
    }

    #[test]
    fn broken_files_are_refused() {
        let whole = file(&[1, 2]);
        for cut in [0, 100, 128, 129, 140, whole.len() / 2, whole.len() - 1] {
            assert!(records(&whole[..cut]).is_err(), "cut at {cut}");
        }
        assert!(records(&file(&[0])).is_err());
        assert!(records(&file(&[11])).is_err());
        for at in (128..whole.len()).step_by(7) {
            let mut bent = whole.clone();
            bent[at] ^= 0x55;
            // Whatever it is, it is no panic; zlib's checksum finds most of it.
            let _ = records(&bent);
        }
        let mut huge = whole.clone();
        huge[132..136].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(records(&huge).unwrap_err().contains("ends too early"));
    }
}
