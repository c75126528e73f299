//! Every operation that the networks and the training use, forward and backward, on a device and on
//! the CPU.

use burn::tensor::{Device, Int, Tensor, TensorData, activation};

use super::{Off, distance};
use crate::data::{normals, seeded};
use crate::error::Result;
use crate::gpu::{Padding, ops};
use crate::job_context::JobContext;
use crate::models::weights::{read, vector};
use crate::models::{Bits, Init, Mode, Pass, Unet, UnetConfig, WeightLayout, read_all};
use crate::train::{Optimizer, Rule, WeightFreeze, clip_norm, cross_entropy, mse};

/// How far a result may be, in units of its largest value.
const LIMIT: f32 = 1e-3;

/// An operation on flat inputs of these lengths.
struct Case {
    name: &'static str,
    inputs: Vec<usize>,
    run: Box<Operation>,
}

type Operation = dyn Fn(&[Tensor<1>]) -> Tensor<1>;

fn case(
    name: &'static str,
    inputs: &[usize],
    run: impl Fn(&[Tensor<1>]) -> Tensor<1> + 'static,
) -> Case {
    Case { name, inputs: inputs.to_vec(), run: Box::new(run) }
}

fn flat<const D: usize>(x: Tensor<D>) -> Tensor<1> {
    let n = x.shape().num_elements();
    x.reshape([n])
}

/// An operation on inputs of one shape.
fn alike<const K: usize, const D: usize, const E: usize>(
    name: &'static str,
    shape: [usize; D],
    run: impl Fn([Tensor<D>; K]) -> Tensor<E> + 'static,
) -> Case {
    let inputs = [shape.iter().product(); K];
    case(name, &inputs, move |t| flat(run(std::array::from_fn(|i| t[i].clone().reshape(shape)))))
}

/// A convolution of `x` [n, c, side, side] to `k` channels.
fn conv(
    name: &'static str,
    [n, c, side, k, r]: [usize; 5],
    stride: usize,
    padding: Padding,
) -> Case {
    case(name, &[n * c * side * side, k * c * r * r, k], move |t| {
        let (x, w) = (t[0].clone().reshape([n, c, side, side]), t[1].clone());
        flat(ops::conv2d(x, w.reshape([k, c, r, r]), Some(t[2].clone()), stride, padding))
    })
}

/// A layer normalisation of `x` [n, t, c].
fn layer_norm(name: &'static str, [n, t, c]: [usize; 3]) -> Case {
    case(name, &[n * t * c, c, c], move |inputs| {
        let affine = [inputs[1].clone(), inputs[2].clone()];
        flat(ops::layer_norm(inputs[0].clone().reshape([n, t, c]), affine, 1e-5))
    })
}

/// A convolution of each channel of `x` [n, c, side, side] by itself.
fn depthwise(name: &'static str, [n, c, side, r]: [usize; 4], stride: usize) -> Case {
    case(name, &[n * c * side * side, c * r * r], move |t| {
        let (x, w) = (t[0].clone().reshape([n, c, side, side]), t[1].clone());
        flat(ops::depthwise(x, w.reshape([c, 1, r, r]), stride))
    })
}

/// The operations in the shapes of the shipped networks, with few pictures.
fn cases() -> Vec<Case> {
    const N: usize = 4;
    let same = Padding::Same(1);
    let batch_norm = |name, train: bool| {
        case(name, &[N * 16 * 49, 16, 16, N * 16 * 49], move |t| {
            let [x, residual] = [&t[0], &t[3]].map(|x| x.clone().reshape([N, 16, 7, 7]));
            let device = x.device().without_autodiff();
            let running = (!train).then(|| {
                let values = |by: f32| (0..16).map(|i| 0.5 + by * i as f32).collect::<Vec<_>>();
                [0.1, 0.2].map(|by| vector(&values(by), &device))
            });
            let affine = [t[1].clone(), t[2].clone()];
            flat(ops::batch_norm(x, affine, running, 1e-5, Some(residual), true).0)
        })
    };
    let group_norm = |name, c: usize, silu: bool| {
        case(name, &[N * c * 196, c, c], move |t| {
            let x = t[0].clone().reshape([N, c, 14, 14]);
            flat(ops::group_norm(x, [t[1].clone(), t[2].clone()], 8, 1e-6, silu))
        })
    };
    let linear = |name, [n, c, k]: [usize; 3]| {
        case(name, &[n * c, k * c, k], move |t| {
            let (x, w) = (t[0].clone().reshape([n, c]), t[1].clone().reshape([k, c]));
            flat(ops::linear(x, w, t[2].clone()))
        })
    };
    vec![
        conv("first convolution", [N, 1, 28, 16, 3], 1, same),
        conv("convolution", [N, 16, 28, 16, 3], 1, same),
        conv("wide convolution", [N, 96, 7, 64, 3], 1, same),
        conv("last convolution", [N, 16, 28, 1, 3], 1, same),
        conv("strided convolution", [N, 16, 14, 32, 3], 2, same),
        conv("strided convolution, padded below", [N, 16, 28, 16, 3], 2, Padding::BottomRight),
        conv("pointwise convolution", [N, 48, 14, 32, 1], 1, Padding::Same(0)),
        conv("strided pointwise convolution", [N, 16, 14, 32, 1], 2, Padding::Same(0)),
        linear("linear", [N, 16, 64]),
        linear("wide linear", [N, 128, 32]),
        linear("linear of one row", [1, 128, 10]),
        batch_norm("batch normalisation, training", true),
        batch_norm("batch normalisation, evaluation", false),
        group_norm("group normalisation", 16, true),
        group_norm("group normalisation of joined channels", 48, true),
        group_norm("group normalisation without SiLU", 64, false),
        layer_norm("layer normalisation", [N, 49, 96]),
        alike("GEGLU", [N, 49, 192], |[x]| ops::geglu(x)),
        alike("enlargement", [N, 64, 7, 7], |[x]| ops::upsample(x)),
        alike("pool of three", [N, 16, 14, 14], |[x]| ops::max_pool_3(x)),
        depthwise("convolution of each channel", [N, 24, 14, 3], 1),
        depthwise("strided convolution of each channel", [N, 24, 14, 5], 2),
        alike("attention", [N, 64, 49], |[q, k, v]| ops::attention(q, k, v)),
        alike("SiLU", [N * 128], |[x]| activation::silu(x)),
        case("a table's rows", &[10 * 16, 16], |t| {
            let table = vec![t[0].clone().reshape([10, 16]), t[1].clone().reshape([1, 16])];
            let rows = TensorData::new(vec![7, 10, 7, 0], [N]);
            let rows = Tensor::<1, Int>::from_data(rows, &t[0].device().without_autodiff());
            flat(Tensor::cat(table, 0).select(0, rows))
        }),
        case("joined channels", &[N * 16 * 196, N * 32 * 196], |t| {
            let a = t[0].clone().reshape([N, 16, 14, 14]);
            flat(Tensor::cat(vec![a, t[1].clone().reshape([N, 32, 14, 14])], 1))
        }),
        case("a shift of every channel", &[N * 32 * 49, N * 32], |t| {
            let shift = t[1].clone().reshape([N, 32, 1, 1]);
            flat(t[0].clone().reshape([N, 32, 7, 7]) + shift)
        }),
        alike("mean over positions", [N, 128, 16], |[x]| x.mean_dim(2)),
        alike("cross-entropy", [N, 10], |[x]| cross_entropy(x, &[7, 0, 9, 7])),
        alike("squared error", [N, 1, 28, 28], |[a, b]| mse(a, b)),
        alike("squared error of colours", [N, 3, 16, 16], |[a, b]| mse(a, b)),
        case("a clipped norm", &[1000, 16, 4608, 1], |t| {
            let plain = t.iter().map(|t| t.clone().without_autodiff()).collect();
            let clipped = Tensor::cat(clip_norm(plain, 1.0), 0);
            // The norm takes no part in gradients.
            Tensor::cat(t.to_vec(), 0) * 0.0 + clipped.autodiff()
        }),
    ]
}

/// Runs all operations on `device` and on the CPU.
///
/// # Errors
/// The device failed, or cancelled.
pub async fn operations(device: &Device, job: &mut JobContext) -> Result<Vec<Off>> {
    const UPDATES: [(Rule, bool); 4] =
        [(Rule::SGD, false), (Rule::ADAM, false), (Rule::SGD, true), (Rule::ADAM, true)];
    let mut found = Vec::new();
    let mut add = |what, seen: &[f32], right: &[f32]| {
        found.push(Off { what, by: distance(seen, right), limit: LIMIT });
    };
    let (cpu, cases) = (Device::flex(), cases());
    job.phase("Operations", cases.len() + 1 + UPDATES.len());
    for case in cases {
        let (right, seen) = (outcome(&case, &cpu).await?, outcome(&case, device).await?);
        for (i, (seen, right)) in seen.iter().zip(&right).enumerate() {
            let what = match i {
                0 => case.name.to_string(),
                k => format!("{}, gradient {k}", case.name),
            };
            add(what, seen, right);
        }
        job.advance(1).await?;
    }
    let (right, seen) = (network(&cpu).await?, network(device).await?);
    for ((what, seen), (_, right)) in seen.iter().zip(&right) {
        add(format!("U-Net: {what}"), seen, right);
    }
    job.advance(1).await?;
    for (rule, masked) in UPDATES {
        let right = updated(rule, masked, &cpu).await?;
        let seen = updated(rule, masked, device).await?;
        let name = if matches!(rule, Rule::Sgd { .. }) { "SGD" } else { "Adam" };
        add(format!("{}update by {name}", if masked { "masked " } else { "" }), &seen, &right);
        job.advance(1).await?;
    }
    Ok(found)
}

/// The result, then the gradient of every input of a random linear function of it.
async fn outcome(case: &Case, device: &Device) -> Result<Vec<Vec<f32>>> {
    let mut rng = seeded(1, case.name);
    let inputs: Vec<Tensor<1>> = case
        .inputs
        .iter()
        .map(|&n| vector(&normals(&mut rng, n), device).autodiff().require_grad())
        .collect();
    let result = (case.run)(&inputs);
    let direction = vector(&normals(&mut rng, result.dims()[0]), device);
    let mut gradients = (result.clone() * direction.autodiff()).sum().backward();
    let mut values = vec![read(result.without_autodiff()).await?];
    for input in &inputs {
        values.push(match input.grad_remove(&mut gradients) {
            Some(gradient) => read(gradient.without_autodiff()).await?,
            None => Vec::new(),
        });
    }
    Ok(values)
}

/// A U-Net in the shape of the shipped one, as an update uses it: a pass without gradients whose
/// result is the target of another, and a third with its own target.
async fn network(device: &Device) -> Result<Vec<(&'static str, Vec<f32>)>> {
    const N: usize = 4;
    let config = UnetConfig {
        ch: 16,
        mult: vec![1, 2, 4],
        res_blocks: 1,
        attention: vec![7],
        groups: 8,
        dropout: 0.1,
        channels: 1,
        resolution: 28,
        classes: 10,
    };
    let mut layout = WeightLayout::default();
    let net = Unet::new(config, layout.root());
    let weights = std::sync::Arc::new(layout).init(1).upload(device);
    let mut rng = seeded(1, "check a network");
    let mut noise = || vector(&normals(&mut rng, N * 784), device).reshape([N, 1, 28, 28]);
    let (x, y, eps) = (noise(), noise(), noise());
    let t = [3.0, 250.0, 700.0, 999.0];
    let class = [Some(7), None, Some(0), Some(9)];
    let target = {
        let pass = Pass::new(&weights, Mode::Eval);
        net.forward(&pass, x.clone(), &t, &[Some(8); N])
    };
    let tracked = weights.tracked();
    let pass = Pass::new(&tracked, Mode::train(1, 0, 0));
    let forgotten = net.forward(&pass, x, &t, &class);
    let retained = net.forward(&pass, y, &t, &class);
    let losses = [mse(forgotten.clone(), target.clone()), mse(retained.clone(), eps)];
    let [first, second] = losses.each_ref().map(|loss| loss.clone().without_autodiff());
    let [a, b] = losses;
    let loss = a * N as f64 + b * (3.0 * N as f64);
    let gradient = tracked.gradients(&mut loss.clone().backward());
    let clipped = clip_norm(gradient.clone(), 1.0);
    let sum = Tensor::cat(vec![loss.without_autodiff()], 0).sum();
    Ok(vec![
        ("sum of the losses, read last", read(sum).await?),
        ("prediction without gradients", read(target).await?),
        ("prediction", read(forgotten.without_autodiff()).await?),
        ("another prediction", read(retained.without_autodiff()).await?),
        ("first loss", read(first).await?),
        ("second loss", read(second).await?),
        ("gradient", read_all(&gradient).await?),
        ("clipped gradient", read_all(&clipped).await?),
    ])
}

/// Weights after two updates, of parameters of several sizes; masked, every third is frozen.
async fn updated(rule: Rule, masked: bool, device: &Device) -> Result<Vec<f32>> {
    let mut layout = WeightLayout::default();
    for (i, n) in [1000, 16, 4608, 1].into_iter().enumerate() {
        layout.param(format!("{i}"), &[n], Init::Normal(0.1));
    }
    let start = std::sync::Arc::new(layout).init(1);
    let mut weights = start.upload(device);
    let freeze = masked.then(|| {
        let bits: Vec<u8> = (0..start.layout.n()).map(|i| u8::from(i % 3 > 0)).collect();
        let bits = Bits::of(&bits);
        WeightFreeze::new(&bits, &start.layout, &weights, &weights, false)
    });
    let mut optimizer = Optimizer::new(rule, freeze);
    let mut rng = seeded(1, "check an update");
    let gradients: Vec<Tensor<1>> =
        start.layout.params.iter().map(|e| vector(&normals(&mut rng, e.n()), device)).collect();
    for _ in 0..2 {
        optimizer.step(&mut weights, gradients.clone(), 0.01)?;
    }
    Ok(weights.download().await?.values.into())
}
