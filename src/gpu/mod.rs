//! The device, the operations on it and the kernels behind them.

#[cfg(not(target_arch = "wasm32"))]
pub mod kernels;
pub mod device;
#[cfg(not(target_arch = "wasm32"))]
pub mod flex;
pub mod ops;
