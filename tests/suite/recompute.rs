//! Blocks that are computed again, attention in tiles and batches in small parts give the gradients that there are
//! without, and need less memory.

use std::rc::Rc;
use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData, activation};
use serde_json::json;

use crate::common;
use salun_studio::data::{normals, rng};
use salun_studio::gpu::attend::attend;
use salun_studio::gpu::{DeviceChoice, device};
use salun_studio::models::latent::{LatentUnet, TextEncoder};
use salun_studio::models::weights::vector;
use salun_studio::models::{
    Init, Mode, Pass, Tape, Unet, UnetConfig, WeightEntry, WeightLayout, Weights, read_all,
};
use salun_studio::train::{mse, shards};

/// A U-Net in Stable Diffusion's layout: attention on all levels but the last, `ch` channels on the first.
fn stable(side: usize, ch: usize, heads: usize) -> (LatentUnet, Arc<WeightLayout>) {
    let config = json!({
        "sample_size": side, "in_channels": 4, "out_channels": 4,
        "block_out_channels": [ch, 2 * ch, 2 * ch],
        "down_block_types": ["CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"],
        "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"],
        "layers_per_block": 2, "cross_attention_dim": 12, "attention_head_dim": heads,
        "norm_num_groups": 4, "norm_eps": 1e-5, "transformer_layers_per_block": 1,
        "use_linear_projection": false, "downsample_padding": 1, "flip_sin_to_cos": true, "freq_shift": 0.0,
    });
    let mut layout = WeightLayout::default();
    let net = LatentUnet::new(serde_json::from_value(config).unwrap(), layout.root());
    (net, Arc::new(layout))
}

/// Stable Diffusion 1.x's U-Net over latents of a side.
fn full(side: usize) -> (LatentUnet, WeightLayout) {
    let config = json!({
        "sample_size": side, "in_channels": 4, "out_channels": 4,
        "block_out_channels": [320, 640, 1280, 1280],
        "down_block_types":
            ["CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"],
        "up_block_types":
            ["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"],
        "layers_per_block": 2, "cross_attention_dim": 768, "attention_head_dim": 8,
        "norm_num_groups": 32, "norm_eps": 1e-5, "transformer_layers_per_block": 1,
        "use_linear_projection": false, "downsample_padding": 1, "flip_sin_to_cos": true,
        "freq_shift": 0.0,
    });
    let mut layout = WeightLayout::default();
    let net = LatentUnet::new(serde_json::from_value(config).unwrap(), layout.root());
    (net, layout)
}

/// A class-conditional U-Net with dropout.
fn classes() -> (Unet, Arc<WeightLayout>) {
    let config = UnetConfig {
        ch: 8,
        mult: vec![1, 2],
        res_blocks: 1,
        attention: vec![4],
        groups: 4,
        dropout: 0.25,
        channels: 1,
        resolution: 8,
        classes: 3,
    };
    let mut layout = WeightLayout::default();
    let net = Unet::new(config, layout.root());
    (net, Arc::new(layout))
}

/// The same values on every device.
fn values<const D: usize>(shape: [usize; D], name: &str, device: &Device) -> Tensor<D> {
    let values = normals(&mut rng::seeded(7, name), shape.iter().product());
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// Gradients of the weights and of what is tracked beside them, on such a tape.
fn gradients(
    weights: &Weights,
    context: &Tensor<3>,
    tape: Tape,
    loss: impl Fn(&Pass, Tensor<3>) -> Tensor<1>,
) -> Vec<f32> {
    let (tracked, tape) = (weights.tracked(), Rc::new(tape));
    let context = context.clone().autodiff().require_grad();
    // In a graph of its own, as a text encoder's are.
    let pass = Pass::new(&tracked, Mode::train(3, 1, 0)).taped(&tape);
    let loss = loss(&pass, context.clone() * 2.0);
    let mut sums = vec![None; tracked.params.len()];
    let mut beside = None;
    tape.unwind(loss.backward(), |found| {
        tracked.add_gradients(found, &mut sums, None);
        if let Some(more) = context.grad_remove(found) {
            beside = Some(beside.take().map_or(more.clone(), |sum: Tensor<3>| sum + more.clone()));
        }
    });
    let zeros = |p: &Tensor<1>| p.zeros_like();
    let mut all: Vec<Tensor<1>> =
        sums.into_iter().zip(&weights.params).map(|(s, p)| s.unwrap_or_else(|| zeros(p))).collect();
    all.extend(beside.map(|b| b.flatten(0, 2)));
    pollster::block_on(read_all(&all)).unwrap()
}

/// The largest difference in the largest value's size.
fn off(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    let size = a.iter().fold(0f32, |m, v| m.max(v.abs()));
    assert!(size > 0.0 && a.iter().chain(b).all(|v| v.is_finite()));
    a.iter().zip(b).fold(0f32, |m, (a, b)| m.max((a - b).abs())) / size
}

/// Gradients with blocks computed again are those without.
fn blocks(device: &Device, most: f32) {
    let (net, layout) = stable(8, 8, 2);
    let weights = layout.init(1).upload(device);
    let (z, target) = (values([2, 4, 8, 8], "z", device), values([2, 4, 8, 8], "target", device));
    let context = values([2, 5, 12], "context", device);
    let found = [Tape::default(), Tape::always()].map(|tape| {
        gradients(&weights, &context, tape, |pass, context| {
            mse(net.forward(pass, z.clone(), &[700.0, 20.0], &context), target.clone())
        })
    });
    let prompt = found[0].len() - layout.n();
    assert_eq!(prompt, 2 * 5 * 12, "the prompt's gradient is there, too");
    let far = off(&found[0], &found[1]);
    eprintln!("a latent U-Net: off by {far:e}");
    assert!(far <= most);

    let (net, layout) = classes();
    let weights = layout.init(1).upload(device);
    let (x, target) = (values([2, 1, 8, 8], "x", device), values([2, 1, 8, 8], "y", device));
    let found = [Tape::default(), Tape::always()].map(|tape| {
        gradients(&weights, &context, tape, |pass, _| {
            let made = net.forward(pass, x.clone(), &[700.0, 20.0], &[Some(1), None]);
            mse(made, target.clone())
        })
    });
    let far = off(&found[0], &found[1]);
    eprintln!("a U-Net of classes with dropout: off by {far:e}");
    assert!(far <= most);
}

/// Attention in tiles and its gradients are those of plain attention.
fn tiles(device: &Device, tokens: usize, most: f32) {
    let [q, k, v, seed] = ["q", "k", "v", "g"].map(|name| values([2, 2, tokens, 8], name, device));
    let found = [true, false].map(|tiled| {
        let leaves = [&q, &k, &v].map(|t| t.clone().autodiff().require_grad());
        let [q, k, v] = leaves.clone();
        let made = match tiled {
            true => attend(q, k, v),
            false => {
                let scores = q.matmul(k.swap_dims(2, 3)) * 8f32.powf(-0.5);
                activation::softmax(scores, 3).matmul(v)
            }
        };
        let mut grads = (made.clone() * seed.clone()).sum().backward();
        let all = leaves.iter().map(|leaf| leaf.grad_remove(&mut grads).unwrap());
        let all = std::iter::once(made.without_autodiff()).chain(all);
        all.map(|t| t.into_data().try_to_vec::<f32>().unwrap()).collect::<Vec<_>>()
    });
    for (i, (tiled, plain)) in found[0].iter().zip(&found[1]).enumerate() {
        let far = off(plain, tiled);
        eprintln!("attention in tiles, {i}: off by {far:e}");
        assert!(far <= most);
    }
}

#[test]
fn blocks_done_again_and_attention_in_tiles_have_the_same_gradients() {
    blocks(&Device::flex(), 1e-6);
    tiles(&Device::flex(), 2_100, 1e-5);
}

#[test]
fn on_a_gpu_too() {
    if !common::vulkan() || !common::alone("recompute::on_a_gpu_too") {
        return;
    }
    let device = device::open(DeviceChoice::Gpu).unwrap().device;
    blocks(&device, 1e-5);
    tiles(&device, 2_100, 1e-5);
    table(&device);
}

/// Bytes that every WebGPU device binds at once.
const BOUND: u64 = 128 << 20;

#[test]
fn no_tensor_of_stable_diffusion_is_above_what_every_device_binds() {
    let (net, layout) = full(64);
    let above = |layout: &WeightLayout| -> Vec<String> {
        let large = layout.params.iter().filter(|e| 4 * e.n() as u64 > BOUND);
        large.map(|e| e.name.clone()).collect()
    };
    assert_eq!(layout.n(), 859_520_964);
    assert_eq!(above(&layout), [""; 0]);
    let counted = net.activations();
    assert_eq!(counted.together(), 1);
    // With guidance a picture is two.
    assert!(2 * counted.widest <= BOUND, "{counted:?}");
    let half = full(32).0.activations();
    assert!(half.is_heavy() && 2 * half.together() as u64 * half.widest <= BOUND, "{half:?}");

    let config = json!({
        "vocab_size": 49_408, "hidden_size": 768, "intermediate_size": 3_072, "num_hidden_layers": 12,
        "num_attention_heads": 12, "max_position_embeddings": 77, "hidden_act": "quick_gelu",
        "layer_norm_eps": 1e-5,
    });
    let mut layout = WeightLayout::default();
    TextEncoder::new(serde_json::from_value(config).unwrap(), layout.root());
    // The one table that stays in main memory.
    assert_eq!(above(&layout), ["text_model.embeddings.token_embedding.weight"]);
}

/// Rows of a table that a GPU need not bind, gathered in main memory.
fn table(device: &Device) {
    let mut layout = WeightLayout::default();
    let rows = (BOUND / 4 / 64 + 1) as usize;
    layout.root().table("table", [rows, 64], Init::Constant(0.0));
    layout.root().param("bias", &[4], Init::Constant(1.0));
    let layout = Arc::new(layout);
    let mut host = layout.init(1);
    host.values[64 * 9 + 2] = 5.0;
    let weights = host.upload(device);
    assert_eq!(weights.device(), *device);
    let found = weights.rows(0, &[9, 0, 9]);
    assert_eq!(found.device(), *device);
    let found = found.into_data().try_to_vec::<f32>().unwrap();
    assert_eq!([found[2], found[66], found[130]], [5.0, 0.0, 5.0]);
    let back = pollster::block_on(weights.download()).unwrap();
    assert!(back.values == host.values);
}

#[test]
fn small_parts_of_a_batch_add_up_to_its_gradient() {
    let device = Device::flex();
    let (net, layout) = classes();
    let weights = layout.init(1).upload(&device);
    let (x, target) = (values([6, 1, 8, 8], "x", &device), values([6, 1, 8, 8], "y", &device));
    let found = [6, 4, 1].map(|size| {
        let parts = x.clone().split(size, 0).into_iter().zip(target.clone().split(size, 0));
        let parts = (parts.collect(), size);
        let (loss, gradients) =
            shards::gradients(&weights, Mode::train(3, 1, 0), parts, |pass, (x, target)| {
                let n = x.dims()[0];
                let made = net.forward(pass, x, &vec![300.0; n], &vec![Some(2); n]);
                mse(made, target) * (n as f64 / 6.0)
            });
        let mut all = pollster::block_on(read_all(&gradients)).unwrap();
        all.push(loss.into_data().try_to_vec::<f32>().unwrap()[0]);
        all
    });
    assert!(off(&found[0], &found[1]) <= 1e-5);
    assert!(off(&found[0], &found[2]) <= 1e-5);
}

/// Peak memory of a step of a U-Net of eight pictures, in MiB; of a process of its own.
#[cfg(target_os = "linux")]
mod memory {
    use super::*;

    const TAPE: &str = "SALUN_TEST_TAPE";

    fn peak(tape: &str) -> f64 {
        let mut itself = std::process::Command::new(std::env::current_exe().unwrap());
        itself.args(["--exact", "recompute::memory::a_step", "--nocapture", "--ignored"]);
        let ended = itself.env(TAPE, tape).output().unwrap();
        let said = String::from_utf8_lossy(&ended.stdout);
        let peak = said.lines().find_map(|line| line.strip_prefix("peak "));
        peak.unwrap_or_else(|| panic!("{said}")).parse().unwrap()
    }

    #[test]
    #[ignore = "run by the test below, in a process of its own"]
    fn a_step() {
        let Ok(tape) = std::env::var(TAPE) else { return };
        let device = Device::flex();
        // Light enough that blocks are not done again by themselves, and without tiles, whose scores would be most.
        let (net, layout) = stable(32, 28, 4);
        let weights = layout.init(1).upload(&device);
        let z = values([8, 4, 32, 32], "z", &device);
        let context = values([8, 77, 12], "context", &device);
        let tape = if tape == "always" { Tape::always() } else { Tape::default() };
        let found = gradients(&weights, &context, tape, |pass, context| {
            net.forward(pass, z.clone(), &[500.0; 8], &context).square().mean()
        });
        assert!(found.iter().all(|v| v.is_finite()));
        println!("\npeak {}", 1024.0 * peak_memory());
        assert!(!net.activations().is_heavy(), "{:?}", net.activations());
    }

    /// Stable Diffusion 1.x's U-Net, 860 M weights, without any file: seconds and peak memory of one gradient.
    /// `SIDE=64 cargo test --release --test suite -- --ignored --exact recompute::memory::full_size --nocapture`
    #[test]
    #[ignore = "minutes, and 9 GiB of memory"]
    fn full_size() {
        let side: usize = std::env::var("SIDE").map_or(64, |side| side.parse().unwrap());
        let (net, layout) = full(side);
        let device = Device::flex();
        let param = |entry: &WeightEntry| {
            let (n, fan) = (entry.n(), entry.shape[1..].iter().product::<usize>() as f32);
            let one = entry.shape.len() == 1 && entry.name.ends_with("weight");
            let value =
                |i: usize| (i.wrapping_mul(2_654_435_761) >> 7 & 0xffff) as f32 / 65_536.0 - 0.5;
            let values = (0..n).map(|i| if one { 1.0 } else { 2.0 * value(i) * fan.powf(-0.5) });
            vector(&values.collect::<Vec<_>>(), &device)
        };
        let params = layout.params.iter().map(param).collect();
        let weights = Weights { layout: layout.into(), params, buffers: Vec::new() };
        println!("{} weights, counted {:?}", weights.layout.n(), net.activations());
        println!("with the weights: {:.2} GiB", peak_memory());
        let z = values([1, 4, side, side], "z", &device);
        let context = values([1, 77, 768], "context", &device);
        let started = std::time::Instant::now();
        let made = net.forward(&Pass::new(&weights, Mode::Eval), z.clone(), &[500.0], &context);
        let made = made.into_data().try_to_vec::<f32>().unwrap();
        assert!(made.iter().all(|v| v.is_finite()));
        println!("forward: {:.1} s, {:.2} GiB", started.elapsed().as_secs_f64(), peak_memory());
        let started = std::time::Instant::now();
        let parts = (vec![(z, context)], 1);
        let (loss, gradients) =
            shards::gradients(&weights, Mode::Eval, parts, |pass, (z, context)| {
                net.forward(pass, z, &[500.0], &context).square().mean()
            });
        println!("loss {}", loss.into_scalar::<f32>());
        println!("gradient: {:.1} s, {:.2} GiB", started.elapsed().as_secs_f64(), peak_memory());
        let sums: Vec<f32> =
            gradients.iter().map(|g| g.clone().abs().sum().into_scalar::<f32>()).collect();
        assert!(sums.iter().all(|s| s.is_finite()));
    }

    /// The same of a folder's weights beside diffusers':
    /// `python3 tests/peers/full.py DIR 64 FILE`, then `SALUN_FULL=DIR SALUN_PEER=FILE cargo test --release --test
    /// suite -- --ignored --exact recompute::memory::full_size_agrees_with_diffusers --nocapture`
    #[test]
    #[ignore = "minutes, 9 GiB of memory, and a model"]
    fn full_size_agrees_with_diffusers() {
        let [folder, peer] = ["SALUN_FULL", "SALUN_PEER"].map(|name| std::env::var(name).unwrap());
        let model = salun_studio::models::open_latent(&folder).unwrap();
        let bytes = std::fs::read(peer).unwrap();
        let theirs = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let numbers = |name: &str| -> Vec<f32> {
            let data = theirs.tensor(name).unwrap().data().to_vec();
            data.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
        };
        let device = Device::flex();
        let z = numbers("z");
        let side = ((z.len() / 4) as f64).sqrt() as usize;
        let z = Tensor::<4>::from_data(TensorData::new(z, [1, 4, side, side]), &device);
        let context = numbers("context");
        let width = context.len() / 77;
        let context = Tensor::<3>::from_data(TensorData::new(context, [1, 77, width]), &device);
        let net = model.network.unet.clone();
        let weights = model.unet.upload(&device);
        drop(model);
        let made = net.forward(&Pass::new(&weights, Mode::Eval), z.clone(), &[500.0], &context);
        let made = made.into_data().try_to_vec::<f32>().unwrap();
        let far = off(&numbers("made"), &made);
        println!("forward: off by {far:e}");
        assert!(far < 1e-3);
        let parts = (vec![(z, context)], 1);
        let (_, gradients) =
            shards::gradients(&weights, Mode::Eval, parts, |pass, (z, context)| {
                net.forward(pass, z, &[500.0], &context).square().mean()
            });
        let mut most = 0f32;
        for (entry, gradient) in weights.layout.params.iter().zip(gradients) {
            let ours = gradient.into_data().try_to_vec::<f32>().unwrap();
            let theirs = numbers(&format!("gradient.{}", entry.name));
            let (largest, theirs) = theirs.split_last().unwrap();
            let each = theirs.iter().enumerate();
            let far = each.map(|(i, g)| (g - ours[i * ours.len() / 64]).abs());
            most = most.max(far.fold(0.0, f32::max) / largest.max(1e-12));
        }
        println!("gradient: off by {most:e} of each parameter's largest");
        assert!(most < 1e-3);
    }

    /// GiB of this process at its largest.
    fn peak_memory() -> f64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        let kib: f64 = line.split_whitespace().next().unwrap().parse().unwrap();
        kib / 1024.0 / 1024.0
    }

    #[test]
    fn blocks_done_again_need_less_memory() {
        let [all, again] = ["never", "always"].map(peak);
        eprintln!("peak of a step: {all:.0} MiB with everything kept, {again:.0} MiB by blocks");
        assert!(again < 0.75 * all);
    }
}
