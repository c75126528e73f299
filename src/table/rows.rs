//! The rows of the tables.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    Group,
    protocol::Scale,
    rates::{self, RateKey},
};
use crate::{
    data::fashion,
    unlearn::registry,
    words::{estimator::Estimator, task::Task},
};

/// The method of the rows that others are compared with: trained without the forget set.
pub const RETRAIN: &str = "retrain";
/// The method of the rows that change nothing.
pub const ORIGINAL: &str = "noop";

/// One row: a method and its settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
        Self {
            label: title.into(),
            method: method.into(),
            mask: None,
            density: 0.5,
            at: None,
            lr: None,
            epochs: None,
            steps: None,
            knobs: BTreeMap::new(),
        }
    }

    /// The method as a table sets it for a forget set.
    fn tuned(method: &str, scale: Scale, forget: &str) -> Self {
        let mut row = Self::new(method);
        for &(knob, value) in rates::chosen(scale, RateKey::of(forget), method) {
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
        let density = self.saliency() || self.estimator() == Estimator::Random;
        let density = density.then(|| format!("density {}", self.density));
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

    fn new(title: &str, forgets: &[&str], rows: Vec<Row>) -> Self {
        let forgets = forgets.iter().map(|f| f.to_string()).collect();
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
const METHODS: [&str; 15] = [
    "ft",
    "rl",
    "ga",
    "iu",
    "be",
    "bs",
    "l1-sparse",
    "salun-soft",
    "neggrad-plus",
    "bad-teacher",
    "scrub",
    "ssd",
    "sfr-on",
    "munba",
    "delete",
];

fn compared(scale: Scale, forget: &str) -> Vec<Row> {
    let others = METHODS.into_iter().filter(|m| registry::find(m).is_ok());
    ends()
        .into_iter()
        .chain(salun(scale, forget))
        .chain(others.map(|m| Row::tuned(m, scale, forget)))
        .collect()
}

/// Table 1.
pub fn random(scale: Scale) -> Vec<Group> {
    let group = |share: u8| {
        let forget = format!("random:{share}%");
        Group::new(&format!("Random {share} %"), &[&forget], compared(scale, &forget))
    };
    [10, 50].map(group).to_vec()
}

/// Class-wise: at the small scale a class that is alone, one in a family and one that others are
/// mistaken for; every class at the paper's.
pub fn classes(scale: Scale) -> Vec<Group> {
    let every: Vec<String> = (0..10).map(|c| format!("class:{c}")).collect();
    let forgets = match scale {
        Scale::Tiny => vec!["class:Sneaker"],
        Scale::Small => vec!["class:Bag", "class:Sneaker", "class:Shirt"],
        Scale::Paper => every.iter().map(String::as_str).collect(),
    };
    vec![Group::new("One class", &forgets, compared(scale, forgets[0]))]
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
        let others = ["ft", "rl", "ga", "iu", "l1-sparse"];
        let others = others.into_iter().filter(|m| registry::find(m).is_ok());
        let rows = ends()
            .into_iter()
            .chain(salun(scale, &forget))
            .chain(others.map(|m| Row::tuned(m, scale, &forget)))
            .map(|row| row.at(share));
        Group::new(&format!("Random {share} %"), &[&forget], rows.collect())
    };
    [10.0, 20.0, 30.0, 40.0, 50.0].map(group).to_vec()
}

/// Influence unlearning over its step size, with and without a mask (the paper's Fig. 1b).
pub fn influence(scale: Scale) -> Vec<Group> {
    let forget = "random:10%";
    let mut rows = ends();
    if registry::find("iu").is_ok() {
        let masks = [Estimator::None, Estimator::AbsSumGrad, Estimator::Random];
        for mask in masks {
            let row = Row::new("iu").masked(mask);
            let alphas = rates::alphas(scale).iter();
            rows.extend(alphas.map(|&alpha| row.clone().with("alpha", alpha).at(alpha)));
        }
    }
    vec![Group::new("Random 10 %", &[forget], rows)]
}

/// SalUn's updates under every mask.
pub fn estimators(scale: Scale) -> Vec<Group> {
    let group = |title: &str, forget: &str| {
        let salun = Row::tuned("salun", scale, forget);
        let masks = Estimator::ALL.map(|mask| salun.clone().masked(mask));
        Group::new(title, &[forget], ends().into_iter().chain(masks).collect())
    };
    vec![group("Random 10 %", "random:10%"), group("Class Sneaker", "class:Sneaker")]
}

/// The diffusion model: every class at the paper's scale, three at the small one.
pub fn generations(scale: Scale) -> Vec<Group> {
    let classes: Vec<&str> = match scale {
        Scale::Tiny => vec!["Sneaker"],
        Scale::Small => vec!["Bag", "Sneaker", "Shirt"],
        Scale::Paper => fashion::CLASSES.to_vec(),
    };
    let forgets: Vec<String> = classes.iter().map(|class| format!("class:{class}")).collect();
    let forgets: Vec<&str> = forgets.iter().map(String::as_str).collect();
    let others = ["rl", "ft", "ga", "l1-sparse", "salun-soft", "esd"];
    let makes = |m: &&str| registry::find(m).is_ok_and(|m| m.treats(Task::Generate).is_some());
    let salun = Row::new("salun");
    let rows = [Row::new(ORIGINAL)]
        .into_iter()
        .chain([salun.clone(), salun.masked(Estimator::Random)])
        .chain(others.into_iter().filter(makes).map(Row::new))
        .collect();
    vec![Group::new("One class", &forgets, rows)]
}

/// Prompts, in the manner of UnlearnCanvas (Zhang et al. 2024): concepts, and styles.
pub fn prompts(scale: Scale) -> Vec<Group> {
    let (concepts, styles): (&[&str], &[&str]) = match scale {
        Scale::Tiny => (&["a cat"], &[]),
        Scale::Small => (&["a cat", "a pizza"], &["mono style", "3d style"]),
        Scale::Paper => (
            &["a cat", "a fish", "a mushroom", "an apple", "a pizza"],
            &["3d style", "flat style", "mono style", "noto style", "blob style"],
        ),
    };
    let steps = match scale {
        Scale::Tiny => Some(2),
        Scale::Small => Some(80),
        Scale::Paper => None,
    };
    let salun = Row::new("salun");
    let others = ["salun-soft", "rl", "ga", "ft", "esd", "uce"];
    let rows: Vec<Row> = [Row::new(ORIGINAL), salun.clone(), salun.masked(Estimator::Random)]
        .into_iter()
        .chain(others.map(Row::new))
        .map(|row| Row { steps: steps.filter(|_| row.trains(Task::TextToImage)), ..row })
        .collect();
    let group = |title: &str, names: &[&str]| {
        let forgets: Vec<String> = names.iter().map(|name| format!("prompt:{name}")).collect();
        let forgets: Vec<&str> = forgets.iter().map(String::as_str).collect();
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
        let others = METHODS.into_iter().filter(|m| registry::find(m).is_ok());
        let rows =
            salun(scale, forget).into_iter().chain(others.map(|m| Row::tuned(m, scale, forget)));
        Group::new(title, &[forget], ends().into_iter().chain(rows.flat_map(over)).collect())
    };
    vec![
        group("Random 10 %", "random:10%"),
        group("Random 50 %", "random:50%"),
        group("One class", "class:Coat"),
    ]
}
