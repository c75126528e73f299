//! The browser's entry in a worker: the device and the engine on it.

use wasm_bindgen::prelude::*;

use crate::engine::{Event, WorkerEngine, check};
use crate::gpu::{DeviceChoice, device};
use crate::job_context::JobContext;
use crate::{wire, words};

#[wasm_bindgen(module = "/web/host.js")]
extern "C" {
    /// Sends bytes from the worker to the page.
    fn tell(bytes: &[u8]);
    /// Says that the engine cannot go on, and why.
    fn stopped(title: &str, why: &str);
}

/// The engine in its worker.
#[wasm_bindgen]
pub struct EngineWorker {
    desk: WorkerEngine,
    gpu: Option<wgpu::Device>,
}

#[wasm_bindgen]
impl EngineWorker {
    /// Opens the device (`auto`, `gpu` or `cpu`) and an engine on it that tells the page of its
    /// events.
    ///
    /// # Errors
    /// There is no device.
    pub async fn open(device: &str) -> Result<EngineWorker, JsValue> {
        std::panic::set_hook(Box::new(|panic| {
            console_error_panic_hook::hook(panic);
            stopped("The engine failed", &panic.to_string());
        }));
        let compute = device::open(choice(device)).await.map_err(crate::web::told)?;
        let gpu = compute.setup.as_ref().map(|s| s.device.clone());
        if let Some(gpu) = &gpu {
            gpu.set_device_lost_callback(|_, why| stopped("The GPU was lost", &why));
        }
        let desk = WorkerEngine::open(compute, |event: Event| match wire::pack(&event) {
            Ok(bytes) => tell(&bytes),
            Err(error) => stopped("The engine failed", &error.to_string()),
        });
        Ok(EngineWorker { desk, gpu })
    }

    /// Takes a packed command.
    ///
    /// # Errors
    /// It is none.
    pub fn take(&self, command: &[u8]) -> Result<(), JsValue> {
        self.desk.take(wire::unpack(command).map_err(crate::web::told)?);
        Ok(())
    }

    /// Gives the GPU away, as a driver's crash would.
    pub fn lose_device(&self) {
        if let Some(gpu) = &self.gpu {
            gpu.destroy();
        }
    }
}

/// How far every operation on a device (`gpu` or `cpu`) is from the CPU's, as JSON: a list of
/// [`check::Off`].
///
/// # Errors
/// There is no such device, or it failed.
#[wasm_bindgen]
pub async fn check_operations(device: &str) -> Result<String, JsValue> {
    let compute = device::open(choice(device)).await.map_err(crate::web::told)?;
    let found = check::operations(&compute.device, &mut JobContext::silent()).await;
    let found = found.map_err(crate::web::told)?;
    serde_json::to_string(&found).map_err(|e| JsValue::from_str(&e.to_string()))
}

fn choice(name: &str) -> DeviceChoice {
    words::find("device", name, DeviceChoice::ALL).unwrap_or_default()
}
