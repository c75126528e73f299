//! The device, the operations on it and the kernels behind them.

pub mod buffers;
pub use salun_kernels as cpu;
pub mod device;
pub mod flex;
pub mod kernels;
pub mod ops;
pub mod pace;
