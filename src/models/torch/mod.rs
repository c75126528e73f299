//! Weights from and for PyTorch: `.pth` files, and the names that the field's code gives tensors.

mod ddpm;
pub mod export;
pub mod foreign;
pub mod names;
mod old;
pub mod read;
mod write;

pub use export::Format;
