//! What commands write, told from what a person keeps under the same name: `--force` replaces the one
//! and never the other.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io::Read,
    path::Path,
};

use serde_json::Value;
use strum::EnumMessage;

use crate::error::{Error, Result};
use crate::words::{Task, files};

/// A kind of file or folder that a command writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumMessage)]
pub enum OutputKind {
    /// A weights file, as safetensors or `.pth`.
    #[strum(message = "a weights file")]
    Weights,
    /// A mask.
    #[strum(message = "a mask")]
    Mask,
    /// A PNG.
    #[strum(message = "a PNG picture")]
    Picture,
    /// A folder of PNGs.
    #[strum(message = "a folder of PNG pictures")]
    Pictures,
    /// A model card.
    #[strum(message = "a model card")]
    Card,
    /// What a mask keeps of each layer.
    #[strum(message = "a mask's statistics")]
    Statistics,
    /// A training log.
    #[strum(message = "a training log")]
    Log,
    /// An audit.
    #[strum(message = "an audit")]
    Audit,
    /// A report of attacks.
    #[strum(message = "a report of attacks")]
    Attacks,
    /// A run as a page of HTML.
    #[strum(message = "a run's page")]
    Page,
    /// A run folder.
    #[strum(message = "a run folder")]
    Run,
    /// A folder of run folders.
    #[strum(message = "a demo's folder")]
    Demo,
    /// A comparison of masks.
    #[strum(message = "a comparison of masks")]
    Overlap,
    /// A diffusers folder.
    #[strum(message = "a text-to-image model")]
    Pipeline,
    /// A text-to-image model's single file in a folder, with its tokenizer.
    #[strum(message = "a text-to-image model's single file with its tokenizer")]
    Single,
    /// A table's folder.
    #[strum(message = "a table's folder")]
    Table,
    /// A data set's or a fetched model's folder in the program's own place.
    #[strum(message = "a data set")]
    Data,
    /// A file in a place of the program's own.
    #[strum(message = "a file of ours")]
    Own,
}

/// Files at the top that make a folder what it is.
const RUN: [&str; 2] = ["recipe.toml", "report.json"];
const OVERLAP: [&str; 3] = ["overlap.csv", "overlap.json", "overlap.png"];
const PIPELINE: [&str; 1] = ["model_index.json"];
/// All that is in a folder with a single file.
const SINGLE: [&str; 5] = [
    files::SINGLE,
    "tokenizer/vocab.json",
    "tokenizer/merges.txt",
    "tokenizer/special_tokens_map.json",
    "tokenizer/tokenizer_config.json",
];
const TABLE: [&str; 1] = ["protocol.json"];
/// The hashes of a data set's files.
pub const SUMS: &str = "SHA256SUMS";
/// What else is in a table's folder.
const RENDERED: [&str; 5] = ["table.md", "table.csv", "table.json", "figure.svg", "figure.png"];
/// Bytes at the start of a PNG, and of a zip archive, which a `.pth` is.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";
const ZIP: &[u8] = b"PK\x03\x04";
/// Bytes that a safetensors header, a card or statistics have at most.
const HEADER: u64 = 100 << 20;

impl OutputKind {
    /// What a folder is of those that commands write.
    pub fn of_folder(path: &Path) -> Option<Self> {
        let kinds =
            [Self::Run, Self::Demo, Self::Overlap, Self::Pipeline, Self::Single, Self::Table];
        kinds.into_iter().find(|kind| kind.written(path))
    }

    /// For a person.
    pub fn name(self) -> &'static str {
        self.get_message().unwrap_or_default()
    }

    /// Whether it is a folder.
    pub fn folder(self) -> bool {
        use OutputKind::{Data, Demo, Overlap, Pictures, Pipeline, Run, Single, Table};
        matches!(self, Run | Demo | Overlap | Pipeline | Single | Table | Data | Pictures)
    }

    /// Refuses to replace what is at a path unless it is of this kind, or empty.
    ///
    /// # Errors
    /// It is something else; the line says what is in the way.
    pub fn replaces(self, path: &Path) -> Result<()> {
        let about = fs::symlink_metadata(path).map_err(|e| Error::file(path, e))?;
        if self.recognised(path, about.is_dir()) {
            return Ok(());
        }
        let what = match (about.is_dir(), self.folder()) {
            (true, false) => format!("is a folder, not {}", self.name()),
            (false, true) => format!("is a file, not {}", self.name()),
            (true, true) => format!("is not {}{}", self.name(), held(path)),
            (false, false) => format!("is not {}", self.name()),
        };
        let reason = format!("{what}; --force replaces nothing else");
        Err(Error::file(path, reason))
    }

    fn recognised(self, path: &Path, folder: bool) -> bool {
        let empty = match folder {
            true => fs::read_dir(path).is_ok_and(|mut all| all.next().is_none()),
            false => fs::metadata(path).is_ok_and(|m| m.is_file() && m.len() == 0),
        };
        folder == self.folder() && (empty || self.written(path))
    }

    /// Whether what is at a path was written as this kind.
    fn written(self, path: &Path) -> bool {
        let has = |names: &[&str]| names.iter().all(|name| path.join(name).is_file());
        match self {
            Self::Weights => {
                pickled(path) || formats(path).is_some_and(|f| f.iter().any(|f| f != "U8"))
            }
            Self::Mask => formats(path).is_some_and(|f| f.iter().all(|f| f == "U8")),
            Self::Picture => starts(path, PNG),
            Self::Pictures => entries(path).iter().all(|n| drawn(n) && starts(&path.join(n), PNG)),
            Self::Card => fields(path, &["architecture", "classes"]),
            Self::Statistics => fields(path, &["forget", "mask"]),
            Self::Log => logged(path),
            Self::Audit => fields(path, &["forget", "run", "original"]),
            Self::Attacks => json(path).is_some_and(|v| {
                let tried = |a: &Value| a.get("kind").is_some() && a.get("tries").is_some();
                v.as_array().is_some_and(|all| all.iter().all(tried))
            }),
            Self::Page => starts(path, files::PAGE_START.as_bytes()),
            Self::Run => has(&RUN),
            Self::Demo => entries(path)
                .iter()
                .any(|name| demo(Path::new(name)) && Self::Run.recognised(&path.join(name), true)),
            Self::Overlap => has(&OVERLAP),
            Self::Pipeline => has(&PIPELINE),
            Self::Single => has(&SINGLE),
            Self::Table => has(&TABLE),
            Self::Data => has(&[SUMS]),
            Self::Own => true,
        }
    }

    /// Whether a command that writes this kind of folder writes a file of this name (relative to the
    /// folder) into it.
    pub fn writes(self, name: &Path) -> bool {
        let flat = |names: &[&str]| names.iter().any(|n| name == Path::new(n));
        let below = |folder: &str| name.strip_prefix(folder).ok();
        match self {
            Self::Run => {
                flat(&files::RUN)
                    || below("model").is_some_and(|inside| {
                        Self::Single.writes(inside) || Self::Pipeline.writes(inside)
                    })
                    || below(files::MINE).is_some_and(|picture| ends(picture, &["png"]))
            }
            Self::Demo => {
                let mut parts = name.components();
                parts.next();
                demo(name) && Self::Run.writes(parts.as_path())
            }
            Self::Overlap => flat(&OVERLAP),
            Self::Pictures => name.to_str().is_some_and(drawn),
            Self::Pipeline => flat(&files::PIPELINE),
            Self::Single => flat(&SINGLE),
            Self::Table => {
                flat(&TABLE)
                    || flat(&RENDERED)
                    || below("cells").is_some_and(|n| ends(n, &["json"]))
                    || below("models").is_some_and(|n| ends(n, &["safetensors", "state"]))
            }
            Self::Data => {
                flat(&[SUMS]) || ends(name, &["bin", "pth"]) && name.components().count() == 1
            }
            _ => false,
        }
    }
}

/// Whether the first part of a name is that of one of the demo's runs, `classify-salun`.
fn demo(name: &Path) -> bool {
    let first = name.components().next().and_then(|part| part.as_os_str().to_str());
    first.and_then(|first| first.rsplit_once('-')).is_some_and(|(task, mask)| {
        Task::ALL.iter().any(|t| t.name() == task) && ["salun", "random"].contains(&mask)
    })
}

/// Whether a name is one of a folder of drawn pictures: `001-bag-2.png`.
fn drawn(name: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let parts: Option<Vec<&str>> = name.strip_suffix(".png").map(|stem| stem.split('-').collect());
    parts.is_some_and(|p| p.len() > 2 && p[0].len() >= 3 && digits(p[0]) && digits(p[p.len() - 1]))
}

fn ends(name: &Path, endings: &[&str]) -> bool {
    name.extension().and_then(OsStr::to_str).is_some_and(|e| endings.contains(&e))
}

/// The names in a folder, in order.
fn entries(folder: &Path) -> Vec<String> {
    let all = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> =
        all.map(|e| e.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// What a folder holds, in a few words: "; it holds 3 runs (ft, rl, salun)".
fn held(folder: &Path) -> String {
    let names = entries(folder);
    let runs: Vec<&String> =
        names.iter().filter(|n| OutputKind::Run.recognised(&folder.join(n), true)).collect();
    let list = |names: &[&String]| {
        let first: Vec<_> = names.iter().take(3).map(|n| n.as_str()).collect();
        let more = names.len() - first.len();
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        format!("{}{more}", first.join(", "))
    };
    match runs.len() {
        0 => format!("; it holds {}", list(&names.iter().collect::<Vec<_>>())),
        1 => format!("; it holds a run ({})", runs[0]),
        n => format!("; it holds {n} runs ({})", list(&runs)),
    }
}

/// The first bytes of a file, at most so many.
fn head(path: &Path, most: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(most).read_to_end(&mut bytes));
    read.map(|_| bytes).unwrap_or_default()
}

fn starts(path: &Path, with: &[u8]) -> bool {
    head(path, with.len() as u64) == with
}

/// Whether a file is an archive as PyTorch writes it: its first entry is a pickle.
fn pickled(path: &Path) -> bool {
    let start = head(path, 1 << 10);
    let name = start.get(30..).unwrap_or_default();
    start.starts_with(ZIP) && name.windows(8).any(|w| w == b"data.pkl")
}

/// The number formats of a safetensors file's tensors.
fn formats(path: &Path) -> Option<Vec<String>> {
    let length = u64::from_le_bytes(*head(path, 8).first_chunk()?);
    if length > HEADER {
        return None;
    }
    let header: Value = serde_json::from_slice(head(path, 8 + length).get(8..)?).ok()?;
    let tensors = header.as_object()?.iter().filter(|(name, _)| *name != "__metadata__");
    tensors.map(|(_, t)| Some(t.get("dtype")?.as_str()?.to_string())).collect()
}

/// What a JSON file holds.
fn json(path: &Path) -> Option<Value> {
    let small = fs::metadata(path).is_ok_and(|m| m.is_file() && m.len() < HEADER);
    small.then(|| fs::read(path).ok())?.and_then(|bytes| serde_json::from_slice(&bytes).ok())
}

/// Whether a file is a JSON object with these fields.
fn fields(path: &Path, names: &[&str]) -> bool {
    json(path).is_some_and(|value| names.iter().all(|name| value.get(name).is_some()))
}

/// Whether a file's first line is one of a training log.
fn logged(path: &Path) -> bool {
    let start = head(path, 1 << 12);
    let line = start.split(|b| *b == b'\n').next().unwrap_or_default();
    serde_json::from_slice::<Value>(line).is_ok_and(|v| v.get("step").is_some())
}
