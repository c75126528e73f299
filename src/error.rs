//! What can go wrong, in one line that a person can act on.

use std::{
    borrow::Cow,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

/// The result of anything that can fail.
pub type Result<T> = std::result::Result<T, Error>;

/// Every failure of the library. `Display` is one line; [`Error::exit_code`] is the status of the
/// command line (docs/use.md).
#[derive(Debug, Clone, thiserror::Error, Serialize, Deserialize)]
pub enum Error {
    /// A name that is not in a registry.
    #[error("unknown {what} '{given}'; {hint}")]
    Unknown { what: Cow<'static, str>, given: String, hint: String },
    /// A value that is out of range or not of its kind.
    #[error("{argument} '{given}' is not valid: {right}")]
    Argument { argument: Cow<'static, str>, given: String, right: String },
    /// Parts of a request that do not fit together.
    #[error("{0}")]
    Request(String),
    /// A file that cannot be used.
    #[error("{}: {reason}", path.display())]
    File { path: PathBuf, reason: String },
    /// A tensor in a weights file that cannot be used.
    #[error("{}: tensor '{tensor}': {reason}", path.display())]
    Tensor { path: PathBuf, tensor: String, reason: String },
    /// An output that must not be overwritten.
    #[error("{} is already there; choose another --out or pass --force to replace it", .0.display())]
    Exists(PathBuf),
    /// An output that could not be written while the work went on.
    #[error("{}: cannot be written: {reason}", path.display())]
    Write { path: PathBuf, reason: String },
    /// An output that could not be written where it was asked for, when the work was done.
    #[error("{}: {reason}; the finished work is in {}", path.display(), place.display())]
    Elsewhere { path: PathBuf, reason: String, place: PathBuf },
    /// A data set that could not be fetched, and what can be done instead.
    #[error("{name} cannot be fetched: {reason}; {instead}")]
    Fetch { name: String, reason: String, instead: String },
    /// The compute device failed.
    #[error("the device failed: {0}")]
    Device(String),
    /// Numbers ran out of range while training.
    #[error("{0}")]
    Diverged(String),
    /// A person or a signal asked to stop.
    #[error("cancelled")]
    Cancelled,
}

/// Refuses what does not hold.
///
/// # Errors
/// It does not hold; what `otherwise` says.
pub fn ensure<E>(holds: bool, otherwise: impl FnOnce() -> E) -> std::result::Result<(), E> {
    if holds { Ok(()) } else { Err(otherwise()) }
}

impl Error {
    /// A file error.
    pub fn file(path: impl AsRef<Path>, reason: impl std::fmt::Display) -> Self {
        Self::File { path: path.as_ref().to_path_buf(), reason: reason.to_string() }
    }

    /// An output that could not be written.
    pub fn write(path: impl AsRef<Path>, reason: impl std::fmt::Display) -> Self {
        Self::Write { path: path.as_ref().to_path_buf(), reason: reason.to_string() }
    }

    /// The compute device failed; drivers tell why at length, here in their first line.
    pub fn device(reason: impl std::fmt::Display) -> Self {
        Self::Device(reason.to_string().lines().next().unwrap_or("unknown failure").into())
    }

    /// An unknown name with the nearest valid ones.
    pub fn unknown<'a>(
        what: &'static str,
        given: &str,
        valid: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let mut names: Vec<&str> = valid.into_iter().collect();
        let lower = given.to_lowercase();
        let near =
            |name: &str| strsim::normalized_damerau_levenshtein(&lower, &name.to_lowercase());
        let all = names.join(", ");
        names.sort_by(|a, b| near(b).total_cmp(&near(a)));
        let hint = match names.first() {
            Some(best) if near(best) > 0.5 => format!("did you mean '{best}'? valid: {all}"),
            _ => format!("valid: {all}"),
        };
        let given: String = given.chars().take(80).collect();
        Self::Unknown { what: what.into(), given, hint }
    }

    /// A value that is not valid.
    pub fn argument(
        argument: &'static str,
        given: impl std::fmt::Display,
        right: impl Into<String>,
    ) -> Self {
        let given: String = given.to_string().chars().take(80).collect();
        Self::Argument { argument: argument.into(), given, right: right.into() }
    }

    /// 2 where the request is wrong, 1 where the work failed.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Write { .. }
            | Self::Elsewhere { .. }
            | Self::Fetch { .. }
            | Self::Device(_)
            | Self::Diverged(_)
            | Self::Cancelled => 1,
            _ => 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_name_comes_with_the_nearest_valid_one() {
        let error = Error::unknown("class", "sneeker", ["Sandal", "Sneaker", "Bag"]);
        assert_eq!(
            error.to_string(),
            "unknown class 'sneeker'; did you mean 'Sneaker'? valid: Sandal, Sneaker, Bag"
        );
        assert_eq!(error.exit_code(), 2);
    }
}
