//! AVX-512 and AVX2 vectors.

use super::Simd;
use std::arch::x86_64::*;

#[derive(Clone, Copy)]
pub struct F32x16(__m512);
#[derive(Clone, Copy)]
pub struct F32x8(__m256);

/// An intrinsic. SAFETY: `dispatch` has found its instruction set on this CPU, and the loads
/// and stores have asserted their length.
macro_rules! on {
    ($call:expr) => {
        unsafe { $call }
    };
}

macro_rules! vector {
    ($name:ident, $lanes:expr, $rows:expr, $vectors:expr, $set1:ident, $load:ident, $store:ident, $fma:ident,
     $add:ident, $sub:ident, $mul:ident, $div:ident, $max:ident, $min:ident,
     |$v:ident, $m:ident| $positive:expr, |$p:ident| $pow2:expr, |$s:ident| $sum:expr,
     |$a:ident, $b:ident| [$interleave:expr, $deinterleave:expr]) => {
        impl Simd for $name {
            const LANES: usize = $lanes;
            const ROWS: usize = $rows;
            const VECTORS: usize = $vectors;
            #[inline(always)]
            fn splat(v: f32) -> Self {
                $name(on!($set1(v)))
            }
            #[inline(always)]
            fn load(s: &[f32]) -> Self {
                assert!(s.len() >= $lanes);
                $name(on!($load(s.as_ptr())))
            }
            #[inline(always)]
            fn store(self, d: &mut [f32]) {
                assert!(d.len() >= $lanes);
                on!($store(d.as_mut_ptr(), self.0));
            }
            #[inline(always)]
            fn mul_add(self, a: Self, b: Self) -> Self {
                $name(on!($fma(self.0, a.0, b.0)))
            }
            #[inline(always)]
            fn add(self, o: Self) -> Self {
                $name(on!($add(self.0, o.0)))
            }
            #[inline(always)]
            fn sub(self, o: Self) -> Self {
                $name(on!($sub(self.0, o.0)))
            }
            #[inline(always)]
            fn mul(self, o: Self) -> Self {
                $name(on!($mul(self.0, o.0)))
            }
            #[inline(always)]
            fn div(self, o: Self) -> Self {
                $name(on!($div(self.0, o.0)))
            }
            #[inline(always)]
            fn max(self, o: Self) -> Self {
                $name(on!($max(self.0, o.0)))
            }
            #[inline(always)]
            fn min(self, o: Self) -> Self {
                $name(on!($min(self.0, o.0)))
            }
            #[inline(always)]
            fn where_positive(self, m: Self) -> Self {
                let ($v, $m) = (self.0, m.0);
                $name(on!($positive))
            }
            #[inline(always)]
            fn pow2(self) -> Self {
                let $p = self.0;
                $name(on!($pow2))
            }
            #[inline(always)]
            fn sum(self) -> f32 {
                let $s = self.0;
                on!($sum)
            }
            #[inline(always)]
            fn interleave(self, o: Self) -> [Self; 2] {
                let ($a, $b) = (self.0, o.0);
                on!($interleave).map($name)
            }
            #[inline(always)]
            fn deinterleave(self, o: Self) -> [Self; 2] {
                let ($a, $b) = (self.0, o.0);
                on!($deinterleave).map($name)
            }
        }
    };
}

vector!(
    F32x16,
    16,
    8,
    3,
    _mm512_set1_ps,
    _mm512_loadu_ps,
    _mm512_storeu_ps,
    _mm512_fmadd_ps,
    _mm512_add_ps,
    _mm512_sub_ps,
    _mm512_mul_ps,
    _mm512_div_ps,
    _mm512_max_ps,
    _mm512_min_ps,
    |v, m| {
        let positive = _mm512_cmp_ps_mask::<_CMP_GT_OQ>(m, _mm512_setzero_ps());
        _mm512_maskz_mov_ps(positive, v)
    },
    |p| _mm512_scalef_ps(_mm512_set1_ps(1.0), p),
    |s| _mm512_reduce_add_ps(s),
    |a, b| [
        {
            let first = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
            let second = _mm512_add_epi32(first, _mm512_set1_epi32(8));
            [_mm512_permutex2var_ps(a, first, b), _mm512_permutex2var_ps(a, second, b)]
        },
        {
            let even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
            let odd = _mm512_add_epi32(even, _mm512_set1_epi32(1));
            [_mm512_permutex2var_ps(a, even, b), _mm512_permutex2var_ps(a, odd, b)]
        }
    ]
);

vector!(
    F32x8,
    8,
    6,
    2,
    _mm256_set1_ps,
    _mm256_loadu_ps,
    _mm256_storeu_ps,
    _mm256_fmadd_ps,
    _mm256_add_ps,
    _mm256_sub_ps,
    _mm256_mul_ps,
    _mm256_div_ps,
    _mm256_max_ps,
    _mm256_min_ps,
    |v, m| _mm256_and_ps(v, _mm256_cmp_ps::<_CMP_GT_OQ>(m, _mm256_setzero_ps())),
    |p| {
        let biased = _mm256_add_epi32(_mm256_cvtps_epi32(p), _mm256_set1_epi32(127));
        _mm256_castsi256_ps(_mm256_slli_epi32::<23>(biased))
    },
    |s| {
        let q = _mm_add_ps(_mm256_castps256_ps128(s), _mm256_extractf128_ps::<1>(s));
        let d = _mm_add_ps(q, _mm_movehl_ps(q, q));
        _mm_cvtss_f32(_mm_add_ss(d, _mm_movehdup_ps(d)))
    },
    |a, b| [
        {
            let (low, high) = (_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
            [_mm256_permute2f128_ps::<0x20>(low, high), _mm256_permute2f128_ps::<0x31>(low, high)]
        },
        {
            let even = _mm256_castps_pd(_mm256_shuffle_ps::<0x88>(a, b));
            let odd = _mm256_castps_pd(_mm256_shuffle_ps::<0xdd>(a, b));
            [
                _mm256_castpd_ps(_mm256_permute4x64_pd::<0xd8>(even)),
                _mm256_castpd_ps(_mm256_permute4x64_pd::<0xd8>(odd)),
            ]
        }
    ]
);

#[target_feature(enable = "avx512f,avx2,fma")]
pub fn avx512<K: super::Kernel>(k: K) -> K::Output {
    k.run::<F32x16>()
}

#[target_feature(enable = "avx2,fma")]
pub fn avx2<K: super::Kernel>(k: K) -> K::Output {
    k.run::<F32x8>()
}
