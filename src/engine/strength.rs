//! A part of a finished run's change: its pictures at a strength, and its files.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::past::names_files;
use super::{Grid, Request, Work};
use crate::error::{Error, Result};
use crate::models::delta;
use crate::models::{AnyModel, Precision, checkpoint};
use crate::saliency::Mask;
use crate::words::{Export, LoraReport, Recipe};

/// A file that was made of a run's change.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Exported {
    pub what: Export,
    #[serde(with = "crate::wire::numbers")]
    pub bytes: Vec<u8>,
    /// How well a LoRA holds it.
    pub lora: Option<LoraReport>,
}

impl Work<'_> {
    /// What a finished run's pane shows at a strength ([`delta::blend`]); drawn once.
    ///
    /// # Errors
    /// What is wrong with the recipe or the strength, the run is of another network; cancelled.
    pub async fn interpolated(
        &mut self,
        run: &AnyModel,
        recipe: &Recipe,
        strength: f64,
    ) -> Result<Arc<Grid>> {
        let weights = names_files(recipe).then(|| run.weights().hash());
        let key = ("strength", recipe.end(), &recipe.data, weights, strength.to_bits());
        self.once(&key, async |work| {
            let request = work.resolve(recipe).await?;
            let weights = delta::blend(request.original(), run.weights(), strength)?;
            let weights = weights.upload(&work.session.device);
            // A look takes fewer steps; this one stands beside pictures of all of them.
            match &request {
                Request::Classes(of) => {
                    let (columns, options) = (of.columns(), of.sampling());
                    work.grid(&of.model, &weights, &of.data.test, columns, &options).await
                }
                Request::Prompts(of) => of.pane(&of.with(&weights), &of.options, work.job).await,
            }
        })
        .await
    }

    /// A file of a finished run's change; `protocol` is the hash that the run had.
    ///
    /// # Errors
    /// What is wrong with the recipe, the run did not start from its model, it has no such form; cancelled.
    pub async fn exported(
        &mut self,
        run: &AnyModel,
        (recipe, protocol): (&Recipe, &str),
        mask: Option<&Mask>,
        what: Export,
    ) -> Result<Exported> {
        let original = self.original(run, recipe).await?;
        let made = |bytes| Exported { what, bytes, lora: None };
        match what {
            Export::Delta => {
                // A mask that given weights are held against froze none of them.
                // Of a run that goes on from another, what it froze had moved before.
                let mask = mask.filter(|_| recipe.given.is_none() && recipe.branch.is_none());
                let free = mask.map(|mask| &mask.bits);
                delta::encode(&original, run, free, protocol).map(made)
            }
            Export::Lora { rank, layout } => {
                let right = "only the change of a text-to-image model's U-Net is written as a LoRA; \
                             --delta writes any";
                if run.latent().is_none() {
                    return Err(Error::argument("lora", &recipe.model, right));
                }
                let (before, after) = (original.weights(), run.weights());
                let delta::Lora { bytes, report } =
                    delta::lora(before, after, rank, layout, self.job).await?;
                Ok(Exported { lora: Some(report), ..made(bytes) })
            }
            Export::Weights { strength } => match delta::model_at(&original, run, strength)? {
                AnyModel::Plain(model) => checkpoint::encode(&model, Precision::Full).map(made),
                AnyModel::Latent(model) => {
                    let text = Some(("format", "pt".into()));
                    checkpoint::parameters(Precision::Full, &model.unet, text).map(made)
                }
            },
        }
    }

    /// The model that a run started from.
    async fn original(&mut self, run: &AnyModel, recipe: &Recipe) -> Result<AnyModel> {
        let name = self.meet_earlier(recipe).await?;
        Ok(match run {
            AnyModel::Plain(_) => AnyModel::Plain(self.session.model(&name)?),
            AnyModel::Latent(_) => AnyModel::Latent(self.session.latent(&name)?),
        })
    }
}
