//! Letters that the program's own typefaces lack: out of the system's.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use skrifa::{FontRef, MetadataProvider, raw::FileRef};

use crate::gpu::cpu::par;

/// A typeface out of a file.
#[derive(Debug)]
pub struct Font {
    /// Its file's name.
    pub name: String,
    pub bytes: Vec<u8>,
}

/// Files and folders that are looked at, and bytes of a file, at the most.
const FILES: usize = 5_000;
const LARGEST: u64 = 64 << 20;
/// Folders within folders that are looked into.
const LEVELS: usize = 6;
/// Letters of a block.
const BLOCK: u32 = 256;

/// Typefaces of the system that together have the letters of a text which the program's own lack, as far as
/// there are any. The system's files are read through once, when they are first needed.
pub fn fallback(text: &str) -> Vec<Arc<Font>> {
    static SYSTEM: OnceLock<Mutex<System>> = OnceLock::new();
    let missing = missing(text);
    if missing.is_empty() {
        return Vec::new();
    }
    let system = SYSTEM.get_or_init(|| Mutex::new(System::new(&folders())));
    system.lock().unwrap_or_else(PoisonError::into_inner).with(&missing)
}

/// The letters that the program's own typeface lacks.
pub fn missing(text: &str) -> BTreeSet<char> {
    let mut letters: BTreeSet<char> =
        text.chars().filter(|c| !c.is_ascii() && !c.is_whitespace() && !c.is_control()).collect();
    if let Ok(font) = FontRef::new(epaint_default_fonts::UBUNTU_LIGHT) {
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

/// What the system has.
#[derive(Default)]
struct System {
    /// Every file, the better ones first, with the blocks of letters in which it has any.
    files: Vec<(PathBuf, HashSet<u32>)>,
    /// Those that were needed so far.
    loaded: Vec<Arc<Font>>,
    /// What was found for a letter: its place among the loaded ones, if any has it.
    found: HashMap<char, Option<usize>>,
}

impl System {
    fn new(folders: &[PathBuf]) -> Self {
        let mut files = Vec::new();
        let mut left = FILES;
        folders.iter().for_each(|folder| list(folder, LEVELS, &mut left, &mut files));
        // The plain style of a family, and those that are made for all letters, come first.
        files.sort_by_key(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
            let styled = ["bold", "italic", "oblique", "light", "black", "thin", "mono", "serif"];
            (styled.iter().any(|style| name.contains(style)), !name.contains("sans"), name)
        });
        let files = par::map(files, |path| {
            let blocks = blocks(&read(&path)?)?;
            Some((path, blocks))
        });
        Self { files: files.into_iter().flatten().collect(), ..Self::default() }
    }

    /// The typefaces that have these letters.
    fn with(&mut self, letters: &BTreeSet<char>) -> Vec<Arc<Font>> {
        let places: BTreeSet<usize> = letters.iter().filter_map(|c| self.place(*c)).collect();
        places.into_iter().map(|place| self.loaded[place].clone()).collect()
    }

    /// Where among the loaded ones a letter is; loads the first file that has it.
    fn place(&mut self, letter: char) -> Option<usize> {
        if let Some(known) = self.found.get(&letter) {
            return *known;
        }
        let has =
            |bytes: &[u8]| face(bytes).is_some_and(|face| face.charmap().map(letter).is_some());
        let place = self.loaded.iter().position(|font| has(&font.bytes)).or_else(|| {
            let block = letter as u32 / BLOCK;
            let likely = self.files.iter().filter(|(_, blocks)| blocks.contains(&block));
            let (path, bytes) =
                likely.filter_map(|(path, _)| Some((path, read(path)?))).find(|(_, b)| has(b))?;
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            self.loaded.push(Arc::new(Font { name, bytes }));
            Some(self.loaded.len() - 1)
        });
        self.found.insert(letter, place);
        place
    }
}

/// The blocks of letters in which a file has any.
fn blocks(bytes: &[u8]) -> Option<HashSet<u32>> {
    Some(face(bytes)?.charmap().mappings().map(|(letter, _)| letter / BLOCK).collect())
}

fn list(folder: &Path, levels: usize, left: &mut usize, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if *left == 0 {
            return;
        }
        *left -= 1;
        let path = entry.path();
        let end = path.extension().map(|end| end.to_string_lossy().to_lowercase());
        if path.is_dir() && levels > 0 {
            list(&path, levels - 1, left, files);
        } else if end.is_some_and(|end| ["ttf", "otf", "ttc"].contains(&&*end)) {
            files.push(path);
        }
    }
}

fn read(path: &Path) -> Option<Vec<u8>> {
    let about = std::fs::metadata(path).ok()?;
    if !about.is_file() || about.len() > LARGEST {
        return None;
    }
    std::fs::read(path).ok()
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
        let mut system = System::new(std::slice::from_ref(&dir));
        for _ in 0..2 {
            let found = system.with(&"─猫".chars().collect());
            assert_eq!(found.iter().map(|f| f.name.as_str()).collect::<Vec<_>>(), ["hack.ttf"]);
        }
        assert_eq!(system.loaded.len(), 1);
        std::fs::remove_dir_all(dir).unwrap();
    }
}
