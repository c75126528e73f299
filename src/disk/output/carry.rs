//! What a person keeps in a folder that is replaced stays in it.

use std::{
    ffi::OsString,
    fs,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

use super::OutputKind;

/// Takes over into a new folder what is in the old one and is not of what commands write there.
pub fn over(kind: OutputKind, old: &Path, new: &Path) -> io::Result<()> {
    // A run of the demo that was not made again stays whole.
    let made: Vec<_> = listed(new)?.into_iter().map(|(name, _)| name).collect();
    let again = |name: &Path| kind != OutputKind::Demo || made.iter().any(|m| name.starts_with(m));
    let mut folders = vec![PathBuf::new()];
    while let Some(within) = folders.pop() {
        for (name, folder) in listed(&old.join(&within))? {
            let name = within.join(name);
            if folder {
                folders.push(name);
            } else if !(kind.writes(&name) && again(&name)) {
                let to = new.join(&name);
                if let Some(folder) = to.parent() {
                    fs::create_dir_all(folder)?;
                }
                copy(&old.join(&name), &to)?;
            }
        }
    }
    Ok(())
}

/// The names in a folder, and which of them are folders.
pub fn listed(folder: &Path) -> io::Result<Vec<(OsString, bool)>> {
    let entry = |entry: io::Result<fs::DirEntry>| {
        let entry = entry?;
        Ok((entry.file_name(), entry.file_type()?.is_dir()))
    };
    fs::read_dir(folder)?.map(entry).collect()
}

/// A second name for a file, or a copy where there can be none.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    match fs::hard_link(from, to) {
        Ok(()) => return Ok(()),
        Err(e) if e.kind() == ErrorKind::AlreadyExists => {
            let reason = format!("'{}' is in the way", from.display());
            return Err(io::Error::new(ErrorKind::InvalidInput, reason));
        }
        Err(_) => {}
    }
    #[cfg(unix)]
    if fs::symlink_metadata(from)?.is_symlink() {
        return std::os::unix::fs::symlink(fs::read_link(from)?, to);
    }
    fs::copy(from, to).map(drop)
}
