//! `salun check`: holds this machine's device against the CPU, a line a part.

use std::time::Instant;

use pollster::block_on;
use serde::Serialize;

use super::{Common, Watch, args, print};
use salun_studio::engine::check;
use salun_studio::engine::check::{CheckPart, Found, Off};
use salun_studio::error::{Error, Result};
use salun_studio::gpu::{Compute, DeviceInfo, DeviceKind, device};
use salun_studio::job_context::{JobContext, Switches, Told};
use salun_studio::words::Task;

/// Hold this machine's device against the CPU: a wrong driver computes wrong numbers in silence
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to check, unless it is all: operations, kernels, classify, generate, text-to-image
    #[arg(long, value_name = "PART", value_delimiter = ',', value_parser = args::named("part", &PARTS))]
    only: Vec<CheckPart>,
}

const PARTS: [(&str, CheckPart); 5] = [
    ("operations", CheckPart::Operations),
    ("kernels", CheckPart::Kernels),
    ("classify", CheckPart::Updates(Task::Classify)),
    ("generate", CheckPart::Updates(Task::Generate)),
    ("text-to-image", CheckPart::Updates(Task::TextToImage)),
];

/// What came of all parts.
#[derive(Serialize)]
struct Checked<'a> {
    device: &'a DeviceInfo,
    ok: bool,
    parts: Vec<Row>,
}

/// A part's outcome.
#[derive(Serialize)]
struct Row {
    part: &'static str,
    ok: bool,
    /// The outcome in one line.
    said: String,
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
    let nothing = ": nothing to check, others are held against the CPU";
    print::line(format!("{}{}", print::device(device), if on_gpu { "" } else { nothing }));
    let mut parts = Vec::new();
    for (name, part) in PARTS {
        if on_gpu && (args.only.is_empty() || args.only.contains(&part)) {
            let row = hold(name, part, &compute)?;
            row.lines().iter().for_each(print::line);
            parts.push(row);
        }
    }
    let wrong = parts.iter().find(|row| !row.ok).map(|row| row.said.clone());
    print::json(&Checked { device, ok: wrong.is_none(), parts })?;
    let go_on = "go on with --device cpu, or with a newer driver";
    wrong.map_or(Ok(()), |said| Err(Error::Device(format!("{said}; {go_on}"))))
}

/// Runs a part; the device's failure is an outcome.
///
/// # Errors
/// Cancelled.
fn hold(name: &'static str, part: CheckPart, compute: &Compute) -> Result<Row> {
    let clock = Instant::now();
    let mut job = watched(name);
    let (found, error) = match block_on(check::hold(part, compute, &mut job)) {
        Ok(found) => (Some(found), None),
        Err(Error::Cancelled) => return Err(Error::Cancelled),
        Err(Error::Device(why)) => (None, Some(why)),
        Err(other) => (None, Some(other.to_string())),
    };
    let Found { compared, first_update_s } = found.unwrap_or_default();
    let (n, near) = (compared.len(), compared.iter().filter(|off| off.is_near()).count());
    let worst = compared.iter().max_by(|a, b| a.share().total_cmp(&b.share())).cloned();
    let (ok, outcome) = match (&error, &worst) {
        (Some(error), _) => (false, error.clone()),
        (None, None) => (false, "nothing was compared".into()),
        (None, Some(worst)) if near == n => {
            (true, format!("{n} results as on the CPU; furthest, {}", far(worst)))
        }
        (None, Some(worst)) => {
            (false, format!("{} of {n} results wrong; furthest, {}", n - near, far(worst)))
        }
    };
    let (said, seconds) = (format!("{name}: {outcome}"), clock.elapsed().as_secs_f64());
    Ok(Row { part: name, ok, said, seconds, first_update_s, error, worst, compared })
}

/// A job that shows a part's progress and hears Ctrl-C.
fn watched(name: &'static str) -> JobContext {
    let (mut watch, switches) = (Watch::begin(), Switches::default());
    switches.ask(1);
    let stop = switches.clone();
    JobContext::new(1, switches, move |told| {
        if let Told::Progress(p) = told
            && watch.tick(&format!("{name}: {}", p.phase), p.done, p.total).is_err()
        {
            stop.cancel();
        }
    })
}

impl Row {
    /// What is said of it with the time that it took, then every result that is wrong.
    fn lines(&self) -> Vec<String> {
        let mut first = format!("{}; {:.1} s", self.said, self.seconds);
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
