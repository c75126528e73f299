//! What a request takes, foreseen: the parts that its one bar and its time left are made of.

use super::prompt::SeenPrompts;
use super::request::Look;
use super::session::twin;
use super::{Asked, Grid, Measured, PromptSetting, Request, Setting, Work};
use crate::job_context::Leg;
use crate::saliency::Scores;
use crate::subject::Items;
use crate::unlearn::Plan;
use crate::words::{Estimator, Extent};

/// The name of the looks at a model while it is trained.
pub const PREVIEW: &str = "Preview";

/// Passes of an item through the network: forward and back, and guided.
const GRADIENT: f64 = 3.0;
const GUIDED: f64 = 2.0;

/// How far a job goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ahead {
    /// Until the weights are scored; a run may follow.
    Scores,
    /// Until the verdict; the control may follow.
    Run,
}

impl Work<'_> {
    /// Tells the job what it is made of, and what usually follows.
    pub fn foresee(&mut self, request: &Request, ahead: Ahead) {
        let Asked { plan, recipe, .. } = request.asked();
        let looks = if self.job.wants_previews() { 1..plan.end() } else { 0..0 };
        let whole = |step: &usize| request.look_after(*step) == Some(Look::Whole);
        let previews = looks.filter(whole).count();
        let (scores, [run, known]) = match request {
            Request::Classes(of) => (self.scored(of), [of.run(previews), self.unmeasured(of)]),
            Request::Prompts(of) => (self.prompts_scored(of), [of.run(previews), self.undrawn(of)]),
        };
        let random = plan.estimator == Estimator::Random;
        let alone = random || matches!(plan.estimator, Estimator::None | Estimator::Given);
        let control = if alone { Vec::new() } else { run.clone() };
        let run = match recipe.given {
            Some(_) => run.into_iter().filter(|leg| !is_update(leg, plan)).collect(),
            None => run,
        };
        let run = [run, known].concat();
        let (legs, then) = match ahead {
            Ahead::Scores => (scores, [run, control].concat()),
            Ahead::Run => ([scores, run].concat(), control),
        };
        self.job.foresee(&recipe.start(), legs, then);
    }

    /// Scoring of pictures, unless it was done.
    fn scored(&mut self, of: &Setting) -> Vec<Leg> {
        let guided = if of.model.unet().is_some() { GUIDED } else { 1.0 };
        self.scoring(&of.asked, of.asked.plan.scored[0].len(), GRADIENT * guided)
    }

    fn scoring(&mut self, asked: &Asked, items: usize, cost: f64) -> Vec<Leg> {
        let estimator = asked.plan.estimator;
        let base = estimator.base();
        let masked = !matches!(estimator, Estimator::None | Estimator::Given);
        if !masked
            || !base.looks()
            || self.session.store.get::<Scores>(&(&asked.key, base)).is_some()
        {
            return Vec::new();
        }
        let leg = |phase: &str| Leg::new(phase, items, cost);
        match base {
            Estimator::Fisher => vec![leg("Fisher information")],
            Estimator::FisherRatio => vec![leg("Fisher information"); 2],
            _ => vec![leg("Scoring weights")],
        }
    }

    /// Measuring the original and Retrain, unless they were measured.
    fn unmeasured(&mut self, of: &Setting) -> Vec<Leg> {
        let (start, extent) = (of.asked.recipe.start(), of.measured_on());
        let names = [Some(&*start), twin(of).map(|twin| twin.name)].into_iter().flatten();
        let mut legs = Vec::new();
        for name in names {
            let known = [extent.most, extent.first()].map(|n| of.measured_as(name, n));
            let store = &mut self.session.store;
            if known.iter().all(|key| store.get::<Measured>(key).is_none()) {
                legs.extend(of.measuring());
            }
        }
        legs
    }

    /// The prompts' pane, encoding and scoring, unless they were done.
    fn prompts_scored(&mut self, of: &PromptSetting) -> Vec<Leg> {
        let store = &mut self.session.store;
        let key = &of.asked.key;
        let mut legs = Vec::new();
        if store.get::<Grid>(key).is_none() {
            legs.push(of.drawing());
        }
        if store.get::<[Items; 2]>(key).is_none() {
            let [forget, retain] = of.size.items;
            legs.extend([retain, forget].map(|n| Leg::new("Encoding pictures", n, 1.0)));
        }
        let most = of.asked.recipe.budget.sizes().score[of.asked.plan.how.task as usize];
        let items = of.size.items[0].min(most);
        legs.extend(self.scoring(&of.asked, items, GRADIENT * GUIDED));
        legs
    }

    /// Measuring the original's prompts, unless it was measured.
    fn undrawn(&mut self, of: &PromptSetting) -> Vec<Leg> {
        let known = self.session.store.get::<SeenPrompts>(&of.asked.key).is_some();
        if known { Vec::new() } else { vec![of.measuring()] }
    }
}

fn is_update(leg: &Leg, plan: &Plan) -> bool {
    [plan.method.title, PREVIEW].contains(&&*leg.phase)
}

/// The updates of a plan, and the looks between them.
fn updates(plan: &Plan, teacher: f64, previews: usize, look: f64) -> Vec<Leg> {
    let cost =
        plan.batch as f64 * (GRADIENT + if plan.alpha > 0.0 { GRADIENT } else { 0.0 } + teacher);
    vec![Leg::new(plan.method.title, plan.end(), cost), Leg::new(PREVIEW, previews, look)]
}

impl Setting {
    /// Updates and measuring.
    fn run(&self, previews: usize) -> Vec<Leg> {
        let plan = &self.asked.plan;
        let teacher = if self.model.unet().is_some() { 1.0 } else { 0.0 };
        let mut legs = updates(plan, teacher, previews, self.tiles());
        legs.extend(self.measuring());
        legs
    }

    /// Passes that a look takes.
    fn tiles(&self) -> f64 {
        let tiles = (self.model.card.classes.len() * self.columns()) as f64;
        let steps = if self.model.unet().is_some() { self.sampling().quick().steps } else { 1 };
        tiles * self.pass() * steps as f64
    }

    /// Passes of a picture at a step of the sampler, or in all.
    fn pass(&self) -> f64 {
        let guided = self.model.unet().is_some() && self.sampling().guidance != 0.0;
        if guided { GUIDED } else { 1.0 }
    }

    fn measuring(&self) -> Vec<Leg> {
        let Extent { most, .. } = self.measured_on();
        if self.model.unet().is_some() {
            let [forgotten, each, _] = most;
            let others = self.model.card.classes.len().saturating_sub(1);
            let pictures = forgotten + each * others;
            return vec![Leg::new("Evaluating", pictures * self.sampling().steps, self.pass())];
        }
        vec![
            Leg::new("Drawing", self.model.card.classes.len() * self.columns(), 1.0),
            Leg::new("Evaluating", most.iter().sum(), 1.0),
        ]
    }
}

impl PromptSetting {
    /// Updates, the pane and measuring.
    fn run(&self, previews: usize) -> Vec<Leg> {
        let Leg { units, cost, .. } = self.drawing();
        let quick = self.options.quick().steps as f64 / self.options.steps as f64;
        let mut legs = updates(&self.asked.plan, 1.0, previews, units as f64 * cost * quick);
        legs.extend([self.drawing(), self.measuring()]);
        legs
    }

    fn pass(&self) -> f64 {
        if self.options.guidance == 0.0 { 1.0 } else { GUIDED }
    }

    fn drawing(&self) -> Leg {
        Leg::new("Drawing", self.rows() * self.size.columns * self.options.steps, self.pass())
    }

    fn measuring(&self) -> Leg {
        let [forgotten, kept, _] = self.asked.extent().most;
        Leg::new("Evaluating", (forgotten + kept) * self.options.steps, self.pass())
    }
}
