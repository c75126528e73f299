//! Weights from and for PyTorch: `.pth` files, and the names that the field's code gives tensors.

pub mod export;
pub mod foreign;
mod machine;
pub mod names;
pub mod pickle;
pub mod read;
pub mod write;
