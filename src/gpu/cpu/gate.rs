//! GEGLU, the gate of a transformer's feed-forward network (Shazeer 2020, arXiv 2002.05202): of rows
//! `[values, gates]` each value times `gelu(gate) = gate * Φ(gate)`, Φ the normal distribution.

use super::par::each;
use super::simd::{Kernel, Lanes, Simd, dispatch, erf, exp, whole, whole_mut};

/// Values that a task makes: whole rows of about so many.
fn task_len(width: usize) -> usize {
    width * ((1 << 14) / width).max(1)
}

/// `out [rows, width]` of `x [rows, 2 * width]`.
pub fn geglu(width: usize, x: &[f32], out: &mut [f32]) {
    assert!(x.len() == 2 * out.len() && out.len().is_multiple_of(width), "x");
    let n = task_len(width);
    let tasks = x.chunks(2 * n).zip(out.chunks_mut(n)).collect();
    each(tasks, |(x, out)| dispatch(Forward { width, x, out }));
}

/// `grad_x [rows, 2 * width]` from `grad_out [rows, width]`.
pub fn geglu_backward(width: usize, x: &[f32], grad_out: &[f32], grad_x: &mut [f32]) {
    let whole = grad_out.len().is_multiple_of(width) && x.len() == grad_x.len();
    assert!(whole && x.len() == 2 * grad_out.len(), "gradients");
    let n = task_len(width);
    let inputs = x.chunks(2 * n).zip(grad_out.chunks(n));
    let tasks = inputs.zip(grad_x.chunks_mut(2 * n)).collect();
    each(tasks, |((x, grad_out), grad_x)| dispatch(Backward { width, x, grad_out, grad_x }));
}

/// `Φ(x)`.
#[inline(always)]
fn normal<V: Simd>(x: V) -> V {
    let half = V::splat(0.5);
    erf(x.mul(V::splat(std::f32::consts::FRAC_1_SQRT_2))).mul_add(half, half)
}

struct Forward<'a> {
    width: usize,
    x: &'a [f32],
    out: &'a mut [f32],
}

impl Kernel for Forward<'_> {
    type Output = ();
    #[inline(always)]
    fn run<V: Simd>(self) {
        #[inline(always)]
        fn part<V: Simd>(values: &[f32], gates: &[f32], out: &mut [f32]) {
            let inputs = values.chunks_exact(V::LANES).zip(gates.chunks_exact(V::LANES));
            for ((v, g), o) in inputs.zip(out.chunks_exact_mut(V::LANES)) {
                let g = V::load(g);
                V::load(v).mul(g.mul(normal(g))).store(o);
            }
        }
        let rows = self.x.chunks_exact(2 * self.width);
        for (x, out) in rows.zip(self.out.chunks_exact_mut(self.width)) {
            let (values, gates) = x.split_at(self.width);
            let [(v, v_tail), (g, g_tail)] = [values, gates].map(whole::<V>);
            let (o, o_tail) = whole_mut::<V>(out);
            part::<V>(v, g, o);
            part::<Lanes<1>>(v_tail, g_tail, o_tail);
        }
    }
}

struct Backward<'a> {
    width: usize,
    x: &'a [f32],
    grad_out: &'a [f32],
    grad_x: &'a mut [f32],
}

impl Kernel for Backward<'_> {
    type Output = ();
    #[inline(always)]
    fn run<V: Simd>(self) {
        #[inline(always)]
        fn part<V: Simd>(x: [&[f32]; 2], grad: &[f32], [to_v, to_g]: [&mut [f32]; 2]) {
            let [values, gates] = x.map(|x| x.chunks_exact(V::LANES));
            let [to_v, to_g] = [to_v, to_g].map(|to| to.chunks_exact_mut(V::LANES));
            let inputs = values.zip(gates).zip(grad.chunks_exact(V::LANES));
            for (((v, g), grad), (to_v, to_g)) in inputs.zip(to_v.zip(to_g)) {
                let [v, g, grad] = [v, g, grad].map(V::load);
                let share = normal(g);
                // Φ' = e^(-x² / 2) / √2π.
                let density = exp(g.mul(g).mul(V::splat(-0.5))).mul(V::splat(0.398_942_3));
                grad.mul(g.mul(share)).store(to_v);
                grad.mul(v).mul(g.mul_add(density, share)).store(to_g);
            }
        }
        let width = self.width;
        let inputs = self.x.chunks_exact(2 * width).zip(self.grad_out.chunks_exact(width));
        for ((x, grad), to) in inputs.zip(self.grad_x.chunks_exact_mut(2 * width)) {
            let ((values, gates), (to_v, to_g)) = (x.split_at(width), to.split_at_mut(width));
            let [(v, v_tail), (g, g_tail), (grad, grad_tail)] =
                [values, gates, grad].map(whole::<V>);
            let [(to_v, to_v_tail), (to_g, to_g_tail)] = [to_v, to_g].map(whole_mut::<V>);
            part::<V>([v, g], grad, [to_v, to_g]);
            part::<Lanes<1>>([v_tail, g_tail], grad_tail, [to_v_tail, to_g_tail]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::simd::testing::{at_each_level, erf64};
    use super::*;

    /// Φ and its derivative.
    fn normal64(x: f64) -> (f64, f64) {
        let density = (-x * x / 2.0).exp() / std::f64::consts::TAU.sqrt();
        (0.5 + 0.5 * erf64(x / 2f64.sqrt()), density)
    }

    #[test]
    fn geglu_and_its_gradient() {
        for (rows, width) in [(1, 1), (3, 7), (2, 16), (700, 37), (5, 100)] {
            let n = rows * width;
            let at = |i: usize, turns: f64| 5.0 * (i as f64 * turns).sin();
            let x: Vec<f32> = (0..2 * n).map(|i| at(i, 0.7) as f32).collect();
            let grad: Vec<f32> = (0..n).map(|i| at(i, 1.3) as f32).collect();
            at_each_level(|level| {
                let (mut out, mut dx) = (vec![f32::NAN; n], vec![f32::NAN; 2 * n]);
                geglu(width, &x, &mut out);
                geglu_backward(width, &x, &grad, &mut dx);
                for i in 0..n {
                    let first = i / width * 2 * width + i % width;
                    let [v, g] = [first, first + width].map(|i| f64::from(x[i]));
                    let ((share, density), grad) = (normal64(g), f64::from(grad[i]));
                    let close = |what, got: f32, want: f64| {
                        let error = (f64::from(got) - want).abs();
                        assert!(error < 1e-5, "{level:?} {what} {v} {g}: {got} instead of {want}");
                    };
                    close("out", out[i], v * g * share);
                    close("values", dx[first], grad * g * share);
                    close("gates", dx[first + width], grad * v * (share + g * density));
                }
            });
        }
    }
}
