//! From noise to pictures: guidance and the samplers of both kinds of diffusion models.

pub mod latent;
pub mod sampler;
pub mod trace;

pub use latent::{GivenPrompts, LatentWeights, WantedPrompt, contexts, encode, encoded};
pub use sampler::{Denoising, Given, Wanted, WantedClass, noise, predict};
pub use trace::{Recorded, record};
