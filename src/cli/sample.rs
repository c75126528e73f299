//! `salun sample`: pictures from a diffusion model.

use std::{path::PathBuf, sync::Arc};

use serde_json::{Value, json};

use super::{
    args::{self, Common},
    client::Client,
    print,
};
use salun_studio::diffusion::SolverKind;
use salun_studio::disk::output;
use salun_studio::disk::output::Output;
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
    /// The solver of a text-to-image model, its own unless given: ddim, pndm, euler
    #[arg(long, value_name = "NAME", requires = "prompt", value_parser = scheduler)]
    scheduler: Option<SolverKind>,
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

fn scheduler(given: &str) -> Result<SolverKind> {
    args::one_of("scheduler", given, SolverKind::ALL)
}

/// Runs the command.
pub fn run(args: &Args, common: &Common) -> Result<()> {
    let &Args { n, seed, steps, guidance, eta, .. } = args;
    let options =
        SampleOptions { steps, guidance: guidance as f32, eta, seed, clip: !args.no_clip };
    if args.out.extension().is_some() {
        args::ending(&args.out, &["png"])?;
    }
    if !args.prompt.is_empty() {
        return prompts(args, options, common);
    }
    if args.class.is_none() && registry::is_latent(&args.model) {
        return survey(args, options, common);
    }
    let out = Sheet::reserve(args, common)?;
    let classes = registry::open(&args.own.behind(&args.model)?)?.card.classes;
    let mut client = Client::open(common)?;
    let (model, class) = (args.own.behind(&args.model)?, args.class.clone());
    let job = Job::Sample { model, class, n, options };
    let grid = client.ask("", job, Outcome::try_as_sampled)?;
    let drawn = Drawn { args, common, options, client, written: out.write(&grid, &classes)? };
    let rows: Vec<_> = (0..grid.rows.len())
        .map(|row| {
            let seen: Vec<_> = (0..grid.columns).filter_map(|c| grid.seen_in(row, c)).collect();
            let hits = seen.iter().filter(|(class, _)| Some(*class) == grid.rows[row]).count();
            let name = grid.rows[row].map_or("null", |c| classes[c].as_str());
            (name, (!seen.is_empty()).then(|| 100.0 * hits as f64 / seen.len() as f64))
        })
        .collect();
    let json = rows.iter().map(|(class, seen)| json!({ "class": class, "seen": seen }));
    let mut table = vec![["class", "seen as it"].map(String::from).to_vec()];
    table.extend(rows.iter().map(|(name, seen)| {
        vec![name.to_string(), seen.map_or("-".into(), |s| format!("{s:.0} %"))]
    }));
    let how = format!("each by {}; {steps} steps, guidance {guidance}, eta {eta}", args.model);
    drawn.tell(json!({ "rows": json.collect::<Vec<_>>() }), Some(&table), &how)
}

/// Pictures that were drawn, and written or not.
struct Drawn<'a> {
    args: &'a Args,
    common: &'a Common,
    options: SampleOptions,
    client: Client,
    written: Result<PathBuf>,
}

impl Drawn<'_> {
    /// What was drawn of `each`, a class's or a prompt's pictures.
    fn each(&self, each: &str) -> String {
        let SampleOptions { steps, guidance, .. } = self.options;
        format!("each {each} by {}; {steps} steps, guidance {guidance}", self.args.model)
    }

    /// Says what was drawn and how, or all of it as JSON with `more`.
    fn tell(self, more: Value, table: Option<&[Vec<String>]>, how: &str) -> Result<()> {
        let Self { args, common, options, client, written } = self;
        if common.json {
            let mut all = json!({
                "out": args.out.display().to_string(), "model": args.model, "n": args.n,
                "options": options,
            });
            let more = more.as_object().into_iter().flatten();
            more.for_each(|(name, value)| all[name] = value.clone());
            all["device"] = json!(client.info());
            print::json(&all)?;
            return written.map(drop);
        }
        table.into_iter().for_each(|table| print::line(print::table(table)));
        let (n, seed, device) = (args.n, options.seed, &client.info().name);
        print::line(format!("{n} of {how}, seed {seed}; {device}"));
        print::written(written)
    }
}

/// Where the pictures go.
struct Sheet(Output, bool);

impl Sheet {
    fn reserve(args: &Args, common: &Common) -> Result<Self> {
        let folder = args.out.extension().is_none();
        let reserved = match folder {
            true => Output::folder(&args.out, output::OutputKind::Pictures, common.force)?,
            false => Output::file(&args.out, output::OutputKind::Picture, common.force)?,
        };
        Ok(Self(reserved, folder))
    }

    /// Writes a sheet, the only picture, or a folder of them; `names` are those of the rows.
    fn write(self, grid: &Grid, names: &[String]) -> Result<Result<PathBuf>> {
        let Self(out, folder) = self;
        if folder {
            let mut files = Vec::new();
            for row in 0..grid.rows.len() {
                let name = grid.name(row, names).unwrap_or("null");
                for column in 0..grid.columns {
                    let file = format!("{:03}-{}-{}.png", row + 1, bundle::plain(name), column + 1);
                    files.push((file, figures::picture(grid, row, column)?));
                }
            }
            return Ok(out.write_folder(files));
        }
        Ok(match (grid.rows.len(), grid.columns) {
            (1, 1) => out.write(figures::picture(grid, 0, 0)?),
            _ => out.write(figures::grid(grid, names)?),
        })
    }
}

/// Concepts of a text-to-image model that are drawn where no prompt is given.
const CONCEPTS: usize = 50;

/// The commonest concepts in every style, and how often the judge sees what was asked for.
fn survey(args: &Args, options: SampleOptions, common: &Common) -> Result<()> {
    let out = Sheet::reserve(args, common)?;
    let mut client = Client::open(common)?;
    let (model, n) = (args.own.behind(&args.model)?, args.n);
    let job = Job::Survey { model, concepts: CONCEPTS, n, options };
    let survey = client.ask("", job, Outcome::try_as_surveyed)?;
    let written = out.write(&survey.grid, &survey.concepts)?;
    let mut table =
        vec![["pairs", "concept seen", "style seen", "pictures"].map(String::from).to_vec()];
    for (name, share) in [("trained on", survey.trained), ("never shown", survey.held_out)] {
        let percent = |v: f64| format!("{v:.1} %");
        let row = [name.into(), percent(share.concept), percent(share.style), share.n.to_string()];
        table.push(row.to_vec());
    }
    let what = format!("of {} concepts in {} styles", survey.concepts.len(), survey.styles.len());
    let more = json!({
        "concepts": survey.concepts, "styles": survey.styles, "trained": survey.trained,
        "held_out": survey.held_out,
    });
    let drawn = Drawn { args, common, options, client, written };
    let how = drawn.each(&what);
    drawn.tell(more, Some(&table), &how)
}

/// Pictures of prompts, a row each.
fn prompts(args: &Args, options: SampleOptions, common: &Common) -> Result<()> {
    let out = Sheet::reserve(args, common)?;
    let model = Arc::new(registry::open_latent(&args.own.behind(&args.model)?)?);
    let tokenizer = &model.network.tokenizer;
    let dropped: Vec<usize> = args.prompt.iter().map(|p| tokenizer.encode(p).dropped).collect();
    for (prompt, dropped) in args.prompt.iter().zip(&dropped).filter(|(_, d)| **d > 0) {
        let start: String = prompt.chars().take(40).collect();
        print::note(&format!(
            "'{start}' is longer than a prompt's {} tokens; the last {dropped} are not read",
            tokenizer.length - 2
        ));
    }
    let mut client = Client::open(common)?;
    let (n, prompts, solver) = (args.n, args.prompt.clone(), args.scheduler);
    let request = PromptRequest { model, prompts, n, options, solver };
    let grid = client.ask("", Job::Prompt(request), Outcome::try_as_sampled)?;
    let short = |p: &String| p.chars().take(40).collect::<String>();
    let names: Vec<String> = args.prompt.iter().map(short).collect();
    let written = out.write(&grid, &names)?;
    let drawn = Drawn { args, common, options, client, written };
    let how = drawn.each("prompt");
    drawn.tell(json!({ "prompts": args.prompt, "tokens_not_read": dropped }), None, &how)
}
