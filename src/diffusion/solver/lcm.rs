//! Multistep sampling of latent consistency models (Luo et al. 2023, algorithm 3), as diffusers' `LCMScheduler`: x_0 is
//! predicted, and noised again for the next time step.

use burn::tensor::Tensor;

use super::Solver;

/// What a time step is multiplied by, and the standard deviation of the data, in the boundary condition's weights
/// (diffusers' `timestep_scaling` and `sigma_data`).
const SCALE: f64 = 10.0;
const DATA: f64 = 0.5;

impl Solver {
    /// The time steps of `n` calls, out of those that the model was distilled on, descending.
    pub(super) fn lcm_times(steps: usize, original: usize, n: usize) -> Vec<f32> {
        let stride = steps / original;
        let place = |i: usize| original - (i as f64 * original as f64 / n as f64).floor() as usize;
        (0..n).map(|i| (place(i) * stride - 1) as f32).collect()
    }

    /// x after call `i`, with fresh noise unless it is the last.
    pub(super) fn lcm(
        &self,
        i: usize,
        out: Tensor<4>,
        x: Tensor<4>,
        noise: impl FnOnce() -> Tensor<4>,
    ) -> Tensor<4> {
        let scaled = SCALE * f64::from(self.times[i]);
        let both = scaled * scaled + DATA * DATA;
        let (skip, weight) = (DATA * DATA / both, scaled / both.sqrt());
        let x0 = self.predicted(i, out, x.clone()) * weight + x * skip;
        match self.times.get(i + 1) {
            Some(next) => {
                let to = self.abar(*next as i64);
                x0 * to.sqrt() + noise() * (1.0 - to).sqrt()
            }
            None => x0,
        }
    }
}
