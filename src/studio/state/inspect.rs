//! Looks into the model: what views ask for as long as they are shown, and what came of it.

use std::sync::Arc;

use super::{JobKind, State};
use crate::engine::{Attributed, Beside, Embedding, Inspected, Inspection, Job, LayerWeights, Run};
use crate::studio::{Arm, Choice, Saliency, TaskState};
use crate::words::{Attribution, Recipe};

/// What was looked into, of one task.
#[derive(Debug, Default)]
pub struct Insights {
    /// The scores of another request to the same model, and that model.
    beside: Option<(String, Saliency)>,
    weights: Option<Arc<LayerWeights>>,
    embedding: Option<(Shown, Arc<Embedding>)>,
    pixels: Option<(Look, Arc<Attributed>)>,
    /// What is being looked into, and what could not be or was not to be.
    asked: Option<Look>,
    refused: Vec<Look>,
}

/// The request and the runs that pictures are looked at with.
#[derive(Debug, Clone, PartialEq)]
struct Shown {
    recipe: Recipe,
    /// Protocols of the run, its control and Retrain.
    runs: [Option<String>; 3],
}

/// Something that was asked for.
#[derive(Debug, Clone, PartialEq)]
enum Look {
    Scores(Recipe),
    Weights(String, usize),
    Embed(Shown),
    Pixels(Shown, Vec<usize>, Attribution),
}

impl Insights {
    /// The scores that are held beside those of a model.
    pub fn beside(&self, model: &str) -> Option<&Saliency> {
        self.beside.as_ref().filter(|(of, _)| of == model).map(|(_, saliency)| saliency)
    }

    /// The same, to follow the density.
    pub fn beside_mut(&mut self) -> Option<&mut Saliency> {
        self.beside.as_mut().map(|(_, saliency)| saliency)
    }

    /// The weights of a layer of a model, where they are known.
    pub fn weights(&self, model: &str, layer: usize) -> Option<&Arc<LayerWeights>> {
        self.weights.as_ref().filter(|known| known.model == model && known.layer == layer)
    }

    /// The map of pictures that was made last.
    pub fn embedding(&self) -> Option<&Arc<Embedding>> {
        self.embedding.as_ref().map(|(_, embedding)| embedding)
    }

    /// The pixels that were looked into last.
    pub fn pixels(&self) -> Option<&Arc<Attributed>> {
        self.pixels.as_ref().map(|(_, pixels)| pixels)
    }

    /// Lets what was refused be asked for again.
    pub fn again(&mut self) {
        self.refused.clear();
    }
}

impl State {
    /// Scores the weights for another choice, to hold them beside those of the request.
    pub fn compare_with(&mut self, what: &Choice) {
        let Some(recipe) = self.session().recipe_for(what).filter(|_| self.work.is_none()) else {
            return;
        };
        self.session_mut().insights.again();
        self.inspect(Look::Scores(recipe.clone()), Inspection::Scores(recipe));
    }

    /// Holds the scores that are shown beside those that come next; or nothing any more.
    pub fn hold_beside(&mut self, on: bool) {
        let session = self.session_mut();
        let (model, density) = (session.model.clone(), session.request.density);
        let shown = session.saliency.as_ref().filter(|shown| on && shown.whole);
        let held = shown.map(|shown| Saliency::new(shown.ranking.clone(), true, density));
        let held = held.and_then(|held| self.tell(held));
        self.session_mut().insights.beside = held.map(|held| (model, held));
    }

    /// Has the weights of a layer looked up, once nothing else is to be done; whether that was refused.
    pub fn weigh(&mut self, layer: usize) -> bool {
        let session = self.session();
        let Some(opened) = &session.opened else { return false };
        let model = opened.name.clone();
        session.insights.weights(&model, layer).is_none() && {
            let look = Look::Weights(model.clone(), layer);
            self.inspect(look, Inspection::Weights { model, layer })
        }
    }

    /// Has the map of pictures made for the request and the shown runs, once nothing else is to be done; whether that
    /// was refused.
    pub fn embed(&mut self) -> bool {
        let Some((shown, of)) = self.shown() else { return false };
        let known = self.session().insights.embedding.as_ref();
        known.is_none_or(|(known, _)| *known != shown)
            && self.inspect(Look::Embed(shown), Inspection::Embed(of))
    }

    /// Has the pixels of some training pictures looked into, once nothing else is to be done; whether that was refused.
    pub fn attribute(&mut self, items: &[usize], way: Attribution) -> bool {
        let Some((shown, of)) = self.shown().filter(|_| !items.is_empty()) else { return false };
        let items = items.to_vec();
        let look = Look::Pixels(shown, items.clone(), way);
        let known = self.session().insights.pixels.as_ref();
        known.is_none_or(|(known, _)| *known != look)
            && self.inspect(look, Inspection::Attribute { of, items, way })
    }

    /// Whether the map of pictures is that of the request and the shown runs.
    pub fn embedding_fits(&self) -> bool {
        let known = self.session().insights.embedding.as_ref();
        self.shown().is_some_and(|(shown, _)| known.is_some_and(|(known, _)| *known == shown))
    }

    /// The request and the runs that are shown, as the engine is asked about them.
    fn shown(&self) -> Option<(Shown, Beside)> {
        let session = self.session();
        let opened = session.opened.as_deref()?;
        // Nothing else of the request has a say.
        let plain = |data: &str, forget: &str| Recipe {
            after: opened.after.clone(),
            seed: session.request.seed,
            ..Recipe::new(opened.model(), data, forget)
        };
        let what = session.what.as_ref();
        let recipe = match what.and_then(|what| Some((what.data(opened), what.spec(opened)?))) {
            Some((data, forget)) => plain(&data, &forget),
            None => plain(&opened.data, ""),
        };
        let retrain = session.history.retrain(&opened.name, &recipe.forget);
        let runs = [session.run(Arm::Method), session.run(Arm::Control), retrain];
        let name = |run: &Arc<Run>| run.report.protocol.clone();
        let model = |run: &Arc<Run>| run.model.plain().cloned();
        let models = runs.map(|run| run.and_then(model));
        let runs = runs.map(|run| run.map(name));
        Some((Shown { recipe: recipe.clone(), runs }, Beside { recipe, models }))
    }

    /// Looks into something, unless it failed or was stopped before: that is not asked for again by itself. Whether it
    /// was refused.
    fn inspect(&mut self, look: Look, asked: Inspection) -> bool {
        let refused = self.session().insights.refused.contains(&look);
        if !refused && self.work.is_none() {
            self.begin_quietly(JobKind::Inspect, Job::Inspect(asked));
            self.session_mut().insights.asked = Some(look);
        }
        refused
    }

    /// Takes in what was seen.
    pub(super) fn inspected(&mut self, seen: Inspected) {
        let density = self.session().request.density;
        let asked = self.session_mut().insights.asked.take();
        match (asked, seen) {
            (Some(Look::Scores(_)), Inspected::Scores(scores)) => {
                let held = Saliency::new(scores, true, density);
                if let Some(held) = self.tell(held) {
                    let session = self.session_mut();
                    session.insights.beside = Some((session.model.clone(), held));
                }
            }
            (Some(Look::Weights(..)), Inspected::Weights(weights)) => {
                self.session_mut().insights.weights = Some(weights);
            }
            (Some(Look::Embed(shown)), Inspected::Embedded(embedding)) => {
                self.session_mut().insights.embedding = Some((shown, embedding));
            }
            (Some(look @ Look::Pixels(..)), Inspected::Attributed(pixels)) => {
                self.session_mut().insights.pixels = Some((look, pixels));
            }
            _ => {}
        }
    }
}

impl TaskState {
    /// Notes that what was being looked into did not come.
    pub fn uninspected(&mut self) {
        let asked = self.insights.asked.take();
        self.insights.refused.extend(asked);
    }
}
