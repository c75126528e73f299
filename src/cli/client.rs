//! Drives the engine: progress to stderr, Ctrl-C to the engine, one outcome back.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use salun_studio::{
    engine::{
        Engine,
        job::{Event, Job, Outcome},
    },
    error::{Error, Result},
    gpu::device::{self, DeviceInfo},
    job_context::Progress,
};

use super::{args::Common, print, signals};

/// The engine and where its progress goes.
pub struct Client {
    engine: Engine,
    meter: Meter,
    jobs: u64,
}

impl Client {
    /// Opens the device, says which, and has Ctrl-C end the work.
    ///
    /// # Errors
    /// The device cannot be opened.
    pub fn open(common: &Common) -> Result<Self> {
        let compute = device::open(common.device)?;
        if !common.quiet {
            print::note(&format!("Device: {}", print::device(&compute.info)));
        }
        let engine = Engine::spawn(compute);
        signals::stops(engine.switches.clone());
        Ok(Self { engine, meter: Meter::new(common.quiet), jobs: 0 })
    }

    /// The device.
    pub fn info(&self) -> &DeviceInfo {
        &self.engine.info
    }

    /// Runs a job to its end; `hear` is told what happens besides progress.
    ///
    /// # Errors
    /// The job's own, `hear`'s, or cancelled.
    pub fn run(
        &mut self,
        label: &str,
        job: Job,
        mut hear: impl FnMut(&Event) -> Result<()>,
    ) -> Result<Outcome> {
        if signals::interrupted() {
            return Err(Error::Cancelled);
        }
        self.jobs += 1;
        self.engine.start(self.jobs, job);
        // An interrupt just before the job was asked for is meant for it, too.
        if signals::interrupted() {
            self.engine.switches.cancel();
        }
        self.meter.label = label.to_string();
        let mut failed = None;
        let end = loop {
            let Some(event) = self.engine.wait() else {
                break Err(Error::Device("the engine ended unexpectedly; please report".into()));
            };
            match event {
                Event::Progress { progress, .. } => self.meter.show(&progress),
                Event::Note { text, .. } => self.meter.note(&text),
                Event::Done { outcome, .. } => break Ok(outcome),
                Event::Failed { error, .. } => break Err(error),
                other if failed.is_none() => {
                    if let Err(error) = hear(&other) {
                        failed = Some(error);
                        self.engine.switches.cancel();
                    }
                }
                _ => {}
            }
        };
        self.meter.clear();
        failed.map_or(end, Err)
    }
}

/// Progress and Ctrl-C of work that the engine has no part in.
pub struct Watch(Meter);

impl Watch {
    pub fn new(common: &Common) -> Self {
        Self(Meter::new(common.quiet))
    }

    /// Shows how far the work is.
    ///
    /// # Errors
    /// [`Error::Cancelled`] after Ctrl-C.
    pub fn tick(&mut self, phase: &str, done: usize, total: usize) -> Result<()> {
        self.0.show(&Progress { phase: phase.into(), done, total, seconds_left: None });
        if signals::interrupted() { Err(Error::Cancelled) } else { Ok(()) }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.clear();
    }
}

/// The answer that a job of this kind gives.
macro_rules! answer {
    ($outcome:expr, $kind:ident) => {
        match $outcome {
            salun_studio::engine::job::Outcome::$kind(value) => value,
            _ => {
                return Err(salun_studio::error::Error::Device(
                    "the engine answered another question; please report".into(),
                ));
            }
        }
    };
}
pub(super) use answer;

/// Progress on stderr: a bar in a terminal, now and then a line elsewhere.
struct Meter {
    label: String,
    form: Form,
}

enum Form {
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

impl Meter {
    fn new(quiet: bool) -> Self {
        use std::io::IsTerminal;
        let form = if quiet {
            Form::Silent
        } else if std::io::stderr().is_terminal() {
            let bar = ProgressBar::no_length();
            let style = ProgressStyle::with_template("{prefix} {wide_bar} {pos}/{len} {msg}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            Form::Bar(bar)
        } else {
            Form::Lines { phase: String::new(), due: Instant::now() }
        };
        Self { label: String::new(), form }
    }

    fn show(&mut self, p: &Progress) {
        let name = if self.label.is_empty() {
            p.phase.clone()
        } else {
            format!("{}: {}", self.label, p.phase)
        };
        let left = p.seconds_left.map(|s| format!("{} left", duration(s)));
        match &mut self.form {
            Form::Silent => {}
            Form::Bar(bar) => {
                bar.set_prefix(name);
                bar.set_length(p.total as u64);
                bar.set_position(p.done as u64);
                bar.set_message(left.unwrap_or_default());
            }
            Form::Lines { phase, due } => {
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
        match &self.form {
            Form::Silent => {}
            Form::Bar(bar) => bar.suspend(|| print::note(&text)),
            Form::Lines { .. } => print::note(&text),
        }
    }

    fn clear(&mut self) {
        if let Form::Bar(bar) = &self.form {
            bar.finish_and_clear();
            bar.reset();
        }
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
