//! The rows of the tables.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::rates::RateKey;
use super::{Group, Scale, rates};
use crate::data::fashion;
use crate::unlearn::registry;
use crate::words::{Estimator, Task};

/// The method of the rows that others are compared with: trained without the forget set.
pub const RETRAIN: &str = "retrain";
/// The method of the rows that change nothing.
pub const ORIGINAL: &str = "noop";

/// One row: a method and its settings.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Row {
    pub label: String,
    pub method: String,
    /// Absent: the method's own.
    pub mask: Option<Estimator>,
    pub density: f64,
    /// Where a table varies a number: that number.
    pub at: Option<f64>,
    pub lr: Option<f64>,
    pub epochs: Option<usize>,
    pub steps: Option<usize>,
    pub knobs: BTreeMap<String, f64>,
}

impl Row {
    fn new(method: &str) -> Self {
        let title = match method {
            RETRAIN => "Retrain",
            ORIGINAL => "Original",
            _ => registry::find(method).map_or(method, |m| m.title),
        };
        Self { label: title.into(), method: method.into(), density: 0.5, ..Self::default() }
    }

    /// The method as a table sets it for a forget set.
    fn tuned(method: &str, scale: Scale, forget: &str) -> Self {
        let mut row = Self::new(method);
        for (knob, value) in rates::chosen(scale, RateKey::of(forget), method) {
            row = row.with(knob, value);
        }
        row
    }

    fn masked(self, mask: Estimator) -> Self {
        let words = match mask {
            Estimator::None => "no mask".into(),
            other => format!("{} mask", other.name()),
        };
        Self { label: format!("{}, {words}", self.label), mask: Some(mask), ..self }
    }

    fn at(self, at: f64) -> Self {
        Self { at: Some(at), ..self }
    }

    /// The row with a knob set.
    fn with(mut self, knob: &str, value: f64) -> Self {
        match knob {
            "lr" => self.lr = Some(value),
            "epochs" => self.epochs = Some(value as usize),
            "steps" => self.steps = Some(value as usize),
            "density" => self.density = value,
            _ => drop(self.knobs.insert(knob.to_string(), value)),
        }
        self
    }

    /// What the row's mask ranks weights by.
    pub fn estimator(&self) -> Estimator {
        let own = || registry::find(&self.method).map_or(Estimator::None, |m| m.mask);
        self.mask.unwrap_or_else(own)
    }

    /// Whether the row is a loop of updates.
    fn trains(&self, task: Task) -> bool {
        registry::find(&self.method).is_ok_and(|method| method.trains(task))
    }

    /// Whether the row's mask claims to know which weights matter.
    pub fn saliency(&self) -> bool {
        !matches!(self.estimator(), Estimator::None | Estimator::Random)
    }

    /// Whether a person means this row: by method or by label, in any case.
    pub fn is(&self, name: &str) -> bool {
        self.method.eq_ignore_ascii_case(name) || self.label.eq_ignore_ascii_case(name)
    }

    /// The settings that are not the method's own, in words.
    pub fn settings(&self) -> String {
        let lr = self.lr.map(|lr| format!("lr {lr}"));
        let epochs = self.epochs.map(|n| format!("{n} epochs"));
        let steps = self.steps.map(|n| format!("{n} steps"));
        let knobs = self.knobs.iter().map(|(name, value)| format!("{name} {value}"));
        let masked = self.estimator() != Estimator::None;
        let density = masked.then(|| format!("density {}", self.density));
        let parts = lr.into_iter().chain(epochs).chain(steps).chain(knobs).chain(density);
        parts.collect::<Vec<_>>().join(", ")
    }
}

impl Group {
    /// The row that does the same under a random mask of the same size.
    pub fn control(&self, row: &Row) -> Option<&Row> {
        self.rows.iter().find(|other| {
            row.saliency()
                && other.estimator() == Estimator::Random
                && (&other.method, other.density, other.at) == (&row.method, row.density, row.at)
        })
    }

    fn new(title: &str, forgets: &[impl ToString], rows: Vec<Row>) -> Self {
        let forgets = forgets.iter().map(ToString::to_string).collect();
        Self { title: title.into(), forgets, rows }
    }
}

/// Retrain and the unchanged original: the two ends of every comparison.
fn ends() -> Vec<Row> {
    vec![Row::new(RETRAIN), Row::new(ORIGINAL)]
}

/// SalUn and what it must beat.
fn salun(scale: Scale, forget: &str) -> [Row; 2] {
    let salun = Row::tuned("salun", scale, forget);
    [salun.clone(), salun.masked(Estimator::Random)]
}

/// Methods beside SalUn that are compared on any forget set of a classifier, in the paper's order
/// and then by year.
const METHODS: &str = "ft rl ga iu be bs l1-sparse salun-soft neggrad-plus bad-teacher scrub ssd \
                       sfr-on munba delete";

/// SalUn, its control and other methods, as a table sets them for a forget set.
fn tuned(scale: Scale, forget: &str, methods: &str) -> impl Iterator<Item = Row> {
    let others = methods.split(' ').map(|m| Row::tuned(m, scale, forget));
    salun(scale, forget).into_iter().chain(others.collect::<Vec<_>>())
}

fn compared(scale: Scale, forget: &str) -> Vec<Row> {
    ends().into_iter().chain(tuned(scale, forget, METHODS)).collect()
}

/// The unchanged original, SalUn, its control and other methods of a diffusion model.
fn plain(methods: &str) -> Vec<Row> {
    let salun = Row::new("salun");
    let first = [Row::new(ORIGINAL), salun.clone(), salun.masked(Estimator::Random)];
    first.into_iter().chain(methods.split(' ').map(Row::new)).collect()
}

/// Table 1.
pub fn random(scale: Scale) -> Vec<Group> {
    let group = |share: u8| {
        let forget = format!("random:{share}%");
        Group::new(&format!("Random {share} %"), &[&forget], compared(scale, &forget))
    };
    [10, 50].map(group).to_vec()
}

/// Classes to forget: at the small scale one that is alone, one in a family and one that others are
/// mistaken for; `all` at the paper's.
fn some_classes(scale: Scale, all: &[&str]) -> Vec<String> {
    let classes: &[&str] = match scale {
        Scale::Tiny => &["Sneaker"],
        Scale::Small => &["Bag", "Sneaker", "Shirt"],
        Scale::Paper => all,
    };
    classes.iter().map(|class| format!("class:{class}")).collect()
}

/// Class-wise.
pub fn classes(scale: Scale) -> Vec<Group> {
    let forgets = some_classes(scale, &["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]);
    let rows = compared(scale, &forgets[0]);
    vec![Group::new("One class", &forgets, rows)]
}

/// Densities from a tenth to all weights, beside a random mask of each.
pub fn densities(scale: Scale) -> Vec<Group> {
    let forget = "random:10%";
    let tenths = (1..=10).map(|tenth| f64::from(tenth) / 10.0);
    let each = tenths.flat_map(|density| {
        salun(scale, forget).map(|row| row.with("density", density).at(density))
    });
    let rows = ends().into_iter().chain(each).collect();
    vec![Group::new("Random 10 %", &[forget], rows)]
}

/// Shares of pictures from a tenth to a half.
pub fn ratios(scale: Scale) -> Vec<Group> {
    let group = |share: f64| {
        let forget = format!("random:{share}%");
        let rows = ends().into_iter().chain(tuned(scale, &forget, "ft rl ga iu l1-sparse"));
        let rows = rows.map(|row| row.at(share)).collect();
        Group::new(&format!("Random {share} %"), &[&forget], rows)
    };
    [10.0, 20.0, 30.0, 40.0, 50.0].map(group).to_vec()
}

/// Influence unlearning over its step size, with and without a mask (the paper's Fig. 1b).
pub fn influence(scale: Scale) -> Vec<Group> {
    let mut rows = ends();
    for mask in [Estimator::None, Estimator::AbsSumGrad, Estimator::Random] {
        let row = Row::new("iu").masked(mask);
        let alphas = rates::alphas(scale).iter();
        rows.extend(alphas.map(|&alpha| row.clone().with("alpha", alpha).at(alpha)));
    }
    vec![Group::new("Random 10 %", &["random:10%"], rows)]
}

/// SalUn's updates under every mask.
pub fn estimators(scale: Scale) -> Vec<Group> {
    let group = |title: &str, forget: &str| {
        let salun = Row::tuned("salun", scale, forget);
        let masks = Estimator::ALL.iter().map(|&mask| salun.clone().masked(mask));
        Group::new(title, &[forget], ends().into_iter().chain(masks).collect())
    };
    vec![group("Random 10 %", "random:10%"), group("Class Sneaker", "class:Sneaker")]
}

/// The diffusion model.
pub fn generations(scale: Scale) -> Vec<Group> {
    let forgets = some_classes(scale, &fashion::CLASSES);
    vec![Group::new("One class", &forgets, plain("rl ft ga l1-sparse salun-soft esd"))]
}

/// Prompts, in the manner of UnlearnCanvas (Zhang et al. 2024): concepts, and styles.
pub fn prompts(scale: Scale) -> Vec<Group> {
    let (concepts, styles, steps): (&[&str], &[&str], _) = match scale {
        Scale::Tiny => (&["a cat"], &[], Some(2)),
        Scale::Small => (&["a cat", "a pizza"], &["mono style", "3d style"], Some(80)),
        Scale::Paper => (
            &["a cat", "a fish", "a mushroom", "an apple", "a pizza"],
            &["3d style", "flat style", "mono style", "noto style", "blob style"],
            None,
        ),
    };
    let mut rows = plain("salun-soft rl ga ft esd uce");
    for row in rows.iter_mut().filter(|row| row.trains(Task::TextToImage)) {
        row.steps = steps;
    }
    let group = |title: &str, names: &[&str]| {
        let forgets: Vec<String> = names.iter().map(|name| format!("prompt:{name}")).collect();
        Group::new(title, &forgets, rows.clone())
    };
    let groups = [group("A concept", concepts), group("A style", styles)];
    groups.into_iter().filter(|group| !group.forgets.is_empty()).collect()
}

/// Every method over the grid of its setting, on a tenth of the pictures, on half of them and on a
/// class that no other table forgets.
pub fn search(scale: Scale) -> Vec<Group> {
    let group = |title: &str, forget: &str| {
        let over = |row: Row| {
            let (knob, values) = rates::grid(RateKey::of(forget), &row.method);
            values.iter().map(move |&v| row.clone().with(knob, v).at(v))
        };
        let rows = ends().into_iter().chain(tuned(scale, forget, METHODS).flat_map(over));
        Group::new(title, &[forget], rows.collect())
    };
    vec![
        group("Random 10 %", "random:10%"),
        group("Random 50 %", "random:50%"),
        group("One class", "class:Coat"),
    ]
}
