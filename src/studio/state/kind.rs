//! What a job of the studio is for.

use crate::studio::{Arm, Whose};
use crate::words::AttackKind;

/// What a job is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobKind {
    /// Opening a model with the pictures of a seed.
    Open(u64),
    /// Opening a weights file that a person gave.
    Import,
    /// Scoring the weights.
    Rank,
    Unlearn(Arm),
    /// Opening the data set to be looked through.
    Browse,
    /// Looking into the model.
    Inspect,
    /// Looking at a person's own pictures.
    Look,
    /// Taking them in, to be forgotten.
    Keep,
    /// Learning them as a class.
    Learn,
    /// Making a run's result the model.
    Adopt,
    /// Comparing masks.
    Overlap,
    /// Looking for what a finished run still holds.
    Audit(Arm),
    /// Bringing back what a finished run forgot.
    Attack(Arm, AttackKind),
    /// Making a step of a run the result, and then the model.
    KeepStep,
    /// Drawing a finished run at another strength.
    Strength(Whose),
    /// Tracing the sampler's steps.
    Trace,
    /// A run of a race.
    Race(usize),
    /// Making a file of a finished run's change.
    Export,
}

impl JobKind {
    /// Whether another request would conflict with it.
    pub(super) fn holds(self) -> bool {
        let free = matches!(self, Self::Import | Self::Browse | Self::Look | Self::Strength(_));
        let look = matches!(self, Self::Trace | Self::Inspect);
        !free && !look && !self.prepares()
    }

    /// Whether it makes ready for a run, which can be asked for meanwhile.
    pub(super) fn prepares(self) -> bool {
        matches!(self, Self::Open(_) | Self::Rank)
    }

    /// Which of the shown runs it makes.
    pub fn makes(self) -> Option<Whose> {
        match self {
            Self::Unlearn(arm) => Some(arm.into()),
            Self::KeepStep => Some(Arm::Method.into()),
            Self::Race(at) => Some(Whose::Lane(at)),
            _ => None,
        }
    }

    /// What is said of it before its progress, and in a sentence of its own; a run goes by its name.
    pub fn told(self) -> [&'static str; 2] {
        match self {
            Self::Open(_) | Self::Import => ["Opening", "Opening the model"],
            Self::Rank => ["Saliency", "Scoring the weights"],
            Self::Unlearn(_) => ["", "forgetting"],
            Self::Browse => ["Pictures", "Opening the pictures"],
            Self::Inspect => ["A look inside", "Looking into the model"],
            Self::Look => ["Your pictures", "Looking at your pictures"],
            Self::Keep => ["Your pictures", "Taking your pictures in"],
            Self::Learn => ["Learning", "Learning the new class"],
            Self::Adopt => ["Taking up the result"; 2],
            Self::Overlap => ["Comparing masks"; 2],
            Self::Audit(_) => ["Audit", "Auditing"],
            Self::Attack(_, kind) => [kind.title(), "Attacking"],
            Self::KeepStep => ["Keeping the step"; 2],
            Self::Race(_) => ["Race", "racing"],
            Self::Strength(_) => ["Strength", "Drawing at another strength"],
            Self::Trace => ["Steps", "Tracing the sampler's steps"],
            Self::Export => ["Export", "Writing the change"],
        }
    }
}
