//! What lies in a folder of pictures: its classes and their files, and what of it is not used.

use std::{
    collections::HashMap,
    ffi::{OsStr, OsString},
    fs,
    path::{Path, PathBuf},
    time::SystemTime,
};

use unicode_normalization::UnicodeNormalization;

use super::counted;
use crate::disk::output::OutputKind;
use crate::error::{Error, Result};

/// Folders that systems and tools leave behind.
const SYSTEMS: [&str; 6] = [
    "__MACOSX",
    "System Volume Information",
    "$RECYCLE.BIN",
    "@eaDir",
    "lost+found",
    "__pycache__",
];
/// Names of the parts of a data set that is divided already.
const TRAIN: [&str; 2] = ["train", "training"];
const TEST: [&str; 5] = ["val", "valid", "validation", "test", "testing"];
/// Which class a test picture of Tiny ImageNet is of, a line each.
const ANNOTATIONS: &str = "val_annotations.txt";
/// Folders within folders that are looked into.
const LEVELS: usize = 8;
/// How many classes there can be: a label is a byte.
const CLASSES: usize = 256;

/// A file of a class, with what tells that it has changed.
#[derive(PartialEq)]
pub struct Known {
    pub path: PathBuf,
    /// Its name within the class.
    pub within: OsString,
    length: u64,
    written: Option<SystemTime>,
    /// Whether it lies in the folder's own part for tests.
    pub test: bool,
}

/// A class and its files, in order.
#[derive(PartialEq)]
pub struct Class {
    pub name: String,
    pub path: PathBuf,
    pub files: Vec<Known>,
}

/// Every class with its files, and what is not used, a line each.
#[derive(PartialEq)]
pub struct Listing {
    pub classes: Vec<Class>,
    pub notes: Vec<String>,
}

/// Lists a folder: a class for each sub-folder but those that are hidden, the system's, or written by
/// commands of ours; all files in a class and below it are its own. A folder with `train` and `val` or
/// `test` in it is divided already; Tiny ImageNet's `val` is known, too.
///
/// # Errors
/// The folder cannot be read or has fewer than 2 classes or more than 256, or two classes have one name.
pub fn list(path: &Path) -> Result<Listing> {
    let mut notes = Vec::new();
    let all = folders(path, &mut notes)?;
    let part = |names: &[&str]| {
        let named =
            |folder: &&PathBuf| names.iter().any(|name| text_of(folder).eq_ignore_ascii_case(name));
        all.iter().filter(named).collect::<Vec<_>>()
    };
    let (train, mut test) = (part(&TRAIN), part(&TEST));
    let divided = train.len() == 1 && train.len() + test.len() == all.len();
    if !divided {
        return classes(path, all, 2, notes);
    }
    let train = train[0];
    let within = folders(train, &mut notes)?;
    let mut listing = classes(train, within, 2, notes)?;
    // What serves to choose by is there for all; the part for tests is often without labels.
    test.sort_by_key(|folder| !text_of(folder).to_lowercase().starts_with("val"));
    let mut used = false;
    for folder in test {
        let name = text_of(folder);
        if used || !held_out(folder, &mut listing)? {
            let why = if used { "is not used" } else { "has no pictures of these classes" };
            listing.notes.push(format!("'{name}' {why}"));
        } else {
            listing.notes.push(format!("'{name}' is the part for tests"));
            used = true;
        }
    }
    Ok(listing)
}

/// Adds the pictures of a folder's part for tests to their classes; says whether there are any.
fn held_out(folder: &Path, listing: &mut Listing) -> Result<bool> {
    let mut ignored = Vec::new();
    let mut any = false;
    for path in folders(folder, &mut ignored)? {
        let name = text_of(&path);
        let Some(class) = listing.classes.iter_mut().find(|c| c.name == name) else { continue };
        let found = files(&path, Path::new(""), true, LEVELS, &mut ignored)?;
        any |= !found.is_empty();
        class.files.extend(found);
    }
    let table = folder.join(ANNOTATIONS);
    if !any && table.is_file() {
        let text = crate::disk::read_text(&table)?;
        let words = |line: &'_ str| {
            let mut words = line.split('\t').map(str::to_string);
            Some((words.next()?, words.next()?))
        };
        let class_of: HashMap<String, String> = text.lines().filter_map(words).collect();
        for file in files(folder, Path::new(""), true, LEVELS, &mut ignored)? {
            let name = text_of(&file.path);
            let class = class_of.get(&name);
            let class = listing.classes.iter_mut().find(|c| Some(&c.name) == class);
            if let Some(class) = class {
                class.files.push(file);
                any = true;
            }
        }
    }
    Ok(any)
}

/// Lists a folder of pictures that are added to others: one class will do.
///
/// # Errors
/// As [`list`].
pub fn beside(path: &Path) -> Result<Listing> {
    let mut notes = Vec::new();
    let all = folders(path, &mut notes)?;
    classes(path, all, 1, notes)
}

/// The classes that sub-folders are, of which at least so many are needed.
fn classes(
    path: &Path,
    folders: Vec<PathBuf>,
    least: usize,
    mut notes: Vec<String>,
) -> Result<Listing> {
    if !(least..=CLASSES).contains(&folders.len()) {
        let n = folders.len();
        let what = if n == 1 { "1 sub-folder".into() } else { format!("{n} sub-folders") };
        let reason = format!("{what}; one sub-folder a class is needed, {least} to {CLASSES}");
        return Err(Error::file(path, reason));
    }
    let mut classes: Vec<Class> = Vec::new();
    for path in folders {
        let name = text_of(&path);
        if let Some(other) = classes.iter().find(|c| c.name == name) {
            let reason = format!(
                "is called as '{}' is, only its letters are composed otherwise; rename one of them",
                other.path.display()
            );
            return Err(Error::file(path, reason));
        }
        let files = files(&path, Path::new(""), false, LEVELS, &mut notes)?;
        classes.push(Class { name, path, files });
    }
    Ok(Listing { classes, notes })
}

/// What lies in a folder, in order.
fn inside(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).map_err(|e| Error::file(folder, e))?;
    let mut paths: Vec<_> = entries.filter_map(|e| e.ok().map(|e| e.path())).collect();
    paths.sort();
    Ok(paths)
}

/// Why a folder holds no pictures of a person's, if it does not.
fn foreign(folder: &Path) -> Option<String> {
    let name = text_of(folder);
    if name.starts_with('.') {
        return Some(format!("'{name}' is hidden and not used"));
    }
    if SYSTEMS.iter().any(|system| name.eq_ignore_ascii_case(system)) {
        return Some(format!("'{name}' is the system's and not used"));
    }
    OutputKind::of_folder(folder).map(|kind| format!("'{name}' is {} and not used", kind.name()))
}

/// The sub-folders that classes are made of; what else lies there is noted.
fn folders(path: &Path, notes: &mut Vec<String>) -> Result<Vec<PathBuf>> {
    let (all, beside): (Vec<_>, Vec<_>) = inside(path)?.into_iter().partition(|p| p.is_dir());
    let beside = beside.iter().filter(|file| !text_of(file).starts_with('.')).count();
    if beside > 0 {
        let is = if beside == 1 { "is" } else { "are" };
        notes.push(format!("{} beside the class folders {is} not used", counted(beside)));
    }
    let mut folders = Vec::new();
    for folder in all {
        match foreign(&folder) {
            Some(note) => notes.push(note),
            None => folders.push(folder),
        }
    }
    Ok(folders)
}

/// The files of a class, in it and below it. Links to folders are not followed: they may go round.
fn files(
    class: &Path,
    within: &Path,
    test: bool,
    levels: usize,
    notes: &mut Vec<String>,
) -> Result<Vec<Known>> {
    let mut files = Vec::new();
    for path in inside(&class.join(within))? {
        let Some(name) = path.file_name() else { continue };
        let within = within.join(name);
        let linked = path.is_symlink();
        match fs::metadata(&path) {
            Ok(about) if about.is_file() && !text(name).starts_with('.') => files.push(Known {
                within: within.into_os_string(),
                length: about.len(),
                written: about.modified().ok(),
                test,
                path,
            }),
            Ok(about) if about.is_dir() => match foreign(&path) {
                Some(note) => notes.push(note),
                None if linked || levels == 0 => {
                    notes.push(format!("'{}' is not looked into", text(within.as_os_str())));
                }
                None => files.extend(self::files(class, &within, test, levels - 1, notes)?),
            },
            _ => {}
        }
    }
    Ok(files)
}

/// A file's or folder's own name.
fn text_of(path: &Path) -> String {
    text(path.file_name().unwrap_or_default())
}

/// A name as text, with its letters composed: file systems differ in that. Bytes that are no text, and
/// characters that a terminal would obey, are written as `\xE9`, so that two such names stay apart.
pub fn text(name: &OsStr) -> String {
    let mut text = String::new();
    for chunk in name.as_encoded_bytes().utf8_chunks() {
        for c in chunk.valid().nfc() {
            match c {
                c if c.is_control() => text += &format!("\\x{:02X}", c as u32),
                '\\' if cfg!(windows) => text.push('/'),
                c => text.push(c),
            }
        }
        chunk.invalid().iter().for_each(|byte| text += &format!("\\x{byte:02X}"));
    }
    text
}
