//! Windows of tokens: where they lie, which tokens of a shifted window belong together, and how
//! far apart two tokens of a window are.

use burn::tensor::{Device, Int, Tensor, TensorData};

/// How the tokens of one height and width are divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Windows {
    /// Side of a window.
    pub side: usize,
    /// Height and width after padding.
    pub padded: [usize; 2],
    /// Rows and columns that windows are shifted by.
    pub shift: [usize; 2],
}

impl Windows {
    /// Windows over [h, w] tokens; along an axis with one window there is nothing to shift.
    pub fn new([h, w]: [usize; 2], side: usize, shift: usize) -> Self {
        let padded = [h, w].map(|n| n.next_multiple_of(side));
        Self { side, padded, shift: padded.map(|n| if side >= n { 0 } else { shift }) }
    }

    /// How many there are in one picture.
    pub fn count(&self) -> usize {
        self.padded.iter().map(|n| n / self.side).product()
    }

    /// [n, h, w, c] tokens, padded already, to [n · windows, side², c].
    pub fn divide(&self, x: Tensor<4>) -> Tensor<3> {
        let [n, h, w, c] = x.dims();
        let s = self.side;
        x.reshape([n, h / s, s, w / s, s, c]).permute([0, 1, 3, 2, 4, 5]).reshape([
            n * self.count(),
            s * s,
            c,
        ])
    }

    /// The inverse of [`Windows::divide`].
    pub fn join(&self, x: Tensor<3>) -> Tensor<4> {
        let [all, _, c] = x.dims();
        let (s, [h, w]) = (self.side, self.padded);
        let n = all / self.count();
        x.reshape([n, h / s, w / s, s, s, c]).permute([0, 1, 3, 2, 4, 5]).reshape([n, h, w, c])
    }

    /// Moves every token up and left by the shift, around the edge; `back` undoes it.
    pub fn roll(&self, x: Tensor<4>, back: bool) -> Tensor<4> {
        let mut x = x;
        for axis in [1, 2] {
            let (n, shift) = (self.padded[axis - 1], self.shift[axis - 1]);
            if shift > 0 {
                let at = if back { n - shift } else { shift };
                x = Tensor::cat(
                    vec![x.clone().narrow(axis, at, n - at), x.narrow(axis, 0, at)],
                    axis,
                );
            }
        }
        x
    }

    /// What is added to attention in shifted windows: -100 between tokens that came together only
    /// around an edge. [windows, side², side²]; nothing where there is no shift.
    pub fn mask(&self, device: &Device) -> Option<Tensor<3>> {
        if self.shift == [0, 0] {
            return None;
        }
        let s = self.side;
        // The part of the picture that a row or column came from.
        let part = |at: usize, axis: usize| {
            let (n, shift) = (self.padded[axis], self.shift[axis]);
            match at {
                _ if shift == 0 || at < n - s => 0,
                _ if at < n - shift => 1,
                _ => 2,
            }
        };
        let [rows, columns] = self.padded.map(|n| n / s);
        let mut mask = Vec::with_capacity(rows * columns * s.pow(4));
        for window in 0..rows * columns {
            let of = |i: usize| {
                let row = window / columns * s + i / s;
                let column = window % columns * s + i % s;
                (part(row, 0), part(column, 1))
            };
            for i in 0..s * s {
                mask.extend((0..s * s).map(|j| if of(i) == of(j) { 0.0f32 } else { -100.0 }));
            }
        }
        let shape = [rows * columns, s * s, s * s];
        Some(Tensor::from_data(TensorData::new(mask, shape), device))
    }
}

/// Which row of the position table stands between each two tokens of a window, side⁴ of them.
pub fn relative_index(side: usize) -> Vec<i32> {
    let s = side;
    let offset = |i: usize, j: usize| i + s - 1 - j;
    (0..s.pow(4))
        .map(|k| {
            let (i, j) = (k / (s * s), k % (s * s));
            (offset(i / s, j / s) * (2 * s - 1) + offset(i % s, j % s)) as i32
        })
        .collect()
}

/// [`relative_index`] on a device.
pub fn relative_rows(side: usize, device: &Device) -> Tensor<1, Int> {
    let index = relative_index(side);
    let n = index.len();
    Tensor::from_data(TensorData::new(index, [n]), device)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_with_one_window_is_not_shifted() {
        assert_eq!(Windows::new([16, 16], 4, 2).shift, [2, 2]);
        let padded = Windows::new([7, 2], 4, 2);
        assert_eq!((padded.padded, padded.shift, padded.count()), ([8, 4], [2, 0], 2));
    }

    #[test]
    fn division_and_rolling_are_undone() {
        let device = Device::flex();
        let x = Tensor::<1, Int>::arange(0..2 * 8 * 12 * 3, &device).float().reshape([2, 8, 12, 3]);
        let windows = Windows::new([8, 12], 4, 2);
        let there = windows.divide(windows.roll(x.clone(), false));
        assert_eq!(there.dims(), [12, 16, 3]);
        let back = windows.roll(windows.join(there), true);
        assert_eq!(back.into_data(), x.into_data());
    }

    #[test]
    fn a_token_is_nearest_to_itself_in_the_middle_of_the_table() {
        let index = relative_index(4);
        assert!((0..16).all(|i| index[i * 16 + i] == 24));
        assert_eq!((index[1], index[16], *index.iter().max().unwrap()), (23, 25, 48));
    }
}
