//! A list of pictures in a file: indices as text, CSV, JSON or NumPy's array, or names of files.

use std::path::Path;

use serde_json::Value;

use crate::error;
use crate::error::{Error, ensure};

/// What a list holds.
#[derive(Debug, PartialEq)]
pub enum Listed {
    Indices(Vec<usize>),
    /// As [`super::Dataset::names`] has them.
    Names(Vec<String>),
}

/// Reads a list: numbers or names divided by white space, commas or lines, with or without a header; a JSON
/// list; a `.npy` of one axis. In UTF-8 or UTF-16, with or without a byte order mark.
///
/// # Errors
/// The file cannot be read, or an entry is neither an index nor a name.
pub fn read(path: &Path) -> error::Result<Listed> {
    let bytes = crate::disk::read(path)?;
    parse(&bytes).map_err(|reason| Error::file(path, reason))
}

fn parse(bytes: &[u8]) -> Result<Listed, String> {
    if bytes.starts_with(b"\x93NUMPY") {
        return array(bytes).map(Listed::Indices);
    }
    let text = text(bytes).ok_or("is not text")?;
    let text = text.trim();
    if text.starts_with('[') {
        let values: Vec<Value> =
            serde_json::from_str(text).map_err(|e| format!("is no list ({e})"))?;
        let words = values.iter().map(|value| match value {
            Value::String(name) => Ok(name.clone()),
            Value::Number(n) => Ok(n.to_string()),
            other => Err(format!("'{}' is not an index", short(&other.to_string()))),
        });
        return of(&words.collect::<Result<Vec<_>, _>>()?);
    }
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect();
    // Names may have spaces in them; a line is one then.
    if lines.iter().any(|line| line.contains('/')) {
        return Ok(Listed::Names(lines.iter().map(|line| line.to_string()).collect()));
    }
    let words = |line: &str| -> Vec<String> {
        let words = line.split(|c: char| c.is_whitespace() || [',', ';'].contains(&c));
        words.filter(|word| !word.is_empty()).map(str::to_string).collect()
    };
    let head = lines.first().copied().unwrap_or_default();
    let headed = lines.len() > 1 && words(head).iter().all(|word| index(word).is_none());
    if !headed {
        return of(&lines.iter().flat_map(|line| words(line)).collect::<Vec<_>>());
    }
    // A header names columns; the one of indices is taken, or the only one. Cells may be empty.
    let between = [',', ';', '\t'].into_iter().find(|c| head.contains(*c)).unwrap_or('\n');
    let cells = |line: &str| -> Vec<String> {
        line.split(between).map(|cell| cell.trim().trim_matches('"').to_string()).collect()
    };
    let names = cells(head);
    let known = ["index", "indices", "idx", "id", "item"];
    let at = names.iter().position(|name| known.contains(&name.to_lowercase().as_str()));
    let at = match (at, names.len()) {
        (Some(at), _) => at,
        (None, 1) => 0,
        (None, _) => {
            let columns = short(&names.join(", "));
            return Err(format!("has the columns {columns}; one called index is needed"));
        }
    };
    let few = || "has a line with too few columns".to_string();
    let cell = |line: &&str| cells(line).get(at).cloned().ok_or_else(few);
    of(&lines[1..].iter().map(cell).collect::<Result<Vec<_>, _>>()?)
}

fn of(words: &[String]) -> Result<Listed, String> {
    if words.iter().any(|word| word.contains('/')) {
        return Ok(Listed::Names(words.to_vec()));
    }
    let number =
        |word: &String| index(word).ok_or_else(|| format!("'{}' is not an index", short(word)));
    words.iter().map(number).collect::<Result<_, _>>().map(Listed::Indices)
}

/// `5`, and `5.000e+00` as `numpy.savetxt` writes it.
fn index(word: &str) -> Option<usize> {
    word.parse().ok().or_else(|| {
        let n = word.parse::<f64>().ok()?;
        (n.fract() == 0.0 && (0.0..1e15).contains(&n)).then_some(n as usize)
    })
}

fn short(word: &str) -> String {
    word.escape_default().take(20).collect()
}

/// Text in UTF-8, or in UTF-16 with a mark that says so.
pub fn text(bytes: &[u8]) -> Option<String> {
    let wide = |of: fn([u8; 2]) -> u16, bytes: &[u8]| {
        let units: Vec<u16> = bytes.as_chunks().0.iter().map(|unit| of(*unit)).collect();
        String::from_utf16(&units).ok()
    };
    match bytes {
        [0xff, 0xfe, rest @ ..] => wide(u16::from_le_bytes, rest),
        [0xfe, 0xff, rest @ ..] => wide(u16::from_be_bytes, rest),
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8(rest.to_vec()).ok(),
        all => String::from_utf8(all.to_vec()).ok(),
    }
}

/// The whole numbers of NumPy's format, versions 1 to 3, little-endian.
fn array(bytes: &[u8]) -> Result<Vec<usize>, String> {
    let damaged = || "is a damaged .npy".to_string();
    // Its header's length is of two bytes, since version 2 of four.
    let start = if bytes.get(6).is_some_and(|major| *major > 1) { 12 } else { 10 };
    let length = bytes.get(8..start).ok_or_else(damaged)?;
    let length = length.iter().rev().fold(0, |n, byte| n << 8 | usize::from(*byte));
    let header = bytes.get(start..).and_then(|b| b.get(..length)).ok_or_else(damaged)?;
    let header = String::from_utf8_lossy(header);
    let data = &bytes[start + length..];
    let after =
        |key: &str| header.split_once(key).map(|(_, rest)| rest.trim_start_matches([':', ' ']));
    let kind = after("'descr'").unwrap_or_default();
    let kind = kind.trim_start_matches('\'').split('\'').next().unwrap_or_default();
    let axes =
        after("'shape'").and_then(|s| s.strip_prefix('(')?.split(')').next()).unwrap_or_default();
    let one = axes.split(',').filter(|axis| !axis.trim().is_empty()).count() == 1;
    ensure(one, || format!("has the shape ({axes}); a list of one axis is needed"))?;
    let size = kind.get(2..).and_then(|n| n.parse::<usize>().ok()).unwrap_or(1);
    let n = axes.trim().trim_end_matches(',').parse::<usize>().ok();
    ensure(n.and_then(|n| n.checked_mul(size)) == Some(data.len()), damaged)?;
    match kind {
        "<i8" => numbers(data, i64::from_le_bytes),
        "<i4" => numbers(data, i32::from_le_bytes),
        "<u8" => numbers(data, u64::from_le_bytes),
        "<u4" => numbers(data, u32::from_le_bytes),
        "<f8" => numbers(data, f64::from_le_bytes),
        "|b1" => Ok((0..data.len()).filter(|i| data[*i] != 0).collect()),
        other => {
            Err(format!("holds numbers of the kind '{}'; whole ones are needed", short(other)))
        }
    }
}

/// Numbers of `N` bytes, each an index.
fn numbers<T: ToString, const N: usize>(
    data: &[u8],
    of: fn([u8; N]) -> T,
) -> Result<Vec<usize>, String> {
    let number = |bytes: &[u8; N]| {
        let n = of(*bytes).to_string();
        index(&n).ok_or_else(|| format!("{n} is not an index"))
    };
    data.as_chunks().0.iter().map(number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn npy(kind: &str, shape: &str, data: &[u8]) -> Vec<u8> {
        let head = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': ({shape}), }}\n");
        let length = (head.len() as u16).to_le_bytes();
        [&b"\x93NUMPY\x01\x00"[..], &length, head.as_bytes(), data].concat()
    }

    #[test]
    fn lists_are_read_in_the_forms_that_people_have_them() {
        let wide = |text: &str, of: fn(u16) -> [u8; 2], mark: [u8; 2]| {
            [mark.to_vec(), text.encode_utf16().flat_map(of).collect()].concat()
        };
        let integers: Vec<u8> = [3i64, 17].iter().flat_map(|n| n.to_le_bytes()).collect();
        let reals: Vec<u8> = [3f64, 17.0].iter().flat_map(|n| n.to_le_bytes()).collect();
        for bytes in [
            b"3 17".to_vec(),
            b"3\r\n17\r\n".to_vec(),
            b"\xef\xbb\xbf3,17".to_vec(),
            b"# of mine\n3\n17\n".to_vec(),
            b"index\n3\n17\n".to_vec(),
            b"name,index\ncat,3\ndog,17\n".to_vec(),
            b"name,index\nimg 5,3\nimg 6,17\n".to_vec(),
            b",idx\n0,3\n1,17\n".to_vec(),
            b"# in a/folder\n3\n17\n".to_vec(),
            b"[3, 17]".to_vec(),
            b"3.000000000000000000e+00\n1.700000000000000000e+01\n".to_vec(),
            wide("3\n17", u16::to_le_bytes, [0xff, 0xfe]),
            wide("3\n17", u16::to_be_bytes, [0xfe, 0xff]),
            npy("<i8", "2,", &integers),
            npy("<f8", "2,", &reals),
            npy("|b1", "18,", &[&[0; 3][..], &[1], &[0; 13], &[1]].concat()),
        ] {
            assert_eq!(
                parse(&bytes),
                Ok(Listed::Indices(vec![3, 17])),
                "{:?}",
                String::from_utf8_lossy(&bytes)
            );
        }
        let names = Listed::Names(vec!["a cat/1.png".into(), "b/2.png".into()]);
        assert_eq!(parse(b"a cat/1.png\nb/2.png\n"), Ok(names));
        for (bytes, words) in [
            (b"3 x".to_vec(), "'x' is not an index"),
            (b"-1".to_vec(), "'-1' is not an index"),
            (b"a,b\n1,2\n".to_vec(), "one called index"),
            (b"[true]".to_vec(), "not an index"),
            (b"\xff\x00\xff".to_vec(), "is not text"),
            (npy("<i8", "1, 2", &integers), "one axis"),
            (npy("<c16", "1,", &integers), "kind"),
            (npy("<i8", "3,", &integers), "damaged"),
            (b"\x93NUMPY\x01\x00\xff".to_vec(), "damaged"),
        ] {
            assert!(parse(&bytes).unwrap_err().contains(words), "{words}");
        }
    }
}
