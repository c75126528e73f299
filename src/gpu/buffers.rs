//! The wgpu buffers behind Burn's tensors.

#[cfg(not(target_arch = "wasm32"))]
use burn::backend::wgpu::CubeBackend;
use burn::{
    backend::{BackendTensor, DispatchTensorKind},
    cubecl::wgpu::{AutoCompiler, WgpuServer},
    tensor::Tensor,
};

use super::kernels::Slice;
use crate::error::{Error, Result};

/// The buffer of a contiguous vector on a wgpu device, for work that is submitted at once: Burn
/// may hand the memory out again to work submitted later.
///
/// # Errors
/// The device failed, or the tensor is not on a wgpu device.
pub fn slice(vector: Tensor<1>) -> Result<Slice> {
    let n = vector.dims()[0];
    let DispatchTensorKind::Cube(BackendTensor::Float(tensor)) = vector.into_dispatch().kind else {
        return Err(Error::Device("a tensor was not on the GPU".into()));
    };
    let failed = |e: &dyn std::fmt::Debug| Error::Device(format!("{e:?}"));
    // What is still to be fused is computed now; the page fuses nothing.
    #[cfg(not(target_arch = "wasm32"))]
    let tensor = tensor.client.clone().resolve_tensor_float::<CubeBackend>(tensor);
    let resource = tensor
        .client
        .get_resource::<WgpuServer<AutoCompiler>>(tensor.handle.clone())
        .map_err(|e| failed(&e))?;
    tensor.client.flush().map_err(|e| failed(&e))?;
    let resource = resource.resource();
    Ok(Slice { buffer: resource.buffer.clone(), offset: resource.offset, n })
}
