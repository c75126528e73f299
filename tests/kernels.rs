//! The WGSL kernels against their CPU twins, on random and on hard input.

use std::sync::{Arc, LazyLock};

use burn::tensor::{Device, Tensor, TensorData};
use pollster::block_on;
use salun_studio::{
    gpu::{
        buffers,
        device::{self, DeviceChoice},
        kernels::{BINS, Keep, Kernels, Picture, Slice, Update, Updated, layer_histogram},
    },
    models::weights::{HostWeights, Init, WeightLayout, Weights, read_all, vector},
    saliency::{estimator::Estimator, picture, ranking::Ranking, select},
    train::optimizer::{Freeze, Optimizer, Rule},
    unlearn::salun_soft::shrunk,
};

/// A Vulkan device, the software one where there is no other.
static KERNELS: LazyLock<Option<Kernels>> = LazyLock::new(|| {
    let descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    let backends = wgpu::Backends::PRIMARY;
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor { backends, ..descriptor });
    let adapter = block_on(instance.request_adapter(&Default::default())).ok()?;
    // The limits that every WebGPU device has, so that the kernels run in any browser.
    let (device, queue) = block_on(adapter.request_device(&Default::default())).ok()?;
    Some(Kernels::new(device, queue))
});

/// The device as the studio opens it, which a process can do once.
static DEVICE: LazyLock<Device> = LazyLock::new(|| device::open(DeviceChoice::Gpu).unwrap().device);

/// The kernels, or `None` where there is no Vulkan at all, which CI must have.
fn kernels() -> Option<&'static Kernels> {
    let kernels = KERNELS.as_ref();
    assert!(kernels.is_some() || std::env::var_os("CI").is_none(), "CI must have software Vulkan");
    kernels
}

fn upload(kernels: &Kernels, values: &[f32]) -> Slice {
    kernels.upload(bytemuck::cast_slice(values))
}

fn floats(kernels: &Kernels, values: &Slice) -> Vec<f32> {
    block_on(kernels.read(values)).unwrap().into_iter().map(f32::from_bits).collect()
}

/// Reproducible values in -1..1.
fn random(n: usize, seed: u32) -> Vec<f32> {
    let mut state = seed;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..n).map(next).collect()
}

/// Scores that selection finds hard, of lengths that are multiples of nothing.
fn hard() -> Vec<Vec<f32>> {
    let mut cases = vec![vec![], vec![0.0; 1001], vec![2.5; 8193], vec![1.0], vec![f32::MAX; 33]];
    cases.push((0..20_000).map(|i| f32::from_bits(i * 7 % 97)).collect());
    cases.push((0..100_003u32).map(|i| ((i * 7919) % 1003) as f32 * 1e-3).collect());
    cases.push(random(300_007, 3).into_iter().map(f32::abs).collect());
    cases.push((0..70_001u32).map(|i| f32::from_bits(i * 30_011)).collect());
    cases
}

fn expand(words: &[u32], n: usize) -> Vec<u8> {
    (0..n).map(|i| (words[i / 32] >> (i % 32) & 1) as u8).collect()
}

#[test]
fn every_shader_is_valid() {
    let mut n = 0;
    for file in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/shaders")).unwrap() {
        let path = file.unwrap().path();
        let source = std::fs::read_to_string(&path).unwrap();
        assert!(source.starts_with("//"), "{} says what it computes", path.display());
        let module = wgpu::naga::front::wgsl::parse_str(&source).unwrap_or_else(|e| {
            panic!("{}", e.emit_to_string_with_path(&source, &path.display().to_string()))
        });
        let flags = wgpu::naga::valid::ValidationFlags::all();
        let none = wgpu::naga::valid::Capabilities::empty();
        wgpu::naga::valid::Validator::new(flags, none)
            .validate(&module)
            .unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        n += 1;
    }
    assert!(n >= 10, "{n} shaders");
}

#[test]
fn selection_is_the_cpus_bit_for_bit() {
    let Some(kernels) = kernels() else { return };
    for scores in hard() {
        let n = scores.len();
        let on_device = upload(kernels, &scores);
        for k in [0, 1, n / 10, n / 2, n.saturating_sub(1), n] {
            let cut = select::top_k(&scores, k).unwrap();
            let mut expected = Vec::new();
            cut.mark(&scores, &mut expected);
            let selection = block_on(kernels.top_k(&on_device, k)).unwrap();
            let mask = expand(&block_on(kernels.read(&selection.mask)).unwrap(), n);
            assert_eq!(mask.iter().map(|b| *b as usize).sum::<usize>(), k.min(n), "n = {n}");
            assert!(mask == expected, "n = {n}, k = {k}");
            assert_eq!(selection.threshold.to_bits(), cut.threshold().to_bits());
            let alone = block_on(kernels.kth_largest(&on_device, k)).unwrap();
            assert_eq!(alone.to_bits(), cut.threshold().to_bits());
        }
    }
}

#[test]
fn selection_refuses_what_is_no_score() {
    let Some(kernels) = kernels() else { return };
    for bad in [f32::INFINITY, f32::NAN, -1.0, -f32::NAN] {
        let mut scores = random(9_001, 5).into_iter().map(f32::abs).collect::<Vec<_>>();
        scores[8_777] = bad;
        for k in [0, 100] {
            let refused = block_on(kernels.top_k(&upload(kernels, &scores), k)).unwrap_err();
            assert!(refused.to_string().contains("8777"), "{refused}");
        }
    }
}

#[test]
fn scores_and_histograms_agree() {
    let Some(kernels) = kernels() else { return };
    let gradients = [random(300_001, 7), random(300_001, 8), random(300_001, 9)];
    let sum = kernels.zeros(300_001);
    for (i, gradient) in gradients.iter().enumerate() {
        kernels.accumulate(&sum, &upload(kernels, gradient), i == 2);
    }
    let expected: Vec<f32> = (0..300_001)
        .map(|i| (0.0 + gradients[0][i] + gradients[1][i] + gradients[2][i]).abs())
        .collect();
    assert_eq!(floats(kernels, &sum), expected);
    for scores in hard().into_iter().chain([expected]) {
        // Layers that begin nowhere in particular; one is empty, and so may all be.
        let n = scores.len();
        let third = n.div_ceil(3);
        let ends = [0, 1.min(n), third, third, n];
        let layers: Vec<_> = ends.windows(2).map(|pair| pair[0]..pair[1]).collect();
        let found = block_on(kernels.layer_histograms(&upload(kernels, &scores), &layers)).unwrap();
        let right = layers.iter().flat_map(|range| layer_histogram(&scores[range.clone()]));
        assert_eq!(found.iter().sum::<u32>() as usize, n);
        assert_eq!(found.len(), 4 * BINS);
        assert!(found.into_iter().eq(right), "n = {n}");
    }
}

#[test]
fn a_heat_map_painted_on_the_device_is_the_one_that_is_copied() {
    let Some(kernels) = kernels() else { return };
    let mut layout = WeightLayout::default();
    for (name, shape) in
        [("bias", &[17usize] as &[usize]), ("conv", &[12, 5, 3, 3]), ("fc", &[7, 301])]
    {
        layout.param(name.into(), shape, Init::Constant(0.0));
    }
    let mut scores: Vec<f32> = random(layout.n(), 41).iter().map(|s| s.abs().powi(5)).collect();
    scores.iter_mut().step_by(11).for_each(|s| *s = 0.0);
    scores.iter_mut().step_by(7).for_each(|s| *s = 0.25);
    let on_device = upload(kernels, &scores);
    let ranking = Ranking::new(Arc::new(layout), Estimator::AbsSumGrad, "class:0", scores);
    let (mut frozen, mut texels) = (0, 0);
    for density in [0.0, 0.1, 0.5, 1.0] {
        let kept = ranking.live.exact(&ranking, ranking.k(density).unwrap());
        let free = |at: usize| {
            let score = ranking.scores[at];
            score > kept.threshold || score == kept.threshold && at < kept.ties_end
        };
        for (layer, entry) in ranking.layout.params.iter().enumerate() {
            let [width, height] = picture::size(entry);
            let largest = ranking.live.largest(layer);
            let right = picture::heat(entry, &ranking.scores, largest, free);
            // The whole, and its columns from the third on.
            for left in [0, 2] {
                let canvas = kernels.canvas([width - left, height]);
                let (threshold, ties_end) = (kept.threshold, kept.ties_end);
                let of = Picture { range: entry.range(), width, largest, threshold, ties_end };
                kernels.heat_map(&on_device, &of, left, &canvas);
                let found = pixels(kernels, &canvas);
                let rows = right.rgba.chunks(4 * width).flat_map(|row| &row[4 * left..]);
                assert!(found.iter().zip(rows).all(|(a, b)| a.abs_diff(*b) <= 1), "{}", entry.name);
                assert_eq!(found.len(), 4 * (width - left) * height);
                texels += found.len() / 4;
                frozen += found.chunks(4).filter(|p| p[0] == p[1] && p[1] == p[2]).count();
            }
        }
    }
    assert!(frozen > texels / 4 && frozen < 3 * texels / 4, "{frozen} of {texels}");
}

/// What a canvas shows, RGBA.
fn pixels(kernels: &Kernels, canvas: &wgpu::Texture) -> Vec<u8> {
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
    let words = block_on(kernels.read(&rows)).unwrap();
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    bytes.chunks(row as usize).flat_map(|row| &row[..4 * width as usize]).copied().collect()
}

#[test]
fn masked_updates_agree_and_frozen_bits_stay() {
    let Some(kernels) = kernels() else { return };
    let (n, start) = (10_007, 77);
    // Frozen weights with bits that arithmetic would not keep.
    let mut weights = random(n, 11);
    weights[3] = f32::from_bits(1);
    weights[4] = -0.0;
    weights[5] = f32::from_bits(0x7fc0_1234);
    let mut words = vec![0u32; (start + n).div_ceil(32)];
    let free = |i: usize| i > 5 && !i.is_multiple_of(3);
    (0..n).filter(|&i| free(i)).for_each(|i| words[(start + i) / 32] |= 1 << ((start + i) % 32));
    let mask = kernels.upload(&words);
    for masked in [false, true] {
        let mask = if masked { mask.clone() } else { kernels.upload(&vec![u32::MAX; words.len()]) };
        for adam in [false, true] {
            let (mut theta, mut m, mut v) = (weights.clone(), vec![0.0; n], vec![0.0; n]);
            let mut on_device = upload(kernels, &weights);
            let moments: Vec<Slice> =
                (0..1 + usize::from(adam)).map(|_| kernels.zeros(n)).collect();
            for step in 1..=3 {
                let gradient = random(n, 100 + step as u32);
                let updated = kernels.zeros(n);
                let (lr, momentum, weight_decay) = (0.05, 0.9, 5e-4);
                let (beta1, beta2, eps) = (0.9f32, 0.999f32, 1e-8);
                let update = if adam {
                    Update::Adam { lr, beta1, beta2, eps, step }
                } else {
                    Update::Sgd { lr, momentum, weight_decay }
                };
                let tensors = [on_device, upload(kernels, &gradient), updated.clone()];
                let tensor = Updated { tensors: &tensors, moments: &moments, mask: (&mask, start) };
                kernels.update(update, &[tensor]);
                on_device = updated;
                for i in (0..n).filter(|&i| !masked || free(i)) {
                    let g = gradient[i];
                    if adam {
                        m[i] = beta1 * m[i] + (1.0 - beta1) * g;
                        v[i] = beta2 * v[i] + (1.0 - beta2) * g * g;
                        let root = (v[i] / (1.0 - beta2.powi(step))).sqrt() + eps;
                        theta[i] -= lr / (1.0 - beta1.powi(step)) * m[i] / root;
                    } else {
                        m[i] = momentum * m[i] + g + weight_decay * theta[i];
                        theta[i] -= lr * m[i];
                    }
                }
            }
            let found = floats(kernels, &on_device);
            for i in 0..n {
                if masked && !free(i) {
                    assert_eq!(found[i].to_bits(), weights[i].to_bits(), "frozen weight {i}");
                } else if theta[i].is_finite() {
                    let off = (found[i] - theta[i]).abs();
                    assert!(
                        off <= 1e-5 * theta[i].abs().max(0.1),
                        "{i}: {} {}",
                        found[i],
                        theta[i]
                    );
                }
            }
            for moment in &moments {
                let moment = floats(kernels, moment);
                assert!(!masked || (0..n).filter(|&i| !free(i)).all(|i| moment[i] == 0.0));
            }
        }
    }
}

#[test]
fn dropout_draws_the_same_in_parts_and_on_every_device() {
    let n = 10_007;
    for share in [0.9, 0.5, 1.0] {
        let keep = Keep { stream: 77, first: 3, share };
        let right = keep.values(n);
        let part = Keep { first: 3 + 4_000, ..keep }.values(n - 4_000);
        assert_eq!(right[4_000..], part);
        let kept = right.iter().filter(|v| **v > 0.0).count() as f64 / n as f64;
        assert!((kept - share).abs() < 0.02, "{kept}");
        assert!(right.iter().all(|v| *v == 0.0 || *v == (1.0 / share) as f32));
        assert_ne!(Keep { stream: 78, ..keep }.values(n) == right, share < 1.0);
        let Some(kernels) = kernels() else { continue };
        let mask = kernels.zeros(n);
        kernels.keep(&keep, &mask);
        assert_eq!(floats(kernels, &mask), right);
    }
}

#[test]
fn the_proximal_step_draws_back_to_the_very_original() {
    let Some(kernels) = kernels() else { return };
    let original = random(5_003, 21);
    let moved: Vec<f32> =
        original.iter().zip(random(5_003, 22)).map(|(o, d)| o + 0.02 * d).collect();
    let (weights, updated) = (upload(kernels, &moved), kernels.zeros(5_003));
    kernels.soft_threshold(&[[weights, upload(kernels, &original), updated.clone()]], 0.01);
    let found = floats(kernels, &updated);
    let mut kept = 0;
    for ((now, moved), from) in found.iter().zip(&moved).zip(&original) {
        let by = moved - from;
        if by.abs() <= 0.01 {
            assert_eq!(now.to_bits(), from.to_bits());
            kept += 1;
        } else {
            assert!((now - (from + by - by.signum() * 0.01)).abs() < 1e-6);
        }
    }
    assert!(kept > 1_000 && kept < 4_000, "{kept}");
}

#[test]
fn the_buffer_behind_a_tensor_holds_what_burn_computed() {
    if kernels().is_none() {
        return;
    }
    let kernels = Kernels::of(&DEVICE).unwrap();
    let n = 5_003;
    let [a, b] = [31, 32].map(|seed| random(n, seed));
    let expected: Vec<f32> = a.iter().zip(&b).map(|(a, b)| (a + b) * 0.5).collect();
    let [a, b] = [a, b].map(|v| Tensor::<1>::from_data(TensorData::new(v, [n]), &*DEVICE));
    // Of a tensor that others share.
    let mean = (a.clone() + b.clone()) * 0.5;
    let slice = buffers::slice(&mean).unwrap();
    assert_eq!(floats(&kernels, &slice), expected);
    let sum = kernels.zeros(n);
    kernels.accumulate(&sum, &buffers::slice(&(mean - a * 0.5)).unwrap(), true);
    for (found, b) in floats(&kernels, &sum).iter().zip(b.into_data().iter::<f32>()) {
        assert!((found - (0.5 * b).abs()).abs() < 1e-6, "{found}, {b}");
    }
    assert!(buffers::slice(&Tensor::zeros([3], &Device::flex())).is_err());
}

/// Two masked updates from these weights, the last parameter grown by a row; then the proximal step.
fn masked_run(start: &HostWeights, rule: Rule, device: &Device) -> [Vec<f32>; 2] {
    let original = start.upload(device);
    let mut weights: Weights = original.clone();
    let last = weights.params.pop().unwrap();
    weights.params.push(Tensor::cat(vec![last, vector(&[0.5; 10], device)], 0));
    let bits: Vec<u8> = (0..start.layout.n()).map(|i| u8::from(i % 3 > 0)).collect();
    let freeze = Freeze::new(&bits, &start.layout, &original, &weights, false);
    let before = weights.params.clone();
    let mut optimizer = Optimizer::new(rule, Some(freeze));
    for step in 0..2u32 {
        let gradient =
            |(i, theta): (u32, &Tensor<1>)| vector(&random(theta.dims()[0], 10 * step + i), device);
        let gradients = (0..).zip(&weights.params).map(gradient);
        let gradients = gradients.map(|g| g.clone() + g * 0.5).collect();
        optimizer.step(&mut weights, gradients, 0.01).unwrap();
    }
    let n = start.layout.n() + 10;
    let drawn = block_on(shrunk(&weights.params, &before, n / 2)).unwrap();
    [weights.params, drawn].map(|params| block_on(read_all(&params)).unwrap())
}

#[test]
fn a_masked_run_on_the_gpu_is_the_cpus() {
    if kernels().is_none() {
        return;
    }
    let mut layout = WeightLayout::default();
    for (i, n) in [1000, 17, 4608, 1, 30].into_iter().enumerate() {
        layout.param(format!("{i}"), &[n], Init::Normal(0.1));
    }
    let start = Arc::new(layout).init(1);
    assert!(Kernels::of(&start.upload(&DEVICE).device()).is_some());
    for rule in [Rule::SGD, Rule::ADAM] {
        let right = masked_run(&start, rule, &Device::flex());
        let seen = masked_run(&start, rule, &DEVICE);
        for (right, seen) in right.iter().zip(&seen) {
            assert_eq!(right.len(), start.layout.n() + 10);
            let close = right.iter().zip(seen).all(|(a, b)| (a - b).abs() < 2e-6);
            assert!(close, "{rule:?}");
        }
        for (i, (was, now)) in start.values.iter().zip(&seen[0]).enumerate() {
            assert!(i % 3 > 0 || was.to_bits() == now.to_bits(), "{rule:?}: frozen weight {i}");
        }
        let moved = seen[0].iter().zip(&start.values).filter(|(a, b)| a != b).count();
        assert!(moved > start.layout.n() / 2, "{rule:?}: {moved} weights moved");
    }
}
