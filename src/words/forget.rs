//! What kind of forget set a specification `KIND:VALUE` names.

use strum::{Display, EnumString};

/// A kind of forget set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Display, EnumString)]
#[strum(serialize_all = "kebab-case")]
pub enum ForgetKind {
    /// A class.
    Class,
    /// A random share of the training pictures.
    Random,
    /// The pictures of the largest losses.
    Hardest,
    /// The pictures of the smallest losses.
    Easiest,
    /// The pictures that a file lists.
    Indices,
    /// The pictures that are listed.
    Items,
    /// The pictures that a person added to a data set.
    Mine,
    /// What a prompt names.
    Prompt,
}

impl ForgetKind {
    /// The kind that a specification names, and its value.
    pub fn split(spec: &str) -> Option<(Self, &str)> {
        let (kind, value) = spec.split_once(':')?;
        Some((kind.parse().ok()?, value))
    }

    /// The kind that a specification names.
    pub fn of(spec: &str) -> Option<Self> {
        Self::split(spec).map(|(kind, _)| kind)
    }

    /// The value of a specification of this kind; `None` of another kind's.
    pub fn value(self, spec: &str) -> Option<&str> {
        Self::split(spec).filter(|(kind, _)| *kind == self).map(|(_, value)| value)
    }

    /// Whether it is all that the model knows of something, and not some pictures of it.
    pub fn whole(self) -> bool {
        matches!(self, Self::Class | Self::Prompt)
    }
}
