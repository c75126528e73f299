//! Named tensors where they lie in a file's bytes, whatever the file's format is.

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
};

use half::slice::HalfFloatSliceExt;
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use super::torch;
use crate::error::{Error, ensure};
pub use crate::pickle::Format;

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str(match self {
            Self::F16 => "F16",
            Self::BF16 => "BF16",
            Self::F32 => "F32",
            Self::F64 => "F64",
            Self::Whole(_) | Self::Other => "other than F16, BF16, F32 and F64",
        })
    }
}

impl Format {
    /// As safetensors calls it.
    pub fn of(dtype: Dtype) -> Self {
        match dtype {
            Dtype::F16 => Self::F16,
            Dtype::BF16 => Self::BF16,
            Dtype::F32 => Self::F32,
            Dtype::F64 => Self::F64,
            _ => Self::Other,
        }
    }

    /// Adds numbers that follow one another.
    fn append(self, bytes: &[u8], flat: &mut Vec<f32>) {
        match self {
            Self::F16 => {
                // Many at a time, for which processors have an instruction.
                let halves: Vec<_> = numbers(bytes, half::f16::from_le_bytes).collect();
                let start = flat.len();
                flat.resize(start + halves.len(), 0.0);
                halves.convert_to_f32_slice(&mut flat[start..]);
            }
            Self::BF16 => flat.extend(numbers(bytes, half::bf16::from_le_bytes).map(f32::from)),
            Self::F32 => flat.extend(numbers(bytes, f32::from_le_bytes)),
            Self::F64 => flat.extend(numbers(bytes, f64::from_le_bytes).map(|v| v as f32)),
            Self::Whole(_) | Self::Other => {}
        }
    }
}

/// Numbers of `N` bytes that follow one another.
fn numbers<T, const N: usize>(bytes: &[u8], of: fn([u8; N]) -> T) -> impl Iterator<Item = T> {
    bytes.as_chunks().0.iter().map(move |bytes| of(*bytes))
}

/// Numbers between neighbours along each axis where all follow one another.
fn following(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1usize; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis].saturating_mul(shape[axis]);
    }
    strides
}

/// A tensor in a file: a view of some bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored<'a> {
    pub data: &'a [u8],
    pub format: Format,
    /// Numbers before the first one.
    pub offset: usize,
    pub shape: Vec<usize>,
    /// Numbers between neighbours along each axis.
    pub strides: Vec<usize>,
}

impl<'a> Stored<'a> {
    /// A tensor of a safetensors file.
    pub fn of(view: &TensorView<'a>) -> Self {
        Self::plain(view.data(), Format::of(view.dtype()), view.shape().to_vec())
    }

    /// A tensor whose numbers follow one another.
    pub fn plain(data: &'a [u8], format: Format, shape: Vec<usize>) -> Self {
        let strides = following(&shape);
        Self { data, format, offset: 0, shape, strides }
    }

    /// Adds the values to `flat` in the order of the axes; nothing if a number is not there.
    pub fn append_to(&self, flat: &mut Vec<f32>) -> Option<()> {
        if matches!(self.format, Format::Whole(_) | Format::Other) {
            return None;
        }
        if self.shape.contains(&0) {
            return Some(());
        }
        let size = self.format.size();
        if self.strides == following(&self.shape) {
            self.format.append(self.bytes()?, flat);
            return Some(());
        }
        let (mut place, mut numbers) = (vec![0; self.shape.len()], Vec::new());
        loop {
            let ahead: usize = place.iter().zip(&self.strides).map(|(p, s)| p * s).sum();
            let at = self.offset.checked_add(ahead)?.checked_mul(size)?;
            numbers.extend(self.data.get(at..)?.get(..size)?);
            // The next place: the last axis goes fastest.
            let axis = (0..place.len()).rev().find(|&a| place[a] + 1 < self.shape[a]);
            let Some(axis) = axis else { break };
            place[axis] += 1;
            place[axis + 1..].fill(0);
        }
        self.format.append(&numbers, flat);
        Some(())
    }

    /// The numbers' bytes where they follow one another; nothing where they do not, or one is not there.
    pub fn bytes(&self) -> Option<&'a [u8]> {
        let size = self.format.size();
        let n = self.shape.iter().try_fold(size, |n, &axis| n.checked_mul(axis))?;
        let follow = self.strides == following(&self.shape) || n == 0;
        self.data.get(self.offset.checked_mul(size)?..)?.get(..n).filter(|_| follow)
    }

    /// The values in the order of the axes; nothing if a number is not there.
    pub fn values(&self) -> Option<Vec<f32>> {
        let mut values = Vec::new();
        self.append_to(&mut values)?;
        Some(values)
    }

    /// The values of a tensor that has one shape and is to have another.
    ///
    /// # Errors
    /// The shapes differ, the number format is none of floats, or a value is not finite; as a message has it.
    pub fn of_shape(&self, has: &[usize], expected: &[usize]) -> Result<Vec<f32>, String> {
        ensure(has == expected, || format!("has shape {:?}, expected {expected:?}", self.shape))?;
        let floats = self.values().ok_or_else(|| format!("has number format {}", self.format))?;
        finite(&floats)?;
        Ok(floats)
    }

    /// The values as bits, where all are 0 or 1, whole numbers or not.
    pub fn ones(&self) -> Option<Vec<u8>> {
        let bit = |is: [bool; 2]| match is {
            [true, _] => Some(0),
            [_, true] => Some(1),
            _ => None,
        };
        let Format::Whole(size) = self.format else {
            return self.values()?.into_iter().map(|v| bit([v == 0.0, v == 1.0])).collect();
        };
        let bytes = self.bytes()?;
        // Little-endian: the last bytes of a 1 are 0.
        let zero = |bytes: &[u8]| bytes.iter().all(|b| *b == 0);
        let number = |b: &[u8]| bit([zero(b), b[0] == 1 && zero(&b[1..])]);
        bytes.chunks_exact(size.max(1)).map(number).collect()
    }
}

/// Refuses a value that is not finite.
///
/// # Errors
/// There is one; as a message has it.
pub fn finite(values: &[f32]) -> Result<(), String> {
    let bad = values.iter().position(|v| !v.is_finite());
    bad.map_or(Ok(()), |at| Err(format!("value {at} is not a finite number")))
}

/// Tensors by name.
#[derive(Debug, Clone, Default)]
pub struct Tensors<'a>(pub BTreeMap<String, Stored<'a>>);

/// What a file says besides its tensors.
#[derive(Debug, Default)]
pub struct About {
    /// Of a safetensors file.
    pub metadata: HashMap<String, String>,
    /// What a person should know of how the tensors were found.
    pub notes: Vec<String>,
}

impl<'a> Tensors<'a> {
    /// The tensors of a file in place, safetensors or PyTorch's. `path` is for messages only.
    ///
    /// # Errors
    /// The file is damaged, or holds no tensors.
    pub fn read(bytes: &'a [u8], path: &Path) -> Result<(Self, About), Error> {
        if torch::read::recognised(bytes) {
            let (tensors, notes) = torch::read::tensors(bytes, path)?;
            return Ok((tensors, About { notes, ..About::default() }));
        }
        let whole = |e| Error::file(path, format!("not a whole safetensors file ({e})"));
        let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(whole)?;
        let metadata = metadata.metadata().clone().unwrap_or_default();
        let file = SafeTensors::deserialize(bytes).map_err(whole)?;
        let tensors = file.iter().map(|(name, view)| (name.to_string(), Stored::of(&view)));
        Ok((Self(tensors.collect()), About { metadata, ..About::default() }))
    }

    /// A tensor by name.
    pub fn get(&self, name: &str) -> Option<&Stored<'a>> {
        self.0.get(name)
    }

    /// The shape of a tensor with so many axes.
    pub fn shape<const D: usize>(&self, name: &str) -> Option<[usize; D]> {
        self.get(name)?.shape.as_slice().try_into().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_is_read_along_its_strides_and_within_its_bytes() {
        let data: Vec<u8> = (0..12).flat_map(|v| (v as f64).to_le_bytes()).collect();
        let mut view = Stored::plain(&data, Format::F64, vec![2, 2]);
        assert_eq!(view.values().unwrap(), [0.0, 1.0, 2.0, 3.0]);
        (view.offset, view.strides) = (2, vec![1, 5]);
        assert_eq!(view.values().unwrap(), [2.0, 7.0, 3.0, 8.0]);
        view.offset = 6;
        assert_eq!(view.values(), None);
        let scalar = Stored::plain(&data, Format::F64, vec![]);
        assert_eq!(scalar.values().unwrap(), [0.0]);
    }
}
