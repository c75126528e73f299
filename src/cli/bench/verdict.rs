//! From picking and Forget to the verdict: seconds until the first changed picture and until the verdict, and what it
//! says, over seeds.

use std::time::Instant;

use serde::Serialize;

use super::super::demo::{forget_set, model};
use super::super::{Client, Common, print};
use super::memory;
use salun_studio::engine::{Event, Job, Outcome};
use salun_studio::error::Result;
use salun_studio::eval::{Metric, spread};
use salun_studio::words::{Budget, Recipe, Report, Task};

/// What is asked for.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Times a person's way from Forget to the verdict
    #[arg(long, conflicts_with_all = ["only", "kernels"])]
    pub verdict: bool,
    /// classify, generate, text-to-image [default: each]
    #[arg(long, value_name = "TASK", requires = "verdict", value_parser = super::args::choice("task", &Task::ALL))]
    task: Option<Task>,
    /// The classes or prompts to forget, one after another [default: Sneaker, a cat]
    #[arg(long, value_name = "CLASS", requires = "verdict")]
    forget: Vec<String>,
    /// Seeds, from 1
    #[arg(long, value_name = "N", default_value = "1", value_parser = super::args::whole("seeds", 1..=1000), requires = "verdict")]
    seeds: usize,
    /// The budgets, one after another
    #[arg(long, default_value = "brief", value_parser = super::args::choice("budget", Budget::ALL), requires = "verdict")]
    budget: Vec<Budget>,
    /// Updates, where not as many as the budget has
    #[arg(long, value_name = "N", requires = "verdict")]
    steps: Option<usize>,
    /// Items in an update
    #[arg(long, value_name = "N", requires = "verdict")]
    batch: Option<usize>,
    /// The learning rate
    #[arg(long, value_name = "RATE", requires = "verdict", value_parser = super::args::above_zero("lr"))]
    lr: Option<f64>,
}

/// One run, as a person sees it; times in seconds from picking, where Forget is pressed at once.
#[derive(Debug, Serialize)]
struct Row {
    forget: String,
    budget: Budget,
    /// Until what is picked is drawn and scored, which the studio does without Forget.
    scored_s: f64,
    first_change_s: Option<f64>,
    verdict_s: f64,
    /// Of all cores, where the system tells.
    cpu_s: Option<f64>,
    report: Report,
}

/// Runs the command.
///
/// # Errors
/// A request is wrong, or a run failed.
pub fn run(args: &Args, common: &Common) -> Result<()> {
    let mut client = Client::open(common)?;
    client.show_previews();
    let tasks = args.task.map_or(Task::ALL.to_vec(), |task| vec![task]);
    let mut groups = Vec::new();
    for task in tasks {
        let (name, data) = model(task);
        let asked: Vec<Option<&str>> = match args.forget.is_empty() {
            true => vec![None],
            false => args.forget.iter().map(|forget| Some(&**forget)).collect(),
        };
        for forget in asked {
            let forget = forget_set(data, forget)?;
            for &budget in &args.budget {
                let &Args { steps, batch, lr, .. } = args;
                let recipe =
                    Recipe { budget, steps, batch, lr, ..Recipe::new(name, data, &forget) };
                let seeds = 1..=args.seeds as u64;
                let of = |seed| Recipe { seed, ..recipe.clone() };
                groups.push(
                    seeds.map(|seed| one(&mut client, of(seed))).collect::<Result<Vec<_>>>()?,
                );
            }
        }
    }
    print::json(&serde_json::json!({ "device": client.info(), "runs": groups }))?;
    print::line(table(&groups));
    print::line(format!(
        "seconds from picking, with Forget pressed at once, medians over {} seeds; scored: what is picked is drawn and \
         scored, whether Forget is pressed or not; CPU: seconds of all cores; UA, RA, TA: percent, before and after, \
         mean ± standard deviation; {}",
        args.seeds,
        print::device(client.info())
    ));
    Ok(())
}

/// Scores and forgets, as the studio does where Forget is pressed at once.
fn one(client: &mut Client, recipe: Recipe) -> Result<Row> {
    client.label = format!("{}, seed {}", recipe.forget, recipe.seed);
    let (clock, cpu) = (Instant::now(), memory::cpu_seconds());
    let (forget, budget) = (recipe.forget.clone(), recipe.budget);
    client.ask(Job::Rank(recipe.clone()), Outcome::try_as_ranked)?;
    let scored_s = clock.elapsed().as_secs_f64();
    let mut first_change_s = None;
    let run = client.hear(Job::Unlearn(recipe), Outcome::try_as_unlearned, |event| {
        let changed = match event {
            Event::Step { live, .. } => live.grid.is_some() || live.glimpse.is_some(),
            Event::After { grid, .. } => grid.is_some(),
            _ => false,
        };
        if changed {
            first_change_s.get_or_insert(clock.elapsed().as_secs_f64());
        }
    })?;
    let verdict_s = clock.elapsed().as_secs_f64();
    let cpu_s = memory::cpu_seconds().zip(cpu).map(|(now, then)| now - then);
    Ok(Row {
        forget,
        budget,
        scored_s,
        first_change_s,
        verdict_s,
        cpu_s,
        report: run.report.clone(),
    })
}

fn table(groups: &[Vec<Row>]) -> String {
    let head = [
        "task",
        "forgets",
        "budget",
        "scored",
        "first change",
        "verdict",
        "CPU",
        "mask",
        "updates",
        "measuring",
        "UA",
        "RA",
        "TA",
        "n",
        "verdicts",
    ];
    let rows = groups.iter().filter_map(|rows| {
        let Row { budget, report, .. } = rows.first()?;
        let median = |of: &dyn Fn(&Row) -> Option<f64>| {
            let mut all: Vec<f64> = rows.iter().filter_map(of).collect();
            (!all.is_empty()).then(|| super::spread(&mut all)[1])
        };
        let seconds = |of: &dyn Fn(&Row) -> Option<f64>| print::number(median(of), 1);
        let times = [
            seconds(&|row| Some(row.scored_s)),
            seconds(&|row| row.first_change_s),
            seconds(&|row| Some(row.verdict_s)),
            seconds(&|row| row.cpu_s),
            seconds(&|row| Some(row.report.seconds.mask)),
            format!(
                "{} ({})",
                seconds(&|row| Some(row.report.seconds.unlearn)),
                report.training.steps
            ),
            seconds(&|row| Some(row.report.seconds.evaluate)),
        ];
        let accuracies = Metric::accuracies().map(|metric| {
            let over = |of: fn(&Report) -> &salun_studio::words::Metrics| {
                let all: Vec<f64> =
                    rows.iter().filter_map(|row| metric.value(of(&row.report))).collect();
                let found = spread(&all);
                let sd = found.and_then(|s| s.sd).map_or(String::new(), |sd| format!(" ± {sd:.1}"));
                found.map_or("-".into(), |s| format!("{:.1}{sd}", s.mean))
            };
            format!("{}, {}", over(|report| &report.before), over(|report| &report.after))
        });
        let n = report.after.n.map(|n| n.to_string()).join(", ");
        let mut labels: Vec<&str> =
            rows.iter().map(|row| row.report.verdict.label.name()).collect();
        labels.dedup();
        let named = [report.task.clone(), report.forget.spec.clone(), budget.name().into()];
        let cells = named.into_iter().chain(times).chain(accuracies).chain([n, labels.join(", ")]);
        Some(cells.collect::<Vec<String>>())
    });
    print::columns(&head, rows)
}
