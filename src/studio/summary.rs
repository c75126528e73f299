//! What the studio shows, in words and numbers: for those who cannot see the canvas, and for the
//! page's tests.

use std::collections::BTreeMap;

use serde::Serialize;

use super::app::Studio;
use super::mine::Gathered;
use super::state::{JobKind, State};
use super::{Arm, arm_name, format};
use crate::engine::Looked;
use crate::words::Report;

/// A moment of the studio.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// What goes on, in a line.
    pub line: String,
    pub error: Option<String>,
    pub device: Option<String>,
    pub task: &'static str,
    /// Whether the shown task's model is open.
    pub open: bool,
    /// What is being done, and how far it is.
    pub work: Option<JobProgress>,
    /// Reports of the runs: the method's and the control's.
    pub reports: [Option<Report>; 2],
    /// The loss of every update of both runs.
    pub losses: [Vec<f64>; 2],
    /// Runs in the shown task's list, and whether an earlier sitting can be brought back.
    pub runs: usize,
    pub earlier: bool,
    /// Bytes that are remembered of this sitting.
    pub remembered: usize,
    /// A person's own pictures.
    pub mine: Own,
    /// The request as a link's query.
    pub link: String,
    /// Median, 95th percentile and longest of the latest frames, in milliseconds.
    pub frames: Option<[f32; 3]>,
}

/// A person's own pictures.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Own {
    pub n: usize,
    /// The classes that the model sees in them, and sees after the shown run.
    pub seen: Vec<String>,
    pub after: Vec<String>,
    /// Where the pad and the buttons are while they are shown: left, top, right and bottom, in points.
    pub places: BTreeMap<&'static str, [f32; 4]>,
}

/// A job that the studio waits for.
#[derive(Debug, Clone, Serialize)]
pub struct JobProgress {
    pub phase: String,
    pub done: usize,
    pub total: usize,
}

impl Studio {
    /// What is shown now.
    pub fn summary(&self) -> Summary {
        let state = &self.state;
        let session = state.session();
        let report = |arm| Some(session.run(arm)?.report.clone());
        Summary {
            line: line(state),
            error: state.error.clone(),
            device: state.device.as_ref().map(format::device),
            task: session.task.name(),
            open: session.opened.is_some(),
            work: state.work.as_ref().map(|work| {
                let progress = work.progress.clone();
                let [done, total] = progress.as_ref().map_or([0, 0], |p| [p.done, p.total]);
                JobProgress { phase: progress.map_or_else(String::new, |p| p.phase), done, total }
            }),
            reports: Arm::BOTH.map(report),
            losses: Arm::BOTH.map(|arm| {
                let attempt = session.attempt(arm);
                attempt.iter().flat_map(|a| &a.losses).map(|step| step[1]).collect()
            }),
            runs: session.history.entries.len(),
            earlier: self.saver.earlier.is_some(),
            remembered: self.saver.memory.bytes(),
            mine: self.mine(),
            link: session.link().query(),
            frames: self.frames.summary(),
        }
    }
}

impl Studio {
    fn mine(&self) -> Own {
        let Some(gathered) = self.own.known::<Gathered>() else { return Own::default() };
        let session = self.state.session();
        let looked = gathered.key().and_then(|key| self.state.looked(key)).cloned();
        let Looked { before, after } = looked.unwrap_or_default();
        let classes = session.opened.as_ref().map(|opened| &opened.classes);
        let names = |seen: Vec<(usize, f32)>| {
            let name = |(class, _)| classes?.get(class).cloned();
            seen.into_iter().map(|seen| name(seen).unwrap_or_default()).collect()
        };
        Own {
            n: gathered.len(),
            seen: names(before),
            after: names(after.unwrap_or_default()),
            places: gathered.places.clone(),
        }
    }
}

/// What goes on or what came of it, as a sentence.
fn line(state: &State) -> String {
    if let Some(error) = &state.error {
        return error.clone();
    }
    let session = state.session();
    if let Some(work) = &state.work {
        let [_, what] = work.kind.told();
        return match work.kind {
            JobKind::Unlearn(arm) => format!("{}: {what}", arm_name(session, arm)),
            _ => what.into(),
        };
    }
    let verdict = |arm| {
        let verdict = &session.run(arm)?.report.verdict;
        Some(format!("{}: {}. {}", arm_name(session, arm), verdict.label.name(), verdict.why))
    };
    let verdicts: Vec<String> = Arm::BOTH.into_iter().filter_map(verdict).collect();
    if verdicts.is_empty() { state.ended.clone() } else { verdicts.join(" ") }
}
