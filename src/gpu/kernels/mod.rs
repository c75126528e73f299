//! The WGSL kernels of `shaders/` as plain wgpu pipelines, each with a twin on the CPU that the
//! tests hold it against. They work on buffers: of Burn's tensors ([`super::buffers`]) or others.

mod heat;
mod keep;
mod readback;
mod scores;
mod select;
mod update;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use burn::tensor::Device;
use wgpu::util::DeviceExt;

pub use heat::Picture;
pub use keep::Keep;
pub use scores::{BIN, BINS, bin_of, layer_histogram};
pub use select::Selection;
pub use update::{Update, Updated};

/// Lanes of a workgroup in every kernel.
const LANES: u64 = 256;
/// Workgroups of the kernels that walk over any length: enough to fill any GPU.
const GROUPS: u64 = 1024;

/// Bytes after which a binding may begin, on every device, and as many values.
const STRIDE: usize = 256;
const ALIGNED: usize = STRIDE / 4;

/// A shader file and its name.
#[derive(Debug, Clone, Copy)]
struct Shader {
    name: &'static str,
    source: &'static str,
}

/// The shader `shaders/NAME.wgsl`.
macro_rules! shader {
    ($name:literal) => {
        $crate::gpu::kernels::Shader {
            name: $name,
            source: include_str!(concat!("../../../shaders/", $name, ".wgsl")),
        }
    };
}
use shader;

/// Consecutive 32-bit values in a buffer.
#[derive(Debug, Clone)]
pub struct Slice {
    pub buffer: wgpu::Buffer,
    /// In bytes, as the device binds buffers.
    pub offset: u64,
    /// How many values.
    pub n: usize,
}

impl Slice {
    /// `n` values from `start`, which is a multiple of [`ALIGNED`].
    fn part(&self, start: usize, n: usize) -> wgpu::BindingResource<'_> {
        wgpu::BindingResource::Buffer(wgpu::BufferBinding {
            buffer: &self.buffer,
            offset: self.offset + 4 * start as u64,
            size: wgpu::BufferSize::new(4 * n as u64),
        })
    }

    fn whole(&self) -> wgpu::BindingResource<'_> {
        self.part(0, self.n)
    }
}

/// A wgpu device with the kernels on it, compiled when first used.
#[derive(Debug, Clone)]
pub struct Kernels {
    pub device: wgpu::Device,
    pub queue: wgpu::Queue,
    pipelines: Arc<Mutex<HashMap<&'static str, Pipeline>>>,
}

/// A compiled shader and the layout of its bindings.
type Pipeline = (wgpu::ComputePipeline, wgpu::BindGroupLayout);

/// The wgpu device that was opened, of which a process has one, and the kernels on it.
static OPENED: OnceLock<(Device, Kernels)> = OnceLock::new();

/// What a kernel that walks over vectors works on.
struct Work<'a> {
    /// Vectors of one length, of which a dispatch sees a part.
    parts: Vec<&'a Slice>,
    /// Vectors that it sees whole.
    whole: Vec<&'a Slice>,
    /// Position of the first value.
    start: usize,
}

impl Kernels {
    /// Kernels that work on the buffers of this device.
    pub fn new(device: wgpu::Device, queue: wgpu::Queue) -> Self {
        Self { device, queue, pipelines: Arc::default() }
    }

    /// The kernels of a device that [`super::device::open`] opened; `None` on the CPU.
    pub fn of(device: &Device) -> Option<Self> {
        OPENED.get().filter(|(opened, _)| opened == device).map(|(_, kernels)| kernels.clone())
    }

    /// Makes these the kernels of a device.
    pub(super) fn serve(self, device: &Device) {
        // Burn opens a device once in a process, too.
        let _ = OPENED.set((device.clone(), self));
    }

    /// Copies values to the device.
    pub fn upload(&self, values: &[u32]) -> Slice {
        let n = values.len();
        // An empty buffer cannot be bound.
        let values = if values.is_empty() { &[0] } else { values };
        Slice { buffer: self.filled(values, USAGE), offset: 0, n }
    }

    /// A buffer of these words.
    fn filled(&self, words: &[u32], usage: wgpu::BufferUsages) -> wgpu::Buffer {
        let contents = bytemuck::cast_slice(words);
        let what = wgpu::util::BufferInitDescriptor { label: None, contents, usage };
        self.device.create_buffer_init(&what)
    }

    /// A buffer of `n` words, at first 0.
    fn empty(&self, n: usize, usage: wgpu::BufferUsages) -> wgpu::Buffer {
        let (label, size, mapped_at_creation) = (None, 4 * n as u64, false);
        let what = wgpu::BufferDescriptor { label, size, usage, mapped_at_creation };
        self.device.create_buffer(&what)
    }

    /// Zeros on the device.
    pub fn zeros(&self, n: usize) -> Slice {
        Slice { buffer: self.empty(n.max(1), USAGE), offset: 0, n }
    }

    /// The constants of many dispatches in one buffer.
    fn uniforms(&self, values: &[Constants]) -> Uniforms {
        let mut words = vec![0; STRIDE / 4 * values.len().max(1)];
        for (place, value) in words.chunks_exact_mut(STRIDE / 4).zip(values) {
            place[..value.len()].copy_from_slice(value);
        }
        let buffer = self.filled(&words, wgpu::BufferUsages::UNIFORM);
        let size = values.first().map_or(0, |value| 4 * value.len() as u64);
        Uniforms { buffer, size: wgpu::BufferSize::new(size) }
    }

    /// Workgroups that walk over `n` values.
    fn walk(n: usize) -> u64 {
        (n as u64).div_ceil(LANES).min(GROUPS)
    }

    /// Submits a dispatch for every part that one binding and one dispatch can take; `constants` are
    /// made for the position of a part and its length.
    fn walk_over(&self, shader: Shader, works: &[Work], constants: impl Fn(u32, u32) -> Constants) {
        let parts = works.iter().flat_map(|work| {
            let parts = self.parts(work.parts[0].n, LANES as usize);
            parts.map(move |part| (work, part))
        });
        let parts: Vec<_> = parts.collect();
        let each = parts.iter().map(|(w, (at, n))| constants((w.start + at) as u32, *n as u32));
        let constants = self.uniforms(&each.collect::<Vec<_>>());
        self.submit(|pass| {
            for (i, (work, part)) in parts.iter().enumerate() {
                let all = bindings(&work.parts, *part, &work.whole, constants.at(i));
                self.dispatch(pass, shader, &all, Self::walk(part.1));
            }
        });
    }

    /// Records one dispatch. Bindings are numbered in their order.
    fn dispatch(
        &self,
        pass: &mut wgpu::ComputePass,
        shader: Shader,
        bindings: &[wgpu::BindingResource],
        groups: u64,
    ) {
        let (pipeline, layout) = self.pipeline(shader);
        let entries: Vec<_> = bindings
            .iter()
            .zip(0..)
            .map(|(resource, binding)| wgpu::BindGroupEntry { binding, resource: resource.clone() })
            .collect();
        let group = self.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(shader.name),
            layout: &layout,
            entries: &entries,
        });
        pass.set_pipeline(&pipeline);
        pass.set_bind_group(0, &group, &[]);
        pass.dispatch_workgroups(groups as u32, 1, 1);
    }

    /// Records with `record` and submits.
    fn submit(&self, record: impl FnOnce(&mut wgpu::ComputePass)) {
        let mut encoder = self.device.create_command_encoder(&Default::default());
        record(&mut encoder.begin_compute_pass(&Default::default()));
        self.queue.submit([encoder.finish()]);
    }

    fn pipeline(&self, shader: Shader) -> Pipeline {
        let mut pipelines = self.pipelines.lock().unwrap_or_else(PoisonError::into_inner);
        let made = pipelines.entry(shader.name).or_insert_with(|| {
            let module = self.device.create_shader_module(wgpu::ShaderModuleDescriptor {
                label: Some(shader.name),
                source: wgpu::ShaderSource::Wgsl(shader.source.into()),
            });
            let pipeline = self.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: Some(shader.name),
                layout: None,
                module: &module,
                entry_point: None,
                compilation_options: Default::default(),
                cache: None,
            });
            let layout = pipeline.get_bind_group_layout(0);
            (pipeline, layout)
        });
        made.clone()
    }

    /// Ranges of `n` values that one binding and one dispatch of blocks of `block` values can
    /// take, each starting at a block.
    fn parts(&self, n: usize, block: usize) -> impl Iterator<Item = (usize, usize)> + use<> {
        let limits = self.device.limits();
        let bound = limits.max_storage_buffer_binding_size / 4 / block as u64;
        let blocks = bound.min(u64::from(limits.max_compute_workgroups_per_dimension)).max(1);
        let size = blocks as usize * block;
        (0..n).step_by(size).map(move |start| (start, size.min(n - start)))
    }
}

/// The bindings of most kernels: a part of some vectors, others whole, and the constants.
fn bindings<'a>(
    vectors: &[&'a Slice],
    (start, n): (usize, usize),
    whole: &[&'a Slice],
    constants: wgpu::BindingResource<'a>,
) -> Vec<wgpu::BindingResource<'a>> {
    let parts = vectors.iter().map(|vector| vector.part(start, n));
    parts.chain(whole.iter().map(|vector| vector.whole())).chain([constants]).collect()
}

/// A dispatch's constants: the words of the shader's uniform, which names them.
type Constants = Vec<u32>;

/// Constants that are numbers, then those that are floats.
fn constants(numbers: &[u32], floats: &[f32]) -> Constants {
    numbers.iter().copied().chain(floats.iter().map(|v| v.to_bits())).collect()
}

/// Constants of many dispatches.
struct Uniforms {
    buffer: wgpu::Buffer,
    size: Option<wgpu::BufferSize>,
}

impl Uniforms {
    fn at(&self, i: usize) -> wgpu::BindingResource<'_> {
        let (buffer, offset, size) = (&self.buffer, (STRIDE * i) as u64, self.size);
        wgpu::BindingResource::Buffer(wgpu::BufferBinding { buffer, offset, size })
    }
}

/// Values that kernels read and write, and that can be copied.
const USAGE: wgpu::BufferUsages = wgpu::BufferUsages::STORAGE
    .union(wgpu::BufferUsages::COPY_SRC)
    .union(wgpu::BufferUsages::COPY_DST);
