//! From a buffer to main memory without blocking the event loop of a page.

use std::{
    future::poll_fn,
    sync::{Arc, Mutex, PoisonError},
    task::{Poll, Waker},
};

use super::{Kernels, Slice};
use crate::error::{Error, Result};

/// What the mapping's callback leaves for the reader.
#[derive(Default)]
struct Mapped {
    outcome: Option<std::result::Result<(), wgpu::BufferAsyncError>>,
    waker: Option<Waker>,
}

impl Kernels {
    /// Reads values back once all that was submitted is done.
    ///
    /// # Errors
    /// The device was lost.
    pub async fn read(&self, values: &Slice) -> Result<Vec<u32>> {
        if values.n == 0 {
            return Ok(Vec::new());
        }
        let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        let staging = self.empty(values.n, usage);
        let mut encoder = self.device.create_command_encoder(&Default::default());
        encoder.copy_buffer_to_buffer(&values.buffer, values.offset, &staging, 0, staging.size());
        self.queue.submit([encoder.finish()]);
        let mapped = Arc::new(Mutex::new(Mapped::default()));
        let told = mapped.clone();
        staging.map_async(wgpu::MapMode::Read, .., move |outcome| {
            let mut mapped = told.lock().unwrap_or_else(PoisonError::into_inner);
            mapped.outcome = Some(outcome);
            if let Some(waker) = mapped.waker.take() {
                waker.wake();
            }
        });
        let lost = |e: &dyn std::fmt::Display| Error::Device(e.to_string());
        // Without effect in a browser, whose event loop calls back by itself.
        self.device.poll(wgpu::PollType::wait_indefinitely()).map_err(|e| lost(&e))?;
        let outcome = poll_fn(|context| {
            let mut mapped = mapped.lock().unwrap_or_else(PoisonError::into_inner);
            match mapped.outcome.take() {
                Some(outcome) => Poll::Ready(outcome),
                None => {
                    mapped.waker = Some(context.waker().clone());
                    Poll::Pending
                }
            }
        });
        outcome.await.map_err(|e| lost(&e))?;
        let view = staging.get_mapped_range(..).map_err(|e| lost(&e))?;
        Ok(bytemuck::cast_slice(&view).to_vec())
    }
}
