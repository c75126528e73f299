//! `salun export`: a model's weights for PyTorch; a run's change by itself, or as a LoRA; a run as a page.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::json;

use super::{Client, Common, args, print};
use salun_studio::disk::output::{Output, OutputKind};
use salun_studio::engine::{Job, Outcome};
use salun_studio::error::{Error, Result};
use salun_studio::models::registry;
use salun_studio::models::torch::{Format, export};
use salun_studio::run::{Saved, folder};
use salun_studio::saliency::Mask;
use salun_studio::words::{Export, LoraLayout, RANKS, Recipe};

/// Write a model's weights as a state dictionary that PyTorch loads; a run's change by itself, or a run as a page
#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(long, value_name = "M", required_unless_present = "run", help = args::models_help())]
    model: Option<String>,
    #[command(flatten)]
    own: args::Own,
    /// Leave out normalize.mean and normalize.std, which the official code's networks begin with
    /// and torchvision's have not
    #[arg(long, requires = "out")]
    bare: bool,
    /// What a .pth holds: plain, a state dictionary, or ddpm, the list that the official DDPM code loads
    #[arg(long = "as", value_name = "FORM", default_value = "plain", value_parser = args::named("form", &FORMS))]
    form: Format,
    /// The file to write: .pth or .pt (torch.load), or .safetensors
    #[arg(long, value_name = "FILE", required_unless_present = "run", conflicts_with = "run")]
    out: Option<PathBuf>,
    /// A run folder, whose change is written: from the model of its recipe, or from --model
    #[arg(long, value_name = "DIR", requires = "change", help_heading = "Of a run")]
    run: Option<PathBuf>,
    /// The change as a sparse .safetensors file: exactly the weights that were free; salun apply takes it
    #[arg(
        long,
        value_name = "FILE",
        requires = "run",
        group = "change",
        help_heading = "Of a run"
    )]
    delta: Option<PathBuf>,
    /// The change of a text-to-image model as a LoRA in a .safetensors file
    #[arg(
        long = "as-lora",
        id = "as-lora",
        value_name = "FILE",
        requires = "run",
        group = "change",
        help_heading = "Of a run"
    )]
    as_lora: Option<PathBuf>,
    /// The run as a page of HTML: pictures, figures, verdict and recipe in one file, which needs no network
    #[arg(
        long,
        value_name = "FILE",
        requires = "run",
        group = "change",
        help_heading = "Of a run"
    )]
    report: Option<PathBuf>,
    /// The LoRA's rank
    #[arg(long, value_name = "R", default_value = "16", requires = "as-lora", value_parser = args::whole("rank", RANKS), allow_negative_numbers = true, help_heading = "Of a run")]
    rank: usize,
    /// How the LoRA's tensors are called: kohya or diffusers
    #[arg(long, value_name = "NAME", default_value = "kohya", requires = "as-lora", value_parser = args::choice("layout", LoraLayout::ALL), help_heading = "Of a run")]
    layout: LoraLayout,
}

/// The forms of a `.pth`.
const FORMS: [(&str, Format); 2] = [("plain", Format::Pth), ("ddpm", Format::Ddpm)];

/// Runs the command.
pub fn run(args: &Args, common: &Common) -> Result<()> {
    let Args { rank, layout, .. } = *args;
    if let (Some(run), Some(out)) = (&args.run, &args.report) {
        return page(run, out, common);
    }
    match (&args.run, &args.delta, &args.as_lora, &args.model, &args.out) {
        (Some(run), Some(out), ..) => change(args, common, run, (out, Export::Delta)),
        (Some(run), None, Some(out), ..) => {
            change(args, common, run, (out, Export::Lora { rank, layout }))
        }
        (None, _, _, Some(model), Some(out)) => whole(args, common, model, out),
        // Clap has seen to it that one of them is there.
        _ => Err(Error::Request("--model and --out are needed, or --run".into())),
    }
}

/// Writes a model's weights.
fn whole(args: &Args, common: &Common, name: &str, out: &Path) -> Result<()> {
    let format = match out.extension().and_then(|e| e.to_str()) {
        Some("pth" | "pt") => args.form,
        Some("safetensors") if args.form == Format::Pth => Format::Safetensors,
        Some("safetensors") => {
            let right = "only a .pth has this form; leave it out, or write to FILE.pth";
            return Err(Error::argument("as", "ddpm", right));
        }
        _ => {
            let right = "a name that ends in .pth, .pt or .safetensors is needed";
            return Err(Error::argument("out", out.display(), right));
        }
    };
    let model = registry::open(&args.own.behind(name)?)?;
    if model.card.assumed.normalisation && !args.bare {
        print::remark(&format!(
            "Note: {name} does not say how pixels are normalised; the mean and deviation of its \
             normalize.* are assumed; say --normalize, or leave them out with --bare"
        ));
    }
    model.card.notes.iter().for_each(|note| print::remark(&format!("{name}: {note}")));
    let unsaid = export::unsaid(&model);
    if !unsaid.is_empty() {
        print::remark(&format!(
            "Note: a state dictionary does not say all of such a network; to open it here again, add {unsaid}"
        ));
    }
    let file = Output::new(out, OutputKind::Weights, common.force)?;
    let written = file.write_files(vec![export::encode(&model, format, args.bare)?]);
    let n = model.weights.layout.n();
    print::json(&json!({ "out": out.display().to_string(), "params": n }))?;
    print::line(format!("{} weights written to {}", print::grouped(n), written?.display()));
    Ok(())
}

/// Writes a run as a page.
fn page(run: &Path, out: &Path, common: &Common) -> Result<()> {
    args::ending(out, &["html"])?;
    let file = Output::new(out, OutputKind::Page, common.force)?;
    let bytes = folder::page(run)?.into_bytes();
    let n = bytes.len();
    let written = file.write_files(vec![bytes]);
    print::json(&json!({ "out": out.display().to_string(), "bytes": n }))?;
    print::line(format!("{} bytes written to {}", print::grouped(n), written?.display()));
    Ok(())
}

/// Writes a run's change.
fn change(args: &Args, common: &Common, dir: &Path, (out, what): (&Path, Export)) -> Result<()> {
    args::ending(out, &["safetensors"])?;
    let file = Output::new(out, OutputKind::Weights, common.force)?;
    let Saved { recipe, model, report } = folder::read(dir)?;
    let recipe = match &args.model {
        // What it came after is in these weights.
        Some(given) => Recipe { model: args.own.behind(given)?, after: Vec::new(), ..recipe },
        None => Recipe { model: args.own.behind(&recipe.model)?, ..recipe.within(dir) },
    };
    let path = dir.join("mask.safetensors");
    let given = |path: &Path| Mask::given(&path.to_string_lossy(), &model.weights().layout);
    let mask = path.is_file().then(|| given(&path)).transpose()?;
    let mut client = Client::open(common)?;
    let (model, protocol) = (Arc::new(model), report.protocol);
    let job = Job::Export { model, recipe, protocol, mask, what };
    let made = client.ask(job, Outcome::try_as_exported)?;
    let bytes = made.bytes.len();
    let written = file.write_files(vec![made.bytes.clone()]);
    print::json(&json!({ "out": out.display().to_string(), "bytes": bytes, "lora": made.lora }))?;
    made.lora.iter().for_each(|report| print::line(report.line()));
    print::line(format!("{} bytes written to {}", print::grouped(bytes), written?.display()));
    Ok(())
}
