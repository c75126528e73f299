//! Vectors that go to a safetensors file one after another: no more of them is in memory than one.

use std::{borrow::Cow, cell::RefCell, collections::HashMap, path::Path};

use safetensors::{Dtype, View};

use super::Precision;
use crate::error::{Error, Result, ensure};

/// A vector by name, read when it is written.
pub struct Vector<'a> {
    pub name: String,
    shape: [usize; 1],
    format: Dtype,
    read: Box<dyn Fn() -> Result<Vec<u8>> + 'a>,
}

impl<'a> Vector<'a> {
    /// `n` numbers.
    pub fn new(name: String, n: usize, read: impl Fn() -> Result<Vec<f32>> + 'a) -> Self {
        let read = Box::new(move || Ok(Precision::Full.bytes(&read()?).1));
        Self { name, shape: [n], format: Dtype::F32, read }
    }

    /// Bytes that mean something to whoever reads them.
    pub fn of_bytes(name: &str, bytes: Vec<u8>) -> Self {
        let (name, shape, format) = (name.to_string(), [bytes.len()], Dtype::U8);
        Self { name, shape, format, read: Box::new(move || Ok(bytes.clone())) }
    }

    /// How many values it has.
    pub fn n(&self) -> usize {
        self.shape[0]
    }
}

/// A vector on its way to a file, which notes why it could not be read.
struct Sent<'a>(&'a Vector<'a>, &'a RefCell<Option<Error>>);

impl View for Sent<'_> {
    fn dtype(&self) -> Dtype {
        self.0.format
    }

    fn shape(&self) -> &[usize] {
        &self.0.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        let bytes = (self.0.read)().and_then(|bytes| {
            let other = || Error::Request(format!("{} has another length", self.0.name));
            ensure(bytes.len() == self.data_len(), other).map(|()| bytes)
        });
        Cow::Owned(bytes.unwrap_or_else(|why| {
            self.1.replace(Some(why));
            Vec::new()
        }))
    }

    fn data_len(&self) -> usize {
        self.0.shape[0] * self.0.format.bitsize() / 8
    }
}

/// Writes vectors, and one text under a key, to a file.
///
/// # Errors
/// It cannot be written, or one of them cannot be read.
pub fn write(path: &Path, vectors: &[Vector], (key, text): (&str, String)) -> Result<()> {
    let failed = RefCell::new(None);
    let sent = vectors.iter().map(|vector| (vector.name.as_str(), Sent(vector, &failed)));
    let text = HashMap::from([(key.to_string(), text)]);
    let written = safetensors::serialize_to_file(sent, Some(text), path);
    match failed.take() {
        Some(why) => Err(why),
        None => written.map_err(|e| Error::write(path, std::io::Error::other(e))),
    }
}
