//! CPU kernels over plain `f32` slices (NCHW, contiguous): convolutions, norms, activations.
//!
//! Each kernel body is written once over [`simd::Simd`] and instantiated for AVX-512, AVX2+FMA and
//! plain arrays; [`simd::dispatch`] picks at run time. Work is split over rayon's threads (serially
//! on wasm32), and no result depends on how many there are or on which of them ran first.

pub mod conv;
pub mod gate;
pub mod norm;
pub mod par;
pub mod simd;
