//! The WGSL kernels against their CPU twins, on random and on hard input.

use std::sync::{Arc, LazyLock};

use burn::tensor::{Device, Tensor, TensorData};
use pollster::block_on;

use crate::common::alone;
use salun_studio::engine::check;
use salun_studio::gpu::kernels::{Keep, Kernels, Slice};
use salun_studio::gpu::{DeviceChoice, buffers, device};
use salun_studio::job_context::JobContext;
use salun_studio::models::weights::vector;
use salun_studio::models::{Bits, HostWeights, Init, WeightLayout, Weights, read_all};
use salun_studio::train::{Optimizer, Rule, WeightFreeze};
use salun_studio::unlearn::salun_soft::shrunk;

/// A Vulkan device, the software one where there is no other.
static KERNELS: LazyLock<Option<Kernels>> = LazyLock::new(|| {
    let descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    let backends = wgpu::Backends::PRIMARY;
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor { backends, ..descriptor });
    let adapter = block_on(instance.request_adapter(&Default::default())).ok()?;
    // The limits that every WebGPU device has, so that the kernels run in any browser.
    let (device, queue) = block_on(adapter.request_device(&Default::default())).ok()?;
    Some(Kernels::new(device, queue))
});

/// The device as the studio opens it, which a process can do once.
static DEVICE: LazyLock<Device> = LazyLock::new(|| device::open(DeviceChoice::Gpu).unwrap().device);

/// The kernels, or `None` where there is no Vulkan at all, which CI must have.
fn kernels() -> Option<&'static Kernels> {
    let kernels = KERNELS.as_ref();
    assert!(kernels.is_some() || std::env::var_os("CI").is_none(), "CI must have software Vulkan");
    kernels
}

fn floats(kernels: &Kernels, values: &Slice) -> Vec<f32> {
    block_on(kernels.read(values)).unwrap().into_iter().map(f32::from_bits).collect()
}

/// Reproducible values in -1..1.
fn random(n: usize, seed: u32) -> Vec<f32> {
    let mut state = seed;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..n).map(next).collect()
}

/// The names of the shaders' files, and their text.
fn shaders() -> Vec<(String, String)> {
    let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/shaders")).unwrap();
    let read = |file: std::io::Result<std::fs::DirEntry>| {
        let path = file.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        (name, std::fs::read_to_string(&path).unwrap())
    };
    files.map(read).collect()
}

#[test]
fn every_shader_is_valid() {
    for (name, source) in shaders() {
        assert!(source.starts_with("//"), "{name} says what it computes");
        let module = wgpu::naga::front::wgsl::parse_str(&source)
            .unwrap_or_else(|e| panic!("{}", e.emit_to_string_with_path(&source, &name)));
        let flags = wgpu::naga::valid::ValidationFlags::all();
        let none = wgpu::naga::valid::Capabilities::empty();
        wgpu::naga::valid::Validator::new(flags, none)
            .validate(&module)
            .unwrap_or_else(|e| panic!("{name}: {e}"));
    }
}

/// What `salun check` holds against the CPU, here with the limits of every WebGPU device.
#[test]
fn every_kernel_computes_as_on_the_cpu() {
    let Some(kernels) = kernels() else { return };
    let found = block_on(check::kernels(kernels, &mut JobContext::silent())).unwrap();
    for off in &found {
        assert!(off.is_near(), "{off:?}");
    }
    let shaders = shaders();
    assert!(shaders.len() >= 10, "{} shaders", shaders.len());
    for (name, _) in shaders {
        // Selection is one kernel of several shaders.
        let of = |what: &str| name.starts_with(what.split([' ', ':', ',']).next().unwrap());
        assert!(found.iter().any(|off| of(&off.what)), "{name} is not among {found:?}");
    }
}

#[test]
fn dropout_draws_the_same_in_parts() {
    let n = 10_007;
    for share in [0.9, 0.5, 1.0] {
        let keep = Keep { stream: 77, first: 3, share };
        let right = keep.values(n);
        let part = Keep { first: 3 + 4_000, ..keep }.values(n - 4_000);
        assert_eq!(right[4_000..], part);
        let kept = right.iter().filter(|v| **v > 0.0).count() as f64 / n as f64;
        assert!((kept - share).abs() < 0.02, "{kept}");
        assert!(right.iter().all(|v| *v == 0.0 || *v == (1.0 / share) as f32));
        assert_ne!(Keep { stream: 78, ..keep }.values(n) == right, share < 1.0);
    }
}

#[test]
fn the_buffer_behind_a_tensor_holds_what_burn_computed() {
    if kernels().is_none() || !alone("kernels::the_buffer_behind_a_tensor_holds_what_burn_computed")
    {
        return;
    }
    let kernels = Kernels::of(&DEVICE).unwrap();
    let n = 5_003;
    let [a, b] = [31, 32].map(|seed| random(n, seed));
    let expected: Vec<f32> = a.iter().zip(&b).map(|(a, b)| (a + b) * 0.5).collect();
    let [a, b] = [a, b].map(|v| Tensor::<1>::from_data(TensorData::new(v, [n]), &*DEVICE));
    // Of a tensor that others share.
    let mean = (a.clone() + b.clone()) * 0.5;
    let slice = buffers::slice(&mean).unwrap();
    assert_eq!(floats(&kernels, &slice), expected);
    let sum = kernels.zeros(n);
    kernels.accumulate(&sum, &buffers::slice(&(mean - a * 0.5)).unwrap(), true);
    for (found, b) in floats(&kernels, &sum).iter().zip(b.into_data().iter::<f32>()) {
        assert!((found - (0.5 * b).abs()).abs() < 1e-6, "{found}, {b}");
    }
    assert!(buffers::slice(&Tensor::zeros([3], &Device::flex())).is_err());
}

/// Two masked updates from these weights, the last parameter grown by a row; then the proximal step.
fn masked_run(start: &HostWeights, rule: Rule, device: &Device) -> [Vec<f32>; 2] {
    let original = start.upload(device);
    let mut weights: Weights = original.clone();
    let last = weights.params.pop().unwrap();
    weights.params.push(Tensor::cat(vec![last, vector(&[0.5; 10], device)], 0));
    let bits: Vec<u8> = (0..start.layout.n()).map(|i| u8::from(i % 3 > 0)).collect();
    let bits = Bits::of(&bits);
    let freeze = WeightFreeze::new(&bits, &start.layout, &original, &weights, false);
    let before = weights.params.clone();
    let mut optimizer = Optimizer::new(rule, Some(freeze));
    for step in 0..2u32 {
        let gradient =
            |(i, theta): (u32, &Tensor<1>)| vector(&random(theta.dims()[0], 10 * step + i), device);
        let gradients = (0..).zip(&weights.params).map(gradient);
        let gradients = gradients.map(|g| g.clone() + g * 0.5).collect();
        optimizer.step(&mut weights, gradients, 0.01).unwrap();
    }
    let n = start.layout.n() + 10;
    let drawn = block_on(shrunk(&weights.params, &before, n / 2)).unwrap();
    [weights.params, drawn].map(|params| block_on(read_all(&params)).unwrap())
}

#[test]
fn a_masked_run_on_the_gpu_is_the_cpus() {
    if kernels().is_none() || !alone("kernels::a_masked_run_on_the_gpu_is_the_cpus") {
        return;
    }
    let mut layout = WeightLayout::default();
    for (i, n) in [1000, 17, 4608, 1, 30].into_iter().enumerate() {
        layout.param(format!("{i}"), &[n], Init::Normal(0.1));
    }
    let start = Arc::new(layout).init(1);
    assert!(Kernels::of(&start.upload(&DEVICE).device()).is_some());
    for rule in [Rule::SGD, Rule::ADAM] {
        let right = masked_run(&start, rule, &Device::flex());
        let seen = masked_run(&start, rule, &DEVICE);
        for (right, seen) in right.iter().zip(&seen) {
            assert_eq!(right.len(), start.layout.n() + 10);
            let close = right.iter().zip(seen).all(|(a, b)| (a - b).abs() < 2e-6);
            assert!(close, "{rule:?}");
        }
        for (i, (was, now)) in start.values.iter().zip(&seen[0]).enumerate() {
            assert!(i % 3 > 0 || was.to_bits() == now.to_bits(), "{rule:?}: frozen weight {i}");
        }
        let moved = seen[0].iter().zip(&start.values).filter(|(a, b)| a != b).count();
        assert!(moved > start.layout.n() / 2, "{rule:?}: {moved} weights moved");
    }
}
