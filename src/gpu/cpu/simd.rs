//! The vector types the kernels are generic over, and the run-time choice between them.

#[cfg(target_arch = "x86_64")]
mod x86;

use std::sync::atomic::{AtomicU8, Ordering};

/// A vector of `LANES` floats.
///
/// The hardware implementations are private and only [`dispatch`] names them, inside a function
/// compiled for their instruction set, after the CPU was found to have it.
pub trait Simd: Copy {
    /// Floats per vector.
    const LANES: usize;
    /// Rows of a register tile that fits the register file with its operands: 8 or 6.
    const ROWS: usize;
    /// Vectors per row of that tile.
    const VECTORS: usize = if Self::ROWS == 8 { 3 } else { 2 };
    /// All lanes `v`.
    fn splat(v: f32) -> Self;
    /// The first `LANES` floats of `s`.
    fn load(s: &[f32]) -> Self;
    /// Writes the first `LANES` floats of `d`.
    fn store(self, d: &mut [f32]);
    /// `self * a + b`.
    fn mul_add(self, a: Self, b: Self) -> Self;
    /// `self + o`.
    fn add(self, o: Self) -> Self;
    /// `self - o`.
    fn sub(self, o: Self) -> Self;
    /// `self * o`.
    fn mul(self, o: Self) -> Self;
    /// `self / o`.
    fn div(self, o: Self) -> Self;
    /// The larger; `o` where either is NaN.
    fn max(self, o: Self) -> Self;
    /// The smaller; `o` where either is NaN.
    fn min(self, o: Self) -> Self;
    /// `self` where `m > 0`, else 0.
    fn where_positive(self, m: Self) -> Self;
    /// `2^self` for whole numbers in `-126..=127`.
    fn pow2(self) -> Self;
    /// Sum of the lanes, in an order fixed per type.
    fn sum(self) -> f32;
    /// The lanes of both in turn: the first half and the second half of `s0 o0 s1 o1 ..`.
    fn interleave(self, o: Self) -> [Self; 2];
    /// The even and the odd lanes of `self` followed by `o`.
    fn deinterleave(self, o: Self) -> [Self; 2];
}

/// `N` floats as an array: four, which LLVM turns into SSE, NEON or wasm SIMD, or one, for what is left
/// over behind whole vectors.
#[derive(Clone, Copy)]
pub struct Lanes<const N: usize>([f32; N]);

/// Lanes written out one by one: those of a loop would stay in memory.
pub trait Each {
    /// Lane `i` is `f(i)`.
    fn each(f: impl Fn(usize) -> f32) -> Self;
}

impl Each for Lanes<1> {
    #[inline(always)]
    fn each(f: impl Fn(usize) -> f32) -> Self {
        Self([f(0)])
    }
}

impl Each for Lanes<4> {
    #[inline(always)]
    fn each(f: impl Fn(usize) -> f32) -> Self {
        Self([f(0), f(1), f(2), f(3)])
    }
}

impl<const N: usize> Lanes<N>
where
    Self: Each,
{
    #[inline(always)]
    fn zip(self, o: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        Self::each(|i| f(self.0[i], o.0[i]))
    }

    /// Of `self` followed by `o`.
    #[inline(always)]
    fn lane(self, o: Self, i: usize) -> f32 {
        if i < N { self.0[i] } else { o.0[i - N] }
    }
}

impl<const N: usize> Simd for Lanes<N>
where
    Self: Each,
{
    const LANES: usize = N;
    const ROWS: usize = if cfg!(target_arch = "aarch64") { 8 } else { 6 };
    #[inline(always)]
    fn splat(v: f32) -> Self {
        Self([v; N])
    }
    #[inline(always)]
    fn load(s: &[f32]) -> Self {
        Self(*s.first_chunk().expect("as many floats as lanes"))
    }
    #[inline(always)]
    fn store(self, d: &mut [f32]) {
        *d.first_chunk_mut().expect("as many floats as lanes") = self.0;
    }
    #[inline(always)]
    fn mul_add(self, a: Self, b: Self) -> Self {
        // Fused only where that is an instruction and not a call into libm.
        let fused =
            |x: f32, a, b| if cfg!(target_arch = "aarch64") { x.mul_add(a, b) } else { x * a + b };
        Self::each(|i| fused(self.0[i], a.0[i], b.0[i]))
    }
    #[inline(always)]
    fn add(self, o: Self) -> Self {
        self.zip(o, |a, b| a + b)
    }
    #[inline(always)]
    fn sub(self, o: Self) -> Self {
        self.zip(o, |a, b| a - b)
    }
    #[inline(always)]
    fn mul(self, o: Self) -> Self {
        self.zip(o, |a, b| a * b)
    }
    #[inline(always)]
    fn div(self, o: Self) -> Self {
        self.zip(o, |a, b| a / b)
    }
    #[inline(always)]
    fn max(self, o: Self) -> Self {
        self.zip(o, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    fn min(self, o: Self) -> Self {
        self.zip(o, |a, b| if a < b { a } else { b })
    }
    #[inline(always)]
    fn where_positive(self, m: Self) -> Self {
        self.zip(m, |a, m| if m > 0.0 { a } else { 0.0 })
    }
    #[inline(always)]
    fn pow2(self) -> Self {
        Self::each(|i| f32::from_bits(((self.0[i] as i32 + 127) << 23) as u32))
    }
    #[inline(always)]
    fn sum(self) -> f32 {
        self.0.chunks(2).map(|pair| pair.iter().sum::<f32>()).sum()
    }
    #[inline(always)]
    fn interleave(self, o: Self) -> [Self; 2] {
        let lane = |i: usize| self.lane(o, i / 2 + i % 2 * N);
        [Self::each(lane), Self::each(|i| lane(N + i))]
    }
    #[inline(always)]
    fn deinterleave(self, o: Self) -> [Self; 2] {
        [Self::each(|i| self.lane(o, 2 * i)), Self::each(|i| self.lane(o, 2 * i + 1))]
    }
}

/// A computation that can be compiled for any vector type.
pub trait Kernel {
    /// What it returns.
    type Output;
    /// The body; implementations must be `#[inline(always)]`, as must all they call over `V`.
    fn run<V: Simd>(self) -> Self::Output;
}

/// An instruction set the kernels are compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Arrays of four floats.
    Portable = 1,
    /// AVX2 with FMA.
    Avx2 = 2,
    /// AVX-512F.
    Avx512 = 3,
}

/// The level in use, or 0 before the first look.
static LEVEL: AtomicU8 = AtomicU8::new(0);

/// The best level this CPU has.
pub fn detect() -> Level {
    #[cfg(target_arch = "x86_64")]
    {
        let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        if avx2 && is_x86_feature_detected!("avx512f") {
            return Level::Avx512;
        }
        if avx2 {
            return Level::Avx2;
        }
    }
    Level::Portable
}

/// The level the kernels run at.
pub fn level() -> Level {
    match LEVEL.load(Ordering::Relaxed) {
        3 => Level::Avx512,
        2 => Level::Avx2,
        1 => Level::Portable,
        _ => limit(Level::Avx512),
    }
}

/// Runs the kernels at `level` from now on, or at the best the CPU has where that is less.
/// Returns the level chosen. For tests and benchmarks.
pub fn limit(level: Level) -> Level {
    let chosen = level.min(detect());
    LEVEL.store(chosen as u8, Ordering::Relaxed);
    chosen
}

/// Runs `k` at the current [`level`].
pub fn dispatch<K: Kernel>(k: K) -> K::Output {
    match level() {
        // SAFETY: `limit` never stores a level that `detect` did not find.
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => unsafe { x86::avx512(k) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => unsafe { x86::avx2(k) },
        _ => k.run::<Lanes<4>>(),
    }
}

/// Turns `LANES` vectors of `LANES` floats: lane `i` of vector `j` becomes lane `j` of vector `i`.
#[inline(always)]
pub fn transpose<V: Simd>(rows: &mut [V; 16]) {
    // Perfect shuffles: as many as LANES is a power of two.
    for _ in 0..V::LANES.ilog2() {
        let old = *rows;
        for i in 0..V::LANES / 2 {
            [rows[2 * i], rows[2 * i + 1]] = old[i].interleave(old[i + V::LANES / 2]);
        }
    }
}

/// Places and sizes of the runs that `vectors` are divided into for tiles: threes where the registers
/// hold them, but rather two twos than a three and a one.
#[inline(always)]
pub fn runs<V: Simd>(vectors: usize) -> impl Iterator<Item = (usize, usize)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let left = vectors - at;
        let size = if left == 4 { 2 } else { left.min(V::VECTORS) };
        at += size;
        (size > 0).then_some((at - size, size))
    })
}

/// `(LANES, ROWS)` of the vectors [`dispatch`] picks.
pub fn vector_shape() -> (usize, usize) {
    struct Shape;
    impl Kernel for Shape {
        type Output = (usize, usize);
        #[inline(always)]
        fn run<V: Simd>(self) -> (usize, usize) {
            (V::LANES, V::ROWS)
        }
    }
    dispatch(Shape)
}

/// Splits at the last whole vector.
#[inline(always)]
pub fn whole<V: Simd>(x: &[f32]) -> (&[f32], &[f32]) {
    x.split_at(x.len() / V::LANES * V::LANES)
}

/// As [`whole`].
#[inline(always)]
pub fn whole_mut<V: Simd>(x: &mut [f32]) -> (&mut [f32], &mut [f32]) {
    x.split_at_mut(x.len() / V::LANES * V::LANES)
}

/// `e^x`, relative error below 2e-7; saturates outside about ±87. NaN stays NaN.
#[inline(always)]
pub fn exp<V: Simd>(x: V) -> V {
    // Adding and taking away 1.5 * 2^23 rounds to whole numbers.
    let magic = V::splat(12_582_912.0);
    let x = V::splat(-87.3).max(V::splat(88.3).min(x));
    let n = x.mul_add(V::splat(std::f32::consts::LOG2_E), magic).sub(magic);
    // ln 2 in two parts, so that n times the first is exact.
    let r = n.mul_add(V::splat(-0.693_359_4), x);
    let r = n.mul_add(V::splat(2.121_944_4e-4), r);
    let p = V::splat(1.987_569_1e-4);
    let p = p.mul_add(r, V::splat(1.398_199_9e-3));
    let p = p.mul_add(r, V::splat(8.333_452e-3));
    let p = p.mul_add(r, V::splat(4.166_579_6e-2));
    let p = p.mul_add(r, V::splat(1.666_666_5e-1));
    let p = p.mul_add(r, V::splat(0.5));
    let p = p.mul_add(r.mul(r), r).add(V::splat(1.0));
    p.mul(n.pow2())
}

/// `erf(x)`, absolute error below 4e-7: a quotient of polynomials in `x²`, as in Eigen's. NaN stays NaN.
#[inline(always)]
pub fn erf<V: Simd>(x: V) -> V {
    const OVER: [f32; 7] = [
        -2.726_142_4e-10,
        2.770_681_5e-8,
        -2.101_024e-6,
        -5.692_506_2e-5,
        -7.349_906_4e-4,
        -2.954_6e-3,
        -1.609_603_3e-2,
    ];
    const UNDER: [f32; 5] =
        [-1.456_607_15e-5, -2.133_740_5e-4, -1.682_827e-3, -7.373_329_3e-3, -1.426_473_9e-2];
    // Beyond, it is 1 to the last digit.
    let x = V::splat(-4.0).max(V::splat(4.0).min(x));
    let z = x.mul(x);
    let [over, under] = [&OVER[..], &UNDER].map(|p| {
        let (first, rest) = (p[0], &p[1..]);
        rest.iter().fold(V::splat(first), |sum, p| sum.mul_add(z, V::splat(*p)))
    });
    V::splat(-1.0).max(V::splat(1.0).min(x.mul(over).div(under)))
}

#[cfg(test)]
pub mod testing {
    use super::*;
    use std::sync::Mutex;

    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

    /// Runs `f` once at each level this CPU has.
    pub fn at_each_level(f: impl Fn(Level)) {
        let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        for wanted in [Level::Portable, Level::Avx2, Level::Avx512] {
            if limit(wanted) == wanted {
                f(wanted);
            }
        }
        limit(Level::Avx512);
    }

    #[test]
    fn lanes_are_shuffled_and_blocks_are_turned() {
        struct Shuffle;
        impl Kernel for Shuffle {
            type Output = ();
            #[inline(always)]
            fn run<V: Simd>(self) {
                let n = V::LANES;
                let line = |k: usize| -> Vec<f32> { (0..n).map(|i| (k * n + i) as f32).collect() };
                let read = |v: V| {
                    let mut out = vec![0.0; n];
                    v.store(&mut out);
                    out
                };
                let (a, b) = (V::load(&line(0)), V::load(&line(1)));
                let [even, odd] = a.deinterleave(b).map(read);
                assert!((0..n).all(|i| even[i] == 2.0 * i as f32 && odd[i] == even[i] + 1.0));
                let [first, second] = a.interleave(b).map(read);
                let both = [first, second].concat();
                assert!(
                    (0..n).all(|i| both[2 * i] == i as f32 && both[2 * i + 1] == (n + i) as f32)
                );
                let mut rows = [V::splat(0.0); 16];
                rows.iter_mut().take(n).enumerate().for_each(|(k, row)| *row = V::load(&line(k)));
                transpose(&mut rows);
                for (j, row) in rows.into_iter().take(n).enumerate() {
                    assert!(read(row).iter().enumerate().all(|(i, &v)| v == (i * n + j) as f32));
                }
            }
        }
        at_each_level(|_| dispatch(Shuffle));
    }

    /// `erf(x) = 2 / √π Σ (-1)ⁿ x²ⁿ⁺¹ / (n! (2n + 1))`, whose terms grow to e^(x²) before they shrink.
    pub fn erf64(x: f64) -> f64 {
        let (mut term, mut sum) = (x, x);
        for n in 1..150 {
            term *= -x * x / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        sum * std::f64::consts::FRAC_2_SQRT_PI
    }

    #[test]
    fn erf_is_accurate() {
        struct Erf<'a>(&'a [f32], &'a mut [f32]);
        impl Kernel for Erf<'_> {
            type Output = ();
            #[inline(always)]
            fn run<V: Simd>(self) {
                for (x, y) in self.0.chunks_exact(V::LANES).zip(self.1.chunks_exact_mut(V::LANES)) {
                    erf(V::load(x)).store(y);
                }
            }
        }
        let within: Vec<f32> = (-4096..4096).map(|i| i as f32 / 1024.0).collect();
        at_each_level(|level| {
            let mut y = vec![0.0; within.len()];
            dispatch(Erf(&within, &mut y));
            for (x, y) in within.iter().zip(y) {
                let error = (f64::from(y) - erf64(f64::from(*x))).abs();
                assert!(error < 4e-7, "{level:?} erf({x}): {y}");
            }
            let mut y = [0.0; 16];
            dispatch(Erf(
                &[[6.0, -6.0, 1e3, -1e30, f32::INFINITY, f32::NAN, 0.0, 4.0]; 2].concat(),
                &mut y,
            ));
            assert_eq!(y[..5], [1.0, -1.0, 1.0, -1.0, 1.0], "{level:?}");
            assert!(y[5].is_nan() && y[6] == 0.0 && y[7] <= 1.0, "{level:?}: {y:?}");
        });
    }

    #[test]
    fn exp_is_accurate() {
        struct Exp<'a>(&'a [f32], &'a mut [f32]);
        impl Kernel for Exp<'_> {
            type Output = ();
            #[inline(always)]
            fn run<V: Simd>(self) {
                for (x, y) in self.0.chunks_exact(V::LANES).zip(self.1.chunks_exact_mut(V::LANES)) {
                    exp(V::load(x)).store(y);
                }
            }
        }
        let x: Vec<f32> =
            (0..1 << 18).map(|i| (i as f32 / (1 << 17) as f32 - 1.0) * 87.0).collect();
        at_each_level(|level| {
            let mut y = vec![0.0; x.len()];
            dispatch(Exp(&x, &mut y));
            let worst = x.iter().zip(&y).map(|(&x, &y)| {
                let e = f64::from(x).exp();
                ((f64::from(y) - e) / e).abs()
            });
            let worst = worst.fold(0.0, f64::max);
            println!("exp {level:?}: {worst:e}");
            assert!(worst < 2e-7, "{level:?}: {worst:e}");
        });
    }
}
