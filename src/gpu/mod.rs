//! The device, the operations on it and the kernels behind them.

pub mod attend;
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

/// The instructions that a CPU computes with here: sums, and so bits, differ between them.
pub fn instructions() -> &'static str {
    match cpu::simd::level() {
        cpu::simd::Level::Avx512 => "AVX-512",
        cpu::simd::Level::Avx2 => "AVX2",
        cpu::simd::Level::Portable => "plain instructions",
    }
}

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
