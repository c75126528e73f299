//! The jobs of text-to-image models.

use std::{collections::BTreeMap, sync::Arc};

use web_time::{Duration, Instant};

use super::{
    Send,
    job::{Event, Grid, LatentTrainRequest, LiveStep, PromptRequest},
    safe::Safe,
    session::Session,
};
use crate::{
    data::emoji,
    diffusion::scheduler::Solver,
    error::{Error, Result},
    job_context::JobContext,
    models::{
        card::Training,
        latent::{LatentCard, LatentModel},
    },
    sampling::latent::{Asked, LatentWeights, sample},
    train::{
        latent::{LatentTrainer, Stage, StagePlan, preset},
        trainer::finite,
    },
};

/// How often a run's state is handed out for safe-keeping.
const SAFE: Duration = Duration::from_secs(60);
/// Updates between two looks at the loss.
const LOOK: usize = 20;
/// Pictures that are sampled at a time.
const BATCH: usize = 32;

impl Session {
    /// Trains the text-to-image preset.
    pub async fn train_latent(
        &mut self,
        id: u64,
        request: LatentTrainRequest,
        send: &Send,
        job: &mut JobContext,
    ) -> Result<LatentModel> {
        let emoji = emoji::find(&request.data)?;
        let network = Arc::new(preset::network(&emoji));
        let plan = request.plan;
        let concepts: Vec<String> =
            emoji.index.concepts.iter().take(plan.concepts).map(|c| c.name.clone()).collect();
        let from = match &request.from {
            Some(name) => {
                self.latent_network(name)?.takes(emoji.index.side)?;
                Some(self.latent(name)?)
            }
            None => None,
        };
        let mut trainer = match &from {
            Some(model) => LatentTrainer::decoder((**model).clone(), emoji, plan, &self.device),
            None => LatentTrainer::new(network, emoji, plan, &self.device),
        };
        if let Some(snapshot) = &request.resume {
            trainer.resume(snapshot, job).await?;
        }
        let mut safe = Safe::new(SAFE);
        let keep = async |trainer: &LatentTrainer| {
            let snapshot = Arc::new(trainer.snapshot().await?);
            let model = Arc::new(trainer.result().await?);
            send(Event::LatentSnapshot { id, snapshot, model });
            Ok::<_, Error>(())
        };
        loop {
            let (stage, done, steps) = trainer.progress();
            let (phase, place) = match stage {
                Stage::Autoencoder => ("Training the autoencoder", 0),
                Stage::Diffusion => ("Training the U-Net and the text encoder", 1),
                Stage::Decoder => ("Training the decoder", 2),
            };
            job.resume_phase(phase, steps, done);
            let (before, started) = (trainer.seconds[place], Instant::now());
            for step in done + 1..=steps {
                let loss = trainer.step()?;
                trainer.seconds[place] = before + started.elapsed().as_secs_f64();
                if step.is_multiple_of(LOOK) || step == steps {
                    let loss = finite(loss).await?;
                    let live = LiveStep { step, steps, loss, grid: None };
                    send(Event::Step { id, live });
                }
                let stop = job.advance(1).await;
                if safe.due() || stop.is_err() {
                    keep(&trainer).await?;
                    safe.kept();
                }
                stop?;
            }
            if safe.behind() {
                keep(&trainer).await?;
                safe.kept();
            }
            if !trainer.next_stage(job).await? {
                break;
            }
        }
        let mut model = trainer.result().await?;
        let training = |stage: StagePlan, augmentation: &str, seconds| Training {
            steps: stage.steps,
            batch: stage.batch,
            optimizer: "Adam".into(),
            lr: stage.lr,
            schedule: "linear warm-up over the first tenth, then cosine to 0".into(),
            ema: stage.ema,
            augmentation: augmentation.into(),
            from: None,
            seed: plan.seed,
            seconds,
        };
        let augmentation = "small shifts and scales, one in four on a coloured background";
        let [first, second, third] = trainer.seconds;
        let decoder = (plan.decoder.steps > 0).then(|| training(plan.decoder, augmentation, third));
        let own = from.and_then(|model| model.card.clone());
        let mut card = own.unwrap_or_else(|| LatentCard {
            format: Default::default(),
            name: "emoji-t2i".into(),
            data: request.data,
            concepts,
            autoencoder: Some(training(plan.autoencoder, augmentation, first)),
            diffusion: Some(training(plan.diffusion, augmentation, second)),
            decoder: None,
            unlearned: Vec::new(),
            metrics: BTreeMap::new(),
            device: String::new(),
            version: String::new(),
        });
        card.decoder = decoder;
        card.device = format!("{} ({})", self.info.name, self.info.api);
        card.version = env!("CARGO_PKG_VERSION").into();
        model.card = Some(card);
        Ok(model)
    }

    /// Pictures of prompts, one row each.
    pub async fn sample_prompts(
        &mut self,
        request: PromptRequest,
        job: &mut JobContext,
    ) -> Result<Grid> {
        let PromptRequest { model, prompts, n, options, solver } = request;
        options.check()?;
        if solver.is_none() {
            model.network.notes.iter().for_each(|note| job.note(note));
        }
        let weights = LatentWeights::upload(&model, &self.device);
        let asked: Vec<Asked> = prompts
            .iter()
            .flat_map(|p| (0..n).map(|i| Asked { prompt: p.clone(), noise: i as u64 }))
            .collect();
        let scheduler = model.network.scheduler;
        let config = solver.map_or(scheduler, |kind| scheduler.with(kind));
        // Some solvers call the network more often than they have steps.
        let calls = Solver::new(&config, options.steps).times.len();
        job.phase("Sampling", asked.len() * calls);
        let mut values = Vec::new();
        for batch in asked.chunks(BATCH) {
            values.extend(sample(&model.network, &weights, batch, &options, solver, job).await?);
        }
        let [channels, height, width] = model.network.picture_shape();
        Ok(Grid {
            // A row's class is its prompt.
            rows: (0..prompts.len()).map(Some).collect(),
            names: prompts.clone(),
            columns: n,
            channels,
            tile: [height, width],
            pixels: values.iter().map(|v| (v * 255.0).round() as u8).collect(),
            seen: vec![None; asked.len()],
        })
    }
}
