//! Vectors of the widest kind that the processor has, behind one trait.

/// A vector of `N` floats.
///
/// # Safety
/// Methods may only run where the processor has the type's instructions: [`dispatch!`] sees to it.
pub trait Lanes: Copy {
    const N: usize;
    /// # Safety
    /// See the trait; `p` points to `N` readable floats.
    unsafe fn load(p: *const f32) -> Self;
    /// # Safety
    /// See the trait; `p` points to `N` writable floats.
    unsafe fn store(self, p: *mut f32);
    /// # Safety
    /// See the trait.
    unsafe fn splat(v: f32) -> Self;
    /// self · b + c.
    ///
    /// # Safety
    /// See the trait.
    unsafe fn mul_add(self, b: Self, c: Self) -> Self;
    /// The sum of all lanes in a fixed order.
    ///
    /// # Safety
    /// See the trait.
    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        let mut lanes = [0.0f32; 16];
        // SAFETY: the array has room for the widest vector.
        unsafe { self.store(lanes.as_mut_ptr()) };
        lanes[..Self::N].iter().sum()
    }
}

/// Eight floats without vector instructions of a known width.
#[derive(Clone, Copy)]
pub struct Plain([f32; 8]);

impl Lanes for Plain {
    const N: usize = 8;
    #[inline(always)]
    unsafe fn load(p: *const f32) -> Self {
        // SAFETY: the caller's promise.
        Self(unsafe { p.cast::<[f32; 8]>().read_unaligned() })
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32) {
        // SAFETY: the caller's promise.
        unsafe { p.cast::<[f32; 8]>().write_unaligned(self.0) }
    }
    #[inline(always)]
    unsafe fn splat(v: f32) -> Self {
        Self([v; 8])
    }
    #[inline(always)]
    unsafe fn mul_add(self, b: Self, c: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] * b.0[i] + c.0[i]))
    }
}

#[cfg(target_arch = "x86_64")]
macro_rules! lanes {
    ($vector:ident, $n:literal, $load:ident, $store:ident, $splat:ident, $fma:ident) => {
        impl Lanes for std::arch::x86_64::$vector {
            const N: usize = $n;
            #[inline(always)]
            unsafe fn load(p: *const f32) -> Self {
                // SAFETY: the caller's promise.
                unsafe { std::arch::x86_64::$load(p) }
            }
            #[inline(always)]
            unsafe fn store(self, p: *mut f32) {
                // SAFETY: the caller's promise.
                unsafe { std::arch::x86_64::$store(p, self) }
            }
            #[inline(always)]
            unsafe fn splat(v: f32) -> Self {
                // SAFETY: the caller's promise.
                unsafe { std::arch::x86_64::$splat(v) }
            }
            #[inline(always)]
            unsafe fn mul_add(self, b: Self, c: Self) -> Self {
                // SAFETY: the caller's promise.
                unsafe { std::arch::x86_64::$fma(self, b, c) }
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
lanes!(__m512, 16, _mm512_loadu_ps, _mm512_storeu_ps, _mm512_set1_ps, _mm512_fmadd_ps);
#[cfg(target_arch = "x86_64")]
lanes!(__m256, 8, _mm256_loadu_ps, _mm256_storeu_ps, _mm256_set1_ps, _mm256_fmadd_ps);

/// How wide vectors are here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    Plain,
    Avx2,
    Avx512,
}

/// The processor's best level.
pub fn level() -> Level {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") {
            return Level::Avx512;
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            return Level::Avx2;
        }
    }
    Level::Plain
}

/// Defines `fn $name(level, args…)` that runs the generic `$kernel::<L>` at a level.
macro_rules! dispatch {
    ($name:ident, $kernel:ident, ($($arg:ident: $ty:ty),* $(,)?)) => {
        #[allow(clippy::too_many_arguments, reason = "kernels take slices one by one")]
        fn $name(level: $crate::gpu::kernels::simd::Level, $($arg: $ty),*) {
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f")]
            unsafe fn avx512($($arg: $ty),*) {
                // SAFETY: the feature is enabled.
                unsafe { $kernel::<std::arch::x86_64::__m512>($($arg),*) }
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            unsafe fn avx2($($arg: $ty),*) {
                // SAFETY: the features are enabled.
                unsafe { $kernel::<std::arch::x86_64::__m256>($($arg),*) }
            }
            match level {
                #[cfg(target_arch = "x86_64")]
                // SAFETY: the level was detected.
                $crate::gpu::kernels::simd::Level::Avx512 => unsafe { avx512($($arg),*) },
                #[cfg(target_arch = "x86_64")]
                // SAFETY: the level was detected.
                $crate::gpu::kernels::simd::Level::Avx2 => unsafe { avx2($($arg),*) },
                // SAFETY: plain code needs nothing.
                _ => unsafe { $kernel::<$crate::gpu::kernels::simd::Plain>($($arg),*) },
            }
        }
    };
}
pub(super) use dispatch;
