//! The whole check of a device, part by part.

use super::updates::{losses, updates};
use super::{Off, kernels, operations};
use crate::error::{Error, Result};
use crate::gpu::kernels::Kernels;
use crate::gpu::{Compute, DeviceChoice, device};
use crate::job_context::JobContext;
use crate::unlearn::Local;
use crate::words::Task;

/// A part of the check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckPart {
    /// Every operation that networks and training are made of.
    Operations,
    /// Every WGSL kernel.
    Kernels,
    /// The first updates of a task.
    Updates(Task),
}

/// What a part has found.
#[derive(Debug, Default)]
pub struct Found {
    pub compared: Vec<Off>,
    /// Seconds from the start of a task's run to its first update, on the device and on the CPU.
    pub first_update_s: Option<[f64; 2]>,
}

/// Holds a device against the CPU in one part. Boxed, so that the checks are compiled once: the
/// program awaits it.
///
/// # Errors
/// The device failed or has no kernels of ours, its first losses are far from the CPU's, or
/// cancelled.
pub fn hold<'a>(
    part: CheckPart,
    compute: &'a Compute,
    job: &'a mut JobContext,
) -> Local<'a, Result<Found>> {
    Box::pin(async move {
        let mut first_update_s = None;
        let compared = match part {
            CheckPart::Operations => operations(&compute.device, job).await?,
            CheckPart::Kernels => {
                let none = || Error::Device("it has no kernels of ours".into());
                kernels(&Kernels::of(&compute.device).ok_or_else(none)?, job).await?
            }
            CheckPart::Updates(task) => {
                let seen = updates(task, compute, job).await?;
                let right = updates(task, &device::open(DeviceChoice::Cpu)?, job).await?;
                let first = seen.first().zip(right.first());
                first_update_s = first.map(|(seen, right)| [seen.seconds, right.seconds]);
                losses(&seen, &right)
            }
        };
        Ok(Found { compared, first_update_s })
    })
}
