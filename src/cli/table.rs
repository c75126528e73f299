//! `salun table`: a whole table, run by run; killed, it goes on where it stopped.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use super::{Client, Common, args, client, kept, print};
use salun_studio::disk::output;
use salun_studio::engine::{Event, Job, Outcome as Answer};
use salun_studio::error::{Error, Result};
use salun_studio::models::{Model, Precision, checkpoint, registry};
use salun_studio::run::state;
use salun_studio::table::{
    Cell, Folder, Numbers, ORIGINAL, Original, Outcome, RETRAIN, Row, Run, Scale, Summary, TABLES,
    Table, folder,
};
use salun_studio::train::{Preset, TrainRequest};
use salun_studio::words::Recipe;

/// A whole table: every method with its controls, mean and spread, as Markdown, CSV, JSON and figure
#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(help = format!("Which table: {}", TABLES.map(|(name, _)| name).join(", ")))]
    name: String,
    /// How large: tiny (to try it), small (a fraction of an hour on two cores) or paper
    #[arg(long, default_value = "small", value_parser = args::choice("scale", Scale::ALL))]
    scale: Scale,
    /// Seeds of forget set, training and unlearning [default: 3]
    #[arg(long, value_name = "K", value_parser = args::whole("seeds", 1..=1000), allow_negative_numbers = true)]
    seeds: Option<usize>,
    /// Run only these rows beside Retrain: methods with commas between, or a row's whole label
    #[arg(long, value_name = "ROWS")]
    only: Vec<String>,
    /// Compute nothing: write the table from the runs that are there
    #[arg(long)]
    render: bool,
    /// The table's folder; a folder with the same table is gone on with
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// Seeds of a table unless others are asked for.
const SEEDS: u64 = 3;
/// How often the table is written while it is run.
const WRITTEN: Duration = Duration::from_secs(60);

/// Runs the command.
pub fn run(args: &Args, common: &Common) -> Result<()> {
    let table = Table::new(&args.name, args.scale)?;
    let only = table.only(&args.only)?;
    if args.render {
        return render(args);
    }
    common.look_at(&table.protocol.data, "")?;
    Folder::check(&args.out, &table, common.force)?;
    // Without a device there is no table, and what another protocol left stays.
    let client = Client::open(common)?;
    let folder = Folder::open(&args.out, &table, common.force)?;
    let seeds = args.seeds.map_or(SEEDS, |k| k as u64);
    let mut job = TableJob { folder, client };
    let outcome = job.all(seeds, &only);
    let says = job.folder.write(seeds)?;
    if let Err(error) = outcome {
        if matches!(error, Error::Cancelled) {
            let (done, all) = (says.done + says.failed, says.all);
            print::remark(&format!("{done} of {all} runs are kept; the same command goes on"));
        }
        return Err(error);
    }
    show(&says, &args.out)
}

/// Writes a table from its runs.
fn render(args: &Args) -> Result<()> {
    let table = folder::table(&args.out)?;
    if table.name != args.name {
        let right = format!("{} holds {}", args.out.display(), table.name);
        return Err(Error::argument("table", &args.name, right));
    }
    let folder = Folder::open(&args.out, &table, false)?;
    let seen = folder.cells.iter().map(|c| c.seed - table.first_seed).max().unwrap_or(SEEDS);
    let says = folder.write(args.seeds.map_or(seen, |k| k as u64))?;
    show(&says, &args.out)
}

/// A table under way.
struct TableJob<'a> {
    folder: Folder<'a>,
    client: Client,
}

impl TableJob<'_> {
    /// Does every run that is not done.
    fn all(&mut self, seeds: u64, only: &[&Row]) -> Result<()> {
        let table = self.folder.table;
        let mut runs = table.runs(seeds);
        runs.retain(|run| only.contains(&run.row));
        let all = runs.len();
        runs.retain(|run| self.folder.cells.get(run).is_none());
        let mut written = Instant::now();
        for (i, run) in runs.iter().enumerate() {
            let (at, title) = (all - runs.len() + i + 1, run.title());
            let left = self.left(&runs[i..]).map(|l| format!(", {l} left in all"));
            let left = left.unwrap_or_default();
            self.client.label = format!("{at} of {all}{left}: {title}");
            let clock = Instant::now();
            let outcome = match self.measure(run) {
                Ok(numbers) => Outcome::Done(Box::new(numbers)),
                // What the method itself brings about is a result; what stops the machine is not.
                Err(e @ (Error::Diverged(_) | Error::Argument { .. } | Error::Request(_))) => {
                    Outcome::Failed(e.to_string())
                }
                Err(other) => return Err(other),
            };
            let cell = Cell {
                protocol: table.hash(),
                forget: run.forget.to_string(),
                row: run.row.clone(),
                seed: run.seed,
                outcome,
                seconds: clock.elapsed().as_secs_f64(),
                device: self.client.info().into(),
            };
            let line = format!("{}: {}", self.client.label, cell.line());
            self.folder.keep(run.name(), cell)?;
            print::remark(&line);
            if written.elapsed() > WRITTEN {
                self.folder.write(seeds)?;
                written = Instant::now();
            }
        }
        Ok(())
    }

    /// Time left for these runs, going by those that are done.
    fn left(&self, runs: &[Run]) -> Option<String> {
        let own = |run: &Run| {
            let expected = self.folder.cells.expected(run)?;
            // The first run of a seed trains the original first.
            let first = run.row.method == RETRAIN && !self.folder.model(None, run.seed).exists();
            Some(if first { 2.0 * expected } else { expected })
        };
        let seconds: Option<f64> = runs.iter().map(own).sum();
        seconds.map(client::duration)
    }

    fn measure(&mut self, run: &Run) -> Result<Numbers> {
        let protocol = &self.folder.table.protocol;
        let original = self.model(None, run.seed)?;
        let recipe = run.recipe(protocol, &original);
        match run.row.method.as_str() {
            RETRAIN => {
                let model = self.model(Some(run.forget), run.seed)?;
                self.evaluate(&model, recipe)
            }
            ORIGINAL if !registry::is_latent(&original) => self.evaluate(&original, recipe),
            _ => {
                let run = self.client.ask(Job::Unlearn(recipe), Answer::try_as_unlearned)?;
                Ok(Numbers::of_run(&run.report))
            }
        }
    }

    /// The original of a seed, or what is trained without a forget set; trained now unless it is there.
    fn model(&mut self, without: Option<&str>, seed: u64) -> Result<String> {
        let protocol = &self.folder.table.protocol;
        let Some(how) = &protocol.original else {
            return Ok(protocol.model.clone().unwrap_or_default());
        };
        let path = self.folder.model(without, seed);
        if !path.exists() {
            self.train(how, without, seed)?;
        }
        Ok(path.to_string_lossy().into_owned())
    }

    fn evaluate(&mut self, model: &str, recipe: Recipe) -> Result<Numbers> {
        let task = self.folder.table.protocol.task;
        let recipe = Recipe { method: ORIGINAL.into(), ..recipe }.fitting(task);
        let model: Arc<Model> = registry::open(model)?.into();
        let seconds = model.card.training.as_ref().map_or(0.0, |t| t.seconds);
        let job = Job::Evaluate { model, recipe };
        Ok(Numbers::of_model(self.client.ask(job, Answer::try_as_measured)?, seconds))
    }

    /// Trains and keeps a model; a training that was stopped goes on from its state.
    fn train(&mut self, how: &Original, without: Option<&str>, seed: u64) -> Result<()> {
        let request = TrainRequest {
            preset: Preset::find(&how.preset)?.name.into(),
            data: self.folder.table.protocol.data.clone(),
            without: without.map(String::from),
            epochs: Some(how.epochs),
            batch: Some(how.batch),
            lr: Some(how.lr),
            width: Some(how.width),
            augment: Some(how.augment),
            seed,
            ..TrainRequest::default()
        };
        let path = self.folder.model(without, seed);
        let kept = path.with_extension("state");
        let left = || state::read(&kept, &request).map(|(snapshot, _)| Box::new(snapshot));
        let resume = kept.exists().then(left).transpose()?;
        let job = Job::Train { request: request.clone(), resume };
        let model = self.client.hear(job, Answer::try_as_trained, |event| {
            if let Event::Snapshot { snapshot, .. } = event {
                print::or_later(state::write(&kept, &request, snapshot, &[]));
            }
        })?;
        let other = || Error::Request(format!("{}: not a classifier", self.client.label));
        let model = model.plain().ok_or_else(other)?;
        output::replace(&path, &checkpoint::encode(model, Precision::Full)?)?;
        kept::remove(&kept)
    }
}

fn show(says: &Summary, out: &Path) -> Result<()> {
    print::json(says)?;
    for group in &says.groups {
        print::line(format!("{} ({})", group.title, group.forgets.join(", ")));
        let mut head = vec![""];
        head.extend(says.axis.as_ref().map(|a| a.title.as_str()));
        head.extend(says.columns.iter().map(String::as_str));
        head.extend(["gap", "RTE, s"]);
        let rows = group.rows.iter().map(|line| {
            let values = line.values.iter().chain([&line.average, &line.seconds]);
            let values = values.map(|v| print::number(v.mean(), 2));
            print::row(&line.label, says.axis.iter().map(|_| line.at()).chain(values))
        });
        print::line(print::columns(&head, rows));
    }
    says.notes.iter().for_each(print::line);
    let missing = says.all - says.done - says.failed;
    if missing + says.failed > 0 {
        print::line(format!("{missing} of {} runs missing, {} failed", says.all, says.failed));
    }
    print::written(Ok(out.into()))
}
