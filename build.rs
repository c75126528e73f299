//! Says whether the text-to-image model's weights lie among the assets: without them the program
//! builds, and tells that the model is not shipped.

use std::path::Path;

fn main() {
    println!("cargo::rustc-check-cfg=cfg(emoji_t2i)");
    // The folder above: cargo takes a path that is not there for one that always changed.
    println!("cargo::rerun-if-changed=assets/models");
    let folder = Path::new("assets/models/emoji-t2i");
    if ["model_index.json", "judge.safetensors"].iter().all(|file| folder.join(file).is_file()) {
        println!("cargo::rustc-cfg=emoji_t2i");
    }
}
