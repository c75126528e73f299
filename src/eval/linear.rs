//! The little dense algebra that the metrics need, in double precision: products of tall matrices
//! and a Cholesky factor. A crate for it would change the features of those that Burn is built on.

/// XᵀY of two matrices of `n` rows, [p, q] row by row.
pub fn product(x: &[f64], y: &[f64], n: usize) -> Vec<f64> {
    let (p, q) = (x.len() / n.max(1), y.len() / n.max(1));
    let mut out = vec![0.0; p * q];
    for (row, other) in x.chunks_exact(p.max(1)).zip(y.chunks_exact(q.max(1))) {
        for (line, a) in out.chunks_exact_mut(q).zip(row) {
            for (o, b) in line.iter_mut().zip(other) {
                *o += a * b;
            }
        }
    }
    out
}

/// The transpose of a matrix [n, n], row by row.
pub fn transposed(m: &[f64], n: usize) -> Vec<f64> {
    (0..n * n).map(|i| m[i % n * n + i / n]).collect()
}

/// The lower factor L of a symmetric positive definite matrix A = L Lᵀ.
pub struct Cholesky {
    /// [n, n] row by row; above the diagonal it is what A was.
    lower: Vec<f64>,
    n: usize,
}

impl Cholesky {
    /// Factors a matrix [n, n], of which the lower triangle is read. `None` where it is not positive
    /// definite to rounding, or not finite.
    pub fn new(mut a: Vec<f64>, n: usize) -> Option<Self> {
        for i in 0..n {
            let (above, row) = a.split_at_mut(i * n);
            for j in 0..i {
                let other = &above[j * n..][..=j];
                row[j] = (row[j] - dot(&row[..j], other)) / other[j];
            }
            let rest = row[i] - dot(&row[..i], &row[..i]);
            if !(rest > 0.0 && rest.is_finite()) {
                return None;
            }
            row[i] = rest.sqrt();
        }
        Some(Self { lower: a, n })
    }

    /// Solves A X = B in place for [n, columns] row by row.
    pub fn solve(&self, b: &mut [f64]) {
        let (n, columns) = (self.n, b.len() / self.n);
        let at = |i: usize, j: usize| self.lower[i * n + j];
        for i in 0..n {
            let (done, rest) = b.split_at_mut(i * columns);
            for (j, known) in done.chunks_exact(columns).enumerate() {
                subtract(&mut rest[..columns], known, at(i, j));
            }
            rest[..columns].iter_mut().for_each(|v| *v /= at(i, i));
        }
        for i in (0..n).rev() {
            let (rest, done) = b.split_at_mut((i + 1) * columns);
            let row = &mut rest[i * columns..];
            for (j, known) in (i + 1..n).zip(done.chunks_exact(columns)) {
                subtract(row, known, at(j, i));
            }
            row.iter_mut().for_each(|v| *v /= at(i, i));
        }
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn subtract(row: &mut [f64], other: &[f64], factor: f64) {
    for (v, o) in row.iter_mut().zip(other) {
        *v -= factor * o;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_is_solved_for_every_column() {
        // A = M Mᵀ + I of a matrix without structure.
        let m: Vec<f64> = (0..36).map(|i| ((i * 37 % 11) as f64) - 5.0).collect();
        let mut a = product(&m, &m, 6);
        (0..6).for_each(|i| a[i * 7] += 1.0);
        let wanted: Vec<f64> = (0..12).map(|i| i as f64 / 3.0 - 1.0).collect();
        // A is symmetric, so AᵀX is A X.
        let mut b = product(&a, &wanted, 6);
        Cholesky::new(a, 6).unwrap().solve(&mut b);
        assert!(b.iter().zip(&wanted).all(|(x, w)| (x - w).abs() < 1e-9), "{b:?}");
    }

    #[test]
    fn what_is_not_positive_definite_is_refused() {
        assert!(Cholesky::new(vec![1.0, 2.0, 2.0, 1.0], 2).is_none());
        assert!(Cholesky::new(vec![f64::NAN], 1).is_none());
        assert!(Cholesky::new(vec![0.0], 1).is_none());
    }
}
