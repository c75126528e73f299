//! `salun train`: trains a model, goes on after a kill, writes weights, card and log.

mod text_to_image;

use std::{
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use salun_studio::{
    data,
    disk::output::{self, Beside, Output, OutputKind},
    engine::job::{Event, Job, LogLine, Outcome, TrainRequest},
    error::{Error, Result},
    eval::judge,
    models::{
        Model,
        checkpoint::{self, Precision},
    },
    run::{
        bundle,
        state::{self, Asked},
    },
    train::{
        losses::Augment,
        preset::{PRESETS, Preset},
    },
};

use super::{
    args::{self, Common},
    client::Client,
    print,
};

/// Train a model; the shipped weights come from this command
#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(help = presets_help())]
    model: String,
    /// A data set's name, or folder:PATH
    #[arg(long, value_name = "NAME")]
    data: String,
    /// Leave this forget set out of the training data (a Retrain twin), as class:NAME
    #[arg(long, value_name = "FORGET")]
    retain: Option<String>,
    /// Passes over the data
    #[arg(long, value_name = "N", value_parser = args::whole("epochs", 1..=10_000), allow_negative_numbers = true)]
    epochs: Option<usize>,
    /// Updates; instead of --epochs
    #[arg(long, value_name = "N", conflicts_with = "epochs", value_parser = args::whole("steps", 1..=10_000_000), allow_negative_numbers = true)]
    steps: Option<usize>,
    /// How many concepts a text-to-image model learns, the commonest first
    #[arg(long, value_name = "N", value_parser = args::whole("concepts", 2..=10_000), allow_negative_numbers = true)]
    concepts: Option<usize>,
    /// Updates of a text-to-image model's autoencoder
    #[arg(long, value_name = "N", value_parser = args::whole("autoencoder-steps", 1..=10_000_000), allow_negative_numbers = true)]
    autoencoder_steps: Option<usize>,
    /// Updates of its decoder alone, at the end; with --from, of that model's and nothing else
    #[arg(long, value_name = "N", value_parser = args::whole("decoder-steps", 1..=10_000_000), allow_negative_numbers = true)]
    decoder_steps: Option<usize>,
    /// Pictures in an update
    #[arg(long, value_name = "N", value_parser = args::whole("batch", 1..=4096), allow_negative_numbers = true)]
    batch: Option<usize>,
    /// Peak of the learning rate
    #[arg(long, value_parser = args::above_zero("lr"), allow_negative_numbers = true)]
    lr: Option<f64>,
    /// Base width of a ResNet or VGG, length of a Swin's tokens, or channels of a U-Net
    #[arg(long, value_name = "N", value_parser = args::whole("width", 4..=256), allow_negative_numbers = true)]
    width: Option<usize>,
    /// How the pictures are varied: none, flip, shift-flip, crop-flip
    #[arg(long, value_name = "HOW", value_parser = Augment::find)]
    augment: Option<Augment>,
    /// Start from these weights (a shipped model or a file), not from fresh ones
    #[arg(long, value_name = "MODEL")]
    from: Option<String>,
    /// Seed of everything random
    #[arg(long, value_name = "N", default_value = "1", value_parser = args::seed, allow_negative_numbers = true)]
    seed: u64,
    /// Go on from the state that a killed run left beside --out
    #[arg(long)]
    resume: bool,
    /// Store the weights in half precision
    #[arg(long)]
    half: bool,
    /// The weights file to write; card, log and state go beside it
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

fn presets_help() -> String {
    let names = PRESETS.iter().map(|p| p.name).chain([text_to_image::NAME, judge::NAME]);
    format!("What to train: {}", names.collect::<Vec<_>>().join(", "))
}

/// The files of a run, reserved before it starts.
struct Files {
    /// Weights, card and log.
    out: Output,
    state: PathBuf,
}

impl Files {
    fn reserve(out: &Path, force: bool) -> Result<Self> {
        args::ending(out, &["safetensors"])?;
        let besides: [(OutputKind, Beside); 2] = [
            (OutputKind::Card, |out| out.with_extension("json")),
            (OutputKind::Log, |out| beside(out, "log.jsonl")),
        ];
        let state = beside(out, "state");
        output::clear(&state);
        Ok(Self { out: Output::files(out, OutputKind::Weights, &besides, force)?, state })
    }

    fn write(self, model: &Model, half: bool, log: &[LogLine]) -> Result<PathBuf> {
        let precision = if half { Precision::Half } else { Precision::Full };
        let (weights, card) = (checkpoint::encode(model, precision)?, bundle::json(&model.card)?);
        let written = self.out.write_files(vec![weights, card, bundle::log(log)?.into_bytes()])?;
        remove(&self.state)?;
        Ok(written)
    }
}

/// `out` with another ending after its own.
fn beside(out: &Path, ending: &str) -> PathBuf {
    let mut name = out.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    name.into()
}

/// Removes a state that is no longer needed.
pub fn remove(state: &Path) -> Result<()> {
    match fs::remove_file(state) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::write(state, e)),
        _ => Ok(()),
    }
}

/// Runs the command.
pub fn run(args: &Args, common: &Common) -> Result<()> {
    if args.model == text_to_image::NAME {
        return text_to_image::run(args, common);
    }
    if args.model == judge::NAME {
        return train_judge(args, common);
    }
    if args.autoencoder_steps.or(args.decoder_steps).or(args.concepts).is_some() {
        let reason = "--autoencoder-steps, --decoder-steps and --concepts are for text-to-image; \
                      leave them out";
        return Err(Error::Request(reason.into()));
    }
    let preset = Preset::find(&args.model)?;
    let mut request = TrainRequest {
        preset: args.model.clone(),
        data: args.data.clone(),
        without: args.retain.clone(),
        epochs: args.epochs,
        steps: args.steps,
        batch: args.batch,
        lr: args.lr,
        width: args.width,
        augment: args.augment,
        from: args.from.clone(),
        seed: args.seed,
        resume: None,
    };
    common.look_at(&args.data)?;
    let data = data::open(&args.data)?;
    let asked = Asked { fingerprint: data.fingerprint.clone(), ..Asked::from(&request) };
    let files = Files::reserve(&args.out, common.force)?;
    let mut log = Vec::new();
    if args.resume {
        let (_, layout) = preset.architecture(&data, args.width)?.build();
        let state = state::read(&files.state, &asked, &layout)?;
        log = state.log;
        request.resume = Some(Box::new(state.snapshot));
    } else if files.state.exists() && !common.force {
        return Err(Error::Request(format!(
            "{} is left from a run that did not end; pass --resume to go on from it or --force to \
             start anew",
            files.state.display()
        )));
    }

    let mut client = Client::open(common)?;
    let (clock, before) = (Instant::now(), log.last().map_or(0.0, |l: &LogLine| l.seconds));
    let mut kept = request.resume.as_ref().map(|s| s.step);
    let trained =
        client.hear("", Job::Train(request), Outcome::try_as_trained, |event| match event {
            Event::Step { live, .. } => {
                let seconds = before + clock.elapsed().as_secs_f64();
                log.push(LogLine { step: live.step, loss: live.loss, seconds });
            }
            Event::Snapshot { snapshot, .. } => {
                let written = state::write(&files.state, &asked, snapshot, &log);
                kept = print::or_later(written).then_some(snapshot.step).or(kept);
            }
            _ => {}
        });
    if let (Err(Error::Cancelled), Some(step), false) = (&trained, kept, common.quiet) {
        print::note(&format!("step {step} is kept; --resume goes on from it"));
    }
    let model = trained?;
    let written = files.write(&model, args.half, &log);
    summary(&model, args, common, written)
}

/// The classifier of emoji is small: it is trained in one go, and its state is not kept.
fn train_judge(args: &Args, common: &Common) -> Result<()> {
    let files = Files::reserve(&args.out, common.force)?;
    let mut client = Client::open(common)?;
    let (data, steps) = (args.data.clone(), args.steps.unwrap_or(judge::STEPS));
    let job = Job::TrainJudge { data, steps, seed: args.seed };
    let mut model = (*client.ask("", job, Outcome::try_as_trained)?).clone();
    let info = client.info();
    model.card.device = format!("{} ({})", info.name, info.api);
    let written = files.write(&model, args.half, &[]);
    summary(&model, args, common, written)
}

fn summary(model: &Model, args: &Args, common: &Common, written: Result<PathBuf>) -> Result<()> {
    let card = &model.card;
    if common.json {
        let out = args.out.display().to_string();
        print::json(&serde_json::json!({ "out": out, "card": card }))?;
        return written.map(drop);
    }
    let weights = format!("{} weights", print::grouped(model.weights.values.len()));
    let training = card
        .training
        .as_ref()
        .map(|t| format!("{} steps of {}, {:.0} s, seed {}", t.steps, t.batch, t.seconds, t.seed));
    let metrics = card.metrics.iter().map(|(name, v)| format!("{name} {v:.2}"));
    let parts =
        std::iter::once(weights).chain(training).chain(metrics).chain([card.device.clone()]);
    print::line(format!("{}: {}", card.name, parts.collect::<Vec<_>>().join("; ")));
    print::written(written)
}
