//! `salun check`: holds this machine's device against the CPU, a line a part.

use std::time::Instant;

use pollster::block_on;
use salun_studio::{
    engine::check::{self, Off},
    error::{Error, Result},
    gpu::{
        device::{self, Compute, DeviceChoice, DeviceInfo, DeviceKind},
        kernels::Kernels,
    },
    models::Task,
    monitor::{Monitor, Switches},
};
use serde::Serialize;

use super::{
    args::{self, Common},
    client::Watch,
    print,
};

/// Hold this machine's device against the CPU: a wrong driver computes wrong numbers in silence
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to check, unless it is all: operations, kernels, classify, generate, text-to-image
    #[arg(long, value_name = "PART", value_delimiter = ',', value_parser = part)]
    only: Vec<Part>,
}

/// A part of the check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// Every operation that networks and training are made of.
    Operations,
    /// Every WGSL kernel.
    Kernels,
    /// The first updates of a task.
    Updates(Task),
}

const PARTS: [(&str, Part); 5] = [
    ("operations", Part::Operations),
    ("kernels", Part::Kernels),
    ("classify", Part::Updates(Task::Classify)),
    ("generate", Part::Updates(Task::Generate)),
    ("text-to-image", Part::Updates(Task::TextToImage)),
];

fn part(given: &str) -> Result<Part> {
    args::one_of("part", given, PARTS)
}

/// What was found.
#[derive(Serialize)]
struct Found<'a> {
    device: &'a DeviceInfo,
    ok: bool,
    parts: Vec<Row>,
}

/// A part's outcome.
#[derive(Serialize)]
struct Row {
    part: &'static str,
    ok: bool,
    /// Of the device and the CPU together.
    seconds: f64,
    /// From the start of a task's run to its first update, on the device and on the CPU.
    first_update_s: Option<[f64; 2]>,
    /// Why the part could not be finished.
    error: Option<String>,
    /// The result that is furthest in units of its limit.
    worst: Option<Off>,
    compared: Vec<Off>,
}

/// Runs the command.
pub fn run(args: &Args, common: &Common) -> Result<()> {
    let compute = device::open(common.device)?;
    let device = &compute.info;
    let on_gpu = device.kind != DeviceKind::Cpu;
    if !common.json {
        let nothing = ": nothing to check, others are held against the CPU";
        print::line(format!("{}{}", print::device(device), if on_gpu { "" } else { nothing }));
    }
    let mut parts = Vec::new();
    for (name, part) in PARTS {
        if on_gpu && (args.only.is_empty() || args.only.contains(&part)) {
            let row = hold(name, part, &compute, common)?;
            if !common.json {
                row.lines().iter().for_each(print::line);
            }
            parts.push(row);
        }
    }
    let wrong = parts.iter().find(|row| !row.ok).map(Row::said);
    if common.json {
        print::json(&Found { device, ok: wrong.is_none(), parts })?;
    }
    let go_on = "go on with --device cpu, or with a newer driver";
    wrong.map_or(Ok(()), |said| Err(Error::Device(format!("{said}; {go_on}"))))
}

/// Runs a part; the device's failure is an outcome.
///
/// # Errors
/// Cancelled.
fn hold(name: &'static str, part: Part, compute: &Compute, common: &Common) -> Result<Row> {
    let (clock, mut first_update_s) = (Instant::now(), None);
    let mut monitor = watched(name, common);
    let compared = block_on(async {
        match part {
            Part::Operations => check::operations(&compute.device, &mut monitor).await,
            Part::Kernels => {
                let none = || Error::Device("it has no kernels of ours".into());
                let kernels = Kernels::of(&compute.device).ok_or_else(none)?;
                check::kernels(&kernels, &mut monitor).await
            }
            Part::Updates(task) => {
                let seen = check::updates(task, compute, &mut monitor).await?;
                let cpu = device::open(DeviceChoice::Cpu)?;
                let right = check::updates(task, &cpu, &mut monitor).await?;
                let first = seen.first().zip(right.first());
                first_update_s = first.map(|(seen, right)| [seen.seconds, right.seconds]);
                Ok(check::losses(&seen, &right))
            }
        }
    });
    let (compared, error) = match compared {
        Ok(compared) => (compared, None),
        Err(Error::Cancelled) => return Err(Error::Cancelled),
        Err(Error::Device(why)) => (Vec::new(), Some(why)),
        Err(other) => (Vec::new(), Some(other.to_string())),
    };
    let ok = error.is_none() && !compared.is_empty() && compared.iter().all(Off::is_near);
    let worst = compared.iter().max_by(|a, b| a.share().total_cmp(&b.share())).cloned();
    let seconds = clock.elapsed().as_secs_f64();
    Ok(Row { part: name, ok, seconds, first_update_s, error, worst, compared })
}

/// A monitor that shows a part's progress and hears Ctrl-C.
fn watched(name: &'static str, common: &Common) -> Monitor {
    let (mut watch, switches) = (Watch::new(common), Switches::default());
    switches.ask(1);
    let stop = switches.clone();
    Monitor::new(1, switches, move |p| {
        if watch.tick(&format!("{name}: {}", p.phase), p.done, p.total).is_err() {
            stop.cancel();
        }
    })
}

impl Row {
    /// What came of the part, in one line.
    fn said(&self) -> String {
        let (part, n) = (self.part, self.compared.len());
        let wrong = self.compared.iter().filter(|off| !off.is_near()).count();
        match (&self.error, &self.worst) {
            (Some(error), _) => format!("{part}: {error}"),
            (None, None) => format!("{part}: nothing was compared"),
            (None, Some(worst)) => match wrong {
                0 => format!("{part}: {n} results as on the CPU; furthest, {}", far(worst)),
                _ => format!("{part}: {wrong} of {n} results wrong; furthest, {}", far(worst)),
            },
        }
    }

    /// The same with the time that it took, then every result that is wrong.
    fn lines(&self) -> Vec<String> {
        let mut first = format!("{}; {:.1} s", self.said(), self.seconds);
        if let Some([seen, right]) = self.first_update_s {
            first += &format!(", first update after {seen:.1} s, the CPU's after {right:.1} s");
        }
        let wrong = self.compared.iter().filter(|off| !off.is_near());
        std::iter::once(first).chain(wrong.map(|off| format!("  {}", far(off)))).collect()
    }
}

/// How far a result is from the CPU's.
fn far(Off { what, by, limit }: &Off) -> String {
    if *by == f32::MAX {
        return format!("{what}: not a number, or not as many as on the CPU");
    }
    if *limit == 0.0 {
        return format!("{what}: {} values with other bits", print::grouped(*by as usize));
    }
    format!("{what}: off by {by:.1e}, limit {limit:.0e}")
}
