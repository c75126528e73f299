//! A name is taken or exchanged in one step of the file system, where it has one.

use std::{
    fs::{self, OpenOptions},
    io::{self, ErrorKind},
    path::Path,
};

/// Gives `from` the name `to`, if nothing has it.
///
/// # Errors
/// [`ErrorKind::AlreadyExists`] where something has it; nothing has changed then.
pub fn take(from: &Path, to: &Path) -> io::Result<()> {
    match step(from, to, false) {
        Some(outcome) => outcome,
        // Without such a step the name is reserved first, and what reserves it is replaced.
        None if from.is_dir() => {
            // What is there is replaced on Unix only where it is an empty folder.
            match cfg!(unix) {
                true => fs::create_dir(to)?,
                false if to.exists() => return Err(ErrorKind::AlreadyExists.into()),
                false => {}
            }
            fs::rename(from, to)
        }
        None => match fs::hard_link(from, to) {
            Ok(()) => fs::remove_file(from),
            Err(e) if e.kind() == ErrorKind::AlreadyExists => Err(e),
            Err(_) => {
                OpenOptions::new().write(true).create_new(true).open(to)?;
                fs::rename(from, to)
            }
        },
    }
}

/// Exchanges two folders: `new` stands under the name of `old` and the other way round. Where the file
/// system cannot, `old` is out of sight under the name `aside` for a moment.
///
/// # Errors
/// They cannot be renamed; the old one is still there, or under `aside`.
pub fn exchange(new: &Path, old: &Path, aside: &Path) -> io::Result<()> {
    match step(new, old, true) {
        Some(outcome) => outcome,
        None => {
            fs::rename(old, aside)?;
            if let Err(e) = fs::rename(new, old) {
                // The old one matters more than a clean message about its return.
                let _ = fs::rename(aside, old);
                return Err(e);
            }
            fs::rename(aside, new)
        }
    }
}

/// One step, or `None` where this system or file system has none.
#[cfg(any(target_os = "linux", target_vendor = "apple"))]
fn step(from: &Path, to: &Path, exchange: bool) -> Option<io::Result<()>> {
    use rustix::{
        fs::{CWD, RenameFlags, renameat_with},
        io::Errno,
    };
    let flags = if exchange { RenameFlags::EXCHANGE } else { RenameFlags::NOREPLACE };
    match renameat_with(CWD, from, CWD, to, flags) {
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => None,
        outcome => Some(outcome.map_err(io::Error::from)),
    }
}

#[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
fn step(_: &Path, _: &Path, _: bool) -> Option<io::Result<()>> {
    None
}
