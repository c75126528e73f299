//! What the studio shows, in words and numbers: for those who cannot see the canvas, and for the
//! page's tests.

use serde::Serialize;

use super::app::Studio;
use super::state::{JobKind, State};
use super::{Arm, arm_name, format};
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
    /// The request as a link's query.
    pub link: String,
    /// Median, 95th percentile and longest of the latest frames, in milliseconds.
    pub frames: Option<[f32; 3]>,
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
            link: session.link().query(),
            frames: self.frames.summary(),
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
