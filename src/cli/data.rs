//! `salun data`: what there is to forget from.

use clap::Subcommand;
use salun_studio::{
    data::{self, Dataset, NAMES, fashion},
    error::{Error, Result},
};
use serde_json::json;

use super::{args::Common, print};

/// The SHA-256 of each file of the data set as it is committed.
const FASHION: [(&str, &str); 4] = [
    (
        "train-images-idx3-ubyte.gz",
        "b0564c3eedabfbf835052cff8503ea422014ce006caf5b757f851416ee8300c7",
    ),
    (
        "train-labels-idx1-ubyte.gz",
        "0ae29f65d86684f32d1b9c85147786c547b9c6aebcaf235f0400a0cce308b056",
    ),
    (
        "t10k-images-idx3-ubyte.gz",
        "cc1d090a38ace84dfa1aa66e3ada7c336ef481a96936906477e6dd344da56eaa",
    ),
    (
        "t10k-labels-idx1-ubyte.gz",
        "8d3605d196f4be44669e46906da9733c8131fef761fdbfec72c424d5222f1a05",
    ),
];

/// Data sets: list them, fetch one, check one
#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = false)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Lists the data sets
    List,
    /// Makes a data set ready for use
    Fetch { name: String },
    /// Counts a data set's pictures and verifies its files; NAME or folder:PATH
    Check { name: String },
}

/// Runs the command.
pub fn run(args: &Args, common: &Common) -> Result<()> {
    match &args.action {
        Action::List => list(common),
        Action::Fetch { name } => fetch(name, common),
        Action::Check { name } => check(name, common),
    }
}

fn list(common: &Common) -> Result<()> {
    let all = NAMES.iter().map(|name| data::open(name)).collect::<Result<Vec<_>>>()?;
    if common.json {
        let all: Vec<_> = all.iter().map(|d| describe(d)).collect();
        return print::json(&json!({ "data": all }));
    }
    let mut rows = vec![["name", "classes", "train", "test", "where"].map(String::from).to_vec()];
    rows.extend(all.iter().map(|d| {
        let [classes, train, test] =
            [d.classes.len(), d.train.len(), d.test.len()].map(print::grouped);
        vec![d.name.clone(), classes, train, test, "inside the program".into()]
    }));
    print::line(print::table(&rows));
    print::line("Your own pictures: folder:PATH, one sub-folder a class");
    Ok(())
}

fn fetch(name: &str, common: &Common) -> Result<()> {
    data::open(name)?;
    let place = if name.starts_with("folder:") { "on this machine" } else { "inside the program" };
    if common.json {
        return print::json(&json!({ "name": name, "where": place }));
    }
    print::line(format!("{name} is {place}; there is nothing to fetch"));
    Ok(())
}

fn check(name: &str, common: &Common) -> Result<()> {
    let data = data::open(name)?;
    let files = if data.name == NAMES[0] { fashion::hashes()? } else { Vec::new() };
    for (file, hash) in &files {
        if FASHION.iter().find(|(name, _)| name == file).is_none_or(|(_, right)| right != hash) {
            return Err(Error::file(file, format!("is damaged: its SHA-256 is {hash}")));
        }
    }
    if common.json {
        let mut all = describe(&data);
        all["files"] =
            files.iter().map(|(file, hash)| json!({ "file": file, "sha256": hash })).collect();
        return print::json(&all);
    }
    print::line(format!(
        "{}: {} classes, {} training and {} test pictures, {} unreadable files skipped",
        data.name,
        data.classes.len(),
        print::grouped(data.train.len()),
        print::grouped(data.test.len()),
        print::grouped(data.skipped)
    ));
    let mut rows = vec![["class", "train", "test"].map(String::from).to_vec()];
    for (label, class) in data.classes.iter().enumerate() {
        let count =
            |labels: &[u8]| print::grouped(labels.iter().filter(|l| **l as usize == label).count());
        rows.push(vec![class.clone(), count(&data.train.labels), count(&data.test.labels)]);
    }
    print::line(print::table(&rows));
    for (file, hash) in files {
        print::line(format!("sha256 {hash}  {file}  as committed"));
    }
    Ok(())
}

fn describe(d: &Dataset) -> serde_json::Value {
    json!({
        "name": d.name, "classes": d.classes.len(), "class_names": d.classes,
        "train": d.train.len(), "test": d.test.len(), "skipped": d.skipped,
    })
}
