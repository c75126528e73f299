//! Every WGSL kernel on a device and its twin on the CPU, on random and on hard input.

use std::sync::Arc;

use rand::RngExt;

use super::{Off, furthest};
use crate::data::seeded;
use crate::error::{Error, Result};
use crate::gpu::kernels::{Keep, Kernels, Picture, Slice, Update, Updated, layer_histogram};
use crate::job_context::JobContext;
use crate::models::{Init, WeightLayout};
use crate::saliency::{Kept, Scores, picture, select};
use crate::unlearn::Local;
use crate::words::Estimator;

/// Runs all kernels and their twins. What a kernel is called starts with its shader's name.
///
/// # Errors
/// The device was lost, or cancelled.
pub async fn kernels(kernels: &Kernels, job: &mut JobContext) -> Result<Vec<Off>> {
    let parts: [Local<'_, Result<Vec<Off>>>; 7] = [
        Box::pin(accumulated(kernels)),
        Box::pin(selected(kernels)),
        Box::pin(counted(kernels)),
        Box::pin(updated(kernels)),
        Box::pin(drawn_back(kernels)),
        Box::pin(kept(kernels)),
        Box::pin(painted(kernels)),
    ];
    job.phase("Kernels", parts.len());
    let mut found = Vec::new();
    for part in parts {
        found.extend(part.await?);
        job.advance(1).await?;
    }
    Ok(found)
}

/// Values that must be the same to the bit: how many are not.
fn same<T: PartialEq>(what: impl Into<String>, seen: &[T], right: &[T]) -> Off {
    let other = seen.iter().zip(right).filter(|(a, b)| a != b).count();
    let by = if seen.len() == right.len() { other as f32 } else { f32::MAX };
    Off { what: what.into(), by, limit: 0.0 }
}

/// Values that may be rounded in another way, in units of themselves or of a tenth.
fn near(what: impl Into<String>, seen: &[f32], right: &[f32]) -> Off {
    let by = furthest(seen, right, |v| v.abs().max(0.1));
    Off { what: what.into(), by, limit: 1e-5 }
}

fn upload(kernels: &Kernels, values: &[f32]) -> Slice {
    kernels.upload(bytemuck::cast_slice(values))
}

async fn floats(kernels: &Kernels, values: &Slice) -> Result<Vec<f32>> {
    Ok(kernels.read(values).await?.into_iter().map(f32::from_bits).collect())
}

fn bits(values: &[f32]) -> &[u32] {
    bytemuck::cast_slice(values)
}

/// Values in -1..1.
fn random(n: usize, purpose: &str) -> Vec<f32> {
    let mut rng = seeded(1, purpose);
    (0..n).map(|_| rng.random_range(-1.0..1.0)).collect()
}

/// Scores that selection finds hard, of lengths that are multiples of nothing.
fn hard() -> Vec<(&'static str, Vec<f32>)> {
    vec![
        ("nothing", vec![]),
        ("one score", vec![1.0]),
        ("zeros", vec![0.0; 1001]),
        ("equal scores", vec![2.5; 8193]),
        ("the largest scores", vec![f32::MAX; 33]),
        ("subnormal scores", (0..20_000).map(|i| f32::from_bits(i * 7 % 97)).collect()),
        ("many ties", (0..100_003u32).map(|i| ((i * 7919) % 1003) as f32 * 1e-3).collect()),
        ("random scores", random(300_007, "scores").into_iter().map(f32::abs).collect()),
        ("scores of every size", (0..70_001).map(|i| f32::from_bits(i * 30_011)).collect()),
    ]
}

async fn accumulated(kernels: &Kernels) -> Result<Vec<Off>> {
    let n = 300_001;
    let [a, b, c] = ["a", "b", "c"].map(|name| random(n, name));
    let sum = kernels.zeros(n);
    for (gradient, last) in [(&a, false), (&b, false), (&c, true)] {
        kernels.accumulate(&sum, &upload(kernels, gradient), last);
    }
    let right: Vec<f32> = (0..n).map(|i| (a[i] + b[i] + c[i]).abs()).collect();
    let seen = kernels.read(&sum).await?;
    Ok(vec![same("accumulate: the scores of three gradients", &seen, bits(&right))])
}

async fn selected(kernels: &Kernels) -> Result<Vec<Off>> {
    let mut found = Vec::new();
    for (name, scores) in hard() {
        let n = scores.len();
        let on_device = upload(kernels, &scores);
        let (mut seen, mut right) = (Vec::new(), Vec::new());
        for k in [0, 1, n / 10, n / 2, n.saturating_sub(1), n] {
            let cut = select::top_k(&scores, k)?;
            right.extend(cut.mark(&scores).iter().map(u32::from));
            right.extend([cut.threshold().to_bits(); 2]);
            let selection = kernels.top_k(&on_device, k).await?;
            let words = kernels.read(&selection.mask).await?;
            seen.extend((0..n).map(|i| words[i / 32] >> (i % 32) & 1));
            let alone = kernels.kth_largest(&on_device, k).await?;
            seen.extend([selection.threshold, alone].map(f32::to_bits));
        }
        found.push(same(format!("select of {name}"), &seen, &right));
    }
    let at = 8_777;
    let refused =
        |error: Error| matches!(error, Error::Diverged(why) if why.contains(&at.to_string()));
    let mut seen = Vec::new();
    for bad in [f32::INFINITY, f32::NAN, -1.0, -f32::NAN] {
        let mut scores = vec![0.5; 9_001];
        scores[at] = bad;
        for k in [0, 100] {
            let selection = kernels.top_k(&upload(kernels, &scores), k).await;
            seen.push(selection.is_err_and(refused));
        }
    }
    found.push(same("select: what is no score is refused", &seen, &[true; 8]));
    Ok(found)
}

async fn counted(kernels: &Kernels) -> Result<Vec<Off>> {
    let mut found = Vec::new();
    for (name, scores) in hard() {
        // Layers that begin nowhere in particular; one is empty, and so may all be.
        let n = scores.len();
        let third = n.div_ceil(3);
        let ends = [0, 1.min(n), third, third, n];
        let layers: Vec<_> = ends.windows(2).map(|pair| pair[0]..pair[1]).collect();
        let seen = kernels.layer_histograms(&upload(kernels, &scores), &layers).await?;
        let right: Vec<u32> =
            layers.iter().flat_map(|range| layer_histogram(&scores[range.clone()])).collect();
        found.push(same(format!("layer_histogram of {name}"), &seen, &right));
    }
    Ok(found)
}

/// A weight and its moments after an update.
fn stepped(update: Update, [theta, m, v]: [f32; 3], g: f32) -> [f32; 3] {
    match update {
        Update::Sgd { lr, momentum, weight_decay } => {
            let m = momentum * m + g + weight_decay * theta;
            [theta - lr * m, m, v]
        }
        Update::Adam { lr, beta1, beta2, eps, step } => {
            let m = beta1 * m + (1.0 - beta1) * g;
            let v = beta2 * v + (1.0 - beta2) * g * g;
            let root = (v / (1.0 - beta2.powi(step))).sqrt() + eps;
            [theta - lr / (1.0 - beta1.powi(step)) * m / root, m, v]
        }
    }
}

/// Three updates of a tensor that begins within a word of the mask.
async fn updated(kernels: &Kernels) -> Result<Vec<Off>> {
    let (n, start) = (10_007, 77);
    let mut weights = random(n, "weights");
    // Bits that arithmetic would not keep.
    let odd = [1, (-0f32).to_bits(), 0x7fc0_1234].map(f32::from_bits);
    weights[..odd.len()].copy_from_slice(&odd);
    let free = |i: &usize| *i >= odd.len() && !i.is_multiple_of(3);
    let mut found = Vec::new();
    for masked in [false, true] {
        let (moving, frozen): (Vec<usize>, Vec<usize>) =
            (0..n).partition(|i| if masked { free(i) } else { *i >= odd.len() });
        let mut words = vec![if masked { 0u32 } else { u32::MAX }; (start + n).div_ceil(32)];
        moving.iter().map(|i| start + i).for_each(|at| words[at / 32] |= 1 << (at % 32));
        let mask = kernels.upload(&words);
        for adam in [false, true] {
            let mut on_device = upload(kernels, &weights);
            let second = 1e-3;
            let from = [random(n, "first moments"), vec![second; n]];
            let from = &from[..1 + usize::from(adam)];
            let moments: Vec<Slice> = from.iter().map(|from| upload(kernels, from)).collect();
            let mut right: Vec<[f32; 3]> =
                weights.iter().zip(&from[0]).map(|(w, m)| [*w, *m, second]).collect();
            frozen.iter().for_each(|&i| right[i][1..].fill(0.0));
            for step in 1..=3 {
                let lr = 0.05;
                let update = match adam {
                    true => Update::Adam { lr, beta1: 0.9, beta2: 0.999, eps: 1e-8, step },
                    false => Update::Sgd { lr, momentum: 0.9, weight_decay: 5e-4 },
                };
                let gradient = random(n, &format!("gradient {step}"));
                let after = kernels.zeros(n);
                let tensors = [on_device, upload(kernels, &gradient), after.clone()];
                let tensor = Updated { tensors: &tensors, moments: &moments, mask: (&mask, start) };
                kernels.update(update, &[tensor]);
                on_device = after;
                moving.iter().for_each(|&i| right[i] = stepped(update, right[i], gradient[i]));
            }
            let name = if adam { "step_adam" } else { "step_sgd" };
            let name = format!("{name}{}", if masked { ", masked" } else { "" });
            let mut seen = vec![floats(kernels, &on_device).await?];
            for moment in &moments {
                seen.push(floats(kernels, moment).await?);
            }
            for (part, seen) in seen.iter().enumerate() {
                let of = |at: &[usize]| at.iter().map(|&i| seen[i]).collect::<Vec<_>>();
                let right = |at: &[usize]| at.iter().map(|&i| right[i][part]).collect::<Vec<_>>();
                let what = ["weights", "first moments", "second moments"][part];
                found.push(near(format!("{name}: {what}"), &of(&moving), &right(&moving)));
                if masked {
                    let what = format!("{name}: {what} of frozen weights");
                    found.push(same(what, bits(&of(&frozen)), bits(&right(&frozen))));
                }
            }
        }
    }
    Ok(found)
}

/// The proximal step: what moved little is the very original again.
async fn drawn_back(kernels: &Kernels) -> Result<Vec<Off>> {
    let (n, lambda) = (5_003, 0.01);
    let original = random(n, "original");
    let by = random(n, "moved");
    let moved: Vec<f32> = original.iter().zip(by).map(|(o, by)| o + 2.0 * lambda * by).collect();
    let after = kernels.zeros(n);
    let tensors = [upload(kernels, &moved), upload(kernels, &original), after.clone()];
    kernels.soft_threshold(&[tensors], lambda);
    let seen = floats(kernels, &after).await?;
    let little = |i: &usize| (moved[*i] - original[*i]).abs() <= lambda;
    let (little, far): (Vec<usize>, Vec<usize>) = (0..n).partition(little);
    let right = |&i: &usize| {
        let by = moved[i] - original[i];
        original[i] + by - by.signum() * lambda
    };
    let of = |values: &[f32], at: &[usize]| at.iter().map(|&i| values[i]).collect::<Vec<_>>();
    let (kept, right) = (of(&original, &little), far.iter().map(right).collect::<Vec<_>>());
    Ok(vec![
        same("soft_threshold: what is taken back", bits(&of(&seen, &little)), bits(&kept)),
        near("soft_threshold: what is shortened", &of(&seen, &far), &right),
    ])
}

/// Dropout's masks.
async fn kept(kernels: &Kernels) -> Result<Vec<Off>> {
    let n = 10_007;
    let mut found = Vec::new();
    for share in [0.9, 0.5, 1.0] {
        let keep = Keep { stream: 77, first: 3, share };
        let mask = kernels.zeros(n);
        kernels.keep(&keep, &mask);
        let (seen, right) = (kernels.read(&mask).await?, keep.values(n));
        found.push(same(format!("keep: a share of {share}"), &seen, bits(&right)));
    }
    Ok(found)
}

/// Heat maps of layers of several shapes; a rounded step of one is right, too.
async fn painted(kernels: &Kernels) -> Result<Vec<Off>> {
    let mut layout = WeightLayout::default();
    let shapes: [(&str, &[usize]); 3] =
        [("bias", &[17]), ("conv", &[12, 5, 3, 3]), ("fc", &[7, 301])];
    for (name, shape) in shapes {
        layout.param(name.into(), shape, Init::Constant(0.0));
    }
    let scores = random(layout.n(), "heat");
    let mut scores: Vec<f32> = scores.iter().map(|s| s.abs().powi(5)).collect();
    scores.iter_mut().step_by(11).for_each(|s| *s = 0.0);
    scores.iter_mut().step_by(7).for_each(|s| *s = 0.25);
    let on_device = upload(kernels, &scores);
    let ranking = Scores::new(Arc::new(layout), Estimator::AbsSumGrad, "class:0", scores);
    let mut found = Vec::new();
    for density in [0.0, 0.1, 0.5, 1.0] {
        let cut = Kept::exact(&ranking.layout, &ranking.scores, ranking.k(density)?)?;
        let (threshold, ties_end) = (cut.threshold, cut.ties_end);
        let free = |at: usize| {
            let score = ranking.scores[at];
            score > threshold || score == threshold && at < ties_end
        };
        let mut by = 0u8;
        for (layer, entry) in ranking.layout.params.iter().enumerate() {
            let [width, height] = picture::size(entry);
            let largest = ranking.live.largest(layer);
            let right = picture::heat(entry, &ranking.scores, largest, free);
            // The whole, and its columns from the third on.
            for left in [0, 2] {
                let canvas = kernels.canvas([width - left, height]);
                let of = Picture { range: entry.range(), width, largest, threshold, ties_end };
                kernels.heat_map(&on_device, &of, left, &canvas);
                let seen = pixels(kernels, &canvas).await?;
                let rows = right.rgba.chunks(4 * width).flat_map(|row| &row[4 * left..]);
                by = seen.iter().zip(rows).fold(by, |most, (a, b)| most.max(a.abs_diff(*b)));
            }
        }
        let what = format!("heat_map at a density of {density}, steps of 255");
        found.push(Off { what, by: by.into(), limit: 1.0 });
    }
    Ok(found)
}

/// What a canvas shows, RGBA.
async fn pixels(kernels: &Kernels, canvas: &wgpu::Texture) -> Result<Vec<u8>> {
    let (width, height) = (canvas.width(), canvas.height());
    // A row of a copied texture begins at a multiple of 256 bytes.
    let row = (4 * width).next_multiple_of(256);
    let rows = kernels.zeros((row * height / 4) as usize);
    let mut encoder = kernels.device.create_command_encoder(&Default::default());
    let layout =
        wgpu::TexelCopyBufferLayout { offset: 0, bytes_per_row: Some(row), rows_per_image: None };
    let to = wgpu::TexelCopyBufferInfo { buffer: &rows.buffer, layout };
    encoder.copy_texture_to_buffer(canvas.as_image_copy(), to, canvas.size());
    kernels.queue.submit([encoder.finish()]);
    let words = kernels.read(&rows).await?;
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let rows = bytes.chunks(row as usize).flat_map(|row| &row[..4 * width as usize]);
    Ok(rows.copied().collect())
}
