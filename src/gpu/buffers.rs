//! The wgpu buffers behind Burn's tensors.

use burn::{
    backend::{BackendTensor, DispatchTensorKind},
    cubecl::{
        client::Client,
        wgpu::{AutoCompiler, WgpuServer},
    },
    tensor::Tensor,
};
use burn_wgpu::CubeTensor;

use super::kernels::Slice;
use crate::error::{Error, Result};

/// The buffer of a vector on a wgpu device, for work that is submitted at once: Burn may hand the
/// memory out again to work submitted later. Vectors may share a buffer, so a shader that writes to
/// one declares all of them as it does.
///
/// # Errors
/// The device failed, or the tensor is not on a wgpu device.
pub fn slice(vector: &Tensor<1>) -> Result<Slice> {
    Ok(slices(&[vector])?.remove(0))
}

/// The buffers of two vectors of each parameter, and of a fresh one for the result; and the results.
///
/// # Errors
/// As for [`slice`].
pub fn with_results(
    first: &[Tensor<1>],
    second: &[Tensor<1>],
) -> Result<(Vec<[Slice; 3]>, Vec<Tensor<1>>)> {
    let results: Vec<Tensor<1>> =
        first.iter().map(|vector| Tensor::empty(vector.dims(), &vector.device())).collect();
    let all = first.iter().zip(second).zip(&results);
    let all: Vec<_> = all.flat_map(|((a, b), result)| [a, b, result]).collect();
    let mut found = slices(&all)?.into_iter();
    let each = || Some([found.next()?, found.next()?, found.next()?]);
    Ok((std::iter::from_fn(each).collect(), results))
}

fn slices(vectors: &[&Tensor<1>]) -> Result<Vec<Slice>> {
    // A strided view is copied first; the copies live until all buffers are known.
    let vectors: Vec<_> = vectors.iter().map(|v| side_by_side(v)).collect::<Result<_>>()?;
    let found: Vec<_> = vectors.iter().map(behind).collect::<Result<_>>()?;
    if let Some((_, client)) = found.last() {
        client.flush().map_err(|e| failed(&e))?;
    }
    Ok(found.into_iter().map(|(slice, _)| slice).collect())
}

fn on_gpu(vector: &Tensor<1>) -> Result<CubeTensor> {
    match vector.clone().into_dispatch().kind {
        DispatchTensorKind::Cube(BackendTensor::Float(tensor)) => Ok(tensor),
        _ => Err(Error::Device("a tensor was not on the GPU".into())),
    }
}

fn side_by_side(vector: &Tensor<1>) -> Result<Tensor<1>> {
    let vector = vector.clone();
    Ok(if on_gpu(&vector)?.is_contiguous() { vector } else { vector * 1.0 })
}

/// A vector's buffer, and what computes it when flushed.
fn behind(vector: &Tensor<1>) -> Result<(Slice, Client)> {
    let tensor = on_gpu(vector)?;
    let resource = tensor
        .client
        .get_resource::<WgpuServer<AutoCompiler>>(tensor.handle.clone())
        .map_err(|e| failed(&e))?;
    let resource = resource.resource();
    let (buffer, offset) = (resource.buffer.clone(), resource.offset);
    Ok((Slice { buffer, offset, n: vector.dims()[0] }, tensor.client))
}

fn failed(e: &dyn std::fmt::Debug) -> Error {
    Error::Device(format!("{e:?}"))
}
