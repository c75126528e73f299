//! Whether there is memory for what is asked for, before anything of it is allocated.

use std::sync::Arc;

use super::foreseen::Ahead;
use super::{Session, Work};
use crate::error::Result;
use crate::gpu::flex;
use crate::models::{AnyModel, Said};
use crate::platform;
use crate::saliency::{KEPT, Scores};
use crate::unlearn::need::{Memory, Updates};
use crate::unlearn::{Plan, Scope};
use crate::words::Recipe;

impl Work<'_> {
    /// Refuses a text-to-image model's run or mask that takes more memory than there is, where that is known. What
    /// else is wrong with the request is told when it is resolved.
    ///
    /// # Errors
    /// It does; with what would fit.
    pub fn afford(&self, recipe: &Recipe, ahead: Ahead) -> Result<()> {
        let Some(room) = platform::memory_to_be_had().filter(|_| self.asks_prompt(recipe)) else {
            return Ok(());
        };
        let network = self.session.latent_network(&recipe.model);
        let plan = Plan::new(recipe, Scope::of_prompts([0, 0]));
        let (Ok(network), Ok(plan)) = (network, plan) else { return Ok(()) };
        let start = self.session.models.get(&recipe.start());
        let open = start.or_else(|| self.session.models.get(&recipe.model));
        let open = open.and_then(AnyModel::latent);
        let open = open.map_or(0, |model| 4 * model.params() as u64);
        let memory = Memory { network: &network, cpu: flex::is_cpu(&self.session.device) };
        let (updates, there) = (Updates::of(&plan, recipe), room + open);
        match ahead {
            _ if recipe.given.is_some() => Ok(()),
            Ahead::Scores => memory.scoring(&updates, there),
            Ahead::Run => memory.fitting(&updates, there),
        }
    }

    /// Whether a recipe is for a text-to-image model that is open, or is one.
    fn asks_prompt(&self, recipe: &Recipe) -> bool {
        Said::of(&recipe.model).is_ok() && self.session.is_latent(&recipe.model)
    }
}

impl Session {
    /// A ranking whose scores are let go of where they are large: its histograms stay.
    pub fn lightened(&mut self, ranking: Arc<Scores>) -> Arc<Scores> {
        if size_of_val(&ranking.scores[..]) as u64 <= KEPT {
            return ranking;
        }
        self.store.let_go::<Scores>();
        Arc::new(ranking.without_scores())
    }
}
