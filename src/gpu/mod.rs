//! The device, the operations on it and the kernels behind them.

pub mod buffers;
pub mod cpu;
pub mod device;
pub mod flex;
pub mod kernels;
pub mod ops;
pub mod pace;
