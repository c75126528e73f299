//! Letters that the program's own typefaces lack: out of the system's.

use std::{
    collections::{BTreeSet, HashMap},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use skrifa::{FontRef, MetadataProvider, raw::FileRef};

/// A typeface out of a file.
#[derive(Debug)]
pub struct Font {
    /// Its file's name.
    pub name: String,
    pub bytes: Vec<u8>,
}

/// Files that are looked at, and bytes of one, at the most.
const FILES: usize = 5_000;
const LARGEST: u64 = 64 << 20;
/// Folders within folders that are looked into.
const LEVELS: usize = 6;

/// Typefaces of the system that together have the letters of a text which the program's own lack, as far as
/// there are any. Each set of letters is looked for once.
pub fn fallback(text: &str) -> Vec<Arc<Font>> {
    type Known = HashMap<BTreeSet<char>, Vec<Arc<Font>>>;
    static KNOWN: Mutex<Option<Known>> = Mutex::new(None);
    let missing = missing(text);
    if missing.is_empty() {
        return Vec::new();
    }
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let known = known.get_or_insert_default();
    known.entry(missing).or_insert_with_key(|missing| find(&folders(), missing)).clone()
}

/// The letters that the program's own typefaces lack.
pub fn missing(text: &str) -> BTreeSet<char> {
    let own = [epaint_default_fonts::UBUNTU_LIGHT, epaint_default_fonts::HACK_REGULAR];
    let mut letters: BTreeSet<char> =
        text.chars().filter(|c| !c.is_ascii() && !c.is_whitespace() && !c.is_control()).collect();
    for font in own.into_iter().filter_map(|bytes| FontRef::new(bytes).ok()) {
        letters.retain(|c| font.charmap().map(*c).is_none());
    }
    letters
}

/// Where systems keep their typefaces.
fn folders() -> Vec<PathBuf> {
    let named = [
        "/usr/share/fonts",
        "/usr/local/share/fonts",
        "/System/Library/Fonts",
        "/Library/Fonts",
        "C:\\Windows\\Fonts",
    ];
    let own = [dirs::font_dir(), dirs::home_dir().map(|home| home.join(".fonts"))];
    own.into_iter().flatten().chain(named.map(PathBuf::from)).collect()
}

/// As few files as have the letters: the one that has the most of them, then that of the rest.
fn find(folders: &[PathBuf], letters: &BTreeSet<char>) -> Vec<Arc<Font>> {
    let mut files = Vec::new();
    folders.iter().for_each(|folder| list(folder, LEVELS, &mut files));
    // The plain style of a family, and those that are made for all letters, come first.
    files.sort_by_key(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        let styled = ["bold", "italic", "oblique", "light", "black", "thin", "mono", "serif"];
        (styled.iter().any(|style| name.contains(style)), !name.contains("sans"), name)
    });
    let mut left = letters.clone();
    let mut found = Vec::new();
    while !left.is_empty() {
        let best = files.iter().map(|path| (has(path, &left), path)).max_by_key(|(n, _)| *n);
        // Of several with as many the first one is better; `max_by_key` gives the last.
        let Some((most, _)) = best.filter(|(n, _)| *n > 0) else { break };
        let Some(path) = files.iter().find(|path| has(path, &left) == most) else { break };
        let Ok(bytes) = std::fs::read(path) else { break };
        left.retain(|c| face(&bytes).is_none_or(|face| face.charmap().map(*c).is_none()));
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        found.push(Arc::new(Font { name, bytes }));
    }
    found
}

fn list(folder: &Path, levels: usize, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let end = path.extension().map(|end| end.to_string_lossy().to_lowercase());
        if path.is_dir() && levels > 0 {
            list(&path, levels - 1, files);
        } else if files.len() < FILES && end.is_some_and(|e| ["ttf", "otf", "ttc"].contains(&&*e)) {
            files.push(path);
        }
    }
}

/// How many of the letters a file has.
fn has(path: &Path, letters: &BTreeSet<char>) -> usize {
    let small = std::fs::metadata(path).is_ok_and(|about| about.len() <= LARGEST);
    let Some(bytes) = small.then(|| std::fs::read(path).ok()).flatten() else { return 0 };
    face(&bytes)
        .map_or(0, |face| letters.iter().filter(|c| face.charmap().map(**c).is_some()).count())
}

/// The first face of a file.
fn face(bytes: &[u8]) -> Option<FontRef<'_>> {
    match FileRef::new(bytes).ok()? {
        FileRef::Font(font) => Some(font),
        FileRef::Collection(all) => all.get(0).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_that_are_lacking_are_found_in_as_few_files_as_have_them() {
        assert!(missing("Ankle boot, Éc, ä").is_empty());
        assert_eq!(missing("猫 b猫").len(), 1);
        let dir = std::env::temp_dir().join(format!("salun-fonts-{}", std::process::id()));
        std::fs::create_dir_all(dir.join("deep")).unwrap();
        std::fs::write(dir.join("deep/hack.ttf"), epaint_default_fonts::HACK_REGULAR).unwrap();
        std::fs::write(dir.join("light.ttf"), epaint_default_fonts::UBUNTU_LIGHT).unwrap();
        std::fs::write(dir.join("broken.ttf"), b"no font").unwrap();
        // Hack has box drawings, Ubuntu Light has not; neither has a cat.
        let letters = "a─猫".chars().collect();
        let found = find(&[dir.clone()], &letters);
        assert_eq!(found.iter().map(|f| f.name.as_str()).collect::<Vec<_>>(), ["hack.ttf"]);
        std::fs::remove_dir_all(dir).unwrap();
    }
}
