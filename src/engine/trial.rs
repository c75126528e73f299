//! A run's first losses as the CPU computes them, for a browser's GPU to be held against: kernels
//! that are right on one driver have been wrong on another, without an error.

use crate::{
    error::{Error, Result},
    gpu::device::{DeviceInfo, DeviceKind},
};

/// Updates whose losses are compared: the second depends on the gradients of the first.
pub const TRIED: usize = 2;

/// The CPU's losses; none where there is nothing to be held against them.
#[derive(Debug, Default)]
pub struct Trial(std::vec::IntoIter<f32>);

impl Trial {
    /// Whether a device is to be tried: a GPU behind a browser.
    pub fn wanted(info: &DeviceInfo) -> bool {
        cfg!(target_arch = "wasm32") && info.kind != DeviceKind::Cpu
    }

    /// With the losses of the first updates.
    pub fn new(losses: Vec<f32>) -> Self {
        Self(losses.into_iter())
    }

    /// Refuses the device's next loss if it is far from the CPU's.
    ///
    /// # Errors
    /// It is.
    pub fn check(&mut self, loss: f32) -> Result<()> {
        match self.0.next() {
            Some(right) if (loss - right).abs() > 0.05 * right.abs().max(0.01) => {
                Err(Error::Device(format!(
                    "this GPU computes wrong numbers in this browser (a loss of {loss:.3}, the CPU \
                     has {right:.3}); add device=cpu to the page's address"
                )))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Trial;

    #[test]
    fn losses_that_are_far_from_the_cpus_are_refused() {
        let wrong = Trial::new(vec![0.058]).check(4.14).unwrap_err();
        assert!(wrong.to_string().contains("device=cpu"));
        let mut trial = Trial::new(vec![0.058]);
        assert!(trial.check(0.0581).is_ok() && trial.check(f32::NAN).is_ok());
    }
}
