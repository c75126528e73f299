//! The heat map of a layer, painted from scores on the device.

use std::ops::Range;

use super::{ALIGNED, Kernels, Shader, Slice, constants, shader};

const HEAT: Shader = shader!("heat_map");

/// A layer as its heat map shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct Picture {
    /// Its place among all scores.
    pub range: Range<usize>,
    /// Scores in a row.
    pub width: usize,
    /// Its largest score.
    pub largest: f32,
    /// The smallest kept score; those equal to it are kept before the position `ties_end`.
    pub threshold: f32,
    pub ties_end: usize,
}

impl Kernels {
    /// A texture of `width` by `height` that [`Kernels::heat_map`] paints and a window can show.
    pub fn canvas(&self, [width, height]: [usize; 2]) -> wgpu::Texture {
        let [width, height] = [width, height].map(|n| n as u32);
        let size = wgpu::Extent3d { width, height, ..Default::default() };
        self.device.create_texture(&wgpu::TextureDescriptor {
            label: Some("heat map"),
            size,
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format: wgpu::TextureFormat::Rgba8Unorm,
            usage: wgpu::TextureUsages::STORAGE_BINDING
                | wgpu::TextureUsages::TEXTURE_BINDING
                | wgpu::TextureUsages::COPY_SRC,
            view_formats: &[],
        })
    }

    /// Whether a layer is small enough to be bound at once, as its heat map needs it.
    pub fn paints(&self, range: &Range<usize>) -> bool {
        let bytes = 4 * (range.len() + ALIGNED) as u64;
        bytes <= self.device.limits().max_storage_buffer_binding_size
    }

    /// Paints a layer, or the columns of it from `left` on that the canvas has room for: the same
    /// picture as `saliency/picture.rs`. The layer is one that the device
    /// [paints](Kernels::paints).
    pub fn heat_map(&self, scores: &Slice, of: &Picture, left: usize, canvas: &wgpu::Texture) {
        let from = of.range.start - of.range.start % ALIGNED;
        let places = [of.range.start - from, of.range.start, of.width, left].map(|n| n as u32);
        let ties_end = u32::try_from(of.ties_end).unwrap_or(u32::MAX);
        let kept = [of.threshold.to_bits(), ties_end];
        let top = of.largest.max(f32::MIN_POSITIVE).log10();
        let view = self.uniforms(&[constants(&[&places[..], &kept].concat(), &[top])]);
        let texels = canvas.create_view(&Default::default());
        let texels = wgpu::BindingResource::TextureView(&texels);
        let all = [scores.part(from, of.range.end - from), view.at(0), texels];
        let texels = canvas.width() as usize * canvas.height() as usize;
        self.submit(|pass| self.dispatch(pass, HEAT, &all, Self::walk(texels)));
    }
}
