//! What makes a run repeatable: the recipe, the report, the folder that holds both.

pub mod attack;
pub mod audit;
pub mod budget;
pub mod bundle;
pub mod canvas;
mod charts;
pub mod figures;
#[cfg(not(target_arch = "wasm32"))]
pub mod files;
pub mod fingerprint;
#[cfg(not(target_arch = "wasm32"))]
pub mod folder;
#[cfg(not(target_arch = "wasm32"))]
pub mod fonts;
#[cfg(not(target_arch = "wasm32"))]
pub mod latent_state;
pub mod link;
pub mod outcome;
#[cfg(not(target_arch = "wasm32"))]
pub mod output;
pub mod recipe;
#[cfg(not(target_arch = "wasm32"))]
pub mod recovery;
pub mod report;
#[cfg(not(target_arch = "wasm32"))]
pub mod state;
#[cfg(not(target_arch = "wasm32"))]
mod state_file;

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// 701466 as `701,466`.
pub fn grouped(n: usize) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
