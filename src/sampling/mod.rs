//! From noise to pictures: guidance and the samplers of both kinds of diffusion models.

pub mod latent;
pub mod sampler;

pub use latent::{GivenPrompts, LatentWeights, WantedPrompt, contexts, encode, encoded};
pub use sampler::{Given, Wanted, WantedClass, noise, predict};
