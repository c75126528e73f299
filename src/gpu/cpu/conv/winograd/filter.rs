//! The transforms of minimal filtering along one axis, for tiles of two outputs and of four.

use super::super::super::simd::Simd;

/// Minimal filtering F(M, 3): `A' [(G g) * (B' d)]` are M outputs of W = M + 2 cells `d` and three taps `g`, with W
/// products.
pub trait Filter<const M: usize, const W: usize> {
    /// `B'` times a window's cells.
    fn cells<V: Simd>(d: [V; W]) -> [V; W];

    /// `A'` times products.
    fn outputs<V: Simd>(m: [V; W]) -> [V; M];

    /// `A` times the outputs' gradients.
    fn gradients<V: Simd>(g: [V; M]) -> [V; W];

    /// `G` times three taps, for each of `N` channels.
    fn taps<const N: usize>(g: [[f32; N]; 3]) -> [[f32; N]; W];

    /// `G'` times what is summed over all windows, for each of `N` channels.
    fn taps_gradients<const N: usize>(u: [[f32; N]; W]) -> [[f32; N]; 3];
}

/// F(2, 3), interpolated at 0, 1, -1.
pub struct ByTwo;

impl Filter<2, 4> for ByTwo {
    #[inline(always)]
    fn cells<V: Simd>([a, b, c, d]: [V; 4]) -> [V; 4] {
        [a.sub(c), b.add(c), c.sub(b), b.sub(d)]
    }

    #[inline(always)]
    fn outputs<V: Simd>([a, b, c, d]: [V; 4]) -> [V; 2] {
        [a.add(b).add(c), b.sub(c).sub(d)]
    }

    #[inline(always)]
    fn gradients<V: Simd>([a, b]: [V; 2]) -> [V; 4] {
        [a, a.add(b), a.sub(b), V::splat(0.0).sub(b)]
    }

    #[inline(always)]
    fn taps<const N: usize>([a, b, c]: [[f32; N]; 3]) -> [[f32; N]; 4] {
        let mut all = [a, [0.0; N], [0.0; N], c];
        for o in 0..N {
            let (even, odd) = (0.5 * (a[o] + c[o]), 0.5 * b[o]);
            (all[1][o], all[2][o]) = (even + odd, even - odd);
        }
        all
    }

    #[inline(always)]
    fn taps_gradients<const N: usize>([a, b, c, d]: [[f32; N]; 4]) -> [[f32; N]; 3] {
        let mut all = [[0.0; N]; 3];
        for o in 0..N {
            let (sum, difference) = (0.5 * (b[o] + c[o]), 0.5 * (b[o] - c[o]));
            [all[0][o], all[1][o], all[2][o]] = [a[o] + sum, difference, sum + d[o]];
        }
        all
    }
}

/// F(4, 3), interpolated at 0, ±5/8, ±3/2: with the whole numbers ±1, ±2 rounding errors exceed what `conv/tests.rs`
/// allows all kernels (on the choice of points: Barabasz et al., ACM TOMS 2020).
pub struct ByFour;

const NEAR: f32 = 0.625;
const FAR: f32 = 1.5;
/// Their squares, and the weights of `G` at the points of either sign.
const NEAR_2: f32 = NEAR * NEAR;
const FAR_2: f32 = FAR * FAR;
const AT_0: f32 = 1.0 / (NEAR_2 * FAR_2);
const AT_NEAR: f32 = 0.5 / (NEAR_2 * (NEAR_2 - FAR_2));
const AT_FAR: f32 = 0.5 / (FAR_2 * (FAR_2 - NEAR_2));

impl Filter<4, 6> for ByFour {
    #[inline(always)]
    fn cells<V: Simd>([a, b, c, d, e, f]: [V; 6]) -> [V; 6] {
        let (product, sum) = (V::splat(NEAR_2 * FAR_2), V::splat(-NEAR_2 - FAR_2));
        let (minus_near, minus_far) = (V::splat(-NEAR_2), V::splat(-FAR_2));
        let (near_even, near_odd) = (c.mul_add(minus_far, e), b.mul_add(minus_far, d));
        let (far_even, far_odd) = (c.mul_add(minus_near, e), b.mul_add(minus_near, d));
        [
            a.mul_add(product, c.mul_add(sum, e)),
            near_odd.mul_add(V::splat(NEAR), near_even),
            near_odd.mul_add(V::splat(-NEAR), near_even),
            far_odd.mul_add(V::splat(FAR), far_even),
            far_odd.mul_add(V::splat(-FAR), far_even),
            b.mul_add(product, d.mul_add(sum, f)),
        ]
    }

    #[inline(always)]
    fn outputs<V: Simd>([a, b, c, d, e, f]: [V; 6]) -> [V; 4] {
        let (near_even, near_odd) = (b.add(c), b.sub(c));
        let (far_even, far_odd) = (d.add(e), d.sub(e));
        [
            a.add(near_even).add(far_even),
            near_odd.mul_add(V::splat(NEAR), far_odd.mul(V::splat(FAR))),
            near_even.mul_add(V::splat(NEAR_2), far_even.mul(V::splat(FAR_2))),
            near_odd.mul_add(V::splat(NEAR * NEAR_2), far_odd.mul_add(V::splat(FAR * FAR_2), f)),
        ]
    }

    #[inline(always)]
    fn gradients<V: Simd>([a, b, c, d]: [V; 4]) -> [V; 6] {
        let near_even = c.mul_add(V::splat(NEAR_2), a);
        let near_odd = d.mul_add(V::splat(NEAR_2), b).mul(V::splat(NEAR));
        let far_even = c.mul_add(V::splat(FAR_2), a);
        let far_odd = d.mul_add(V::splat(FAR_2), b).mul(V::splat(FAR));
        let (near, far) = (near_even.add(near_odd), far_even.add(far_odd));
        [a, near, near_even.sub(near_odd), far, far_even.sub(far_odd), d]
    }

    #[inline(always)]
    fn taps<const N: usize>([a, b, c]: [[f32; N]; 3]) -> [[f32; N]; 6] {
        let mut all = [[0.0; N]; 6];
        all[5] = c;
        for o in 0..N {
            all[0][o] = AT_0 * a[o];
            let (even, odd) = (AT_NEAR * (a[o] + NEAR_2 * c[o]), AT_NEAR * NEAR * b[o]);
            (all[1][o], all[2][o]) = (even + odd, even - odd);
            let (even, odd) = (AT_FAR * (a[o] + FAR_2 * c[o]), AT_FAR * FAR * b[o]);
            (all[3][o], all[4][o]) = (even + odd, even - odd);
        }
        all
    }

    #[inline(always)]
    fn taps_gradients<const N: usize>([a, b, c, d, e, f]: [[f32; N]; 6]) -> [[f32; N]; 3] {
        let mut all = [[0.0; N]; 3];
        for o in 0..N {
            let (near, far) = (AT_NEAR * (b[o] + c[o]), AT_FAR * (d[o] + e[o]));
            let odd = [AT_NEAR * NEAR * (b[o] - c[o]), AT_FAR * FAR * (d[o] - e[o])];
            all[0][o] = AT_0 * a[o] + near + far;
            all[1][o] = odd[0] + odd[1];
            all[2][o] = NEAR_2 * near + FAR_2 * far + f[o];
        }
        all
    }
}
