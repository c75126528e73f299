//! Gradients over many pictures at one state of the weights, in evaluation mode, before anything is
//! trained: what closed-form edits and adaptive masks are made of.

use burn::tensor::Tensor;

use super::hooks::MethodContext;
use crate::{
    data::rng,
    error::Result,
    gpu::{cpu::par, flex, pace::Pace},
    job_context::JobContext,
    models::{
        layers::{Mode, Pass},
        weights::{Weights, read},
    },
    subject::{Noisy, Subject, Under},
    train::losses::{cross_entropy, mse},
};

/// Gradients that are held at once.
const HELD: usize = 8;

/// What one gradient is taken over.
enum Group<'a> {
    Pictures(Box<Tensor<4>>, Vec<usize>),
    Noise(Box<dyn Noisy + 'a>),
}

/// The gradient of the mean loss of every group of `each` pictures, one after another: `map` makes
/// something of each gradient where it is computed, `fold` takes what it made and the group's size.
///
/// # Errors
/// Cancelled, or the device failed.
pub async fn gradients<R: Send>(
    scene: &MethodContext<'_>,
    items: &[usize],
    each: usize,
    job: &mut JobContext,
    map: impl Fn(Vec<Tensor<1>>) -> R + Sync,
    mut fold: impl FnMut(R, usize),
) -> Result<()> {
    let device = scene.original.device();
    let mut rng = rng::seeded(scene.plan.seed, "statistics");
    let mut pace = Pace::start();
    let one = |group: Group| {
        let tracked = scene.original.tracked();
        let pass = Pass::new(&tracked, Mode::Eval);
        let loss = match (scene.subject, group) {
            (Subject::Classifier(of), Group::Pictures(x, labels)) => {
                cross_entropy(of.net.forward(&pass, *x), &labels)
            }
            (_, Group::Noise(b)) => mse(b.predict(&pass, Under::Own), b.target()),
            _ => unreachable!("a subject's own kind of group is made below"),
        };
        let made = map(tracked.gradients(&mut loss.backward()));
        (made, loss.without_autodiff())
    };
    for held in items.chunks(HELD * each) {
        let groups: Vec<Group> = held
            .chunks(each)
            .map(|items| match scene.subject {
                Subject::Classifier(of) => {
                    let x = of.plain(items, &mut rng);
                    Group::Pictures(Box::new(x), of.data.train.labels(items))
                }
                Subject::Diffusion(of) => Group::Noise(of.plain(items, &mut rng)),
            })
            .collect();
        let sizes: Vec<usize> = held.chunks(each).map(<[usize]>::len).collect();
        let made = if flex::is_cpu(&device) {
            par::map(groups, one)
        } else {
            groups.into_iter().map(one).collect()
        };
        for ((made, loss), size) in made.into_iter().zip(sizes) {
            fold(made, size);
            pace.step(&loss).await?;
        }
        job.advance(held.len()).await?;
    }
    Ok(())
}

/// The mean gradient over the items.
///
/// # Errors
/// Cancelled, or the device failed.
pub async fn mean(
    scene: &MethodContext<'_>,
    items: &[usize],
    job: &mut JobContext,
) -> Result<Vec<Tensor<1>>> {
    const EACH: usize = 32;
    let mut sum = Sum::default();
    gradients(scene, items, EACH, job, |g| g, |g, n| sum.add(g, n as f64)).await?;
    Ok(sum.over(items.len() as f64))
}

/// The mean squared gradient of groups of `each` items, as released code has it in place of the
/// Fisher information, which is of single items ([`crate::saliency::fisher`]).
///
/// # Errors
/// Cancelled, or the device failed.
pub async fn squares(
    scene: &MethodContext<'_>,
    items: &[usize],
    each: usize,
    job: &mut JobContext,
) -> Result<Vec<Tensor<1>>> {
    let mut sum = Sum::default();
    let square = |g: Vec<Tensor<1>>| g.into_iter().map(|g| g.square()).collect();
    gradients(scene, items, each, job, square, |g, _| sum.add(g, 1.0)).await?;
    Ok(sum.over(items.len().div_ceil(each) as f64))
}

/// A weighted sum of vectors.
#[derive(Default)]
struct Sum(Vec<Tensor<1>>);

impl Sum {
    fn add(&mut self, vectors: Vec<Tensor<1>>, weight: f64) {
        let more = vectors.into_iter().map(|v| v * weight).collect();
        self.0 = crate::train::optimizer::plus(std::mem::take(&mut self.0), more);
    }

    fn over(self, n: f64) -> Vec<Tensor<1>> {
        self.0.into_iter().map(|v| v / n).collect()
    }
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

/// Moves all weights by `s` times a vector.
pub fn shift(weights: &mut Weights, s: f64, by: &[Tensor<1>]) {
    weights.params = plus_scaled(&weights.params, s, by);
}
