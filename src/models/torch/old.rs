//! Weights out of a `.pth` file as PyTorch wrote them before 1.6: pickles one after another (two numbers, how the
//! machine counts, the objects, the storages in order), then each storage's length and bytes.

use std::collections::HashMap;

use super::read::state;
use crate::error::ensure;
use crate::models::{Stored, Tensors};
use crate::pickle;
use crate::pickle::{Reason, TensorRef, Value};

/// The pickles of the number that names the format, and of the protocol's.
const START: &[u8] = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.";

/// The tensors of such a file, each in place, and what a person should know of how they were found.
///
/// # Errors
/// It is damaged, or holds no dictionary of tensors; the reason as a text.
pub fn tensors(bytes: &[u8]) -> Result<(Tensors<'_>, Vec<String>), Reason> {
    let rest = bytes.strip_prefix(START).ok_or("it does not begin as such a file does")?;
    let (_, _, rest) = pickle::first(rest, pickle::MOST)?;
    let (objects, result, rest) = pickle::first(rest, pickle::MOST)?;
    let (listed, keys, mut rest) = pickle::first(rest, pickle::MOST)?;
    let Value::List(keys) = keys else { return Err("it does not list its storages".into()) };
    let sizes: HashMap<&str, usize> =
        objects.storages.iter().map(|s| (s.key, s.kind.size())).collect();
    let mut storages = HashMap::new();
    for key in &listed.lists[keys] {
        let Value::Text(key) = key else { return Err("a storage's name is no text".into()) };
        let size = sizes.get(key).ok_or("it lists a storage that no tensor is in")?;
        let cut = || format!("storage {key} is cut off");
        let (length, after) = rest.split_first_chunk().ok_or_else(cut)?;
        let n = usize::try_from(i64::from_le_bytes(*length)).map_err(|_| cut())?;
        let (data, after) = n
            .checked_mul(*size)
            .and_then(|length| after.split_at_checked(length))
            .ok_or_else(cut)?;
        storages.insert(*key, (n, data));
        rest = after;
    }
    let (dict, notes) = state(&objects, result)?;
    let mut tensors = Tensors::default();
    for (name, value) in &objects.dicts[dict] {
        if let (Value::Text(name), Value::Tensor(i)) = (name, value) {
            let TensorRef { storage, offset, shape, strides } = &objects.tensors[*i];
            let (n, data) = storages
                .get(storage.key)
                .copied()
                .ok_or_else(|| format!("storage {} is missing", storage.key))?;
            let other = || format!("storage {} has {n} numbers, not {}", storage.key, storage.n);
            ensure(n == storage.n, other)?;
            let (format, shape, strides) = (storage.kind, shape.clone(), strides.clone());
            let tensor = Stored { data, format, offset: *offset, shape, strides };
            tensors.0.insert((*name).to_string(), tensor);
        }
    }
    Ok((tensors, notes))
}
