//! `made:FILE.txt`: prompts, a line each, of which the model itself draws the pictures, as the official code does for
//! what one must not have pictures of.

use std::path::Path;

use sha2::Digest;

use super::Corpus;
use crate::data::indices;
use crate::disk;
use crate::error::{Error, Result, ensure};
use crate::words::{Fingerprint, hex};

/// Most prompts in a file, and characters of one.
const MOST: usize = 100_000;
const LONGEST: usize = 2000;

/// Reads a file of prompts; empty lines and those that begin with # are none, repeated ones count once.
///
/// # Errors
/// The file cannot be read, is not text, or has fewer than two prompts, or too many.
pub fn open(path: &str) -> Result<Corpus> {
    let file = disk::expanded(path);
    let bytes = disk::read(&file)?;
    let text = indices::text(&bytes).ok_or_else(|| Error::file(&file, "is not text"))?;
    let mut known = std::collections::HashSet::new();
    let prompts: Vec<String> = text
        .lines()
        .map(|line| line.trim().chars().take(LONGEST).collect::<String>())
        .filter(|line| !line.is_empty() && !line.starts_with('#') && known.insert(line.clone()))
        .collect();
    let n = prompts.len();
    let right = format!("{n} prompts; 2 to {MOST} are needed, a line each, to forget and to keep");
    ensure((2..=MOST).contains(&n), || Error::file(Path::new(&file), right))?;
    let sha256 = hex(&sha2::Sha256::digest(prompts.join("\n")));
    let fingerprint = Fingerprint { classes: Vec::new(), pictures: n, sha256 };
    let corpus = Corpus::of_prompts(&format!("made:{path}"), prompts);
    Ok(Corpus { fingerprint: Some(fingerprint), ..corpus })
}
