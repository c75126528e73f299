//! What a client asks of the engine and what it hears back.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{
    Attack, Exported, Grid, Inspected, Inspection, LossParts, Past, Run, StateFile, Survey, Trace,
    TraceRequest,
};
use crate::data::{Mine, Pictures};
use crate::diffusion::SolverKind;
use crate::error::Error;
use crate::gpu::DeviceInfo;
use crate::job_context::Progress;
use crate::models::latent::LatentModel;
use crate::models::{AnyModel, Assumed, Graph, Model};
use crate::saliency::{By, Mask, Overlap, Scores};
use crate::train::{Snapshot, TrainRequest};
use crate::words::{AttackKind, Audit, Budget, Export, Metrics, Recipe, SampleOptions, Task};

/// Long work.
#[derive(Debug, Clone, Serialize, Deserialize, strum::IntoStaticStr)]
pub enum Job {
    /// Loads a model and shows what it does: sends [`Event::Rough`] where that takes long; answers [`Outcome::Opened`].
    Open { model: String, seed: u64, budget: Budget },
    /// The same with a weights file that a person gave; later jobs know it by its name.
    Import {
        name: String,
        #[serde(with = "crate::wire::numbers")]
        bytes: Arc<[u8]>,
        seed: u64,
        budget: Budget,
    },
    /// Makes the weights that a run ended with a model, which later jobs know by the recipe's
    /// [`Recipe::end`], and shows it; answers [`Outcome::Opened`]. A request to it is
    /// [`Recipe::following`]. To undo it is to open the model before: no weights ever change.
    Adopt { run: Arc<Run>, seed: u64, budget: Budget },
    /// Trains a model from data, or goes on from the state of a killed run; sends [`Event::Snapshot`] now
    /// and then; answers [`Outcome::Trained`].
    Train { request: TrainRequest, resume: Option<Box<Snapshot>> },
    /// Scores every weight once; masks of any density follow from it; sends [`Event::Early`] and
    /// [`Event::Retrain`], for a prompt [`Event::Pane`]; answers [`Outcome::Ranked`].
    Rank(Recipe),
    /// Compares the masks of a recipe for every class, several seeds or every estimator; answers
    /// [`Outcome::Overlapped`].
    Overlap { recipe: Recipe, by: By, seeds: usize },
    /// One unlearning run; sends [`Event::Step`]; answers [`Outcome::Unlearned`].
    Unlearn(Recipe),
    /// The same; its state is kept in a file, from which a run goes on that was killed.
    UnlearnKept(Recipe, StateFile),
    /// Remembers a run that was made elsewhere or earlier: one that goes on from it, or ends on its way, need not
    /// make its updates again, nor one that follows it, where its `model` is given; answers [`Outcome::Kept`].
    Remember { recipe: Recipe, past: Past, model: Option<AnyModel> },
    /// Opens the data set of a model to be looked through; answers [`Outcome::Browsed`].
    Browse { model: String, data: String },
    /// Measures a model on a forget set; answers [`Outcome::Measured`].
    Evaluate { model: Arc<Model>, recipe: Recipe },
    /// [`Job::Evaluate`] of a classifier, and an audit of what it still holds, beside the recipe's
    /// original and `retrain` or the shipped twin; answers [`Outcome::Audited`].
    Audit { model: Arc<Model>, recipe: Recipe, retrain: Option<Arc<Model>> },
    /// Says what a classifier sees in pictures of no data set, and what it sees `after` it forgot; answers
    /// [`Outcome::Looked`].
    Look { model: String, pictures: Arc<Pictures>, after: Option<Arc<Model>> },
    /// Looks into a model, and changes nothing; answers [`Outcome::Inspected`].
    Inspect(Inspection),
    /// Keeps a person's own pictures for later jobs, whose recipes have their name; answers
    /// [`Outcome::Kept`].
    Keep(Arc<Mine>),
    /// Teaches a copy of a classifier the new classes of a person's own pictures beside the data that it was
    /// trained on; later jobs know it by its name, [`Mine::beside`] the model's; answers [`Outcome::Opened`].
    Learn { model: String, data: String, mine: Arc<Mine>, seed: u64, budget: Budget },
    /// Makes pictures; answers [`Outcome::Sampled`].
    Sample { model: String, class: Option<String>, n: usize, options: SampleOptions },
    /// Makes pictures of prompts; answers [`Outcome::Sampled`].
    Prompt(PromptRequest),
    /// Makes `n` pictures of each of a text-to-image model's first `concepts` concepts in every
    /// style, and has them judged; answers [`Outcome::Surveyed`].
    Survey { model: String, concepts: usize, n: usize, options: SampleOptions },
    /// Measures a model that forgot a prompt again, and tries to bring the forgotten back; answers
    /// [`Outcome::Attacked`].
    Attack { model: Arc<AnyModel>, recipe: Recipe, attacks: Vec<AttackKind> },
    /// Draws what a finished run's pane shows with this much of its change, `model` being what it ended
    /// with; answers [`Outcome::Interpolated`].
    Interpolate { model: Arc<AnyModel>, recipe: Recipe, strength: f64 },
    /// Draws some tiles again with every step of the sampler told, from the same noise for every model; answers
    /// [`Outcome::Traced`].
    Trace(TraceRequest),
    /// Makes a file of a finished run's change; answers [`Outcome::Exported`].
    Export {
        model: Arc<AnyModel>,
        recipe: Recipe,
        /// The run's: `recipe` may name its model otherwise.
        protocol: String,
        mask: Option<Mask>,
        what: Export,
    },
}

/// Pictures of prompts.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PromptRequest {
    pub model: Arc<LatentModel>,
    pub prompts: Vec<String>,
    /// Pictures of each prompt; the same noise for every prompt.
    pub n: usize,
    pub options: SampleOptions,
    /// Another solver than the model's own.
    pub solver: Option<SolverKind>,
    /// Another side of the pictures than the model's own, in pixels.
    pub size: Option<usize>,
}

/// A command to a page's engine, which is in a worker.
#[derive(Debug, Serialize, Deserialize)]
pub enum Command {
    /// Queue a job under a number of the client's choosing.
    Start { id: u64, job: Box<Job> },
    /// Stop every job so far.
    Cancel,
    /// Hold or continue the running job.
    Pause(bool),
    /// Let a held job do one more update.
    Step,
    /// Show what a model makes while it is trained.
    ShowPreviews(bool),
}

/// What the engine tells.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Event {
    /// The engine runs on this device.
    Ready(DeviceInfo),
    Progress {
        id: u64,
        progress: Progress,
    },
    /// What a person should know of the job, such as what had to be assumed.
    Note {
        id: u64,
        text: String,
    },
    Step {
        id: u64,
        live: LiveStep,
    },
    /// What a run ended with, before all of it is measured: its pictures, once, and the figures so far.
    After {
        id: u64,
        grid: Option<Arc<Grid>>,
        metrics: Option<Metrics>,
    },
    /// The first pictures of a model that is being opened, drawn roughly.
    Rough {
        id: u64,
        opened: Arc<Opened>,
    },
    /// What the unchanged model makes of the prompts of a request.
    Pane {
        id: u64,
        pane: PromptPane,
    },
    /// What the shipped Retrain twin shows, where there is one for the forget set that was scored.
    Retrain {
        id: u64,
        forget: String,
        grid: Arc<Grid>,
    },
    /// What the scores look like before all pictures are seen.
    Early {
        id: u64,
        ranking: Arc<Scores>,
    },
    /// The state of a training run; of a text-to-image model also the model so far.
    Snapshot {
        id: u64,
        snapshot: Arc<Snapshot>,
        model: Option<Arc<LatentModel>>,
    },
    Done {
        id: u64,
        outcome: Outcome,
    },
    /// The job failed or was cancelled ([`Error::Cancelled`]).
    Failed {
        id: u64,
        error: Error,
    },
}

/// What an unlearning or training job shows while it runs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LiveStep {
    /// Updates done, of how many.
    pub step: usize,
    pub steps: usize,
    pub loss: f32,
    #[serde(default)]
    pub parts: LossParts,
    /// What the model shows now, from the same noise or the same pictures as before.
    pub grid: Option<Arc<Grid>>,
    /// The first row of what is to be forgotten alone, before all others are drawn for the first time.
    #[serde(default)]
    pub glimpse: Option<Arc<Grid>>,
}

/// A job's result.
#[derive(Debug, Clone, strum::EnumTryAs, Serialize, Deserialize)]
pub enum Outcome {
    Opened(Arc<Opened>),
    Trained(Arc<AnyModel>),
    Ranked(Arc<Scores>),
    Overlapped(Arc<Overlap>),
    Unlearned(Arc<Run>),
    Measured(Metrics),
    Audited(Box<Audited>),
    Sampled(Arc<Grid>),
    Attacked(Box<Attacked>),
    Surveyed(Box<Survey>),
    Browsed(Arc<TrainingSet>),
    Looked(Looked),
    Inspected(Inspected),
    /// The name of a person's own pictures, or the hash of a remembered run's protocol.
    Kept(String),
    Interpolated(Arc<Grid>),
    Traced(Arc<Trace>),
    Exported(Arc<Exported>),
}

/// What a classifier sees in pictures, before and after it forgot: of each the class and its probability.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Looked {
    pub before: Vec<(usize, f32)>,
    pub after: Option<Vec<(usize, f32)>>,
}

/// A text-to-image model that was measured again and attacked.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Attacked {
    pub metrics: Metrics,
    pub attacks: Vec<Attack>,
}

/// What a request's prompts show: the forgotten one first, then its paraphrases and neighbours.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PromptPane {
    pub grid: Arc<Grid>,
    /// Rows from the top that are to be forgotten.
    pub forgotten: usize,
    /// What a person should know of how the prompt was read.
    pub notice: String,
}

/// A model measured and audited.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Audited {
    pub metrics: Metrics,
    /// Of the model that stood for Retrain, where one was given.
    pub against: Option<Metrics>,
    pub audit: Audit,
}

/// A model as first seen.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Opened {
    /// What jobs know it by.
    pub name: String,
    /// The requests that it was adopted after; a request to it has them, too.
    pub after: Vec<Recipe>,
    pub task: Task,
    pub classes: Vec<String>,
    pub data: String,
    /// Seed of the pictures, and the budget that sets how many there are.
    pub seed: u64,
    pub budget: Budget,
    pub grid: Arc<Grid>,
    /// N.
    pub params: usize,
    /// The network of those weights, to be drawn.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub graph: Arc<Graph>,
    /// What its file does not say and is assumed.
    #[serde(default)]
    pub assumed: Assumed,
}

/// Whether there is nothing to draw.
fn is_empty(graph: &Arc<Graph>) -> bool {
    graph.nodes.is_empty()
}

impl Opened {
    /// The model before any request: a recipe's model.
    pub fn model(&self) -> &str {
        self.after.first().map_or(&self.name, |recipe| &recipe.model)
    }
}

/// The pictures that a model was trained on and can be made to forget.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TrainingSet {
    pub model: String,
    pub data: String,
    pub classes: Vec<String>,
    /// The official training set.
    pub pictures: Arc<Pictures>,
    /// Indices of those that are in the training part of the model's split, ascending.
    pub items: Vec<usize>,
}
