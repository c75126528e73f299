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
    /// What a .pth holds: plain, a state dictionary, or ddpm, the list that the official DDPM code loads
    #[arg(long = "as", value_name = "FORM", default_value = "plain", value_parser = args::named("form", &FORMS))]
    form: Format,
    /// The file to write: .pth or .pt (torch.load), or .safetensors
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// The forms of a `.pth`.
const FORMS: [(&str, Format); 2] = [("plain", Format::Pth), ("ddpm", Format::Ddpm)];

/// Runs the command.
pub fn run(args: &Args, common: &Common) -> Result<()> {
    let format = match args.out.extension().and_then(|e| e.to_str()) {
        Some("pth" | "pt") => args.form,
        Some("safetensors") if args.form == Format::Pth => Format::Safetensors,
        Some("safetensors") => {
            let right = "only a .pth has this form; leave it out, or write to FILE.pth";
            return Err(Error::argument("as", "ddpm", right));
        }
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
    model.card.notes.iter().for_each(|note| print::remark(&format!("{}: {note}", args.model)));
    let unsaid = export::unsaid(&model);
    if !unsaid.is_empty() {
        print::remark(&format!(
            "Note: a state dictionary does not say all of such a network; to open it here again, add {unsaid}"
        ));
    }
    let out = Output::new(&args.out, OutputKind::Weights, common.force)?;
    let written = out.write_files(vec![export::encode(&model, format, args.bare)?]);
    let n = model.weights.layout.n();
    print::json(&json!({ "out": args.out.display().to_string(), "params": n }))?;
    print::line(format!("{} weights written to {}", print::grouped(n), written?.display()));
    Ok(())
}
