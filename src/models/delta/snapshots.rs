//! What a run's weights were on its way: of each kept step the weights that were free and the running statistics,
//! packed against the original's bits. So what is frozen is the original's by construction, and every step is read
//! back bit for bit.

use std::{
    collections::HashMap,
    io::{Read, Write},
    path::Path,
    sync::Arc,
};

use flate2::{Compression, read::ZlibDecoder, write::ZlibEncoder};
use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};

use super::alike;
use crate::error::{Error, Result, ensure};
use crate::models::{Bits, HostWeights, checkpoint};
use crate::words::Format;

/// Bytes that a run's snapshots take at the most, packed.
pub const MOST: usize = if cfg!(target_arch = "wasm32") { 24 << 20 } else { 64 << 20 };

/// Steps that a file may list.
const LONGEST: usize = 10_000;

/// Where what a file says of itself lies in its metadata.
const ABOUT: &str = "salun-snapshots";
/// The tensor of the bits of what was free, and how those of the steps' values begin.
const FREE: &str = "free";
const STEP: &str = "step.";

/// The weights of a run after some of its updates, in the order of the updates.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Snapshots {
    /// A bit for every weight that was free, eight in a byte, the first one lowest; empty where all were.
    #[serde(with = "crate::wire::numbers")]
    free: Arc<[u8]>,
    all: Vec<Packed>,
}

/// The weights after so many updates.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Packed {
    step: usize,
    /// [`HostWeights::hash`] of them.
    hash: String,
    /// Deflated: of the free weights and of the running statistics the exclusive or of their bits with the
    /// original's, first the lowest bytes of all, then the next, because only the low ones differ much.
    #[serde(with = "crate::wire::numbers")]
    bytes: Arc<[u8]>,
}

/// What a file says of itself.
#[derive(Serialize, Deserialize)]
struct About {
    format: Format,
    /// The steps, and the hashes of the weights there.
    steps: Vec<(usize, String)>,
}

impl Snapshots {
    /// No snapshot yet of a run in which weights with a 1 in `free` change, or all.
    pub fn of(free: Option<&Bits>) -> Self {
        let bytes = |bits: &Bits| {
            let all = bits.words().iter().flat_map(|word| word.to_le_bytes());
            all.take(bits.len().div_ceil(8)).collect()
        };
        let free: Vec<u8> = free.map_or_else(Vec::new, bytes);
        Self { free: free.into(), all: Vec::new() }
    }

    /// Keeps the weights after `step` updates, the latest so far. What comes to more than [`MOST`] is thinned
    /// where steps are closest. Of a run that changes its network nothing is kept, nor where a single step is
    /// too large.
    ///
    /// # Errors
    /// They cannot be packed.
    pub fn keep(
        &mut self,
        original: &HostWeights,
        weights: &HostWeights,
        step: usize,
    ) -> Result<()> {
        if alike(original, weights).is_err() || !self.fits(original) {
            return Ok(());
        }
        let words = self.changed(original, weights);
        let mut planes = vec![0; 4 * words.len()];
        for (p, plane) in planes.chunks_exact_mut(words.len().max(1)).enumerate() {
            plane.iter_mut().zip(&words).for_each(|(byte, word)| *byte = (word >> (8 * p)) as u8);
        }
        let failed = |e: std::io::Error| Error::Request(format!("a snapshot: {e}"));
        let mut zlib = ZlibEncoder::new(Vec::with_capacity(planes.len() / 2), Compression::fast());
        zlib.write_all(&planes).map_err(failed)?;
        let bytes = zlib.finish().map_err(failed)?.into();
        self.all.push(Packed { step, hash: weights.hash(), bytes });
        self.thin(MOST);
        Ok(())
    }

    /// Whether a step of a run that started from an original is small enough to be kept.
    pub fn fits(&self, original: &HostWeights) -> bool {
        // Half of it is the least that values which moved at all come to.
        2 * self.listed(original) <= MOST
    }

    /// The steps that there are.
    pub fn steps(&self) -> impl Iterator<Item = usize> {
        self.all.iter().map(|packed| packed.step)
    }

    /// Bytes that all take.
    pub fn bytes(&self) -> usize {
        self.free.len() + self.all.iter().map(|packed| packed.bytes.len()).sum::<usize>()
    }

    /// Whether they list the same weights as others of the run.
    pub fn is_like(&self, other: &Self) -> bool {
        self.free == other.free
    }

    /// Those of the first `step` updates.
    pub fn until(&self, step: usize) -> Self {
        let all = self.all.iter().filter(|packed| packed.step <= step).cloned().collect();
        Self { free: self.free.clone(), all }
    }

    /// The weights after `step` updates of a run that started from an original, where they were kept.
    ///
    /// # Errors
    /// They are damaged, or those of a run from other weights.
    pub fn at(&self, original: &HostWeights, step: usize) -> Result<Option<HostWeights>> {
        let Some(packed) = self.all.iter().find(|packed| packed.step == step) else {
            return Ok(None);
        };
        let other = || {
            let what = format!("the snapshot of step {step} is damaged, or is a run's from other");
            Error::Request(format!("{what} weights"))
        };
        let n = self.listed(original);
        let right = self.free.is_empty() || self.free.len() == original.values.len().div_ceil(8);
        ensure(right, other)?;
        let mut planes = Vec::new();
        // Whatever it claims, no more than there should be.
        let unpacked = ZlibDecoder::new(&packed.bytes[..]).take(4 * n as u64 + 1);
        let read = { unpacked }.read_to_end(&mut planes);
        ensure(read.is_ok() && planes.len() == 4 * n, other)?;
        let word = |i: usize| (0..4).fold(0, |w, p| w | u32::from(planes[p * n + i]) << (8 * p));
        let mut weights = original.clone();
        let is_free = |i: usize| self.free_of(i / 8) >> (i % 8) & 1 == 1;
        let places = weights.values.iter_mut().enumerate().filter(|(i, _)| is_free(*i));
        let places = places.map(|(_, value)| value).chain(&mut weights.buffers);
        for (i, value) in places.enumerate() {
            *value = f32::from_bits(value.to_bits() ^ word(i));
        }
        ensure(weights.hash() == packed.hash, other)?;
        Ok(Some(weights))
    }

    /// Which of eight weights are free, the first one's bit lowest.
    fn free_of(&self, eight: usize) -> u8 {
        if self.free.is_empty() { u8::MAX } else { self.free.get(eight).copied().unwrap_or(0) }
    }

    /// What differs in the bits of what is listed: free weights, then running statistics.
    fn changed(&self, original: &HostWeights, weights: &HostWeights) -> Vec<u32> {
        let differ = |(a, b): (&f32, &f32)| a.to_bits() ^ b.to_bits();
        let mut words = Vec::with_capacity(self.listed(original));
        let eights = original.values.chunks(8).zip(weights.values.chunks(8));
        for (eight, (before, now)) in eights.enumerate() {
            let free = self.free_of(eight);
            let both = before.iter().zip(now).enumerate();
            let listed = both.filter(|(bit, _)| free >> bit & 1 == 1);
            words.extend(listed.map(|(_, pair)| differ(pair)));
        }
        words.extend(original.buffers.iter().zip(&weights.buffers).map(differ));
        words
    }

    /// How many values are listed of each step.
    fn listed(&self, of: &HostWeights) -> usize {
        let free = match self.free.is_empty() {
            true => of.values.len(),
            false => self.free.iter().map(|byte| byte.count_ones() as usize).sum(),
        };
        free + of.buffers.len()
    }

    /// Lets go of steps until all take at most so many bytes: first of those that lie closest between their
    /// neighbours. The latest stays.
    fn thin(&mut self, most: usize) {
        while self.bytes() > most && self.all.len() > 1 {
            let step = |i: usize| self.all[i].step;
            let gap = |i: &usize| step(i + 1) - if *i == 0 { 0 } else { step(i - 1) };
            let Some(closest) = (0..self.all.len() - 1).min_by_key(gap) else { return };
            self.all.remove(closest);
        }
    }

    /// The file of them; `None` where there are none.
    ///
    /// # Errors
    /// They have no form as safetensors.
    pub fn encode(&self) -> Result<Option<Vec<u8>>> {
        if self.all.is_empty() {
            return Ok(None);
        }
        let whole =
            |name: String, bytes: &[u8]| (name, vec![bytes.len()], (Dtype::U8, bytes.to_vec()));
        let mut tensors = Vec::new();
        if !self.free.is_empty() {
            tensors.push(whole(FREE.into(), &self.free));
        }
        tensors.extend(self.all.iter().map(|p| whole(format!("{STEP}{}", p.step), &p.bytes)));
        let steps = self.all.iter().map(|packed| (packed.step, packed.hash.clone())).collect();
        let about = serde_json::to_string(&About { format: Format, steps });
        let about = about.map_err(|e| Error::Request(e.to_string()))?;
        checkpoint::write(&tensors, Some((ABOUT, about))).map(Some)
    }

    /// Reads a file of [`Self::encode`]. `path` is for messages only. What is in it is held against hashes when a
    /// step is asked for.
    ///
    /// # Errors
    /// It is none, or a step is missing; the file is named.
    pub fn decode(bytes: &[u8], path: &Path) -> Result<Self> {
        let bad = |reason: &str| Error::file(path, reason);
        let none = "is not a file of snapshots as a run's folder has it";
        let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(|_| bad(none))?;
        let metadata: HashMap<String, String> = metadata.metadata().clone().unwrap_or_default();
        let about = metadata.get(ABOUT).and_then(|about| serde_json::from_str(about).ok());
        let about: About = about.ok_or_else(|| bad(none))?;
        let file = SafeTensors::deserialize(bytes).map_err(|_| bad("is not a whole file"))?;
        let held = |name: &str| -> Option<Arc<[u8]>> {
            let view = file.tensor(name).ok()?;
            (view.dtype() == Dtype::U8).then(|| view.data().into())
        };
        ensure(about.steps.len() <= LONGEST, || bad("lists more steps than a run keeps"))?;
        let sorted = about.steps.is_sorted_by(|a, b| a.0 < b.0);
        ensure(sorted, || bad("lists its steps out of order"))?;
        let one = |(step, hash): (usize, String)| {
            let bytes = held(&format!("{STEP}{step}"));
            let bytes = bytes.ok_or_else(|| bad(&format!("has no step {step}, which it lists")))?;
            Ok(Packed { step, hash, bytes })
        };
        let all = about.steps.into_iter().map(one).collect::<Result<_>>()?;
        Ok(Self { free: held(FREE).unwrap_or_default(), all })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::{Init, WeightLayout};

    /// A network of so many weights and three running statistics.
    fn weights(n: usize) -> HostWeights {
        let mut layout = WeightLayout::default();
        layout.root().param("w", &[n], Init::Normal(0.1));
        layout.root().buffer("running_var", 3, 1.0);
        Arc::new(layout).init(1)
    }

    /// The same after some updates of the free ones.
    fn moved(of: &HostWeights, free: &[u8], step: usize) -> HostWeights {
        let by = |i: usize| 1e-3 * (step + 1) as f32 * (i as f32).sin();
        let mut other = of.clone();
        let values = other.values.iter_mut().enumerate().filter(|(i, _)| free[*i] == 1);
        values.for_each(|(i, value)| *value += by(i));
        other.buffers.iter_mut().for_each(|value| *value += by(step));
        other
    }

    #[test]
    fn every_step_comes_back_bit_for_bit_from_memory_and_from_a_file() {
        let original = weights(1_003);
        let free: Vec<u8> = (0..1_003).map(|i| u8::from(i % 3 != 0)).collect();
        let all = vec![1; 1_003];
        let bits = Bits::of(&free);
        for (given, free) in [(Some(&bits), &free), (None, &all)] {
            let mut kept = Snapshots::of(given);
            let steps: Vec<HostWeights> = (0..5).map(|s| moved(&original, free, s)).collect();
            for (step, weights) in steps.iter().enumerate() {
                kept.keep(&original, weights, 10 * (step + 1)).unwrap();
            }
            let file = kept.encode().unwrap().unwrap();
            for kept in [&kept, &Snapshots::decode(&file, Path::new("x")).unwrap()] {
                assert!(kept.steps().eq([10, 20, 30, 40, 50]));
                for (step, weights) in steps.iter().enumerate() {
                    let back = kept.at(&original, 10 * (step + 1)).unwrap().unwrap();
                    assert_eq!(back.hash(), weights.hash());
                }
                assert!(kept.at(&original, 11).unwrap().is_none());
                assert!(kept.until(30).steps().eq([10, 20, 30]));
            }
            // Of other weights nothing is made.
            let other = moved(&original, &all, 7);
            assert!(kept.at(&other, 10).unwrap_err().to_string().contains("step 10"));
            assert!(kept.at(&weights(40), 10).is_err());
        }
    }

    #[test]
    fn snapshots_are_thinned_where_they_are_densest() {
        let original = weights(4_000);
        let all = vec![1; 4_000];
        let mut kept = Snapshots::of(None);
        for step in 1..=8 {
            kept.keep(&original, &moved(&original, &all, step), step).unwrap();
        }
        let each = kept.bytes() / 8;
        // The exponents and the signs hardly change.
        assert!(each * 100 < 85 * 4 * 4_003, "{each} bytes of {}", 4 * 4_003);
        kept.thin(5 * each);
        let steps: Vec<usize> = kept.steps().collect();
        assert!(steps.len() <= 5 && steps.last() == Some(&8), "{steps:?}");
        let gaps = steps.windows(2).map(|w| w[1] - w[0]);
        assert!(gaps.clone().max() <= Some(3), "{steps:?}");
        kept.thin(0);
        assert!(kept.steps().eq([8]), "the latest stays");
    }

    #[test]
    fn files_that_are_none_of_a_run_are_refused() {
        let original = weights(64);
        let mut kept = Snapshots::of(None);
        kept.keep(&original, &moved(&original, &[1; 64], 1), 3).unwrap();
        let file = kept.encode().unwrap().unwrap();
        let path = Path::new("snapshots.safetensors");
        for bytes in [&file[..file.len() / 2], b"nothing", b""] {
            let error = Snapshots::decode(bytes, path).unwrap_err().to_string();
            assert!(error.contains("snapshots.safetensors") && !error.contains('\n'), "{error}");
        }
        // A bit of the packed values that fell over is found when the step is asked for.
        let mut broken = file.clone();
        let last = broken.len() - 6;
        broken[last] ^= 4;
        let broken = Snapshots::decode(&broken, path).unwrap();
        assert!(broken.at(&original, 3).is_err());
    }
}
