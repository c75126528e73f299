//! A recipe, resolved for the kind of model that it names: what the one job of forgetting needs to know of it.

use std::sync::Arc;

use burn::tensor::Device;

use super::audit::Suspect;
use super::prompt::SeenPrompts;
use super::session::twin;
use super::{Attack, Client, Event, Grid, Measured, PromptSetting, Setting, Work, requests};
use crate::data;
use crate::data::Mine;
use crate::error::{Error, Result};
use crate::eval::most_changed;
use crate::models::latent::{LatentModel, is_cross_attention};
use crate::models::{AnyModel, HostWeights, Model, Weights};
use crate::subject::{Items, Noising, Prompts, Subject};
use crate::unlearn::{Plan, Rate, Scope};
use crate::words::{
    Audit, Budget, Changed, EarlierReport, Extent, Forgotten, Metrics, Recipe, Report,
};

/// A model with what it is to forget and to keep.
pub enum Request {
    /// Pictures, of a classifier or a class-conditional diffusion model.
    Classes(Box<Setting>),
    /// A prompt, of a text-to-image model.
    Prompts(Box<PromptSetting>),
}

use Request::{Classes, Prompts as OfPrompts};

/// What is asked, of whatever kind of model.
pub struct Asked {
    /// With what the data is, if it is a folder.
    pub recipe: Recipe,
    /// What the run will be: before [`Work::prepare`], without a prompt's items.
    pub plan: Plan,
    /// What caches know it by.
    pub key: String,
    /// The forget set's name, and the items in it: of a prompt, after [`Work::prepare`].
    pub forget: Forgotten,
}

/// A look at a model while it is trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// At the first row that is to be forgotten alone, because a person waits to see it change.
    Glimpse,
    Whole,
}

/// Most changed pictures of the forgotten class, and of the others, that a report lists.
const SHOWN: usize = 12;

/// What there is to be found out about a run beyond its metrics.
#[derive(Debug, Default)]
pub struct Findings {
    pub audit: Option<Audit>,
    pub attacks: Vec<Attack>,
    /// Of earlier requests: whether they stayed forgotten.
    pub earlier: Vec<EarlierReport>,
    /// Pictures whose class changed most, and their pixels, one after another.
    pub changed: Vec<Changed>,
    pub pixels: Vec<u8>,
    /// The forgotten pictures by name, where they are a person's files.
    pub forgotten: Vec<String>,
    /// A person's own pictures beside the data.
    pub mine: Option<Arc<Mine>>,
}

impl Request {
    /// What is asked.
    pub fn asked(&self) -> &Asked {
        match self {
            Classes(of) => &of.asked,
            OfPrompts(of) => &of.asked,
        }
    }

    /// The same, to be changed.
    pub fn asked_mut(&mut self) -> &mut Asked {
        match self {
            Classes(of) => &mut of.asked,
            OfPrompts(of) => &mut of.asked,
        }
    }

    /// The weights that are scored and trained, as they are before.
    pub fn original(&self) -> &HostWeights {
        match self {
            Classes(of) => &of.model.weights,
            OfPrompts(of) => &of.model.unet,
        }
    }

    /// What learns, with its items, and its weights as they are before, on a device.
    pub fn on(&self, device: &Device) -> (Subject, Weights) {
        let weights = match self {
            OfPrompts(of) if *device == of.noising.device => of.weights.unet.clone(),
            _ => self.original().upload(device),
        };
        (self.subject(device), weights)
    }

    /// What learns, with its items.
    pub fn subject(&self, device: &Device) -> Subject {
        match self {
            Classes(of) => {
                let sent = of.asked.plan.redirect.clone();
                Subject::of_classes(&of.model, of.data.clone(), sent, device)
            }
            OfPrompts(of) => {
                // Pictures are latents by now: nobody needs the autoencoder.
                let text = match *device == of.noising.device {
                    true => of.weights.text.clone(),
                    false => of.model.text.upload(device),
                };
                let noising = Noising { device: device.clone(), ..of.noising.clone() };
                let prompts = Prompts { noising, text, sets: of.items.clone() };
                Subject::Diffusion(Box::new(prompts))
            }
        }
    }

    /// The layers that may change at all; `None` for all.
    pub fn only(&self) -> Option<fn(&str) -> bool> {
        self.asked().plan.attention().then_some(is_cross_attention)
    }

    /// Updates between two looks at the model; `None` looks never.
    pub fn every(&self) -> Option<usize> {
        let looks = match self {
            Classes(of) => of.asked.recipe.budget.sizes().previews,
            OfPrompts(of) => of.size.previews + 1,
        };
        (looks > 0).then(|| self.asked().plan.steps.div_ceil(looks).max(1))
    }

    /// What is looked at after an update: for the first time early, where pictures take their time at a part of them.
    pub fn look_after(&self, step: usize) -> Option<Look> {
        let every = self.every()?;
        let draws = match self {
            Classes(of) => of.model.unet().is_some() && of.set.class.is_some(),
            OfPrompts(_) => true,
        };
        match step.is_multiple_of(every) {
            true => Some(Look::Whole),
            false if step != every.div_ceil(8) => None,
            false => Some(if draws { Look::Glimpse } else { Look::Whole }),
        }
    }

    /// The model with new weights. Boundary expanding as released leaves one class more than there was.
    pub fn unlearned(&self, weights: HostWeights, report: &Report) -> AnyModel {
        match self {
            Classes(of) => {
                let mut card = requests::unlearned(of, report);
                if weights.values.len() > of.model.weights.values.len() {
                    card.classes.push("forgotten".into());
                    card.architecture = card.architecture.clone().with_classes(card.classes.len());
                }
                let network = Arc::new(card.architecture.build().0);
                AnyModel::Plain(Model { network, card, weights }.into())
            }
            OfPrompts(of) => {
                let card = of.model.card.clone().map(|card| card.forgot(report));
                let model = LatentModel::clone(&of.model);
                AnyModel::Latent(LatentModel { unet: weights, card, ..model }.into())
            }
        }
    }
}

impl Work<'_> {
    /// Refuses a run that asks for what there is not, and notes what makes its figures doubtful.
    ///
    /// # Errors
    /// Cancelled, or the device failed.
    pub async fn doubt(&mut self, request: &Request) -> Result<()> {
        let of = match request {
            Classes(of) => of,
            OfPrompts(of) => return self.hear_jury(of).await,
        };
        let recipe = &of.asked.recipe;
        if let Some(net) = of.model.unet() {
            if recipe.audit == Some(true) {
                let right = "only classifiers are audited; leave it out";
                return Err(Error::argument("audit", &recipe.model, right));
            }
            self.hear_judge(of, net.config.channels).await?;
        }
        self.first_look(of).await
    }

    /// Shows what the request is read as.
    ///
    /// # Errors
    /// Cancelled, or the device failed.
    pub async fn introduce(&mut self, request: &Request) -> Result<()> {
        if let OfPrompts(of) = request {
            if self.job.wants_previews()
                && let Some(pane) = self.rough_pane(of).await?
            {
                (self.on.send)(Event::Pane { id: self.on.id, pane });
            }
            let pane = self.pane_before(of).await?;
            (self.on.send)(Event::Pane { id: self.on.id, pane });
        }
        Ok(())
    }

    /// Makes the request's items: nothing is scored or trained before.
    ///
    /// # Errors
    /// Cancelled, or the device failed.
    pub async fn prepare(&mut self, request: &mut Request) -> Result<()> {
        let OfPrompts(of) = request else { return Ok(()) };
        of.items = self.items(of).await?;
        let scope = Scope::of_prompts(of.items.each_ref().map(Items::len));
        of.asked.plan = Plan::new(&of.asked.recipe, scope)?;
        of.asked.forget.n = of.items[0].len();
        Ok(())
    }

    /// A quick look at what some weights make: all rows of a pane, or one.
    ///
    /// # Errors
    /// Cancelled, or the device failed.
    pub async fn look(&mut self, request: &Request, weights: &Weights, look: Look) -> Result<Grid> {
        match request {
            Classes(of) => {
                let (columns, options) = (of.columns(), of.sampling().quick());
                if look == Look::Glimpse {
                    let rows = vec![of.set.class];
                    return self.samples(&of.model, weights, rows, columns, &options).await;
                }
                self.grid(&of.model, weights, &of.data.test, columns, &options).await
            }
            OfPrompts(of) => {
                let rows = if look == Look::Glimpse { 1 } else { usize::MAX };
                let (weights, options) = (of.with(weights), of.options.quick());
                of.first_rows(rows, &weights, &options, self.job).await
            }
        }
    }

    /// What the original does over as many pictures, and what a pane shows of it; measured once.
    ///
    /// # Errors
    /// Cancelled, or the device failed.
    pub async fn before(&mut self, request: &Request, n: [usize; 3]) -> Result<Measured> {
        match request {
            Classes(of) => {
                let start = of.asked.recipe.start();
                let measured = self.measure_once(&start, &of.model, of, n).await?;
                let mut measured = Measured::clone(&measured);
                if measured.grid.rows.is_empty() {
                    let Recipe { data, budget, .. } = &of.asked.recipe;
                    let (columns, options) = (budget.sizes().columns, of.sampling());
                    let (name, test) = ((&*start, &**data), &of.data.test);
                    let shown = self.shown_once(name, &of.model, test, columns, &options);
                    measured.grid = shown.await?;
                }
                Ok(measured)
            }
            OfPrompts(of) => {
                let key = &of.asked.key;
                let known = match self.session.store.get::<SeenPrompts>(key) {
                    Some(known) => (*known).clone(),
                    None => of.known(),
                };
                let asked = (Extent::exactly(n), known);
                let (metrics, seen) = of.measure(&of.weights, asked, self.job, &mut |_| {}).await?;
                self.session.store.put(key, seen);
                let grid = self.pane_before(of).await?.grid;
                Ok(Measured { metrics, answers: None, grid, n })
            }
        }
    }

    /// What some weights do, and what a pane shows of them; both are told as soon as they are there.
    ///
    /// # Errors
    /// Cancelled, or the device failed.
    pub async fn after(&mut self, request: &Request, weights: &Weights) -> Result<Measured> {
        let Client { id, send } = self.on;
        let mut hears = |grid, metrics| send(Event::After { id, grid, metrics });
        match request {
            Classes(of) => {
                self.measure(&of.model, weights, of, of.asked.extent(), &mut hears).await
            }
            OfPrompts(of) => {
                let weights = of.with(weights);
                let grid = Arc::new(of.pane(&weights, &of.options, self.job).await?);
                hears(Some(grid.clone()), None);
                let asked = (of.asked.extent(), SeenPrompts::default());
                let mut told = |metrics: &Metrics| hears(None, Some(metrics.clone()));
                let (metrics, seen) = of.measure(&weights, asked, self.job, &mut told).await?;
                let n = [seen[0].len(), seen[1].len(), 0];
                Ok(Measured { metrics, answers: None, grid, n })
            }
        }
    }

    /// Metrics of the shipped Retrain twin for this forget set over `n` pictures, or of the Retrain that was made
    /// here, where there is one.
    ///
    /// # Errors
    /// Cancelled, or the device failed.
    pub async fn retrain(&mut self, request: &Request, n: [usize; 3]) -> Result<Option<Metrics>> {
        let Classes(of) = request else { return Ok(None) };
        let Some(twin) = twin(of) else {
            return Ok(self.session.retrained.get(&retrain_key(of)).cloned());
        };
        let measured = self.measure_once(twin.name, &twin.open()?, of, n).await?;
        Ok(Some(measured.metrics.clone()))
    }

    /// What else there is to be found out about weights that forgot, beyond what was measured before and after.
    pub async fn findings(
        &mut self,
        request: &Request,
        weights: &Weights,
        [before, after]: [&Measured; 2],
    ) -> Result<Findings> {
        let recipe = &request.asked().recipe;
        let of = match request {
            Classes(of) => of,
            OfPrompts(of) => {
                let weights = of.with(weights);
                let earlier = self.earlier_prompts(of, &weights).await?;
                let mut attacks = Vec::new();
                // Only what the judge knows can be attacked.
                if recipe.audits() && of.attackable() {
                    for &kind in of.attacks() {
                        attacks.push(self.attack(kind, of, &weights).await?);
                    }
                }
                return Ok(Findings { attacks, earlier, ..Findings::default() });
            }
        };
        // One that was cut short is no truth for the runs that follow.
        let own = ["epochs", "steps", "lr", "batch"];
        let whole = !recipe.set_fields().iter().any(|(name, _)| own.contains(name));
        let anew = of.asked.plan.how.rate == Rate::AsTrained;
        if anew && recipe.budget != Budget::Tiny && whole && after.metrics.judged() {
            self.session.retrained.insert(retrain_key(of), after.metrics.clone());
        }
        let answers = before.answers.as_ref().zip(after.answers.as_ref());
        let changed = answers.map_or_else(Vec::new, |(before, after)| {
            most_changed(&before.test, &after.test, of.set.class, SHOWN)
        });
        let earlier = self.still_forgotten(of, weights, [before, after]).await?;
        let audit = match &after.answers {
            Some(_) if recipe.audits() => {
                let suspect = Suspect::new(&of.model, weights, after)?;
                Some(self.audit(suspect, of, None).await?)
            }
            _ => None,
        };
        let pixels = changed.iter().flat_map(|c| of.data.test.picture(c.index)).copied().collect();
        let forgotten = of.data.named(&of.set.forget);
        let mine = of.data.added.as_ref().and_then(|added| data::mine::kept(&added.name));
        let attacks = Vec::new();
        Ok(Findings { audit, earlier, changed, pixels, forgotten, mine, attacks })
    }
}

/// What a Retrain is known by to the runs that are held against it.
fn retrain_key(of: &Setting) -> String {
    let recipe = &of.asked.recipe;
    let Recipe { data, budget, .. } = recipe;
    format!("{}|{data}|{}|{budget:?}|{:?}", recipe.start(), of.set.spec, of.sampling())
}
