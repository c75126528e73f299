//! When a lesson is passed: conditions on the request and on finished runs, and the one place that holds the
//! sitting against them.

use serde::Deserialize;
use strum::{IntoStaticStr, VariantNames};

use crate::engine::Grid;
use crate::eval::versus;
use crate::studio::format;
use crate::studio::request::estimator;
use crate::words::{Estimator, ForgetKind, Recipe, Report, VerdictLabel};

/// Something that a request or a run has to be. Numbers are percent or points, as in a report.
#[derive(Debug, Clone, PartialEq, Deserialize, IntoStaticStr, VariantNames)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[strum(serialize_all = "kebab-case")]
pub enum Condition {
    /// The forget set, as in a recipe.
    Forget(String),
    /// The forget set is of this kind.
    Kind(String),
    /// The share of the pictures that is forgotten, at least and at most.
    Share([f64; 2]),
    /// The share of the weights that may change, at least and at most.
    Density([f64; 2]),
    /// The mask is of salient weights: not random, not the least salient, and not absent.
    Salient,
    /// The open layer is the one with the largest share of free weights.
    Densest,
    /// The method is another one than this.
    OtherThan(String),
    /// UA, at least.
    Ua(f64),
    /// What is left of RA, at least.
    Ra(f64),
    /// A class's own accuracy after the run, at least.
    Keeps(Class),
    /// How much of what the model now draws for the forgotten is seen as this class, at least.
    Shows(Class),
    Verdict(VerdictLabel),
    /// The mean distance to Retrain, at most.
    Gap(f64),
    /// UA beyond that of the random mask of equal size, at least, where the difference is none of chance.
    Ahead(f64),
    /// The accuracy on the forgotten after the audit's updates on a tenth of it, at least.
    Back(f64),
}

/// A class and a percentage.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Class {
    pub class: String,
    pub percent: f64,
}

/// What has to be shown for a lesson to be passed.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Goal {
    /// Of what is asked for now.
    #[serde(default)]
    pub request: Vec<Condition>,
    /// Of a run of its own each.
    #[serde(default)]
    pub runs: Vec<Vec<Condition>>,
    /// How far the two runs' densities may be apart, as their ratio.
    pub ratio: Option<f64>,
    /// Whether the two runs are of different methods.
    #[serde(default)]
    pub methods: bool,
}

/// What a condition is about: a request, or a run with what came of it.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    pub recipe: &'a Recipe,
    /// The names of the model's classes.
    pub classes: &'a [String],
    /// The open layer, and the one with the largest share of free weights.
    pub layer: [Option<&'a str>; 2],
    pub report: Option<&'a Report>,
    pub control: Option<&'a Report>,
    /// What the model shows after the run.
    pub after: Option<&'a Grid>,
}

/// How a lesson stands.
#[derive(Debug, Clone, PartialEq)]
pub enum Standing {
    /// Nothing was tried yet.
    Waits,
    /// Something is not as it has to be.
    Missing(Shortfall),
    Passed,
}

/// What is not as it has to be: what stands for it in the texts, how it is, and how it has to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shortfall {
    pub key: &'static str,
    pub is: String,
    pub wanted: String,
}

/// Where one of two runs is there, and where both are but too far apart; where a run does not begin with the
/// lesson's model; where another task is shown.
pub const THEN: &str = "then";
pub const APART: &str = "apart";
pub const FIRST: &str = "first";
pub const TASK: &str = "task";
/// Shortfalls that are no single condition's.
pub const OTHERS: [&str; 4] = [THEN, APART, FIRST, TASK];

impl Goal {
    /// Holds what is asked for and the runs of a lesson, the oldest first, against the goal. `model`: the one
    /// that all has to begin with.
    pub fn judge(&self, model: &str, request: Option<Subject>, runs: &[Subject]) -> Standing {
        if self.runs.is_empty() {
            return match request {
                None => Standing::Waits,
                Some(request) => standing(lacks(&self.request, model, &request)),
            };
        }
        let Some(latest) = runs.last() else { return Standing::Waits };
        let lack = |group: usize, run: &Subject| lacks(&self.runs[group], model, run);
        let met = |group: usize| runs.iter().filter(move |run| lack(group, run).is_none());
        if self.runs.len() == 1 {
            return match met(0).next() {
                Some(_) => Standing::Passed,
                None => standing(lack(0, latest)),
            };
        }
        if met(0).any(|one| met(1).any(|other| self.relates(one, other))) {
            return Standing::Passed;
        }
        let is = format::percent(latest.recipe.density);
        let told = |key, wanted: String| Shortfall { key, is: is.clone(), wanted };
        let other = match (lack(0, latest), lack(1, latest)) {
            (None, _) => 1,
            (_, None) => 0,
            (lack, _) => return standing(lack),
        };
        let earlier = &runs[..runs.len() - 1];
        let nearest = earlier.iter().rev().find(|run| lack(other, run).is_none());
        Standing::Missing(match nearest {
            None => told(THEN, (other + 1).to_string()),
            Some(run) => told(APART, format::percent(run.recipe.density)),
        })
    }

    /// Whether two runs are to each other as the goal asks: the first one has the larger density, but not too
    /// large, and the methods differ.
    fn relates(&self, one: &Subject, other: &Subject) -> bool {
        let (a, b) = (one.recipe, other.recipe);
        let near = self.ratio.is_none_or(|most| {
            a.density > b.density && a.density <= most * b.density && a.method == b.method
        });
        near && (!self.methods || a.method != b.method)
    }
}

fn standing(lack: Option<Shortfall>) -> Standing {
    lack.map_or(Standing::Passed, Standing::Missing)
}

/// The first thing that is not as it has to be.
fn lacks(conditions: &[Condition], model: &str, of: &Subject) -> Option<Shortfall> {
    let Recipe { model: own, after, given, .. } = of.recipe;
    if own != model || !after.is_empty() || given.is_some() {
        return Some(Shortfall { key: FIRST, is: own.clone(), wanted: model.into() });
    }
    conditions.iter().find_map(|condition| {
        let [is, wanted] = condition.lacks(of)?;
        Some(Shortfall { key: condition.key(), is, wanted })
    })
}

impl Condition {
    /// What stands for it in the texts.
    pub fn key(&self) -> &'static str {
        self.into()
    }

    /// How it is, and how it has to be, where it is not so.
    fn lacks(&self, of: &Subject) -> Option<[String; 2]> {
        let Subject { recipe, report, .. } = *of;
        let after = report.map(|report| &report.after);
        match self {
            Self::Forget(spec) => other(&recipe.forget, spec, |spec| format::forget_set(spec)),
            Self::Kind(kind) => {
                let is = ForgetKind::of(&recipe.forget).map(|kind| kind.to_string());
                other(&is.unwrap_or_default(), kind, Clone::clone)
            }
            Self::Share(range) => within(share(&recipe.forget), *range, 1.0),
            Self::Density(range) => within(Some(recipe.density), *range, 100.0),
            Self::Salient => {
                let mask = estimator(recipe);
                let none = [Estimator::Random, Estimator::Inverted, Estimator::None];
                none.contains(&mask).then(|| [mask.title().to_string(), String::new()])
            }
            Self::Densest => {
                let [open, densest] = of.layer;
                let named =
                    |name: Option<&str>| name.unwrap_or("–").trim_end_matches(".weight").into();
                (open.is_none() || open != densest).then(|| [named(open), named(densest)])
            }
            Self::OtherThan(method) => (recipe.method == *method)
                .then(|| [format::method(method).to_string(), String::new()]),
            Self::Ua(least) => short(after.map(|m| m.UA), *least),
            Self::Ra(least) => short(after.map(|m| m.RA), *least),
            Self::Keeps(kept) => {
                let place = of.classes.iter().position(|name| *name == kept.class);
                short(place.and_then(|at| after?.per_class.get(at).copied()), kept.percent)
            }
            Self::Shows(shown) => short(shows(of, &shown.class), shown.percent),
            Self::Verdict(wanted) => {
                let is = report.map(|report| report.verdict.label);
                let named =
                    |label: Option<VerdictLabel>| label.map_or("–", VerdictLabel::name).into();
                (is != Some(*wanted)).then(|| [named(is), named(Some(*wanted))])
            }
            Self::Gap(most) => long(report.and_then(|r| Some(r.gap.as_ref()?.average)), *most),
            Self::Ahead(least) => {
                let ahead = report.zip(of.control).and_then(|(run, control)| {
                    let won = versus("", run, control).is_some_and(|versus| versus.winner == 1);
                    Some(run.after.UA - control.after.UA).filter(|_| won)
                });
                short(ahead, *least)
            }
            Self::Back(least) => {
                let audit = report.and_then(|report| report.audit.as_ref());
                let curve = audit.and_then(|audit| audit.run.relearn.as_ref());
                short(curve.and_then(|curve| curve.accuracy.last().copied()), *least)
            }
        }
    }
}

/// The percentage of a share of the pictures.
fn share(forget: &str) -> Option<f64> {
    ForgetKind::split(forget)?.1.strip_suffix('%')?.parse().ok()
}

/// How much of what is drawn for the forgotten class is seen as another, in percent of its tiles.
fn shows(of: &Subject, class: &str) -> Option<f64> {
    let place = |name: &str| of.classes.iter().position(|own| own == name);
    let (grid, shown) = (of.after?, place(class)?);
    let forgotten = place(ForgetKind::Class.value(&of.recipe.forget)?)?;
    let row = grid.rows.iter().position(|row| *row == Some(forgotten))?;
    let seen =
        (0..grid.columns).filter(|column| grid.seen_in(row, *column).is_some_and(|s| s.0 == shown));
    Some(100.0 * seen.count() as f64 / grid.columns.max(1) as f64)
}

fn other<T: PartialEq>(is: &T, wanted: &T, named: impl Fn(&T) -> String) -> Option<[String; 2]> {
    (is != wanted).then(|| [named(is), named(wanted)])
}

/// A value with a decimal; a dash where it is not known.
fn number(value: Option<f64>) -> String {
    value.filter(|v| !v.is_nan()).map_or("–".into(), |v| format!("{v:.1}"))
}

/// What is lacking of a value that is less than it has to be, or unknown.
fn short(is: Option<f64>, least: f64) -> Option<[String; 2]> {
    let met = is.is_some_and(|is| is >= least);
    (!met).then(|| [number(is), format!("{least}")])
}

/// The same of one that is more than it may be.
fn long(is: Option<f64>, most: f64) -> Option<[String; 2]> {
    let met = is.is_some_and(|is| is <= most);
    (!met).then(|| [number(is), format!("{most}")])
}

fn within(is: Option<f64>, [least, most]: [f64; 2], unit: f64) -> Option<[String; 2]> {
    let met = is.is_some_and(|is| (least..=most).contains(&(is * unit)));
    (!met).then(|| [number(is.map(|is| is * unit)), format!("{least}–{most}")])
}

#[cfg(test)]
mod tests;
