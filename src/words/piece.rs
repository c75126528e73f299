//! The pieces of the studio that a link can leave out, for a worksheet that is about the others.

use strum::{EnumMessage, IntoStaticStr, VariantArray};

/// A piece of the studio. What is written above a variant is what a person reads of it.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, EnumMessage, IntoStaticStr, VariantArray,
)]
#[strum(serialize_all = "kebab-case")]
pub enum Piece {
    /// The three tasks in the top bar
    Tasks,
    /// Open…
    Open,
    /// Share
    Share,
    /// Export, and Ctrl+S
    Export,
    /// The tour, and the presentation
    Tour,
    /// The tabs over the centre, and their keys
    Tabs,
    /// The panel of the saliency
    Saliency,
    /// Which method forgets
    Method,
    /// How the mask is chosen
    Mask,
    /// How many weights may change
    Density,
    /// What the forgotten is to become
    Redirect,
    /// The seed
    Seed,
    /// How much is trained on and measured
    Budget,
    /// Steps, batch, learning rate and the method's own knobs
    Knobs,
    /// The random mask: its pane, its card, and its run, which is not made
    Control,
    /// Retrain's pane
    Retrain,
    /// The losses and the steps
    Timeline,
    /// The verdicts
    Verdict,
    /// How much of the change is shown
    Strength,
}

impl Piece {
    pub const ALL: &[Self] = Self::VARIANTS;

    /// The name in a link.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// What it is, for a person.
    pub fn about(self) -> &'static str {
        self.get_documentation().unwrap_or_default()
    }
}
