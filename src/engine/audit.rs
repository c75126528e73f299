//! The audit: the unlearned model, the original and Retrain are examined alike and compared.

use std::sync::Arc;

use web_time::Instant;

use super::Audited;
use super::measure::Measured;
use super::request::Asked;
use super::session::{Setting, Work, twin};
use crate::error::{Error, Result};
use crate::eval::{
    Answers, Evaluator, Examined, Features, References, Setup, activation_distance, cka,
    js_divergence,
};
use crate::models::{Model, Weights};
use crate::words::{Audit, Divergence, LayerSimilarity, Recipe};

/// A model that unlearned, or Retrain.
pub struct Suspect<'a> {
    pub model: &'a Model,
    pub weights: &'a Weights,
    pub answers: Arc<Answers>,
}

impl Work<'_> {
    /// [`super::job::Job::Audit`].
    ///
    /// # Errors
    /// The model is no classifier, cancelled, or the device failed.
    pub async fn measure_and_audit(
        &mut self,
        model: Arc<Model>,
        recipe: &Recipe,
        retrain: Option<Arc<Model>>,
    ) -> Result<Audited> {
        let setting = self.setting_of(model, recipe).await?;
        let model = &setting.model;
        classifier(model)?;
        let (weights, run) = self.measure_host(model, &setting).await?;
        let retrain = retrain.map(|other| self.settled(other, &setting.data, recipe));
        let other = match &retrain {
            Some(retrain) => Some(self.measure_host(retrain, &setting).await?),
            None => None,
        };
        let against = other.as_ref().map(|(_, measured)| measured.metrics.clone());
        let metrics = run.metrics.clone();
        let run = Suspect { model, weights: &weights, answers: answers_of(run)? };
        let other = match (&retrain, &other) {
            (Some(model), Some((weights, measured))) => {
                Some(Suspect { model, weights, answers: answers_of(measured.clone())? })
            }
            _ => None,
        };
        let audit = self.audit(run, &setting, other).await?;
        Ok(Audited { metrics, against, audit })
    }

    /// Weights on the device, and what they do.
    async fn measure_host(&mut self, model: &Model, of: &Setting) -> Result<(Weights, Measured)> {
        let weights = model.weights.upload(&self.session.device);
        let measured = self.measure(model, &weights, of).await?;
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
        retrain: Option<Suspect<'_>>,
    ) -> Result<Audit> {
        let clock = Instant::now();
        let Setting { asked: Asked { recipe, .. }, data, set, .. } = setting;
        let original = self.start(recipe).await?;
        let original = self.settled(original, data, recipe);
        let references = self.references(setting).await?;
        let calibration = references.calibrate(&subject.answers, data, self.job).await?;
        let setup = Setup { data, set, sizes: recipe.budget.audit(), calibration: &calibration };

        let asked = Evaluator { net: classifier(subject.model)?, weights: subject.weights };
        let run = setup.examine(asked, subject.answers.clone(), self.job).await?;
        let before = self.examine_once(&recipe.start(), &original, &setup, setting).await?;
        let retrain = match (retrain, twin(setting)) {
            (Some(Suspect { model, weights, answers }), _) => {
                let asked = Evaluator { net: classifier(model)?, weights };
                Some(Arc::new(setup.examine(asked, answers, self.job).await?))
            }
            (None, Some(twin)) => {
                Some(self.examine_once(twin.name, &twin.open()?, &setup, setting).await?)
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
    async fn references(&mut self, of: &Setting) -> Result<Arc<References>> {
        let Setting { asked: Asked { recipe, .. }, model, data, .. } = of;
        let key = (&recipe.data, model.card.split_seed, recipe.budget);
        if let Some(references) = self.session.store.get(&key) {
            return Ok(references);
        }
        let (items, sizes) = (&of.split.train, recipe.budget.audit());
        let device = &self.session.device;
        let trained = References::train(data, items, &sizes, device, self.job).await?;
        Ok(self.session.store.put(&key, trained))
    }

    /// Examines a model that no job changes, once for each protocol.
    async fn examine_once(
        &mut self,
        name: &str,
        model: &Model,
        setup: &Setup<'_>,
        of: &Setting,
    ) -> Result<Arc<Examined>> {
        let Recipe { data, budget, seed, .. } = &of.asked.recipe;
        let key = (name, data, &of.set.spec, budget, seed);
        if let Some(examined) = self.session.store.get(&key) {
            return Ok(examined);
        }
        let answers = answers_of(self.measure_once(name, model, of).await?)?;
        let weights = model.weights.upload(&self.session.device);
        let asked = Evaluator { net: classifier(model)?, weights: &weights };
        let examined = setup.examine(asked, answers, self.job).await?;
        Ok(self.session.store.put(&key, examined))
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
