//! The device, the operations on it and the kernels behind them.

pub mod buffers;
pub use salun_kernels as cpu;
pub mod device;
pub mod flex;
pub mod kernels;
pub mod ops;
mod pace;

pub use device::{Compute, DeviceChoice, DeviceInfo, DeviceKind};
pub use ops::Padding;
pub use pace::Pace;

use burn::tensor::{Device, Tensor, TensorData};

/// A tensor of pictures on a device.
pub fn tensor4(values: Vec<f32>, shape: [usize; 4], device: &Device) -> Tensor<4> {
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// Does all parts of something: each core takes some on the CPU, elsewhere the device one after another.
pub fn spread<P: Send, R: Send>(
    device: &Device,
    parts: Vec<P>,
    one: impl Fn(P) -> R + Sync + Send,
) -> Vec<R> {
    match flex::is_cpu(device) && parts.len() > 1 {
        true => cpu::par::map(parts, one),
        false => parts.into_iter().map(one).collect(),
    }
}
