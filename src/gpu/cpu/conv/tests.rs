//! Every kernel against plain loops in `f64`, at every level the CPU has.

use super::super::simd::testing::at_each_level;
use super::*;

/// `x`, `weight`, `bias` and `grad_out` of a shape, reproducible.
fn data(s: &ConvShape) -> [Vec<f32>; 4] {
    let mut state = 1u32;
    let mut random = |n: usize| -> Vec<f32> {
        let next = |_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        };
        (0..n).map(next).collect()
    };
    [
        random(s.batch * s.c_in * s.h * s.w),
        random(s.c_out * s.c_in * s.kernel * s.kernel),
        random(s.c_out),
        random(s.batch * s.c_out * s.out_h() * s.out_w()),
    ]
}

/// Calls `f(x index, weight index, out index)` for every product of the convolution.
fn products(s: &ConvShape, mut f: impl FnMut(usize, usize, usize)) {
    let (oh, ow, k) = (s.out_h(), s.out_w(), s.kernel);
    for n in 0..s.batch {
        for co in 0..s.c_out {
            for ci in 0..s.c_in {
                for o in 0..oh * ow {
                    for t in 0..k * k {
                        let y = (o / ow * s.stride + t / k).wrapping_sub(s.pad[0]);
                        let x = (o % ow * s.stride + t % k).wrapping_sub(s.pad[1]);
                        if y < s.h && x < s.w {
                            f(
                                ((n * s.c_in + ci) * s.h + y) * s.w + x,
                                (co * s.c_in + ci) * k * k + t,
                                (n * s.c_out + co) * oh * ow + o,
                            );
                        }
                    }
                }
            }
        }
    }
}

/// Largest difference, relative to the reference's root mean square.
fn error(got: &[f32], want: &[f64]) -> f64 {
    assert_eq!(got.len(), want.len());
    let rms = (want.iter().map(|w| w * w).sum::<f64>() / want.len() as f64).sqrt();
    let worst = got.iter().zip(want).map(|(&g, w)| (f64::from(g) - w).abs());
    worst.fold(0.0, |a, b| if b <= a { a } else { b }) / rms.max(1e-30)
}

fn check(s: ConvShape) {
    let [x, weight, bias, grad_out] = data(&s);
    let plane = s.out_h() * s.out_w();
    let channel = |i: usize| i / plane % s.c_out;
    let mut out: Vec<f64> = (0..grad_out.len()).map(|i| f64::from(bias[channel(i)])).collect();
    let mut grad_x = vec![0.0; x.len()];
    let mut grad_w = vec![0.0; weight.len()];
    let mut grad_b = vec![0.0; bias.len()];
    products(&s, |i, w, o| {
        let (x, weight, g) = (f64::from(x[i]), f64::from(weight[w]), f64::from(grad_out[o]));
        out[o] += x * weight;
        grad_x[i] += g * weight;
        grad_w[w] += g * x;
    });
    grad_out.iter().enumerate().for_each(|(i, &g)| grad_b[channel(i)] += f64::from(g));

    at_each_level(|level| {
        let run = |f: &dyn Fn(&mut [f32]), want: &[f64], what: &str| {
            let mut got = vec![f32::NAN; want.len()];
            f(&mut got);
            let e = error(&got, want);
            assert!(e < 1e-5, "{what} of {s:?} at {level:?}: {e:e}");
            let mut again = vec![0.5; want.len()];
            f(&mut again);
            assert!(got == again, "{what} of {s:?} at {level:?} changed");
        };
        run(&|o| forward(&s, &x, &weight, Some(&bias), o), &out, "forward");
        run(&|o| grad_input(&s, &grad_out, &weight, o), &grad_x, "grad_input");
        run(&|o| grad_weight(&s, &x, &grad_out, o), &grad_w, "grad_weight");
        run(&|o| grad_bias(&s, &grad_out, o), &grad_b, "grad_bias");
    });
}

fn shape(
    [batch, c_in, h, w, c_out]: [usize; 5],
    kernel: usize,
    stride: usize,
    pad: [usize; 4],
) -> ConvShape {
    ConvShape { batch, c_in, h, w, c_out, kernel, stride, pad }
}

const SAME: [usize; 4] = [1; 4];
const LATE: [usize; 4] = [0, 0, 1, 1];
const NONE: [usize; 4] = [0; 4];

#[test]
fn kernel_3_stride_1() {
    for dims in [
        [1, 1, 28, 28, 16],
        [2, 16, 28, 28, 16],
        [3, 5, 14, 14, 13],
        [2, 32, 14, 14, 16],
        [1, 1, 1, 1, 1],
        [2, 3, 5, 9, 7],
        [1, 4, 3, 2, 1],
        [3, 2, 17, 4, 3],
        [3, 8, 21, 30, 11],
        [1, 9, 16, 19, 8],
    ] {
        for pad in [SAME, LATE, NONE, [1, 2, 0, 1], [2; 4]] {
            if dims[2] + pad[0] + pad[2] >= 3 && dims[3] + pad[1] + pad[3] >= 3 {
                check(shape(dims, 3, 1, pad));
            }
        }
    }
}

#[test]
fn kernel_3_stride_2() {
    for dims in
        [[2, 8, 28, 28, 8], [3, 3, 14, 14, 5], [2, 4, 7, 7, 9], [1, 2, 5, 8, 3], [2, 1, 2, 3, 1]]
    {
        for pad in [SAME, LATE, NONE, [2, 1, 1, 0]] {
            if dims[2] + pad[0] + pad[2] >= 3 && dims[3] + pad[1] + pad[3] >= 3 {
                check(shape(dims, 3, 2, pad));
            }
        }
    }
}

#[test]
fn kernel_1() {
    for dims in [
        [2, 48, 14, 14, 16],
        [3, 5, 7, 7, 11],
        [2, 3, 28, 28, 1],
        [1, 7, 5, 3, 4],
        [70, 9, 4, 4, 6],
    ] {
        check(shape(dims, 1, 1, NONE));
        check(shape(dims, 1, 2, NONE));
    }
}

/// Batches large enough that images share vectors, full and not.
#[test]
fn small_maps() {
    for batch in [64, 75] {
        for dims in [[batch, 5, 7, 7, 9], [batch, 8, 4, 4, 8], [batch, 3, 3, 5, 2]] {
            check(shape(dims, 3, 1, SAME));
            check(shape(dims, 3, 2, SAME));
            check(shape(dims, 3, 2, LATE));
        }
        check(shape([batch, 3, 14, 14, 4], 3, 2, SAME));
        check(shape([batch, 3, 14, 14, 4], 3, 2, LATE));
    }
}

/// Batches whose images share vectors at any level, on maps of odd and even sides.
#[test]
fn batches_of_whole_vectors() {
    for dims in [
        [16, 8, 7, 7, 9],
        [32, 9, 4, 4, 8],
        [16, 16, 14, 14, 24],
        [16, 8, 5, 9, 17],
        [64, 8, 8, 6, 8],
        [16, 9, 29, 16, 8],
        [16, 16, 16, 15, 12],
    ] {
        for pad in [SAME, LATE, NONE, [2; 4]] {
            check(shape(dims, 3, 1, pad));
        }
    }
}

/// So many weights that output channels are shared out, too, in ranges that do not divide evenly.
#[test]
fn wide() {
    check(shape([3, 128, 3, 3, 232], 3, 1, SAME));
    check(shape([16, 128, 4, 4, 232], 3, 1, SAME));
    check(shape([2, 300, 2, 3, 113], 3, 2, SAME));
    // More weights than pixels.
    check(shape([2, 540, 5, 4, 491], 3, 1, SAME));
    check(shape([1, 512, 4, 5, 512], 3, 2, SAME));
    check(shape([2, 512, 5, 6, 512], 3, 2, LATE));
    check(shape([1, 512, 3, 4, 513], 3, 1, [1, 2, 0, 1]));
    check(shape([1, 1600, 3, 3, 1480], 1, 1, NONE));
}

#[test]
fn numbers_do_not_depend_on_the_threads() {
    for s in [
        shape([1, 16, 33, 30, 24], 3, 1, SAME),
        shape([1, 16, 32, 31, 24], 3, 1, LATE),
        shape([1, 9, 30, 33, 20], 3, 1, [1, 2, 0, 1]),
        shape([1, 8, 29, 32, 9], 3, 1, [2; 4]),
        shape([3, 9, 18, 17, 20], 3, 1, NONE),
        shape([1, 8, 5, 40, 8], 3, 1, SAME),
        shape([1, 12, 20, 21, 40], 1, 1, NONE),
        shape([2, 8, 17, 16, 27], 3, 2, SAME),
        shape([16, 8, 14, 14, 16], 3, 1, SAME),
        shape([1, 520, 6, 5, 512], 3, 1, SAME),
        shape([16, 8, 28, 28, 16], 3, 1, SAME),
    ] {
        let [x, weight, bias, grad_out] = data(&s);
        let with = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let mut made = [&grad_out, &x, &weight].map(|like| vec![f32::NAN; like.len()]);
                let [out, grad_x, grad_w] = &mut made;
                forward(&s, &x, &weight, Some(&bias), out);
                grad_input(&s, &grad_out, &weight, grad_x);
                grad_weight(&s, &x, &grad_out, grad_w);
                made
            })
        };
        at_each_level(|level| {
            let alone = with(1);
            for threads in [2, 3, 8] {
                let names = ["out", "grad_x", "grad_w"];
                for ((name, here), there) in names.iter().zip(with(threads)).zip(&alone) {
                    assert!(here == *there, "{name}, {threads} threads, {level:?}, {s:?}");
                }
            }
        });
    }
}
