//! The audit: the unlearned model, the original and Retrain are examined alike and compared.

use std::sync::Arc;

use web_time::Instant;

use super::measure::deaf;
use super::session::twin;
use super::{Asked, Audited, Measured, Setting, Work};
use crate::error::{Error, Result};
use crate::eval::{
    Answers, Evaluator, Examined, Features, Outputs, References, Setup, activation_distance, cka,
    js_divergence,
};
use crate::models::{Model, Weights};
use crate::words::{Audit, Divergence, Extent, LayerSimilarity, Metrics, Recipe};

/// A model that unlearned, or Retrain: its weights on the device, and what it says.
pub struct Suspect {
    pub model: Arc<Model>,
    pub weights: Weights,
    pub answers: Arc<Answers>,
}

impl Suspect {
    /// A model that was measured.
    ///
    /// # Errors
    /// It is no classifier.
    pub fn new(model: &Arc<Model>, weights: &Weights, measured: &Measured) -> Result<Self> {
        let refused = || Error::Request("only classifiers are audited".into());
        let answers = measured.answers.clone().ok_or_else(refused)?;
        Ok(Self { model: model.clone(), weights: weights.clone(), answers })
    }

    /// Pictures that it was measured on.
    fn n(&self) -> [usize; 3] {
        let Answers { forget, retain, test } = &*self.answers;
        [forget, retain, test].map(Outputs::len)
    }

    fn evaluator(&self) -> Result<Evaluator<'_>> {
        Ok(Evaluator { net: classifier(&self.model)?, weights: &self.weights })
    }
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
        classifier(&setting.model)?;
        let extent = setting.asked.extent();
        let (run, metrics) = self.suspect(&setting.model, &setting, extent).await?;
        let (retrain, against) = match retrain {
            Some(other) => {
                let other = self.settled(other, &setting.data, recipe);
                let extent = Extent::exactly(run.n());
                let (retrain, against) = self.suspect(&other, &setting, extent).await?;
                (Some(retrain), Some(against))
            }
            None => (None, None),
        };
        let audit = self.audit(run, &setting, retrain).await?;
        Ok(Audited { metrics, against, audit })
    }

    /// Puts a model on the device and measures it.
    async fn suspect(
        &mut self,
        model: &Arc<Model>,
        of: &Setting,
        extent: Extent,
    ) -> Result<(Suspect, Metrics)> {
        let weights = model.weights.upload(&self.session.device);
        let measured = self.measure(model, &weights, of, extent, &mut deaf()).await?;
        Ok((Suspect::new(model, &weights, &measured)?, measured.metrics))
    }

    /// Audits an unlearned model against the recipe's original and against `retrain`, or the shipped
    /// twin.
    ///
    /// # Errors
    /// The model is no classifier, cancelled, or the device failed.
    pub async fn audit(
        &mut self,
        subject: Suspect,
        setting: &Setting,
        retrain: Option<Suspect>,
    ) -> Result<Audit> {
        let clock = Instant::now();
        let Setting { asked: Asked { recipe, .. }, data, set, .. } = setting;
        let original = self.start(recipe).await?;
        let original = self.settled(original, data, recipe);
        let references = self.references(setting).await?;
        let calibration = references.calibrate(&subject.answers, data, self.job).await?;
        let setup = Setup { data, set, sizes: recipe.budget.audit(), calibration: &calibration };

        let asked = subject.evaluator()?;
        let run = setup.examine(asked, subject.answers.clone(), self.job).await?;
        let (start, n) = (recipe.start(), subject.n());
        let before = self.examine_once((&start, &original), &setup, setting, n).await?;
        let retrain = match (retrain, twin(setting)) {
            (Some(other), _) => {
                let examined = setup.examine(other.evaluator()?, other.answers.clone(), self.job);
                Some(Arc::new(examined.await?))
            }
            (None, Some(twin)) => {
                let model = twin.open()?.into();
                Some(self.examine_once((twin.name, &model), &setup, setting, n).await?)
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
        let train = async |work: &mut Work<'_>| {
            let (items, sizes) = (&of.split.train, recipe.budget.audit());
            References::train(data, items, &sizes, &work.session.device, work.job).await
        };
        self.once(&key, train).await
    }

    /// Examines a model that no job changes, once for each protocol.
    async fn examine_once(
        &mut self,
        (name, model): (&str, &Arc<Model>),
        setup: &Setup<'_>,
        of: &Setting,
        n: [usize; 3],
    ) -> Result<Arc<Examined>> {
        let Recipe { data, budget, seed, .. } = &of.asked.recipe;
        let key = (name, data, &of.set.spec, budget, seed, n);
        self.once(&key, async |work| {
            let measured = work.measure_once(name, model, of, n).await?;
            let weights = model.weights.upload(&work.session.device);
            let suspect = Suspect::new(model, &weights, &measured)?;
            setup.examine(suspect.evaluator()?, suspect.answers.clone(), work.job).await
        })
        .await
    }
}

fn classifier(model: &Model) -> Result<&dyn crate::models::Classifier> {
    let refused = || Error::Request(format!("{}: only classifiers are audited", model.card.name));
    model.classifier().ok_or_else(refused)
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
