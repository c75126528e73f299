//! `salun apply`: a model with a run's change, or a part of it.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::json;

use super::{Common, args, print};
use salun_studio::disk;
use salun_studio::disk::output::{Output, OutputKind};
use salun_studio::error::Result;
use salun_studio::models::latent;
use salun_studio::models::{AnyModel, Precision, checkpoint, delta, registry};
use salun_studio::words::STRENGTHS;

/// Bytes of a change's file at most: 8 for each of the largest model's weights, and more.
const MOST: u64 = 16 << 30;

/// Write a model with a run's change, or a part of it, from a file of salun export --delta
#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(long, value_name = "M", help = args::models_help())]
    model: String,
    #[command(flatten)]
    own: args::Own,
    /// The run's change, as salun export --run DIR --delta FILE writes it
    #[arg(long, value_name = "FILE")]
    delta: PathBuf,
    /// How much of it, from 0, the model as it is, over 1, what the run ended with, to 1.5
    #[arg(long, value_name = "S", default_value = "1", value_parser = args::real("strength", STRENGTHS), allow_negative_numbers = true)]
    strength: f64,
    /// The weights file to write, or the folder of a text-to-image model
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Runs the command.
pub fn run(args: &Args, common: &Common) -> Result<()> {
    let Args { delta: file, strength, out, .. } = args;
    let name = args.own.behind(&args.model)?;
    let folder = registry::is_latent(&name);
    let kind = match folder {
        true if registry::is_single(&name) => OutputKind::Single,
        true => OutputKind::Pipeline,
        false => OutputKind::Weights,
    };
    if !folder {
        args::ending(out, &["safetensors"])?;
    }
    let place = Output::new(out, kind, common.force)?;
    let original = match folder {
        true => AnyModel::Latent(Arc::new(registry::open_latent(&name)?)),
        false => AnyModel::Plain(Arc::new(registry::open(&name)?)),
    };
    let change = delta::decode(&disk::read_at_most(file, MOST)?, file, &original)?;
    let written = match delta::model_at(&original, &change.run, *strength)? {
        AnyModel::Plain(model) => {
            place.write_files(vec![checkpoint::encode(&model, Precision::Full)?])
        }
        AnyModel::Latent(model) => {
            place.write_folder(latent::folder::write(&model, Precision::Full)?)
        }
    };
    let delta::Change { n, protocol, .. } = change;
    print::json(&json!({
        "out": out.display().to_string(), "strength": strength, "weights": n, "protocol": protocol,
    }))?;
    print::line(format!(
        "{strength} of the change of {} weights, of the run with protocol {}",
        print::grouped(n),
        protocol.chars().take(12).collect::<String>()
    ));
    print::written(written)
}
