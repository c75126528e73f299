//! The methods that the studio, the command line and the docs offer.

pub use super::{METHODS, method::Method};
use crate::error::{Error, Result};

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
