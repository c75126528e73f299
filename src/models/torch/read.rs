//! Weights out of a `.pth` file: a zip archive of a pickle and one entry for each storage.

use std::{cell::OnceCell, collections::HashMap, io::Cursor, path::Path};

use zip::{CompressionMethod, ZipArchive};

use super::pickle::{self, Kind, Objects, Reason, TensorRef, Value};
use crate::{
    error::{Error, Result},
    models::tensors::{Format, Stored, Tensors},
};

/// Keys under which the field's checkpoints keep the weights beside other things.
const WRAPPERS: [&str; 5] = ["state_dict", "model_state_dict", "model", "net", "weights"];
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

/// The tensors of the file, each in place.
///
/// # Errors
/// The file is of the old format, damaged, or asks for anything but tensors.
pub fn tensors<'a>(bytes: &'a [u8], path: &Path) -> Result<Tensors<'a>> {
    if !bytes.starts_with(ARCHIVE) {
        let again = "is in PyTorch's format from before 2020; load it there and save it again: \
                     torch.save(torch.load(FILE), FILE)";
        return Err(Error::file(path, again));
    }
    collect(bytes).map_err(|reason| Error::file(path, format!("PyTorch file: {reason}")))
}

fn collect(bytes: &[u8]) -> std::result::Result<Tensors<'_>, Reason> {
    let entries = entries(bytes)?;
    let (root, pickle) = entries
        .iter()
        .find_map(|(name, entry)| Some((name.strip_suffix("data.pkl")?, entry)))
        .ok_or("it has no data.pkl; is it a state dictionary?")?;
    let (objects, result) = pickle::run(pickle.checked()?)?;
    let dict = state(&objects, result)?;
    let mut tensors = Tensors::default();
    for (name, value) in dict {
        // Counters and settings beside the weights are nobody's business.
        if let (Value::Text(name), Value::Tensor(i)) = (name, value) {
            let tensor = &objects.tensors[*i];
            let key = format!("{root}data/{}", tensor.storage.key);
            let entry = entries.get(&*key).ok_or_else(|| format!("entry {key} is missing"))?;
            tensors.insert(name, stored(tensor, entry)?);
        }
    }
    Ok(tensors)
}

/// The dictionary of tensors: the result itself, or what it has under one of a few keys.
fn state<'o, 'a>(
    objects: &'o Objects<'a>,
    result: Value<'a>,
) -> std::result::Result<&'o [(Value<'a>, Value<'a>)], Reason> {
    let Value::Dict(dict) = result else {
        return Err("it holds no dictionary of tensors; save model.state_dict()".into());
    };
    let dict = &objects.dicts[dict];
    if dict.iter().any(|(_, v)| matches!(v, Value::Tensor(_))) {
        return Ok(dict);
    }
    let inner = WRAPPERS.iter().find_map(|key| {
        let found = dict.iter().find(|(k, _)| *k == Value::Text(key));
        found.and_then(|(_, v)| if let Value::Dict(inner) = v { Some(*inner) } else { None })
    });
    inner.map(|i| &*objects.dicts[i]).ok_or_else(|| {
        format!("it holds no tensors, neither at the top nor under {}", WRAPPERS.join(", "))
    })
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
        if *self.whole.get_or_init(|| crc32fast::hash(self.data) == self.crc32) {
            Ok(self.data)
        } else {
            Err(format!("entry {} is damaged: its checksum differs", self.name))
        }
    }
}

/// The entries of the archive, in place: PyTorch stores them as they are, and nothing is unpacked.
fn entries(bytes: &[u8]) -> std::result::Result<HashMap<String, Entry<'_>>, Reason> {
    let whole = |e| format!("it is not a whole archive ({e})");
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(whole)?;
    if archive.len() > ENTRIES {
        return Err(format!("it has {} entries", archive.len()));
    }
    let mut entries = HashMap::new();
    for i in 0..archive.len() {
        let file = archive.by_index_raw(i).map_err(whole)?;
        let name: String = file.name().map_err(whole)?.chars().take(200).collect();
        if file.compression() != CompressionMethod::Stored || file.encrypted() {
            return Err(format!("entry {name} is packed; PyTorch stores entries as they are"));
        }
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
    let format = match storage.kind {
        Kind::F16 => Format::F16,
        Kind::BF16 => Format::BF16,
        Kind::F32 => Format::F32,
        Kind::F64 => Format::F64,
        Kind::Int(_) => Format::Other,
    };
    if storage.n.checked_mul(storage.kind.size()) != Some(entry.data.len()) {
        return Err(format!(
            "entry {} has {} bytes for {} numbers of {}",
            entry.name,
            entry.data.len(),
            storage.n,
            storage.kind.size()
        ));
    }
    let (shape, strides) = (shape.clone(), strides.clone());
    Ok(Stored { data: entry.checked()?, format, offset: *offset, shape, strides })
}
