//! `salun demo`: forget a class with SalUn and with its control, on what is inside the program.

use std::path::PathBuf;

use serde::Serialize;

use super::{Client, Common, args, print};
use salun_studio::data;
use salun_studio::data::corpus;
use salun_studio::disk::output::{Output, OutputKind};
use salun_studio::engine::{Job, Outcome};
use salun_studio::error::Result;
use salun_studio::eval::Metric;
use salun_studio::models::registry;
use salun_studio::run::bundle;
use salun_studio::words::{Budget, ForgetKind, Recipe, Report, Task};

const DATA: &str = "fashion-mnist";
/// What is forgotten unless something else is asked for.
const CLASS: &str = "Sneaker";
const PROMPT: &str = "a cat";

/// The main job headless: forget a class with SalUn and with a random mask of the same size
#[derive(Debug, clap::Parser)]
pub struct Args {
    /// classify, generate, both of these, or text-to-image
    #[arg(long, value_name = "TASK", default_value = "both", value_parser = args::named("task", &TASKS))]
    task: &'static [Task],
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
    #[arg(long, default_value = "quick", value_parser = args::choice("budget", Budget::ALL))]
    budget: Budget,
}

const TASKS: [(&str, &[Task]); 4] = [
    ("both", &[Task::Classify, Task::Generate]),
    ("classify", &[Task::Classify]),
    ("generate", &[Task::Generate]),
    ("text-to-image", &[Task::TextToImage]),
];

#[derive(Serialize)]
struct Finished {
    run: String,
    folder: String,
    report: Report,
}

/// The model that a task opens with, and its data.
pub fn model(task: Task) -> (&'static str, &'static str) {
    let model = registry::first(task);
    (model, registry::shipped(model).map_or(DATA, |s| s.data))
}

/// What is asked for, or the usual, as a forget set.
///
/// # Errors
/// There is no such class.
pub fn forget_set(data: &str, given: Option<&str>) -> Result<String> {
    if corpus::is_corpus(data) {
        let prompt = given.unwrap_or(PROMPT);
        return Ok(format!("prompt:{}", ForgetKind::Prompt.value(prompt).unwrap_or(prompt)));
    }
    let (class, data) = (given.unwrap_or(CLASS), data::open(data)?);
    let class = data.class(ForgetKind::Class.value(class).unwrap_or(class))?;
    Ok(format!("class:{}", data.classes[class]))
}

/// Runs the command.
pub fn run(args: &Args, common: &Common) -> Result<()> {
    let spec = |task: &Task| forget_set(model(*task).1, args.forget.as_deref());
    let specs = args.task.iter().map(spec).collect::<Result<Vec<String>>>()?;
    let out = Output::new(&args.out, OutputKind::Demo, common.force)?;
    let mut client = Client::open(common)?;

    let (mut finished, mut files) = (Vec::new(), Vec::new());
    for (task, spec) in args.task.iter().zip(specs) {
        let (model, data) = model(*task);
        let salun =
            Recipe { seed: args.seed, budget: args.budget, ..Recipe::new(model, data, &spec) };
        let control = salun.random_control();
        for (title, name, recipe) in [("SalUn", "salun", salun), ("random mask", "random", control)]
        {
            client.label = format!("{}, {title}", task.name());
            let run = client.ask(Job::Unlearn(recipe), Outcome::try_as_unlearned)?;
            let name = format!("{}-{name}", task.name());
            let inside = bundle::contents(&run)?.into_iter();
            files.extend(inside.map(|(file, bytes)| (format!("{name}/{file}"), bytes)));
            let report = run.report.clone();
            let folder = args.out.join(&name).display().to_string();
            finished.push(Finished { folder, run: client.label.clone(), report });
        }
    }
    let written = out.write_folder(files);
    let sentences: Vec<String> =
        finished.chunks_exact(2).map(|pair| better(&pair[0].report, &pair[1].report)).collect();
    let value = serde_json::json!({ "runs": finished, "sentences": sentences });
    print::json(&value)?;
    summary(&finished, &sentences);
    print::written(written)
}

fn summary(finished: &[Finished], sentences: &[String]) {
    let accuracies = || Metric::accuracies().map(|m| m.key);
    let rest = ["k", "of N", "frozen changed", "seconds", "verdict"];
    let head: Vec<&str> = ["run"].into_iter().chain(accuracies()).chain(rest).collect();
    let rows = finished.iter().map(|Finished { run, report: r, .. }| {
        let arrows = Metric::accuracies().map(|m| {
            let [before, after] = [&r.before, &r.after].map(|of| m.value(of).unwrap_or_default());
            format!("{before:5.1} -> {after:5.1}")
        });
        let mask = r.mask.as_ref().map(|m| [m.k, m.n, m.frozen_changed].map(print::grouped));
        let seconds = r.seconds.mask + r.seconds.unlearn + r.seconds.evaluate;
        let mask = mask.unwrap_or(["-"; 3].map(String::from));
        let rest = [format!("{seconds:.1}"), r.verdict.label.name().into()];
        print::row(run, arrows.chain(mask).chain(rest))
    });
    print::line(print::columns(&head, rows));
    print::line("");
    sentences.iter().for_each(print::line);
    for Report { task, forget, seed, after, device, .. } in
        finished.iter().step_by(2).map(|f| &f.report)
    {
        let [ua, ra, ta] = after.n.map(print::grouped);
        print::line(format!(
            "{task}: percent of {ua} (UA), {ra} (RA), {ta} (TA) pictures; forgets {}; seed {seed}; {}",
            forget.spec, device.name
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
    let (task, spec, salun, random) = (&salun.task, &salun.forget.spec, say(salun), say(random));
    format!("{task} {spec}: {who} here (SalUn: {salun}; random mask: {random}; one seed).")
}
