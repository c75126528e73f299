//! AVX-512 and AVX2 vectors.

use super::Simd;
use std::arch::x86_64::*;

#[derive(Clone, Copy)]
pub struct F32x16(__m512);
#[derive(Clone, Copy)]
pub struct F32x8(__m256);

/// An intrinsic.
macro_rules! on {
    ($call:expr) => {
        // SAFETY: `dispatch` has found its instruction set on this CPU, and the loads and stores have
        // asserted their length.
        unsafe { $call }
    };
}

/// Operations on two vectors that are one intrinsic each.
macro_rules! pairwise {
    ($($name:ident: $intrinsic:ident,)*) => {$(
        #[inline(always)]
        fn $name(self, o: Self) -> Self {
            Self(on!($intrinsic(self.0, o.0)))
        }
    )*};
}

impl Simd for F32x16 {
    const LANES: usize = 16;
    const ROWS: usize = 8;
    pairwise! {
        add: _mm512_add_ps, sub: _mm512_sub_ps, mul: _mm512_mul_ps, div: _mm512_div_ps,
        max: _mm512_max_ps, min: _mm512_min_ps,
    }
    #[inline(always)]
    fn splat(v: f32) -> Self {
        Self(on!(_mm512_set1_ps(v)))
    }
    #[inline(always)]
    fn load(s: &[f32]) -> Self {
        assert!(s.len() >= 16);
        Self(on!(_mm512_loadu_ps(s.as_ptr())))
    }
    #[inline(always)]
    fn store(self, d: &mut [f32]) {
        assert!(d.len() >= 16);
        on!(_mm512_storeu_ps(d.as_mut_ptr(), self.0));
    }
    #[inline(always)]
    fn mul_add(self, a: Self, b: Self) -> Self {
        Self(on!(_mm512_fmadd_ps(self.0, a.0, b.0)))
    }
    #[inline(always)]
    fn where_positive(self, m: Self) -> Self {
        let positive = on!(_mm512_cmp_ps_mask::<_CMP_GT_OQ>(m.0, _mm512_setzero_ps()));
        Self(on!(_mm512_maskz_mov_ps(positive, self.0)))
    }
    #[inline(always)]
    fn pow2(self) -> Self {
        Self(on!(_mm512_scalef_ps(_mm512_set1_ps(1.0), self.0)))
    }
    #[inline(always)]
    fn sum(self) -> f32 {
        on!(_mm512_reduce_add_ps(self.0))
    }
    #[inline(always)]
    fn interleave(self, o: Self) -> [Self; 2] {
        on! {{
            let first = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
            let second = _mm512_add_epi32(first, _mm512_set1_epi32(8));
            [_mm512_permutex2var_ps(self.0, first, o.0), _mm512_permutex2var_ps(self.0, second, o.0)]
                .map(Self)
        }}
    }
    #[inline(always)]
    fn deinterleave(self, o: Self) -> [Self; 2] {
        on! {{
            let even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
            let odd = _mm512_add_epi32(even, _mm512_set1_epi32(1));
            [_mm512_permutex2var_ps(self.0, even, o.0), _mm512_permutex2var_ps(self.0, odd, o.0)]
                .map(Self)
        }}
    }
}

impl Simd for F32x8 {
    const LANES: usize = 8;
    const ROWS: usize = 6;
    pairwise! {
        add: _mm256_add_ps, sub: _mm256_sub_ps, mul: _mm256_mul_ps, div: _mm256_div_ps,
        max: _mm256_max_ps, min: _mm256_min_ps,
    }
    #[inline(always)]
    fn splat(v: f32) -> Self {
        Self(on!(_mm256_set1_ps(v)))
    }
    #[inline(always)]
    fn load(s: &[f32]) -> Self {
        assert!(s.len() >= 8);
        Self(on!(_mm256_loadu_ps(s.as_ptr())))
    }
    #[inline(always)]
    fn store(self, d: &mut [f32]) {
        assert!(d.len() >= 8);
        on!(_mm256_storeu_ps(d.as_mut_ptr(), self.0));
    }
    #[inline(always)]
    fn mul_add(self, a: Self, b: Self) -> Self {
        Self(on!(_mm256_fmadd_ps(self.0, a.0, b.0)))
    }
    #[inline(always)]
    fn where_positive(self, m: Self) -> Self {
        let positive = on!(_mm256_cmp_ps::<_CMP_GT_OQ>(m.0, _mm256_setzero_ps()));
        Self(on!(_mm256_and_ps(self.0, positive)))
    }
    #[inline(always)]
    fn pow2(self) -> Self {
        let biased = on!(_mm256_add_epi32(_mm256_cvtps_epi32(self.0), _mm256_set1_epi32(127)));
        Self(on!(_mm256_castsi256_ps(_mm256_slli_epi32::<23>(biased))))
    }
    #[inline(always)]
    fn sum(self) -> f32 {
        on! {{
            let q = _mm_add_ps(_mm256_castps256_ps128(self.0), _mm256_extractf128_ps::<1>(self.0));
            let d = _mm_add_ps(q, _mm_movehl_ps(q, q));
            _mm_cvtss_f32(_mm_add_ss(d, _mm_movehdup_ps(d)))
        }}
    }
    #[inline(always)]
    fn interleave(self, o: Self) -> [Self; 2] {
        on! {{
            let low = _mm256_unpacklo_ps(self.0, o.0);
            let high = _mm256_unpackhi_ps(self.0, o.0);
            [_mm256_permute2f128_ps::<0x20>(low, high), _mm256_permute2f128_ps::<0x31>(low, high)]
                .map(Self)
        }}
    }
    #[inline(always)]
    fn deinterleave(self, o: Self) -> [Self; 2] {
        on! {{
            let even = _mm256_castps_pd(_mm256_shuffle_ps::<0x88>(self.0, o.0));
            let odd = _mm256_castps_pd(_mm256_shuffle_ps::<0xdd>(self.0, o.0));
            let even = _mm256_castpd_ps(_mm256_permute4x64_pd::<0xd8>(even));
            [even, _mm256_castpd_ps(_mm256_permute4x64_pd::<0xd8>(odd))].map(Self)
        }}
    }
}

#[target_feature(enable = "avx512f,avx2,fma")]
pub fn avx512<K: super::Kernel>(k: K) -> K::Output {
    k.run::<F32x16>()
}

#[target_feature(enable = "avx2,fma")]
pub fn avx2<K: super::Kernel>(k: K) -> K::Output {
    k.run::<F32x8>()
}
