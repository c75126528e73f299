//! Copies between dense `[image][channel][row][col]` tensors and kernel scratch.

use super::plan::{Layout, Pass, Plan};

/// Writes up to `layout.group` images (`x`, dense) into `dst [channel][layout.stride]`, whose
/// padding is zero and stays so.
#[inline(always)]
pub fn pack(layout: &Layout, x: &[f32], dst: &mut [f32]) {
    let [channels, h, w] = layout.dims;
    let (step, g) = (layout.step, layout.group);
    let [top, left] = layout.pad;
    // With one image per group every cell is overwritten; otherwise missing images stay zero.
    for (n, image) in x.chunks_exact(channels * h * w).enumerate() {
        let planes = image.chunks_exact(h * w).zip(dst.chunks_exact_mut(layout.stride));
        for (plane, cells) in planes {
            for (y, row) in plane.chunks_exact(w).enumerate() {
                let (py, i) = ((y + top) % step, (y + top) / step);
                if py >= layout.phases || i >= layout.rows {
                    continue;
                }
                for px in 0..layout.phases {
                    // The first column of this phase, and its place there.
                    let first = (px + step - left % step) % step;
                    let j = (first + left) / step;
                    let phase = py * layout.phases + px;
                    let at = ((phase * layout.rows + i) * layout.pitch + j) * g + n;
                    if first >= w || j >= layout.pitch {
                        continue;
                    }
                    // Columns past the phase's end are never read by a tap.
                    let count = (w - first).div_ceil(step).min(layout.pitch - j);
                    let to = &mut cells[at..];
                    match (step, g) {
                        (1, 1) => copy(&row[first..], to, count),
                        (2, 1) => {
                            for (d, s) in to[..count].iter_mut().zip(row[first..].iter().step_by(2))
                            {
                                *d = *s;
                            }
                        }
                        _ => {
                            let from = row[first..].iter().step_by(step).take(count);
                            for (d, s) in to.iter_mut().step_by(g).zip(from) {
                                *d = *s;
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Writes one channel's pixel vectors `src` to the dense output planes of up to `group` images;
/// `out` starts at the channel's plane in the first image.
#[inline(always)]
pub fn unpack(plan: &Plan, pass: &Pass, src: &[f32], out: &mut [f32]) {
    let [channels, h, w] = plan.out;
    let (step, g) = (plan.out_step, plan.source.group);
    let [rows, cols] = pass.size;
    for (n, image) in out.chunks_mut(channels * h * w).enumerate() {
        for i in 0..rows {
            let from = &src[i * pass.out_pitch * g + n..];
            let at = (pass.origin[0] + step * i) * w + pass.origin[1];
            let to = &mut image[at..];
            match (step, g) {
                (1, 1) => copy(from, to, cols),
                (1, _) => {
                    for (d, s) in to[..cols].iter_mut().zip(from.iter().step_by(g)) {
                        *d = *s;
                    }
                }
                _ => {
                    let from = from.iter().step_by(g).take(cols);
                    for (d, s) in to.iter_mut().step_by(step).zip(from) {
                        *d = *s;
                    }
                }
            }
        }
    }
}

/// `to[..n] = from[..n]` for the few floats of a row, for which `memcpy` is a slow call.
#[inline(always)]
pub fn copy(from: &[f32], to: &mut [f32], n: usize) {
    let (from, from_tail) = from[..n].as_chunks::<4>();
    let (to, to_tail) = to[..n].as_chunks_mut::<4>();
    for (t, f) in to.iter_mut().zip(from) {
        *t = *f;
    }
    for (t, f) in to_tail.iter_mut().zip(from_tail) {
        *t = *f;
    }
}
