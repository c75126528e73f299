//! A layer's heat map as textures, side by side, none wider than a texture may be. Where the scores
//! are on the device that draws the window they are painted there, from the buffer that the mask is
//! selected from; else the pixels are copied to it.

use egui::{ColorImage, TextureHandle, TextureOptions};

use super::prelude::*;

/// The textures of a heat map.
#[derive(Default)]
pub struct Strips {
    copied: Vec<TextureHandle>,
    #[cfg(not(target_arch = "wasm32"))]
    painted: Vec<Canvas>,
    /// What draws the window, where that is wgpu.
    #[cfg(not(target_arch = "wasm32"))]
    pub window: Option<eframe::egui_wgpu::RenderState>,
}

/// Where a strip of at most `side` columns begins, and how wide it is.
fn strips(width: usize, side: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..width).step_by(side).map(move |left| (left, side.min(width - left)))
}

impl Strips {
    /// Copies pixels, RGBA in rows of `width`; rows below `height` are left out.
    pub fn copy(&mut self, ctx: &Context, [width, height]: [usize; 2], side: usize, rgba: &[u8]) {
        let image =
            ColorImage::from_rgba_unmultiplied([width, height], &rgba[..4 * width * height]);
        let strip = |(left, wide): (usize, usize)| {
            let rows = image.pixels.chunks(width);
            let pixels = rows.flat_map(|row| &row[left..left + wide]).copied().collect();
            let strip = ColorImage::new([wide, height], pixels);
            ctx.load_texture("heat map", strip, TextureOptions::NEAREST)
        };
        self.copied = strips(width, side).map(strip).collect();
        #[cfg(not(target_arch = "wasm32"))]
        self.painted.clear();
    }

    /// Every strip and its size in texels, from left to right.
    pub fn all(&self) -> impl Iterator<Item = (TextureId, Vec2)> {
        let copied = self.copied.iter().map(|t| (t.id(), t.size_vec2()));
        #[cfg(not(target_arch = "wasm32"))]
        let copied = copied.chain(self.painted.iter().map(Canvas::place));
        copied
    }
}

#[cfg(not(target_arch = "wasm32"))]
impl Strips {
    /// Paints a layer's saliency where its scores are; `false` where that is not the device that
    /// draws the window.
    pub fn paint(
        &mut self,
        [width, height]: [usize; 2],
        side: usize,
        saliency: &super::Saliency,
        layer: usize,
    ) -> bool {
        let ranking = &saliency.ranking;
        let range = ranking.layout.params[layer].range();
        let Some((kernels, scores)) = ranking.resident.get() else { return false };
        let Some(window) = &self.window else { return false };
        if window.device != kernels.device || !kernels.paints(&range) {
            return false;
        }
        let picture = crate::gpu::kernels::Picture {
            range,
            width,
            largest: ranking.live.largest(layer),
            threshold: saliency.threshold,
            ties_end: saliency.ties_end,
        };
        let sizes = || strips(width, side).map(|(_, wide)| vec2(wide as f32, height as f32));
        if !self.painted.iter().map(|canvas| canvas.place().1).eq(sizes()) {
            let canvas = |(_, wide)| Canvas::new(window, kernels.canvas([wide, height]));
            self.painted = strips(width, side).map(canvas).collect();
        }
        for ((left, _), canvas) in strips(width, side).zip(&self.painted) {
            kernels.heat_map(&scores, &picture, left, &canvas.texture);
        }
        self.copied.clear();
        true
    }
}

/// A texture of the device that the window knows.
#[cfg(not(target_arch = "wasm32"))]
struct Canvas {
    texture: wgpu::Texture,
    id: TextureId,
    renderer: Arc<egui::mutex::RwLock<eframe::egui_wgpu::Renderer>>,
}

#[cfg(not(target_arch = "wasm32"))]
impl Canvas {
    fn new(window: &eframe::egui_wgpu::RenderState, texture: wgpu::Texture) -> Self {
        let view = texture.create_view(&Default::default());
        let id = window.renderer.write().register_native_texture(
            &window.device,
            &view,
            wgpu::FilterMode::Nearest,
        );
        Self { texture, id, renderer: window.renderer.clone() }
    }

    fn place(&self) -> (TextureId, Vec2) {
        (self.id, vec2(self.texture.width() as f32, self.texture.height() as f32))
    }
}

#[cfg(not(target_arch = "wasm32"))]
impl Drop for Canvas {
    fn drop(&mut self) {
        self.renderer.write().free_texture(&self.id);
    }
}
