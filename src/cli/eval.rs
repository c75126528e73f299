//! `salun eval`: measures the model of a run folder again, audits a classifier, and tells its
//! distance to another run's.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use salun_studio::{
    disk::output::{Beside, Made, Output, OutputKind},
    engine::job::Job,
    error::{Error, Result},
    eval::verdict::{Evidence, verdict},
    models::{AnyModel, Model, card::Card},
    run::{
        bundle,
        folder::{self, Saved},
    },
    words::{
        self,
        attack::AttackKind,
        files, fingerprint,
        recipe::Recipe,
        report::{Gap, Metrics, Report},
        task::Task,
    },
};
use serde_json::json;

use super::{
    args::Common,
    client::{Client, answer},
    print,
};

/// Measure and audit a run; against a Retrain run, the gaps
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A run folder
    #[arg(long, value_name = "DIR")]
    run: PathBuf,
    /// Another run folder, measured on the first one's forget set; the audit takes it for Retrain
    #[arg(long, value_name = "DIR")]
    against: Option<PathBuf>,
    /// Try to bring back a forgotten prompt: prompt or inversion; may be given twice
    #[arg(long, value_name = "NAME", value_parser = attack)]
    attack: Vec<AttackKind>,
    /// Where the audit and its figures go (classification) [default: the run folder]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

fn attack(given: &str) -> Result<AttackKind> {
    words::find("attack", given, AttackKind::ALL)
}

/// Measures a run that forgot a prompt again, and attacks it.
fn prompt(
    args: &Args,
    (recipe, report, model): (Recipe, Report, AnyModel),
    common: &Common,
) -> Result<()> {
    if let Some(other) = &args.against {
        let right = "a run that forgot a prompt has no Retrain to stand against";
        return Err(Error::argument("against", other.display(), right));
    }
    let pictures: [(OutputKind, Beside); 1] =
        [(OutputKind::Picture, |out| out.with_file_name(files::ATTACKS[1]))];
    let reserve = || reserve(args, files::ATTACKS[0], OutputKind::Attacks, &pictures, common.force);
    let out = (!args.attack.is_empty()).then(reserve).transpose()?;
    let mut client = Client::open(common)?;
    let (seed, attacks) = (recipe.seed, args.attack.clone());
    let job = Job::Attack { model: Arc::new(model), recipe, attacks };
    let attacked = answer!(client.run("", job, |_| Ok(()))?, Attacked);
    let files = bundle::attacks(&attacked.attacks)?.into_iter().map(|(_, bytes)| bytes).collect();
    let written = out.map(|(out, _)| out.write_files(files)).transpose();
    let mut attacks: Vec<_> = attacked.attacks.iter().map(|a| a.report.clone()).collect();
    // What an attack of another kind found earlier still holds.
    let tried = |kind| attacks.iter().any(|a| a.kind == kind);
    let earlier: Vec<_> = report.attacks.iter().filter(|a| !tried(a.kind)).cloned().collect();
    attacks.extend(earlier);
    let report = Report { after: attacked.metrics, attacks, ..report };
    let found = verdict(&Evidence::of(&report));
    if common.json {
        print::json(&json!({
            "run": args.run.display().to_string(), "forget": report.forget, "before": report.before,
            "metrics": report.after, "attacks": report.attacks, "verdict": found, "seed": seed,
            "device": client.info(),
        }))?;
        return written.map(drop);
    }
    print::line(print::metrics(&[("before (report)", &report.before), ("run", &report.after)]));
    print::attacks(&report.attacks);
    print::verdict(&found);
    print::line(format!("forgets {}; seed {seed}; {}", report.forget.spec, client.info().name));
    written.map(drop)
}

/// Runs the command.
pub fn run(args: &Args, common: &Common) -> Result<()> {
    let run = folder::read(&args.run)?;
    let against = args.against.as_ref().map(|dir| folder::read(dir)).transpose()?;
    if let Some(other) = against.as_ref().filter(|a| a.report.task != run.report.task) {
        let right = format!("a run of the same task is needed: {}", run.report.task);
        return Err(Error::argument("against", &other.report.task, right));
    }
    if let (Some(dir), Some(other)) = (&args.against, &against) {
        same_data(dir, &run, other)?;
    }
    let Saved { recipe, report, model } = run;
    let model = match model {
        AnyModel::Latent(_) => return prompt(args, (recipe, report, model), common),
        AnyModel::Plain(model) => model,
    };
    if let Some(attack) = args.attack.first() {
        let right = "only a run that forgot a prompt can be attacked so; others are audited";
        return Err(Error::argument("attack", attack.name(), right));
    }
    let audits = model.card.architecture.task() == Task::Classify;
    let pictures: [(OutputKind, Beside); 2] = [
        (OutputKind::Picture, |out| out.with_file_name(files::AUDIT[1])),
        (OutputKind::Picture, |out| out.with_file_name(files::AUDIT[2])),
    ];
    let reserve = || reserve(args, files::AUDIT[0], OutputKind::Audit, &pictures, common.force);
    let out = audits.then(reserve).transpose()?;
    let mut client = Client::open(common)?;
    // On the same pictures: what the run's model forgot is not in the retain set.
    let other = against.and_then(|a| a.model.plain().cloned()).map(|other| {
        let card = Card { unlearned: model.card.unlearned.clone(), ..other.card };
        Arc::new(Model { card, ..other })
    });
    let (metrics, against, audit) = if audits {
        let (model, recipe) = (Arc::new(model), recipe.clone());
        let job = Job::Audit { model, recipe, retrain: other };
        let audited = answer!(client.run("", job, |_| Ok(()))?, Audited);
        (audited.metrics, audited.against, Some(audited.audit))
    } else {
        let mut measure = |label: &str, model: Arc<Model>, recipe: Recipe| -> Result<Metrics> {
            let job = Job::Evaluate { model, recipe };
            Ok(answer!(client.run(label, job, |_| Ok(()))?, Measured))
        };
        let metrics = measure("run", model.into(), recipe.clone())?;
        let against = other.map(|m| measure("against", m, recipe.clone())).transpose()?;
        (metrics, against, None)
    };
    let gap = against.as_ref().map(|o| Gap::between(&metrics, o));
    let written = match (&audit, out) {
        (Some(audit), Some((out, _))) => {
            Some(out.write_files(bundle::audit(audit)?.map(|(_, bytes)| bytes).into()))
        }
        _ => None,
    };
    let written = written.transpose();
    let retrain = against.clone().or(report.retrain);
    let report = Report { after: metrics, retrain, audit: audit.clone().map(Box::new), ..report };
    let found = verdict(&Evidence::of(&report));
    if common.json {
        let path = |path: &PathBuf| path.display().to_string();
        print::json(&json!({
            "run": path(&args.run), "against": args.against.as_ref().map(path), "forget": report.forget,
            "before": report.before, "metrics": report.after, "against_metrics": against, "gap": gap,
            "audit": audit, "verdict": found, "seed": recipe.seed, "device": client.info(),
        }))?;
        return written.map(drop);
    }
    let mut rows = vec![("before (report)", &report.before), ("run", &report.after)];
    rows.extend(against.as_ref().map(|o| ("against", o)));
    print::line(print::metrics(&rows));
    if let Some(g) = gap {
        print::line(format!(
            "gap: UA {:.2}, RA {:.2}, TA {:.2}, MIA {}, average {:.2}, ToW {:.3}",
            g.UA,
            g.RA,
            g.TA,
            g.MIA.map_or("-".into(), |v| format!("{v:.2}")),
            g.average,
            g.ToW
        ));
    }
    if let Some(audit) = &audit {
        print::audit(audit);
    }
    print::verdict(&found);
    let (forget, seed) = (&report.forget.spec, recipe.seed);
    print::line(format!("forgets {forget}; seed {seed}; {}", client.info().name));
    written.map(drop)
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

/// Reserves what is found: in the folder that was asked for, which is made if it is not there, or in the
/// run folder, in place of what was found before.
fn reserve(
    args: &Args,
    name: &str,
    kind: OutputKind,
    pictures: &[(OutputKind, Beside)],
    force: bool,
) -> Result<(Output, Made)> {
    let (folder, force) = args.out.as_ref().map_or((&args.run, true), |out| (out, force));
    let made = Made::folders(folder)?;
    Ok((Output::files(&folder.join(name), kind, pictures, force)?, made))
}
