//! DPM-Solver++ of second order with the midpoint rule (Lu et al. 2022, "DPM-Solver++", algorithm 2, 2M), as
//! diffusers' `DPMSolverMultistepScheduler` by default: the last step, to no noise at all, is of first order.

use burn::tensor::Tensor;

use super::Solver;

/// Weights of signal and noise where noise over signal is `sigma`.
fn mix(sigma: f64) -> (f64, f64) {
    let signal = (sigma * sigma + 1.0).sqrt().recip();
    (signal, sigma * signal)
}

impl Solver {
    /// x after call `i`, out of the last two predictions of x_0 (eq. 9 and 12).
    pub(super) fn dpm(&mut self, i: usize, out: Tensor<4>, x: Tensor<4>) -> Tensor<4> {
        let x0 = self.predicted(i, out, x.clone());
        let before = self.past.pop();
        self.past.push(x0.clone());
        let [from, to] = [self.sigmas[i], self.sigmas[i + 1]];
        let ((_, noise), (signal, left)) = (mix(from), mix(to));
        // λ = log(signal / noise) = -log sigma; exp(-h) with h = λ_t - λ_s.
        let shrink = to / from;
        // Nothing between the last two times, where steps are as many as there are, tells no slope.
        let last = i.checked_sub(1).map_or(0.0, |i| (self.sigmas[i] / from).ln());
        let direction = match before {
            Some(before) if to > 0.0 && last > 0.0 => {
                let step = -shrink.ln();
                (x0.clone() - before) * (0.5 * step / last) + x0
            }
            _ => x0,
        };
        x * (left / noise) + direction * (signal * (1.0 - shrink))
    }
}
