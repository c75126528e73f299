//! The wgpu buffers behind Burn's tensors.

use burn::{
    backend::{BackendTensor, DispatchTensorKind},
    cubecl::{
        client::Client,
        wgpu::{AutoCompiler, WgpuServer},
    },
    tensor::Tensor,
};

use super::kernels::Slice;
use crate::error::{Error, Result};

/// The buffer of a contiguous vector on a wgpu device, for work that is submitted at once: Burn
/// may hand the memory out again to work submitted later. Vectors may share a buffer, so a shader
/// that writes to one declares all of them as it does.
///
/// # Errors
/// The device failed, or the tensor is not on a wgpu device or not contiguous.
pub fn slice(vector: Tensor<1>) -> Result<Slice> {
    Ok(slices([vector])?.remove(0))
}

/// The buffers of several vectors.
///
/// # Errors
/// As for [`slice`].
pub fn slices(vectors: impl IntoIterator<Item = Tensor<1>>) -> Result<Vec<Slice>> {
    let mut last = None;
    let found = vectors.into_iter().map(|vector| {
        let (slice, client) = behind(vector)?;
        last = Some(client);
        Ok(slice)
    });
    let found: Vec<Slice> = found.collect::<Result<_>>()?;
    if let Some(client) = last {
        client.flush().map_err(|e| failed(&e))?;
    }
    Ok(found)
}

fn failed(e: &dyn std::fmt::Debug) -> Error {
    Error::Device(format!("{e:?}"))
}

/// A vector's buffer, and what computes it when flushed.
fn behind(vector: Tensor<1>) -> Result<(Slice, Client)> {
    let n = vector.dims()[0];
    let DispatchTensorKind::Cube(BackendTensor::Float(tensor)) = vector.into_dispatch().kind else {
        return Err(Error::Device("a tensor was not on the GPU".into()));
    };
    let resource = tensor
        .client
        .get_resource::<WgpuServer<AutoCompiler>>(tensor.handle.clone())
        .map_err(|e| failed(&e))?;
    let resource = resource.resource();
    if !tensor.is_contiguous() {
        return Err(Error::Device("a tensor's values do not lie side by side".into()));
    }
    let slice = Slice { buffer: resource.buffer.clone(), offset: resource.offset, n };
    Ok((slice, tensor.client))
}
