//! What is left inside a network, read from its features (docs/methods.md#metrics): a linear probe and
//! linear CKA. And how far its answers are from another's (7.9).

use burn::tensor::Tensor;

use super::Outputs;
use super::linear::{Cholesky, product};
use crate::error::Result;
use crate::models::weights::read;

/// Features of some items, one row each.
#[derive(Debug, Clone, Default)]
pub struct Features {
    pub n: usize,
    pub width: usize,
    /// [n, width], row by row.
    pub values: Vec<f32>,
}

impl Features {
    /// Adds rows. [n, width].
    ///
    /// # Errors
    /// The device failed.
    pub async fn append(&mut self, rows: Tensor<2>) -> Result<()> {
        let [n, width] = rows.dims();
        self.values.extend(read(rows).await?);
        (self.n, self.width) = (self.n + n, width);
        Ok(())
    }

    /// Adds the rows of others that are as wide.
    pub fn extend(&mut self, others: Self) {
        (self.n, self.width) = (self.n + others.n, others.width);
        self.values.extend(others.values);
    }

    /// In double precision, each column less its mean; and those means.
    pub fn centred(&self) -> (Vec<f64>, Vec<f64>) {
        let mut means = vec![0.0; self.width];
        for row in self.values.chunks_exact(self.width) {
            for (mean, &v) in means.iter_mut().zip(row) {
                *mean += f64::from(v) / self.n as f64;
            }
        }
        let of_row = |row: &[f32]| -> Vec<f64> {
            row.iter().zip(&means).map(|(&v, mean)| f64::from(v) - mean).collect()
        };
        (self.values.chunks_exact(self.width).flat_map(of_row).collect(), means)
    }
}

/// Linear CKA (Kornblith et al. 2019) of the features of the same items in two networks, from 0 to
/// 1: ‖YᵀX‖² / (‖XᵀX‖ ‖YᵀY‖), Frobenius norms of centred features. `None` where the items differ in
/// number or features of one are constant or not numbers.
pub fn cka(x: &Features, y: &Features) -> Option<f64> {
    if x.n != y.n || x.n == 0 {
        return None;
    }
    let whole = |f: &Features| f.values.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>();
    let raw = whole(x) * whole(y);
    let (n, x, y) = (x.n, x.centred().0, y.centred().0);
    let squares = |a: &[f64], b: &[f64]| product(a, b, n).iter().map(|v| v * v).sum::<f64>();
    let own = (squares(&x, &x) * squares(&y, &y)).sqrt();
    // Constant features leave rounding and nothing else.
    (own.is_finite() && own > 1e-20 * raw).then(|| (squares(&y, &x) / own).clamp(0.0, 1.0))
}

/// Ridge penalty, as a share of the mean squared length of a centred feature.
const RIDGE: f64 = 1e-3;

/// A linear classifier on frozen features: least squares to one-hot targets with a ridge penalty, in
/// closed form; the largest output is the class.
#[derive(Debug, Clone)]
pub struct Probe {
    /// [width, classes], row by row.
    weights: Vec<f64>,
    bias: Vec<f64>,
}

impl Probe {
    /// Fits features to their classes. `None` where there are none or they are not numbers.
    pub fn fit(features: &Features, labels: &[usize], classes: usize) -> Option<Self> {
        let (n, width) = (features.n, features.width);
        if n == 0 || n != labels.len() {
            return None;
        }
        let (x, means) = features.centred();
        let mut shares = vec![0.0; classes];
        for &label in labels {
            shares[label] += 1.0 / n as f64;
        }
        let target: Vec<f64> = labels
            .iter()
            .flat_map(|&label| {
                shares.iter().enumerate().map(move |(c, s)| f64::from(u8::from(label == c)) - s)
            })
            .collect();
        let mut gram = product(&x, &x, n);
        let diagonal = (0..width).map(|i| i * (width + 1));
        let trace: f64 = diagonal.clone().map(|i| gram[i]).sum();
        // Features that are all constant have no length: any penalty will do.
        let penalty = (RIDGE * trace / width as f64).max(1e-9);
        diagonal.for_each(|i| gram[i] += penalty);
        let mut weights = product(&x, &target, n);
        Cholesky::new(gram, width)?.solve(&mut weights);
        let mut bias = shares;
        for (row, mean) in weights.chunks_exact(classes).zip(&means) {
            for (b, w) in bias.iter_mut().zip(row) {
                *b -= mean * w;
            }
        }
        weights.iter().all(|w| w.is_finite()).then_some(Self { weights, bias })
    }

    /// The class of each row.
    pub fn classes(&self, features: &Features) -> Vec<usize> {
        let classes = self.bias.len();
        let class = |row: &[f32]| {
            let mut out = self.bias.clone();
            for (&v, weights) in row.iter().zip(self.weights.chunks_exact(classes)) {
                for (o, w) in out.iter_mut().zip(weights) {
                    *o += f64::from(v) * w;
                }
            }
            (0..classes).max_by(|&a, &b| out[a].total_cmp(&out[b])).unwrap_or(0)
        };
        features.values.chunks_exact(features.width.max(1)).map(class).collect()
    }
}

/// Mean Jensen-Shannon divergence of two networks' probabilities of the same items, in bits: 0 where
/// they agree, 1 where they share no class.
pub fn js_divergence(a: &Outputs, b: &Outputs) -> f64 {
    fn term(p: f64, m: f64) -> f64 {
        if p > 0.0 { p * (p / m).log2() } else { 0.0 }
    }
    mean(a, b, |(p, q)| (term(p, (p + q) / 2.0) + term(q, (p + q) / 2.0)) / 2.0, |sum| sum)
}

/// Mean Euclidean distance of two networks' probabilities of the same items (activation distance,
/// Golatkar et al. 2020), from 0 to √2.
pub fn activation_distance(a: &Outputs, b: &Outputs) -> f64 {
    mean(a, b, |(p, q)| (p - q).powi(2), f64::sqrt)
}

fn mean(a: &Outputs, b: &Outputs, term: fn((f64, f64)) -> f64, whole: fn(f64) -> f64) -> f64 {
    let item = |i: usize| {
        let pairs = a.row(i).iter().zip(b.row(i));
        whole(pairs.map(|(&p, &q)| term((p.into(), q.into()))).sum())
    };
    (0..a.len()).map(item).sum::<f64>() / a.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::rng;
    use crate::eval::outputs::tests::outputs;

    fn random(n: usize, width: usize, purpose: &str) -> Features {
        let values = rng::normals(&mut rng::seeded(3, purpose), n * width);
        Features { n, width, values }
    }

    #[test]
    fn cka_of_the_same_features_is_one_whatever_their_rotation_scale_and_shift() {
        let x = random(200, 8, "x");
        assert!((cka(&x, &x).unwrap() - 1.0).abs() < 1e-12);
        // Turned in every plane of two neighbouring features.
        let mut values = x.values.clone();
        for row in values.chunks_exact_mut(8) {
            for (i, angle) in (0..7).zip([0.3f32, 1.1, -0.7, 2.0, 0.9, -1.6, 0.5]) {
                let (a, b) = (row[i], row[i + 1]);
                row[i] = a * angle.cos() - b * angle.sin();
                row[i + 1] = a * angle.sin() + b * angle.cos();
            }
            row.iter_mut().for_each(|v| *v = *v * 3.5 + 2.0);
        }
        assert!((cka(&x, &Features { values, ..x.clone() }).unwrap() - 1.0).abs() < 1e-6);
    }

    #[test]
    fn cka_of_independent_features_is_near_zero_and_it_is_symmetric() {
        let (x, y) = (random(2_000, 6, "x"), random(2_000, 9, "y"));
        let value = cka(&x, &y).unwrap();
        assert!(value < 0.02, "{value}");
        assert!((value - cka(&y, &x).unwrap()).abs() < 1e-12);
        assert_eq!(cka(&x, &random(100, 6, "z")), None);
        assert_eq!(cka(&Features { values: vec![1.0; 12_000], ..x.clone() }, &x), None);
    }

    #[test]
    fn a_probe_finds_what_is_linearly_there_and_nothing_in_noise() {
        let labels: Vec<usize> = (0..1_000).map(|i| i % 4).collect();
        let mut x = random(1_000, 16, "x");
        let share = |probe: &Probe, x: &Features| {
            let seen = probe.classes(x);
            seen.iter().zip(&labels).filter(|(a, b)| a == b).count() as f64 / 1_000.0
        };
        let fresh = random(1_000, 16, "fresh");
        let chance = share(&Probe::fit(&x, &labels, 4).unwrap(), &fresh);
        assert!((chance - 0.25).abs() < 0.05, "{chance}");
        for (i, row) in x.values.chunks_exact_mut(16).enumerate() {
            row[i % 4] += 5.0;
        }
        let probe = Probe::fit(&x, &labels, 4).unwrap();
        assert!(share(&probe, &x) > 0.97);
        assert!(Probe::fit(&Features::default(), &[], 4).is_none());
    }

    #[test]
    fn divergences_are_zero_between_equals_and_largest_between_strangers() {
        let a = outputs(&[0, 0], &[&[1.0, 0.0], &[1.0, 0.0]]);
        let b = outputs(&[0, 0], &[&[0.0, 1.0], &[0.0, 1.0]]);
        assert_eq!((js_divergence(&a, &a), activation_distance(&a, &a)), (0.0, 0.0));
        assert_eq!((js_divergence(&a, &b), activation_distance(&a, &b)), (1.0, 2f64.sqrt()));
        // JS((.5, .5), (1, 0)) = 0.3113 bits.
        let c = outputs(&[0], &[&[0.5, 0.5]]);
        assert!((js_divergence(&c, &outputs(&[0], &[&[1.0, 0.0]])) - 0.311_278).abs() < 1e-6);
    }
}
