//! What the files of folders are called that the product writes.

/// A run's report.
pub const REPORT: &str = "report.json";
/// A run as a page of HTML.
pub const PAGE: &str = "report.html";
/// How such a page begins.
pub const PAGE_START: &str = "<!DOCTYPE html>\n<!-- A run of SalUn Studio -->\n";
/// An audit of a run: its figures and two pictures.
pub const AUDIT: [&str; 3] = ["audit.json", "roc.png", "relearn.png"];
/// Attacks on a run: their figures and a picture.
pub const ATTACKS: [&str; 2] = ["attacks.json", "attacks.png"];
/// What a run's weights were on its way.
pub const SNAPSHOTS: &str = "snapshots.safetensors";
/// The folder in a run's of a person's own pictures, which lay beside the data.
pub const MINE: &str = "mine";
/// A run's folder, in order. A text-to-image model is a folder `model` in it.
pub const RUN: [&str; 17] = [
    "recipe.toml",
    REPORT,
    PAGE,
    "model.safetensors",
    "mask.safetensors",
    "saliency.png",
    AUDIT[0],
    AUDIT[1],
    AUDIT[2],
    "before.png",
    "after.png",
    "side-by-side.png",
    ATTACKS[0],
    ATTACKS[1],
    "log.jsonl",
    SNAPSHOTS,
    "forgotten.txt",
];
/// A text-to-image model that came as a single file, in its folder beside the tokenizer.
pub const SINGLE: &str = "model.safetensors";
/// A text-to-image model's folder; the card's only where there is one.
pub const PIPELINE: [&str; 13] = [
    "model_index.json",
    "card.json",
    "scheduler/scheduler_config.json",
    "tokenizer/vocab.json",
    "tokenizer/merges.txt",
    "tokenizer/special_tokens_map.json",
    "tokenizer/tokenizer_config.json",
    "text_encoder/config.json",
    "text_encoder/model.safetensors",
    "unet/config.json",
    "unet/diffusion_pytorch_model.safetensors",
    "vae/config.json",
    "vae/diffusion_pytorch_model.safetensors",
];
