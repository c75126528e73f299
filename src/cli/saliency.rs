//! `salun saliency`: a mask, what it keeps of each layer, and its picture.

use std::path::PathBuf;

use salun_studio::{
    engine::job::Job,
    error::{Error, Result},
    run::{
        bundle, figures,
        output::Output,
        recipe::{Budget, Recipe},
        report::MaskReport,
    },
    saliency::estimator::Estimator,
};
use serde::Serialize;

use super::{
    args::{self, Common},
    client::{Client, answer},
    print,
};

/// Which weights are salient for a forget set: a mask and its statistics
#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(long, value_name = "M", help = args::models_help())]
    model: String,
    /// A data set's name, or folder:PATH
    #[arg(long, value_name = "D")]
    data: String,
    /// What to forget: class:NAME, random:10%, random:COUNT or indices:FILE
    #[arg(long, value_name = "F")]
    forget: String,
    #[arg(long, value_name = "E", default_value = "abs-sum-grad", value_parser = estimator, help = args::masks_help())]
    estimator: Estimator,
    /// Share of weights that may change, from 0 to 1
    #[arg(long, value_name = "R", default_value = "0.5", value_parser = args::real("density", 0.0..=1.0), allow_negative_numbers = true)]
    density: f64,
    /// Seed of everything random
    #[arg(long, value_name = "N", default_value = "1", value_parser = args::seed, allow_negative_numbers = true)]
    seed: u64,
    /// The mask to write; statistics (.json) and a picture (.png) go beside it
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

/// Runs the command.
pub fn run(args: &Args, common: &Common) -> Result<()> {
    let recipe = Recipe {
        mask: Some(args.estimator),
        density: args.density,
        // Every picture of the forget set counts (SalUn eq. 3).
        budget: Budget::Full,
        seed: args.seed,
        ..Recipe::new(&args.model, &args.data, &args.forget)
    };
    let [json, png] = ["json", "png"].map(|e| args.out.with_extension(e));
    if json == args.out || png == args.out {
        let right = "another output takes this name; choose one that ends in .safetensors";
        return Err(Error::argument("out", args.out.display(), right));
    }
    common.look_at(&args.data)?;
    let mask_file = Output::file(&args.out, common.force)?;
    let json = Output::file(&json, common.force)?;
    let png = Output::file(&png, common.force)?;

    let mut client = Client::open(common)?;
    let ranking = answer!(client.run("", Job::Rank(recipe), |_| Ok(()))?, Ranked);
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
    json.write(&bundle::json(&statistics)?)?;
    png.write(&figures::saliency(&mask, Some(&ranking), &ranking.forget)?)?;
    mask_file.write(&mask.encode()?)?;
    if common.json {
        return print::json(&statistics);
    }
    let mut rows = vec![["layer", "kept", "of", "share"].map(String::from).to_vec()];
    rows.extend(statistics.mask.layers.iter().map(|l| {
        let share = 100.0 * l.kept as f64 / l.n.max(1) as f64;
        vec![l.name.clone(), print::grouped(l.kept), print::grouped(l.n), format!("{share:.1} %")]
    }));
    print::line(print::table(&rows));
    print::line(format!(
        "{}: {} of {} weights at or above {} for {} ({} pictures, seed {}, {}, {:.1} s)",
        statistics.mask.estimator,
        print::grouped(mask.k),
        print::grouped(mask.bits.len()),
        figures::short(statistics.mask.threshold),
        statistics.forget,
        print::grouped(statistics.n_forget),
        statistics.seed,
        statistics.device,
        statistics.seconds
    ));
    print::line(format!("written to {}", args.out.display()));
    Ok(())
}
