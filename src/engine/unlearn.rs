//! The unlearning job: score, cut the mask, measure before, train, measure after, judge.

use std::sync::Arc;

use burn::tensor::Device;
use web_time::Instant;

use super::{
    Send,
    audit::Suspect,
    forgetting::{self, Forgetting, Found},
    gpu_loss_check::GpuLossCheck,
    job::Run,
    measure::{no_judge, sampling},
    requests,
    session::{Session, Setting, twin},
};
use crate::{
    error::{Error, Result},
    eval::{
        changed::most_changed,
        verdict::{Evidence, Set, verdict},
    },
    job_context::JobContext,
    models::{
        AnyModel, Model,
        card::Card,
        weights::{HostWeights, WeightLayout},
    },
    saliency::{Mask, change::Change},
    unlearn::{
        plan::Plan,
        registry::{Order, Rate},
        unlearner::Unlearner,
    },
    words::{
        audit::Changed,
        budget::Budget,
        estimator::Estimator,
        recipe::Recipe,
        report::{EarlierReport, Forgotten, Gap, Metrics, Report, Seconds, Verdict, VerdictLabel},
        task::Task,
    },
};

impl Session {
    /// Runs a recipe.
    pub async fn unlearn(
        &mut self,
        id: u64,
        recipe: Recipe,
        send: &Send,
        job: &mut JobContext,
    ) -> Result<Run> {
        let setting = self.setting(&recipe, job).await?;
        let Setting { model, data, split, set, plan } = &setting;
        let task = model.card.architecture.task();
        if task == Task::Generate && recipe.audit == Some(true) {
            let right = "only classifiers are audited; leave it out";
            return Err(Error::argument("audit", &recipe.model, right));
        }
        if let Some(net) = model.unet()
            && self.judge(&recipe.data, net.config.channels)?.is_none()
        {
            return Err(no_judge(&recipe.data));
        }
        let own = match plan.estimator {
            Estimator::Given => Some(given(&recipe, &model.weights.layout)?),
            _ => None,
        };
        self.first_look(model, data, &recipe, job).await?;
        let mut recipe = Recipe { fingerprint: data.fingerprint.clone(), ..recipe };
        let device = self.device.clone();
        let options = sampling(&recipe);
        let columns = recipe.budget.sizes().columns;

        let clock = Instant::now();
        let (ranking, mask) = match plan.estimator {
            Estimator::None => (None, None),
            Estimator::Given => (None, own),
            _ => {
                let ranking = self.rank(&recipe, &setting, job, &mut |_| {}).await?;
                let mask = ranking.cut(recipe.density).await?;
                (Some(ranking), Some(mask))
            }
        };
        // Its control is as large.
        if plan.estimator == Estimator::Given {
            recipe.density = mask.as_ref().map_or(recipe.density, |mask| mask.density);
        }
        // A ranking from an earlier job cost what it cost then.
        let mask_seconds =
            clock.elapsed().as_secs_f64().max(ranking.as_ref().map_or(0.0, |r| r.seconds));

        let clock = Instant::now();
        let mut unlearner = begin(&setting, mask.as_ref(), &device, job).await?;
        if plan.few() {
            job.note(plan.suited());
        }
        let begun = clock.elapsed().as_secs_f64();
        let trial = self.trial(model, &setting, mask.as_ref(), job).await?;
        let previews = recipe.budget.sizes().previews;
        let every = (previews > 0).then(|| plan.steps.div_ceil(previews).max(1));
        let forgetting = Forgetting { id, unlearner: &mut unlearner, trial, every, send };
        let look = async |unlearner: &Unlearner, quiet: &mut JobContext| {
            self.grid(model, &unlearner.weights(), &data.test, columns, &options, quiet).await
        };
        let (log, unlearn_seconds) = forgetting.run(plan, begun, job, look).await?;

        let done = unlearner.weights();
        let weights = done.download().await?;
        weights.check(&model.weights)?;

        // The original is measured now and not before: who pressed Forget wants to see it forget.
        let clock = Instant::now();
        let before = self.measure_once(&recipe.start(), model, &setting, &recipe, job).await?;
        let original = match set.earlier.is_empty() {
            true => Vec::new(),
            false => {
                let weights = model.weights.upload(&device);
                let (metrics, budget) = (&before.metrics, recipe.budget);
                self.still_forgotten(model, &weights, &setting, metrics, budget, job).await?
            }
        };
        let after = self.measure(model, &done, &setting, &recipe, job).await?;
        let (metrics, budget) = (&after.metrics, recipe.budget);
        let still = self.still_forgotten(model, &done, &setting, metrics, budget, job).await?;
        let mut evaluate_seconds = clock.elapsed().as_secs_f64();
        let retrain = self.retrain(&setting, &recipe, job).await?;
        // One that was cut short is no truth for the runs that follow.
        let own = ["epochs", "steps", "lr", "batch"];
        let whole = !recipe.set_fields().iter().any(|(name, _)| own.contains(name));
        if plan.method.rate(task) == Some(Rate::AsTrained) && budget != Budget::Tiny && whole {
            self.retrained.insert(retrain_key(&recipe, &setting), after.metrics.clone());
        }
        let clock = Instant::now();
        let answers = before.answers.as_ref().zip(after.answers.as_ref());
        let changed = answers.map_or_else(Vec::new, |(before, after)| {
            most_changed(&before.test, &after.test, set.class, SHOWN)
        });
        let audit = match &after.answers {
            Some(answers) if recipe.audits() => {
                let suspect = Suspect { model, weights: &done, answers: answers.clone() };
                Some(self.audit(suspect, &setting, &recipe, None, job).await?)
            }
            _ => None,
        };
        evaluate_seconds += clock.elapsed().as_secs_f64();

        let scored = ranking.as_ref().map_or(0, |r| r.n_forget);
        let frozen_changed = |m: &Mask| m.frozen_changed(&model.weights, &weights);
        let earlier: Vec<EarlierReport> = set
            .earlier
            .iter()
            .zip(original.iter().zip(&still))
            .map(|(earlier, (before, after))| EarlierReport {
                spec: earlier.spec.clone(),
                before: before.0,
                after: after.0,
                n: after.1,
            })
            .collect();
        let found = verdict(&Evidence {
            task,
            set: Set::of(&set.spec),
            before: &before.metrics,
            after: &after.metrics,
            retrain: retrain.as_ref(),
            audit: audit.as_ref(),
            attacks: &[],
            earlier: &earlier,
        });
        if let Some(next) = advice(plan, &found, [before.metrics.UA, after.metrics.UA]) {
            job.note(next);
        }
        let found_here = Found {
            task,
            n: set.forget.len(),
            augmentation: unlearner.augment().name(),
            mask: mask.as_ref().map(|m| (m, scored, frozen_changed(m))),
            before: before.metrics,
            after: after.metrics,
            seconds: Seconds {
                mask: mask_seconds,
                unlearn: unlearn_seconds,
                evaluate: evaluate_seconds,
            },
        };
        let report = forgetting::report(&recipe, plan, found_here, &self.info);
        let report = Report {
            forget: Forgotten { spec: set.spec.clone(), ..report.forget },
            gap: retrain.as_ref().map(|r| Gap::between(&report.after, r)),
            verdict: found,
            notes: job.notes().to_vec(),
            audit: audit.map(Box::new),
            changed,
            earlier,
            retrain,
            ..report
        };
        let card = requests::unlearned(&model.card, &report, set, data, split);
        let pixels = |c: &Changed| data.test.picture(c.index).to_vec();
        Ok(Run {
            recipe,
            forgotten: data.named(&set.forget),
            changed: report.changed.iter().flat_map(pixels).collect(),
            change: Change::between(&model.weights, &weights),
            model: AnyModel::Plain(unlearned(model, weights, card)),
            attacks: Vec::new(),
            report,
            mask,
            ranking,
            before: before.grid,
            after: after.grid,
            log,
        })
    }

    /// What a run's first losses are on the CPU.
    async fn trial(
        &self,
        model: &Model,
        setting: &Setting,
        mask: Option<&Mask>,
        job: &mut JobContext,
    ) -> Result<GpuLossCheck> {
        let steps = setting.plan.steps;
        if !GpuLossCheck::wanted(&self.info, steps, model.weights.layout.n()) {
            return Ok(GpuLossCheck::default());
        }
        let mut twin = begin(setting, mask, &Device::flex(), job).await?;
        GpuLossCheck::run(steps, job, async |job| twin.step(job).await).await
    }

    /// Metrics of the shipped Retrain twin for this forget set, or of the Retrain that was made here,
    /// where there is one.
    async fn retrain(
        &mut self,
        setting: &Setting,
        recipe: &Recipe,
        job: &mut JobContext,
    ) -> Result<Option<Metrics>> {
        let Some(twin) = twin(recipe, setting) else {
            return Ok(self.retrained.get(&retrain_key(recipe, setting)).cloned());
        };
        let model = twin.open()?;
        let measured = self.measure_once(twin.name, &model, setting, recipe, job).await?;
        Ok(Some(measured.metrics))
    }
}

/// A run from its beginning on a device; only weights in the mask will change.
async fn begin(
    setting: &Setting,
    mask: Option<&Mask>,
    device: &Device,
    job: &mut JobContext,
) -> Result<Unlearner> {
    let Setting { model, data, plan, .. } = setting;
    Unlearner::begin(model, data.clone(), plan.clone(), mask, device, job).await
}

/// The mask out of a recipe's file.
pub(super) fn given(recipe: &Recipe, layout: &Arc<WeightLayout>) -> Result<Mask> {
    let needed =
        || Error::argument("mask", "given", "mask_file, the mask's file, is needed beside it");
    let file = recipe.mask_file.as_ref().ok_or_else(needed)?;
    Mask::given(file, layout)
}

/// What to try where a run hardly moved UA.
fn advice(plan: &Plan, found: &Verdict, [before, after]: [f64; 2]) -> Option<String> {
    let under = matches!(found.label, VerdictLabel::UnderForgot | VerdictLabel::TooFew);
    let stuck = under && after - before < MOVED;
    if !stuck || plan.steps == 0 {
        return None;
    }
    let others = if plan.method.name == "salun" { "" } else { ", or --method salun" };
    let longer = match plan.order {
        Order::Nothing => format!("--steps {}", 3 * plan.steps),
        _ => format!("--epochs {}", 3 * plan.epochs),
    };
    Some(format!(
        "UA went from {before:.1} to {after:.1} in {} updates of {} at a rate of {}; try {longer}, \
         --lr {}{others}",
        plan.steps,
        plan.batch,
        plan.lr,
        (3e6 * plan.lr).round() / 1e6
    ))
}

/// Points of UA that are hardly a movement.
const MOVED: f64 = 10.0;

/// What a Retrain is known by to the runs that are held against it.
fn retrain_key(recipe: &Recipe, setting: &Setting) -> String {
    let Recipe { data, budget, .. } = recipe;
    format!("{}|{data}|{}|{budget:?}|{:?}", recipe.start(), setting.set.spec, sampling(recipe))
}

/// Most changed pictures of the forgotten class, and of the others, that a report lists.
const SHOWN: usize = 12;

/// The unlearned model. Boundary expanding as released leaves one class more than there was.
fn unlearned(model: &Model, weights: HostWeights, mut card: Card) -> Model {
    if weights.values.len() > model.weights.values.len() {
        card.classes.push("forgotten".into());
        card.architecture = card.architecture.clone().with_classes(card.classes.len());
    }
    Model { network: Arc::new(card.architecture.build().0), card, weights }
}
