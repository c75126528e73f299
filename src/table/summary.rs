//! What a table says, as `table.json` holds it: means and spreads, gaps to Retrain, marks, and each
//! row against its random-mask control. [`super::compare`] makes it.

use serde::{Deserialize, Serialize};

use super::published::Published;
use super::{Axis, Chart, ORIGINAL, RETRAIN, Scale};
use crate::eval::{How, Spread};
use crate::words::{DeviceReport, Frechet};

/// The version of `table.json`'s form; it grows when a field changes its meaning or goes.
pub const SCHEMA: u32 = 1;

/// A table as it is read: `table.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    pub schema: u32,
    pub name: String,
    pub title: String,
    pub scale: Scale,
    /// [`Table::hash`].
    pub protocol: String,
    pub version: String,
    /// The protocol in words.
    pub conditions: String,
    pub devices: Vec<DeviceReport>,
    pub seeds: Vec<u64>,
    /// Runs that are done, that failed, and that the table has with these seeds.
    pub done: usize,
    pub failed: usize,
    pub all: usize,
    /// What is measured, in the order of [`Line::values`].
    pub columns: Vec<String>,
    pub axis: Option<Axis>,
    pub chart: Chart,
    pub groups: Vec<Compared>,
    /// What the numbers say, in sentences.
    pub notes: Vec<String>,
}

/// Rows that are compared with each other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Compared {
    pub title: String,
    pub forgets: Vec<String>,
    /// What gaps are taken to: Retrain, or an aim where there is none.
    pub reference: String,
    /// Pictures behind UA, RA and TA; those of the first forget set.
    pub n: [usize; 3],
    /// Members and non-members that the membership attack is fitted to.
    pub attacked: [usize; 2],
    /// Samples behind FD, and the mean floor of as many real pictures; its value says nothing.
    pub frechet: Option<Frechet>,
    pub rows: Vec<Line>,
    /// Numbers of others, on their own data.
    pub published: Vec<Published>,
}

/// One row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    pub label: String,
    pub method: String,
    pub mask: String,
    /// What is not the method's default, in words.
    pub settings: String,
    pub at: Option<f64>,
    /// By column.
    pub values: Vec<Value>,
    /// The mean gap over the columns that were measured in percent.
    pub average: Value,
    /// Run-time efficiency in seconds: mask and unlearning.
    pub seconds: Value,
    /// Tug of war, 0..1 (docs/methods.md#metrics).
    pub tow: Option<Spread>,
    /// The average gap on each forget set, in the group's order.
    pub by_forget: Vec<Option<Spread>>,
    /// The average gap of each (seed, forget set) that was measured.
    pub each: Vec<f64>,
    /// Runs that failed: which, and why.
    pub failed: Vec<String>,
    /// The same under a random mask.
    pub control: Option<Versus>,
    /// Weights outside the mask that changed, over all runs: 0, or it is a bug.
    pub frozen_changed: usize,
}

/// A number of a table.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Value {
    /// Over seeds, after a mean over the forget sets of each seed.
    pub stat: Option<Spread>,
    /// Its distance to Retrain: the mean of |row - Retrain| of the same seed and forget set.
    pub gap: Option<Spread>,
    pub mark: Option<Mark>,
}

/// Best and worst of a column among the methods; best is closest to Retrain, or fastest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::Display, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Mark {
    Best,
    Worst,
}

/// A row against its random-mask control, by average gap.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Versus {
    pub control: String,
    /// The control's average gap less the row's: above 0 the row is closer to Retrain.
    pub closer_by: f64,
    /// The 95 % interval of that; absent for one pair.
    pub interval: Option<[f64; 2]>,
    /// Where the interval comes from.
    pub how: Option<How>,
    /// Pairs: seeds times forget sets.
    pub n: usize,
}

impl Summary {
    /// A table out of its file.
    ///
    /// # Errors
    /// It is damaged, or of a later version.
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        let summary: Self = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
        if summary.schema != SCHEMA {
            return Err(format!("is of form {}, this version reads {SCHEMA}", summary.schema));
        }
        Ok(summary)
    }

    /// The protocol's hash in short.
    pub fn short_hash(&self) -> &str {
        self.protocol.get(..16).unwrap_or(&self.protocol)
    }
}

impl Line {
    /// Whether it is an end of the comparison, and no method that takes part in it.
    pub fn is_end(&self) -> bool {
        [RETRAIN, ORIGINAL].contains(&&*self.method)
    }

    /// The number that the table varies, in words.
    pub fn at(&self) -> String {
        self.at.map_or(String::new(), |at| at.to_string())
    }

    /// Seeds behind its numbers.
    pub fn seeds(&self) -> usize {
        self.values.first().and_then(|v| v.stat).map_or(0, |s| s.n)
    }
}

impl Value {
    /// Its mean, where it was measured.
    pub fn mean(&self) -> Option<f64> {
        self.stat.map(|s| s.mean)
    }
}

impl Versus {
    /// Whether the row beats its control (`true`) or the control the row, with 0 outside of the
    /// interval; `None` where the data do not tell.
    pub fn beats(&self) -> Option<bool> {
        let [low, high] = self.interval?;
        (low > 0.0 || high < 0.0).then_some(low > 0.0)
    }
}
