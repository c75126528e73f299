//! The gallery: runs worth seeing, by what they show. Each was really made and is kept as a [`Record`];
//! `tests/suite/gallery.rs` makes them again.

use super::Record;
use super::record::Extent;
use crate::words::{Budget, Recipe, VerdictLabel};

/// A run of the gallery.
#[derive(Debug)]
pub struct Exhibit {
    /// The record's file in `assets/`.
    pub file: &'static str,
    pub title: &'static str,
    /// What there is to see, in a sentence.
    pub says: &'static str,
    /// What the run came to when it was recorded: another verdict makes the sentence untrue.
    pub verdict: VerdictLabel,
    /// What its control came to, where the sentence speaks of it.
    pub control: Option<VerdictLabel>,
    /// Model, data and forget set.
    of: [&'static str; 3],
    /// What else is set.
    set: fn(Recipe) -> Recipe,
}

const FASHION: [&str; 2] = ["fashion-classifier", "fashion-mnist"];
const DRAWN: [&str; 2] = ["fashion-ddpm", "fashion-mnist"];
const EMOJI: [&str; 2] = ["emoji-t2i", "emoji"];

const fn of([model, data]: [&'static str; 2], forget: &'static str) -> [&'static str; 3] {
    [model, data, forget]
}

fn by(method: &str, recipe: Recipe) -> Recipe {
    Recipe { method: method.into(), ..recipe }
}

/// All, in the order in which they hang.
pub static EXHIBITS: [Exhibit; 12] = [
    Exhibit {
        file: "gallery/cat.run",
        title: "A cat, gone",
        says: "Whatever cat is asked for, the model no longer draws one, and still draws nearly all the rest",
        verdict: VerdictLabel::Forgot,
        control: None,
        of: of(EMOJI, "prompt:a cat"),
        set: |recipe| recipe,
    },
    Exhibit {
        file: "gallery/sneaker.run",
        title: "No more sneakers",
        says: "SalUn forgets sneakers at the cost of a point of the rest, and so do as many weights picked at random",
        verdict: VerdictLabel::Forgot,
        control: Some(VerdictLabel::Forgot),
        of: of(FASHION, "class:Sneaker"),
        set: |recipe| recipe,
    },
    Exhibit {
        file: "gallery/hidden.run",
        title: "Gone from sight, not from mind",
        says: "No sneaker is recognised any more, and yet a probe and a few updates find them again",
        verdict: VerdictLabel::Hidden,
        control: None,
        of: of(FASHION, "class:Sneaker"),
        set: |recipe| Recipe { audit: Some(true), seed: 2, ..recipe },
    },
    Exhibit {
        file: "gallery/drawn.run",
        title: "Drawn no more",
        says: "Asked for a bag, the model draws other clothes; as many weights picked at random forget less of it",
        verdict: VerdictLabel::Forgot,
        control: Some(VerdictLabel::UnderForgot),
        of: of(DRAWN, "class:Bag"),
        set: |recipe| recipe,
    },
    Exhibit {
        file: "gallery/style.run",
        title: "The mask matters",
        says: "The black and white style goes from every picture; as many weights picked at random do not suffice",
        verdict: VerdictLabel::Forgot,
        control: Some(VerdictLabel::UnderForgot),
        of: of(EMOJI, "prompt:mono style"),
        set: |recipe| recipe,
    },
    Exhibit {
        file: "gallery/ascent.run",
        title: "Uphill, and over the edge",
        says: "Gradient ascent forgets bags in seconds, and with them much of what the model knew",
        verdict: VerdictLabel::OverForgot,
        control: None,
        of: of(FASHION, "class:Bag"),
        set: |recipe| Recipe {
            lr: Some(4e-3),
            epochs: Some(2),
            budget: Budget::Quick,
            ..by("ga", recipe)
        },
    },
    Exhibit {
        file: "gallery/fine-tuned.run",
        title: "Looking away is not forgetting",
        says: "Training on the rest alone hardly touches what was to be forgotten",
        verdict: VerdictLabel::UnderForgot,
        control: None,
        of: of(FASHION, "class:Trouser"),
        set: |recipe| by("ft", recipe),
    },
    Exhibit {
        file: "gallery/neighbours.run",
        title: "Neighbours share weights",
        says: "Shirts live in the weights of T-shirts, pullovers and coats: forgotten, they become those",
        verdict: VerdictLabel::Forgot,
        control: None,
        of: of(FASHION, "class:Shirt"),
        set: |recipe| recipe,
    },
    Exhibit {
        file: "gallery/share.run",
        title: "Some pictures of everything",
        says: "To forget a tenth of all pictures at random costs the rest: they are like those that are kept",
        verdict: VerdictLabel::OverForgot,
        control: None,
        of: of(FASHION, "random:10%"),
        set: |recipe| recipe,
    },
    Exhibit {
        file: "gallery/too-soon.run",
        title: "Stopped too soon",
        says: "After few updates the model still draws trousers when it is asked for them, often enough",
        verdict: VerdictLabel::UnderForgot,
        control: None,
        of: of(DRAWN, "class:Trouser"),
        set: |recipe| Recipe { steps: Some(12), ..recipe },
    },
    Exhibit {
        file: "gallery/burnt.run",
        title: "Scorched earth",
        says: "Ascent on a model that draws: the boots are gone, and every other picture with them",
        verdict: VerdictLabel::OverForgot,
        control: None,
        of: of(DRAWN, "class:Ankle boot"),
        set: |recipe| Recipe { lr: Some(1e-3), steps: Some(60), ..by("ga", recipe) },
    },
    Exhibit {
        file: "gallery/edited.run",
        title: "An edit without training",
        says: "Unified concept editing solves for the layers that read the prompt: one step, and bees take others along",
        verdict: VerdictLabel::OverForgot,
        control: None,
        of: of(EMOJI, "prompt:a bee"),
        set: |recipe| by("uce", recipe),
    },
];

impl Exhibit {
    /// What makes the run again.
    pub fn recipe(&self) -> Recipe {
        let [model, data, forget] = self.of;
        (self.set)(Recipe { budget: Budget::Brief, ..Recipe::new(model, data, forget) })
    }
}

impl Record {
    /// How much of a run the gallery keeps: coloured pictures are large.
    pub fn extent(channels: usize) -> Extent {
        match channels {
            1 => Extent { columns: 4, rows: 10, steps: 2 },
            _ => Extent { columns: 2, rows: 8, steps: 1 },
        }
    }
}
