//! The job of forgetting a prompt: encode, score, cut the mask, measure, train, measure, judge.

mod attack;
mod look;
mod setting;
pub mod survey;

use std::sync::Arc;

use burn::tensor::Device;
use web_time::Instant;

use self::{look::Look, setting::PromptSetting};
use super::{
    Send,
    forgetting::{self, Forgetting, Found},
    gpu_loss_check::GpuLossCheck,
    job::{Event, Run},
    session::Session,
    unlearn::given,
};
use crate::{
    error::Result,
    eval::verdict::{Evidence, verdict},
    job_context::JobContext,
    models::{
        AnyModel,
        latent::{
            LatentModel,
            unet::{cross_attention, is_cross_attention},
        },
    },
    saliency::{change::Change, scores::Scores},
    sampling::latent::LatentWeights,
    subject::items::Items,
    unlearn::{plan::Plan, scope::Scope, unlearner::Unlearner},
    words::{
        attack::AttackKind,
        estimator::Estimator,
        recipe::Recipe,
        report::{Report, Seconds},
        sampling::SampleOptions,
        task::Task,
    },
};

impl Session {
    /// Shows what a recipe's prompts draw, and scores the weights for it.
    pub async fn rank_prompts(
        &mut self,
        id: u64,
        recipe: &Recipe,
        send: &Send,
        job: &mut JobContext,
    ) -> Result<Arc<Scores>> {
        let setting = self.prompt_setting(recipe)?;
        let weights = LatentWeights::upload(&setting.model, &self.device);
        let pane = self.pane_before(&setting, &weights, job).await?;
        send(Event::Pane { id, pane });
        let items = self.items(&setting, &weights, job).await?;
        let mut early = |ranking| send(Event::Early { id, ranking: Arc::new(ranking) });
        self.rank_prompt(recipe, &setting, &items, &weights, job, &mut early).await
    }

    /// Runs a recipe that forgets a prompt.
    pub async fn unlearn_prompt(
        &mut self,
        id: u64,
        recipe: Recipe,
        send: &Send,
        job: &mut JobContext,
    ) -> Result<Run> {
        let setting = self.prompt_setting(&recipe)?;
        let PromptSetting { model, size, .. } = &setting;
        let network = &model.network;
        let weights = LatentWeights::upload(model, &self.device);

        let clock = Instant::now();
        let items = self.items(&setting, &weights, job).await?;
        let [forget, retain] = &*items;
        let plan = Plan::new(&recipe, Scope::of_prompts([forget.len(), retain.len()]))?;
        let (own, ranking) = match plan.estimator {
            Estimator::None => (None, None),
            Estimator::Given => (Some(given(&recipe, &network.unet_layout)?), None),
            _ => {
                let early = &mut |_| {};
                let scored = self.rank_prompt(&recipe, &setting, &items, &weights, job, early);
                (None, Some(scored.await?))
            }
        };
        // Its control is as large.
        let density = own.as_ref().map_or(recipe.density, |mask| mask.density);
        let recipe = Recipe { density, ..recipe };
        let attention = plan.attention();
        let mask = match &ranking {
            Some(ranking) if attention => {
                Some(ranking.mask_of(recipe.density, is_cross_attention)?)
            }
            Some(ranking) => Some(ranking.cut(recipe.density).await?),
            None => own,
        };
        let all = || cross_attention(&network.unet_layout);
        let free = mask.as_ref().map(|m| m.bits.clone()).or_else(|| attention.then(all));
        // A ranking from an earlier job cost what it cost then.
        let mask_seconds =
            clock.elapsed().as_secs_f64().max(ranking.as_ref().map_or(0.0, |r| r.seconds));

        let clock = Instant::now();
        let pane = self.pane_before(&setting, &weights, job).await?;
        send(Event::Pane { id, pane: pane.clone() });
        let mut evaluate_seconds = clock.elapsed().as_secs_f64();

        let look = Look::new(&setting)?;
        let clock = Instant::now();
        let subject = setting.subject(items.clone(), weights.text.clone());
        let original = weights.unet.clone();
        let mut unlearner =
            Unlearner::of(subject, original, plan.clone(), free.as_deref(), job).await?;
        let begun = clock.elapsed().as_secs_f64();
        let trial = self.prompt_trial(&setting, &items, &plan, free.as_deref(), job).await?;
        let so_far =
            |unlearner: &Unlearner| LatentWeights { unet: unlearner.weights(), ..weights.clone() };
        let every = Some(plan.steps.div_ceil(size.previews + 1).max(1));
        let forgetting = Forgetting { id, unlearner: &mut unlearner, trial, every, send };
        let drawn = async |unlearner: &Unlearner, quiet: &mut JobContext| {
            // Half the steps will do.
            let steps = (setting.options.steps / 2).max(4);
            let options = SampleOptions { steps, ..setting.options };
            look.pane(&so_far(unlearner), &setting, &options, quiet).await
        };
        let (log, unlearn_seconds) = forgetting.run(&plan, begun, job, drawn).await?;

        let clock = Instant::now();
        // The original is measured now and not before: who pressed Forget wants to see it forget.
        let before = self.metrics_before(&setting, job).await?;
        let done = &so_far(&unlearner);
        let unet = done.unet.download().await?;
        unet.check(&model.unet)?;
        let grid = look.pane(done, &setting, &setting.options, job).await?;
        let after = look.measure(done, &setting, job).await?;
        let mut attacks = Vec::new();
        // Only what the judge knows can be attacked.
        if recipe.audits() && !setting.pairs[0].is_empty() {
            for (_, kind) in AttackKind::ALL {
                attacks.push(self.attack(kind, &setting, forget, done, job).await?);
            }
        }
        evaluate_seconds += clock.elapsed().as_secs_f64();
        let scored = ranking.as_ref().map_or(0, |r| r.n_forget);
        let found = Found {
            task: Task::TextToImage,
            n: forget.len(),
            augmentation: "",
            mask: mask.as_ref().map(|m| (m, scored, m.frozen_changed(&model.unet, &unet))),
            before,
            after,
            seconds: Seconds {
                mask: mask_seconds,
                unlearn: unlearn_seconds,
                evaluate: evaluate_seconds,
            },
        };
        let report = forgetting::report(&recipe, &plan, found, &self.info);
        let attacked = attacks.iter().map(|a| a.report.clone()).collect();
        let mut report = Report { attacks: attacked, notes: job.notes().to_vec(), ..report };
        report.verdict = verdict(&Evidence::of(&report));
        let change = Change::between(&model.unet, &unet);
        let mut card = model.card.clone();
        if let Some(card) = &mut card {
            card.name = format!("{}, {} forgot {}", card.name, recipe.method, recipe.forget);
            card.metrics.clear();
            card.unlearned.push(recipe.forget.clone());
        }
        Ok(Run {
            model: AnyModel::Latent(LatentModel { unet, card, ..LatentModel::clone(model) }),
            ranking,
            before: pane.grid,
            after: Arc::new(grid),
            recipe,
            forgotten: Vec::new(),
            report,
            mask,
            change,
            changed: Vec::new(),
            attacks,
            log,
        })
    }

    /// What a run's first losses are on the CPU.
    async fn prompt_trial(
        &self,
        setting: &PromptSetting,
        items: &Arc<[Items; 2]>,
        plan: &Plan,
        free: Option<&[u8]>,
        job: &mut JobContext,
    ) -> Result<GpuLossCheck> {
        if !GpuLossCheck::wanted(&self.info, plan.steps, setting.model.params()) {
            return Ok(GpuLossCheck::default());
        }
        let cpu = Device::flex();
        let subject = setting.subject(items.clone(), setting.model.text.upload(&cpu));
        let original = setting.model.unet.upload(&cpu);
        let mut twin = Unlearner::of(subject, original, plan.clone(), free, job).await?;
        GpuLossCheck::run(plan.steps, job, async |job| twin.step(job).await).await
    }
}
