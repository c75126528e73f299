//! The noise schedule.

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
        let share = |product: &mut f64, beta: f64| {
            *product *= 1.0 - beta;
            Some(*product)
        };
        Self { abar: betas.scan(1.0, share).collect() }
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diffusion::{SchedulerConfig, SolverKind};

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
}
