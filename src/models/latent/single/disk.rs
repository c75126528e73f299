//! A single file on disk, with its tokenizer beside it.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use zip::ZipArchive;

use super::super::Files;
use super::names::{TEXT, UNET, VAE};
use super::setting::sidecar;
use crate::disk;
use crate::error::Result;
use crate::models::Source;

/// Bytes of a list of names at most.
const NAMES: u64 = 100 << 20;
/// Bytes of a single file at most.
const MOST: u64 = 16 << 30;
/// A tokenizer's files, which may lie in a folder `tokenizer`, or beside the file itself.
const TOKENIZER: [&str; 3] = ["vocab.json", "merges.txt", "tokenizer.json"];

/// Whether a file on disk looks like a single-file checkpoint, by the names of its tensors; its numbers are not
/// read.
pub fn recognised(path: &Path) -> bool {
    let Some(names) = names(path) else { return false };
    let holds = |prefix: &str| names.windows(prefix.len()).any(|part| part == prefix.as_bytes());
    [UNET, VAE, TEXT].into_iter().any(holds)
}

/// The part of a file that holds its tensors' names: a safetensors header, or the pickle of PyTorch's archive.
fn names(path: &Path) -> Option<Vec<u8>> {
    let mut file = path.is_file().then(|| File::open(path).ok())??;
    let mut start = [0; 8];
    file.read_exact(&mut start).ok()?;
    let mut names = Vec::new();
    if start.starts_with(b"PK\x03\x04") {
        file.seek(SeekFrom::Start(0)).ok()?;
        let mut archive = ZipArchive::new(file).ok()?;
        let pickle =
            archive.file_names().flatten().find(|name| name.ends_with("data.pkl"))?.to_string();
        archive.by_name(&pickle).ok()?.take(NAMES).read_to_end(&mut names).ok()?;
    } else {
        let length = u64::from_le_bytes(start);
        if length > NAMES {
            return None;
        }
        file.take(length).read_to_end(&mut names).ok()?;
    }
    Some(names)
}

/// A single file.
#[derive(Debug)]
pub struct SingleFile {
    folder: PathBuf,
    name: String,
}

impl SingleFile {
    /// The file of this name in a folder.
    pub fn new(folder: PathBuf, name: &str) -> Self {
        Self { folder, name: name.into() }
    }

    /// Where a file that goes with it lies.
    fn place(&self, name: &str) -> Option<PathBuf> {
        match name.strip_prefix("tokenizer/") {
            Some(inside) if !self.folder.join("tokenizer").is_dir() => {
                TOKENIZER.contains(&inside).then(|| self.folder.join(inside))
            }
            _ => Some(self.folder.join(name)),
        }
    }

    /// The files that it is read from as they are now.
    pub fn stamps(&self) -> Vec<disk::Stamp> {
        let names = TOKENIZER.map(|name| format!("tokenizer/{name}"));
        let names = names.into_iter().chain([self.name.clone(), sidecar(&self.name)]);
        names.filter_map(|name| disk::stamp(&self.place(&name)?)).collect()
    }
}

impl Files for SingleFile {
    fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let Some(path) = self.place(name).filter(|path| path.exists()) else { return Ok(None) };
        match name == self.name {
            true => disk::read_at_most(&path, MOST).map(Some),
            false => disk::read(&path).map(Some),
        }
    }

    fn open(&self, name: &str) -> Result<Option<Box<dyn Source + '_>>> {
        let path = self.place(name).filter(|path| path.exists());
        path.map(|path| Ok(Box::new(disk::open(&path)?) as Box<dyn Source>)).transpose()
    }

    fn path(&self) -> PathBuf {
        self.folder.clone()
    }

    fn single(&self) -> Option<String> {
        Some(self.name.clone())
    }
}
