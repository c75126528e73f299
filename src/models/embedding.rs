//! The sinusoidal time embedding (Vaswani et al. 2017 as used by Ho et al. 2020).

use burn::tensor::{Device, Tensor, TensorData, activation};

use super::{Linear, Pass, Scope, Sketch};

/// How time steps become sines and cosines (diffusers' `Timesteps`).
#[derive(Debug, Clone, Copy)]
pub struct Sinusoid {
    /// Values of a row.
    pub width: usize,
    /// f_i = 10000^(-i / (width / 2 - shift)).
    pub shift: f64,
    pub cosines_first: bool,
}

impl Sinusoid {
    /// Rows [sin(t f), cos(t f)], one for each time step.
    fn values(&self, t: &[f32]) -> Vec<f32> {
        let half = self.width / 2;
        let scale = -(10_000f64.ln()) / (half as f64 - self.shift);
        let mut rows = Vec::with_capacity(2 * half * t.len());
        for &t in t {
            let angles = (0..half).map(|i| t as f64 * (scale * i as f64).exp());
            let sin = angles.clone().map(|a| a.sin() as f32);
            let cos = angles.map(|a| a.cos() as f32);
            match self.cosines_first {
                true => rows.extend(cos.chain(sin)),
                false => rows.extend(sin.chain(cos)),
            }
        }
        rows
    }

    /// The rows on a device: [n, width].
    pub fn rows(&self, t: &[f32], device: &Device) -> Tensor<2> {
        Tensor::from_data(TensorData::new(self.values(t), [t.len(), self.width]), device)
    }
}

/// Two affine maps with SiLU between.
#[derive(Debug, Clone)]
pub struct Mlp([Linear; 2]);

impl Mlp {
    /// From `c` values to four times as many.
    pub fn new(mut at: Scope, names: [&str; 2], c: usize) -> Self {
        Self([
            Linear::new(at.part(names[0]), [c, 4 * c]),
            Linear::new(at.part(names[1]), [4 * c; 2]),
        ])
    }

    /// Draws [`Mlp::forward`].
    pub fn sketch(&self, to: &mut Sketch, x: usize) -> usize {
        self.0.iter().fold(x, |x, map| to.layer(&[map.params()], &[x]))
    }

    /// [n, c] to [n, 4 c].
    pub fn forward(&self, pass: &Pass, x: Tensor<2>) -> Tensor<2> {
        self.0[1].forward(pass, activation::silu(self.0[0].forward(pass, x)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_12_9() {
        let e = Sinusoid { width: 128, shift: 1.0, cosines_first: false }.values(&[10.0]);
        for (i, v) in [(0, -0.544021), (1, 0.706750), (2, 0.925205)] {
            assert!((e[i] - v).abs() < 1e-6);
        }
        for (i, v) in [(64, -0.839072), (65, -0.707464), (66, 0.379468)] {
            assert!((e[i] - v).abs() < 1e-6);
        }
    }
}
