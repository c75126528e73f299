//! The Frechet distance between generated and real pictures, on the features of the project's own
//! classifier (docs/methods.md#metrics). It is no FID: that is over another network's features.

use super::classify::BATCH;
use super::linear::{product, transposed};
use super::{Features, Judge};
use crate::data::{Dataset, PictureShape, Pictures, rng};
use crate::error::Result;
use crate::job_context::JobContext;
use crate::words::Frechet;

/// Real pictures for each generated one that the reference is over, as far as there are as many.
const REAL: usize = 10;

/// Dimensions of features above which their covariance is not written out: its square root takes minutes.
const WIDE: usize = 512;

/// Mean and covariance of features in `d` dimensions.
#[derive(Debug, Clone, PartialEq)]
pub struct Moments {
    pub mean: Vec<f64>,
    pub spread: Spread,
}

/// How features lie about their mean.
#[derive(Debug, Clone, PartialEq)]
pub enum Spread {
    /// The covariance, d x d, rows one after another.
    Covariance(Vec<f64>),
    /// Of wide ones X, [n, d] row by row: the covariance is XᵀX.
    Rows(Vec<f64>),
}

/// What generated pictures of the kept classes are compared with.
#[derive(Debug, Clone)]
pub struct Reference {
    moments: Moments,
    /// The distance of as many other real pictures, which no generator can be expected to beat.
    floor: f64,
}

impl Reference {
    /// Bytes of main memory.
    pub fn bytes(&self) -> usize {
        match &self.moments.spread {
            Spread::Covariance(values) | Spread::Rows(values) => size_of_val(&values[..]),
        }
    }
}

impl Moments {
    /// The moments of features of `d` values each; the covariance is over n - 1.
    pub fn of(features: &Features) -> Self {
        let (off, mean) = features.centred();
        let over = features.n.saturating_sub(1).max(1) as f64;
        let spread = match features.width > WIDE {
            true => Spread::Rows(off.into_iter().map(|v| v / over.sqrt()).collect()),
            false => {
                let all = product(&off, &off, features.n).into_iter();
                Spread::Covariance(all.map(|c| c / over).collect())
            }
        };
        Self { mean, spread }
    }

    /// |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^1/2) (Dowson and Landau 1982).
    pub fn distance(&self, other: &Self) -> f64 {
        let d = self.mean.len();
        let apart: f64 = self.mean.iter().zip(&other.mean).map(|(a, b)| (a - b).powi(2)).sum();
        let trace = |m: &[f64]| (0..d).map(|i| m[i * d + i]).sum::<f64>();
        let squares = |rows: &[f64]| rows.iter().map(|v| v * v).sum::<f64>();
        match (&self.spread, &other.spread) {
            (Spread::Covariance(a), Spread::Covariance(b)) => {
                // (C1 C2)^1/2 has the trace of the symmetric (C1^1/2 C2 C1^1/2)^1/2.
                let root = square_root(a, d);
                let half = product(&transposed(&root, d), b, d);
                let inner = product(&transposed(&half, d), &root, d);
                apart + trace(a) + trace(b) - 2.0 * roots(&eigen(&inner, d).0)
            }
            (Spread::Rows(a), Spread::Rows(b)) => {
                // The roots of C1 C2's eigenvalues are the singular values of X1 X2ᵀ, which has few columns.
                let [few, many] = if a.len() < b.len() { [a, b] } else { [b, a] };
                let n = few.len() / d.max(1);
                let across: Vec<f64> = many
                    .chunks_exact(d.max(1))
                    .flat_map(|row| few.chunks_exact(d).map(move |other| dot(row, other)))
                    .collect();
                let inner = product(&across, &across, many.len() / d.max(1));
                apart + squares(a) + squares(b) - 2.0 * roots(&eigenvalues(&inner, n))
            }
            // Features of one network are as wide.
            _ => f64::NAN,
        }
    }
}

/// The sum of the roots of eigenvalues.
fn roots(values: &[f64]) -> f64 {
    values.iter().map(|v| v.max(0.0).sqrt()).sum()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The reference for generations of the kept classes, `each` of them a class: real test pictures,
/// and for the floor real training pictures, `each` a class.
///
/// # Errors
/// Cancelled, or the device failed.
pub async fn reference(
    judge: &Judge,
    data: &Dataset,
    kept: &[usize],
    each: usize,
    job: &mut JobContext,
) -> Result<Reference> {
    let of = |pictures: &Pictures, most: usize, purpose: &str| -> Vec<usize> {
        let mut left = vec![0; data.classes.len()];
        kept.iter().for_each(|&class| left[class] = most);
        let mut some = rng::shuffled(&mut rng::seeded(0, purpose), pictures.len());
        some.retain(|&i| {
            let left = &mut left[usize::from(pictures.labels[i])];
            let wanted = *left > 0;
            *left -= usize::from(wanted);
            wanted
        });
        some
    };
    let test = of(&data.test, REAL * each, "frechet reference");
    let train = of(&data.train, each, "frechet floor");
    job.phase("Looking at real pictures", test.len() + train.len());
    let moments = Moments::of(&judge.features_of(&data.test, &test, job).await?);
    let others = Moments::of(&judge.features_of(&data.train, &train, job).await?);
    Ok(Reference { floor: moments.distance(&others), moments })
}

/// The distance of generated pictures of the kept classes, as values in [0, 1], to the reference.
///
/// # Errors
/// Cancelled, or the device failed.
pub async fn measure(
    judge: &Judge,
    reference: &Reference,
    made: &[f32],
    shape: PictureShape,
    job: &mut JobContext,
) -> Result<Frechet> {
    let mut features = Features::default();
    for batch in made.chunks(BATCH * shape.n()) {
        features.extend(judge.features(batch, shape.axes()).await?);
        job.check().await?;
    }
    Ok(Frechet {
        value: Moments::of(&features).distance(&reference.moments),
        n: features.n,
        floor: reference.floor,
    })
}

/// The symmetric square root of a positive semi-definite matrix.
fn square_root(m: &[f64], d: usize) -> Vec<f64> {
    let (values, vectors) = eigen(m, d);
    let vectors = transposed(&vectors, d);
    let mut scaled = vectors.clone();
    for (line, value) in scaled.chunks_exact_mut(d).zip(values) {
        line.iter_mut().for_each(|v| *v *= value.max(0.0).sqrt());
    }
    product(&scaled, &vectors, d)
}

/// Eigenvalues of a symmetric matrix, and the eigenvectors in the columns of the second (Jacobi's
/// cyclic rotations; exact enough for a few hundred dimensions, and without a dependency).
fn eigen(m: &[f64], d: usize) -> (Vec<f64>, Vec<f64>) {
    let mut a = m.to_vec();
    let mut v = vec![0.0; d * d];
    (0..d).for_each(|i| v[i * d + i] = 1.0);
    let scale: f64 = a.iter().map(|x| x * x).sum();
    for _sweep in 0..60 {
        let off: f64 = (0..d)
            .flat_map(|i| (0..i).map(move |j| (i, j)))
            .map(|(i, j)| a[i * d + j].powi(2))
            .sum();
        if off <= 1e-24 * scale {
            break;
        }
        for p in 0..d {
            for q in p + 1..d {
                rotate(&mut a, &mut v, d, p, q);
            }
        }
    }
    ((0..d).map(|i| a[i * d + i]).collect(), v)
}

/// Turns the plane of p and q so that the element between them is 0.
fn rotate(a: &mut [f64], v: &mut [f64], d: usize, p: usize, q: usize) {
    let between = a[p * d + q];
    if between == 0.0 {
        return;
    }
    let theta = (a[q * d + q] - a[p * d + p]) / (2.0 * between);
    let t = theta.signum() / (theta.abs() + (theta * theta + 1.0).sqrt());
    let t = if theta == 0.0 { 1.0 } else { t };
    let c = 1.0 / (t * t + 1.0).sqrt();
    let s = t * c;
    for k in 0..d {
        let (x, y) = (a[k * d + p], a[k * d + q]);
        a[k * d + p] = c * x - s * y;
        a[k * d + q] = s * x + c * y;
    }
    for k in 0..d {
        let (x, y) = (a[p * d + k], a[q * d + k]);
        a[p * d + k] = c * x - s * y;
        a[q * d + k] = s * x + c * y;
        let (x, y) = (v[k * d + p], v[k * d + q]);
        v[k * d + p] = c * x - s * y;
        v[k * d + q] = s * x + c * y;
    }
}

/// Eigenvalues of a symmetric matrix alone, in no order, of one too large for Jacobi's rotations: Householder's
/// tridiagonal form, then implicit QL (Wilkinson and Reinsch 1971).
fn eigenvalues(m: &[f64], d: usize) -> Vec<f64> {
    let (mut on, mut beside) = tridiagonal(m, d);
    let most = on.iter().chain(&beside).fold(0.0, |most: f64, v| most.max(v.abs()));
    for first in 0..d {
        for _turn in 0..60 {
            let small = |&i: &usize| beside[i].abs() <= f64::EPSILON * most;
            let last = (first..d - 1).find(small).unwrap_or(d - 1);
            if last == first {
                break;
            }
            let half = (on[first + 1] - on[first]) / (2.0 * beside[first]);
            let shift = beside[first] / (half + half.hypot(1.0).copysign(half));
            let (mut g, mut s, mut c, mut p) = (on[last] - on[first] + shift, 1.0, 1.0, 0.0);
            for i in (first..last).rev() {
                let (f, b) = (s * beside[i], c * beside[i]);
                let r = f.hypot(g).max(f64::MIN_POSITIVE);
                beside[i + 1] = r;
                (s, c) = (f / r, g / r);
                g = on[i + 1] - p;
                let r = (on[i] - g) * s + 2.0 * c * b;
                p = s * r;
                on[i + 1] = g + p;
                g = c * r - b;
            }
            on[first] -= p;
            (beside[first], beside[last]) = (g, 0.0);
        }
    }
    on
}

/// The diagonal and what stands beside it, and a 0, of a tridiagonal matrix with a symmetric one's eigenvalues.
fn tridiagonal(m: &[f64], d: usize) -> (Vec<f64>, Vec<f64>) {
    let (mut a, mut beside) = (m.to_vec(), vec![0.0; d]);
    for i in (1..d).rev() {
        // A reflection after which the row has its last value alone.
        let mut v = a[i * d..i * d + i].to_vec();
        let length = dot(&v, &v).sqrt().copysign(v[i - 1]);
        beside[i - 1] = -length;
        v[i - 1] += length;
        let half = dot(&v, &v) / 2.0;
        if half == 0.0 {
            continue;
        }
        let p: Vec<f64> = (0..i).map(|j| dot(&a[j * d..j * d + i], &v) / half).collect();
        let along = dot(&v, &p) / (2.0 * half);
        let q: Vec<f64> = p.iter().zip(&v).map(|(p, v)| p - along * v).collect();
        for j in 0..i {
            let row = a[j * d..j * d + i].iter_mut().zip(v.iter().zip(&q));
            row.for_each(|(x, (vk, qk))| *x -= v[j] * qk + q[j] * vk);
        }
    }
    ((0..d).map(|i| a[i * d + i]).collect(), beside)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(mean: &[f64], covariance: &[f64]) -> Moments {
        Moments { mean: mean.to_vec(), spread: Spread::Covariance(covariance.to_vec()) }
    }

    /// SciPy's `sqrtm` gives the same: see the values' own form.
    #[test]
    fn the_distance_of_known_normals() {
        // One dimension: (m1 - m2)^2 + (s1 - s2)^2.
        let one = normal(&[1.0], &[4.0]).distance(&normal(&[3.0], &[9.0]));
        assert!((one - 5.0).abs() < 1e-12, "{one}");
        // Commuting covariances: the same in every direction.
        let two = normal(&[0.0, 0.0], &[4.0, 0.0, 0.0, 1.0]);
        let other = normal(&[0.0, 0.0], &[1.0, 0.0, 0.0, 9.0]);
        assert!((two.distance(&other) - 5.0).abs() < 1e-12);
        // The trace of the root of a product of 2 x 2 matrices: sqrt(tr + 2 sqrt(det)).
        let (a, b) = ([2.0, 0.5, 0.5, 1.0], [1.0, -0.3, -0.3, 3.0]);
        let (trace, det) = (2.0 - 0.15 - 0.15 + 3.0, 1.75 * 2.91f64);
        let expected = 3.0 + 4.0 - 2.0 * (trace + 2.0 * det.sqrt()).sqrt();
        let zero = [0.0, 0.0];
        assert!((normal(&zero, &a).distance(&normal(&zero, &b)) - expected).abs() < 1e-10);
    }

    #[test]
    fn equal_pictures_have_no_distance_and_eigenvalues_keep_the_trace() {
        let mut rng = rng::seeded(1, "test");
        let (n, d) = (200, 24);
        let values = rng::normals(&mut rng, n * d);
        let moments = Moments::of(&Features { n, width: d, values });
        assert!(moments.distance(&moments).abs() < 1e-9);
        let Spread::Covariance(covariance) = &moments.spread else { panic!("it is narrow") };
        let (values, _) = eigen(covariance, d);
        let trace: f64 = (0..d).map(|i| covariance[i * d + i]).sum();
        assert!((values.iter().sum::<f64>() - trace).abs() < 1e-9);
        let root = square_root(covariance, d);
        let again = product(&transposed(&root, d), &root, d);
        let far = again.iter().zip(covariance).map(|(a, b)| (a - b).abs());
        assert!(far.fold(0.0, f64::max) < 1e-10);
    }

    #[test]
    fn eigenvalues_are_the_same_without_their_vectors() {
        let mut rng = rng::seeded(3, "test");
        for (n, rank) in [(1, 1), (2, 2), (30, 30), (40, 9)] {
            let rows = rng::normals(&mut rng, n * rank);
            let rows: Vec<f64> = rows.iter().map(|v| f64::from(*v)).collect();
            // Of X Xᵀ, whose other eigenvalues are 0.
            let line = |i: usize| &rows[i * rank..][..rank];
            let m: Vec<f64> = (0..n * n).map(|at| dot(line(at / n), line(at % n))).collect();
            let [mut right, mut found] = [eigen(&m, n).0, eigenvalues(&m, n)];
            right.sort_by(f64::total_cmp);
            found.sort_by(f64::total_cmp);
            let far = right.iter().zip(&found).map(|(a, b)| (a - b).abs());
            assert!(far.fold(0.0, f64::max) < 1e-12 * right[n - 1].max(1.0) * n as f64, "{n}");
        }
    }

    #[test]
    fn wide_features_have_the_distance_of_their_covariances() {
        let mut rng = rng::seeded(2, "test");
        let d = 40;
        let [one, two] = [30, 50].map(|n| {
            let values = rng::normals(&mut rng, n * d);
            Features { n, width: d, values }
        });
        let narrow = Moments::of(&one).distance(&Moments::of(&two));
        let wide = |f: &Features| {
            let (off, mean) = f.centred();
            let over = ((f.n - 1) as f64).sqrt();
            Moments { mean, spread: Spread::Rows(off.into_iter().map(|v| v / over).collect()) }
        };
        let found = wide(&one).distance(&wide(&two));
        // Roots of eigenvalues that rounding leaves of 0 are all that differs.
        assert!((found - narrow).abs() < 1e-4 * narrow, "{found} for {narrow}");
    }
}
