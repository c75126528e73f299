//! Choosing the device: a real GPU where one exists, else the CPU (docs/gpu.md).

#[cfg(not(target_arch = "wasm32"))]
use std::panic::AssertUnwindSafe;

#[cfg(not(target_arch = "wasm32"))]
use burn::tensor::Tensor;
use burn::tensor::{Device, wgpu::WgpuSetup};
use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantArray};

use super::kernels::Kernels;
use crate::error::{Error, Result};

/// What a person asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "kebab-case")]
pub enum DeviceChoice {
    /// A GPU if there is a real one, else the CPU.
    #[default]
    Auto,
    /// wgpu, even if its only adapter is a software one.
    Gpu,
    /// Burn's `flex` backend.
    Cpu,
}

impl DeviceChoice {
    pub const ALL: &[Self] = Self::VARIANTS;

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// What a device is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeviceKind {
    Discrete,
    Integrated,
    Virtual,
    Software,
    Cpu,
}

/// A device as shown to a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceInfo {
    pub name: String,
    /// `vulkan`, `metal`, `dx12`, `webgpu`, `gl` or `cpu`.
    pub api: String,
    pub kind: DeviceKind,
    /// Why this one was chosen, in one line.
    pub why: String,
}

impl DeviceInfo {
    /// Name and interface, as cards have it.
    pub fn label(&self) -> String {
        format!("{} ({})", self.name, self.api)
    }
}

/// An opened device: Burn's handle, and the wgpu handles behind it where there are any.
pub struct Compute {
    pub device: Device,
    pub info: DeviceInfo,
    /// For a window that shares the device.
    pub setup: Option<WgpuSetup>,
}

impl Compute {
    /// A wgpu device that was just opened, with our own kernels on it.
    fn on_gpu(device: Device, setup: WgpuSetup, info: DeviceInfo) -> Self {
        Kernels::new(setup.device.clone(), setup.queue.clone()).serve(&device);
        Self { device, info, setup: Some(setup) }
    }
}

/// Every adapter that wgpu offers, and the CPU.
#[cfg(not(target_arch = "wasm32"))]
pub fn list() -> Vec<DeviceInfo> {
    // The primary APIs only: probing OpenGL makes some drivers print to the terminal.
    let backends = wgpu::Backends::PRIMARY;
    let descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor { backends, ..descriptor });
    let adapters = pollster::block_on(instance.enumerate_adapters(backends));
    let mut found: Vec<DeviceInfo> =
        adapters.iter().map(|a| describe(&a.get_info(), String::new())).collect();
    found.push(cpu(String::new()));
    found
}

/// Opens the device for a choice.
///
/// # Errors
/// A GPU was asked for and none can be opened.
#[cfg(not(target_arch = "wasm32"))]
pub fn open(choice: DeviceChoice) -> Result<Compute> {
    if choice == DeviceChoice::Cpu {
        return Ok(on_cpu("asked for with --device cpu".into()));
    }
    let found = list();
    let asked = choice == DeviceChoice::Gpu;
    let real = |i: &DeviceInfo| !matches!(i.kind, DeviceKind::Software | DeviceKind::Cpu);
    if !found.iter().any(real) {
        match found.iter().find(|i| i.kind == DeviceKind::Software) {
            Some(_) if asked => {}
            Some(s) => {
                return Ok(on_cpu(format!("no GPU found, only the software adapter {}", s.name)));
            }
            None if asked => {
                let right = "no adapter was found; use --device cpu";
                return Err(Error::argument("device", "gpu", right));
            }
            None => return Ok(on_cpu("no GPU found".into())),
        }
    }
    match Device::wgpu_options().init_with_setup() {
        Ok((device, setup)) => {
            let why = if asked { "asked for with --device gpu" } else { "the fastest GPU found" };
            let info = describe(&setup.adapter.get_info(), why.into());
            Ok(Compute::on_gpu(device, setup, info))
        }
        Err(e) if asked => Err(Error::Device(e.to_string())),
        Err(e) => Ok(on_cpu(format!("the GPU could not be opened ({e})"))),
    }
}

/// Opens the device for a choice in the browser.
///
/// # Errors
/// A GPU was asked for and none can be opened.
#[cfg(target_arch = "wasm32")]
pub async fn open(choice: DeviceChoice) -> Result<Compute> {
    if choice == DeviceChoice::Cpu {
        return Ok(on_cpu("asked for with device=cpu".into()));
    }
    let refused = |why: String| match choice {
        DeviceChoice::Gpu => Err(Error::Device(why)),
        _ => Ok(on_cpu(why)),
    };
    if !wgpu::util::is_browser_webgpu_supported().await {
        return refused("this browser offers no WebGPU".into());
    }
    let name = crate::platform::gpu_name().await.as_string().unwrap_or_default();
    let software = ["swiftshader", "llvmpipe", "basic render"].iter().any(|s| name.contains(s));
    if software && choice == DeviceChoice::Auto {
        return Ok(on_cpu(format!("no GPU found, only the software adapter {name}")));
    }
    match Device::wgpu_options().init_with_setup_async().await {
        Ok((device, setup)) => {
            let mut info = describe(&setup.adapter.get_info(), "offered by the browser".into());
            if software {
                info.kind = DeviceKind::Software;
            }
            info.name = name;
            Ok(Compute::on_gpu(device, setup, info))
        }
        Err(e) => refused(format!("WebGPU could not be opened ({e})")),
    }
}

/// The CPU, and why it is not a GPU.
pub fn on_cpu(why: String) -> Compute {
    Compute { device: Device::flex(), info: cpu(why), setup: None }
}

/// Whether a device computes: one that was lost does not.
#[cfg(not(target_arch = "wasm32"))]
pub fn computes(device: &Device) -> bool {
    let sum = || Tensor::<1>::ones([4], device).sum().into_data().try_to_vec::<f32>();
    std::panic::catch_unwind(AssertUnwindSafe(sum)).is_ok_and(|sum| sum == Ok(vec![4.0]))
}

/// Whether a device was lost: nothing can be written to it any more.
#[cfg(not(target_arch = "wasm32"))]
pub fn is_lost(device: &wgpu::Device, queue: &wgpu::Queue) -> bool {
    let size = wgpu::COPY_BUFFER_ALIGNMENT;
    let usage = wgpu::BufferUsages::COPY_DST;
    let wanted = wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: false };
    let write = || {
        let buffer = device.create_buffer(&wanted);
        std::num::NonZero::new(size)
            .and_then(|size| queue.write_buffer_with(&buffer, 0, size))
            .is_none()
    };
    std::panic::catch_unwind(AssertUnwindSafe(write)).unwrap_or(true)
}

fn cpu(why: String) -> DeviceInfo {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let name = format!("CPU, {cores} core{}", if cores == 1 { "" } else { "s" });
    DeviceInfo { name, api: "cpu".into(), kind: DeviceKind::Cpu, why }
}

fn describe(info: &wgpu::AdapterInfo, why: String) -> DeviceInfo {
    let kind = match info.device_type {
        wgpu::DeviceType::DiscreteGpu => DeviceKind::Discrete,
        wgpu::DeviceType::IntegratedGpu => DeviceKind::Integrated,
        wgpu::DeviceType::VirtualGpu | wgpu::DeviceType::Other => DeviceKind::Virtual,
        wgpu::DeviceType::Cpu => DeviceKind::Software,
    };
    let api = match info.backend {
        wgpu::Backend::Vulkan => "vulkan",
        wgpu::Backend::Metal => "metal",
        wgpu::Backend::Dx12 => "dx12",
        wgpu::Backend::BrowserWebGpu => "webgpu",
        wgpu::Backend::Gl | wgpu::Backend::Noop => "gl",
    };
    DeviceInfo { name: info.name.clone(), api: api.into(), kind, why }
}
