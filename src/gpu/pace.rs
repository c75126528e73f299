//! Waiting for the device now and then, so that work that was asked for does not pile up there.

use burn::tensor::Tensor;
use web_time::Instant;

use crate::error::{Error, Result};

/// Seconds of work that may wait on the device: progress, a cancel and a page's frames come as late.
const AHEAD: f64 = 0.1;

/// How many steps of a job are asked for at a time: one at first, then as many as fit.
#[derive(Debug)]
pub struct Pace {
    every: usize,
    asked: usize,
    since: Instant,
}

impl Pace {
    /// Starts the clock.
    pub fn start() -> Self {
        Self { every: 1, asked: 0, since: Instant::now() }
    }

    /// Notes a step that ends in `result`, and waits for it where it is time to.
    ///
    /// # Errors
    /// The device failed.
    pub async fn step<const D: usize>(&mut self, result: &Tensor<D>) -> Result<()> {
        self.asked += 1;
        if self.asked < self.every {
            return Ok(());
        }
        let one = result.clone().slice([(); D].map(|()| 0..1));
        one.into_data_async().await.map_err(Error::device)?;
        let each = self.since.elapsed().as_secs_f64() / self.asked as f64;
        self.every = (AHEAD / each.max(1e-6)).clamp(1.0, 64.0) as usize;
        (self.asked, self.since) = (0, Instant::now());
        Ok(())
    }
}
