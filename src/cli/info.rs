//! `salun info`: devices, models, data sets, methods, masks.

use salun_studio::{
    data::sets::SETS, error::Result, gpu::device, models::registry::SHIPPED,
    saliency::estimator::Estimator, train::preset::PRESETS, unlearn::registry::METHODS,
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
        let data = SETS.iter().map(super::data::describe);
        let methods = METHODS.iter().map(|m| {
            let tasks: Vec<_> = m.tasks().iter().map(|t| t.name()).collect();
            json!({
                "name": m.name, "title": m.title, "tasks": tasks, "paper": m.paper,
                "knobs": m.knobs,
            })
        });
        return print::json(&json!({
            "devices": devices.iter().map(|d| json!({
                "name": d.name, "api": d.api, "kind": d.kind,
            })).collect::<Vec<_>>(),
            "device": chosen,
            "models": models,
            "data": data.collect::<Vec<_>>(),
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
    rows.extend(SETS.iter().map(|set| {
        let [train, test] = set.n.map(print::grouped);
        let classes = match set.classes {
            few @ [_, ..] if few.len() <= 10 => few.join(", "),
            many => many.len().to_string(),
        };
        vec![set.name.into(), train, test, classes, super::data::place(set)]
    }));
    print::line(format!("\n{}", print::table(&rows)));
    let mut rows = vec![["Methods", "title", "tasks", "knobs", "paper"].map(String::from).to_vec()];
    rows.extend(METHODS.iter().map(|m| {
        let tasks: Vec<_> = m.tasks().iter().map(|t| t.name()).collect();
        let row = [m.name, m.title, &tasks.join(", "), &m.knobs.join(", "), m.paper];
        row.map(String::from).to_vec()
    }));
    print::line(format!("\n{}", print::table(&rows)));
    let mut rows = vec![["Masks", "how weights are scored"].map(String::from).to_vec()];
    rows.extend(Estimator::ALL.iter().map(|e| [e.name(), e.about()].map(String::from).to_vec()));
    print::line(format!("\n{}", print::table(&rows)));
    Ok(())
}

/// The shipped models, and those that can be trained but are not shipped.
fn models() -> Result<Vec<Value>> {
    let mut all = Vec::new();
    for m in SHIPPED {
        let params = m.open()?.weights.layout.n();
        all.push(json!({
            "name": m.name, "task": m.task.name(), "weights": "shipped", "params": params,
        }));
    }
    for p in PRESETS.iter().filter(|p| SHIPPED.iter().all(|m| m.name != p.name)) {
        let params = p.usual()?.build().1.n();
        all.push(json!({
            "name": p.name, "task": p.task.name(), "weights": "not shipped", "params": params,
        }));
    }
    Ok(all)
}
