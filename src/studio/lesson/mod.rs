//! Lessons: each a sentence, a formula beside the control that it is about, and something to do, of which the
//! studio sees by itself whether it is done.
//!
//! What a lesson is stands in `assets/lessons/lessons.toml`, what it says in a file for each language beside it.

mod bar;
mod goal;
mod sitting;
mod text;

pub use bar::{bar_ui, begin_ui, is_at, ring_ui, tick_ui};
pub use goal::{Condition, Goal, OTHERS, Shortfall, Standing, Subject};
pub use sitting::{Lessons, attend, begin, follow, known, leave, link, pass_over, speak};
pub use text::{Language, Text, Words};

use std::sync::OnceLock;

use serde::Deserialize;

use super::Spot;
use super::formula::Formula;
use crate::error::{Error, Result};
use crate::models::registry;
use crate::run::Link;
use crate::words::Task;

/// What every lesson is, in the order in which they are meant to be taken.
const FILE: &str = include_str!("../../../assets/lessons/lessons.toml");

/// A lesson.
#[derive(Debug)]
pub struct Lesson {
    /// Its name in links and in the files of texts.
    pub name: String,
    /// Its place, counted from 1.
    pub number: usize,
    /// What is asked for when it begins.
    pub start: Link,
    /// The task that it is about.
    pub task: Task,
    /// The control that it is about.
    pub spot: Spot,
    pub formula: Formula,
    pub goal: Goal,
}

/// The file of the lessons.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    lesson: Vec<Written>,
}

/// A lesson as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    start: String,
    spot: Spot,
    formula: String,
    goal: Goal,
}

impl Lesson {
    /// Every lesson, in order.
    pub fn all() -> &'static [Self] {
        static READ: OnceLock<Vec<Lesson>> = OnceLock::new();
        READ.get_or_init(|| Self::read(FILE).expect("a test reads the file"))
    }

    fn read(text: &str) -> Result<Vec<Self>> {
        let file: File = toml::from_str(text).map_err(|e| Error::Request(e.to_string()))?;
        let lesson = |(place, written): (usize, Written)| {
            let Written { name, start, spot, formula, goal } = written;
            let start = Link::parse(&start)?;
            let model = &start.recipe.model;
            let shipped = registry::shipped(model);
            let task = shipped.ok_or_else(|| Error::unknown("model", model, []))?.task;
            let formula = Formula::parse(&formula)?;
            Ok(Self { name, number: place + 1, start, task, spot, formula, goal })
        };
        file.lesson.into_iter().enumerate().map(lesson).collect()
    }

    /// The lesson of a name or a number.
    ///
    /// # Errors
    /// There is none.
    pub fn find(name: &str) -> Result<&'static Self> {
        let is_it = |lesson: &&Self| lesson.name == name || lesson.number.to_string() == name;
        let names = || Self::all().iter().map(|lesson| &*lesson.name);
        Self::all().iter().find(is_it).ok_or_else(|| Error::unknown("lesson", name, names()))
    }

    /// The one after it.
    pub fn next(&self) -> Option<&'static Self> {
        Self::all().get(self.number)
    }
}

impl PartialEq for Lesson {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}
