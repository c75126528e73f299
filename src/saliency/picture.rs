//! A layer as a picture: one pixel a weight.

use crate::models::WeightEntry;

/// A layer as colours, RGBA, `height` rows of `width`.
#[derive(Debug, Clone, PartialEq)]
pub struct Heat {
    pub width: usize,
    pub height: usize,
    pub rgba: Vec<u8>,
}

/// Weights across and down in a layer's heat map: rows are output channels; a row runs over input
/// channels and kernel positions.
pub fn size(entry: &WeightEntry) -> [usize; 2] {
    let height = if entry.shape.len() > 1 { entry.shape[0] } else { 1 };
    [entry.n() / height, height]
}

/// The heat map of a layer: brightness by the logarithm of the value within four powers of ten of
/// `largest`, the layer's largest or nearly; frozen weights are grey, the others coloured.
/// `values` are those of all N weights; `free` tells of each, by its position among them, whether
/// it may change. The same in WGSL is `shaders/heat_map.wgsl`.
pub fn heat(
    entry: &WeightEntry,
    values: &[f32],
    largest: f32,
    free: impl Fn(usize) -> bool,
) -> Heat {
    let values = &values[entry.range()];
    let [width, height] = size(entry);
    let top = largest.max(f32::MIN_POSITIVE).log10();
    let mut rgba = Vec::with_capacity(4 * values.len());
    for (i, &v) in values.iter().enumerate() {
        let share = ((v.max(f32::MIN_POSITIVE).log10() - top) / 4.0 + 1.0).clamp(0.0, 1.0);
        let [r, g, b] = if free(entry.offset + i) { ember(share) } else { grey(share) };
        rgba.extend([r, g, b, 255]);
    }
    Heat { width, height, rgba }
}

fn grey(share: f32) -> [u8; 3] {
    [(24.0 + 60.0 * share) as u8; 3]
}

/// Dark red over orange to pale yellow; lightness grows evenly, so it reads without colour vision.
pub fn ember(share: f32) -> [u8; 3] {
    const STOPS: [[f32; 3]; 4] =
        [[70.0, 16.0, 60.0], [180.0, 45.0, 60.0], [245.0, 140.0, 40.0], [252.0, 245.0, 180.0]];
    let at = share.clamp(0.0, 1.0) * 3.0;
    let i = (at as usize).min(2);
    let f = at - i as f32;
    std::array::from_fn(|c| (STOPS[i][c] + (STOPS[i + 1][c] - STOPS[i][c]) * f) as u8)
}
