//! The steps of the sampler on the way to a tile: which are asked for, and what came.

use std::sync::{Arc, Weak};

use super::{JobKind, State};
use crate::engine::{Grid, Job, Run, Trace, TraceRequest, Traced};
use crate::studio::{Arm, Pane, TaskState};

/// Traces that are kept.
const KEPT: usize = 8;
/// Tiles that are traced together, at the most.
pub const TOGETHER: usize = 6;

/// A tile of the comparison, or the first few of its row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub row: usize,
    /// `None` is all of them, up to [`TOGETHER`].
    pub column: Option<usize>,
}

/// What there is to know of steps.
#[derive(Debug, Default)]
pub struct Steps {
    /// Where a person chose one.
    pub place: Option<Place>,
    /// The latest last.
    known: Vec<(Wanted, Arc<Trace>)>,
    asked: Option<Wanted>,
    /// What was cancelled or failed, and is not asked for again by itself.
    stopped: Option<Wanted>,
}

/// What a trace is of.
#[derive(Debug, Clone)]
struct Wanted {
    /// The pictures that the place is one of.
    base: Weak<Grid>,
    place: Place,
    /// Whose steps.
    panes: Vec<Source>,
}

/// Whose steps a pane shows.
#[derive(Debug, Clone)]
struct Source {
    pane: Pane,
    /// With how much of its change.
    run: Option<(Weak<Run>, f64)>,
}

impl PartialEq for Source {
    fn eq(&self, other: &Self) -> bool {
        self.pane == other.pane
            && match (&self.run, &other.run) {
                (Some((a, s)), Some((b, t))) => Weak::ptr_eq(a, b) && s == t,
                (None, None) => true,
                _ => false,
            }
    }
}

impl Wanted {
    /// Whether this shows a part of what is wanted.
    fn within(&self, wanted: &Self) -> bool {
        self.base.ptr_eq(&wanted.base)
            && self.place == wanted.place
            && self.panes.iter().all(|source| wanted.panes.contains(source))
    }

    fn is(&self, other: &Self) -> bool {
        self.within(other) && other.within(self)
    }
}

impl Steps {
    /// Takes in what was asked for.
    pub fn take(&mut self, trace: Arc<Trace>) {
        let Some(asked) = self.asked.take() else { return };
        self.known.retain(|(wanted, _)| !wanted.is(&asked));
        self.known.push((asked, trace));
        let many = self.known.len().saturating_sub(KEPT);
        self.known.drain(..many);
    }

    /// Notes that what was asked for does not come; where it was `stopped` or failed, it is not asked for again by
    /// itself.
    pub fn give_up(&mut self, stopped: bool) {
        let asked = self.asked.take();
        if stopped {
            self.stopped = asked;
        }
    }
}

impl TaskState {
    /// The tile whose steps are shown: the one that was chosen, or the first one of what is to be forgotten.
    pub fn place(&self) -> Option<Place> {
        let base = self.base()?;
        let fits = |place: &Place| {
            place.row < base.rows.len() && place.column.is_none_or(|c| c < base.columns)
        };
        let first = self.forgotten().next().unwrap_or(0);
        let first = Place { row: first, column: Some(0) };
        self.steps.place.filter(fits).or(Some(first)).filter(fits)
    }

    /// The columns of a place.
    pub fn columns(&self, place: Place) -> Vec<usize> {
        let all = self.base().map_or(0, |base| base.columns.min(TOGETHER));
        place.column.map_or_else(|| (0..all).collect(), |column| vec![column])
    }

    /// The panes whose steps can be traced, and where their weights come from.
    fn sources(&self) -> Vec<(Source, Option<Arc<Run>>)> {
        let source = |pane, run: Option<(&Arc<Run>, f64)>| {
            let weak = run.map(|(run, strength)| (Arc::downgrade(run), strength));
            (Source { pane, run: weak }, run.map(|(run, _)| run.clone()))
        };
        let mut all = vec![source(Pane::Before, None)];
        for arm in Arm::BOTH {
            let strength = self.strength(arm);
            all.extend(self.run(arm).map(|run| source(arm.pane(), Some((run, strength)))));
        }
        let Some((opened, spec)) =
            self.opened.as_ref().and_then(|opened| Some((opened, self.spec(opened)?)))
        else {
            return all;
        };
        let retrained = self.history.retrain(&opened.name, &spec);
        if self.twin.as_ref().is_some_and(|(of, _)| *of == self.twin_of(opened, &spec)) {
            all.push(source(Pane::Retrain, None));
        } else if let Some(run) = retrained {
            all.push(source(Pane::Retrain, Some((run, 1.0))));
        }
        all
    }

    fn wanted(&self) -> Option<Wanted> {
        let panes = self.sources().into_iter().map(|(source, _)| source).collect();
        Some(Wanted { base: Arc::downgrade(self.base()?), place: self.place()?, panes })
    }

    /// The steps that are known of the tile, and whose they are.
    pub fn traced(&self) -> Option<(Vec<Pane>, Arc<Trace>)> {
        let wanted = self.wanted()?;
        let known = self.steps.known.iter().filter(|(known, _)| known.within(&wanted));
        let (of, trace) = known.max_by_key(|(known, _)| known.panes.len())?;
        Some((of.panes.iter().map(|source| source.pane).collect(), trace.clone()))
    }

    /// Whether no more panes than these could be traced.
    pub fn all_traced(&self, panes: usize) -> bool {
        self.sources().len() <= panes
    }

    /// What traces what is wanted; nothing as long as no model is open.
    fn trace_request(&self, wanted: &Wanted) -> Option<TraceRequest> {
        let opened = self.opened.as_deref()?;
        let run = self.run(Arm::Method);
        let twin = wanted.panes.iter().any(|s| s.pane == Pane::Retrain && s.run.is_none());
        let asks = twin || self.pane.is_some();
        let recipe = run.map(|run| run.recipe.clone()).or(self.recipe().filter(|_| asks));
        let of = self.sources().into_iter().map(|(source, run)| match (source, run) {
            (Source { run: Some((_, strength)), .. }, Some(run)) => {
                Traced::Ended { model: Arc::new(run.model.clone()), strength }
            }
            (Source { pane: Pane::Retrain, .. }, _) => Traced::Twin,
            _ => Traced::Original,
        });
        Some(TraceRequest {
            model: opened.name.clone(),
            seed: opened.seed,
            budget: opened.budget,
            recipe,
            row: wanted.place.row,
            columns: self.columns(wanted.place),
            of: of.collect(),
        })
    }
}

impl State {
    /// Traces the steps on the way to the tile that is looked at, unless they are known, once nothing else is to be
    /// done. Called in every frame that shows them.
    pub fn trace(&mut self) {
        let session = self.session();
        let Some(wanted) = session.wanted().filter(|_| self.work.is_none()) else { return };
        let steps = &session.steps;
        let known = steps.known.iter().map(|(known, _)| known).chain(&steps.stopped);
        if known.into_iter().any(|known| known.is(&wanted)) {
            return;
        }
        let Some(request) = session.trace_request(&wanted) else { return };
        self.begin_quietly(JobKind::Trace, Job::Trace(request));
        self.session_mut().steps.asked = Some(wanted);
    }

    /// Traces what was stopped after all.
    pub fn trace_again(&mut self) {
        self.session_mut().steps.stopped = None;
        self.trace();
    }
}
