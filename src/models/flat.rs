//! Numbers that several hold at once: weights on the host, and on the CPU what computes with them.

use std::{
    fmt,
    ops::{Deref, DerefMut, Range},
    sync::Arc,
};

use burn::tensor::{AllocationProperty, Bytes, DType, Device, Tensor, TensorData};

use crate::gpu::flex;

/// A vector in main memory that is copied where one of its holders changes it, and not before.
#[derive(Clone, Default, PartialEq)]
pub struct Flat(Arc<Vec<f32>>);

impl Flat {
    /// A part of it on a device: on the CPU this memory itself, elsewhere a copy.
    pub fn upload(&self, range: Range<usize>, device: &Device) -> Tensor<1> {
        let shape = [range.len()];
        if !flex::is_cpu(device) {
            return Tensor::from_data(TensorData::new(self[range].to_vec(), shape), device);
        }
        let bytes = range.start * size_of::<f32>()..range.end * size_of::<f32>();
        let part = bytes::Bytes::from_owner(self.clone()).slice(bytes);
        let shared = Bytes::from_shared(part, AllocationProperty::Native);
        Tensor::from_data(TensorData::from_bytes(shared, shape, DType::F32), device)
    }
}

impl AsRef<[u8]> for Flat {
    fn as_ref(&self) -> &[u8] {
        bytemuck::cast_slice(&self.0)
    }
}

impl From<Vec<f32>> for Flat {
    fn from(values: Vec<f32>) -> Self {
        Self(Arc::new(values))
    }
}

impl From<Flat> for Vec<f32> {
    fn from(flat: Flat) -> Self {
        Arc::unwrap_or_clone(flat.0)
    }
}

impl FromIterator<f32> for Flat {
    fn from_iter<I: IntoIterator<Item = f32>>(values: I) -> Self {
        Vec::from_iter(values).into()
    }
}

impl Deref for Flat {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        &self.0
    }
}

impl DerefMut for Flat {
    fn deref_mut(&mut self) -> &mut [f32] {
        Arc::<Vec<f32>>::make_mut(&mut self.0)
    }
}

impl fmt::Debug for Flat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<'a> IntoIterator for &'a Flat {
    type Item = &'a f32;
    type IntoIter = std::slice::Iter<'a, f32>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl PartialEq<Vec<f32>> for Flat {
    fn eq(&self, other: &Vec<f32>) -> bool {
        *self.0 == *other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_computes_on_the_cpu_holds_the_same_memory_until_it_changes() {
        let flat = Flat::from(vec![1.0, 2.0, 3.0, 4.0]);
        let cpu = Device::flex();
        let [a, b] = [(); 2].map(|()| flat.upload(1..3, &cpu));
        let place = |t: &Tensor<1>| flex::values(&flex::on_cpu(t.clone())).as_ptr();
        assert_eq!([place(&a), place(&b)], [flat[1..].as_ptr(); 2]);
        assert!(flex::are_one(&a, &b));
        let a = flex::edit(a, |values| values[0] = 7.0);
        let read = |t: Tensor<1>| t.into_data().try_to_vec::<f32>().unwrap();
        assert_eq!((read(a.clone()), read(b)), (vec![7.0, 3.0], vec![2.0, 3.0]));
        assert_eq!(flat, vec![1.0, 2.0, 3.0, 4.0]);
        let at = place(&a);
        // From then on the memory is its own.
        let a = flex::edit(a * 1.0, |values| values[1] = 8.0);
        assert_eq!((read(a), at == flat[1..].as_ptr()), (vec![7.0, 8.0], false));
        let mut other = flat.clone();
        other[0] = 9.0;
        assert_eq!((flat[0], other[0]), (1.0, 9.0));
    }
}
