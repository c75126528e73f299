//! A sitting as it is remembered: what is open, what is picked, which runs there are and what was seen of them on
//! their way. Small files that are written as things change: one that says what is shown, one for each entry of the
//! list of runs, and one for each run itself.

use std::{collections::HashMap, path::PathBuf, sync::Arc};

use serde::{Deserialize, Serialize};

use super::attempt::Attempt;
use super::history::{Entry, Kept};
use crate::engine::{Grid, Opened, PromptPane, Run};
use crate::error::{Error, Result};
use crate::models::AnyModel;
use crate::wire;
use crate::words::{Recipe, Report, Task};

/// Files by their names: what is remembered of a sitting.
pub type Files = Vec<(String, Vec<u8>)>;

/// The file that says what is shown.
pub const SHOWN: &str = "shown";

/// What is shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sitting {
    /// Of the program: what another one left is not read.
    pub version: String,
    pub task: Task,
    /// The view's name.
    pub view: String,
    pub tasks: Vec<Side>,
}

/// A task's side of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Side {
    pub task: Task,
    pub model: String,
    /// With the picked forget set, and the requests that the model has met.
    pub request: Recipe,
    /// Where the timeline is held.
    pub at: Option<usize>,
    /// The run that is shown.
    pub shown: Option<usize>,
}

/// An entry of the list of runs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Page {
    pub task: Task,
    pub number: usize,
    recipe: Recipe,
    reports: [Option<Report>; 2],
    opened: Arc<Opened>,
    pane: Option<PromptPane>,
    attempts: [Option<Way>; 2],
}

/// A run as it was seen from outside.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Way {
    recipe: Recipe,
    losses: Vec<[f64; 2]>,
    #[serde(default)]
    parts: [Vec<[f64; 2]>; 2],
    steps: usize,
    snapshots: Vec<(usize, Arc<Grid>)>,
    saved: Option<PathBuf>,
    /// The file of the run itself.
    run: String,
}

/// The file of a run.
pub fn run_file(run: &Run) -> String {
    format!("run-{}", &run.report.protocol[..run.report.protocol.len().min(32)])
}

/// About how many bytes the file of a run has.
pub fn run_bytes(run: &Run) -> usize {
    let model = match &run.model {
        AnyModel::Plain(model) => model.weights.values.len(),
        AnyModel::Latent(model) => {
            [&model.unet, &model.text, &model.vae].map(|w| w.values.len()).iter().sum()
        }
    };
    let scores = run.ranking.as_ref().map_or(0, |ranking| ranking.scores.len());
    let mask = run.mask.as_ref().map_or(0, |mask| mask.bits.len());
    4 * (model + run.change.values.len() + scores) + mask + run.snapshots.bytes()
}

/// The file of an entry.
pub fn page_file(task: Task, number: usize) -> String {
    format!("page-{}-{number}", task.name())
}

impl Page {
    /// An entry of a task's list, unless only its figures are left.
    pub fn of(task: Task, entry: &Entry) -> Option<Self> {
        let Kept { opened, pane, attempts } = entry.kept.clone()?;
        let way = |attempt: Attempt| {
            let run = run_file(attempt.run.as_ref()?);
            let Attempt { recipe, losses, parts, steps, snapshots, saved, .. } = attempt;
            Some(Way { recipe, losses, parts, steps, snapshots, saved, run })
        };
        let attempts = attempts.map(|attempt| attempt.and_then(way));
        let Entry { number, recipe, reports, .. } = entry;
        let (recipe, reports) = (recipe.clone(), reports.clone());
        Some(Self { task, number: *number, recipe, reports, opened, pane, attempts })
    }

    /// The entry again. Where the run itself is not among those that are left, only its figures are.
    fn entry(self, runs: &HashMap<String, Arc<Run>>) -> Entry {
        let Self { number, recipe, reports, opened, pane, attempts, .. } = self;
        let whole = |way: Way| {
            let Way { recipe, losses, parts, steps, snapshots, saved, run } = way;
            let run = Some(runs.get(&run)?.clone());
            Some(Attempt {
                recipe,
                losses,
                parts,
                steps,
                snapshots,
                run,
                saved,
                ..Attempt::default()
            })
        };
        let attempts = attempts.map(|way| way.and_then(whole));
        let kept = attempts[0].is_some().then_some(Kept { opened, pane, attempts });
        Entry { number, recipe, reports, kept }
    }
}

/// A sitting with its lists of runs.
#[derive(Debug)]
pub struct Whole {
    pub sitting: Sitting,
    pub entries: Vec<(Task, Entry)>,
}

impl Whole {
    /// Reads the files of a sitting. A page or a run that is damaged is left out.
    ///
    /// # Errors
    /// What is shown cannot be read, or another version of the program left it.
    pub fn read(files: Files) -> Result<Self> {
        let other = || Error::Request("what the earlier sitting left cannot be read".into());
        let (mut runs, mut pages, mut sitting) = (HashMap::new(), Vec::new(), None);
        for (name, bytes) in files {
            if name == SHOWN {
                sitting = wire::unpack::<Sitting>(&bytes).ok();
            } else if name.starts_with("run-") {
                runs.extend(wire::unpack::<Run>(&bytes).ok().map(|run| (name, Arc::new(run))));
            } else {
                pages.extend(wire::unpack::<Page>(&bytes));
            }
        }
        let sitting = sitting.ok_or_else(other)?;
        if sitting.version != env!("CARGO_PKG_VERSION") {
            return Err(other());
        }
        pages.sort_by_key(|page| (page.task as usize, page.number));
        let entries = pages.into_iter().map(|page| (page.task, page.entry(&runs))).collect();
        Ok(Self { sitting, entries })
    }
}
