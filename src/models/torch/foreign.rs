//! Files and tensors that are not for us: what they look like, and what a person can do.

use crate::models::Tensors;
use crate::models::imagenet::EfficientNet;

/// What the first bytes of a file say that it is, where that is no weights file at all.
pub fn file(bytes: &[u8]) -> Option<&'static str> {
    let text = bytes[..bytes.len().min(512)].trim_ascii_start().to_ascii_lowercase();
    let begins = |with: &[u8]| text.starts_with(with);
    Some(match bytes {
        _ if begins(b"<!doctype html") || begins(b"<html") => {
            "is a saved web page and not the file; download it from its own link"
        }
        [0x89, b'H', b'D', b'F', ..] => {
            "is of Keras (HDF5), which is not read; export a state_dict"
        }
        [b'G', b'G', b'U', b'F', ..] => "is a GGUF, whose packed numbers are not read",
        [0x1f, 0x8b, ..] => "is packed by gzip; unpack it first",
        [b'7', b'z', 0xbc, 0xaf, ..] | [b'R', b'a', b'r', b'!', ..] => {
            "is an archive; unpack it first"
        }
        [] => "is empty",
        _ => return None,
    })
}

/// Marks in tensors' names, and the family of models that has them.
const FAMILIES: [(&str, &str); 9] = [
    ("conditioner.embedders.", "Stable Diffusion XL"),
    ("joint_blocks.", "Stable Diffusion 3"),
    ("double_blocks.", "Flux"),
    ("control_model.", "a ControlNet"),
    ("input_hint_block.", "a ControlNet"),
    ("controlnet_cond_embedding.", "a ControlNet"),
    ("motion_modules.", "AnimateDiff"),
    ("clip_txt_mapper.", "Stable Cascade"),
    ("diffusion_model.label_emb.", "a Stable Diffusion with another condition beside the prompt"),
];

/// The family of diffusion models that tensors are of, if it is one that is not read.
pub fn family(tensors: &Tensors) -> Option<&'static str> {
    if is_lora(tensors) {
        return None;
    }
    let marked = |mark: &str| tensors.0.keys().any(|name| name.contains(mark));
    FAMILIES.iter().find(|(mark, _)| marked(mark)).map(|(_, family)| *family)
}

/// The message for one of those.
pub fn another(family: &str) -> String {
    format!("is of {family}; of such models only Stable Diffusion 1.x and 2.x are read")
}

/// Whether tensors are a LoRA's, or of its kin.
pub fn is_lora(tensors: &Tensors) -> bool {
    const MARKS: [&str; 5] = ["lora_", ".lora.", "_lora.", ".hada_w1", ".lokr_w1"];
    tensors.0.keys().any(|name| MARKS.iter().any(|mark| name.contains(mark)))
}

/// What tensors are of that no network here has, and what to do.
pub fn looks_like(tensors: &Tensors) -> Option<String> {
    let has = |start: &str| tensors.0.keys().any(|name| name.starts_with(start));
    let known = "ResNet-18 with a 3 x 3 first convolution, torchvision's ResNet with one of 7 x 7, VGG-16 \
                 with batch normalisation, torchvision's Swin and EfficientNet-lite0 are read";
    let like = |what: &str, todo: &str| Some(format!("looks like {what}; {todo}"));
    if let Some(family) = family(tensors) {
        return Some(another(family));
    }
    if has("model.diffusion_model.") || has("diffusion_model.") || has("first_stage_model.") {
        let todo =
            "a whole one takes prompts: salun sample --prompt, salun unlearn --forget prompt:WORDS";
        return like("a single-file Stable Diffusion checkpoint", todo);
    }
    if is_lora(tensors) {
        let todo = "name its model with --model, and this file with --lora";
        return like("a LoRA, a change of another model", todo);
    }
    if has("down_blocks.") && has("time_embedding.") {
        let todo = "give the folder of the whole model, and this file with --unet";
        return like("the U-Net of a diffusers model alone", todo);
    }
    if has("temb.dense.") && !has("classes_emb.") {
        let todo = "class-conditional ones (Conditional_Model) are read";
        return like("a DDPM U-Net without classes", todo);
    }
    if has("blocks.") && tensors.0.keys().any(|name| name.ends_with("attn.qkv.weight")) {
        return like("a vision transformer (ViT)", known);
    }
    if has("patch_embed.") && has("layers.") {
        let todo = "torchvision's names are read: build it as torchvision.models.swin_t does";
        return like("timm's Swin", todo);
    }
    let layer = |name: &str| tensors.0.contains_key(name);
    if has("_conv_stem.") {
        let further = format!("_blocks.{}.", EfficientNet::blocks());
        let squeezes = tensors.0.keys().any(|name| name.contains("._se_reduce."));
        return match squeezes || has(&further) {
            true => like("an EfficientNet other than lite0", known),
            false => None,
        };
    }
    let stem = tensors.shape::<4>("conv1.weight");
    if matches!(stem, Some([_, _, 7, _])) && layer("fc.weight") {
        return None;
    }
    if layer("layer1.0.conv3.weight") {
        return like("a ResNet-50 or deeper (bottlenecks of three convolutions)", known);
    }
    if layer("layer1.2.conv1.weight") || layer("layer2.2.conv1.weight") {
        return like("a ResNet deeper than 18 layers, such as ResNet-34", known);
    }
    if let Some([_, _, side, _]) = stem.filter(|[_, _, side, _]| *side != 3)
        && has("layer1.")
    {
        let what = format!("a ResNet for ImageNet (its first convolution is {side} x {side})");
        return like(&what, known);
    }
    None
}

/// The message for tensors that look like nothing that is known.
pub fn unknown(tensors: &Tensors) -> String {
    let names: Vec<String> =
        tensors.0.keys().take(3).map(|name| name.escape_default().take(40).collect()).collect();
    let all = tensors.0.len();
    format!(
        "it has no model card and is not a state dictionary of a ResNet, a VGG-16 with batch \
         normalisation, a Swin Transformer, EfficientNet-lite0 or a class-conditional DDPM U-Net; of its {all} \
         tensors the first are {}",
        if names.is_empty() { "none".into() } else { names.join(", ") }
    )
}
