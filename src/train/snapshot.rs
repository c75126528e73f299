//! The state of a training run after some steps, in main memory.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::latent::Stage;
use crate::error::{Error, Result};

/// Flat vectors by name.
pub type Vectors = Vec<(String, Vec<f32>)>;

/// The state of a run after some steps.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Snapshot {
    /// Of a text-to-image model, which is trained part by part.
    pub stage: Option<Stage>,
    /// Updates of that stage so far.
    pub step: usize,
    /// Seconds that each stage took so far.
    pub seconds: Vec<f64>,
    pub vectors: Vectors,
    /// The file that it was read from, for messages.
    pub path: PathBuf,
}

impl Snapshot {
    /// A vector of `n` values by name.
    ///
    /// # Errors
    /// It is missing or has another length.
    pub fn vector(&self, name: &str, n: usize) -> Result<&[f32]> {
        let wrong = |reason| Error::Tensor { path: self.path.clone(), tensor: name.into(), reason };
        match self.vectors.iter().find(|(given, _)| given == name) {
            Some((_, values)) if values.len() == n => Ok(values),
            Some((_, values)) => Err(wrong(format!("has {} values, expected {n}", values.len()))),
            None if n == 0 => Ok(&[]),
            None => Err(wrong("is missing".into())),
        }
    }
}
