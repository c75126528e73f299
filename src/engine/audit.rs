//! The audit: the unlearned model, the original and Retrain are examined alike and compared.

use std::sync::Arc;

use web_time::Instant;

use super::fit::settled;
use super::measure::Measured;
use super::session::{Setting, twin};
use super::{Audited, Session};
use crate::error::{Error, Result};
use crate::eval::{
    Answers, Evaluator, Examined, Features, References, Setup, activation_distance, cka,
    js_divergence,
};
use crate::job_context::JobContext;
use crate::models::{Model, Weights};
use crate::words::{Audit, Divergence, LayerSimilarity, Recipe};

/// A model that unlearned, or Retrain.
pub struct Suspect<'a> {
    pub model: &'a Model,
    pub weights: &'a Weights,
    pub answers: Arc<Answers>,
}

impl Session {
    /// [`super::job::Job::Audit`].
    ///
    /// # Errors
    /// The model is no classifier, cancelled, or the device failed.
    pub async fn measure_and_audit(
        &mut self,
        model: Arc<Model>,
        recipe: &Recipe,
        retrain: Option<Arc<Model>>,
        job: &mut JobContext,
    ) -> Result<Audited> {
        let setting = self.setting_of(model, recipe, job).await?;
        let model = setting.model.clone();
        classifier(&model)?;
        let (weights, run) = self.measure_host(&model, &setting, recipe, job).await?;
        let retrain = retrain.map(|other| settled(other, &setting.data, recipe, job));
        let other = match &retrain {
            Some(retrain) => Some(self.measure_host(retrain, &setting, recipe, job).await?),
            None => None,
        };
        let against = other.as_ref().map(|(_, measured)| measured.metrics.clone());
        let metrics = run.metrics.clone();
        let run = Suspect { model: &model, weights: &weights, answers: answers_of(run)? };
        let other = match (&retrain, &other) {
            (Some(model), Some((weights, measured))) => {
                Some(Suspect { model, weights, answers: answers_of(measured.clone())? })
            }
            _ => None,
        };
        let audit = self.audit(run, &setting, recipe, other, job).await?;
        Ok(Audited { metrics, against, audit })
    }

    /// Weights on the device, and what they do.
    async fn measure_host(
        &mut self,
        model: &Model,
        setting: &Setting,
        recipe: &Recipe,
        job: &mut JobContext,
    ) -> Result<(Weights, Measured)> {
        let weights = model.weights.upload(&self.device);
        let measured = self.measure(model, &weights, setting, recipe, job).await?;
        Ok((weights, measured))
    }

    /// Audits an unlearned model against the recipe's original and against `retrain`, or the shipped
    /// twin.
    ///
    /// # Errors
    /// The model is no classifier, cancelled, or the device failed.
    pub async fn audit(
        &mut self,
        subject: Suspect<'_>,
        setting: &Setting,
        recipe: &Recipe,
        retrain: Option<Suspect<'_>>,
        job: &mut JobContext,
    ) -> Result<Audit> {
        let clock = Instant::now();
        let Setting { data, set, .. } = setting;
        let key = format!("{}|{}|{:?}|{}", recipe.data, set.spec, recipe.budget, recipe.seed);
        let original = settled(self.start(recipe, job).await?, data, recipe, job);
        let start = recipe.start();
        let references = self.references(setting, recipe, job).await?;
        let calibration = references.calibrate(&subject.answers, data, job).await?;
        let setup = Setup { data, set, sizes: recipe.budget.audit(), calibration: &calibration };

        let asked = Evaluator { net: classifier(subject.model)?, weights: subject.weights };
        let run = setup.examine(asked, subject.answers.clone(), job).await?;
        let before = self.examine_once(&start, &key, &original, &setup, setting, recipe, job);
        let before = before.await?;
        let twin = twin(recipe, setting);
        let retrain = match (retrain, twin) {
            (Some(Suspect { model, weights, answers }), _) => {
                let asked = Evaluator { net: classifier(model)?, weights };
                Some(Arc::new(setup.examine(asked, answers, job).await?))
            }
            (None, Some(twin)) => {
                let model = twin.open()?;
                let examined =
                    self.examine_once(twin.name, &key, &model, &setup, setting, recipe, job);
                Some(examined.await?)
            }
            (None, None) => None,
        };
        let n = |which: usize| run.layers.first().map_or(0, |l: &[Features; 2]| l[which].n);
        Ok(Audit {
            forget: set.spec.clone(),
            layers: layers(&asked.net.stage_names(), &run, &before, retrain.as_deref()),
            layers_n: [n(0), n(1)],
            divergence: retrain.as_ref().map(|r| divergence(&run.answers, &r.answers)),
            original: before.report.clone(),
            retrain: retrain.map(|r| r.report.clone()),
            run: run.report,
            references: references.report(),
            chance: 100.0 / data.classes.len() as f64,
            seconds: clock.elapsed().as_secs_f64(),
        })
    }

    /// Reference models for a data set, trained once.
    async fn references(
        &mut self,
        setting: &Setting,
        recipe: &Recipe,
        job: &mut JobContext,
    ) -> Result<Arc<References>> {
        let split = setting.model.card.split_seed;
        let key = (&recipe.data, split, recipe.budget);
        if let Some(references) = self.store.get(&key) {
            return Ok(references);
        }
        let items = setting.data.split(split).train;
        let sizes = recipe.budget.audit();
        let data = &setting.data;
        let trained = References::train(data, &items, &sizes, &self.device, job).await?;
        Ok(self.store.put(&key, trained))
    }

    /// Examines a model that no job changes, once for each protocol.
    #[allow(clippy::too_many_arguments)]
    async fn examine_once(
        &mut self,
        name: &str,
        key: &str,
        model: &Model,
        setup: &Setup<'_>,
        setting: &Setting,
        recipe: &Recipe,
        job: &mut JobContext,
    ) -> Result<Arc<Examined>> {
        let key = (name, key);
        if let Some(examined) = self.store.get(&key) {
            return Ok(examined);
        }
        let answers = answers_of(self.measure_once(name, model, setting, recipe, job).await?)?;
        let weights = model.weights.upload(&self.device);
        let asked = Evaluator { net: classifier(model)?, weights: &weights };
        let examined = setup.examine(asked, answers, job).await?;
        Ok(self.store.put(&key, examined))
    }
}

fn classifier(model: &Model) -> Result<&dyn crate::models::Classifier> {
    let refused = || Error::Request(format!("{}: only classifiers are audited", model.card.name));
    model.classifier().ok_or_else(refused)
}

fn answers_of(measured: Measured) -> Result<Arc<Answers>> {
    measured.answers.ok_or_else(|| Error::Request("only classifiers are audited".into()))
}

/// CKA of each layer; another architecture's layers are not compared.
fn layers(
    names: &[String],
    run: &Examined,
    original: &Examined,
    retrain: Option<&Examined>,
) -> Vec<LayerSimilarity> {
    let alike = |other: &Examined, i: usize| {
        let other = other.layers.get(i);
        [0, 1].map(|which| other.and_then(|o| cka(&run.layers[i][which], &o[which])))
    };
    let layer = |(i, name): (usize, &String)| LayerSimilarity {
        name: name.clone(),
        original: alike(original, i),
        retrain: retrain.map(|r| alike(r, i)),
    };
    names.iter().enumerate().map(layer).collect()
}

fn divergence(run: &Answers, retrain: &Answers) -> Divergence {
    Divergence {
        js: js_divergence(&run.forget, &retrain.forget),
        activation: activation_distance(&run.forget, &retrain.forget),
        n: run.forget.len(),
    }
}
