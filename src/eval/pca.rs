//! The two directions in which features differ most (principal component analysis, Pearson 1901), so that
//! pictures can be drawn as points.

use super::Features;
use crate::models::delta;

/// The first two principal axes of some features.
#[derive(Debug, Clone, PartialEq)]
pub struct Pca {
    means: Vec<f64>,
    axes: [Vec<f64>; 2],
}

impl Pca {
    /// The axes of features [n, width], each with its largest part above 0. `None` where there are none, or
    /// they are not numbers.
    pub fn fit(features: &Features) -> Option<Self> {
        if features.n == 0 || features.width == 0 {
            return None;
        }
        let (centred, means) = features.centred();
        if centred.iter().any(|v| !v.is_finite()) {
            return None;
        }
        let mut found = delta::truncated(&centred, [features.n, features.width], 2).v.into_iter();
        let mut axis = || {
            let mut axis = found.next().unwrap_or_else(|| vec![0.0; features.width]);
            let largest = axis.iter().copied().max_by(|a, b| a.abs().total_cmp(&b.abs()));
            let sign = largest.map_or(1.0, f64::signum);
            axis.iter_mut().for_each(|v| *v *= sign);
            axis
        };
        Some(Self { axes: [axis(), axis()], means })
    }

    /// Where features, which must be as wide, lie along the axes: a point a row.
    pub fn project(&self, features: &Features) -> Vec<[f32; 2]> {
        let along = |row: &[f32], axis: &[f64]| {
            let parts = row.iter().zip(axis).zip(&self.means);
            parts.map(|((&v, a), mean)| (f64::from(v) - mean) * a).sum::<f64>() as f32
        };
        let rows = features.values.chunks_exact(features.width.max(1));
        rows.map(|row| self.axes.each_ref().map(|axis| along(row, axis))).collect()
    }

    /// The share of the variance of features that two axes hold, from 0 to 1.
    pub fn held(&self, features: &Features) -> f64 {
        let (centred, _) = features.centred();
        let whole: f64 = centred.iter().map(|v| v * v).sum();
        let rows = centred.chunks_exact(features.width.max(1));
        let along =
            |row: &[f64], axis: &[f64]| row.iter().zip(axis).map(|(v, a)| v * a).sum::<f64>();
        let held: f64 =
            rows.flat_map(|row| self.axes.each_ref().map(|a| along(row, a).powi(2))).sum();
        if whole > 0.0 { (held / whole).min(1.0) } else { 0.0 }
    }
}

/// Points turned so that each axis runs as the same axis of others, which are of the same items: what axes are
/// fitted to has no say in their direction.
pub fn turned(mut points: Vec<[f32; 2]>, like: &[[f32; 2]]) -> Vec<[f32; 2]> {
    for axis in 0..2 {
        let agree: f32 = points.iter().zip(like).map(|(a, b)| a[axis] * b[axis]).sum();
        if agree < 0.0 {
            points.iter_mut().for_each(|point| point[axis] = -point[axis]);
        }
    }
    points
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::rng;

    fn features(rows: &[&[f32]]) -> Features {
        Features { n: rows.len(), width: rows[0].len(), values: rows.concat() }
    }

    #[test]
    fn points_on_two_lines_lie_along_them() {
        // Variances 4 · 8 / 4 along (3, 4, 0) / 5 and 2 · 1 / 4 along (0, 0, 1), around (1, 2, 3).
        let rows: [&[f32]; 4] =
            [&[4.0, 6.0, 3.0], &[-2.0, -2.0, 3.0], &[1.0, 2.0, 4.0], &[1.0, 2.0, 2.0]];
        let given = features(&rows);
        let pca = Pca::fit(&given).unwrap();
        let expected = [[0.6, 0.8, 0.0], [0.0, 0.0, 1.0]];
        for (axis, expected) in pca.axes.iter().zip(expected) {
            assert!(axis.iter().zip(expected).all(|(a, e)| (a - e).abs() < 1e-12), "{axis:?}");
        }
        assert_eq!(pca.project(&given), [[5.0, 0.0], [-5.0, 0.0], [0.0, 1.0], [0.0, -1.0]]);
        assert!((pca.held(&given) - 1.0).abs() < 1e-12);
        // Others are projected by the same axes, around the same mean; only one of their directions is held.
        let others = features(&[&[1.0, 2.0, 8.0], &[9.0, -4.0, 8.0]]);
        assert_eq!(pca.project(&others), [[0.0, 5.0], [0.0, 5.0]]);
        assert!(pca.held(&others) < 1e-12);
    }

    #[test]
    fn two_axes_hold_as_much_as_the_two_largest_eigenvalues() {
        // Independent columns of falling spread: the first two hold (9 + 4) / (9 + 4 + 1 + …) of it.
        let spread = [3.0f32, 2.0, 1.0, 0.5, 0.25, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1];
        let mut values = rng::normals(&mut rng::seeded(5, "pca"), 4_000 * 12);
        for (i, v) in values.iter_mut().enumerate() {
            *v = *v * spread[i % 12] + 7.0;
        }
        let given = Features { n: 4_000, width: 12, values };
        let pca = Pca::fit(&given).unwrap();
        let squares: Vec<f64> = spread.iter().map(|s| f64::from(s * s)).collect();
        let expected = (squares[0] + squares[1]) / squares.iter().sum::<f64>();
        assert!((pca.held(&given) - expected).abs() < 0.01, "{}", pca.held(&given));
        assert!(pca.axes[0][0] > 0.99 && pca.axes[1][1] > 0.99, "{:?}", pca.axes);
    }

    #[test]
    fn what_has_no_directions_has_no_axes_or_points_at_the_middle() {
        assert_eq!(Pca::fit(&Features::default()), None);
        assert_eq!(Pca::fit(&features(&[&[f32::NAN, 1.0], &[0.0, 1.0]])), None);
        let same = features(&[&[2.0, 5.0][..]; 3]);
        let pca = Pca::fit(&same).unwrap();
        assert_eq!(pca.project(&same), [[0.0; 2]; 3]);
        assert_eq!(pca.held(&same), 0.0);
    }

    #[test]
    fn axes_of_others_are_turned_the_same_way() {
        let like = [[1.0, 2.0], [-1.0, -2.0]];
        assert_eq!(turned(vec![[-3.0, 1.0], [3.0, -1.0]], &like), [[3.0, 1.0], [-3.0, -1.0]]);
    }
}
