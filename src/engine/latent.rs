//! The jobs of text-to-image models.

use std::sync::Arc;

use super::{GpuLossCheck, Grid, PromptRequest, Work, bytes};
use crate::data::corpus;
use crate::diffusion::Solver;
use crate::error::Result;
use crate::models::Training;
use crate::models::latent::{LatentCard, LatentModel};
use crate::sampling::{LatentWeights, Wanted};
use crate::train::latent::{LatentRun, Setting, Stage, StagePlan, preset};
use crate::train::{Snapshot, TrainRequest, latent};

/// Pictures that are sampled at a time.
const BATCH: usize = 32;

impl Work<'_> {
    /// Trains the text-to-image preset.
    pub(super) async fn train_prompts(
        &mut self,
        request: TrainRequest,
        resume: Option<Box<Snapshot>>,
    ) -> Result<LatentModel> {
        let corpus = corpus::find(&request.data)?;
        preset::trainable(&corpus)?;
        corpus.notes.iter().for_each(|note| self.job.note(note));
        let styled = corpus.has_styles();
        let plan = preset::plan(&request, &corpus);
        let names = corpus.index.concepts.iter().take(plan.concepts);
        let concepts: Vec<String> = names.map(|c| c.name.clone()).collect();
        let (start, fresh) = match &request.from {
            Some(name) => {
                self.session.latent_network(name)?.is_coloured()?;
                ((*self.session.latent(name)?).clone(), false)
            }
            None => (LatentModel::fresh(Arc::new(preset::network(&corpus)), plan.seed), true),
        };
        let own = start.card.clone().filter(|_| !fresh);
        let setting = Setting { corpus, plan, device: self.session.device.clone() };
        let mut run = LatentRun::new(start, setting, fresh, resume.as_deref(), self.job).await?;
        loop {
            let LatentRun { model, trainer, .. } = &mut run;
            let phase = trainer.stage.map_or("", Stage::describe).to_string();
            self.drive(trainer, phase, GpuLossCheck::default(), Some(model)).await?;
            if !run.next_stage(self.job).await? {
                break;
            }
        }
        let mut model = latent::result(&run.model, &run.trainer).await?;
        let augmentation = match styled {
            true => "small shifts and scales, one in four on a coloured background",
            false => "none",
        };
        let training = |stage: StagePlan, place: usize| Training {
            optimizer: "Adam".into(),
            augmentation: augmentation.into(),
            ..stage.whole(plan.seed).done(run.trainer.seconds.get(place).copied().unwrap_or(0.0))
        };
        let mut card = own.unwrap_or_else(|| LatentCard {
            name: if styled { "emoji-t2i" } else { preset::NAME }.into(),
            data: request.data,
            concepts,
            autoencoder: Some(training(plan.autoencoder, 0)),
            diffusion: Some(training(plan.diffusion, 1)),
            ..LatentCard::default()
        });
        card.decoder = (plan.decoder.steps > 0).then(|| training(plan.decoder, 2));
        card.device = self.session.info.label();
        card.version = env!("CARGO_PKG_VERSION").into();
        model.card = Some(card);
        Ok(model)
    }

    /// Pictures of prompts, one row each.
    ///
    /// # Errors
    /// An option is wrong; cancelled, or the device failed.
    pub async fn sample_prompts(&mut self, request: PromptRequest) -> Result<Grid> {
        let PromptRequest { model, prompts, n, options, solver, size } = request;
        options.check()?;
        if solver.is_none() {
            model.network.notes.iter().for_each(|note| self.job.note(note));
        }
        let weights = LatentWeights::upload(&model, &self.session.device);
        let weights = match size {
            Some(side) => weights.sized(side)?,
            None => weights,
        };
        let asked: Vec<_> = prompts.iter().flat_map(|p| Wanted::each(p, 0..n as u64)).collect();
        let config = model.network.scheduler.or_with(solver);
        // Some solvers call the network more often than they have steps.
        let calls = Solver::new(&config, options.steps).times.len();
        self.job.phase("Sampling", asked.len() * calls);
        let mut pixels = Vec::new();
        for batch in asked.chunks(BATCH) {
            pixels.extend(bytes(&weights.sample(batch, &options, solver, self.job).await?));
        }
        // A row's class is its prompt.
        let rows = (0..prompts.len()).map(Some).collect();
        let shape = weights.network.picture_shape();
        Ok(Grid { names: prompts, ..Grid::new(rows, shape, pixels, vec![None; asked.len()]) })
    }
}
