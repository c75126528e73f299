//! The singular value decomposition of a matrix, as far as a rank: by one-sided Jacobi rotations (Golub and Van
//! Loan, section 8.6.3) where the rank is nearly full, else of its projection on a subspace that power
//! iterations find (Halko et al. 2011, algorithm 4.4).

use crate::data::{normal, seeded};

/// Vectors that the subspace has beyond the rank.
const BEYOND: usize = 8;
/// Power iterations at the most, and by what share of its square the projection still grows when they end.
const ITERATIONS: usize = 20;
const SETTLED: f64 = 1e-6;
/// Sweeps over all pairs of columns at the most, and the cosine at which two count as orthogonal.
const SWEEPS: usize = 40;
const ORTHOGONAL: f64 = 1e-14;

/// Columns of equal length.
type Columns = Vec<Vec<f64>>;

/// A ≈ Σ sᵢ·uᵢ·vᵢᵀ with the largest sᵢ first.
#[derive(Debug, Clone)]
pub struct Svd {
    /// As long as A has rows.
    pub u: Vec<Vec<f64>>,
    pub s: Vec<f64>,
    /// As long as A has columns.
    pub v: Vec<Vec<f64>>,
}

/// The `rank` largest singular values of a matrix, row after row, with their vectors; no more than it has rows or
/// columns.
pub fn truncated(values: &[f64], [rows, columns]: [usize; 2], rank: usize) -> Svd {
    if columns > rows {
        let turned: Vec<f64> =
            (0..columns).flat_map(|c| (0..rows).map(move |r| values[r * columns + c])).collect();
        let Svd { u, s, v } = truncated(&turned, [columns, rows], rank);
        return Svd { u: v, s, v: u };
    }
    let rank = rank.min(columns);
    let mut found = if rank + BEYOND >= columns {
        let all = (0..columns).map(|c| values.iter().skip(c).step_by(columns).copied().collect());
        jacobi(all.collect())
    } else {
        let basis = range(values, columns, rank + BEYOND);
        // A is about Y·(Aᵀ·Y)ᵀ, and Aᵀ·Y is W·S·Xᵀ.
        let Svd { u: w, s, v: x } = jacobi(across(values, columns, &basis));
        let u = x.iter().map(|x| combined(&basis, x)).collect();
        Svd { u, s, v: w }
    };
    found.u.truncate(rank);
    found.s.truncate(rank);
    found.v.truncate(rank);
    found
}

/// Orthonormal vectors that hold nearly as much of a matrix as as many can.
fn range(values: &[f64], columns: usize, n: usize) -> Columns {
    let mut rng = seeded(1, "svd");
    let mut rows: Columns =
        (0..n).map(|_| (0..columns).map(|_| f64::from(normal(&mut rng))).collect()).collect();
    let whole: f64 = values.iter().map(|v| v * v).sum();
    let (mut basis, mut held) = (Columns::new(), 0.0);
    for _ in 0..ITERATIONS {
        orthonormalise(&mut rows);
        basis = rows.iter().map(|row| product(values, columns, row)).collect();
        orthonormalise(&mut basis);
        rows = across(values, columns, &basis);
        let now: f64 = rows.iter().flatten().map(|v| v * v).sum();
        if now - held <= SETTLED * whole {
            break;
        }
        held = now;
    }
    basis
}

/// A·x.
fn product(values: &[f64], columns: usize, x: &[f64]) -> Vec<f64> {
    values.chunks_exact(columns).map(|row| dot(row, x)).collect()
}

/// Aᵀ·Y, column by column.
fn across(values: &[f64], columns: usize, basis: &Columns) -> Columns {
    let column = |y: &Vec<f64>| {
        let mut sum = vec![0.0; columns];
        for (row, &share) in values.chunks_exact(columns).zip(y) {
            sum.iter_mut().zip(row).for_each(|(s, v)| *s += share * v);
        }
        sum
    };
    basis.iter().map(column).collect()
}

/// The sum of columns, so much of each.
fn combined(columns: &Columns, shares: &[f64]) -> Vec<f64> {
    let mut sum = vec![0.0; columns.first().map_or(0, Vec::len)];
    for (column, share) in columns.iter().zip(shares) {
        sum.iter_mut().zip(column).for_each(|(s, v)| *s += share * v);
    }
    sum
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Makes columns orthonormal, twice over because once leaves rounding; what depends on those before becomes 0.
fn orthonormalise(columns: &mut Columns) {
    for i in 0..columns.len() {
        let (before, rest) = columns.split_at_mut(i);
        let column = &mut rest[0];
        let length = dot(column, column).sqrt();
        for _ in 0..2 {
            for other in before.iter() {
                let share = dot(other, column);
                column.iter_mut().zip(other).for_each(|(v, o)| *v -= share * o);
            }
        }
        let left = dot(column, column).sqrt();
        let scale = if left > 1e-12 * length { 1.0 / left } else { 0.0 };
        column.iter_mut().for_each(|v| *v *= scale);
    }
}

/// The whole decomposition of a matrix that is given by its columns.
fn jacobi(mut columns: Columns) -> Svd {
    let n = columns.len();
    let mut turned: Columns =
        (0..n).map(|i| (0..n).map(|j| f64::from(u8::from(i == j))).collect()).collect();
    for _ in 0..SWEEPS {
        let mut still = true;
        for p in 0..n {
            for q in p + 1..n {
                let (a, b) = pair(&mut columns, p, q);
                let [aa, bb, ab] = [dot(a, a), dot(b, b), dot(a, b)];
                if ab == 0.0 || ab.abs() <= ORTHOGONAL * (aa * bb).sqrt() {
                    continue;
                }
                still = false;
                let zeta = (bb - aa) / (2.0 * ab);
                let t = zeta.signum() / (zeta.abs() + zeta.hypot(1.0));
                let cos = 1.0 / t.hypot(1.0);
                rotate(a, b, [cos, cos * t]);
                let (a, b) = pair(&mut turned, p, q);
                rotate(a, b, [cos, cos * t]);
            }
        }
        if still {
            break;
        }
    }
    let mut all: Vec<_> = columns
        .into_iter()
        .zip(turned)
        .map(|(column, v)| (dot(&column, &column).sqrt(), column, v))
        .collect();
    all.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut found = Svd { u: Vec::new(), s: Vec::new(), v: Vec::new() };
    for (s, mut column, v) in all {
        let scale = if s > 0.0 { 1.0 / s } else { 0.0 };
        column.iter_mut().for_each(|v| *v *= scale);
        found.u.push(column);
        found.s.push(s);
        found.v.push(v);
    }
    found
}

fn pair(columns: &mut Columns, p: usize, q: usize) -> (&mut [f64], &mut [f64]) {
    let (before, rest) = columns.split_at_mut(q);
    (&mut before[p], &mut rest[0])
}

fn rotate(a: &mut [f64], b: &mut [f64], [cos, sin]: [f64; 2]) {
    for (a, b) in a.iter_mut().zip(b) {
        (*a, *b) = (cos * *a - sin * *b, sin * *a + cos * *b);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A matrix of normal numbers whose columns shrink, so that it has a spectrum.
    fn matrix(rows: usize, columns: usize) -> Vec<f64> {
        let mut rng = seeded(7, "matrix");
        let scale = |c: usize| 0.7f64.powi(c as i32);
        (0..rows * columns).map(|i| f64::from(normal(&mut rng)) * scale(i % columns)).collect()
    }

    /// The largest difference between a matrix and a decomposition of it.
    fn missed(values: &[f64], columns: usize, Svd { u, s, v }: &Svd) -> f64 {
        let at = |i: usize| {
            let (row, column) = (i / columns, i % columns);
            (0..s.len()).map(|k| u[k][row] * s[k] * v[k][column]).sum::<f64>()
        };
        (0..values.len()).map(|i| (values[i] - at(i)).abs()).fold(0.0, f64::max)
    }

    #[test]
    fn a_matrix_is_its_decomposition_whichever_way_it_lies() {
        for [rows, columns] in [[9, 5], [5, 9], [6, 6], [1, 4]] {
            let values = matrix(rows, columns);
            let found = truncated(&values, [rows, columns], 9);
            assert_eq!(found.s.len(), rows.min(columns));
            assert!(found.s.windows(2).all(|s| s[0] >= s[1]));
            assert!(missed(&values, columns, &found) < 1e-12);
            let (a, b) = (&found.u[0], &found.u[found.u.len() - 1]);
            assert!((dot(a, a) - 1.0).abs() < 1e-12 && (rows < 2 || dot(a, b).abs() < 1e-12));
        }
        let nothing = truncated(&[0.0; 12], [3, 4], 2);
        assert!(nothing.s == [0.0, 0.0] && nothing.u.iter().flatten().all(|v| v.is_finite()));
    }

    #[test]
    fn the_largest_values_are_those_of_the_whole() {
        let (rows, columns, rank) = (60, 40, 4);
        let values = matrix(rows, columns);
        let whole = truncated(&values, [rows, columns], columns);
        let part = truncated(&values, [rows, columns], rank);
        for (a, b) in part.s.iter().zip(&whole.s) {
            assert!((a - b).abs() < 1e-4 * whole.s[0], "{:?} for {:?}", part.s, &whole.s[..rank]);
        }
    }
}
