//! Tensors of a safetensors file that stays where it is, one after another: no more of it is in memory than one.

use std::{
    collections::{BTreeMap, HashMap},
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use safetensors::tensor::{Metadata, TensorInfo, TensorView};
use safetensors::{Dtype, SafeTensorError};

use super::tensors::finite;
use super::{Format, Stored, Tensors, torch};
use crate::error::{Error, Result, ensure};

/// A file that is read in parts.
pub trait Source: Read + Seek {}
impl<S: Read + Seek> Source for S {}

/// Bytes of a list of tensors at most, as safetensors has it.
const HEADER: u64 = 100_000_000;

/// A file whose list of tensors was read.
pub struct InFile<'a> {
    source: Box<dyn Source + 'a>,
    path: PathBuf,
    /// Where the numbers begin.
    start: u64,
    tensors: Metadata,
}

impl<'a> InFile<'a> {
    /// Reads the list of a file's tensors; nothing of a file that PyTorch wrote. `path` is for messages only.
    ///
    /// # Errors
    /// It cannot be read, is damaged, or is no safetensors file.
    pub fn open(mut source: Box<dyn Source + 'a>, path: &Path) -> Result<Option<Self>> {
        let bad = |e: &dyn std::fmt::Display| {
            Error::file(path, format!("not a whole safetensors file ({e})"))
        };
        let failed = |e: std::io::Error| Error::file(path, e);
        let whole = source.seek(SeekFrom::End(0)).map_err(failed)?;
        source.rewind().map_err(failed)?;
        let mut head = Vec::new();
        (&mut source).take(9).read_to_end(&mut head).map_err(failed)?;
        if torch::read::recognised(&head) {
            return Ok(None);
        }
        let length = head.first_chunk().map(|length| u64::from_le_bytes(*length));
        let length = length.ok_or_else(|| bad(&SafeTensorError::HeaderTooSmall))?;
        ensure(length <= HEADER, || bad(&SafeTensorError::HeaderTooLarge))?;
        let start = 8 + length;
        ensure(start <= whole, || bad(&SafeTensorError::InvalidHeaderLength))?;
        let mut list = vec![0; length as usize];
        source.seek(SeekFrom::Start(8)).map_err(failed)?;
        source.read_exact(&mut list).map_err(failed)?;
        let tensors: Metadata = serde_json::from_slice(&list).map_err(|e| bad(&e))?;
        let right = start.checked_add(tensors.data_len() as u64) == Some(whole);
        ensure(right, || bad(&SafeTensorError::MetadataIncompleteBuffer))?;
        Ok(Some(Self { source, path: path.into(), start, tensors }))
    }

    /// Hands over one tensor after another of those that are `wanted` by name, in the order in which they lie in
    /// the file.
    ///
    /// # Errors
    /// It cannot be read, or those of `take`.
    pub fn each(
        &mut self,
        wanted: impl Fn(&str) -> bool,
        mut take: impl FnMut(&str, &Stored) -> Result<()>,
    ) -> Result<()> {
        let failed = |e: std::io::Error| Error::file(&self.path, e);
        let mut bytes = Vec::new();
        for name in self.tensors.offset_keys().iter().filter(|name| wanted(name)) {
            let Some(info) = self.tensors.info(name) else { continue };
            let (from, to) = info.data_offsets;
            bytes.resize(to - from, 0);
            self.source.seek(SeekFrom::Start(self.start + from as u64)).map_err(failed)?;
            self.source.read_exact(&mut bytes).map_err(failed)?;
            let view = TensorView::new(info.dtype, info.shape.clone(), &bytes);
            let view = view.map_err(|e| Error::file(&self.path, e))?;
            take(name, &Stored::of(&view))?;
        }
        Ok(())
    }

    /// The bytes of tensors that are `wanted` by name.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn bytes(&mut self, wanted: impl Fn(&str) -> bool) -> Result<BTreeMap<String, Vec<u8>>> {
        let mut all = BTreeMap::new();
        self.each(wanted, |name, tensor| {
            all.insert(name.to_string(), tensor.data.to_vec());
            Ok(())
        })?;
        Ok(all)
    }

    /// The `n` numbers of a vector; where there are none, nothing is read.
    ///
    /// # Errors
    /// It is missing, of another length or number format, or not finite; or the file cannot be read.
    pub fn vector(&mut self, name: &str, n: usize) -> Result<Vec<f32>> {
        let (path, tensor) = (self.path.clone(), name.to_string());
        let wrong = |reason: String| Error::Tensor { path, tensor, reason };
        if n == 0 {
            return Ok(Vec::new());
        }
        let right = match self.tensors.info(name) {
            None => Err("is missing".to_string()),
            Some(info) => ensure(info.dtype == Dtype::F32 && info.shape == [n], || {
                format!("is {:?} {:?}, expected F32 [{n}]", info.dtype, info.shape)
            }),
        };
        if let Err(reason) = right {
            return Err(wrong(reason));
        }
        let mut values = Vec::new();
        self.each(
            |other| other == name,
            |_, stored| {
                values = stored.values().unwrap_or_default();
                Ok(())
            },
        )?;
        finite(&values).map_err(wrong)?;
        Ok(values)
    }

    /// All tensors by name, with the numbers of those whose bytes are given; the others have none.
    pub fn listed<'b>(&self, bytes: &'b BTreeMap<String, Vec<u8>>) -> Tensors<'b> {
        let stored = |(name, info): (String, &TensorInfo)| {
            let data = bytes.get(&name).map_or(&[][..], Vec::as_slice);
            let stored = Stored::plain(data, Format::of(info.dtype), info.shape.clone());
            (name, stored)
        };
        Tensors(self.tensors.tensors().into_iter().map(stored).collect())
    }

    /// What the tensors are stored as, by name.
    pub fn formats(&self) -> HashMap<String, Dtype> {
        self.tensors.tensors().into_iter().map(|(name, info)| (name, info.dtype)).collect()
    }

    /// What the file says of itself.
    pub fn metadata(&self) -> HashMap<String, String> {
        self.tensors.metadata().clone().unwrap_or_default()
    }

    /// Bytes of all tensors.
    pub fn size(&self) -> usize {
        self.tensors.data_len()
    }
}
