//! CPU kernels on plain slices: convolution without unrolling, normalisation in one pass.
//!
//! Each is written once over [`simd::Lanes`] and compiled for AVX-512, AVX2 and plain code; the
//! best is chosen when it runs. Results do not depend on the number of threads.

pub mod conv;
pub mod norm;
pub mod simd;
