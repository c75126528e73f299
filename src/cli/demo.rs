//! `salun demo`: forget a class with SalUn and with its control, on what is inside the program.

use std::path::PathBuf;

use salun_studio::{
    data,
    disk::output::{Output, OutputKind},
    engine::job::Job,
    error::Result,
    models::registry,
    run::bundle,
    words::{
        budget::Budget,
        recipe::Recipe,
        report::{Metrics, Report},
        task::Task,
    },
};
use serde::Serialize;

use super::{
    args::{self, Common},
    client::{Client, answer},
    print,
};

const DATA: &str = "fashion-mnist";
/// What is forgotten unless something else is asked for.
const CLASS: &str = "Sneaker";
const PROMPT: &str = "a cat";

/// The main job headless: forget a class with SalUn and with a random mask of the same size
#[derive(Debug, clap::Args)]
pub struct Args {
    /// classify, generate, both of these, or text-to-image
    #[arg(long, value_name = "TASK", default_value = "both", value_parser = tasks)]
    task: Tasks,
    /// The class to forget [default: Sneaker], or the prompt [default: a cat]
    #[arg(long, value_name = "CLASS")]
    forget: Option<String>,
    /// The folder for the run folders
    #[arg(long, value_name = "DIR", default_value = "salun-demo")]
    out: PathBuf,
    /// Seed of everything random
    #[arg(long, value_name = "N", default_value = "1", value_parser = args::seed, allow_negative_numbers = true)]
    seed: u64,
    /// How much is trained on and evaluated: quick (minutes on two cores) or full
    #[arg(long, default_value = "quick", value_parser = args::budget)]
    budget: Budget,
}

impl Default for Args {
    fn default() -> Self {
        Self {
            task: Tasks::Both,
            forget: None,
            out: "salun-demo".into(),
            seed: 1,
            budget: Budget::Quick,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tasks {
    One(Task),
    Both,
}

fn tasks(given: &str) -> Result<Tasks> {
    let names = [
        ("both", Tasks::Both),
        ("classify", Tasks::One(Task::Classify)),
        ("generate", Tasks::One(Task::Generate)),
        ("text-to-image", Tasks::One(Task::TextToImage)),
    ];
    args::one_of("task", given, names)
}

#[derive(Serialize)]
struct Finished {
    run: String,
    folder: String,
    report: Report,
}

/// Runs the command.
pub fn run(args: &Args, common: &Common) -> Result<()> {
    let prompt = args.task == Tasks::One(Task::TextToImage);
    let given = args.forget.as_deref();
    let spec = if prompt {
        let prompt = given.unwrap_or(PROMPT);
        format!("prompt:{}", prompt.strip_prefix("prompt:").unwrap_or(prompt))
    } else {
        let class = given.unwrap_or(CLASS);
        let data = data::open(DATA)?;
        let class = data.class(class.strip_prefix("class:").unwrap_or(class))?;
        format!("class:{}", data.classes[class])
    };
    let out = Output::folder(&args.out, OutputKind::Demo, common.force)?;
    let mut client = Client::open(common)?;

    let (mut finished, mut files) = (Vec::new(), Vec::new());
    let tasks = match args.task {
        Tasks::Both => vec![Task::Classify, Task::Generate],
        Tasks::One(task) => vec![task],
    };
    for task in tasks {
        let model = registry::first(task);
        let data = registry::shipped(model).map_or(DATA, |s| s.data);
        let salun =
            Recipe { seed: args.seed, budget: args.budget, ..Recipe::new(model, data, &spec) };
        let control = salun.random_control();
        for (title, name, recipe) in [("SalUn", "salun", salun), ("random mask", "random", control)]
        {
            let label = format!("{}, {title}", task.name());
            let run = answer!(client.run(&label, Job::Unlearn(recipe), |_| Ok(()))?, Unlearned);
            let name = format!("{}-{name}", task.name());
            let inside = bundle::contents(&run)?.into_iter();
            files.extend(inside.map(|(file, bytes)| (format!("{name}/{file}"), bytes)));
            let report = run.report.clone();
            let folder = args.out.join(&name).display().to_string();
            finished.push(Finished { folder, run: label, report });
        }
    }
    let written = out.write_folder(files);
    let sentences: Vec<String> = finished
        .chunks(2)
        .filter_map(|pair| Some(better(&pair.first()?.report, &pair.get(1)?.report)))
        .collect();
    if common.json {
        print::json(&serde_json::json!({ "runs": finished, "sentences": sentences }))?;
        return written.map(drop);
    }
    summary(&finished, &sentences);
    print::written(written)
}

fn summary(finished: &[Finished], sentences: &[String]) {
    let head = ["run", "UA", "RA", "TA", "k", "of N", "frozen changed", "seconds", "verdict"];
    let mut rows = vec![head.map(String::from).to_vec()];
    for Finished { run, report: r, .. } in finished {
        let arrow =
            |of: fn(&Metrics) -> f64| format!("{:5.1} -> {:5.1}", of(&r.before), of(&r.after));
        let seconds = r.seconds.mask + r.seconds.unlearn + r.seconds.evaluate;
        let mask = r.mask.as_ref();
        let count = |n: Option<usize>| n.map_or("-".into(), print::grouped);
        rows.push(vec![
            run.clone(),
            arrow(|m| m.UA),
            arrow(|m| m.RA),
            arrow(|m| m.TA),
            count(mask.map(|m| m.k)),
            count(mask.map(|m| m.n)),
            count(mask.map(|m| m.frozen_changed)),
            format!("{seconds:.1}"),
            r.verdict.label.name().into(),
        ]);
    }
    print::line(print::table(&rows));
    print::line("");
    sentences.iter().for_each(print::line);
    for r in finished.iter().step_by(2).map(|f| &f.report) {
        let [ua, ra, ta] = r.after.n.map(print::grouped);
        print::line(format!(
            "{}: percent of {ua} (UA), {ra} (RA), {ta} (TA) pictures; forgets {}; seed {}; {}",
            r.task, r.forget.spec, r.seed, r.device.name
        ));
    }
}

/// Points below this are taken for chance.
const CLEAR: f64 = 0.5;

/// Says which of SalUn and its control did better: the sum of what is left of the forgotten class
/// and what was lost elsewhere, in percentage points.
fn better(salun: &Report, random: &Report) -> String {
    let left = |r: &Report| 100.0 - r.after.UA;
    let lost = |r: &Report| {
        let drop = |before: f64, after: f64| (before - after).max(0.0);
        (drop(r.before.RA, r.after.RA) + drop(r.before.TA, r.after.TA)) / 2.0
    };
    let say =
        |r: &Report| format!("{:.1} points left of it, {:.1} lost elsewhere", left(r), lost(r));
    let ahead = left(random) + lost(random) - left(salun) - lost(salun);
    let who = if ahead.abs() < CLEAR {
        "SalUn and the random mask did equally well"
    } else if ahead > 0.0 {
        "SalUn did better than the random mask"
    } else {
        "The random mask did better than SalUn"
    };
    format!(
        "{} {}: {who} here (SalUn: {}; random mask: {}; one seed).",
        salun.task,
        salun.forget.spec,
        say(salun),
        say(random)
    )
}
