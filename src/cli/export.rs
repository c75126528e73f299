//! `salun export`: a model's weights for PyTorch.

use std::path::PathBuf;

use serde_json::json;

use super::{Common, args, print};
use salun_studio::disk::output::{Output, OutputKind};
use salun_studio::error::{Error, Result};
use salun_studio::models::registry;
use salun_studio::models::torch::{Format, export};

/// Write a model's weights as a state dictionary that PyTorch loads
#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(long, value_name = "M", help = args::models_help())]
    model: String,
    #[command(flatten)]
    own: args::Own,
    /// Leave out normalize.mean and normalize.std, which the official code's networks begin with
    /// and torchvision's have not
    #[arg(long)]
    bare: bool,
    /// The file to write: .pth or .pt (torch.load), or .safetensors
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Runs the command.
pub fn run(args: &Args, common: &Common) -> Result<()> {
    let format = match args.out.extension().and_then(|e| e.to_str()) {
        Some("pth" | "pt") => Format::Pth,
        Some("safetensors") => Format::Safetensors,
        _ => {
            let right = "a name that ends in .pth, .pt or .safetensors is needed";
            return Err(Error::argument("out", args.out.display(), right));
        }
    };
    let model = registry::open(&args.own.behind(&args.model)?)?;
    if model.card.assumed.normalisation && !args.bare {
        print::remark(&format!(
            "Note: {} does not say how pixels are normalised; the mean and deviation of its \
             normalize.* are assumed; say --normalize, or leave them out with --bare",
            args.model
        ));
    }
    let out = Output::new(&args.out, OutputKind::Weights, common.force)?;
    let written = out.write_files(vec![export::encode(&model, format, args.bare)?]);
    let n = model.weights.layout.n();
    print::json(&json!({ "out": args.out.display().to_string(), "params": n }))?;
    print::line(format!("{} weights written to {}", print::grouped(n), written?.display()));
    Ok(())
}
