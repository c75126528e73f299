//! `salun info`: devices, models, data sets, methods, masks.

use std::collections::BTreeMap;

use salun_studio::{
    error::Result,
    gpu::device,
    models::registry::SHIPPED,
    train::preset::PRESETS,
    unlearn::{
        knob::{Knob, KnobKind},
        registry::METHODS,
    },
    words::{estimator::Estimator, task::Task},
};
use serde_json::{Value, json};

use super::{args::Common, print};

/// What there is: devices and the one chosen, models, data sets, methods, masks
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs the command.
pub fn run(_: &Args, common: &Common) -> Result<()> {
    let chosen = device::open(common.device)?.info;
    let devices = device::list();
    let models = models()?;
    if common.json {
        let data = super::data::describe_all()?;
        let methods = METHODS.iter().map(|m| {
            let tasks: Vec<_> = m.tasks().iter().map(|t| t.name()).collect();
            json!({
                "name": m.name, "title": m.title, "tasks": tasks, "paper": m.paper,
                "mask": m.mask,
                "fields": m.tasks().iter().map(|t| (t.name(), m.fields(*t)))
                    .collect::<BTreeMap<_, _>>(),
                "classify": m.classify.as_ref().filter(|how| how.epochs > 0).map(|how| json!({
                    "lr": how.lr, "epochs": how.epochs,
                })),
                "generate": m.generate.as_ref().filter(|how| how.steps > 0).map(|how| json!({
                    "lr": how.lr, "steps": how.steps,
                })),
                "knobs": m.knobs().collect::<Vec<_>>(),
            })
        });
        return print::json(&json!({
            "devices": devices.iter().map(|d| json!({
                "name": d.name, "api": d.api, "kind": d.kind,
            })).collect::<Vec<_>>(),
            "device": chosen,
            "models": models,
            "data": data,
            "methods": methods.collect::<Vec<_>>(),
            "masks": Estimator::ALL.iter().map(|e| json!({
                "name": e.name(), "about": e.about(),
            })).collect::<Vec<_>>(),
        }));
    }
    let found: Vec<_> = devices.iter().map(print::device).collect();
    print::line(format!("Devices: {}", found.join("; ")));
    print::line(format!("Chosen:  {}", print::device(&chosen)));
    let mut rows = vec![["Models", "task", "weights", "parameters"].map(String::from).to_vec()];
    rows.extend(models.iter().map(|m| {
        let text = |key: &str| m[key].as_str().unwrap_or_default().to_string();
        let params = m["params"].as_u64().map_or("-".into(), |n| print::grouped(n as usize));
        vec![text("name"), text("task"), text("weights"), params]
    }));
    print::line(format!("\n{}", print::table(&rows)));
    let mut rows = vec![["Data", "train", "test", "classes", "where"].map(String::from).to_vec()];
    rows.extend(super::data::describe_all()?.iter().map(|set| {
        let text = |key: &str| set[key].as_str().unwrap_or_default().to_string();
        let count = |key: &str| print::grouped(set[key].as_u64().unwrap_or_default() as usize);
        let names: Vec<_> = set["class_names"].as_array().into_iter().flatten().collect();
        let few = names.iter().filter_map(|name| name.as_str()).collect::<Vec<_>>().join(", ");
        let classes = if names.len() <= 10 { few } else { names.len().to_string() };
        vec![text("name"), count("train"), count("test"), classes, text("where")]
    }));
    print::line(format!("\n{}", print::table(&rows)));
    let mut rows = vec![["Methods", "title", "tasks", "knobs", "paper"].map(String::from).to_vec()];
    rows.extend(METHODS.iter().map(|m| {
        let tasks: Vec<_> = m.tasks().iter().map(|t| t.name()).collect();
        let knobs: Vec<_> = m.knobs().map(|k| k.name).collect();
        let row = [m.name, m.title, &tasks.join(", "), &knobs.join(", "), m.paper];
        row.map(String::from).to_vec()
    }));
    print::line(format!("\n{}", print::table(&rows)));
    print::line(format!("\n{}", print::table(&knobs())));
    let mut rows = vec![["Masks", "how weights are scored"].map(String::from).to_vec()];
    rows.extend(Estimator::ALL.iter().map(|e| [e.name(), e.about()].map(String::from).to_vec()));
    print::line(format!("\n{}", print::table(&rows)));
    Ok(())
}

/// What can be set, by `--set NAME=VALUE`: a knob that several methods share has one row.
fn knobs() -> Vec<Vec<String>> {
    let head = ["Knobs", "of", "default", "range", "what it is"];
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
        vec![knob.name.into(), of, default, range, knob.what.into()]
    };
    let head = vec![head.map(String::from).to_vec()];
    head.into_iter().chain(rows.iter().map(row)).collect()
}

/// The shipped models, and those that can be trained but are not shipped.
fn models() -> Result<Vec<Value>> {
    let mut all = Vec::new();
    for m in SHIPPED {
        let params = match m.task {
            Task::TextToImage => m.open_latent()?.params(),
            _ => m.open()?.weights.layout.n(),
        };
        all.push(json!({
            "name": m.name, "task": m.task.name(), "weights": "shipped", "params": params,
        }));
    }
    for p in PRESETS.iter().filter(|p| SHIPPED.iter().all(|m| m.name != p.name)) {
        let usual = p.usual()?;
        let params = usual.build().1.n();
        all.push(json!({
            "name": p.name, "task": usual.task().name(), "weights": "not shipped", "params": params,
        }));
    }
    Ok(all)
}
