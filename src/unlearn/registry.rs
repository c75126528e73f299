//! The methods that the studio, the command line and the docs offer.

use super::given;
pub use super::{METHODS, method::Method};
use crate::error::{Error, Result};
use crate::words::Recipe;

/// The method of a recipe: none of ours where its weights are given, whatever they are called.
///
/// # Errors
/// The name is unknown.
pub fn of(recipe: &Recipe) -> Result<&'static Method> {
    match recipe.given {
        Some(_) => Ok(&given::METHOD),
        None => find(&recipe.method),
    }
}

/// A method by name.
///
/// # Errors
/// The name is unknown.
pub fn find(name: &str) -> Result<&'static Method> {
    METHODS
        .iter()
        .find(|m| m.name == name)
        .ok_or_else(|| Error::unknown("method", name, METHODS.iter().map(|m| m.name)))
}
