//! `salun saliency`: a mask, what it keeps of each layer, and its picture; or how much masks have
//! in common.

use std::path::PathBuf;

use serde::Serialize;

use super::{Client, Common, args, print};
use salun_studio::data::forget;
use salun_studio::disk::output::{Beside, Output, OutputKind};
use salun_studio::engine::{Job, Outcome};
use salun_studio::error::{Error, Result};
use salun_studio::run::{bundle, figures};
use salun_studio::saliency::{By, Overlap};
use salun_studio::words::{Budget, Estimator, MaskReport, Recipe};

/// Which weights are salient for a forget set: a mask and its statistics, or what masks have in
/// common
#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(long, value_name = "M", help = args::models_help())]
    model: String,
    #[command(flatten)]
    own: args::Own,
    /// A data set's name, folder:PATH, or NAME+folder:PATH with pictures of one's own beside it; of a
    /// text-to-image model also made:FILE.txt
    #[arg(long, value_name = "D")]
    data: String,
    #[command(flatten)]
    captions: args::Captions,
    #[arg(long, value_name = "F", help = args::forget_help())]
    forget: Option<String>,
    #[arg(long, value_name = "E", default_value = "abs-sum-grad", value_parser = estimator, help = args::masks_help())]
    estimator: Estimator,
    /// Share of weights that may change, from 0 to 1
    #[arg(long, value_name = "R", default_value = "0.5", value_parser = args::real("density", 0.0..=1.0), allow_negative_numbers = true)]
    density: f64,
    /// Seed of everything random
    #[arg(long, value_name = "N", default_value = "1", value_parser = args::seed, allow_negative_numbers = true)]
    seed: u64,
    /// How many pictures of a forget set are looked at: tiny, quick or full
    #[arg(long, default_value = "full", value_parser = args::choice("budget", Budget::ALL))]
    budget: Budget,
    /// Compare the masks of all classes, of several seeds, or of all estimators
    #[arg(long, value_name = "BY", value_parser = args::choice("overlap", By::ALL))]
    overlap: Option<By>,
    /// How many seeds are compared, counted from --seed
    #[arg(long, value_name = "K", default_value = "3", value_parser = args::whole("seeds", 2..=100), allow_negative_numbers = true)]
    seeds: usize,
    /// The mask to write; statistics (.json) and a picture (.png) go beside it. With --overlap,
    /// the folder to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

fn estimator(given: &str) -> Result<Estimator> {
    match Estimator::find(given)? {
        Estimator::None => {
            Err(Error::argument("estimator", given, "it makes no mask; choose another"))
        }
        other => Ok(other),
    }
}

#[derive(Serialize)]
struct Statistics {
    model: String,
    data: String,
    forget: String,
    /// Pictures that the scores were taken over.
    n_forget: usize,
    seed: u64,
    device: String,
    seconds: f64,
    mask: MaskReport,
}

#[derive(Serialize)]
struct Compared {
    model: String,
    data: String,
    forget: Option<String>,
    estimator: Option<String>,
    seed: u64,
    budget: Budget,
    device: String,
    #[serde(flatten)]
    overlap: Overlap,
}

/// Runs the command.
pub fn run(args: &Args, common: &Common) -> Result<()> {
    let forget = match (&args.forget, args.overlap) {
        (Some(_), Some(By::Classes)) => {
            let right = "--overlap classes compares a mask of every class; leave out --forget";
            return Err(Error::Request(right.into()));
        }
        (Some(forget), _) => forget,
        (None, Some(By::Classes)) => "",
        (None, _) => {
            return Err(Error::Request(format!("--forget is needed: {}", forget::HELP)));
        }
    };
    let recipe = Recipe {
        mask: Some(args.estimator),
        density: args.density,
        // Unless said otherwise every picture of the forget set counts (SalUn eq. 3).
        budget: args.budget,
        seed: args.seed,
        ..Recipe::new(&args.own.behind(&args.model)?, &args.captions.of(&args.data)?, forget)
    };
    match args.overlap {
        Some(by) => overlap(args, common, recipe, by),
        None => mask(args, common, recipe),
    }
}

/// The masks of several requests, compared.
fn overlap(args: &Args, common: &Common, recipe: Recipe, by: By) -> Result<()> {
    common.look_at(&recipe.data, &recipe.model)?;
    let out = Output::new(&args.out, OutputKind::Overlap, common.force)?;
    let mut client = Client::open(common)?;
    let job = Job::Overlap { recipe: recipe.clone(), by, seeds: args.seeds };
    let overlap = client.ask(job, Outcome::try_as_overlapped)?;
    let spec = forget::brief(&recipe.forget);
    let what = match by {
        By::Classes => format!("{}, {}", args.model, args.estimator.name()),
        By::Seeds => format!("{}, {spec}, {}", args.model, args.estimator.name()),
        By::Estimators => format!("{}, {spec}, seed {}", args.model, args.seed),
    };
    let statistics = Compared {
        model: args.model.clone(),
        data: args.data.clone(),
        forget: (by != By::Classes).then_some(recipe.forget),
        estimator: (by != By::Estimators).then(|| args.estimator.name().into()),
        seed: args.seed,
        budget: args.budget,
        device: client.info().name.clone(),
        overlap: Overlap::clone(&overlap),
    };
    let figure = figures::overlap(&overlap, &what).png()?;
    let written = out.write_folder(vec![
        ("overlap.csv".into(), overlap.csv().into_bytes()),
        ("overlap.json".into(), bundle::json(&statistics)?),
        ("overlap.png".into(), figure),
    ]);
    print::json(&statistics)?;
    let names = overlap.names.iter().map(String::as_str);
    let head: Vec<&str> = [by.name()].into_iter().chain(names).collect();
    let rows = overlap.names.iter().zip(&overlap.iou);
    let rows = rows.map(|(name, row)| print::row(name, row.iter().map(|v| format!("{v:.3}"))));
    print::line(print::columns(&head, rows));
    let [k, n] = [overlap.k, overlap.n].map(print::grouped);
    print::line(format!(
        "intersection over union of masks of {k} of {n} weights; two random masks have {:.3} ({what}; {})",
        overlap.chance, statistics.device
    ));
    print::written(written)
}

/// One mask.
fn mask(args: &Args, common: &Common, recipe: Recipe) -> Result<()> {
    let besides: [(OutputKind, Beside); 2] = [
        (OutputKind::Statistics, |out| out.with_extension("json")),
        (OutputKind::Picture, |out| out.with_extension("png")),
    ];
    args::ending(&args.out, &["safetensors"])?;
    common.look_at(&recipe.data, &recipe.model)?;
    let out = Output::files(&args.out, OutputKind::Mask, &besides, common.force)?;
    let mut client = Client::open(common)?;
    let ranking = client.ask(Job::Rank(recipe), Outcome::try_as_ranked)?;
    let mask = ranking.mask(args.density)?;
    let statistics = Statistics {
        model: args.model.clone(),
        data: args.data.clone(),
        forget: ranking.forget.clone(),
        n_forget: ranking.n_forget,
        seed: args.seed,
        device: client.info().name.clone(),
        seconds: ranking.seconds,
        mask: mask.report(ranking.n_forget, 0),
    };
    let scores = figures::scores(&ranking);
    let picture = figures::saliency(&statistics.mask, scores.as_ref(), &ranking.forget).png()?;
    let written = out.write_files(vec![mask.encode()?, bundle::json(&statistics)?, picture]);
    print::json(&statistics)?;
    let Statistics { forget, seed, device, seconds, mask, .. } = &statistics;
    let rows = mask.layers.iter().map(|l| {
        let share = 100.0 * l.kept as f64 / l.n.max(1) as f64;
        let [kept, of] = [l.kept, l.n].map(print::grouped);
        [l.name.clone(), kept, of, format!("{share:.1} %")]
    });
    print::line(print::columns(&["layer", "kept", "of", "share"], rows));
    let [k, n, pictures] = [mask.k, mask.n, statistics.n_forget].map(print::grouped);
    let (estimator, forget) = (&mask.estimator, forget::brief(forget));
    print::line(format!(
        "{estimator}: {k} of {n} weights at or above {} for {forget} ({pictures} pictures, seed {seed}, \
         {device}, {seconds:.1} s)",
        figures::short(mask.threshold)
    ));
    print::written(written)
}
