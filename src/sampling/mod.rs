//! From noise to pictures: guidance and the samplers of both kinds of diffusion models.

pub mod latent;
pub mod sampler;
