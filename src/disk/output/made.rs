//! Folders around an output.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::error::{Error, Result};

/// Folders that were made for an output; those that stay empty go when this is dropped.
#[derive(Debug)]
pub struct Made(Vec<PathBuf>);

impl Made {
    /// Makes a folder, and those around it that are not there.
    ///
    /// # Errors
    /// One of them cannot be made.
    pub fn folders(path: &Path) -> Result<Self> {
        let missing = path.ancestors().take_while(|p| !p.as_os_str().is_empty() && !p.exists());
        let made = Self(missing.map(Path::to_path_buf).collect());
        fs::create_dir_all(path).map_err(|e| Error::file(path, format!("cannot be made ({e})")))?;
        Ok(made)
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        // Only an empty folder can be removed so.
        self.0.iter().take_while(|path| fs::remove_dir(path).is_ok()).count();
    }
}
