//! The only doors to the file system for weights, recipes and results.

use std::{fs, path::Path};

use crate::error::{Error, Result};

/// Largest file that is read.
const MOST: u64 = 4 << 30;

/// A whole file.
///
/// # Errors
/// It cannot be read, is not a regular file, or is larger than 4 GiB.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    let about = fs::metadata(path).map_err(|e| Error::file(path, e))?;
    if !about.is_file() {
        return Err(Error::file(path, "is not a regular file"));
    }
    if about.len() > MOST {
        return Err(Error::file(path, "is larger than 4 GiB"));
    }
    fs::read(path).map_err(|e| Error::file(path, e))
}

/// A whole text file, in UTF-8.
///
/// # Errors
/// As [`read`], or it is not text.
pub fn read_text(path: &Path) -> Result<String> {
    String::from_utf8(read(path)?).map_err(|_| Error::file(path, "is not text"))
}
