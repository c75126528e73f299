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
        let [r, g, b] = tone(v, top, free(entry.offset + i));
        rgba.extend([r, g, b, 255]);
    }
    Heat { width, height, rgba }
}

/// The colour of a value that is not below 0, within four powers of ten of one whose logarithm is `top`.
fn tone(v: f32, top: f32, free: bool) -> [u8; 3] {
    let share = ((v.max(f32::MIN_POSITIVE).log10() - top) / 4.0 + 1.0).clamp(0.0, 1.0);
    if free { ember(share) } else { grey(share) }
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

/// Where the weights of one filter (what makes one output channel) lie in a picture of it: kernels side by
/// side, about as many across as down, a pixel a weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mosaic {
    /// Filters of the layer, and weights of one.
    pub filters: usize,
    pub n: usize,
    /// Height and width of a kernel.
    kernel: [usize; 2],
    /// Kernels in a row of the picture.
    across: usize,
}

impl Mosaic {
    /// Of a layer. What has one axis, such as a bias, is one filter.
    pub fn of(entry: &WeightEntry) -> Self {
        let filters = if entry.shape.len() > 1 { entry.shape[0].max(1) } else { 1 };
        let n = entry.n() / filters;
        let kernel = match entry.shape[..] {
            [_, _, height, width] if height * width > 0 => [height, width],
            _ => [1, 1],
        };
        let kernels = n / (kernel[0] * kernel[1]).max(1);
        let across = (1..=kernels).find(|side| side * side >= kernels).unwrap_or(1);
        Self { filters, n, kernel, across }
    }

    /// Pixels between kernels.
    fn gap(&self) -> usize {
        usize::from(self.kernel != [1, 1])
    }

    /// Pixels across and down.
    pub fn size(&self) -> [usize; 2] {
        let [height, width] = self.kernel;
        let down = (self.n / (height * width)).div_ceil(self.across).max(1);
        let gap = self.gap();
        [self.across * (width + gap) - gap, down * (height + gap) - gap]
    }

    /// The pixel of a weight of the filter.
    pub fn place(&self, weight: usize) -> [usize; 2] {
        let [height, width] = self.kernel;
        let (kernel, within) = (weight / (height * width), weight % (height * width));
        let corner = [
            (kernel % self.across) * (width + self.gap()),
            (kernel / self.across) * (height + self.gap()),
        ];
        [corner[0] + within % width, corner[1] + within / width]
    }

    /// The weight of a pixel, where there is one.
    pub fn weight(&self, [x, y]: [usize; 2]) -> Option<usize> {
        let [height, width] = self.kernel;
        let (column, row) = (x / (width + self.gap()), y / (height + self.gap()));
        let (kx, ky) = (x % (width + self.gap()), y % (height + self.gap()));
        let kernel = row * self.across + column;
        let weight = kernel * height * width + ky * width + kx;
        (column < self.across && kx < width && ky < height && weight < self.n).then_some(weight)
    }

    /// The picture of a filter, whose weights have these colours; what is between is clear.
    pub fn paint(&self, colour: impl Fn(usize) -> [u8; 3]) -> Heat {
        let [width, height] = self.size();
        let mut rgba = vec![0; 4 * width * height];
        for weight in 0..self.n {
            let [x, y] = self.place(weight);
            let [r, g, b] = colour(weight);
            rgba[4 * (y * width + x)..][..4].copy_from_slice(&[r, g, b, 255]);
        }
        Heat { width, height, rgba }
    }
}

/// The colour of a score or of a change as in [`heat`].
pub fn scored(v: f32, largest: f32, free: bool) -> [u8; 3] {
    tone(v, largest.max(f32::MIN_POSITIVE).log10(), free)
}

/// The colour of a weight: blue below 0, orange above, dark at 0; frozen ones are grey.
pub fn signed(v: f32, largest: f32, free: bool) -> [u8; 3] {
    const ENDS: [[f32; 3]; 2] = [[92.0, 170.0, 255.0], [255.0, 160.0, 70.0]];
    let share = (v.abs() / largest.max(f32::MIN_POSITIVE)).clamp(0.0, 1.0).sqrt();
    if !free {
        return grey(share);
    }
    let end = ENDS[usize::from(v > 0.0)];
    end.map(|c| (22.0 + (c - 22.0) * share) as u8)
}

/// A picture's pixel in grey, 0..=1, under what matters there, 0..=1.
pub fn over(picture: f32, share: f32) -> [u8; 3] {
    let share = share.clamp(0.0, 1.0);
    let under = 150.0 * picture.clamp(0.0, 1.0);
    ember(share).map(|c| (under + (f32::from(c) - under) * share.sqrt()) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(shape: &[usize]) -> WeightEntry {
        WeightEntry { name: "layer".into(), shape: shape.to_vec(), offset: 0 }
    }

    #[test]
    fn every_weight_of_a_filter_has_a_pixel_and_no_two_have_one() {
        for shape in [&[16, 5, 3, 3][..], &[8, 1, 5, 5], &[4, 9, 1, 1], &[10, 64], &[49, 3], &[7]] {
            let mosaic = Mosaic::of(&entry(shape));
            assert_eq!(mosaic.filters * mosaic.n, shape.iter().product::<usize>());
            let [width, height] = mosaic.size();
            let mut taken = vec![false; width * height];
            for weight in 0..mosaic.n {
                let [x, y] = mosaic.place(weight);
                assert!(x < width && y < height && !taken[y * width + x], "{shape:?}: {weight}");
                taken[y * width + x] = true;
                assert_eq!(mosaic.weight([x, y]), Some(weight));
            }
            for (at, taken) in taken.into_iter().enumerate() {
                assert_eq!(mosaic.weight([at % width, at / width]).is_some(), taken, "{shape:?}");
            }
        }
        assert_eq!(Mosaic::of(&entry(&[2, 5, 3, 3])).size(), [11, 7]);
    }

    #[test]
    fn a_filter_is_painted_weight_by_weight() {
        let mosaic = Mosaic::of(&entry(&[2, 2, 2, 2]));
        let heat = mosaic.paint(|weight| [weight as u8 + 1; 3]);
        assert_eq!((heat.width, heat.height), (5, 2));
        let red: Vec<u8> = heat.rgba.chunks_exact(4).map(|pixel| pixel[0]).collect();
        assert_eq!(red, [1, 2, 0, 5, 6, 3, 4, 0, 7, 8]);
    }

    #[test]
    fn the_sign_of_a_weight_is_its_hue_and_a_frozen_one_has_none() {
        let [r, _, b] = signed(0.5, 1.0, true);
        assert!(r > b);
        let [r, _, b] = signed(-0.5, 1.0, true);
        assert!(b > r);
        let [r, g, b] = signed(-0.5, 1.0, false);
        assert!(r == g && g == b);
    }
}
