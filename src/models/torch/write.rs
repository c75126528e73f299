//! A `.pth` file as `torch.save` writes it: a zip archive of a pickle and one entry a storage.

use std::io::{Cursor, Write};

use safetensors::Dtype;
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

use crate::error::{Error, Result};
use crate::models::Owned;

/// The folder in the archive; PyTorch takes any.
const ROOT: &str = "archive";

/// The archive of a dictionary of named tensors of F32 or I64.
///
/// # Errors
/// It cannot be put together.
pub fn archive(tensors: &[Owned]) -> Result<Vec<u8>> {
    zipped(&pickle(&dictionary(tensors, "")), tensors)
}

/// The archive of a list as the official DDPM code loads it: the model's dictionary, with the names that
/// `DataParallel` gives, an optimiser's without a state, no steps, and the average of the weights, which is the same.
///
/// # Errors
/// It cannot be put together.
pub fn ddpm(tensors: &[Owned]) -> Result<Vec<u8>> {
    let [model, average] = ["module.", ""].map(|prefix| dictionary(tensors, prefix));
    // A list of what stands after the mark: an empty dictionary and 0 between the two.
    zipped(&pickle(&[b"](", &model[..], b"}K\x00", &average, b"e"].concat()), tensors)
}

/// A pickle of one object, in protocol 2.
fn pickle(object: &[u8]) -> Vec<u8> {
    [b"\x80\x02", object, b"."].concat()
}

fn zipped(pickle: &[u8], tensors: &[Owned]) -> Result<Vec<u8>> {
    let failed = |e: zip::result::ZipError| Error::Request(e.to_string());
    let written = |e: std::io::Error| Error::Request(e.to_string());
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    // Stored as they are and on 64-byte lines, so that PyTorch can map them into memory.
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .with_alignment(64);
    let head: [(&str, &[u8]); 3] =
        [("data.pkl", pickle), ("byteorder", b"little"), ("version", b"3\n")];
    for (name, bytes) in head {
        zip.start_file(format!("{ROOT}/{name}"), options).map_err(failed)?;
        zip.write_all(bytes).map_err(written)?;
    }
    for (i, (_, _, (_, bytes))) in tensors.iter().enumerate() {
        zip.start_file(format!("{ROOT}/data/{i}"), options).map_err(failed)?;
        zip.write_all(bytes).map_err(written)?;
    }
    Ok(zip.finish().map_err(failed)?.into_inner())
}

/// An ordered dictionary of tensors, with a prefix before their names.
fn dictionary(tensors: &[Owned], prefix: &str) -> Vec<u8> {
    let mut out = b"ccollections\nOrderedDict\n)R(".to_vec();
    for (i, (name, shape, (dtype, bytes))) in tensors.iter().enumerate() {
        let (storage, size) =
            if *dtype == Dtype::I64 { ("LongStorage", 8) } else { ("FloatStorage", 4) };
        text(&mut out, &format!("{prefix}{name}"));
        out.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        text(&mut out, "storage");
        out.extend(format!("ctorch\n{storage}\n").bytes());
        text(&mut out, &i.to_string());
        text(&mut out, "cpu");
        number(&mut out, bytes.len() / size);
        // End of the storage's tuple; the tensor begins at its first number.
        out.extend(b"tQK\x00");
        tuple(&mut out, shape);
        let strides: Vec<usize> =
            (0..shape.len()).map(|axis| shape[axis + 1..].iter().product()).collect();
        tuple(&mut out, &strides);
        // No gradient, no hooks.
        out.extend(b"\x89ccollections\nOrderedDict\n)RtR");
    }
    out.push(b'u');
    out
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.push(b'X');
    out.extend((text.len() as u32).to_le_bytes());
    out.extend(text.bytes());
}

fn number(out: &mut Vec<u8>, n: usize) {
    out.extend([0x8a, 8]);
    out.extend((n as u64).to_le_bytes());
}

fn tuple(out: &mut Vec<u8>, numbers: &[usize]) {
    out.push(b'(');
    numbers.iter().for_each(|n| number(out, *n));
    out.push(b't');
}
