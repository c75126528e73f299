//! CIFAR as torchvision keeps it: pickles of Python 2 with a NumPy array, made into the records of the
//! official binary release.

use crate::data::records::SHAPE;
use crate::error::ensure;
use crate::pickle;
use crate::pickle::{Objects, Value};

/// Opcodes of a file: CIFAR-100's 50,000 pictures have two labels and a name each.
const MOST: usize = 1_000_000;

/// What the Python release calls a file of the binary one, `data_batch_1` for `data_batch_1.bin`.
pub fn name_of(binary: &str) -> &str {
    binary.strip_suffix(".bin").unwrap_or(binary)
}

/// The records in a file: `each` labels, of CIFAR-100 two, and the picture.
///
/// # Errors
/// It is no such file; the reason as a text.
pub fn records(bytes: &[u8], each: usize) -> Result<Vec<u8>, String> {
    let (objects, result) = pickle::run(bytes, MOST)?;
    let Value::Dict(dict) = result else { return Err("it holds no dictionary".into()) };
    let entry = |name: &str| {
        let named = |key: &Value| match key {
            Value::Text(key) => *key == name,
            Value::Bytes(key) => *key == name.as_bytes(),
            _ => false,
        };
        let found = objects.dicts[dict].iter().find(|(key, _)| named(key));
        found.map(|(_, value)| *value).ok_or_else(|| format!("it has no '{name}'"))
    };
    let data = array(&objects, entry("data")?)?;
    let names: &[&str] = if each == 2 { &["coarse_labels", "fine_labels"] } else { &["labels"] };
    let labels =
        names.iter().map(|name| labels(&objects, entry(name)?)).collect::<Result<Vec<_>, _>>()?;
    let size = SHAPE.n();
    let n = data.len() / size;
    let as_many = data.len() % size == 0 && labels.iter().all(|labels| labels.len() == n);
    ensure(as_many, || "its pictures and labels are not as many")?;
    let mut records = Vec::with_capacity(n * (size + labels.len()));
    for (i, picture) in data.chunks_exact(size).enumerate() {
        records.extend(labels.iter().map(|labels| labels[i]));
        records.extend(picture);
    }
    Ok(records)
}

/// The bytes of a NumPy array of bytes: the last of the five parts of its state.
fn array<'a>(objects: &Objects<'a>, value: Value<'a>) -> Result<&'a [u8], String> {
    let wrong = || "its 'data' is no array of bytes".to_string();
    let Value::Thing(thing) = value else { return Err(wrong()) };
    let Some(Value::List(state)) = objects.things[thing].state else { return Err(wrong()) };
    match objects.lists[state].last() {
        Some(Value::Bytes(bytes)) => Ok(bytes),
        _ => Err(wrong()),
    }
}

fn labels(objects: &Objects, value: Value) -> Result<Vec<u8>, String> {
    let Value::List(list) = value else { return Err("its labels are no list".into()) };
    let label = |value: &Value| match value {
        Value::Int(n) => u8::try_from(*n).map_err(|_| format!("{n} is no label")),
        _ => Err("a label is no number".into()),
    };
    objects.lists[list].iter().map(label).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two pictures as Python 2 and NumPy pickled them.
    fn pickled(labels: &[u8], n: u16, data: &[u8]) -> Vec<u8> {
        let mut p =
            b"\x80\x02}(U\x04datacnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n".to_vec();
        p.extend(b"K\x00\x85U\x01b\x87R(K\x01M");
        p.extend(n.to_le_bytes());
        p.extend(b"M\x00\x0c\x86cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R\x89T");
        p.extend((data.len() as u32).to_le_bytes());
        p.extend(data);
        p.extend(b"tbU\x06labels](");
        labels.iter().for_each(|label| p.extend([b'K', *label]));
        p.extend(b"eu.");
        p
    }

    #[test]
    fn pythons_batches_become_the_binary_releases_records() {
        let data: Vec<u8> = (0..2 * 3072u32).map(|i| (i % 251) as u8).collect();
        let all = records(&pickled(&[3, 7], 2, &data), 1).unwrap();
        assert_eq!((all.len(), all[0], all[3073]), (2 * 3073, 3, 7));
        assert_eq!([&all[1..3073], &all[3074..]].concat(), data);
        assert!(records(&pickled(&[3], 2, &data), 1).unwrap_err().contains("not as many"));
        assert!(records(&pickled(&[3, 7], 2, &data[1..]), 1).is_err());
        assert!(records(b"\x80\x02}.", 1).unwrap_err().contains("has no 'data'"));
    }
}
