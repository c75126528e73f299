//! A model as a state dictionary that PyTorch's `load_state_dict` takes whole.

use safetensors::Dtype;

use super::write;
use crate::{
    error::Result,
    models::{Architecture, Model, checkpoint, swin::SwinConfig, weights::WeightEntry},
};

/// The file formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Safetensors,
    /// `torch.save` of a state dictionary.
    Pth,
}

/// A tensor to be written: name, shape, number format and bytes. Only F32 and I64 occur.
pub type Out = (String, Vec<usize>, (Dtype, Vec<u8>));

/// The bytes of a file with the model's state dictionary. `bare` leaves out `normalize.mean` and
/// `normalize.std`, which the official code's networks begin with and torchvision's have not.
///
/// # Errors
/// The file cannot be put together.
pub fn encode(model: &Model, format: Format, bare: bool) -> Result<Vec<u8>> {
    let tensors = state_dict(model, bare);
    match format {
        // The mark by which Python's loaders know whose tensors they are.
        Format::Safetensors => checkpoint::write(&tensors, Some(("format", "pt".into()))),
        Format::Pth => write::archive(&tensors),
    }
}

/// The model's tensors under their names, with all that PyTorch keeps beside the weights.
pub fn state_dict(model: &Model, bare: bool) -> Vec<Out> {
    let weights = &model.weights;
    let mut tensors = Vec::new();
    if let Some([mean, std]) = statistics(&model.card.architecture).filter(|_| !bare) {
        tensors.push(floats("normalize.mean", &[mean.len()], mean));
        tensors.push(floats("normalize.std", &[std.len()], std));
    }
    let mut add = |entries: &[WeightEntry], flat: &[f32]| {
        tensors.extend(entries.iter().map(|e| floats(&e.name, &e.shape, &flat[e.range()])));
    };
    add(&weights.layout.params, &weights.values);
    add(&weights.layout.buffers, &weights.buffers);
    for e in &weights.layout.buffers {
        if let Some(layer) = e.name.strip_suffix(".running_mean") {
            tensors.push(whole(format!("{layer}.num_batches_tracked"), &[], &[0]));
        }
    }
    if let Architecture::Swin(SwinConfig { window, .. }) = model.card.architecture {
        let index = crate::models::swin::relative_index(window);
        let index: Vec<i64> = index.into_iter().map(i64::from).collect();
        for e in &weights.layout.params {
            if let Some(layer) = e.name.strip_suffix(".relative_position_bias_table") {
                let name = format!("{layer}.relative_position_index");
                tensors.push(whole(name, &[index.len()], &index));
            }
        }
    }
    tensors
}

/// Mean and standard deviation of the official code's first layer, where the network has it.
fn statistics(architecture: &Architecture) -> Option<[&[f32]; 2]> {
    match architecture {
        Architecture::Resnet(c) => Some([&c.mean, &c.std]),
        Architecture::Vgg(c) => Some([&c.mean, &c.std]),
        Architecture::Swin(_) | Architecture::Unet(_) => None,
    }
}

fn floats(name: &str, shape: &[usize], values: &[f32]) -> Out {
    let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    (name.into(), shape.to_vec(), (Dtype::F32, bytes))
}

fn whole(name: String, shape: &[usize], values: &[i64]) -> Out {
    (name, shape.to_vec(), (Dtype::I64, values.iter().flat_map(|v| v.to_le_bytes()).collect()))
}
