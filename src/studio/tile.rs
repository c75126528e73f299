//! From a grid of tiles to a texture, and where in it each tile lies.

use egui::{ColorImage, Image, TextureFilter, TextureHandle, TextureOptions};

use super::prelude::*;
use crate::saliency::picture::ember;

/// Pixels of its own edge around each tile, so that filtering never mixes neighbours.
const EDGE: usize = 1;

/// One grid as a texture, renewed when the grid changes.
#[derive(Default)]
pub struct Sheet {
    held: Option<(Arc<Grid>, TextureHandle)>,
    /// Two grids that were compared last, and how they differ.
    differ: Option<([Arc<Grid>; 2], Arc<Grid>)>,
}

impl Sheet {
    /// The texture of a grid.
    pub fn texture(&mut self, ctx: &Context, grid: &Arc<Grid>) -> TextureId {
        let (held, texture) = self.held.get_or_insert_with(|| (grid.clone(), load(ctx, grid)));
        if !Arc::ptr_eq(held, grid) {
            *held = grid.clone();
            texture.set(pixels(grid), options(grid));
        }
        texture.id()
    }

    /// How a grid differs from another, as [`difference`].
    pub fn difference(&mut self, grid: &Arc<Grid>, from: &Arc<Grid>) -> Arc<Grid> {
        let known = |([a, b], _): &&([Arc<Grid>; 2], Arc<Grid>)| {
            Arc::ptr_eq(a, grid) && Arc::ptr_eq(b, from)
        };
        if let Some((_, made)) = self.differ.as_ref().filter(known) {
            return made.clone();
        }
        let made = Arc::new(difference(grid, from));
        self.differ = Some(([grid.clone(), from.clone()], made.clone()));
        made
    }

    /// The grid as it was drawn last.
    pub fn grid(&self) -> Option<&Arc<Grid>> {
        self.held.as_ref().map(|(grid, _)| grid)
    }
}

/// How far the pictures of a grid are from another's, as heat: no difference is the darkest, half of the range and more
/// the brightest; the mean over channels. Nothing is taken from pictures of another kind: they stay as they are.
pub fn difference(grid: &Grid, from: &Grid) -> Grid {
    if (grid.channels, grid.tile, grid.pixels.len())
        != (from.channels, from.tile, from.pixels.len())
    {
        return grid.clone();
    }
    let (plane, channels) = (grid.tile[0] * grid.tile[1], grid.channels);
    let each = (plane * channels).max(1);
    let mut pixels = Vec::with_capacity(grid.pixels.len() / channels.max(1) * 3);
    for (a, b) in grid.pixels.chunks_exact(each).zip(from.pixels.chunks_exact(each)) {
        let far = |i: usize| {
            let channel = |c: usize| f32::from(a[c * plane + i].abs_diff(b[c * plane + i]));
            (0..channels).map(channel).sum::<f32>() / (channels as f32 * 127.5)
        };
        let heat: Vec<[u8; 3]> = (0..plane).map(|i| hot(far(i))).collect();
        pixels.extend((0..3).flat_map(|c| heat.iter().map(move |rgb| rgb[c])));
    }
    Grid { channels: 3, pixels, ..grid.clone() }
}

/// The colour of a share of the brightest, 0..=1: black for nothing, then as heat maps of weights.
pub fn hot(share: f32) -> [u8; 3] {
    let share = share.clamp(0.0, 1.0);
    // The first of its colours comes in gently.
    ember(share).map(|v| (f32::from(v) * (share / 0.15).min(1.0)) as u8)
}

/// A grid that stays as it is as a texture.
pub fn load(ctx: &Context, grid: &Grid) -> TextureHandle {
    ctx.load_texture("tiles", pixels(grid), options(grid))
}

/// A tile as a picture, so many points wide.
pub fn image(texture: TextureId, grid: &Grid, at: [usize; 2], width: f32) -> Image<'static> {
    let [row, column] = at;
    let size = vec2(width, width * grid.tile[0] as f32 / grid.tile[1] as f32);
    Image::from_texture((texture, size)).uv(uv(grid, row, column)).fit_to_exact_size(size)
}

/// The tile's part of the texture.
pub fn uv(grid: &Grid, row: usize, column: usize) -> Rect {
    let [across, down] = cells(grid);
    let [height, width] = grid.tile.map(|side| (side + 2 * EDGE) as f32);
    let index = row * grid.columns + column;
    let (x, y) = ((index % across) as f32, (index / across) as f32);
    // Texture coordinates, 0..1 over the whole texture.
    let at = |x: f32, y: f32| pos2(x / (across as f32 * width), y / (down as f32 * height));
    let edge = EDGE as f32;
    Rect::from_min_max(
        at(x * width + edge, y * height + edge),
        at((x + 1.0) * width - edge, (y + 1.0) * height - edge),
    )
}

/// Side in pixels from which on a tile is a picture, and its pixels are nothing to be seen.
const FINE: usize = 48;

fn options(grid: &Grid) -> TextureOptions {
    let fine = grid.tile.iter().all(|side| *side >= FINE);
    let magnification = if fine { TextureFilter::Linear } else { TextureFilter::Nearest };
    TextureOptions { magnification, ..TextureOptions::LINEAR }
}

/// Cells across and down: near a square, so that many tiles fit a texture.
fn cells(grid: &Grid) -> [usize; 2] {
    let n = (grid.rows.len() * grid.columns).max(1);
    let across = n.isqrt().max(1);
    [across, n.div_ceil(across)]
}

fn pixels(grid: &Grid) -> ColorImage {
    let [across, down] = cells(grid);
    let [height, width] = grid.tile;
    let (cell_h, cell_w) = (height + 2 * EDGE, width + 2 * EDGE);
    let size = [across * cell_w, down * cell_h];
    let mut image = ColorImage::filled(size, Color32::BLACK);
    for index in 0..grid.rows.len() * grid.columns {
        let tile = grid.pixels_of(index / grid.columns, index % grid.columns);
        let origin = (index / across) * cell_h * size[0] + (index % across) * cell_w;
        for y in 0..cell_h {
            let inner_y = y.saturating_sub(EDGE).min(height - 1);
            for x in 0..cell_w {
                let at = inner_y * width + x.saturating_sub(EDGE).min(width - 1);
                let channel = |c: usize| tile[c.min(grid.channels - 1) * height * width + at];
                image.pixels[origin + y * size[0] + x] =
                    Color32::from_rgb(channel(0), channel(1), channel(2));
            }
        }
    }
    image
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grey(pixels: Vec<u8>) -> Grid {
        Grid::new(vec![Some(0)], [1, 1, 2], pixels, vec![None; 2])
    }

    #[test]
    fn a_difference_is_black_where_there_is_none_and_brightest_from_half_of_the_range_on() {
        let [before, after] = [vec![10, 200, 90, 0], vec![10, 40, 90, 127]].map(grey);
        let differs = difference(&after, &before);
        assert_eq!((differs.channels, differs.tile, differs.pixels.len()), (3, [1, 2], 12));
        let of = |tile: usize, i: usize| -> Vec<u8> {
            (0..3).map(|c| differs.pixels_of(0, tile)[c * 2 + i]).collect()
        };
        assert_eq!([of(0, 0), of(1, 0)], [vec![0; 3], vec![0; 3]]);
        assert_eq!(of(0, 1), hot(1.0));
        assert!(of(1, 1)[0] > 240, "nearly half of the range is nearly the brightest");
        let coloured = Grid { channels: 3, ..before.clone() };
        assert_eq!(difference(&coloured, &before), coloured);
    }

    #[test]
    fn a_tile_lies_where_its_uv_says() {
        let grid = Grid {
            rows: vec![Some(0), Some(1)],
            names: Vec::new(),
            columns: 3,
            channels: 1,
            tile: [2, 2],
            pixels: (0..6).flat_map(|tile| [tile; 4]).collect(),
            seen: vec![None; 6],
        };
        let image = pixels(&grid);
        for (row, column, value) in [(0, 0, 0), (0, 2, 2), (1, 0, 3), (1, 2, 5)] {
            let uv = uv(&grid, row, column);
            let (x, y) =
                (uv.center().x * image.size[0] as f32, uv.center().y * image.size[1] as f32);
            let pixel = image.pixels[y as usize * image.size[0] + x as usize];
            assert_eq!(pixel, Color32::from_gray(value));
        }
    }
}
