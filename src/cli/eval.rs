//! `salun eval`: measures the model of a run folder again, audits a classifier, and tells its
//! distance to another run's; or does all that for two weights files that others made.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use serde_json::{Value, json};

use super::{Client, Common, args, compare, print};
use salun_studio::disk::output::{Beside, Made, Output, OutputKind};
use salun_studio::engine::{Attacked, Job, Outcome};
use salun_studio::error::{Error, Result};
use salun_studio::eval::Evidence;
use salun_studio::eval::verdict::verdict;
use salun_studio::gpu::DeviceInfo;
use salun_studio::models::{AnyModel, Card, Model};
use salun_studio::run::{Saved, bundle, folder};
use salun_studio::words::{AttackKind, Gap, Metrics, Recipe, Report, files, fingerprint};

/// Measure and audit a run, or weights that others made forget; against a Retrain run, the gaps
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A run folder
    #[arg(long, value_name = "DIR", required_unless_present = "before")]
    run: Option<PathBuf>,
    /// Another run folder, measured on the first one's forget set; the audit takes it for Retrain
    #[arg(long, value_name = "DIR", conflicts_with = "before")]
    against: Option<PathBuf>,
    /// Try to bring back a forgotten prompt: prompt or inversion; may be given twice
    #[arg(long, value_name = "NAME", value_parser = args::choice("attack", AttackKind::ALL), conflicts_with = "before")]
    attack: Vec<AttackKind>,
    /// Where the audit and its figures go (classification) [default: the run folder]; with --before, the
    /// run folder to write
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    pair: compare::Pair,
}

/// What was found of a run anew.
struct Found {
    /// The run's report with what was measured in place of what it held.
    report: Report,
    /// Of the other run, and the distance to it.
    against: Option<Metrics>,
    gap: Option<Gap>,
    /// What the JSON has besides.
    more: Value,
    device: DeviceInfo,
    written: Option<Result<PathBuf>>,
}

/// Runs the command.
pub fn run(args: &Args, common: &Common) -> Result<()> {
    let Some(dir) = &args.run else {
        return compare::run(&args.pair, args.out.as_deref(), common);
    };
    let run = folder::read(dir)?;
    let against = args.against.as_ref().map(|dir| folder::read(dir)).transpose()?;
    if let (Some(dir), Some(other)) = (&args.against, &against) {
        if other.report.task != run.report.task {
            let right = format!("a run of the same task is needed: {}", run.report.task);
            return Err(Error::argument("against", &other.report.task, right));
        }
        same_data(dir, &run, other)?;
    }
    let Saved { recipe, report, model } = run;
    let seed = recipe.seed;
    let mut found = match model {
        AnyModel::Latent(_) => attacked(args, dir, Saved { recipe, report, model }, common),
        AnyModel::Plain(model) => measured(args, dir, (recipe, report, model), against, common),
    }?;
    found.report.verdict = verdict(&Evidence::of(&found.report));
    show(dir, &found, seed)?;
    found.written.transpose().map(drop)
}

/// Measures a run that forgot a prompt again, and attacks it.
fn attacked(args: &Args, dir: &Path, run: Saved, common: &Common) -> Result<Found> {
    if let Some(other) = &args.against {
        let right = "a run that forgot a prompt has no Retrain to stand against";
        return Err(Error::argument("against", other.display(), right));
    }
    let pictures: [(OutputKind, Beside); 1] =
        [(OutputKind::Picture, |out| out.with_file_name(files::ATTACKS[1]))];
    let place = args.place(dir, common);
    let reserve = || reserve(place, files::ATTACKS[0], OutputKind::Attacks, &pictures);
    let out = (!args.attack.is_empty()).then(reserve).transpose()?;
    let mut client = Client::open(common)?;
    let Saved { recipe, report, model } = run;
    let job = Job::Attack { model: Arc::new(model), recipe, attacks: args.attack.clone() };
    let Attacked { metrics, attacks: found } = *client.ask(job, Outcome::try_as_attacked)?;
    let files = bundle::attacks(&found)?.into_iter().map(|(_, bytes)| bytes).collect();
    let written = out.map(|(out, _)| out.write_files(files));
    let mut attacks: Vec<_> = found.into_iter().map(|a| a.report).collect();
    // What an attack of another kind found earlier still holds.
    let tried: Vec<AttackKind> = attacks.iter().map(|a| a.kind).collect();
    attacks.extend(report.attacks.iter().filter(|a| !tried.contains(&a.kind)).cloned());
    let report = Report { after: metrics, attacks, ..report };
    let (more, device) = (json!({ "attacks": report.attacks }), client.info().clone());
    Ok(Found { report, against: None, gap: None, more, device, written })
}

/// Measures a run again, beside another, and audits a classifier.
fn measured(
    args: &Args,
    dir: &Path,
    (recipe, report, model): (Recipe, Report, Arc<Model>),
    against: Option<Saved>,
    common: &Common,
) -> Result<Found> {
    if let Some(attack) = args.attack.first() {
        let right = "only a run that forgot a prompt can be attacked so; others are audited";
        return Err(Error::argument("attack", attack.name(), right));
    }
    let audits = model.card.architecture.task().classifies();
    let pictures: [(OutputKind, Beside); 2] = [
        (OutputKind::Picture, |out| out.with_file_name(files::AUDIT[1])),
        (OutputKind::Picture, |out| out.with_file_name(files::AUDIT[2])),
    ];
    let place = args.place(dir, common);
    let reserve = || reserve(place, files::AUDIT[0], OutputKind::Audit, &pictures);
    let out = audits.then(reserve).transpose()?;
    let mut client = Client::open(common)?;
    // On the same pictures: what the run's model forgot is not in the retain set.
    let other = against.and_then(|a| a.model.plain().cloned()).map(|other| {
        let card = Card { unlearned: model.card.unlearned.clone(), ..other.card.clone() };
        Arc::new(Model { card, ..Model::clone(&other) })
    });
    let (metrics, against, audit) = if audits {
        let job = Job::Audit { model, recipe, retrain: other };
        let audited = client.ask(job, Outcome::try_as_audited)?;
        (audited.metrics, audited.against, Some(audited.audit))
    } else {
        let mut measure = |label: &str, model: Arc<Model>| {
            let job = Job::Evaluate { model, recipe: recipe.clone() };
            client.label = label.into();
            client.ask(job, Outcome::try_as_measured)
        };
        let metrics = measure("run", model)?;
        (metrics, other.map(|other| measure("against", other)).transpose()?, None)
    };
    let written = match (&audit, out) {
        (Some(audit), Some((out, _))) => {
            Some(out.write_files(bundle::audit(audit)?.map(|(_, bytes)| bytes).into()))
        }
        _ => None,
    };
    let gap = against.as_ref().map(|other| Gap::between(&metrics, other));
    let more = json!({
        "against": args.against.as_ref().map(|dir| dir.display().to_string()),
        "against_metrics": against, "gap": gap, "audit": audit,
    });
    let retrain = against.clone().or(report.retrain);
    let report = Report { after: metrics, retrain, audit: audit.map(Box::new), ..report };
    Ok(Found { report, against, gap, more, device: client.info().clone(), written })
}

/// Prints what was found.
fn show(dir: &Path, found: &Found, seed: u64) -> Result<()> {
    let Found { report, against, gap, more, device, .. } = found;
    let value = json!({
        "run": dir.display().to_string(), "forget": report.forget, "before": report.before,
        "metrics": report.after, "verdict": report.verdict, "seed": seed, "device": device,
    });
    print::json(&print::with(value, more.clone()))?;
    let mut rows = vec![("before (report)", &report.before), ("run", &report.after)];
    rows.extend(against.as_ref().map(|other| ("against", other)));
    print::line(print::metrics(&rows));
    if let Some(Gap { UA, RA, TA, MIA, average, ToW }) = gap {
        let mia = print::number(*MIA, 2);
        print::line(format!(
            "gap: UA {UA:.2}, RA {RA:.2}, TA {TA:.2}, MIA {mia}, average {average:.2}, ToW {ToW:.3}"
        ));
    }
    print::found(report);
    print::line(format!("forgets {}; seed {seed}; {}", report.forget.spec, device.name));
    Ok(())
}

/// Refuses to compare runs on different data.
fn same_data(dir: &Path, run: &Saved, other: &Saved) -> Result<()> {
    let classes = |saved: &Saved| saved.model.plain().map(|model| model.card.classes.clone());
    let [own, theirs] = [&run.recipe.fingerprint, &other.recipe.fingerprint];
    let changed = fingerprint::difference(own.as_ref(), theirs.as_ref());
    let (own, theirs) = (classes(run).unwrap_or_default(), classes(other).unwrap_or_default());
    let what = match changed {
        Some(what) => what,
        None if run.recipe.data != other.recipe.data && own != theirs => {
            format!("its classes are {}, the run's {}", theirs.join(", "), own.join(", "))
        }
        None => return Ok(()),
    };
    Err(Error::file(dir, format!("is a run on other data: {what}")))
}

impl Args {
    /// The folder for what is found, and whether what is there is replaced: that which was asked for, or the run
    /// folder, in place of what was found before.
    fn place<'a>(&'a self, run: &'a Path, common: &Common) -> (&'a Path, bool) {
        self.out.as_deref().map_or((run, true), |out| (out, common.force))
    }
}

/// Reserves what is found in a folder, which is made if it is not there.
fn reserve(
    (folder, force): (&Path, bool),
    name: &str,
    kind: OutputKind,
    pictures: &[(OutputKind, Beside)],
) -> Result<(Output, Made)> {
    let made = Made::folders(folder)?;
    Ok((Output::files(&folder.join(name), kind, pictures, force)?, made))
}
