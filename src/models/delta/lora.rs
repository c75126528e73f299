//! Δ as a LoRA (Hu et al. 2022, equation 3): of each linear and convolution layer of a U-Net the best factors of
//! a rank, up·down ≈ Δ, by the singular value decomposition (Eckart and Young 1936). A convolution's `down` has
//! its kernel, and its `up` is 1 x 1, as kohya's networks have them.

use super::alike;
use super::svd::{Svd, truncated};
use crate::error::{Error, Result, ensure};
use crate::job_context::JobContext;
use crate::models::{HostWeights, Owned, Precision, WeightEntry, checkpoint};
use crate::words::{LoraLayout, LoraReport, RANKS};

/// A LoRA file, and how well it holds the change.
#[derive(Debug, Clone)]
pub struct Lora {
    pub bytes: Vec<u8>,
    pub report: LoraReport,
}

/// The change between two states of a text-to-image model's U-Net as a LoRA of a rank. All its layers have that
/// rank, those that can have no other with zeros, because diffusers scales all by one.
///
/// # Errors
/// The rank is out of range, the two are of different networks or alike; cancelled.
pub async fn lora(
    original: &HostWeights,
    run: &HostWeights,
    rank: usize,
    layout: LoraLayout,
    job: &mut JobContext,
) -> Result<Lora> {
    let (from, to) = (RANKS.start(), RANKS.end());
    let right = || format!("a whole number from {from} to {to} is needed");
    ensure(RANKS.contains(&rank), || Error::argument("rank", rank, right()))?;
    alike(original, run)?;
    let change = |e: &WeightEntry| -> Vec<f64> {
        let pairs = original.values[e.range()].iter().zip(&run.values[e.range()]);
        pairs.map(|(a, b)| f64::from(*b) - f64::from(*a)).collect()
    };
    let params = &original.layout.params;
    job.phase("Factors", params.len());
    let (mut tensors, mut sum) = (Vec::new(), Sum::default());
    for entry in params {
        let change = change(entry);
        let norm = squared(&change);
        let module = entry.name.strip_suffix(".weight").filter(|_| layout.holds(&entry.name));
        match (norm > 0.0, matrix(entry).zip(module)) {
            (false, _) => {}
            (true, None) => sum.leave(norm),
            (true, Some((shape, module))) => {
                let factors = Factors::of(&change, shape, rank);
                sum.hold(&entry.name, norm, factors.missed(&change));
                tensors.extend(factors.tensors(module, &entry.shape, layout));
            }
        }
        job.advance(1).await?;
    }
    let report = sum.report(rank, layout)?;
    Ok(Lora { bytes: checkpoint::write(&tensors, Some(("format", "pt".into())))?, report })
}

/// Rows and columns of a layer's weight as a matrix: those of a linear layer, or a convolution's outputs by all
/// that one of them looks at.
fn matrix(entry: &WeightEntry) -> Option<[usize; 2]> {
    let rows = *entry.shape.first()?;
    let layer = matches!(entry.shape.len(), 2 | 4) && rows > 0;
    layer.then(|| [rows, entry.n() / rows])
}

fn squared(values: &[f64]) -> f64 {
    values.iter().map(|v| v * v).sum()
}

/// `up` of rows by rank and `down` of rank by columns, row after row.
struct Factors {
    shape: [usize; 2],
    rank: usize,
    up: Vec<f32>,
    down: Vec<f32>,
}

impl Factors {
    fn of(change: &[f64], shape: [usize; 2], rank: usize) -> Self {
        let [rows, columns] = shape;
        let Svd { u, s, v } = truncated(change, shape, rank);
        let (mut up, mut down) = (vec![0.0; rows * rank], vec![0.0; rank * columns]);
        for (k, ((u, v), s)) in u.iter().zip(&v).zip(&s).enumerate() {
            // Both halves alike, so that neither loses numbers to rounding.
            let root = s.sqrt();
            (0..rows).for_each(|row| up[row * rank + k] = (u[row] * root) as f32);
            (0..columns).for_each(|c| down[k * columns + c] = (v[c] * root) as f32);
        }
        Self { shape, rank, up, down }
    }

    /// The squared norm of what they miss of a change.
    fn missed(&self, change: &[f64]) -> f64 {
        let ([_, columns], mut all) = (self.shape, 0.0);
        for (row, up) in change.chunks_exact(columns).zip(self.up.chunks_exact(self.rank)) {
            let mut left = row.to_vec();
            for (share, down) in up.iter().zip(self.down.chunks_exact(columns)) {
                let share = f64::from(*share);
                left.iter_mut().zip(down).for_each(|(l, d)| *l -= share * f64::from(*d));
            }
            all += squared(&left);
        }
        all
    }

    /// The tensors of a module.
    fn tensors(&self, module: &str, shape: &[usize], layout: LoraLayout) -> Vec<Owned> {
        let (rank, [rows, _]) = (self.rank, self.shape);
        let ends = vec![1; shape.len() - 2];
        let down = [&[rank], &shape[1..]].concat();
        let up = [&[rows, rank][..], &ends].concat();
        let flat = module.replace('.', "_");
        let names = match layout {
            LoraLayout::Kohya => {
                ["lora_down", "lora_up"].map(|part| format!("lora_unet_{flat}.{part}.weight"))
            }
            LoraLayout::Diffusers => {
                ["lora_A", "lora_B"].map(|part| format!("unet.{module}.{part}.weight"))
            }
        };
        let [a, b] = names;
        let of = |values: &[f32]| Precision::Full.bytes(values);
        let mut all = vec![(a, down, of(&self.down)), (b, up, of(&self.up))];
        if layout == LoraLayout::Kohya {
            // As large as the rank: the factors are taken as they are.
            all.push((format!("lora_unet_{flat}.alpha"), vec![], of(&[rank as f32])));
        }
        all
    }
}

/// Squared norms so far: of what is held and is missed of it, and of what is left out.
#[derive(Default)]
struct Sum {
    layers: usize,
    held: f64,
    missed: f64,
    worst: (String, f64),
    left: usize,
    out: f64,
}

impl Sum {
    fn hold(&mut self, name: &str, norm: f64, missed: f64) {
        self.layers += 1;
        self.held += norm;
        self.missed += missed;
        let error = (missed / norm).sqrt();
        if error > self.worst.1 || self.worst.0.is_empty() {
            self.worst = (name.into(), error);
        }
    }

    fn leave(&mut self, norm: f64) {
        self.left += 1;
        self.out += norm;
    }

    fn report(self, rank: usize, layout: LoraLayout) -> Result<LoraReport> {
        let none = || Error::Request("no layer changed that a LoRA holds".into());
        ensure(self.layers > 0, none)?;
        Ok(LoraReport {
            rank,
            layout,
            layers: self.layers,
            error: (self.missed / self.held).sqrt(),
            worst: self.worst,
            left: self.left,
            left_share: self.out / (self.held + self.out),
        })
    }
}
