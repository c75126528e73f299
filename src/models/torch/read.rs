//! Weights out of a `.pth` file: a zip archive of a pickle and one entry for each storage.

use std::{cell::OnceCell, collections::HashMap, io::Cursor, path::Path};

use zip::{CompressionMethod, ZipArchive};

use super::old;
use crate::error::{Error, Result, ensure};
use crate::models::{Stored, Tensors};
use crate::pickle;
use crate::pickle::{Objects, Reason, TensorRef, Value};

/// Keys under which the field's checkpoints keep the weights beside other things, the likeliest first.
const WRAPPERS: [&str; 14] = [
    "state_dict",
    "model_state_dict",
    "model_state",
    "model",
    "net",
    "network",
    "weights",
    "params",
    "module",
    "model_ema",
    "ema",
    "params_ema",
    "state_dict_ema",
    "ema_state_dict",
];
/// Keys of an optimiser's tensors, which are none of the network's.
const OTHERS: [&str; 4] = ["optim", "scheduler", "scaler", "rng"];
/// Dictionaries within dictionaries that are looked into.
const LEVELS: usize = 3;
/// Most entries of an archive.
const ENTRIES: usize = 20_000;

/// How an archive begins.
const ARCHIVE: &[u8] = b"PK\x03\x04";

/// Whether these bytes are PyTorch's, by how they begin: an archive, or a pickle of its old format.
/// A safetensors file, whose length may begin like a pickle, goes on with a brace.
pub fn recognised(bytes: &[u8]) -> bool {
    let pickle = matches!(bytes, [0x80, 2..=5, ..]) && bytes.get(8) != Some(&b'{');
    bytes.starts_with(ARCHIVE) || pickle
}

/// The tensors of the file, each in place, and what a person should know of how they were found.
///
/// # Errors
/// The file is damaged, or holds no dictionary of tensors.
pub fn tensors<'a>(bytes: &'a [u8], path: &Path) -> Result<(Tensors<'a>, Vec<String>)> {
    if !bytes.starts_with(ARCHIVE) {
        return old::tensors(bytes).map_err(|reason| {
            let again = "is in PyTorch's format from before 2020 and cannot be read; load it there and \
                         save it again: torch.save(torch.load(FILE), FILE)";
            Error::file(path, format!("{again} ({reason})"))
        });
    }
    collect(bytes).map_err(|reason| Error::file(path, format!("PyTorch file: {reason}")))
}

fn collect(bytes: &[u8]) -> std::result::Result<(Tensors<'_>, Vec<String>), Reason> {
    let entries = entries(bytes)?;
    let (root, pickle) = entries
        .iter()
        .find_map(|(name, entry)| Some((name.strip_suffix("data.pkl")?, entry)))
        .ok_or("it has no data.pkl; is it a state dictionary?")?;
    let (objects, result) = pickle::run(pickle.checked()?, pickle::MOST)?;
    let (dict, notes) = state(&objects, result)?;
    let mut tensors = Tensors::default();
    for (name, value) in &objects.dicts[dict] {
        // Counters and settings beside the weights are nobody's business.
        if let (Value::Text(name), Value::Tensor(i)) = (name, value) {
            let tensor = &objects.tensors[*i];
            let key = format!("{root}data/{}", tensor.storage.key);
            let entry = entries.get(&*key).ok_or_else(|| format!("entry {key} is missing"))?;
            tensors.0.insert(name.to_string(), stored(tensor, entry)?);
        }
    }
    Ok((tensors, notes))
}

/// The dictionary of tensors, by its place: the result itself, or one within it; of several the one
/// under the likeliest key, and which.
///
/// # Errors
/// There is none; the reason as a text.
pub fn state(
    objects: &Objects,
    result: Value,
) -> std::result::Result<(usize, Vec<String>), Reason> {
    const SAVE: &str = "save model.state_dict()";
    let root = match result {
        Value::Dict(dict) => dict,
        Value::Thing(thing) => {
            let name = named(objects, thing);
            return Err(format!(
                "it holds a whole '{name}' and no dictionary of tensors; nothing of it was run; {SAVE}"
            ));
        }
        Value::List(list) => {
            let no_weights = || format!("it holds a list and no dictionary of tensors; {SAVE}");
            return listed(objects, &objects.lists[list]).ok_or_else(no_weights);
        }
        _ => return Err(format!("it holds no dictionary of tensors; {SAVE}")),
    };
    let rank = |path: &str| {
        let last = path.rsplit('.').next().unwrap_or(path);
        WRAPPERS.iter().position(|key| *key == last).unwrap_or(WRAPPERS.len())
    };
    // The dictionaries within one another, level by level; their keys are their path.
    let mut level = vec![(root, String::new())];
    for _ in 0..=LEVELS {
        let mut found: Vec<_> = level.iter().filter(|(dict, _)| layers(objects, *dict)).collect();
        found.sort_by_key(|(_, path)| rank(path));
        if let Some((dict, path)) = found.first() {
            let all: Vec<&str> = found.iter().map(|(_, path)| path.as_str()).collect();
            let note =
                format!("it holds weights under {}; those under {path} are taken", all.join(", "));
            return Ok((*dict, (all.len() > 1).then_some(note).into_iter().collect()));
        }
        let mut next: Vec<(usize, String)> = Vec::new();
        for (dict, path) in &level {
            for (key, value) in &objects.dicts[*dict] {
                let (Value::Text(key), Value::Dict(inner)) = (key, value) else { continue };
                let known = next.iter().any(|(other, _)| other == inner);
                if !known && !OTHERS.iter().any(|other| key.to_lowercase().contains(other)) {
                    let path = if path.is_empty() { String::new() } else { format!("{path}.") };
                    next.push((*inner, format!("{path}{}", short(key))));
                }
            }
        }
        level = next;
    }
    if objects.dicts[root].iter().any(|(_, value)| matches!(value, Value::Tensor(_))) {
        return Ok((root, Vec::new()));
    }
    let module = objects.dicts[root].iter().find_map(|(key, value)| match (key, value) {
        (Value::Text(key), Value::Thing(thing)) if WRAPPERS.contains(key) => Some((key, *thing)),
        _ => None,
    });
    Err(match module {
        Some((key, thing)) => {
            let name = named(objects, thing);
            format!("under '{key}' it holds a whole '{name}' and no dictionary of tensors; {SAVE}")
        }
        None => format!(
            "it holds no tensors, neither at the top nor under a key such as {}; {SAVE}",
            WRAPPERS[..4].join(", ")
        ),
    })
}

/// Whether a dictionary has names of layers; a tensor beside the weights, such as a generator's state, is called
/// by a word.
fn layers(objects: &Objects, dict: usize) -> bool {
    let layer = |(key, value): &(Value, Value)| matches!((key, value), (Value::Text(key), Value::Tensor(_)) if key.contains('.'));
    objects.dicts[dict].iter().any(layer)
}

/// The weights in a list as the official DDPM code saves it, [model, optimiser, step, average]: the average,
/// which that code samples with, or the model's own where it kept none.
fn listed(objects: &Objects, list: &[Value]) -> Option<(usize, Vec<String>)> {
    let weights = |value: &Value| match value {
        Value::Dict(dict) => Some(*dict).filter(|dict| layers(objects, *dict)),
        _ => None,
    };
    let model = weights(list.first()?)?;
    let average = list.get(3..).and_then(<[Value]>::last).and_then(weights);
    let taken = match average {
        Some(_) => {
            "the average of the weights, its last entry, is taken, as that code does to sample"
        }
        None => "it has no average of the weights; the model's own, its first entry, are taken",
    };
    let n = list.len();
    let note = format!("it is a list of {n}, as the official DDPM code saves one; {taken}");
    Some((average.unwrap_or(model), vec![note]))
}

/// What a thing is of, for a person.
fn named(objects: &Objects, thing: usize) -> String {
    let thing = objects.things[thing];
    short(&format!("{}.{}", thing.module, thing.name))
}

fn short(text: &str) -> String {
    text.escape_default().take(80).collect()
}

/// The bytes of an entry and the checksum that they should have.
struct Entry<'a> {
    name: String,
    data: &'a [u8],
    crc32: u32,
    /// Tensors may share an entry, and it is looked at once.
    whole: OnceCell<bool>,
}

impl<'a> Entry<'a> {
    fn checked(&self) -> std::result::Result<&'a [u8], Reason> {
        let whole = *self.whole.get_or_init(|| crc32fast::hash(self.data) == self.crc32);
        ensure(whole, || format!("entry {} is damaged: its checksum differs", self.name))?;
        Ok(self.data)
    }
}

/// The entries of the archive, in place: PyTorch stores them as they are, and nothing is unpacked.
fn entries(bytes: &[u8]) -> std::result::Result<HashMap<String, Entry<'_>>, Reason> {
    let whole = |e| format!("it is not a whole archive ({e})");
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(whole)?;
    ensure(archive.len() <= ENTRIES, || format!("it has {} entries", archive.len()))?;
    let mut entries = HashMap::new();
    for i in 0..archive.len() {
        let file = archive.by_index_raw(i).map_err(whole)?;
        let name: String = file.name().map_err(whole)?.chars().take(200).collect();
        let plain = file.compression() == CompressionMethod::Stored && !file.encrypted();
        ensure(plain, || format!("entry {name} is packed; PyTorch stores entries as they are"))?;
        let start = file.data_start().ok_or("an entry has no place")? as usize;
        let end = start.checked_add(file.size() as usize).filter(|end| *end <= bytes.len());
        let data = bytes.get(start..end.unwrap_or(0)).ok_or_else(|| {
            format!("entry {name} claims {} bytes, more than there are", file.size())
        })?;
        let (crc32, whole) = (file.crc32(), OnceCell::new());
        let entry = Entry { name: name.clone(), data, crc32, whole };
        if entries.insert(name, entry).is_some() {
            return Err("it has two entries of one name".into());
        }
    }
    Ok(entries)
}

fn stored<'a>(tensor: &TensorRef, entry: &Entry<'a>) -> std::result::Result<Stored<'a>, Reason> {
    let TensorRef { storage, offset, shape, strides } = tensor;
    let (name, has, n, size) = (&entry.name, entry.data.len(), storage.n, storage.kind.size());
    let other = || format!("entry {name} has {has} bytes for {n} numbers of {size}");
    ensure(n.checked_mul(size) == Some(has), other)?;
    let (format, shape, strides) = (storage.kind, shape.clone(), strides.clone());
    Ok(Stored { data: entry.checked()?, format, offset: *offset, shape, strides })
}
