//! A run's first losses as the CPU computes them, for a GPU to be held against: kernels that are
//! right on one driver have been wrong on another, without an error.

use burn::tensor::Tensor;

use crate::error::{Error, Result};
use crate::gpu::{DeviceInfo, DeviceKind};
use crate::job_context::JobContext;
use crate::train::trainer::finite;

/// Updates whose losses are compared: the second depends on the gradients of the first.
const TRIED: usize = 2;

/// Weights of the largest model that is tried: the CPU would take minutes over a larger one.
const LARGEST: usize = 30_000_000;

/// The CPU's losses; none where there is nothing to be held against them.
#[derive(Debug, Default)]
pub struct GpuLossCheck(std::vec::IntoIter<f32>);

impl GpuLossCheck {
    /// Whether a run of so many updates of a model of so many weights is to be tried on this device.
    pub fn wanted(info: &DeviceInfo, steps: usize, n: usize) -> bool {
        info.kind != DeviceKind::Cpu && steps > 0 && n <= LARGEST
    }

    /// Makes the first of `steps` updates on the CPU.
    ///
    /// # Errors
    /// Cancelled, or a loss is not a number.
    pub async fn run(
        steps: usize,
        job: &mut JobContext,
        mut update: impl AsyncFnMut(&mut JobContext) -> Result<Tensor<1>>,
    ) -> Result<Self> {
        let tried = steps.min(TRIED);
        job.phase("Checking the GPU", tried);
        let mut losses = Vec::with_capacity(tried);
        while losses.len() < tried {
            losses.push(finite(update(job).await?).await?);
            job.advance(1).await?;
        }
        Ok(Self(losses.into_iter()))
    }

    /// Whether the next loss is to be checked.
    pub fn goes_on(&self) -> bool {
        self.0.len() > 0
    }

    /// Refuses the device's next loss if it is far from the CPU's.
    ///
    /// # Errors
    /// It is.
    pub fn check(&mut self, loss: f32) -> Result<()> {
        match self.0.next() {
            Some(right) if (loss - right).abs() > 0.05 * right.abs().max(0.01) => {
                let way_out = match cfg!(target_arch = "wasm32") {
                    true => "add device=cpu to the page's address",
                    false => "start it with --device cpu",
                };
                Err(Error::Device(format!(
                    "this GPU computes wrong numbers here (a loss of {loss:.3e}, the CPU \
                     has {right:.3e}); {way_out}"
                )))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_that_are_far_from_the_cpus_are_refused() {
        let info = |kind| DeviceInfo { kind, name: "x".into(), api: "x".into(), why: "".into() };
        assert!(GpuLossCheck::wanted(&info(DeviceKind::Discrete), 4, 1000));
        assert!(!GpuLossCheck::wanted(&info(DeviceKind::Cpu), 4, 1000));
        assert!(!GpuLossCheck::wanted(&info(DeviceKind::Discrete), 4, LARGEST + 1));
        let of = |losses: Vec<f32>| GpuLossCheck(losses.into_iter());
        let wrong = of(vec![0.058]).check(4.14).unwrap_err();
        assert!(wrong.to_string().contains("--device cpu"));
        let mut trial = of(vec![0.058]);
        assert!(trial.check(0.0581).is_ok() && !trial.goes_on() && trial.check(f32::NAN).is_ok());
    }
}
