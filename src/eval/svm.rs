//! A support vector machine for one number in [0, 1]: scikit-learn's `SVC` with its RBF kernel at
//! gamma 1, solved to its optimum in milliseconds.
//!
//! A kernel matrix of 20,000 x 20,000 does not fit, and it need not: on [0, 1] the kernel
//! exp(-(x - z)²) is the inner product of 14 features to the last bit, so the dual's Newton systems
//! are 15 x 15 (Fine and Scheinberg 2001). An interior-point method (Mehrotra 1992) takes some tens
//! of them whatever the data are. No point is binned or left out.

use super::linear::Cholesky;

/// Taylor terms of exp(2uv) for |u|, |v| ≤ 1/2: what is left out is below 0.5^14 / 14! < 1e-15.
const RANK: usize = 14;
/// Unknowns of the primal: a weight for each feature, and the bias.
const WIDE: usize = RANK + 1;
type Wide = [f64; WIDE];

/// Mean complementarity at which the solution is final, in units of C. libsvm stops at 1e-3.
const CLOSE: f64 = 1e-9;
/// Newton steps at the most; 15 to 40 are taken.
const STEPS: usize = 200;

/// A fitted machine.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Svm {
    weights: [f64; RANK],
    bias: f64,
}

/// The features of the kernel: their inner product is exp(-(x - z)²).
fn features(x: f64) -> [f64; RANK] {
    let u = x - 0.5;
    let mut term = (-u * u).exp();
    let mut out = [0.0; RANK];
    for (k, f) in out.iter_mut().enumerate() {
        *f = term;
        term *= u * (2.0 / (k + 1) as f64).sqrt();
    }
    out
}

/// A point with its label folded in, its multiplier, and the slacks of 0 ≤ α ≤ C.
#[derive(Clone, Copy)]
struct Point {
    /// y · (features, 1).
    row: [f64; WIDE],
    alpha: f64,
    lower: f64,
    upper: f64,
}

impl Point {
    fn sign(&self) -> f64 {
        self.row[RANK]
    }

    /// y · f(x).
    fn margin(&self, z: &Wide) -> f64 {
        self.row.iter().zip(z).map(|(a, b)| a * b).sum()
    }
}

impl Svm {
    /// Fits a machine with penalty `c` that tells `members` from `others`, all in [0, 1].
    /// `None` where one of them is empty or a value is not a number.
    pub fn fit(members: &[f32], others: &[f32], c: f64) -> Option<Self> {
        let point = |&x: &f32, sign: f64| {
            let mut row = [sign; WIDE];
            for (r, f) in row.iter_mut().zip(features(x.into())) {
                *r *= f;
            }
            Point { row, alpha: c / 2.0, lower: 1.0, upper: 1.0 }
        };
        let mut points: Vec<Point> = members.iter().map(|x| point(x, 1.0)).collect();
        points.extend(others.iter().map(|x| point(x, -1.0)));
        let usable = members.iter().chain(others).all(|x| x.is_finite());
        if members.is_empty() || others.is_empty() || !usable {
            return None;
        }
        // Both classes at alpha C/2 times their share: the equality constraint holds from the start.
        let (m, o) = (members.len() as f64, others.len() as f64);
        for p in &mut points {
            p.alpha *= if p.sign() > 0.0 { m.min(o) / m } else { m.min(o) / o };
        }
        let mut z = [0.0; WIDE];
        for _ in 0..STEPS {
            let gap = points.iter().map(|p| p.alpha * p.lower + (c - p.alpha) * p.upper);
            let mu = gap.sum::<f64>() / (2 * points.len()) as f64;
            if mu < CLOSE * c || !newton(&mut points, &mut z, c, mu) {
                break;
            }
        }
        let bias = bias(&points, &z, c);
        Some(Self { weights: std::array::from_fn(|k| z[k]), bias })
    }

    /// f(x): above 0 for a member.
    pub fn decision(&self, x: f32) -> f64 {
        let products = features(x.into()).into_iter().zip(self.weights);
        products.map(|(f, w)| f * w).sum::<f64>() + self.bias
    }

    /// Whether `x` is taken for a member. On the boundary it is, as in scikit-learn, where the
    /// other label comes first and needs a value above 0; rounding is not a side.
    pub fn is_member(&self, x: f32) -> bool {
        self.decision(x) > -1e-9
    }
}

/// One predictor-corrector step of size as large as stays inside; false where rounding ends it.
fn newton(points: &mut [Point], z: &mut Wide, c: f64, mu: f64) -> bool {
    // w is Vᵀα by definition; only the bias is free.
    let mut now = [0.0; WIDE];
    for p in points.iter() {
        for (n, r) in now.iter_mut().zip(&p.row) {
            *n += r * p.alpha;
        }
    }
    let balance = now[RANK];
    now[RANK] = z[RANK];
    *z = now;

    let Some(factor) = system(points, c) else { return false };
    // The predictor aims at complementarity 0 and tells how far that can be trusted.
    let aims = vec![[0.0; 2]; points.len()];
    let Direction { steps, reach, .. } = direction(points, z, c, &factor, balance, &aims);
    let after: f64 = points
        .iter()
        .zip(&steps)
        .map(|(p, [a, l, u])| {
            let alpha = p.alpha + reach[0] * a;
            alpha * (p.lower + reach[1] * l) + (c - alpha) * (p.upper + reach[1] * u)
        })
        .sum();
    let target = mu * (after / (2 * points.len()) as f64 / mu).powi(3);

    // The corrector: centred, with the predictor's second-order terms.
    let aims: Vec<_> = steps.iter().map(|[a, l, u]| [target - a * l, target + a * u]).collect();
    let Direction { dz, steps, reach } = direction(points, z, c, &factor, balance, &aims);
    // A little short of the boundary. One length for both, because z links them.
    let length = 0.995 * reach[0].min(reach[1]);
    if length < 1e-8 || !dz.iter().all(|v| v.is_finite()) {
        return false;
    }
    for (p, [a, l, u]) in points.iter_mut().zip(&steps) {
        p.alpha += length * a;
        p.lower += length * l;
        p.upper += length * u;
    }
    for (z, d) in z.iter_mut().zip(dz) {
        *z += length * d;
    }
    true
}

/// The factor of the Newton system; `None` where rounding leaves none.
fn system(points: &[Point], c: f64) -> Option<Cholesky> {
    // Symmetric: the lower triangle is enough.
    let mut matrix = [[0.0; WIDE]; WIDE];
    for p in points {
        let inverse = p.inverse(c);
        for (i, line) in matrix.iter_mut().enumerate() {
            let scaled = p.row[i] * inverse;
            for (m, r) in line[..=i].iter_mut().zip(&p.row) {
                *m += scaled * r;
            }
        }
    }
    for (i, line) in matrix.iter_mut().enumerate().take(RANK) {
        line[i] += 1.0;
    }
    Cholesky::new(matrix.concat(), WIDE)
}

/// Where a Newton step goes.
struct Direction {
    dz: Wide,
    /// Changes of each point's alpha, lower and upper.
    steps: Vec<[f64; 3]>,
    /// How far alpha and the slacks can go and stay above 0, at most 1.
    reach: [f64; 2],
}

/// Solves the system for each point's aims of its two products.
fn direction(
    points: &[Point],
    z: &Wide,
    c: f64,
    factor: &Cholesky,
    balance: f64,
    aims: &[[f64; 2]],
) -> Direction {
    let mut dz = [0.0; WIDE];
    for (p, aim) in points.iter().zip(aims) {
        let pull = p.pull(z, c, *aim) * p.inverse(c);
        for (r, v) in dz.iter_mut().zip(&p.row) {
            *r += v * pull;
        }
    }
    dz[RANK] += balance;
    factor.solve(&mut dz);
    let mut reach = [1.0; 2];
    let step = |(p, aim): (&Point, &[f64; 2])| {
        let step = p.step(z, &dz, c, *aim);
        p.limit(step, c, &mut reach);
        step
    };
    let steps = points.iter().zip(aims).map(step).collect();
    Direction { dz, steps, reach }
}

impl Point {
    /// The inverse of the barrier's curvature.
    fn inverse(&self, c: f64) -> f64 {
        1.0 / (self.lower / self.alpha + self.upper / (c - self.alpha))
    }

    /// The right-hand side for aims of the two products.
    fn pull(&self, z: &Wide, c: f64, aim: [f64; 2]) -> f64 {
        1.0 - self.margin(z) + aim[0] / self.alpha - aim[1] / (c - self.alpha)
    }

    /// Changes of alpha, lower and upper.
    fn step(&self, z: &Wide, dz: &Wide, c: f64, aim: [f64; 2]) -> [f64; 3] {
        let a = (self.pull(z, c, aim) - self.margin(dz)) * self.inverse(c);
        let l = (aim[0] - self.lower * a) / self.alpha - self.lower;
        let u = (aim[1] + self.upper * a) / (c - self.alpha) - self.upper;
        [a, l, u]
    }

    /// Shortens the steps of alpha and of the slacks to where all stay above 0.
    fn limit(&self, [a, l, u]: [f64; 3], c: f64, reach: &mut [f64; 2]) {
        let room = if a < 0.0 { self.alpha } else { c - self.alpha };
        if a.abs() * reach[0] > room {
            reach[0] = room / a.abs();
        }
        for (value, change) in [(self.lower, l), (self.upper, u)] {
            if -change * reach[1] > value {
                reach[1] = -value / change;
            }
        }
    }
}

/// libsvm's bias: the mean over the points on the margin, else the middle of what is allowed.
fn bias(points: &[Point], z: &Wide, c: f64) -> f64 {
    let mut without = *z;
    without[RANK] = 0.0;
    let (mut sum, mut free) = (0.0, 0usize);
    let (mut low, mut high) = (f64::NEG_INFINITY, f64::INFINITY);
    for p in points {
        // The bias that puts this point on the margin.
        let at = p.sign() * (1.0 - p.margin(&without));
        let share = p.alpha / c;
        if (1e-4..=1.0 - 1e-4).contains(&share) {
            sum += at;
            free += 1;
        } else if (share < 0.5) == (p.sign() > 0.0) {
            low = low.max(at);
        } else {
            high = high.min(at);
        }
    }
    match free {
        0 => (low + high) / 2.0,
        n => sum / n as f64,
    }
}
