//! `salun train`: trains a model, goes on after a kill, writes weights, card and log; of a text-to-image
//! model a diffusers folder, and the log beside it.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use serde_json::json;

use super::kept::{self, beside};
use super::{Client, Common, args, print};
use salun_studio::data;
use salun_studio::data::corpus;
use salun_studio::disk::output;
use salun_studio::disk::output::{Beside, Output, OutputKind};
use salun_studio::engine::{Event, Job, LiveStep, LogLine, Outcome};
use salun_studio::error::{Error, Result};
use salun_studio::eval::emoji_judge;
use salun_studio::models::latent::{LatentCard, LatentModel, folder};
use salun_studio::models::{AnyModel, Precision, Training, checkpoint};
use salun_studio::run::{bundle, state};
use salun_studio::train::losses::Augment;
use salun_studio::train::{PRESETS, Preset, Snapshot, TrainRequest, latent};

/// Train a model; the shipped weights come from this command
#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(help = presets_help())]
    model: String,
    /// A data set's name, folder:PATH, or NAME+folder:PATH with pictures of one's own beside it
    #[arg(long, value_name = "NAME")]
    data: String,
    #[command(flatten)]
    captions: args::Captions,
    /// Leave this forget set out of the training data (a Retrain twin), as class:NAME
    #[arg(long, value_name = "FORGET")]
    retain: Option<String>,
    /// Passes over the data
    #[arg(long, value_name = "N", value_parser = args::whole("epochs", 1..=10_000), allow_negative_numbers = true)]
    epochs: Option<usize>,
    /// Updates; instead of --epochs
    #[arg(long, value_name = "N", conflicts_with = "epochs", value_parser = args::whole("steps", 1..=10_000_000), allow_negative_numbers = true)]
    steps: Option<usize>,
    /// How many concepts a text-to-image model learns, the commonest first [default: 96 emoji; of your own all]
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
    let names = PRESETS.iter().map(|p| p.name).chain([latent::preset::NAME, emoji_judge::NAME]);
    format!("What to train: {}", names.collect::<Vec<_>>().join(", "))
}

/// What a run is asked for, its log so far, and its files, reserved before it starts.
struct Run {
    request: TrainRequest,
    lines: Vec<LogLine>,
    /// Weights, card and log; or the folder of a text-to-image model,
    out: Output,
    /// and its log.
    log: Option<Output>,
    state: PathBuf,
    /// The text-to-image model while it is trained.
    so_far: PathBuf,
}

impl Run {
    fn reserve(out: &Path, request: TrainRequest, force: bool) -> Result<Self> {
        let pipeline = request.preset == latent::preset::NAME;
        if !pipeline {
            args::ending(out, &["safetensors"])?;
        }
        let (state, so_far) = (beside(out, "state"), beside(out, "so-far"));
        [&state, &so_far].into_iter().for_each(|path| output::clear(path));
        let (out, log) = if pipeline {
            let folder = Output::new(out, OutputKind::Pipeline, force)?;
            let log = Output::new(&beside(out, "log.jsonl"), OutputKind::Log, force)?;
            (folder, Some(log))
        } else {
            let besides: [(OutputKind, Beside); 2] = [
                (OutputKind::Card, |out| out.with_extension("json")),
                (OutputKind::Log, |out| beside(out, "log.jsonl")),
            ];
            (Output::files(out, OutputKind::Weights, &besides, force)?, None)
        };
        Ok(Self { request, lines: Vec::new(), out, log, state, so_far })
    }

    /// Keeps the state of a run that goes on.
    fn keep(&self, snapshot: &Snapshot, model: Option<&LatentModel>) -> Result<()> {
        state::write(&self.state, &self.request, snapshot, &self.lines)?;
        let Some(model) = model else { return Ok(()) };
        Output::new(&self.so_far, OutputKind::Pipeline, true)?
            .write_here(&folder::write(model, Precision::Full)?)
            .map(drop)
    }

    fn write(self, model: &AnyModel, half: bool) -> Result<PathBuf> {
        let precision = if half { Precision::Half } else { Precision::Full };
        let lines = bundle::log(&self.lines)?.into_bytes();
        let written = match model {
            AnyModel::Plain(model) => {
                let weights = checkpoint::encode(model, precision)?;
                self.out.write_files(vec![weights, bundle::json(&model.card)?, lines])?
            }
            AnyModel::Latent(model) => {
                let written = self.out.write_folder(folder::write(model, precision)?)?;
                self.log.map(|file| file.write_files(vec![lines])).transpose()?;
                // What the last snapshot left; the whole model is there now.
                let _ = fs::remove_dir_all(&self.so_far);
                written
            }
        };
        kept::remove(&self.state)?;
        Ok(written)
    }
}

/// Runs the command.
///
/// # Errors
/// It cannot be removed.
pub fn run(args: &Args, common: &Common) -> Result<()> {
    let request = request(args, common)?;
    if args.resume && args.model == emoji_judge::NAME {
        let right = "a judge's training keeps no state to go on from; leave it out";
        return Err(Error::argument("resume", &args.model, right));
    }
    let mut run = Run::reserve(&args.out, request, common.force)?;
    let mut resume = None;
    if args.resume {
        let (snapshot, lines) = state::read(&run.state, &run.request)?;
        (run.lines, resume) = (lines, Some(Box::new(snapshot)));
    } else {
        kept::begin(&run.state, common.force)?;
    }

    let mut client = Client::open(common)?;
    let (clock, before) = (Instant::now(), run.lines.last().map_or(0.0, |l| l.seconds));
    let mut kept = resume.as_ref().map(|s| s.step);
    let job = Job::Train { request: run.request.clone(), resume };
    let trained = client.hear(job, Outcome::try_as_trained, |event| match event {
        Event::Step { live, .. } => {
            let seconds = before + clock.elapsed().as_secs_f64();
            let LiveStep { step, loss, parts, .. } = *live;
            run.lines.push(LogLine { step, loss, parts, seconds });
        }
        Event::Snapshot { snapshot, model, .. } => {
            let written = run.keep(snapshot, model.as_deref());
            kept = print::or_later(written).then_some(snapshot.step).or(kept);
        }
        _ => {}
    });
    if let (Err(Error::Cancelled), Some(step)) = (&trained, kept) {
        print::remark(&format!("step {step} is kept; --resume goes on from it"));
    }
    let model = trained?;
    let written = run.write(&model, args.half);
    let card = match &*model {
        AnyModel::Plain(model) => json!(model.card),
        AnyModel::Latent(model) => json!(model.card),
    };
    print::json(&json!({ "out": args.out.display().to_string(), "card": card }))?;
    summary(&model);
    print::written(written)
}

/// What is asked for, as far as it can be asked for.
fn request(args: &Args, common: &Common) -> Result<TrainRequest> {
    let mut request = TrainRequest {
        preset: args.model.clone(),
        data: args.captions.of(&args.data)?,
        without: args.retain.clone(),
        epochs: args.epochs,
        steps: args.steps,
        batch: args.batch,
        lr: args.lr,
        width: args.width,
        augment: args.augment,
        from: args.from.clone(),
        seed: args.seed,
        fingerprint: None,
        concepts: args.concepts,
        autoencoder_steps: args.autoencoder_steps,
        decoder_steps: args.decoder_steps,
    };
    if args.model == latent::preset::NAME {
        let corpus = corpus::find(&request.data)?;
        latent::preset::trainable(&corpus)?;
        check_prompts(args)?;
        let plan = latent::preset::plan(&request, &corpus);
        return Ok(latent::preset::request(&plan, request.data, request.from));
    }
    if args.model == emoji_judge::NAME {
        return Ok(request);
    }
    if args.autoencoder_steps.or(args.decoder_steps).or(args.concepts).is_some() {
        let reason = "--autoencoder-steps, --decoder-steps and --concepts are for text-to-image; \
                      leave them out";
        return Err(Error::Request(reason.into()));
    }
    Preset::find(&args.model)?;
    common.look_at(&request.data, &args.model)?;
    request.fingerprint = data::open(&request.data)?.fingerprint.clone();
    Ok(request)
}

/// Refuses what is not for text-to-image models.
fn check_prompts(args: &Args) -> Result<()> {
    // Of a trained model nothing but the decoder is trained on.
    let trained = args.from.is_some();
    let unused = [
        ("retain", args.retain.is_some()),
        ("epochs", args.epochs.is_some()),
        ("width", args.width.is_some()),
        ("augment", args.augment.is_some()),
        ("steps beside --from", trained && args.steps.is_some()),
        ("batch beside --from", trained && args.batch.is_some()),
        ("lr beside --from", trained && args.lr.is_some()),
        ("autoencoder-steps beside --from", trained && args.autoencoder_steps.is_some()),
    ];
    if let Some((name, _)) = unused.iter().find(|(_, given)| *given) {
        return Err(Error::Request(format!("--{name} is not for text-to-image; leave it out")));
    }
    if trained && args.decoder_steps.is_none() {
        let reason = "--from trains the decoder of a text-to-image model; add --decoder-steps N";
        return Err(Error::Request(reason.into()));
    }
    Ok(())
}

fn summary(model: &AnyModel) {
    let weights = |n: usize| format!("{} weights", print::grouped(n));
    let trained = |Training { steps, batch, seconds, seed, .. }: &Training| {
        format!("{steps} steps of {batch}, {seconds:.0} s, seed {seed}")
    };
    match model {
        AnyModel::Plain(model) => {
            let card = &model.card;
            let parts = std::iter::once(weights(model.weights.values.len()))
                .chain(card.training.as_ref().map(trained))
                .chain(card.metrics.iter().map(|(name, v)| format!("{name} {v:.2}")))
                .chain([card.device.clone()]);
            print::line(format!("{}: {}", card.name, parts.collect::<Vec<_>>().join("; ")));
        }
        AnyModel::Latent(model) => {
            let LatentModel { text, unet, vae, .. } = &**model;
            let parts = [("text encoder", text), ("U-Net", unet), ("autoencoder", vae)];
            let parts = parts.map(|(part, own)| format!("{part} {}", weights(own.values.len())));
            print::line(parts.join("; "));
            let stages = model.card.iter().flat_map(|card| {
                let LatentCard { autoencoder, diffusion, decoder, .. } = card;
                [("autoencoder", autoencoder), ("U-Net", diffusion), ("decoder", decoder)]
            });
            for (part, training) in stages {
                training.iter().for_each(|t| print::line(format!("{part}: {}", trained(t))));
            }
        }
    }
}
