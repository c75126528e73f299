//! The mask: which weights may change.

use std::{path::Path, sync::Arc};

use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};
use sha2::Digest;

use super::Change;
#[cfg(not(target_arch = "wasm32"))]
use super::scores::count;
use crate::error::{Error, Result};
use crate::models::{Bits, HostWeights, WeightEntry, WeightLayout, checkpoint};
use crate::words::{ChangeWithin, Estimator, LayerReport, MaskReport};

/// A bit for each of the N weights: 1 where it may change.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Mask {
    pub layout: Arc<WeightLayout>,
    pub estimator: Estimator,
    pub density: f64,
    /// Exactly this many ones.
    pub k: usize,
    /// Smallest selected score.
    pub threshold: f32,
    pub bits: Bits,
}

impl Mask {
    /// Ones and size of every layer, in forward order.
    pub fn layers(&self) -> Vec<LayerReport> {
        self.layout
            .params
            .iter()
            .map(|e| LayerReport {
                name: e.name.clone(),
                shape: e.shape.clone(),
                kept: self.bits.slice(e.range()).ones(),
                n: e.n(),
            })
            .collect()
    }

    /// SHA-256 of the bits as bytes 0 and 1.
    pub fn hash(&self) -> String {
        const PART: usize = 1 << 20;
        let mut sha = sha2::Sha256::new();
        for from in (0..self.bits.len()).step_by(PART) {
            sha.update(self.bits.slice(from..self.bits.len().min(from + PART)).bytes());
        }
        crate::words::hex(&sha.finalize())
    }

    /// How many weights outside the mask differ in any bit. Anything but 0 is a bug.
    pub fn frozen_changed(&self, original: &HostWeights, now: &HostWeights) -> usize {
        let pairs = original.pairs(now);
        pairs.zip(self.bits.iter()).filter(|((a, b), m)| !m && a.to_bits() != b.to_bits()).count()
    }

    /// How much of a change of which nobody says what was free lies within the mask.
    pub fn share_of(
        &self,
        original: &HostWeights,
        now: &HostWeights,
        change: &Change,
    ) -> ChangeWithin {
        let (mut changed, mut squares) = ([0usize; 2], [0f64; 2]);
        for ((a, b), bit) in original.pairs(now).zip(self.bits.iter()) {
            let part = usize::from(bit);
            changed[part] += usize::from(a.to_bits() != b.to_bits());
            squares[part] += (f64::from(b) - f64::from(a)).powi(2);
        }
        let all: f64 = squares.iter().sum();
        let squares = if all > 0.0 { 100.0 * squares[1] / all } else { 0.0 };
        let layers = change.layers.clone();
        ChangeWithin { changed: changed.iter().sum(), within: changed[1], squares, layers }
    }

    /// Intersection over union with another mask of the same network.
    pub fn overlap(&self, other: &Self) -> f64 {
        let pairs = || self.bits.words().iter().zip(other.bits.words());
        let both: u64 = pairs().map(|(a, b)| u64::from((a & b).count_ones())).sum();
        let any: u64 = pairs().map(|(a, b)| u64::from((a | b).count_ones())).sum();
        if any == 0 { 1.0 } else { both as f64 / any as f64 }
    }

    /// For `report.json`.
    pub fn report(&self, scored: usize, frozen_changed: usize) -> MaskReport {
        MaskReport {
            estimator: self.estimator.name().into(),
            density: self.density,
            k: self.k,
            n: self.bits.len(),
            scored,
            threshold: if self.threshold.is_finite() { self.threshold.into() } else { 0.0 },
            frozen_changed,
            given: None,
            layers: self.layers(),
            hash: self.hash(),
        }
    }

    /// A safetensors file of u8 tensors named and shaped as the weights.
    ///
    /// # Errors
    /// It has no form as safetensors.
    pub fn encode(&self) -> Result<Vec<u8>> {
        let tensors: Vec<_> = self
            .layout
            .params
            .iter()
            .map(|e| {
                let bytes = self.bits.slice(e.range()).bytes();
                (e.name.clone(), e.shape.clone(), (Dtype::U8, bytes))
            })
            .collect();
        checkpoint::write(&tensors, None)
    }

    /// A mask out of a file for this layout: as [`Mask::encode`] writes it, or as the official code saves
    /// one (`with_0.5.pt`), a PyTorch dictionary of zeros and ones.
    ///
    /// # Errors
    /// The file cannot be read, or is not a mask of this network; the file and the tensor are named.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn given(file: &str, layout: &Arc<WeightLayout>) -> Result<Self> {
        let path = crate::disk::expanded(file);
        let bytes = crate::disk::read(&path)?;
        let bits = if crate::models::torch::read::recognised(&bytes) {
            torch_bits(&bytes, layout, &path)?
        } else {
            Self::decode_bits(&bytes, layout, &path)?
        };
        let bits = Bits::of(&bits);
        let (k, n) = (bits.ones(), bits.len());
        // The share that makes the control as large, whichever way it rounds.
        let mut density = (0..3).map(|i| (k as f64 + 0.1 * f64::from(i)) / n as f64);
        let density = density.find(|d| count(*d, n).is_ok_and(|c| c == k));
        let density = density.unwrap_or(k as f64 / n as f64);
        let (layout, estimator, threshold) = (layout.clone(), Estimator::Given, f32::NAN);
        Ok(Self { layout, estimator, density, k, threshold, bits })
    }

    /// A page has no files.
    ///
    /// # Errors
    /// Always.
    #[cfg(target_arch = "wasm32")]
    pub fn given(file: &str, _: &Arc<WeightLayout>) -> Result<Self> {
        Err(Error::file(file, "a page cannot read files by name"))
    }

    /// The bits of a mask file for this layout.
    ///
    /// # Errors
    /// Not a mask of this network; the file and the tensor are named.
    pub fn decode_bits(bytes: &[u8], layout: &WeightLayout, path: &Path) -> Result<Vec<u8>> {
        let file = SafeTensors::deserialize(bytes)
            .map_err(|e| Error::file(path, format!("not a whole safetensors file ({e})")))?;
        per_weight(layout, path, |e| {
            let view = file.tensor(&e.name).map_err(|_| "is missing")?;
            if view.dtype() != Dtype::U8 || view.shape() != e.shape {
                return Err("is not a u8 tensor of the weight's shape");
            }
            if view.data().iter().any(|b| *b > 1) {
                return Err("has a value other than 0 and 1");
            }
            Ok(view.data().to_vec())
        })
    }
}

/// The bits of every weight in the layout's order; a fault that `read` finds becomes an error naming it.
fn per_weight(
    layout: &WeightLayout,
    path: &Path,
    read: impl Fn(&WeightEntry) -> std::result::Result<Vec<u8>, &'static str>,
) -> Result<Vec<u8>> {
    let mut bits = Vec::with_capacity(layout.n());
    for e in &layout.params {
        bits.extend(read(e).map_err(|reason| Error::Tensor {
            path: path.to_path_buf(),
            tensor: e.name.clone(),
            reason: reason.into(),
        })?);
    }
    Ok(bits)
}

/// The bits of a mask that PyTorch saved, under any names that the weights themselves may have.
#[cfg(not(target_arch = "wasm32"))]
fn torch_bits(bytes: &[u8], layout: &WeightLayout, path: &Path) -> Result<Vec<u8>> {
    let (tensors, _) = crate::models::torch::read::tensors(bytes, path)?;
    let tensors = crate::models::torch::names::renamed(tensors);
    per_weight(layout, path, |e| {
        let tensor = tensors.get(&e.name).ok_or("is missing")?;
        if tensor.shape != e.shape {
            return Err("has not the weight's shape");
        }
        tensor.ones().ok_or("has a value other than 0 and 1")
    })
}
