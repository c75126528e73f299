//! Vectors that go to a safetensors file one after another: no more of them is in memory than one.

use std::{
    collections::HashMap,
    fs::File,
    io::{BufWriter, Write},
    path::Path,
};

use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};

use super::Precision;
use crate::error::{Error, Result, ensure};

/// A vector by name, read when it is written.
pub struct Vector<'a> {
    name: String,
    n: usize,
    format: Dtype,
    read: Box<dyn Fn() -> Result<Vec<u8>> + 'a>,
}

impl<'a> Vector<'a> {
    /// `n` numbers.
    pub fn new(name: String, n: usize, read: impl Fn() -> Result<Vec<f32>> + 'a) -> Self {
        let read = Box::new(move || Ok(Precision::Full.bytes(&read()?).1));
        Self { name, n, format: Dtype::F32, read }
    }

    /// Bytes that mean something to whoever reads them.
    pub fn of_bytes(name: &str, bytes: Vec<u8>) -> Self {
        let (name, n, format) = (name.to_string(), bytes.len(), Dtype::U8);
        Self { name, n, format, read: Box::new(move || Ok(bytes.clone())) }
    }

    /// How many values it has.
    pub fn n(&self) -> usize {
        self.n
    }

    fn bytes(&self) -> usize {
        self.n * self.format.bitsize() / 8
    }
}

/// Writes vectors, and one text under a key, to a file of this path and to no other.
///
/// # Errors
/// It cannot be written, or one of them cannot be read.
pub fn write(path: &Path, vectors: &[Vector], (key, text): (&str, String)) -> Result<()> {
    let failed = |e: std::io::Error| Error::write(path, e);
    let mut end = 0;
    let info = |vector: &Vector| {
        let start = end;
        end += vector.bytes();
        let (dtype, shape, data_offsets) = (vector.format, vec![vector.n], (start, end));
        (vector.name.clone(), TensorInfo { dtype, shape, data_offsets })
    };
    let list: Vec<_> = vectors.iter().map(info).collect();
    let list = Metadata::new(Some(HashMap::from([(key.to_string(), text)])), list);
    let list = list.map_err(|e| Error::Request(e.to_string()))?;
    let mut list = serde_json::to_vec(&list).map_err(|e| Error::Request(e.to_string()))?;
    // Numbers begin where every device may read them.
    list.resize(list.len().next_multiple_of(8), b' ');
    let mut file = BufWriter::new(File::create(path).map_err(failed)?);
    file.write_all(&(list.len() as u64).to_le_bytes()).map_err(failed)?;
    file.write_all(&list).map_err(failed)?;
    for vector in vectors {
        let bytes = (vector.read)()?;
        let other = || Error::Request(format!("{} has another length", vector.name));
        ensure(bytes.len() == vector.bytes(), other)?;
        file.write_all(&bytes).map_err(failed)?;
    }
    file.flush().map_err(failed)
}
