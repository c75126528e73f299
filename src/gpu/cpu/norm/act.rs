//! SiLU and softmax.

use super::super::par::each;
use super::super::simd::{Kernel, Simd, dispatch, exp};
use super::{sigmoid, silu_slope, whole, whole_mut};

/// Floats per task.
const TASK: usize = 1 << 14;

/// `out = x * sigmoid(x)`.
pub fn silu_forward(x: &[f32], out: &mut [f32]) {
    assert_eq!(x.len(), out.len());
    each(x.chunks(TASK).zip(out.chunks_mut(TASK)).collect(), |(x, out)| {
        dispatch(Silu { x, out });
    });
}

/// `grad_x = grad_out * silu'(x)`.
pub fn silu_backward(x: &[f32], grad_out: &[f32], grad_x: &mut [f32]) {
    assert!(x.len() == grad_x.len() && grad_out.len() == grad_x.len());
    let tasks = x.chunks(TASK).zip(grad_out.chunks(TASK)).zip(grad_x.chunks_mut(TASK)).collect();
    each(tasks, |((x, grad_out), grad_x)| {
        dispatch(SiluGrad { x, grad_out, grad_x });
    });
}

struct Silu<'a> {
    x: &'a [f32],
    out: &'a mut [f32],
}

impl Kernel for Silu<'_> {
    type Output = ();
    #[inline(always)]
    fn run<V: Simd>(self) {
        #[inline(always)]
        fn part<V: Simd>(x: &[f32], out: &mut [f32]) {
            for (x, o) in x.chunks_exact(V::LANES).zip(out.chunks_exact_mut(V::LANES)) {
                let x = V::load(x);
                x.mul(sigmoid(x)).store(o);
            }
        }
        let ((x, x_tail), (out, out_tail)) = (whole::<V>(self.x), whole_mut::<V>(self.out));
        part::<V>(x, out);
        part::<f32>(x_tail, out_tail);
    }
}

struct SiluGrad<'a> {
    x: &'a [f32],
    grad_out: &'a [f32],
    grad_x: &'a mut [f32],
}

impl Kernel for SiluGrad<'_> {
    type Output = ();
    #[inline(always)]
    fn run<V: Simd>(self) {
        #[inline(always)]
        fn part<V: Simd>(x: &[f32], grad_out: &[f32], grad_x: &mut [f32]) {
            let inputs = x.chunks_exact(V::LANES).zip(grad_out.chunks_exact(V::LANES));
            for ((x, g), o) in inputs.zip(grad_x.chunks_exact_mut(V::LANES)) {
                V::load(g).mul(silu_slope(V::load(x))).store(o);
            }
        }
        let ((x, x_tail), (g, g_tail)) = (whole::<V>(self.x), whole::<V>(self.grad_out));
        let (o, o_tail) = whole_mut::<V>(self.grad_x);
        part::<V>(x, g, o);
        part::<f32>(x_tail, g_tail, o_tail);
    }
}

/// Softmax of each row of `x [rows, cols]`.
pub fn softmax_forward(cols: usize, x: &[f32], out: &mut [f32]) {
    assert_eq!(x.len(), out.len());
    if x.is_empty() {
        return;
    }
    assert_eq!(x.len() % cols, 0);
    let task = (TASK / cols).max(1) * cols;
    each(x.chunks(task).zip(out.chunks_mut(task)).collect(), |(x, out)| {
        dispatch(Softmax { cols, x, out });
    });
}

/// `grad_x` of each row from the softmax `out` and `grad_out`, all `[rows, cols]`.
pub fn softmax_backward(cols: usize, out: &[f32], grad_out: &[f32], grad_x: &mut [f32]) {
    assert!(out.len() == grad_x.len() && grad_out.len() == grad_x.len());
    if out.is_empty() {
        return;
    }
    assert_eq!(out.len() % cols, 0);
    let task = (TASK / cols).max(1) * cols;
    let tasks = out.chunks(task).zip(grad_out.chunks(task)).zip(grad_x.chunks_mut(task)).collect();
    each(tasks, |((out, grad_out), grad_x)| {
        dispatch(SoftmaxGrad { cols, out, grad_out, grad_x });
    });
}

struct Softmax<'a> {
    cols: usize,
    x: &'a [f32],
    out: &'a mut [f32],
}

impl Kernel for Softmax<'_> {
    type Output = ();
    #[inline(always)]
    fn run<V: Simd>(self) {
        /// `out = e^(x - max)`; returns the sum.
        #[inline(always)]
        fn part<V: Simd>(x: &[f32], max: f32, out: &mut [f32]) -> f32 {
            let (mut sum, max) = (V::splat(0.0), V::splat(max));
            for (x, o) in x.chunks_exact(V::LANES).zip(out.chunks_exact_mut(V::LANES)) {
                let e = exp(V::load(x).sub(max));
                e.store(o);
                sum = sum.add(e);
            }
            sum.sum()
        }
        for (x, out) in self.x.chunks_exact(self.cols).zip(self.out.chunks_exact_mut(self.cols)) {
            let max = x.iter().fold(f32::NEG_INFINITY, |m, &x| if x > m { x } else { m });
            let ((x, x_tail), (o, o_tail)) = (whole::<V>(x), whole_mut::<V>(out));
            let sum = part::<V>(x, max, o) + part::<f32>(x_tail, max, o_tail);
            let scale = 1.0 / sum;
            out.iter_mut().for_each(|o| *o *= scale);
        }
    }
}

struct SoftmaxGrad<'a> {
    cols: usize,
    out: &'a [f32],
    grad_out: &'a [f32],
    grad_x: &'a mut [f32],
}

impl Kernel for SoftmaxGrad<'_> {
    type Output = ();
    #[inline(always)]
    fn run<V: Simd>(self) {
        #[inline(always)]
        fn dot<V: Simd>(a: &[f32], b: &[f32]) -> f32 {
            let mut sum = V::splat(0.0);
            for (a, b) in a.chunks_exact(V::LANES).zip(b.chunks_exact(V::LANES)) {
                sum = V::load(a).mul_add(V::load(b), sum);
            }
            sum.sum()
        }
        let rows = self.out.chunks_exact(self.cols).zip(self.grad_out.chunks_exact(self.cols));
        for ((out, grad), grad_x) in rows.zip(self.grad_x.chunks_exact_mut(self.cols)) {
            let ((o, o_tail), (g, g_tail)) = (whole::<V>(out), whole::<V>(grad));
            let dot = dot::<V>(o, g) + dot::<f32>(o_tail, g_tail);
            for ((d, o), g) in grad_x.iter_mut().zip(out).zip(grad) {
                *d = o * (g - dot);
            }
        }
    }
}
