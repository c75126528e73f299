//! The lesson that is being done, what was passed so far, and in which language.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{Goal, Language, Lesson, Shortfall, Standing, Subject, goal};
use crate::error::Result;
use crate::run::Link;
use crate::studio::heat::HeatMap;
use crate::studio::prelude::*;
use crate::studio::state::State;
use crate::studio::{Entry, spot};
use crate::words::LayerReport;

/// Under which name it is remembered what was passed.
const KEPT: &str = "lessons";

/// Everything about lessons in a window.
pub struct Lessons {
    /// The one that is being done.
    pub at: Option<&'static Lesson>,
    /// The latest run of its task when it began: later ones count.
    since: usize,
    /// How it stands, and whether it was passed since it began.
    pub standing: Standing,
    pub done: bool,
    /// Names of the lessons that were passed.
    pub passed: BTreeSet<String>,
    pub language: &'static Language,
    /// Whether it was looked up what is remembered.
    recalled: bool,
}

impl Default for Lessons {
    fn default() -> Self {
        Self {
            at: None,
            since: 0,
            standing: Standing::Waits,
            done: false,
            passed: BTreeSet::new(),
            language: Language::of(""),
            recalled: false,
        }
    }
}

/// What is remembered from one sitting to the next.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Kept {
    passed: BTreeSet<String>,
    /// The language that was chosen, if one was.
    language: Option<String>,
}

/// The lessons of a studio, with what is remembered of earlier sittings.
pub fn known(studio: &mut Studio) -> &mut Lessons {
    let lessons = studio.own.of::<Lessons>();
    if !lessons.recalled {
        lessons.recalled = true;
        let kept = studio.saver.keeper.setting(KEPT);
        let kept: Kept = kept.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
        lessons.passed = kept.passed;
        let language = kept.language.or(studio.host.language.clone());
        lessons.language = Language::of(&language.unwrap_or_default());
    }
    lessons
}

/// Remembers what was passed, and the language.
fn remember(studio: &mut Studio) {
    let lessons = known(studio);
    let language = Some(lessons.language.code.to_string());
    let kept = Kept { passed: lessons.passed.clone(), language };
    let text = serde_json::to_string(&kept).unwrap_or_default();
    studio.saver.keeper.keep_setting(KEPT, &text);
}

/// Speaks another language from now on.
pub fn speak(studio: &mut Studio, language: &'static Language) {
    known(studio).language = language;
    remember(studio);
}

/// Forgets what was passed.
pub fn pass_over(studio: &mut Studio) {
    let lessons = known(studio);
    lessons.passed.clear();
    lessons.done = false;
    remember(studio);
}

/// Does what a link asks for, with its lesson and without the pieces that it leaves out.
///
/// # Errors
/// There is no such model or lesson.
pub fn follow(studio: &mut Studio, link: Link) -> Result<()> {
    let lesson = match &*link.lesson {
        "" => None,
        name => Some(Lesson::find(name)?),
    };
    let hide = link.hide.clone();
    match lesson {
        None => {
            studio.state.follow(link)?;
            known(studio).at = None;
        }
        Some(lesson) => {
            let link = if link.leaves_to_lesson() { lesson.start.clone() } else { link };
            begin(studio, lesson, link)?;
        }
    }
    studio.state.hidden = hide;
    Ok(())
}

/// Begins a lesson with a request.
///
/// # Errors
/// There is no such model.
pub fn begin(studio: &mut Studio, lesson: &'static Lesson, link: Link) -> Result<()> {
    studio.state.follow(link)?;
    studio.view = &crate::studio::views::compare::VIEW;
    studio.show_spot(lesson.spot);
    let since = studio.state.session().history.entries.last().map_or(0, |entry| entry.number);
    let lessons = known(studio);
    (lessons.at, lessons.since) = (Some(lesson), since);
    (lessons.standing, lessons.done) = (Standing::Waits, false);
    Ok(())
}

/// Puts the lesson away; what was passed stays.
pub fn leave(studio: &mut Studio) {
    known(studio).at = None;
}

/// The request as a link, with the lesson that is being done and what is left out.
pub fn link(studio: &Studio) -> Link {
    let at = studio.own.known::<Lessons>().and_then(|lessons| lessons.at);
    let lesson = at.map_or_else(String::new, |lesson| lesson.name.clone());
    Link { lesson, hide: studio.state.hidden.clone(), ..studio.state.session().link() }
}

/// Looks whether the lesson is passed by now, and has the control that it is about show its formula.
pub fn attend(studio: &mut Studio, ctx: &Context) {
    let Lessons { at, since, done, .. } = *known(studio);
    spot::teach(ctx, at);
    let Some(lesson) = at else { return };
    let Studio { own, state, .. } = &*studio;
    let open = own.known::<HeatMap>().and_then(|heat| heat.layer);
    let standing = standing(&lesson.goal, lesson, state, open, since);
    let passed = standing == Standing::Passed;
    let lessons = known(studio);
    lessons.standing = standing;
    if passed && !done {
        lessons.done = true;
        lessons.passed.insert(lesson.name.clone());
        remember(studio);
    }
}

/// How a lesson stands. `open`: the layer that is open; `since`: the latest run that does not count.
fn standing(
    goal: &Goal,
    lesson: &Lesson,
    state: &State,
    open: Option<usize>,
    since: usize,
) -> Standing {
    if state.task != lesson.task {
        let [is, wanted] = [state.task, lesson.task].map(|task| tasks::of(task).title.to_string());
        return Standing::Missing(Shortfall { key: goal::TASK, is, wanted });
    }
    let session = state.session();
    let classes = session.opened.as_ref().map_or([].as_slice(), |opened| &opened.classes);
    let recipe = session.recipe();
    let layers = session.saliency.as_ref().filter(|s| s.whole).map_or([].as_slice(), |s| &s.layers);
    let name = |layer: Option<usize>| layer.and_then(|at| Some(&*layers.get(at)?.name));
    let layer = [name(open), name(densest(layers))];
    let request = recipe.as_ref().map(|recipe| Subject {
        recipe,
        classes,
        layer,
        report: None,
        control: None,
        after: None,
    });
    let entries = session.history.entries.iter().filter(|entry| entry.number > since);
    let runs: Vec<Subject> = entries.map(|entry| subject(entry, classes)).collect();
    goal.judge(&lesson.start.recipe.model, request, &runs)
}

/// A finished run and what came of it; an audit is in the run, as long as that is kept.
fn subject<'a>(entry: &'a Entry, classes: &'a [String]) -> Subject<'a> {
    let run = |arm: Arm| entry.kept.as_ref()?.attempts[arm as usize].as_ref()?.run.as_ref();
    let report =
        |arm: Arm| run(arm).map(|run| &run.report).or(entry.reports[arm as usize].as_ref());
    Subject {
        recipe: &entry.recipe,
        classes: entry.kept.as_ref().map_or(classes, |kept| &kept.opened.classes),
        layer: [None; 2],
        report: report(Arm::Method),
        control: report(Arm::Control),
        after: run(Arm::Method).map(|run| &*run.after),
    }
}

/// The layer of which the largest share is free, biases and norms left out.
fn densest(layers: &[LayerReport]) -> Option<usize> {
    let share = |at: &usize| layers[*at].kept as f64 / layers[*at].n.max(1) as f64;
    let weights = (0..layers.len()).filter(|at| layers[*at].shape.len() > 1);
    weights.max_by(|a, b| share(a).total_cmp(&share(b)))
}
