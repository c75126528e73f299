//! Gradients over many pictures at one state of the weights, in evaluation mode, before anything is
//! trained: what closed-form edits and adaptive masks are made of.

use burn::tensor::Tensor;

use super::hooks::MethodContext;
use crate::data::rng;
use crate::error::Result;
use crate::gpu::{Pace, spread};
use crate::models::Mode;
use crate::models::weights::read;
use crate::saliency::PlainBatch;
use crate::train::optimizer::plus;
use crate::train::shards;

/// Gradients that are held at once.
const HELD: usize = 8;

/// What a person is told while these are looked at.
pub const FORGET: &str = "Measuring the forget set";
pub const RETAIN: &str = "Measuring the retain set";

/// The gradient of the mean loss of every group of `each` pictures, one after another: `map` makes
/// something of each gradient and its group's size where it is computed, `fold` takes what it made.
///
/// # Errors
/// Cancelled, or the device failed.
pub async fn gradients<R: Send>(
    scene: &mut MethodContext<'_>,
    items: &[usize],
    each: usize,
    map: impl Fn(Vec<Tensor<1>>, usize) -> R + Sync,
    mut fold: impl FnMut(R),
) -> Result<()> {
    let (subject, weights) = (scene.subject, scene.original);
    let mut rng = rng::seeded(scene.plan.seed, "statistics");
    let mut pace = Pace::start();
    for held in items.chunks(HELD * each) {
        let of = |items| PlainBatch::of(subject, items, &mut rng);
        let groups: Vec<PlainBatch> = held.chunks(each).map(of).collect();
        let made = spread(&weights.device(), groups, |batch| {
            let n = batch.n();
            let (loss, [gradient]) = shards::of([weights], Mode::Eval, batch, &|[pass], batch| {
                PlainBatch::loss(pass, batch)
            });
            (map(gradient, n), loss)
        });
        for (made, loss) in made {
            fold(made);
            pace.step(&loss).await?;
        }
        scene.job.advance(held.len()).await?;
    }
    Ok(())
}

/// The sum of what `map` makes of every value of each group's gradient, over `n`.
async fn mean_of(
    scene: &mut MethodContext<'_>,
    phase: &'static str,
    (items, each): (&[usize], usize),
    n: usize,
    map: impl Fn(Tensor<1>, usize) -> Tensor<1> + Sync,
) -> Result<Vec<Tensor<1>>> {
    scene.job.phase(phase, items.len());
    let mut sum = Vec::new();
    let mapped =
        |gradient: Vec<Tensor<1>>, size| gradient.into_iter().map(|g| map(g, size)).collect();
    gradients(scene, items, each, mapped, |more| sum = plus(std::mem::take(&mut sum), more))
        .await?;
    Ok(sum.into_iter().map(|v| v / n as f64).collect())
}

/// The mean gradient over the items.
///
/// # Errors
/// Cancelled, or the device failed.
pub async fn mean(
    scene: &mut MethodContext<'_>,
    phase: &'static str,
    items: &[usize],
) -> Result<Vec<Tensor<1>>> {
    mean_of(scene, phase, (items, 32), items.len(), |g, size| g * size as f64).await
}

/// The mean squared gradient of groups of `each` items, as released code has it in place of the
/// Fisher information, which is of single items ([`crate::saliency::fisher`]).
///
/// # Errors
/// Cancelled, or the device failed.
pub async fn squares(
    scene: &mut MethodContext<'_>,
    phase: &'static str,
    items: &[usize],
    each: usize,
) -> Result<Vec<Tensor<1>>> {
    let groups = items.len().div_ceil(each);
    mean_of(scene, phase, (items, each), groups, |g, _| g.square()).await
}

/// The inner product of two vectors over all parameters, on the device.
pub fn dot(a: &[Tensor<1>], b: &[Tensor<1>]) -> Tensor<1> {
    let products = a.iter().zip(b).map(|(a, b)| (a.clone() * b.clone()).sum()).collect();
    Tensor::cat(products, 0).sum()
}

/// The same, in main memory.
///
/// # Errors
/// The device failed.
pub async fn product(a: &[Tensor<1>], b: &[Tensor<1>]) -> Result<f64> {
    Ok(f64::from(read(dot(a, b)).await?[0]))
}

/// a + s b.
pub fn plus_scaled(a: &[Tensor<1>], s: f64, b: &[Tensor<1>]) -> Vec<Tensor<1>> {
    a.iter().zip(b).map(|(a, b)| a.clone() + b.clone() * s).collect()
}
