//! A recipe, resolved for the kind of model that it names: what the one job of forgetting needs to know of it.

use std::sync::Arc;

use burn::tensor::Device;

use super::audit::Suspect;
use super::measure::{Measured, no_judge, sampling};
use super::prompt::{Look, PromptSetting};
use super::session::{Setting, twin};
use super::{Attack, Event, Grid, Send, Session, requests};
use crate::error::{Error, Result};
use crate::eval::most_changed;
use crate::job_context::JobContext;
use crate::models::latent::{LatentModel, is_cross_attention};
use crate::models::{AnyModel, HostWeights, Model, Weights};
use crate::subject::{Items, Prompts, Subject};
use crate::unlearn::{Plan, Rate, Scope};
use crate::words::{
    AttackKind, Audit, Budget, Changed, EarlierReport, Fingerprint, Metrics, Recipe, Report,
    SampleOptions, Task,
};

/// A model with what it is to forget and to keep.
pub enum Request {
    /// Pictures, of a classifier or a class-conditional diffusion model.
    Classes(Box<Setting>),
    /// A prompt, of a text-to-image model.
    Prompts(Box<PromptSetting>),
}

use Request::{Classes, Prompts as OfPrompts};

/// Most changed pictures of the forgotten class, and of the others, that a report lists.
const SHOWN: usize = 12;

/// Who hears of a job, and by what number.
#[derive(Clone, Copy)]
pub struct Client<'a> {
    pub id: u64,
    pub send: &'a Send,
}

/// What there is to be found out about a run beyond its metrics.
#[derive(Debug, Default)]
pub struct Findings {
    pub audit: Option<Audit>,
    pub attacks: Vec<Attack>,
    /// Of earlier requests: whether they stayed forgotten.
    pub earlier: Vec<EarlierReport>,
    /// Pictures whose class changed most.
    pub changed: Vec<Changed>,
}

impl Request {
    /// What the model does.
    pub fn task(&self) -> Task {
        match self {
            Classes(of) => of.model.card.architecture.task(),
            OfPrompts(_) => Task::TextToImage,
        }
    }

    /// What the run will be: before [`Self::prepare`], without a prompt's items.
    pub fn plan(&self) -> &Plan {
        match self {
            Classes(of) => &of.plan,
            OfPrompts(of) => &of.plan,
        }
    }

    /// What caches know its scores by.
    pub fn key(&self) -> &str {
        match self {
            Classes(of) => &of.key,
            OfPrompts(of) => &of.key,
        }
    }

    /// The forget set's name.
    pub fn spec(&self) -> &str {
        match self {
            Classes(of) => &of.set.spec,
            OfPrompts(of) => &of.spec,
        }
    }

    /// Items that are to be forgotten.
    pub fn n(&self) -> usize {
        match self {
            Classes(of) => of.set.forget.len(),
            OfPrompts(of) => of.items[0].len(),
        }
    }

    /// The weights that are scored and trained, as they are before.
    pub fn original(&self) -> &HostWeights {
        match self {
            Classes(of) => &of.model.weights,
            OfPrompts(of) => &of.model.unet,
        }
    }

    /// The same on a device.
    pub fn on(&self, device: &Device) -> Weights {
        match self {
            OfPrompts(of) if *device == of.device => of.weights.unet.clone(),
            _ => self.original().upload(device),
        }
    }

    /// What learns, with its items, on a device.
    pub fn subject(&self, device: &Device) -> Subject {
        match self {
            Classes(of) => {
                let sent = of.plan.redirect.clone();
                Subject::of_classes(&of.model, of.data.clone(), sent, device)
            }
            OfPrompts(of) => Subject::Diffusion(Box::new(Prompts {
                network: of.model.network.clone(),
                text: match *device == of.device {
                    true => of.weights.text.clone(),
                    false => of.model.text.upload(device),
                },
                emoji: of.emoji.clone(),
                target: of.target.clone(),
                schedule: of.schedule.clone(),
                sets: of.items.clone(),
                device: device.clone(),
            })),
        }
    }

    /// The layers that may change at all; `None` for all.
    pub fn only(&self) -> Option<fn(&str) -> bool> {
        let OfPrompts(of) = self else { return None };
        of.plan.attention().then_some(is_cross_attention)
    }

    /// Updates between two looks at the model; `None` looks never.
    pub fn every(&self, budget: Budget) -> Option<usize> {
        let looks = match self {
            Classes(_) => budget.sizes().previews,
            OfPrompts(of) => of.size.previews + 1,
        };
        (looks > 0).then(|| self.plan().steps.div_ceil(looks).max(1))
    }

    /// What the data is, if it is a folder.
    pub fn fingerprint(&self) -> Option<Fingerprint> {
        match self {
            Classes(of) => of.data.fingerprint.clone(),
            OfPrompts(_) => None,
        }
    }

    /// Refuses a run that could not be measured, and notes what makes its figures doubtful.
    ///
    /// # Errors
    /// Cancelled, or the device failed.
    pub async fn doubt(
        &self,
        session: &mut Session,
        recipe: &Recipe,
        job: &mut JobContext,
    ) -> Result<()> {
        let Classes(of) = self else { return Ok(()) };
        if let Some(net) = of.model.unet() {
            if recipe.audit == Some(true) {
                let right = "only classifiers are audited; leave it out";
                return Err(Error::argument("audit", &recipe.model, right));
            }
            if session.judge(&recipe.data, net.config.channels)?.is_none() {
                return Err(no_judge(&recipe.data));
            }
        }
        session.first_look(&of.model, &of.data, recipe, job).await
    }

    /// Shows what the request is read as.
    ///
    /// # Errors
    /// Cancelled, or the device failed.
    pub async fn introduce(
        &self,
        session: &mut Session,
        on: Client<'_>,
        job: &mut JobContext,
    ) -> Result<()> {
        if let OfPrompts(of) = self {
            let pane = session.pane_before(of, job).await?;
            (on.send)(Event::Pane { id: on.id, pane });
        }
        Ok(())
    }

    /// Makes the request's items: nothing is scored or trained before.
    ///
    /// # Errors
    /// Cancelled, or the device failed.
    pub async fn prepare(
        &mut self,
        session: &mut Session,
        recipe: &Recipe,
        job: &mut JobContext,
    ) -> Result<()> {
        let OfPrompts(of) = self else { return Ok(()) };
        of.items = session.items(of, job).await?;
        of.plan = Plan::new(recipe, Scope::of_prompts(of.items.each_ref().map(Items::len)))?;
        Ok(())
    }

    /// A quick look at what some weights make.
    ///
    /// # Errors
    /// Cancelled, or the device failed.
    pub async fn look(
        &self,
        session: &mut Session,
        weights: &Weights,
        recipe: &Recipe,
        job: &mut JobContext,
    ) -> Result<Grid> {
        match self {
            Classes(of) => {
                let (options, columns) = (sampling(recipe), recipe.budget.sizes().columns);
                session.grid(&of.model, weights, &of.data.test, columns, &options, job).await
            }
            OfPrompts(of) => {
                // Half the steps will do.
                let steps = (of.options.steps / 2).max(4);
                let options = SampleOptions { steps, ..of.options };
                Look::new(of)?.pane(&of.with(weights), of, &options, job).await
            }
        }
    }

    /// What the original does, and what a pane shows of it; measured once.
    ///
    /// # Errors
    /// Cancelled, or the device failed.
    pub async fn before(
        &self,
        session: &mut Session,
        recipe: &Recipe,
        job: &mut JobContext,
    ) -> Result<Measured> {
        match self {
            Classes(of) => session.measure_once(&recipe.start(), &of.model, of, recipe, job).await,
            OfPrompts(of) => {
                let metrics = session.metrics_before(of, job).await?;
                let grid = session.pane_before(of, job).await?.grid;
                Ok(Measured { metrics, answers: None, grid })
            }
        }
    }

    /// What some weights do, and what a pane shows of them.
    ///
    /// # Errors
    /// Cancelled, or the device failed.
    pub async fn after(
        &self,
        session: &mut Session,
        weights: &Weights,
        recipe: &Recipe,
        job: &mut JobContext,
    ) -> Result<Measured> {
        match self {
            Classes(of) => session.measure(&of.model, weights, of, recipe, job).await,
            OfPrompts(of) => {
                let (look, weights) = (Look::new(of)?, of.with(weights));
                let grid = Arc::new(look.pane(&weights, of, &of.options, job).await?);
                let metrics = look.measure(&weights, of, job).await?;
                Ok(Measured { metrics, answers: None, grid })
            }
        }
    }

    /// Metrics of the shipped Retrain twin for this forget set, or of the Retrain that was made here, where
    /// there is one.
    ///
    /// # Errors
    /// Cancelled, or the device failed.
    pub async fn retrain(
        &self,
        session: &mut Session,
        recipe: &Recipe,
        job: &mut JobContext,
    ) -> Result<Option<Metrics>> {
        let Classes(of) = self else { return Ok(None) };
        let Some(twin) = twin(recipe, of) else {
            return Ok(session.retrained.get(&retrain_key(recipe, of)).cloned());
        };
        let model = twin.open()?;
        let measured = session.measure_once(twin.name, &model, of, recipe, job).await?;
        Ok(Some(measured.metrics))
    }

    /// What else there is to be found out about weights that forgot, beyond what was measured before and after.
    pub async fn findings(
        &self,
        session: &mut Session,
        weights: &Weights,
        [before, after]: [&Measured; 2],
        recipe: &Recipe,
        job: &mut JobContext,
    ) -> Result<Findings> {
        let of = match self {
            Classes(of) => of,
            OfPrompts(of) => {
                let weights = of.with(weights);
                let earlier = session.earlier_prompts(of, &weights, job).await?;
                let mut attacks = Vec::new();
                // Only what the judge knows can be attacked.
                if recipe.audits() && !of.pairs[0].is_empty() {
                    for &kind in AttackKind::ALL {
                        attacks.push(session.attack(kind, of, &weights, job).await?);
                    }
                }
                return Ok(Findings { attacks, earlier, ..Findings::default() });
            }
        };
        // One that was cut short is no truth for the runs that follow.
        let own = ["epochs", "steps", "lr", "batch"];
        let whole = !recipe.set_fields().iter().any(|(name, _)| own.contains(name));
        if of.plan.how.rate == Rate::AsTrained && recipe.budget != Budget::Tiny && whole {
            session.retrained.insert(retrain_key(recipe, of), after.metrics.clone());
        }
        let answers = before.answers.as_ref().zip(after.answers.as_ref());
        let changed = answers.map_or_else(Vec::new, |(before, after)| {
            most_changed(&before.test, &after.test, of.set.class, SHOWN)
        });
        let earlier = session.still_forgotten(weights, of, [before, after], recipe.budget, job);
        let earlier = earlier.await?;
        let audit = match &after.answers {
            Some(answers) if recipe.audits() => {
                let suspect = Suspect { model: &of.model, weights, answers: answers.clone() };
                Some(session.audit(suspect, of, recipe, None, job).await?)
            }
            _ => None,
        };
        Ok(Findings { audit, earlier, changed, attacks: Vec::new() })
    }

    /// The model with new weights. Boundary expanding as released leaves one class more than there was.
    pub fn unlearned(&self, weights: HostWeights, report: &Report) -> AnyModel {
        match self {
            Classes(of) => {
                let Setting { model, data, split, set, .. } = &**of;
                let mut card = requests::unlearned(&model.card, report, set, data, split);
                if weights.values.len() > model.weights.values.len() {
                    card.classes.push("forgotten".into());
                    card.architecture = card.architecture.clone().with_classes(card.classes.len());
                }
                let network = Arc::new(card.architecture.build().0);
                AnyModel::Plain(Model { network, card, weights })
            }
            OfPrompts(of) => {
                let card = of.model.card.clone().map(|card| card.forgot(report));
                AnyModel::Latent(LatentModel {
                    unet: weights,
                    card,
                    ..LatentModel::clone(&of.model)
                })
            }
        }
    }

    /// The forgotten pictures by name, where they are a person's files.
    pub fn forgotten(&self) -> Vec<String> {
        match self {
            Classes(of) => of.data.named(&of.set.forget),
            OfPrompts(_) => Vec::new(),
        }
    }

    /// The pixels of pictures that changed, one after another.
    pub fn pixels(&self, changed: &[Changed]) -> Vec<u8> {
        match self {
            Classes(of) => {
                changed.iter().flat_map(|c| of.data.test.picture(c.index).to_vec()).collect()
            }
            OfPrompts(_) => Vec::new(),
        }
    }
}

/// What a Retrain is known by to the runs that are held against it.
fn retrain_key(recipe: &Recipe, setting: &Setting) -> String {
    let Recipe { data, budget, .. } = recipe;
    format!("{}|{data}|{}|{budget:?}|{:?}", recipe.start(), setting.set.spec, sampling(recipe))
}
