//! `salun eval`: measures the model of a run folder again, and its distance to another run's.

use std::path::PathBuf;

use salun_studio::{
    engine::job::Job,
    error::{Error, Result},
    models::{Model, card::Card},
    run::{
        folder,
        recipe::Recipe,
        report::{Gap, Metrics},
    },
};
use serde_json::json;

use super::{
    args::Common,
    client::{Client, answer},
    print,
};

/// Measure a run; against a Retrain run, the gaps
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A run folder
    #[arg(long, value_name = "DIR")]
    run: PathBuf,
    /// Another run folder, measured on the first one's forget set
    #[arg(long, value_name = "DIR")]
    against: Option<PathBuf>,
}

/// Runs the command.
pub fn run(args: &Args, common: &Common) -> Result<()> {
    let run = folder::read(&args.run)?;
    let against = args.against.as_ref().map(|dir| folder::read(dir)).transpose()?;
    if let Some(other) = against.as_ref().filter(|a| a.report.task != run.report.task) {
        let right = format!("a run of the same task is needed: {}", run.report.task);
        return Err(Error::argument("against", &other.report.task, right));
    }
    let mut client = Client::open(common)?;
    let mut measure = |label: &str, model: Model, recipe: Recipe| -> Result<Metrics> {
        let job = Job::Evaluate { model: model.into(), recipe };
        Ok(answer!(client.run(label, job, |_| Ok(()))?, Measured))
    };
    let forgotten = run.model.card.unlearned.clone();
    let metrics = measure("run", run.model, run.recipe.clone())?;
    // On the same pictures: what the run's model forgot is not in the retain set.
    let against = against.map(|a| {
        let card = Card { unlearned: forgotten, ..a.model.card };
        Model { card, ..a.model }
    });
    let other = against.map(|model| measure("against", model, run.recipe.clone())).transpose()?;
    let gap = other.as_ref().map(|o| Gap::between(&metrics, o));
    if common.json {
        return print::json(&json!({
            "run": args.run, "against": args.against, "forget": run.report.forget,
            "before": run.report.before, "metrics": metrics, "against_metrics": other, "gap": gap,
            "seed": run.recipe.seed, "device": client.info(),
        }));
    }
    let mut rows = vec![("before (report)", &run.report.before), ("run", &metrics)];
    rows.extend(other.as_ref().map(|o| ("against", o)));
    print::line(print::metrics(&rows));
    if let Some(g) = gap {
        print::line(format!(
            "gap: UA {:.2}, RA {:.2}, TA {:.2}, average {:.2}, ToW {:.3}",
            g.UA, g.RA, g.TA, g.average, g.ToW
        ));
    }
    let (forget, seed) = (&run.report.forget.spec, run.recipe.seed);
    print::line(format!("forgets {forget}; seed {seed}; {}", client.info().name));
    Ok(())
}
