//! `salun train text-to-image`: the autoencoder, then the U-Net and the text encoder, then the
//! decoder alone; writes a diffusers folder.

use std::{fs, path::PathBuf, time::Instant};

use salun_studio::{
    data::emoji,
    disk::output::{self, Output, OutputKind},
    engine::job::{Event, Job, LatentTrainRequest, LogLine, Outcome},
    error::{Error, Result},
    models::{
        checkpoint::Precision,
        latent::{LatentModel, folder},
    },
    run::{
        bundle,
        latent_state::{self, Asked},
    },
    train::latent::{LatentPlan, preset::PLAN},
};

use super::{Args, beside, remove};
use crate::cli::{args::Common, client::Client, print};

/// What to train, by name.
pub const NAME: &str = "text-to-image";

/// Runs the command.
pub fn run(args: &Args, common: &Common) -> Result<()> {
    emoji::find(&args.data)?;
    let unused = [
        ("retain", args.retain.is_some()),
        ("epochs", args.epochs.is_some()),
        ("width", args.width.is_some()),
        ("augment", args.augment.is_some()),
        // Of a trained model nothing but the decoder is trained on.
        ("steps beside --from", args.from.is_some() && args.steps.is_some()),
        ("batch beside --from", args.from.is_some() && args.batch.is_some()),
        ("lr beside --from", args.from.is_some() && args.lr.is_some()),
        (
            "autoencoder-steps beside --from",
            args.from.is_some() && args.autoencoder_steps.is_some(),
        ),
    ];
    if let Some((name, _)) = unused.iter().find(|(_, given)| *given) {
        return Err(Error::Request(format!("--{name} is not for text-to-image; leave it out")));
    }
    if args.from.is_some() && args.decoder_steps.is_none() {
        let reason = "--from trains the decoder of a text-to-image model; add --decoder-steps N";
        return Err(Error::Request(reason.into()));
    }
    let plan = plan(args);
    let asked = Asked { data: args.data.clone(), from: args.from.clone(), plan };
    let out = Output::folder(&args.out, OutputKind::Pipeline, common.force)?;
    let log_file = Output::file(&beside(&args.out, "log.jsonl"), OutputKind::Log, common.force)?;
    let (state, so_far) = (beside(&args.out, "state"), beside(&args.out, "so-far"));
    [&state, &so_far].into_iter().for_each(|path| output::clear(path));
    let (mut log, mut resume) = (Vec::new(), None);
    if args.resume {
        let (snapshot, lines) = latent_state::read(&state, &asked)?;
        (log, resume) = (lines, Some(Box::new(snapshot)));
    } else if state.exists() && !common.force {
        return Err(Error::Request(format!(
            "{} is left from a run that did not end; pass --resume to go on from it or --force to \
             start anew",
            state.display()
        )));
    }

    let mut client = Client::open(common)?;
    let (clock, before) = (Instant::now(), log.last().map_or(0.0, |l: &LogLine| l.seconds));
    let mut kept = None;
    let from = args.from.clone();
    let request = LatentTrainRequest { data: args.data.clone(), plan, from, resume };
    let job = Job::TrainLatent(request);
    let trained = client.hear("", job, Outcome::try_as_latent_trained, |event| match event {
        Event::Step { live, .. } => {
            let seconds = before + clock.elapsed().as_secs_f64();
            log.push(LogLine { step: live.step, loss: live.loss, seconds });
        }
        Event::LatentSnapshot { snapshot, model, .. } => {
            let so_far = || {
                latent_state::write(&state, &asked, snapshot, &log)?;
                Output::folder(&so_far, OutputKind::Pipeline, true)?
                    .write_here(&folder::write(model, Precision::Full)?)
            };
            if print::or_later(so_far()) {
                kept = Some(snapshot.step);
            }
        }
        _ => {}
    });
    if let (Err(Error::Cancelled), Some(step), false) = (&trained, kept, common.quiet) {
        print::note(&format!("step {step} is kept; --resume goes on from it"));
    }
    let model = trained?;
    let precision = if args.half { Precision::Half } else { Precision::Full };
    let written = out.write_folder(folder::write(&model, precision)?);
    if written.is_ok() {
        log_file.write(bundle::log(&log)?.into_bytes())?;
        remove(&state)?;
        // What the last snapshot left; the whole model is there now.
        let _ = fs::remove_dir_all(&so_far);
    }
    summary(&model, args, common, written)
}

fn plan(args: &Args) -> LatentPlan {
    let mut plan = LatentPlan { seed: args.seed, ..PLAN };
    plan.concepts = args.concepts.unwrap_or(plan.concepts);
    plan.autoencoder.steps = args.autoencoder_steps.unwrap_or(plan.autoencoder.steps);
    plan.decoder.steps = args.decoder_steps.unwrap_or(plan.decoder.steps);
    plan.diffusion.steps = args.steps.unwrap_or(plan.diffusion.steps);
    plan.diffusion.batch = args.batch.unwrap_or(plan.diffusion.batch);
    plan.diffusion.lr = args.lr.unwrap_or(plan.diffusion.lr);
    plan
}

fn summary(
    model: &LatentModel,
    args: &Args,
    common: &Common,
    written: Result<PathBuf>,
) -> Result<()> {
    if common.json {
        let (out, card) = (args.out.display().to_string(), &model.card);
        print::json(&serde_json::json!({ "out": out, "card": card }))?;
        return written.map(drop);
    }
    let weights = |part: &str, n: usize| format!("{part} {} weights", print::grouped(n));
    let parts = [
        weights("text encoder", model.text.values.len()),
        weights("U-Net", model.unet.values.len()),
        weights("autoencoder", model.vae.values.len()),
    ];
    print::line(parts.join("; "));
    if let Some(card) = &model.card {
        for (part, training) in [
            ("autoencoder", &card.autoencoder),
            ("U-Net", &card.diffusion),
            ("decoder", &card.decoder),
        ] {
            if let Some(t) = training {
                print::line(format!(
                    "{part}: {} steps of {}, {:.0} s, seed {}",
                    t.steps, t.batch, t.seconds, t.seed
                ));
            }
        }
    }
    print::written(written)
}
