//! The studio's own figures: a pilot opens the window, presses what a person would, and times it.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

use super::{Common, studio};
use salun_studio::error::{Error, Result};
use salun_studio::studio::{Arm, Choice, Keeper, Parcel, Studio};

/// Updates that the training is watched for, and how long at the most.
const STEPS: usize = 40;
const LONGEST: Duration = Duration::from_secs(40);
/// The whole flight, at the most.
const DEADLINE: Duration = Duration::from_secs(300);
/// A class that is forgotten.
const CLASS: usize = 7;

/// What a session in the window showed.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Studied {
    /// From the start of the program to the frame with the first pictures, in seconds.
    first_picture_s: f64,
    /// Median, 95th percentile and maximum of frames while a model trains, in milliseconds.
    frame_ms: [f32; 3],
    /// From the press of Cancel to its effect, in seconds.
    cancel_s: f64,
}

impl Studied {
    /// One line for a person.
    pub fn line(&self) -> String {
        let Self { first_picture_s, frame_ms: [p50, p95, most], cancel_s } = self;
        format!(
            "studio: first picture {first_picture_s:.2} s after the start; frames while it trains p50 \
             {p50:.1} ms, p95 {p95:.1} ms, max {most:.1} ms; cancel heard after {cancel_s:.2} s"
        )
    }
}

/// Runs the pilot in a process of its own.
///
/// # Errors
/// The window cannot be opened, or the pilot fails.
pub fn measure(common: &Common) -> Result<Studied> {
    let failed = |reason: String| Error::Request(format!("the studio's figures: {reason}"));
    let program = std::env::current_exe().map_err(|e| failed(e.to_string()))?;
    let out = Command::new(program)
        .args(["bench", "--pilot", "--device", common.device.name()])
        .stderr(Stdio::inherit())
        .output()
        .map_err(|e| failed(e.to_string()))?;
    let text = String::from_utf8_lossy(&out.stdout);
    serde_json::from_str(text.trim()).map_err(|_| failed(format!("{}", out.status)))
}

/// Opens the window, does the main job until it is cancelled, and prints what was measured.
///
/// # Errors
/// The window cannot be opened.
pub fn fly(common: &Common) -> Result<()> {
    let started = Instant::now();
    studio::window(common, Arc::new(Nothing), "", |studio| {
        Box::new(Pilot { studio, started, now: Phase::Opening, measured: Studied::default() })
    })
}

/// Saves nothing, so that the window closes unasked.
struct Nothing;

impl Keeper for Nothing {
    fn save(&self, _: Parcel) -> Result<PathBuf> {
        Err(Error::Request("the bench saves nothing".into()))
    }
}

/// What the pilot waits for.
enum Phase {
    Opening,
    /// The first pictures are in the frame before.
    Opened,
    Scoring,
    Training(Instant),
    Cancelled(Instant),
    Done,
}

struct Pilot {
    studio: Studio,
    started: Instant,
    now: Phase,
    measured: Studied,
}

impl Pilot {
    /// Looks at the frame that was drawn and presses what comes next.
    fn steer(&mut self, ctx: &egui::Context) {
        let state = &mut self.studio.state;
        let lost = state.work.is_none() && state.error.is_some();
        if lost || self.started.elapsed() > DEADLINE {
            let error = state.error.take().unwrap_or_else(|| "it took too long".into());
            eprintln!("salun: the studio's figures: {error}");
            ctx.send_viewport_cmd(egui::ViewportCommand::Close);
            self.now = Phase::Done;
        }
        match self.now {
            Phase::Opening if state.session().seen().is_some() => self.now = Phase::Opened,
            Phase::Opened => {
                if self.measured.first_picture_s == 0.0 {
                    self.measured.first_picture_s = self.started.elapsed().as_secs_f64();
                }
                if state.session().opened.is_some() {
                    state.pick(Choice::Class(CLASS));
                    state.forget();
                    self.now = Phase::Scoring;
                }
            }
            Phase::Scoring if state.session().attempt(Arm::Method).is_some() => {
                self.studio.frames = Default::default();
                self.now = Phase::Training(Instant::now());
            }
            Phase::Training(since) => {
                let steps = state.session().attempt(Arm::Method).map_or(0, |a| a.losses.len());
                if steps >= STEPS || since.elapsed() > LONGEST {
                    self.measured.frame_ms = self.studio.frames.summary().unwrap_or_default();
                    state.cancel();
                    self.now = Phase::Cancelled(Instant::now());
                }
            }
            Phase::Cancelled(since) if state.work.is_none() => {
                self.measured.cancel_s = since.elapsed().as_secs_f64();
                println!("{}", serde_json::json!(self.measured));
                ctx.send_viewport_cmd(egui::ViewportCommand::Close);
                self.now = Phase::Done;
            }
            _ => {}
        }
    }
}

impl eframe::App for Pilot {
    fn ui(&mut self, ui: &mut egui::Ui, frame: &mut eframe::Frame) {
        self.studio.ui(ui, frame);
        self.steer(ui.ctx());
        ui.ctx().request_repaint_after(Duration::from_millis(16));
    }
}
