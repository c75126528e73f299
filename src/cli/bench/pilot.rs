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
use salun_studio::gpu::device;
use salun_studio::studio::{Arm, Choice, Host, Keeper, Parcel, Studio, View, percentiles};
use salun_studio::words::Task;

/// Frames that each view is watched for while the model trains, and between two of them.
const FRAMES: usize = 40;
const BETWEEN: Duration = Duration::from_millis(16);
/// The whole flight, at the most.
const DEADLINE: Duration = Duration::from_secs(1200);
/// What is forgotten.
const CLASS: usize = 7;
const PROMPT: &str = "a cat";

/// What a session in the window showed.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Studied {
    /// From the start of the program to the frame with the first pictures, in seconds.
    first_picture_s: f64,
    /// Median, 95th percentile and maximum of the frames of every view of every task while its model trains, in
    /// milliseconds: how long each takes, and how long after the one before it comes.
    frame_ms: [f32; 3],
    apart_ms: [f32; 3],
    /// The view with the highest 95th percentile, and that.
    slowest: (String, f32),
    /// From the press of Cancel to its effect, in seconds.
    cancel_s: f64,
}

impl Studied {
    /// One line for a person.
    pub fn line(&self) -> String {
        let Self { first_picture_s, frame_ms, apart_ms, slowest: (view, slowest), cancel_s } = self;
        let told = |[p50, p95, most]: &[f32; 3]| {
            format!("p50 {p50:.1} ms, p95 {p95:.1} ms, max {most:.1} ms")
        };
        let (takes, apart) = (told(frame_ms), told(apart_ms));
        format!(
            "studio: first picture {first_picture_s:.2} s after the start; with every view opened in turn while a \
             model trains, a frame takes {takes}; {view} the longest, p95 {slowest:.1} ms; frames are {apart} \
             apart; cancel heard after {cancel_s:.2} s"
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

/// Opens the window, does the main job of each task until it is cancelled, and prints what was measured.
///
/// # Errors
/// The window cannot be opened.
pub fn fly(common: &Common) -> Result<()> {
    let started = Instant::now();
    let compute = device::open(common.device)?;
    studio::window(compute, Host::default(), Arc::new(Nothing), "", |studio| {
        Box::new(Pilot {
            studio,
            started,
            now: Phase::Opening,
            watched: Vec::new(),
            measured: Studied::default(),
        })
    })
    .map(drop)
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
    /// Since the frame before.
    Training(Instant),
    Cancelled(Instant),
    Done,
}

/// The frames of a view, in seconds: how long each took, and how long after the one before it came.
struct Watched {
    task: Task,
    view: &'static View,
    took: Vec<f32>,
    apart: Vec<f32>,
}

/// Median, 95th percentile and maximum of frames, in milliseconds; zeros of none.
fn summary<'a>(seconds: impl IntoIterator<Item = &'a f32>) -> [f32; 3] {
    percentiles(seconds.into_iter().copied()).unwrap_or_default()
}

struct Pilot {
    studio: Studio,
    started: Instant,
    now: Phase,
    watched: Vec<Watched>,
    measured: Studied,
}

impl Pilot {
    /// Looks at the frame that was drawn, which took so many seconds, and presses what comes next.
    fn steer(&mut self, took: f32, ctx: &egui::Context) {
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
                    state.pick(match state.task.prompted() {
                        true => Choice::Prompt(PROMPT.into()),
                        false => Choice::Class(CLASS),
                    });
                    state.forget();
                    self.now = Phase::Scoring;
                }
            }
            // The first update has been made.
            Phase::Scoring
                if state.session().attempt(Arm::Method).is_some_and(|a| !a.losses.is_empty()) =>
            {
                self.show_next();
                self.now = Phase::Training(Instant::now());
            }
            Phase::Training(since) => {
                self.now = Phase::Training(Instant::now());
                let Some(watched) = self.watched.last_mut() else { return };
                watched.took.push(took);
                watched.apart.push(since.elapsed().as_secs_f32());
                if watched.took.len() >= FRAMES && !self.show_next() {
                    self.studio.state.cancel();
                    self.now = Phase::Cancelled(Instant::now());
                }
            }
            Phase::Cancelled(since) if state.work.is_none() => {
                self.measured.cancel_s = since.elapsed().as_secs_f64().max(self.measured.cancel_s);
                let done = Task::ALL.iter().position(|task| *task == state.task).unwrap_or(0);
                self.now = match Task::ALL.get(done + 1) {
                    Some(task) => {
                        state.switch(*task);
                        Phase::Opening
                    }
                    None => {
                        self.land(ctx);
                        Phase::Done
                    }
                };
            }
            _ => {}
        }
    }

    /// Shows the task's next view; whether there is one.
    fn show_next(&mut self) -> bool {
        let task = self.studio.state.task;
        let seen = self.watched.iter().filter(|watched| watched.task == task).count();
        let next = View::ALL.iter().filter(|view| view.tasks.contains(&task)).nth(seen);
        let Some(&view) = next else { return false };
        self.studio.view = view;
        self.watched.push(Watched { task, view, took: Vec::new(), apart: Vec::new() });
        true
    }

    /// Prints what was measured and closes the window.
    fn land(&mut self, ctx: &egui::Context) {
        let slowest = self.watched.iter().map(|w| (w.view.name.to_string(), summary(&w.took)[1]));
        let slowest = slowest.max_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or_default();
        self.measured.slowest = slowest;
        self.measured.frame_ms = summary(self.watched.iter().flat_map(|w| &w.took));
        self.measured.apart_ms = summary(self.watched.iter().flat_map(|w| &w.apart));
        println!("{}", serde_json::json!(self.measured));
        ctx.send_viewport_cmd(egui::ViewportCommand::Close);
    }
}

impl eframe::App for Pilot {
    fn ui(&mut self, ui: &mut egui::Ui, frame: &mut eframe::Frame) {
        self.studio.ui(ui, frame);
        self.steer(frame.info().cpu_usage.unwrap_or(0.0), ui.ctx());
        ui.ctx().request_repaint_after(BETWEEN);
    }
}
