//! The noise schedule and the coefficients of one sampling step.

/// Cumulative signal share abar_t of each time step.
#[derive(Debug, Clone)]
pub struct Schedule {
    abar: Vec<f64>,
}

impl Schedule {
    /// DDPM's linear schedule: 1,000 steps, beta from 1e-4 to 2e-2 (Ho et al. 2020).
    pub fn linear() -> Self {
        Self::from_betas((0..1000).map(|t| 1e-4 + (2e-2 - 1e-4) * t as f64 / 999.0))
    }

    /// A schedule from the noise that each step adds.
    pub fn from_betas(betas: impl Iterator<Item = f64>) -> Self {
        let mut product = 1.0;
        let abar = betas
            .map(|beta| {
                product *= 1.0 - beta;
                product
            })
            .collect();
        Self { abar }
    }

    /// Number of training steps T.
    pub fn steps(&self) -> usize {
        self.abar.len()
    }

    /// abar_t; 1 before the first step.
    pub fn abar(&self, t: Option<usize>) -> f64 {
        t.map_or(1.0, |t| self.abar[t])
    }

    /// (sqrt(abar_t), sqrt(1 - abar_t)), the weights of image and noise in x_t.
    pub fn mix(&self, t: usize) -> (f32, f32) {
        (self.abar[t].sqrt() as f32, (1.0 - self.abar[t]).sqrt() as f32)
    }

    /// The descending time steps of a sampler with `n` uniform steps: (from, to).
    pub fn uniform(&self, n: usize) -> Vec<(usize, Option<usize>)> {
        let n = n.clamp(1, self.steps());
        let at = |i: usize| i * self.steps() / n;
        (0..n).rev().map(|i| (at(i), i.checked_sub(1).map(at))).collect()
    }

    /// One step of the DDIM family (Song et al. 2021, eq. 12 and 16).
    /// `eta` 0 is DDIM, 1 is ancestral sampling.
    pub fn step(&self, t: usize, s: Option<usize>, eta: f64) -> Step {
        let (at, as_) = (self.abar(Some(t)), self.abar(s));
        let noise = eta * ((1.0 - at / as_) * (1.0 - as_) / (1.0 - at)).max(0.0).sqrt();
        Step {
            signal: as_.sqrt() as f32,
            noise: noise as f32,
            direction: (1.0 - as_ - noise * noise).max(0.0).sqrt() as f32,
        }
    }
}

/// x_s = signal · x0 + noise · z + direction · eps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    pub signal: f32,
    pub noise: f32,
    pub direction: f32,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diffusion::scheduler::{SchedulerConfig, SolverKind};

    #[test]
    fn golden_12_7() {
        let s = Schedule::linear();
        let golden = [
            (0, 0.99990000),
            (1, 0.99978009),
            (10, 0.99780657),
            (100, 0.89514159),
            (250, 0.52142303),
            (500, 0.07779666),
            (750, 0.00330016),
            (900, 0.00027024),
            (999, 0.00004036),
        ];
        for (t, v) in golden {
            assert!((s.abar(Some(t)) - v).abs() < 5e-9, "abar at {t}");
        }
        let s = SchedulerConfig::stable_diffusion(SolverKind::Ddim).schedule();
        for (t, v) in [(0, 0.99915000), (500, 0.27633268), (999, 0.00466010)] {
            assert!((s.abar(Some(t)) - v).abs() < 5e-9, "scaled abar at {t}");
        }
    }

    #[test]
    fn golden_12_8() {
        let s = Schedule::linear();
        let near = |a: f32, b: f64| (a as f64 - b).abs() < 1e-6;
        let step = s.step(990, Some(980), 0.0);
        assert!(near(step.signal, 0.007684) && step.noise == 0.0);
        assert!(near(step.direction, 0.999970));
        let step = s.step(990, Some(980), 1.0);
        assert!(near(step.noise, 0.425065) && near(step.direction, 0.905130));
        let step = s.step(500, Some(490), 0.0);
        assert!(near(step.signal, 0.293251) && near(step.direction, 0.956036));
        let step = s.step(500, Some(490), 1.0);
        assert!(near(step.noise, 0.307407) && near(step.direction, 0.905265));
        let step = s.step(10, Some(0), 1.0);
        assert!(near(step.noise, 0.009770) && near(step.direction, 0.002133));
    }

    #[test]
    fn uniform_steps_descend_to_the_image() {
        let steps = Schedule::linear().uniform(100);
        assert_eq!(steps[0], (990, Some(980)));
        assert_eq!(steps[99], (0, None));
    }
}
