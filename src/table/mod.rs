//! Whole tables: every method with its controls, over seeds, with the gap to Retrain
//! (the paper's Table 1 and figures).
//!
//! A table is data: a [`Protocol`], and groups of [`Row`]s that share a forget set. A client runs
//! its [`Run`]s one by one, keeps a [`cell::Cell`] of each, and asks [`compare`] what they say.

mod cell;
#[cfg(not(target_arch = "wasm32"))]
mod chart;
pub mod compare;
#[cfg(not(target_arch = "wasm32"))]
pub mod folder;
pub mod map;
mod mark;
mod notes;
mod place;
mod protocol;
mod published;
mod rates;
mod rows;
mod sample;
mod summary;
#[cfg(not(target_arch = "wasm32"))]
mod text;

pub use cell::{Cell, Cells, Numbers, Outcome};
#[cfg(not(target_arch = "wasm32"))]
pub use folder::Folder;
pub use map::Pair;
pub use place::places;
pub use protocol::{Original, Scale};
pub use rows::{ORIGINAL, RETRAIN, Row};
pub use summary::{Compared, Line, Mark, SCHEMA, Summary, Value, Versus};

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::error::{Error, Result};
use crate::words::{Recipe, sha256};
use protocol::Protocol;

/// What a figure of a table shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Chart {
    /// Average gap of every row.
    Bars,
    /// Average gap over what the table varies, a line for each method.
    Gap,
    /// UA over what the table varies, a line for each method, and its spread.
    Ua,
}

/// What a table varies from row to row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Axis {
    pub title: String,
    /// Whether equal factors are equal steps in the figure.
    pub log: bool,
}

/// Rows that are compared with each other, because they forget the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Group {
    pub title: String,
    /// Forget sets that a row's numbers are averaged over.
    pub forgets: Vec<String>,
    pub rows: Vec<Row>,
}

/// A table before it is run: everything that fixes its numbers, but the seeds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Table {
    pub name: String,
    pub title: String,
    pub protocol: Protocol,
    pub groups: Vec<Group>,
    /// What [`Row::at`] counts.
    pub axis: Option<Axis>,
    pub chart: Chart,
    /// Added to every seed: a search uses seeds that no table reports.
    #[serde(default)]
    pub first_seed: u64,
}

/// One measurement of a table: a row on a forget set with a seed.
#[derive(Debug, Clone, PartialEq)]
pub struct Run<'a> {
    pub row: &'a Row,
    pub forget: &'a str,
    pub seed: u64,
}

/// The tables: name and title.
pub const TABLES: [(&str, &str); 9] = [
    ("table1", "Random data forgetting, 10 % and 50 %"),
    ("classwise", "Forgetting a class"),
    ("density", "The share of weights that may change"),
    ("ratio", "The share of pictures to forget"),
    ("iu-alpha", "Influence unlearning over its step size, with and without a mask"),
    ("estimators", "SalUn under every mask"),
    ("ddpm-classwise", "A diffusion model forgets a class"),
    ("prompts", "A text-to-image model forgets a concept, or a style"),
    ("search", "Learning rates, on a seed that no other table reports"),
];

impl Table {
    /// A table by name.
    ///
    /// # Errors
    /// The name is unknown.
    pub fn new(name: &str, scale: Scale) -> Result<Self> {
        let known = TABLES.into_iter().find(|(known, _)| *known == name);
        let unknown = || Error::unknown("table", name, TABLES.map(|(name, _)| name));
        let (name, title) = known.ok_or_else(unknown)?;
        let axis = |title: &str, log| Some(Axis { title: title.into(), log });
        let (groups, axis, chart) = match name {
            "table1" => (rows::random(scale), None, Chart::Bars),
            "classwise" => (rows::classes(scale), None, Chart::Bars),
            "density" => (rows::densities(scale), axis("density", false), Chart::Gap),
            "ratio" => (rows::ratios(scale), axis("% forgotten", false), Chart::Gap),
            "iu-alpha" => (rows::influence(scale), axis("alpha", true), Chart::Ua),
            "estimators" => (rows::estimators(scale), None, Chart::Bars),
            "search" => (rows::search(scale), axis("setting", true), Chart::Gap),
            "prompts" => (rows::prompts(scale), None, Chart::Bars),
            _ => (rows::generations(scale), None, Chart::Bars),
        };
        let protocol = match name {
            "ddpm-classwise" => Protocol::generate(scale),
            "prompts" => Protocol::prompts(scale),
            _ => Protocol::classify(scale),
        };
        let first_seed = if name == "search" { SEARCHED } else { 0 };
        let (name, title) = (name.to_string(), title.to_string());
        Ok(Self { name, title, protocol, groups, axis, chart, first_seed })
    }

    /// SHA-256 over the table and the program's version: numbers with equal hashes may stand in one
    /// table.
    pub fn hash(&self) -> String {
        let text = serde_json::to_string(self).unwrap_or_default();
        sha256(format!("{}\n{text}", env!("CARGO_PKG_VERSION")))
    }

    /// The measurements of `seeds` seeds: seed by seed, on a forget set first what others are
    /// compared with.
    pub fn runs(&self, seeds: u64) -> Vec<Run<'_>> {
        let mut runs = Vec::new();
        for seed in self.seeds(seeds) {
            for group in &self.groups {
                let mut order: Vec<&Row> = group.rows.iter().collect();
                order.sort_by_key(|row| row.method != RETRAIN);
                for forget in &group.forgets {
                    runs.extend(order.iter().map(|&row| Run { row, forget, seed }));
                }
            }
        }
        runs
    }

    /// Its first `n` seeds.
    pub fn seeds(&self, n: u64) -> RangeInclusive<u64> {
        self.first_seed + 1..=self.first_seed + n
    }

    /// Only the rows that are named by method or label, beside Retrain, which gaps are taken to.
    /// A name that is no row's is a list of names with commas.
    ///
    /// # Errors
    /// A name fits no row.
    pub fn only(&self, names: &[String]) -> Result<Vec<&Row>> {
        let rows = || self.groups.iter().flat_map(|g| &g.rows);
        let known = |name: &str| rows().any(|row| row.is(name));
        let mut wanted: Vec<&str> = Vec::new();
        for given in names {
            match known(given) {
                true => wanted.push(given),
                false => wanted.extend(given.split(',').map(str::trim)),
            }
        }
        if let Some(name) = wanted.iter().find(|name| !known(name)) {
            let methods: BTreeSet<&str> = rows().map(|row| row.method.as_str()).collect();
            return Err(Error::unknown("row", name, methods));
        }
        let fits = |row: &&Row| {
            row.method == RETRAIN || wanted.is_empty() || wanted.iter().any(|n| row.is(n))
        };
        Ok(rows().filter(fits).collect())
    }
}

impl Run<'_> {
    /// A name for its file, unique in its table.
    pub fn name(&self) -> String {
        let at = self.row.at.map(|at| format!("-{at}")).unwrap_or_default();
        slug(&format!("{}-{}{at}-seed-{}", self.forget, self.row.label, self.seed))
    }

    /// For a person.
    pub fn title(&self) -> String {
        let at = self.row.at.map(|at| format!(" {at}")).unwrap_or_default();
        format!("{}{at}, {}, seed {}", self.row.label, self.forget, self.seed)
    }

    /// What the engine is asked for; `model` names the original.
    pub fn recipe(&self, protocol: &Protocol, model: &str) -> Recipe {
        let row = self.row;
        Recipe {
            method: row.method.clone(),
            mask: row.mask,
            density: row.density,
            lr: row.lr,
            epochs: row.epochs.or(protocol.epochs),
            steps: row.steps,
            batch: protocol.batch,
            knobs: row.knobs.clone(),
            budget: protocol.budget,
            seed: self.seed,
            // A table has no room for what an audit finds.
            audit: Some(false),
            ..Recipe::new(model, &protocol.data, self.forget)
        }
        .fitting(protocol.task)
    }
}

/// Seeds up to here are for reports.
const SEARCHED: u64 = 1000;

/// The rows of a sheet that comes with the program: CSV without a head, with remarks behind `#`.
fn sheet<T: DeserializeOwned>(text: &str) -> Vec<T> {
    let mut form = csv::ReaderBuilder::new();
    let mut reader = form.has_headers(false).comment(Some(b'#')).from_reader(text.as_bytes());
    let rows: std::result::Result<_, _> = reader.deserialize().collect();
    rows.expect("a sheet of the program is whole: tests read every one")
}

/// A name in characters that any file system takes.
pub fn slug(name: &str) -> String {
    let safe = |c: char| match c {
        '.' => c,
        c if c.is_ascii_alphanumeric() => c.to_ascii_lowercase(),
        _ => '-',
    };
    let mut text: String = name.chars().map(safe).collect();
    while text.contains("--") {
        text = text.replace("--", "-");
    }
    text.chars().take(120).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::unlearn::registry;

    #[test]
    fn every_table_has_rows_of_known_methods_and_its_controls() {
        for (name, _) in TABLES {
            for scale in [Scale::Small, Scale::Paper] {
                let table = Table::new(name, scale).unwrap();
                for run in table.runs(1) {
                    if run.row.method != RETRAIN {
                        registry::find(&run.row.method).unwrap();
                    }
                    run.recipe(&table.protocol, "m").check().unwrap();
                }
                for row in table.groups.iter().flat_map(|g| g.rows.iter().map(move |r| (g, r))) {
                    if let Some(control) = row.0.control(row.1) {
                        assert_eq!(control.density, row.1.density, "{name}: {}", row.1.label);
                    } else {
                        assert!(!row.1.saliency(), "{name}: {} has no control", row.1.label);
                    }
                }
            }
        }
        assert!(Table::new("table2", Scale::Small).is_err());
    }

    #[test]
    fn retrain_comes_first_and_every_run_has_a_name_of_its_own() {
        for (name, _) in TABLES {
            let table = Table::new(name, Scale::Small).unwrap();
            let runs = table.runs(3);
            let names: HashSet<String> = runs.iter().map(Run::name).collect();
            assert_eq!(names.len(), runs.len(), "{name}");
            if !["ddpm-classwise", "prompts"].contains(&name) {
                assert_eq!(runs[0].row.method, RETRAIN);
            }
        }
    }

    #[test]
    fn a_part_of_a_table_keeps_retrain_and_names_what_it_does_not_know() {
        let table = Table::new("table1", Scale::Small).unwrap();
        let some = table.only(&["SalUn".into()]).unwrap();
        let methods: HashSet<&str> = some.iter().map(|r| r.method.as_str()).collect();
        assert_eq!(methods, HashSet::from(["retrain", "salun"]));
        let listed = table.only(&["salun, ft".into()]).unwrap();
        assert!(listed.iter().any(|r| r.method == "ft") && listed.len() == some.len() + 2);
        let label = table.only(&["SalUn, random mask".into()]).unwrap();
        assert_eq!(label.len(), 4, "Retrain and the control of two groups");
        let error = table.only(&["salum".into()]).unwrap_err().to_string();
        assert!(error.contains("did you mean 'salun'"), "{error}");
    }
}
