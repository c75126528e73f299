//! One address for every weight: name, shape and offset in the flat vector of all N weights.
//!
//! Gradients, saliency, masks, weight changes, heat maps and files all speak [`WeightLayout`].

use std::{collections::HashMap, fmt::Display, sync::Arc};

use burn::tensor::{Device, Gradients, Int, Tensor, TensorData};
use rand::RngExt;
use serde::{Deserialize, Serialize};

use super::{Bits, Flat};
use crate::data::{Rng, normal};
use crate::error::{Error, Result};
use crate::gpu::flex;

/// Where one weight tensor lies in the flat vector.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WeightEntry {
    /// The name in the field's PyTorch state dictionaries, `layer1.0.conv1.weight`.
    pub name: String,
    /// Extent of each axis, outermost first.
    pub shape: Vec<usize>,
    /// Position of the first value in the flat vector.
    pub offset: usize,
}

impl WeightEntry {
    /// How many values the tensor has.
    pub fn n(&self) -> usize {
        self.shape.iter().product()
    }

    /// The tensor's range in the flat vector.
    pub fn range(&self) -> std::ops::Range<usize> {
        self.offset..self.offset + self.n()
    }
}

/// Values that every WebGPU device binds at once (`maxStorageBufferBindingSize`, 128 MiB at least).
const BOUND: usize = (128 << 20) / 4;

/// How a fresh tensor is filled (PyTorch's defaults of the layer it belongs to).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Init {
    /// Every value the same.
    Constant(f32),
    /// Normal with mean 0 and this standard deviation.
    Normal(f32),
    /// Uniform in ± this bound.
    Uniform(f32),
}

/// The parameters (flat, in state-dictionary order) and buffers of one architecture.
///
/// Parameters are trained and masked; buffers (running statistics) are neither.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct WeightLayout {
    pub params: Vec<WeightEntry>,
    pub buffers: Vec<WeightEntry>,
    inits: Vec<Init>,
    /// Parameters of which rows are taken alone.
    #[serde(default)]
    tables: Vec<usize>,
    buffer_inits: Vec<f32>,
    index: HashMap<String, usize>,
}

impl WeightLayout {
    /// The whole network, whose weights are to be declared.
    pub fn root(&mut self) -> Scope<'_> {
        Scope { layout: self, prefix: String::new() }
    }

    /// A 1 for every weight of the parameters that `only` picks by name, a 0 for the others.
    pub fn bits_of(&self, only: impl Fn(&str) -> bool) -> Bits {
        let mut bits = Bits::zeros(self.n());
        let picked = self.params.iter().filter(|e| only(&e.name));
        picked.flat_map(WeightEntry::range).for_each(|at| bits.set(at));
        bits
    }

    /// Adds a parameter and returns its index.
    pub fn param(&mut self, name: String, shape: &[usize], init: Init) -> usize {
        let offset = self.n();
        self.index.insert(name.clone(), self.params.len());
        self.params.push(WeightEntry { name, shape: shape.to_vec(), offset });
        self.inits.push(init);
        self.params.len() - 1
    }

    /// The same layout where some parameters have another number of rows (values along the first
    /// axis); they keep their indices.
    pub fn with_rows(&self, params: &[usize], rows: usize) -> Arc<Self> {
        let mut other = self.clone();
        let mut offset = 0;
        for (index, entry) in other.params.iter_mut().enumerate() {
            if params.contains(&index) {
                entry.shape[0] = rows;
            }
            entry.offset = offset;
            offset += entry.n();
        }
        Arc::new(other)
    }

    /// N, the number of scalar parameters.
    pub fn n(&self) -> usize {
        self.params.last().map_or(0, |e| e.range().end)
    }

    /// The number of scalar values in all buffers.
    pub fn n_buffers(&self) -> usize {
        self.buffers.last().map_or(0, |e| e.range().end)
    }

    /// The index of a parameter by name.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.index.get(name).copied()
    }

    /// Fresh weights, the same for the same seed on every machine.
    pub fn init(self: &Arc<Self>, seed: u64) -> HostWeights {
        let mut rng = crate::data::seeded(seed, "init");
        let mut values = Vec::with_capacity(self.n());
        for (entry, init) in self.params.iter().zip(&self.inits) {
            values.extend((0..entry.n()).map(|_| sample(*init, &mut rng)));
        }
        let buffers = self
            .buffers
            .iter()
            .zip(&self.buffer_inits)
            .flat_map(|(e, v)| std::iter::repeat_n(*v, e.n()))
            .collect();
        HostWeights { layout: self.clone(), values: values.into(), buffers }
    }
}

/// A network or a part of one whose weights are being declared.
#[derive(Debug)]
pub struct Scope<'a> {
    layout: &'a mut WeightLayout,
    /// What all their names begin with.
    prefix: String,
}

impl Scope<'_> {
    /// A part of this part.
    pub fn part(&mut self, name: impl Display) -> Scope<'_> {
        Scope { prefix: format!("{}{name}.", self.prefix), layout: self.layout }
    }

    /// Adds a parameter of this part and returns its index.
    pub fn param(&mut self, name: &str, shape: &[usize], init: Init) -> usize {
        self.layout.param(format!("{}{name}", self.prefix), shape, init)
    }

    /// Adds a parameter of which rows are taken alone ([`Weights::rows`]) and returns its index.
    pub fn table(&mut self, name: &str, shape: [usize; 2], init: Init) -> usize {
        let index = self.param(name, &shape, init);
        self.layout.tables.push(index);
        index
    }

    /// Adds a buffer of one axis, filled with `value`, and returns its index.
    pub fn buffer(&mut self, name: &str, len: usize, value: f32) -> usize {
        let (name, offset) = (format!("{}{name}", self.prefix), self.layout.n_buffers());
        self.layout.buffers.push(WeightEntry { name, shape: vec![len], offset });
        self.layout.buffer_inits.push(value);
        self.layout.buffers.len() - 1
    }
}

fn sample(init: Init, rng: &mut Rng) -> f32 {
    match init {
        Init::Constant(v) => v,
        Init::Normal(sd) => normal(rng) * sd,
        Init::Uniform(bound) => rng.random_range(-bound..=bound),
    }
}

/// All weights in main memory.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HostWeights {
    pub layout: Arc<WeightLayout>,
    /// The flat vector of all N parameters.
    #[serde(with = "crate::wire::numbers")]
    pub values: Flat,
    /// All buffers, one after another.
    #[serde(with = "crate::wire::numbers")]
    pub buffers: Vec<f32>,
}

impl HostWeights {
    /// The weights on a device: on the CPU the parameters' memory is this one until they change. A table that no
    /// device need bind whole stays in main memory, where rows are gathered from it ([`Weights::rows`]).
    pub fn upload(&self, device: &Device) -> Weights {
        let device = device.clone().without_autodiff();
        let place = |(i, e): (usize, &WeightEntry)| match self.layout.tables.contains(&i) {
            true if e.n() > BOUND => Device::flex(),
            _ => device.clone(),
        };
        let param = |of: (usize, &WeightEntry)| self.values.upload(of.1.range(), &place(of));
        let WeightLayout { params, buffers, .. } = &*self.layout;
        let buffer = |e: &WeightEntry| vector(&self.buffers[e.range()], &device);
        Weights {
            params: params.iter().enumerate().map(param).collect(),
            buffers: buffers.iter().map(buffer).collect(),
            layout: self.layout.clone(),
        }
    }

    /// Refuses weights that updates have ruined: the last one is followed by no loss that would tell.
    ///
    /// # Errors
    /// [`Error::Diverged`]: a number is not finite, or is a million times what the largest was `before`.
    pub fn check(&self, before: &Self) -> Result<()> {
        let largest = |weights: &Self| {
            let all = weights.values.iter().chain(&weights.buffers);
            all.fold(0.0f32, |most, v| if v.is_nan() { f32::INFINITY } else { most.max(v.abs()) })
        };
        let (most, usual) = (largest(self), largest(before).max(1.0));
        if most.is_finite() && most <= 1e6 * usual {
            return Ok(());
        }
        Err(Error::Diverged(format!(
            "the largest weight came to {most:e} (before: {usual}); choose a smaller --lr"
        )))
    }

    /// Each of the N parameters, and the same one in another state of the network, which may have
    /// further rows.
    pub fn pairs<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = (f32, f32)> + 'a {
        let entries = self.layout.params.iter().zip(&other.layout.params);
        entries.flat_map(|(a, b)| {
            let values = self.values[a.range()].iter().zip(&other.values[b.range()]);
            values.map(|(a, b)| (*a, *b))
        })
    }

    /// SHA-256 over the bits of parameters and buffers, in hexadecimal.
    pub fn hash(&self) -> String {
        use sha2::Digest;
        let mut sha = sha2::Sha256::new();
        sha.update(bytemuck::cast_slice::<f32, u8>(&self.values));
        sha.update(bytemuck::cast_slice::<f32, u8>(&self.buffers));
        crate::words::hex(&sha.finalize())
    }
}

/// A vector on a device.
pub fn vector(values: &[f32], device: &Device) -> Tensor<1> {
    Tensor::from_data(TensorData::new(values.to_vec(), [values.len()]), device)
}

/// Reads a tensor back; waits without blocking the thread's event loop.
///
/// # Errors
/// The device failed.
pub async fn read<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>> {
    let data = tensor.into_data_async().await.map_err(Error::device)?;
    data.convert::<f32>().try_into_vec::<f32>().map_err(|e| Error::Device(format!("{e:?}")))
}

/// All weights on a device, each as a flat vector.
#[derive(Debug, Clone)]
pub struct Weights {
    pub layout: Arc<WeightLayout>,
    pub params: Vec<Tensor<1>>,
    pub buffers: Vec<Tensor<1>>,
}

impl Weights {
    /// A parameter in its own shape.
    pub fn get<const D: usize>(&self, index: usize) -> Tensor<D> {
        let shape: [usize; D] = self.layout.params[index]
            .shape
            .as_slice()
            .try_into()
            .expect("an architecture reads its weights in the rank it declared");
        self.params[index].clone().reshape(shape)
    }

    /// Rows of a table, on the device of the other weights: [rows, width].
    pub fn rows(&self, index: usize, rows: &[u32]) -> Tensor<2> {
        let table = self.get::<2>(index);
        let data = TensorData::new(rows.iter().map(|row| *row as i32).collect(), [rows.len()]);
        let at = table.device().without_autodiff();
        let found = table.select(0, Tensor::<1, Int>::from_data(data, &at));
        let device = self.device();
        if flex::is_cpu(&at) == flex::is_cpu(&device) { found } else { found.to_device(&device) }
    }

    /// The same weights as leaves of a fresh graph, ready for a backward pass.
    pub fn tracked(&self) -> Self {
        Self {
            layout: self.layout.clone(),
            params: self.params.iter().map(|t| t.clone().autodiff().require_grad()).collect(),
            buffers: self.buffers.clone(),
        }
    }

    /// The gradient of each parameter (zeros where the loss does not depend on it).
    /// Call on the [`Weights::tracked`] copy that the loss was computed with.
    pub fn gradients(&self, grads: &mut Gradients) -> Vec<Tensor<1>> {
        self.params
            .iter()
            .map(|p| match p.grad_remove(grads) {
                Some(g) => g.without_autodiff(),
                None => p.clone().without_autodiff().zeros_like(),
            })
            .collect()
    }

    /// Adds what a backward pass found to the gradients so far, a place for each parameter; for a gradient of several
    /// backward passes. Where it is said which weights are `free`, those of the others are left out. Call on the
    /// [`Weights::tracked`] copy that they went through.
    pub fn add_gradients(
        &self,
        found: &mut Gradients,
        to: &mut [Option<Tensor<1>>],
        free: Option<&[Bits]>,
    ) {
        for (i, (param, sum)) in self.params.iter().zip(to).enumerate() {
            if let Some(more) = param.grad_remove(found).map(Tensor::without_autodiff) {
                let more = match free {
                    Some(free) => flex::picked(more, free[i].ones(), free[i].places()),
                    None => more,
                };
                *sum = Some(match sum.take() {
                    Some(sum) => sum + more,
                    None => more,
                });
            }
        }
    }

    /// Copies the weights to main memory.
    ///
    /// # Errors
    /// The device failed.
    pub async fn download(&self) -> Result<HostWeights> {
        Ok(HostWeights {
            layout: self.layout.clone(),
            values: read_all(&self.params).await?.into(),
            buffers: read_all(&self.buffers).await?,
        })
    }

    /// The weights in main memory, and where they are: on the CPU the one is the other's memory.
    ///
    /// # Errors
    /// The device failed.
    pub async fn settled(self) -> Result<(HostWeights, Self)> {
        let device = self.device();
        if !flex::is_cpu(&device) {
            return Ok((self.download().await?, self));
        }
        let sizes: Vec<usize> = self.params.iter().map(|t| t.dims()[0]).collect();
        let Self { layout, params, buffers } = self;
        let values = Flat::from(drain(params).await?);
        let mut end = 0;
        let part = |n: &usize| {
            end += n;
            values.upload(end - n..end, &device)
        };
        let params = sizes.iter().map(part).collect();
        let host = HostWeights {
            layout: layout.clone(),
            values: values.clone(),
            buffers: read_all(&buffers).await?,
        };
        Ok((host, Self { layout, params, buffers }))
    }

    /// Where the weights live, but for tables in main memory.
    pub fn device(&self) -> Device {
        let elsewhere = self.params.iter().map(Tensor::device).find(|d| !flex::is_cpu(d));
        elsewhere.unwrap_or_else(|| self.params[0].device())
    }
}

/// Reads a list of vectors into one flat vector and lets go of each: on the CPU one of them is there twice at most.
///
/// # Errors
/// The device failed.
pub async fn drain(tensors: Vec<Tensor<1>>) -> Result<Vec<f32>> {
    if tensors.first().is_none_or(|first| !flex::is_cpu(&first.device())) {
        return read_all(&tensors).await;
    }
    let mut flat = Vec::with_capacity(tensors.iter().map(|t| t.dims()[0]).sum());
    for tensor in tensors {
        flat.extend(read(tensor).await?);
    }
    Ok(flat)
}

/// Reads a list of vectors into one flat vector.
///
/// # Errors
/// The device failed.
pub async fn read_all(tensors: &[Tensor<1>]) -> Result<Vec<f32>> {
    let mut flat = Vec::with_capacity(tensors.iter().map(|t| t.dims()[0]).sum());
    let mut left = tensors;
    while let Some(first) = left.first() {
        let mut n = first.dims()[0];
        let mut together = 1;
        // Few copies from a GPU, since each is a wait of its own; none above what every device binds.
        if !flex::is_cpu(&first.device()) {
            let joins = |t: &&Tensor<1>| {
                n += t.dims()[0];
                n <= BOUND && !flex::is_cpu(&t.device())
            };
            together += left[1..].iter().take_while(joins).count();
        }
        let (now, later) = left.split_at(together);
        left = later;
        flat.extend(match now {
            [one] => read(one.clone()).await?,
            several => read(Tensor::cat(several.to_vec(), 0)).await?,
        });
    }
    Ok(flat)
}
