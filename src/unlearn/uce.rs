//! Unified concept editing (Gandikota et al. 2024, eq. 7): the keys and values of cross-attention are solved
//! for, so that forgotten captions read as what they are sent to.

use super::{Local, Losses, Method, MethodContext, MethodHooks, Treatment};
use crate::data::rng;
use crate::error::{Error, Result};
use crate::eval::linear;
use crate::models::latent::is_cross_attention;
use crate::models::weights::read;
use crate::models::{HostWeights, WeightEntry};

/// UCE: for prompts alone.
pub const METHOD: Method = Method {
    name: "uce",
    title: "UCE",
    paper: "Gandikota et al., WACV 2024, arXiv 2308.14761",
    treatments: &[Treatment { redirects: true, ..Treatment::prompts(Losses::Retain).closed() }],
    work: |_| Box::new(Edit),
    ..Method::PLAIN
};

/// Captions that equations are made of, at the most, forgotten and kept.
const SOLVED: usize = 256;

struct Edit;

impl MethodHooks for Edit {
    fn begin<'a>(&'a mut self, scene: &'a mut MethodContext<'_>) -> Local<'a, Result<()>> {
        Box::pin(async move {
            let prompts = scene.subject.prompts().ok_or_else(|| {
                Error::Request("concept editing is for models that take prompts".into())
            })?;
            let mut rng = rng::seeded(scene.plan.seed, "prompt solve");
            let some = |items: &[usize]| items[..items.len().min(SOLVED)].to_vec();
            let forgotten = prompts.noised(&some(&scene.plan.forget), false, &mut rng);
            let kept = prompts.noised(&some(&scene.plan.retain), false, &mut rng);
            let vectors = async |ids| {
                let context = prompts.contexts(ids);
                let [n, tokens, width] = context.dims();
                // The start token is the same in every prompt.
                Ok((width, read(context.slice([0..n, 1..tokens, 0..width])).await?))
            };
            let (width, from) = vectors(&forgotten.own).await?;
            let (_, to) = vectors(&forgotten.sent).await?;
            let (_, keep) = vectors(&kept.own).await?;
            let mut unet = scene.weights.download().await?;
            edit(&mut unet, width, [&from, &to, &keep])?;
            *scene.weights = unet.upload(&scene.original.device());
            Ok(())
        })
    }
}

/// Weight of the prompts that are kept, beside the forgotten ones.
const KEEP: f64 = 0.1;

/// Edits the U-Net: of vectors of tokens in the text encoder's space, each of `d` values, `from` is read
/// as `to`, one by one, and `keep` as itself:
/// W = (Σ W to fromᵀ + λ Σ W keep keepᵀ) (Σ from fromᵀ + λ Σ keep keepᵀ)⁻¹.
fn edit(unet: &mut HostWeights, d: usize, [from, to, keep]: [&[f32]; 3]) -> Result<()> {
    let both = |vectors: &[f32], weight: f64| -> Vec<f64> {
        let kept = keep.iter().map(|v| weight * f64::from(*v));
        vectors.iter().copied().map(f64::from).chain(kept).collect()
    };
    let read = both(from, 1.0);
    let sum = |left: &[f32]| linear::product(&both(left, KEEP), &read, read.len() / d);
    // Both sums are the same for every layer: W times the first is the left side.
    let (mut cross, mut own) = (sum(to), sum(from));
    // A little of the identity on both sides leaves directions that no prompt uses as they are.
    let scale = (0..d).map(|i| own[i * d + i]).sum::<f64>() / d as f64;
    for i in 0..d {
        cross[i * d + i] += 1e-4 * scale;
        own[i * d + i] += 1e-4 * scale;
    }
    let inverse = invert(own, d).ok_or_else(|| {
        Error::Request("the prompts are too alike to be told apart by their tokens".into())
    })?;
    let map = linear::product(&linear::transposed(&cross, d), &inverse, d);
    let edited = |e: &&WeightEntry| {
        is_cross_attention(&e.name)
            && (e.name.ends_with("to_k.weight") || e.name.ends_with("to_v.weight"))
    };
    for e in unet.layout.clone().params.iter().filter(edited) {
        for row in unet.values[e.range()].chunks_exact_mut(d) {
            let old: Vec<f64> = row.iter().map(|v| f64::from(*v)).collect();
            for (j, value) in row.iter_mut().enumerate() {
                *value = (0..d).map(|i| old[i] * map[i * d + j]).sum::<f64>() as f32;
            }
        }
    }
    Ok(())
}

/// Gauss and Jordan with the largest pivot; `None` where there is no inverse.
fn invert(mut a: Vec<f64>, d: usize) -> Option<Vec<f64>> {
    let mut inverse = vec![0.0; d * d];
    (0..d).for_each(|i| inverse[i * d + i] = 1.0);
    for column in 0..d {
        let size = |row: &usize| a[row * d + column].abs();
        let pivot = (column..d).max_by(|x, y| size(x).total_cmp(&size(y)))?;
        let value = a[pivot * d + column];
        if value.abs() < 1e-12 || !value.is_finite() {
            return None;
        }
        for j in 0..d {
            a.swap(pivot * d + j, column * d + j);
            inverse.swap(pivot * d + j, column * d + j);
        }
        for j in 0..d {
            a[column * d + j] /= value;
            inverse[column * d + j] /= value;
        }
        for row in (0..d).filter(|r| *r != column) {
            let factor = a[row * d + column];
            if factor != 0.0 {
                for j in 0..d {
                    a[row * d + j] -= factor * a[column * d + j];
                    inverse[row * d + j] -= factor * inverse[column * d + j];
                }
            }
        }
    }
    Some(inverse)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::data::{normals, seeded};
    use crate::models::{Init, WeightLayout};

    #[test]
    fn a_forgotten_prompt_reads_as_the_other_and_kept_ones_as_before() {
        let (d, out) = (16, 5);
        let mut layout = WeightLayout::default();
        layout.param("a.attn2.to_k.weight".into(), &[out, d], Init::Normal(1.0));
        layout.param("a.attn1.to_k.weight".into(), &[out, d], Init::Normal(1.0));
        let original = Arc::new(layout).init(1);
        let mut rng = seeded(1, "uce");
        let mut vectors = |n: usize| normals(&mut rng, n * d);
        let (from, to, keep) = (vectors(2), vectors(2), vectors(6));
        let mut edited = original.clone();
        edit(&mut edited, d, [&from, &to, &keep]).unwrap();
        let read = |w: &HostWeights, v: &[f32]| -> Vec<f32> {
            let rows = w.values[..out * d].chunks_exact(d);
            rows.map(|row| row.iter().zip(v).map(|(a, b)| a * b).sum()).collect()
        };
        let near = |a: Vec<f32>, b: Vec<f32>| a.iter().zip(&b).all(|(x, y)| (x - y).abs() < 0.02);
        for (f, t) in from.chunks_exact(d).zip(to.chunks_exact(d)) {
            assert!(near(read(&edited, f), read(&original, t)));
        }
        for k in keep.chunks_exact(d) {
            assert!(near(read(&edited, k), read(&original, k)));
        }
        assert_eq!(edited.values[out * d..], original.values[out * d..]);
    }
}
