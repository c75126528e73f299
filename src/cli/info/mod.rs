//! `salun info`: devices, models, data sets, methods, masks; of one model its memory.

mod memory;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Common, args, data, model, print};
use salun_studio::error::Result;
use salun_studio::gpu::device;
use salun_studio::models::SHIPPED;
use salun_studio::models::registry::OPENS;
use salun_studio::train::PRESETS;
use salun_studio::unlearn::registry::METHODS;
use salun_studio::unlearn::{Knob, KnobKind, Method};
use salun_studio::words::{Budget, Estimator, Task};

/// What there is: devices and the one chosen, models, data sets, methods, masks; or what a model needs
/// in memory
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A model: what its jobs need in memory
    #[arg(long, value_name = "M")]
    model: Option<String>,
    /// How much is trained on: tiny, quick or full
    #[arg(long, requires = "model", default_value = "quick", value_parser = args::choice("budget", Budget::ALL))]
    budget: Budget,
    /// Items in an update, in the place of the budget's
    #[arg(long, value_name = "N", requires = "model", value_parser = args::whole("batch", 1..=4096), allow_negative_numbers = true)]
    batch: Option<usize>,
    /// Share of weights that may change, from 0 to 1
    #[arg(long, value_name = "R", requires = "model", value_parser = args::real("density", 0.0..=1.0), allow_negative_numbers = true)]
    density: Option<f64>,
}

/// Runs the command.
pub fn run(args: &Args, common: &Common) -> Result<()> {
    if let Some(model) = &args.model {
        return memory::run(model, args, common);
    }
    let chosen = device::open(common.device)?.info;
    let (devices, models, data) = (device::list(), models()?, data::describe_all()?);
    let (kept, kept_here) = data::kept().unzip();
    print::json(&json!({
        "devices": devices.iter().map(|d| json!({
            "name": d.name, "api": d.api, "kind": d.kind,
        })).collect::<Vec<_>>(),
        "device": chosen,
        "kept": kept,
        "fetched": model::described(),
        "models": models,
        "opens": OPENS.iter().map(|[how, what]| json!({ "how": how, "what": what })).collect::<Vec<_>>(),
        "data": data,
        "methods": METHODS.iter().map(described).collect::<Vec<_>>(),
        "masks": Estimator::ALL.iter().map(|e| json!({
            "name": e.name(), "about": e.about(),
        })).collect::<Vec<_>>(),
    }))?;
    let found: Vec<_> = devices.iter().map(print::device).collect();
    print::line(format!("Devices: {}", found.join("; ")));
    print::line(format!("Chosen:  {}", print::device(&chosen)));
    kept_here.into_iter().for_each(|kept| print::line(format!("Kept:    {kept}")));
    let models = models
        .iter()
        .map(|m| ["name", "task", "weights", "params"].map(|key| print::cell(&m[key])));
    let data = data.iter().map(|set| {
        let names = set["class_names"].as_array().filter(|names| names.len() <= 10);
        let names = names.map(|names| names.iter().map(print::cell).collect::<Vec<_>>().join(", "));
        let [name, train, test, classes, place] =
            ["name", "train", "test", "classes", "where"].map(|key| print::cell(&set[key]));
        [name, train, test, names.unwrap_or(classes), place]
    });
    let methods = METHODS.iter().map(|m| {
        let knobs: Vec<_> = m.knobs().map(|k| k.name).collect();
        [m.name, m.title, &tasks(m).join(", "), &knobs.join(", "), m.paper].map(String::from)
    });
    let opens = OPENS.iter().map(|row| row.map(String::from));
    let masks = Estimator::ALL.iter().map(|e| [e.name(), e.about()].map(String::from));
    for table in [
        print::columns(&["Models", "task", "weights", "parameters"], models),
        print::columns(&["Opens", "what it is"], opens),
        print::columns(&["Data", "train", "test", "classes", "where"], data),
        print::columns(&["Methods", "title", "tasks", "knobs", "paper"], methods),
        print::columns(&["Knobs", "of", "default", "range", "what it is"], knobs()),
        print::columns(&["Masks", "how weights are scored"], masks),
    ] {
        print::line(format!("\n{table}"));
    }
    Ok(())
}

fn tasks(method: &Method) -> Vec<&'static str> {
    method.tasks().iter().map(|task| task.name()).collect()
}

/// A method with its fields and knobs.
fn described(m: &Method) -> Value {
    let fields = m.tasks().iter().map(|t| (t.name(), m.fields(*t))).collect::<BTreeMap<_, _>>();
    let trained = |task| m.treats(task).filter(|how| how.trains());
    json!({
        "name": m.name, "title": m.title, "tasks": tasks(m), "paper": m.paper, "mask": m.mask,
        "fields": fields,
        "classify": trained(Task::Classify).map(|how| json!({ "lr": how.lr, "epochs": how.length })),
        "generate": trained(Task::Generate).map(|how| json!({ "lr": how.lr, "steps": how.length })),
        "knobs": m.knobs().collect::<Vec<_>>(),
    })
}

/// What can be set, by `--set NAME=VALUE`: a knob that several methods share has one row.
fn knobs() -> Vec<[String; 5]> {
    let mut rows: Vec<(Knob, Vec<&str>)> = Vec::new();
    for method in METHODS {
        for knob in method.knobs() {
            match rows.iter_mut().find(|(known, _)| known == knob) {
                Some((_, methods)) => methods.push(method.name),
                None => rows.push((*knob, vec![method.name])),
            }
        }
    }
    let row = |(knob, methods): &(Knob, Vec<&str>)| {
        let of = if methods.len() > 6 { "most methods".into() } else { methods.join(", ") };
        let [least, most] = knob.range;
        let (default, range) = match knob.kind {
            KnobKind::Switch => ("off".into(), "on or off".into()),
            KnobKind::Choice(names) => (names[knob.default as usize].into(), names.join(", ")),
            _ => (knob.default.to_string(), format!("{least} to {most}")),
        };
        [knob.name.into(), of, default, range, knob.what.into()]
    };
    rows.iter().map(row).collect()
}

/// The shipped models, and those that can be trained but are not shipped.
fn models() -> Result<Vec<Value>> {
    let listed = |name: &str, task: Task, weights: &str, params: usize| json!({ "name": name, "task": task.name(), "weights": weights, "params": params });
    let shipped = SHIPPED.iter().map(|m| {
        let params = match m.task.prompted() {
            true => m.open_latent()?.params(),
            false => m.open()?.weights.layout.n(),
        };
        Ok(listed(m.name, m.task, "shipped", params))
    });
    let others = PRESETS.iter().filter(|p| SHIPPED.iter().all(|m| m.name != p.name));
    let others = others.map(|p| {
        let usual = p.usual()?;
        Ok(listed(p.name, usual.task(), "not shipped", usual.build().1.n()))
    });
    shipped.chain(others).collect()
}
