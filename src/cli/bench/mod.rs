//! `salun bench`: the figures of docs/figures.md, ours and the rival's in turn on this machine.

mod kernels;
mod memory;
mod pilot;
mod stable;
mod verdict;
mod work;
mod worker;

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use clap::ValueEnum;
use serde::Serialize;
use work::Workload;
use worker::Worker;

use super::{Common, args, print, studio};
use salun_studio::error::{Error, Result};
use salun_studio::gpu::kernels::Kernels;
use salun_studio::gpu::{DeviceInfo, DeviceKind, device};

/// In the repository that the program was built from.
const PEER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/bench.py");
/// The rival of a text-to-image model.
const STABLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/stable.py");

/// Times our work beside PyTorch's on this machine, in turn
#[derive(Debug, clap::Args)]
pub struct Args {
    /// One row only
    #[arg(long, value_name = "WORK")]
    only: Option<Workload>,
    /// A text-to-image model in diffusers' layout: what it takes to draw, to score and to update it, alone
    #[arg(long, value_name = "DIR", conflicts_with_all = ["kernels", "verdict"])]
    model: Option<String>,
    #[command(flatten)]
    sizes: stable::Sizes,
    /// Rounds that the medians are over
    #[arg(long, default_value = "5", value_parser = args::whole("rounds", 1..=1000), allow_negative_numbers = true)]
    rounds: usize,
    /// The Python that has PyTorch
    #[arg(long, value_name = "PROGRAM", default_value = "python3")]
    python: PathBuf,
    /// The rival's script
    #[arg(long, value_name = "FILE")]
    peer: Option<PathBuf>,
    /// Count the first round, which warms up, too
    #[arg(long)]
    cold: bool,
    /// The WGSL kernels alone, on a GPU
    #[arg(long, conflicts_with = "only")]
    kernels: bool,
    /// Leave the studio's window out
    #[arg(long)]
    no_window: bool,
    #[command(flatten)]
    verdict: verdict::Args,
    /// Answers on standard input and output as one of the two sides
    #[arg(long, hide = true)]
    serve: Option<Workload>,
    /// Opens the studio, presses its buttons and tells what it measured
    #[arg(long, hide = true)]
    pilot: bool,
}

/// One line of the table; ratio = rival_s / ours_s.
#[derive(Debug, Serialize)]
struct Row {
    work: String,
    size: String,
    ours_s: f64,
    ours_range_s: [f64; 2],
    ours_mb: Option<f64>,
    rival: String,
    rival_s: Option<f64>,
    rival_range_s: Option<[f64; 2]>,
    rival_mb: Option<f64>,
    ratio: Option<f64>,
}

/// Runs the command.
pub fn run(args: &Args, common: &Common) -> Result<()> {
    if let Some(work) = args.serve {
        return work.serve((args.model.as_deref(), args.sizes), common);
    }
    if args.pilot {
        return pilot::fly(common);
    }
    if args.verdict.verdict {
        return verdict::run(&args.verdict, common);
    }
    if let Some(work) = args.only.filter(|work| work.is_of_model() != args.model.is_some()) {
        let right = if work.is_of_model() { "give --model DIR, too" } else { "leave --model out" };
        return Err(Error::argument("only", work.name(), right));
    }
    let compute = device::open(common.device)?;
    let (device, mut rows) = (compute.info, Vec::new());
    for &work in Workload::value_variants() {
        let asked = args.only.is_none_or(|only| only == work);
        if !args.kernels && asked && work.is_of_model() == args.model.is_some() {
            print::remark(&format!("{}: {}", work.title(), work.size(args.sizes)));
            rows.push(row(work, args, common, &device)?);
        }
    }
    let whole = args.only.is_none() && args.model.is_none();
    let kernels = match Kernels::of(&compute.device).filter(|_| whole) {
        Some(found) => kernels::measure(&found, &work::resnet18(), args.rounds)?,
        None if args.kernels => {
            return Err(Error::argument("device", device.name, "the kernels need a GPU"));
        }
        None => Vec::new(),
    };
    let window = whole && !args.kernels && !args.no_window;
    let studio = (window && studio::has_display()).then(|| pilot::measure(common));
    let studio = studio.and_then(|found| found.map_err(|e| print::note(&e.to_string())).ok());
    print::json(&serde_json::json!({
        "device": device, "rows": rows, "kernels": kernels, "studio": studio,
    }))?;
    let (rounds, on) = (args.rounds, print::device(&device));
    if !rows.is_empty() {
        print::line(table(&rows));
        let held = if args.model.is_some() { "in all" } else { "beyond the start" };
        print::line(format!(
            "medians of {rounds} rounds, ours and the rival's in turn, least and most in brackets; \
             MiB {held}; {on}"
        ));
    }
    if !kernels.is_empty() {
        print::line(kernels::table(&kernels));
        print::line(format!("medians of {rounds} rounds, least and most in brackets; {on}"));
    }
    if let Some(studio) = studio {
        print::line(studio.line());
    } else if window {
        print::line("studio: no window could be opened, so no frames were measured");
    }
    Ok(())
}

fn row(work: Workload, args: &Args, common: &Common, device: &DeviceInfo) -> Result<Row> {
    let program = std::env::current_exe().map_err(|e| Error::Request(e.to_string()))?;
    let name = work.name();
    let mut own = Command::new(program);
    own.args(["bench", "--serve", &name, "--device", common.device.name()]);
    let [latents, updates] = args.sizes.said();
    let sizes = ["--latents", &latents, "--updates", &updates];
    own.args(args.model.iter().flat_map(|model| ["--model", model].into_iter().chain(sizes)));
    let mut peer = Command::new(&args.python);
    // A GPU against a CPU would be no comparison.
    let theirs = if device.kind == DeviceKind::Cpu { "cpu" } else { "cuda" };
    let script = if args.model.is_some() { STABLE } else { PEER };
    peer.arg(args.peer.as_deref().unwrap_or(Path::new(script))).args([&name, theirs]);
    peer.args(args.model.iter().flat_map(|model| [model, &latents, &updates]));
    // The first round of each warms up.
    let warm = usize::from(!args.cold);
    let n = args.rounds + warm;
    let mut ours = Worker::start("salun bench", &mut own)?;
    let (mut own, mut theirs) = (Vec::new(), Vec::new());
    let (ours_mb, rival) = if work.is_of_model() {
        // There may be no room for both at once.
        own.extend(ours.rounds(n)?);
        let ours_mb = ours.end()?;
        let rival = Worker::start("the rival", &mut peer).and_then(|mut rival| {
            theirs.extend(rival.rounds(n)?);
            Ok(rival)
        });
        (ours_mb, rival)
    } else {
        let mut rival = Worker::start("the rival", &mut peer);
        for _ in 0..n {
            own.extend(ours.rounds(1)?);
            if let Ok(other) = &mut rival {
                match other.rounds(1) {
                    Ok(seconds) => theirs.extend(seconds),
                    Err(error) => rival = Err(error),
                }
            }
        }
        (ours.end()?, rival)
    };
    let [low, ours_s, high] = spread(&mut own[warm..]);
    let (rival, times, rival_mb) = match rival {
        Ok(rival) => (work.rival().into(), Some(spread(&mut theirs[warm..])), rival.end()?),
        Err(error) => (format!("not run ({error})"), None, None),
    };
    Ok(Row {
        work: name,
        size: work.size(args.sizes),
        ours_s,
        ours_range_s: [low, high],
        ours_mb,
        rival,
        rival_s: times.map(|[_, s, _]| s),
        rival_range_s: times.map(|[low, _, high]| [low, high]),
        rival_mb,
        ratio: times.map(|[_, s, _]| s / ours_s),
    })
}

/// Least, median and most.
fn spread(seconds: &mut [f64]) -> [f64; 3] {
    seconds.sort_by(f64::total_cmp);
    let last = seconds.len() - 1;
    [seconds[0], (seconds[last / 2] + seconds[last.div_ceil(2)]) / 2.0, seconds[last]]
}

fn table(rows: &[Row]) -> String {
    let head = ["work", "size", "ours, s", "MiB", "rival", "rival, s", "MiB", "ratio"];
    let timed = |s: f64, [low, high]: [f64; 2]| {
        let digits = if s < 0.001 { 6 } else { 4 };
        format!("{s:.digits$} [{low:.digits$}, {high:.digits$}]")
    };
    let rows = rows.iter().map(|r| {
        let theirs = r.rival_s.zip(r.rival_range_s);
        [
            r.work.clone(),
            r.size.clone(),
            timed(r.ours_s, r.ours_range_s),
            print::number(r.ours_mb, 0),
            r.rival.clone(),
            theirs.map_or("-".into(), |(s, range)| timed(s, range)),
            print::number(r.rival_mb, 0),
            print::number(r.ratio, 2),
        ]
    });
    print::columns(&head, rows)
}
