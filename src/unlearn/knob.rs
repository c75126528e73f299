//! The knobs of a method: what a recipe, a link or a slider may set, and to what.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Method;
use crate::error::{Error, Result};
use crate::words::Task;

/// How a knob's values are spread, and how a control for it looks.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum KnobKind {
    /// Real numbers, evenly.
    Real,
    /// Real numbers, evenly by their logarithm; the range may begin at 0.
    Log,
    /// Whole numbers.
    Whole,
    /// 0 for off, 1 for on.
    Switch,
    /// The number of one of these names.
    Choice(&'static [&'static str]),
}

/// One knob.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Knob {
    /// In a recipe, a link and on the command line.
    pub name: &'static str,
    /// For a person.
    pub title: &'static str,
    pub default: f64,
    /// Smallest and largest value.
    pub range: [f64; 2],
    pub kind: KnobKind,
    /// The task that it is for; both where absent.
    pub task: Option<Task>,
    /// What it is, in one line.
    pub what: &'static str,
}

impl Knob {
    const fn new(name: &'static str, default: f64, range: [f64; 2], kind: KnobKind) -> Self {
        Self { name, title: "", default, range, kind, task: None, what: "" }
    }

    /// A real number.
    pub const fn real(name: &'static str, default: f64, range: [f64; 2]) -> Self {
        Self::new(name, default, range, KnobKind::Real)
    }

    /// A real number that is set by powers.
    pub const fn log(name: &'static str, default: f64, range: [f64; 2]) -> Self {
        Self::new(name, default, range, KnobKind::Log)
    }

    /// A whole number.
    pub const fn whole(name: &'static str, default: f64, range: [f64; 2]) -> Self {
        Self::new(name, default, range, KnobKind::Whole)
    }

    /// A switch, off unless it is turned.
    pub const fn switch(name: &'static str) -> Self {
        Self::new(name, 0.0, [0.0, 1.0], KnobKind::Switch)
    }

    /// One of a few; the first unless another is chosen.
    pub const fn choice(name: &'static str, names: &'static [&'static str]) -> Self {
        Self::new(name, 0.0, [0.0, (names.len() - 1) as f64], KnobKind::Choice(names))
    }

    /// The same with its title, and what it is.
    pub const fn says(self, title: &'static str, what: &'static str) -> Self {
        Self { title, what, ..self }
    }

    /// The same for one task only.
    pub const fn only(self, task: Task) -> Self {
        Self { task: Some(task), ..self }
    }

    /// Whether it does something in a task.
    pub fn fits(&self, task: Task) -> bool {
        self.task.is_none_or(|own| own == task)
    }

    /// What is right for it, for a person.
    pub fn right(&self) -> String {
        let [least, most] = self.range;
        match self.kind {
            KnobKind::Real | KnobKind::Log => format!("a number from {least} to {most} is needed"),
            KnobKind::Whole => format!("a whole number from {least} to {most} is needed"),
            KnobKind::Switch => "on or off is needed".into(),
            KnobKind::Choice(names) => format!("one of {} is needed", names.join(", ")),
        }
    }

    /// Refuses a value that it cannot have.
    ///
    /// # Errors
    /// The knob is named, and what is right.
    pub fn check(&self, value: f64) -> Result<()> {
        let [least, most] = self.range;
        let whole = !matches!(self.kind, KnobKind::Real | KnobKind::Log);
        if (least..=most).contains(&value) && !(whole && value.fract() != 0.0) {
            return Ok(());
        }
        Err(Error::argument(self.name, value, self.right()))
    }

    /// A value as it is written: a number, `on` or `off`, or a name.
    ///
    /// # Errors
    /// It is none of these, or out of range.
    pub fn parse(&self, text: &str) -> Result<f64> {
        let named = match self.kind {
            KnobKind::Switch => ["off", "on"].iter().position(|name| *name == text),
            KnobKind::Choice(names) => names.iter().position(|name| *name == text),
            _ => None,
        };
        let value = match named {
            Some(index) => index as f64,
            None => text.parse().map_err(|_| Error::argument(self.name, text, self.right()))?,
        };
        self.check(value)?;
        Ok(value)
    }
}

/// Knobs of every method that trains a model of their tasks.
pub const TRAINING: &[Knob] = &[
    Knob::switch("cross-attention").only(Task::TextToImage).says(
        "Cross-attention only",
        "only the layers that read the prompt change; the density is a share of theirs",
    ),
    Knob::switch("freeze-bn").only(Task::Classify).says(
        "Freeze batch norm",
        "batch normalisation keeps its running statistics and uses them while training",
    ),
    Knob::switch("drift").says(
        "Frozen weights may drift",
        "legacy: the mask covers gradients only, so weight decay and momentum move frozen weights",
    ),
];

/// A method's knobs as a run has them set.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Knobs(BTreeMap<&'static str, f64>);

impl Knobs {
    /// A method's own settings for a task, changed by those of a recipe.
    ///
    /// # Errors
    /// The method has no such knob for the task, or a value is out of range.
    pub fn resolve(method: &Method, task: Task, set: &BTreeMap<String, f64>) -> Result<Self> {
        let own = || method.knobs().filter(|k| k.fits(task));
        for (name, value) in set {
            let knob = method.knob(name)?;
            let Some(knob) = own().find(|own| own.name == knob.name) else {
                let names = own().map(|k| k.name).collect::<Vec<_>>().join(", ");
                let has = if names.is_empty() { "none" } else { &names };
                let right = format!("{} has no such knob here; it has {has}", method.name);
                return Err(Error::argument("knob", name, right));
            };
            knob.check(*value)?;
        }
        Ok(Self(own().map(|k| (k.name, set.get(k.name).copied().unwrap_or(k.default))).collect()))
    }

    /// The value of a knob that the method declares; 0 of one that it does not.
    pub fn get(&self, name: &str) -> f64 {
        self.0.get(name).copied().unwrap_or(0.0)
    }

    /// Whether the method has it for this task.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// A whole number.
    pub fn count(&self, name: &str) -> usize {
        self.get(name) as usize
    }

    /// A switch.
    pub fn on(&self, name: &str) -> bool {
        self.get(name) != 0.0
    }

    /// All, by name.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, f64)> {
        self.0.iter().map(|(name, value)| (*name, *value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unlearn::METHODS;

    #[test]
    fn every_knob_accepts_its_default_and_says_what_is_right() {
        for knob in METHODS.iter().flat_map(Method::knobs) {
            knob.check(knob.default).unwrap();
            assert!(knob.title.starts_with(char::is_uppercase), "{}", knob.name);
            for wrong in [f64::NAN, f64::INFINITY, knob.range[0] - 1.0, knob.range[1] + 1.0] {
                let error = knob.check(wrong).unwrap_err().to_string();
                assert!(error.contains(knob.name) && !error.contains('\n'), "{error}");
            }
        }
    }

    #[test]
    fn values_are_read_by_number_and_by_name() {
        let switch = Knob::switch("drift");
        assert_eq!([switch.parse("on").unwrap(), switch.parse("0").unwrap()], [1.0, 0.0]);
        assert!(switch.parse("0.5").is_err() && switch.parse("yes").is_err());
        let choice = Knob::choice("form", &["a", "b"]);
        assert_eq!([choice.parse("b").unwrap(), choice.parse("0").unwrap()], [1.0, 0.0]);
        assert!(choice.parse("c").unwrap_err().to_string().contains("a, b"));
        let whole = Knob::whole("every", 5.0, [1.0, 9.0]);
        assert!(whole.parse("1.5").is_err() && whole.parse("-1").is_err());
    }

    #[test]
    fn no_method_has_two_knobs_of_one_name_for_a_task() {
        for method in METHODS {
            for task in method.tasks() {
                let mut names: Vec<_> =
                    method.knobs().filter(|k| k.fits(task)).map(|k| k.name).collect();
                names.sort_unstable();
                let n = names.len();
                names.dedup();
                assert_eq!(names.len(), n, "{}: {names:?}", method.name);
            }
        }
    }
}
