//! A person's pictures with their words: `folder:PATH?caption=TEMPLATE`, one sub-folder a class, or a folder with a
//! `metadata.jsonl` or `metadata.csv` that has a `file_name` and a `text` for each picture.

use std::{
    collections::HashMap,
    path::{Component, Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use sha2::Digest;

use super::{Concept, Corpus, Index, Source};
use crate::data::PictureShape;
use crate::data::folder::{self, Fit, Given, Unread, list, picture};
use crate::data::indices;
use crate::disk;
use crate::disk::Stamp;
use crate::error::{Error, Result, ensure};
use crate::gpu::cpu::par;
use crate::words::{Fingerprint, hex};

/// What stands for the class in a template, and the usual one.
const CLASS: &str = "{class}";
const USUAL: &str = "an image of a {class}";
/// Side of the pictures that a model is trained on, unless said otherwise.
const SIDE: usize = 32;
/// Characters of a caption that are kept.
const MOST: usize = 2000;
/// What pictures that are transparent in part are laid on.
const GROUND: u8 = 255;
/// Files that tell the captions, in the field's form.
const METADATA: [&str; 2] = ["metadata.jsonl", "metadata.csv"];

/// A picture file and its caption.
#[derive(Debug)]
pub struct Captioned {
    path: PathBuf,
    pub caption: String,
}

impl Captioned {
    /// The picture, centre-cropped. 3 · side · side values in [0, 1], channels first.
    ///
    /// # Errors
    /// The file cannot be read any more.
    pub fn read(&self, side: usize) -> Result<Vec<f32>> {
        let shape = PictureShape { channels: 3, height: side, width: side };
        let pixels = picture::laid(&self.path, shape, GROUND, Fit::Crop);
        let pixels = pixels.map_err(|why| {
            Error::file(&self.path, format!("is {} by now", why.name(&self.path)))
        })?;
        Ok(pixels.iter().map(|b| f32::from(*b) / 255.0).collect())
    }
}

/// A caption before its picture was looked at: of which concept, and what the picture is called in the folder.
struct Listed {
    concept: usize,
    within: String,
    picture: Captioned,
}

/// A folder that was read, with its files as they were.
type Read = (String, Vec<Stamp>, Arc<Corpus>);

/// The latest.
static LATEST: Mutex<Option<Read>> = Mutex::new(None);

/// Reads a folder; again only where a file in it has changed. What cannot be read is noted.
///
/// # Errors
/// The folder cannot be read, says no captions, or has fewer than two readable pictures.
pub fn open(given: &str) -> Result<Arc<Corpus>> {
    let asked = folder::parse(given)?;
    let stamps = disk::stamps(&asked.path);
    let mut latest = LATEST.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((name, then, corpus)) = &*latest
        && (name.as_str(), then) == (given, &stamps)
    {
        return Ok(corpus.clone());
    }
    let corpus = Arc::new(read(given, asked)?);
    *latest = Some((given.into(), stamps, corpus.clone()));
    Ok(corpus)
}

/// The file in a folder that tells its captions.
fn metadata(path: &Path) -> Option<PathBuf> {
    [path.to_path_buf(), path.join("train")]
        .into_iter()
        .flat_map(|folder| METADATA.map(|name| folder.join(name)))
        .find(|file| file.is_file())
}

/// A data set's name with the usual template, where it is a folder that says no captions.
pub fn worded(data: &str) -> String {
    let asked = data.strip_prefix("folder:").and_then(|given| folder::parse(given).ok());
    match asked {
        Some(Given { path, caption: None, .. }) if metadata(&path).is_none() => {
            folder::captioned(data, USUAL)
        }
        _ => data.into(),
    }
}

fn read(given: &str, asked: Given) -> Result<Corpus> {
    let Given { path, side, caption, .. } = asked;
    let metadata = metadata(&path);
    let by_caption = metadata.is_some();
    let (mut notes, mut names) = (Vec::new(), Vec::new());
    let listed = match (metadata, caption) {
        (Some(file), Some(template)) => {
            let right = format!("{} has the captions; leave it out", file.display());
            return Err(Error::argument("caption", template, right));
        }
        (Some(file), None) => described(&file, &mut names)?,
        (None, Some(template)) => by_class(&path, &template, &mut names, &mut notes)?,
        (None, None) => {
            let reason = "has no captions: --caption \"an image of a {class}\" makes them of its \
                          sub-folders' names, or put a metadata.jsonl into it with a line \
                          {\"file_name\": \"a.png\", \"text\": \"a caption\"} for each picture";
            return Err(Error::file(path, reason));
        }
    };
    let mut files: Vec<Vec<Captioned>> = names.iter().map(|_| Vec::new()).collect();
    let mut sha = sha2::Sha256::new();
    sha.update(b"pictures with captions\n");
    let looked =
        par::map(listed.iter().collect(), |one: &Listed| picture::glance(&one.picture.path));
    let (mut clear, mut unread): (usize, Vec<(String, Unread)>) = (0, Vec::new());
    for (Listed { concept, within, picture }, looked) in listed.into_iter().zip(looked) {
        match looked {
            Ok((hash, transparent)) => {
                clear += usize::from(transparent);
                [within.as_bytes(), b"\n", picture.caption.as_bytes(), &hash]
                    .into_iter()
                    .for_each(|part| sha.update(part));
                files[concept].push(picture);
            }
            Err(why) => unread.push((within, why)),
        }
    }
    if clear > 0 {
        notes.push(format!("{clear} pictures may be transparent in part and are laid on white"));
    }
    if !unread.is_empty() {
        notes.push(folder::unreadable(&unread));
    }
    // What has no picture left is no concept.
    let concepts: Vec<(String, Vec<Captioned>)> =
        names.into_iter().zip(files).filter(|(_, files)| !files.is_empty()).collect();
    let pictures = concepts.iter().map(|(_, files)| files.len()).sum();
    let few = || Error::file(&path, format!("{pictures} readable pictures; at least 2 are needed"));
    ensure(pictures >= 2, few)?;
    let (names, files): (Vec<String>, Vec<_>) = concepts.into_iter().unzip();
    // The hash is over captions, too: a recipe need not list thousands of them.
    let classes = if by_caption { Vec::new() } else { names.clone() };
    let fingerprint = Fingerprint { classes, pictures, sha256: hex(&sha.finalize()) };
    let concept = |name| Concept { name, ..Concept::default() };
    let concepts = names.into_iter().map(concept).collect();
    Ok(Corpus {
        name: format!("folder:{given}"),
        index: Index { side: side.unwrap_or(SIDE), concepts, ..Index::default() },
        source: Source::Files(Arc::new(files)),
        fingerprint: Some(fingerprint),
        notes,
    })
}

/// The pictures of a folder's classes, each captioned by a template. A class called `red_box` is a `red box`.
fn by_class(
    path: &Path,
    template: &str,
    names: &mut Vec<String>,
    notes: &mut Vec<String>,
) -> Result<Vec<Listed>> {
    let right = format!("{CLASS} is needed in it, as in \"an image of a {CLASS}\"");
    ensure(template.contains(CLASS), || Error::argument("caption", template, right))?;
    let listing = list::list(path)?;
    notes.extend(listing.notes);
    let mut listed = Vec::new();
    for class in listing.classes {
        let name = class.name.replace('_', " ");
        // `red_box` and `red box` are one to whoever asks for it.
        let concept = names.iter().position(|known| *known == name).unwrap_or(names.len());
        let caption: String = template.replace(CLASS, &name).chars().take(MOST).collect();
        listed.extend(class.files.into_iter().map(|file| Listed {
            concept,
            within: format!("{}/{}", class.name, list::text(&file.within)),
            picture: Captioned { path: file.path, caption: caption.clone() },
        }));
        if concept == names.len() {
            names.push(name);
        }
    }
    Ok(listed)
}

/// The pictures that a metadata file lists; those of one caption are one concept.
fn described(file: &Path, names: &mut Vec<String>) -> Result<Vec<Listed>> {
    let bytes = disk::read(file)?;
    let text = indices::text(&bytes).ok_or_else(|| Error::file(file, "is not text"))?;
    let rows = match file.extension().is_some_and(|end| end == "csv") {
        true => of_csv(&text),
        false => of_lines(&text),
    };
    let folder = file.parent().unwrap_or(Path::new(""));
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut listed = Vec::new();
    for (line, row) in rows {
        let wrong = |reason: String| Error::file(file, format!("line {line}: {reason}"));
        let [name, caption] = row.map_err(wrong)?;
        let short = || name.escape_default().take(80).collect::<String>();
        let own = |part: Component| matches!(part, Component::Normal(_) | Component::CurDir);
        let within = !name.is_empty() && Path::new(&name).components().all(own);
        ensure(within, || wrong(format!("'{}' is no name within the folder", short())))?;
        let path = folder.join(&name);
        ensure(path.is_file(), || wrong(format!("'{}' is not there", short())))?;
        let caption: String = caption.trim().chars().take(MOST).collect();
        ensure(!caption.is_empty(), || wrong(format!("'{}' has no text", short())))?;
        let concept = *places.entry(caption.clone()).or_insert_with(|| {
            names.push(caption.clone());
            names.len() - 1
        });
        listed.push(Listed { concept, within: name, picture: Captioned { path, caption } });
    }
    Ok(listed)
}

/// A line's number, and its file name and text or what is wrong with it.
type Row = (usize, std::result::Result<[String; 2], String>);

/// The columns, as the field calls them.
const COLUMNS: [&str; 2] = ["file_name", "text"];

fn of_lines(text: &str) -> Vec<Row> {
    let row = |line: &str| -> std::result::Result<[String; 2], String> {
        let right = "{\"file_name\": \"a.png\", \"text\": \"a caption\"} is needed";
        let object: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(line).map_err(|e| format!("is no JSON ({e}); {right}"))?;
        let value = |key: &str| match object.get(key) {
            Some(serde_json::Value::String(text)) => Ok(text.clone()),
            _ => {
                let keys: Vec<&str> = object.keys().map(String::as_str).take(12).collect();
                Err(format!("has no text \"{key}\" but {}; {right}", keys.join(", ")))
            }
        };
        Ok([value(COLUMNS[0])?, value(COLUMNS[1])?])
    };
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines.map(|(i, line)| (i + 1, row(line))).collect()
}

fn of_csv(text: &str) -> Vec<Row> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let headers = reader.headers().cloned().unwrap_or_default();
    let places = COLUMNS.map(|column| headers.iter().position(|name| name.trim() == column));
    let [Some(name), Some(text)] = places else {
        let found: Vec<&str> = headers.iter().take(12).collect();
        let reason = format!("the columns are {}; file_name and text are needed", found.join(", "));
        return vec![(1, Err(reason))];
    };
    let row = |record: csv::Result<csv::StringRecord>| {
        let line =
            |record: &csv::StringRecord| record.position().map_or(0, |at| at.line() as usize);
        match record {
            Ok(record) => {
                let of = |at: usize| record.get(at).unwrap_or_default().to_string();
                (line(&record), Ok([of(name), of(text)]))
            }
            Err(error) => {
                let at = error.position().map_or(0, |at| at.line() as usize);
                (at, Err(format!("is no CSV ({error})")))
            }
        }
    };
    reader.records().map(row).collect()
}
