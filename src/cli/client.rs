//! Drives the engine: progress to stderr, Ctrl-C to the engine, one outcome back.

use std::{
    io::IsTerminal,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

use super::{Common, print, signals};
use salun_studio::engine::{Command, Engine, Event, Job, Outcome};
use salun_studio::error::{Error, Result};
use salun_studio::gpu::{DeviceInfo, device};
use salun_studio::job_context::Progress;

/// The engine and where its progress goes.
pub struct Client {
    /// What the jobs are about that are asked for now; stands before their progress.
    pub label: String,
    engine: Engine,
    watch: Watch,
    jobs: u64,
}

impl Client {
    /// Opens the device, says which, and has Ctrl-C end the work.
    ///
    /// # Errors
    /// The device cannot be opened.
    pub fn open(common: &Common) -> Result<Self> {
        let compute = device::open(common.device)?;
        print::remark(&format!("Device: {}", print::device(&compute.info)));
        let engine = Engine::spawn(compute);
        signals::stops(engine.switches.clone());
        Ok(Self { label: String::new(), engine, watch: Watch::begin(), jobs: 0 })
    }

    /// Has runs show what the model makes while it trains, as a window does.
    pub fn show_previews(&self) {
        self.engine.tell(Command::ShowPreviews(true));
    }

    /// The device.
    pub fn info(&self) -> &DeviceInfo {
        &self.engine.info
    }

    /// Runs a job to its end; `answer` takes what it came to out of its outcome.
    ///
    /// # Errors
    /// The job's own, or cancelled.
    pub fn ask<T>(&mut self, job: Job, answer: fn(Outcome) -> Option<T>) -> Result<T> {
        self.hear(job, answer, |_| {})
    }

    /// [`Self::ask`]; `hear` is told what happens besides progress.
    ///
    /// # Errors
    /// The job's own, or cancelled.
    pub fn hear<T>(
        &mut self,
        job: Job,
        answer: fn(Outcome) -> Option<T>,
        mut hear: impl FnMut(&Event),
    ) -> Result<T> {
        if signals::interrupted() {
            return Err(Error::Cancelled);
        }
        self.jobs += 1;
        self.engine.tell(Command::Start { id: self.jobs, job: Box::new(job) });
        // An interrupt just before the job was asked for is meant for it, too.
        if signals::interrupted() {
            self.engine.switches.cancel();
        }
        let broken = |what: &str| Error::Device(format!("the engine {what}; please report"));
        let end = loop {
            match self.engine.wait() {
                None => break Err(broken("ended unexpectedly")),
                Some(Event::Progress { progress, .. }) => self.watch.show(&self.label, &progress),
                Some(Event::Note { text, .. }) => self.watch.note(&text),
                Some(Event::Done { outcome, .. }) => break Ok(outcome),
                Some(Event::Failed { error, .. }) => break Err(error),
                Some(other) => hear(&other),
            }
        };
        self.watch.clear();
        answer(end?).ok_or_else(|| broken("answered another question"))
    }
}

/// Progress on stderr: a bar in a terminal, now and then a line elsewhere.
pub enum Watch {
    Silent,
    Bar(ProgressBar),
    /// The phase, and when a line is due.
    Lines {
        phase: String,
        due: Instant,
    },
}

/// Between two lines; the first line of a phase comes after as long.
const EVERY: Duration = Duration::from_secs(5);

impl Watch {
    pub fn begin() -> Self {
        if print::quiet() {
            Self::Silent
        } else if std::io::stderr().is_terminal() {
            let bar = ProgressBar::no_length();
            let style = ProgressStyle::with_template("{prefix} {wide_bar} {pos}/{len} {msg}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            Self::Bar(bar)
        } else {
            Self::Lines { phase: String::new(), due: Instant::now() }
        }
    }

    /// Shows how far work is that the engine has no part in.
    ///
    /// # Errors
    /// [`Error::Cancelled`] after Ctrl-C.
    pub fn tick(&mut self, phase: &str, done: usize, total: usize) -> Result<()> {
        let (phase, seconds_left, whole) = (phase.into(), None, None);
        self.show("", &Progress { phase, done, total, seconds_left, whole });
        if signals::interrupted() { Err(Error::Cancelled) } else { Ok(()) }
    }

    fn show(&mut self, label: &str, p: &Progress) {
        let colon = if label.is_empty() { "" } else { ": " };
        let name = format!("{label}{colon}{}", p.phase);
        let seconds = p.whole.map_or(p.seconds_left, |whole| whole.seconds_left);
        let left = seconds.map(|s| format!("{} left", duration(s)));
        match self {
            Self::Silent => {}
            Self::Bar(bar) => {
                bar.set_prefix(name);
                bar.set_length(p.total as u64);
                bar.set_position(p.done as u64);
                bar.set_message(left.unwrap_or_default());
            }
            Self::Lines { phase, due } => {
                let now = Instant::now();
                if *phase != name {
                    (*phase, *due) = (name, now + EVERY);
                } else if now >= *due {
                    let left = left.map(|l| format!(", {l}")).unwrap_or_default();
                    print::note(&format!("{phase} {}/{}{left}", p.done, p.total));
                    *due = now + EVERY;
                }
            }
        }
    }

    /// A line beside the progress.
    fn note(&self, text: &str) {
        let text = format!("Note: {text}");
        match self {
            Self::Silent => {}
            Self::Bar(bar) => bar.suspend(|| print::note(&text)),
            Self::Lines { .. } => print::note(&text),
        }
    }

    fn clear(&mut self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
            bar.reset();
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.clear();
    }
}

/// `2 min 5 s`.
pub fn duration(seconds: f64) -> String {
    let s = seconds.ceil() as u64;
    match s {
        0..=59 => format!("{s} s"),
        60..=3599 => format!("{} min {} s", s / 60, s % 60),
        _ => format!("{} h {} min", s / 3600, s % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn durations_read_as_a_person_says_them() {
        let said = [0.2, 59.0, 125.0, 7260.0].map(super::duration);
        assert_eq!(said, ["1 s", "59 s", "2 min 5 s", "2 h 1 min"]);
    }
}
