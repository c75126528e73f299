//! What the unchanged shipped models show, recorded: who forgets does not wait for what is known. It counts as long
//! as the weights and the way they are drawn are those that it was recorded of.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};

use super::prompt::SeenPrompts;
use super::{Grid, Opened, PromptSetting, Setting, Survey};
use crate::assets;
use crate::eval::{Judged, Seen};
use crate::models::{AnyModel, HostWeights};
use crate::wire;
use crate::words::{Recipe, SampleOptions, sha256};

/// What a judge saw in a model's pictures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Known {
    /// A hash of what it follows from: weights, how they are drawn.
    key: String,
    /// Of each class or prompt, from its first picture on: a class, or a concept and a style.
    seen: BTreeMap<String, Vec<[usize; 2]>>,
}

/// Where what is recorded of a shipped model's pictures, and they themselves, lie among the [`assets`]; nothing of
/// others.
pub fn paths(name: &str) -> Vec<&'static str> {
    // Pictures count as long as what was seen in them does.
    path(name).into_iter().flat_map(|seen| [Some(seen), shown_path(name)]).flatten().collect()
}

/// Where what judges saw in its pictures lies.
pub fn path(name: &str) -> Option<&'static str> {
    let ending = format!("/{name}.known");
    assets::KNOWN.into_iter().find(|path| path.ends_with(&ending))
}

/// Where its pictures lie.
fn shown_path(name: &str) -> Option<&'static str> {
    let ending = format!("/{name}.opened");
    assets::RECORDED.into_iter().find(|path| path.ends_with(&ending))
}

/// What a shipped model shows of its classes or concepts, `columns` in a row, where that was recorded of these weights,
/// drawn in this way: it need not be drawn again.
pub fn shown(
    name: &str,
    weights: &[&HostWeights],
    columns: usize,
    options: &SampleOptions,
) -> Option<Arc<Grid>> {
    let of = shown_path(name)?;
    Known::of(name, weights, options)?;
    let opened: Opened = wire::inflate(&assets::bytes(of).ok()?).ok()?;
    let so = opened.seed == options.seed && opened.grid.columns == columns;
    so.then_some(opened.grid)
}

/// What some weights drawn in a way are known by.
fn key(weights: &[&HostWeights], options: &SampleOptions) -> String {
    let weights: Vec<String> = weights.iter().map(|w| w.hash()).collect();
    sha256(format!("{weights:?} {options:?}"))
}

impl Known {
    /// That of samples of every class of a model.
    pub fn of_classes(model: &AnyModel, options: &SampleOptions, samples: &Grid) -> Self {
        let seen = samples.seen.iter().map(|seen| [seen.map_or(usize::MAX, |s| s.0), 0]);
        let all: Vec<[usize; 2]> = seen.collect();
        let rows = all.chunks(samples.columns.max(1)).map(<[_]>::to_vec);
        let seen = model.classes().iter().cloned().zip(rows).collect();
        Self { key: key(&[model.weights()], options), seen }
    }

    /// That of a survey's pictures; `caption` is the prompt of a concept and a style, by their places.
    pub fn of_survey(
        model: &AnyModel,
        options: &SampleOptions,
        survey: &Survey,
        caption: impl Fn(usize, usize) -> String,
    ) -> Option<Self> {
        let (grid, styles) = (&survey.grid, survey.styles.len().max(1));
        let each = grid.columns / styles;
        let both = grid.seen.iter().zip(&survey.seen);
        let all: Option<Vec<_>> = both.map(|(c, s)| Some([(*c)?.0, (*s)?])).collect();
        let rows = all?.chunks(each).map(<[_]>::to_vec).collect::<Vec<_>>().into_iter();
        let seen = rows.enumerate().map(|(i, row)| (caption(i / styles, i % styles), row));
        Some(Self { key: key(&model.latent()?.parts(), options), seen: seen.collect() })
    }

    /// What is recorded of a shipped model's weights drawn in this way; nothing of others.
    fn of(name: &str, weights: &[&HostWeights], options: &SampleOptions) -> Option<Self> {
        let known: Self = wire::inflate(&assets::bytes(path(name)?).ok()?).ok()?;
        known.is_of(weights, options).then_some(known)
    }

    /// Whether it was recorded of these weights, drawn in this way.
    pub fn is_of(&self, weights: &[&HostWeights], options: &SampleOptions) -> bool {
        self.key == key(weights, options)
    }

    /// Whether nothing is recorded.
    pub fn is_empty(&self) -> bool {
        self.seen.values().all(Vec::is_empty)
    }
}

impl Setting {
    /// What is known of a model's samples by class, without the pictures.
    pub fn known(&self, name: &str, weights: &HostWeights) -> Vec<Judged> {
        // Of other data another one may be the judge.
        let own = self.asked.recipe.data == self.model.card.data;
        let known = own.then(|| Known::of(name, &[weights], &self.sampling()));
        let Some(known) = known.flatten() else { return Vec::new() };
        let of = |class: &String| {
            let seen = known.seen.get(class).map_or(&[][..], |seen| seen);
            let seen = seen.iter().map(|[class, _]| Some((*class, 1.0))).collect();
            Judged { values: Vec::new(), seen }
        };
        self.model.card.classes.iter().map(of).collect()
    }
}

impl PromptSetting {
    /// What is known of the original's pictures of the measured prompts: of the first ones, as far as it goes.
    pub fn known(&self) -> SeenPrompts {
        let Recipe { data, .. } = &self.asked.recipe;
        // At once they are from other noise, and of other data another one may be the judge.
        let own = self.asked.extent().rounds.is_some() && data == self.model.data();
        let start = self.asked.recipe.start();
        let known = own.then(|| Known::of(&start, &self.model.parts(), &self.options));
        let Some(known) = known.flatten() else { return SeenPrompts::default() };
        self.seen_of(|prompt, again| {
            let [concept, style] = *known.seen.get(prompt)?.get(again)?;
            Some(Seen { concept: (concept, 1.0), style: (style, 1.0) })
        })
    }
}
