//! A model as a state dictionary that PyTorch's `load_state_dict` takes whole.

use safetensors::Dtype;

use super::{ddpm, write};
use crate::error::{Error, Result};
use crate::models::{Architecture, Model, Owned, Precision, SwinConfig, checkpoint};

/// The file formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Safetensors,
    /// `torch.save` of a state dictionary.
    Pth,
    /// The list that the official DDPM code loads.
    Ddpm,
}

/// The bytes of a file with the model's state dictionary. `bare` leaves out `normalize.mean` and
/// `normalize.std`, which the official code's networks begin with and torchvision's have not.
///
/// # Errors
/// The file cannot be put together, or the model has no such form.
pub fn encode(model: &Model, format: Format, bare: bool) -> Result<Vec<u8>> {
    let tensors = state_dict(model, bare);
    match format {
        // The mark by which Python's loaders know whose tensors they are.
        Format::Safetensors => checkpoint::write(&tensors, Some(("format", "pt".into()))),
        Format::Pth => write::archive(&tensors),
        Format::Ddpm if model.unet().is_none() => {
            let right = "only a class-conditional diffusion model has this form; leave it out";
            Err(Error::argument("as", "ddpm", right))
        }
        Format::Ddpm => write::ddpm(&tensors),
    }
}

/// What a state dictionary does not say of a U-Net and is not assumed of it, as the flags that say it; empty
/// where nothing is missing.
pub fn unsaid(model: &Model) -> String {
    match &model.card.architecture {
        Architecture::Unet(config) => ddpm::unsaid(config),
        _ => String::new(),
    }
}

/// The model's tensors under their names, with all that PyTorch keeps beside the weights.
pub fn state_dict(model: &Model, bare: bool) -> Vec<Owned> {
    let weights = &model.weights;
    let mut tensors = Vec::new();
    // torchvision's Swin has no first layer of the official code's.
    let first = !bare && !matches!(model.card.architecture, Architecture::Swin(_));
    if let Some([mean, std]) = model.card.architecture.statistics().filter(|_| first) {
        for (name, values) in [("normalize.mean", mean), ("normalize.std", std)] {
            tensors.push((name.into(), vec![values.len()], Precision::Full.bytes(values)));
        }
    }
    tensors.extend(Precision::Full.tensors(&weights.layout.params, &weights.values));
    tensors.extend(Precision::Full.tensors(&weights.layout.buffers, &weights.buffers));
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

fn whole(name: String, shape: &[usize], values: &[i64]) -> Owned {
    (name, shape.to_vec(), (Dtype::I64, values.iter().flat_map(|v| v.to_le_bytes()).collect()))
}
