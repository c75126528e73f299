//! `salun sample`: pictures from a diffusion model.

use std::{path::PathBuf, sync::Arc};

use serde_json::{Value, json};

use super::{Client, Common, args, print};
use salun_studio::diffusion::SolverKind;
use salun_studio::disk::output::{Files, Output, OutputKind};
use salun_studio::engine::{Grid, Job, Outcome, PromptRequest};
use salun_studio::error::Result;
use salun_studio::models::registry;
use salun_studio::run::{bundle, figures};
use salun_studio::words::SampleOptions;

/// Pictures from a diffusion model
#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(long, value_name = "M", help = args::models_help())]
    model: String,
    #[command(flatten)]
    own: args::Own,
    /// A class by name or number, or null; unless given every class, or the commonest concepts of a
    /// text-to-image model in every style
    #[arg(long, value_name = "C")]
    class: Option<String>,
    /// What a text-to-image model is to draw; may be given several times
    #[arg(long, value_name = "P", conflicts_with = "class")]
    prompt: Vec<String>,
    /// The solver of a text-to-image model, its own unless given: ddim, pndm, euler, dpm++, lcm
    #[arg(long, value_name = "NAME", requires = "prompt", value_parser = args::named("scheduler", &SolverKind::ALL))]
    scheduler: Option<SolverKind>,
    /// Side of a prompt's pictures in pixels, the model's own unless given
    #[arg(long, value_name = "PX", requires = "prompt", value_parser = args::whole("size", 1..=4096), allow_negative_numbers = true)]
    size: Option<usize>,
    /// Pictures of each class or prompt
    #[arg(long, default_value = "8", value_parser = args::whole("n", 1..=1000), allow_negative_numbers = true)]
    n: usize,
    /// Seed of the noise
    #[arg(long, value_name = "N", default_value = "1", value_parser = args::seed, allow_negative_numbers = true)]
    seed: u64,
    /// Sampler steps
    #[arg(long, value_name = "T", default_value = "25", value_parser = args::whole("steps", 1..=1000), allow_negative_numbers = true)]
    steps: usize,
    /// w of classifier-free guidance
    #[arg(long, value_name = "W", default_value = "2", value_parser = args::real("guidance", 0.0..=100.0), allow_negative_numbers = true)]
    guidance: f64,
    /// 0 is DDIM, 1 is ancestral sampling
    #[arg(long, default_value = "0", value_parser = args::real("eta", 0.0..=1.0), allow_negative_numbers = true)]
    eta: f64,
    /// Do not hold predictions within the range of pictures (the official code's sampler)
    #[arg(long)]
    no_clip: bool,
    /// The PNG to write: a sheet of all pictures, or the picture itself where there is one; a name without
    /// an ending is a folder with a PNG for each
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// What was drawn, and what is told of it.
struct Drawn {
    client: Client,
    grid: Arc<Grid>,
    /// Those of the rows.
    names: Vec<String>,
    /// What the JSON has besides.
    more: Value,
    table: Option<String>,
    /// What as many pictures as were asked for are of.
    how: String,
}

/// Runs the command.
pub fn run(args: &Args, common: &Common) -> Result<()> {
    let &Args { n, seed, steps, guidance, eta, .. } = args;
    let options =
        SampleOptions { steps, guidance: guidance as f32, eta, seed, clip: !args.no_clip };
    let folder = args.out.extension().is_none();
    if !folder {
        args::ending(&args.out, &["png"])?;
    }
    let kind = if folder { OutputKind::Pictures } else { OutputKind::Picture };
    let out = Output::new(&args.out, kind, common.force)?;
    let draw = match args.class {
        _ if !args.prompt.is_empty() => prompts,
        None if registry::is_latent(&args.model) => survey,
        _ => classes,
    };
    let Drawn { client, grid, names, more, table, how } = draw(args, options, common)?;
    let written = match (folder, grid.rows.len(), grid.columns) {
        (true, ..) => out.write_folder(pictures(&grid, &names)?),
        (false, 1, 1) => out.write_files(vec![figures::picture(&grid, 0, 0)?]),
        (false, ..) => out.write_files(vec![figures::grid(&grid, &names)?]),
    };
    let (place, device) = (args.out.display().to_string(), client.info());
    let all = json!({
        "out": place, "model": args.model, "n": n, "options": options, "device": device,
    });
    print::json(&print::with(all, more))?;
    table.iter().for_each(print::line);
    print::line(format!("{n} of {how}, seed {seed}; {}", device.name));
    print::written(written)
}

/// A file for each picture; `names` are those of the rows.
fn pictures(grid: &Grid, names: &[String]) -> Result<Files> {
    let mut files = Vec::new();
    for row in 0..grid.rows.len() {
        let name = grid.name(row, names).unwrap_or("null");
        for column in 0..grid.columns {
            let file = format!("{:03}-{}-{}.png", row + 1, bundle::plain(name), column + 1);
            files.push((file, figures::picture(grid, row, column)?));
        }
    }
    Ok(files)
}

/// What was drawn of `each`, a class's or a prompt's pictures.
fn each(each: &str, args: &Args) -> String {
    let Args { model, steps, guidance, .. } = args;
    format!("each {each} by {model}; {steps} steps, guidance {guidance}")
}

/// Pictures of classes, a row each, and how often the classifier sees what was asked for.
fn classes(args: &Args, options: SampleOptions, common: &Common) -> Result<Drawn> {
    let model = args.own.behind(&args.model)?;
    let names = registry::open(&model)?.card.classes;
    let mut client = Client::open(common)?;
    let job = Job::Sample { model, class: args.class.clone(), n: args.n, options };
    let grid = client.ask(job, Outcome::try_as_sampled)?;
    let seen = |row: usize| {
        let seen: Vec<_> = (0..grid.columns).filter_map(|c| grid.seen_in(row, c)).collect();
        let hits = seen.iter().filter(|(class, _)| Some(*class) == grid.rows[row]).count();
        let name = grid.rows[row].map_or("null", |c| names[c].as_str());
        (name, (!seen.is_empty()).then(|| 100.0 * hits as f64 / seen.len() as f64))
    };
    let rows: Vec<_> = (0..grid.rows.len()).map(seen).collect();
    let json = rows.iter().map(|(class, seen)| json!({ "class": class, "seen": seen }));
    let more = json!({ "rows": json.collect::<Vec<_>>() });
    let table = rows
        .iter()
        .map(|(name, seen)| [name.to_string(), seen.map_or("-".into(), |s| format!("{s:.0} %"))]);
    let table = Some(print::columns(&["class", "seen as it"], table));
    let Args { model, steps, guidance, eta, .. } = args;
    let how = format!("each by {model}; {steps} steps, guidance {guidance}, eta {eta}");
    Ok(Drawn { client, grid, names, more, table, how })
}

/// Concepts of a text-to-image model that are drawn where no prompt is given.
const CONCEPTS: usize = 50;

/// The commonest concepts in every style, and how often the judge sees what was asked for.
fn survey(args: &Args, options: SampleOptions, common: &Common) -> Result<Drawn> {
    let mut client = Client::open(common)?;
    let (model, n) = (args.own.behind(&args.model)?, args.n);
    let job = Job::Survey { model, concepts: CONCEPTS, n, options };
    let found = client.ask(job, Outcome::try_as_surveyed)?;
    let shares = [("trained on", found.trained), ("never shown", found.held_out)];
    let rows = shares.map(|(name, share)| {
        let percent = |v: f64| format!("{v:.1} %");
        [name.into(), percent(share.concept), percent(share.style), share.n.to_string()]
    });
    let table = print::columns(&["pairs", "concept seen", "style seen", "pictures"], rows);
    let more = json!({
        "concepts": found.concepts, "styles": found.styles, "trained": found.trained,
        "held_out": found.held_out,
    });
    let [concepts, styles] = [&found.concepts, &found.styles].map(Vec::len);
    let how = each(&format!("of {concepts} concepts in {styles} styles"), args);
    let (grid, names) = (found.grid, found.concepts);
    Ok(Drawn { client, grid, names, more, table: Some(table), how })
}

/// Pictures of prompts, a row each.
fn prompts(args: &Args, options: SampleOptions, common: &Common) -> Result<Drawn> {
    let model = Arc::new(registry::open_latent(&args.own.behind(&args.model)?)?);
    let tokenizer = &model.network.tokenizer;
    let short = |p: &String| p.chars().take(40).collect::<String>();
    let names: Vec<String> = args.prompt.iter().map(short).collect();
    let dropped: Vec<usize> = args.prompt.iter().map(|p| tokenizer.encode(p).dropped).collect();
    for (start, dropped) in names.iter().zip(&dropped).filter(|(_, d)| **d > 0) {
        let most = tokenizer.length - 2;
        print::note(&format!(
            "'{start}' is longer than a prompt's {most} tokens; the last {dropped} are not read"
        ));
    }
    let mut client = Client::open(common)?;
    let (n, prompts, solver, size) = (args.n, args.prompt.clone(), args.scheduler, args.size);
    let request = PromptRequest { model, prompts, n, options, solver, size };
    let grid = client.ask(Job::Prompt(request), Outcome::try_as_sampled)?;
    let more = json!({ "prompts": args.prompt, "tokens_not_read": dropped });
    Ok(Drawn { client, grid, names, more, table: None, how: each("prompt", args) })
}
