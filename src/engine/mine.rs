//! A person's own pictures: what a classifier sees in them, and a class of their own that it learns.

use std::sync::Arc;

use rand::RngExt;

use super::{GpuLossCheck, Looked, Work};
use crate::data;
use crate::data::{Dataset, Mine, Pictures, beside, seeded, shuffled};
use crate::error::{Error, Result, ensure};
use crate::eval::{Evaluator, Shown};
use crate::models::{Card, Classifier, HostWeights, Model, Training};
use crate::train::{LrSchedule, Rule, TrainPlan, Trainer};

/// Updates that a new class is learnt in, and pictures of one.
const STEPS: usize = 120;
const BATCH: usize = 64;
/// The rate of plain descent with momentum; a finished model needs a tenth of what a fresh one takes.
const LR: f64 = 0.01;
/// Pictures of each class that it knows are seen again meanwhile; those of a new one as often as all of them.
const AGAIN: usize = 100;

impl Work<'_> {
    /// What a classifier sees in pictures, and one that comes `after` it.
    ///
    /// # Errors
    /// The model is no classifier or takes other pictures; cancelled, or the device failed.
    pub async fn look_at(
        &mut self,
        name: &str,
        pictures: &Pictures,
        after: Option<Arc<Model>>,
    ) -> Result<Looked> {
        let before = self.session.model(name)?;
        let before = self.seen_in(&before, name, pictures).await?;
        let after = match after {
            Some(after) => Some(self.seen_in(&after, &after.card.name, pictures).await?),
            None => None,
        };
        Ok(Looked { before, after })
    }

    async fn seen_in(
        &mut self,
        model: &Model,
        name: &str,
        pictures: &Pictures,
    ) -> Result<Vec<(usize, f32)>> {
        let net = classifier(model, name)?;
        let [channels, _] = model.card.architecture.channels_and_classes();
        let has = pictures.shape.channels;
        let wrong = || Error::Request(format!("{name} looks at {channels} channels, not {has}"));
        ensure(has == channels, wrong)?;
        let weights = model.weights.upload(&self.session.device);
        let items: Vec<usize> = (0..pictures.len()).collect();
        self.job.phase("Looking at the pictures", items.len());
        Evaluator { net, weights: &weights }.predict(Shown(pictures, &items), self.job).await
    }

    /// Teaches a copy of a classifier the new classes of a person's own pictures; the copy's name.
    ///
    /// # Errors
    /// The model is no classifier, has other classes than the data, or there is no new class; cancelled,
    /// training diverged, or the device failed.
    pub async fn learn(
        &mut self,
        name: &str,
        of: &str,
        mine: Arc<Mine>,
        seed: u64,
    ) -> Result<String> {
        let model = self.session.model(name)?;
        let title = mine.title.clone();
        let own = data::mine::keep(mine)?;
        let data = data::open(&beside(of, &own))?;
        let wrong = |right: &str| Error::argument("pictures", &title, right);
        let known = model.card.classes.len();
        let begins = data.classes.len() > known && data.classes[..known] == model.card.classes;
        ensure(begins, || {
            wrong("the classes of the model, in its order, and a new one are needed")
        })?;
        let net = classifier(&model, name)?;
        let start = wider(&model.weights, net, data.classes.len(), seed)?;
        let architecture = model.card.architecture.clone().with_classes(data.classes.len());
        let network = Arc::new(architecture.build().0);
        let items = lessons(&data, model.card.split_seed, known, seed);
        let plan = TrainPlan {
            steps: STEPS,
            batch: BATCH,
            rule: Rule::SGD,
            lr: LR,
            schedule: LrSchedule::Cosine,
            ema: 0.0,
            augment: data.augment(),
            seed,
        };
        let (from, device) = (start.clone(), &self.session.device);
        let mut trainer =
            Trainer::of_classes(network.clone(), from, data.clone(), items, plan, device);
        self.drive(&mut trainer, format!("Learning {title}"), GpuLossCheck::default(), None)
            .await?;
        let weights = trainer.learners[0].result().await?;
        weights.check(&start)?;
        let from = Some(format!("{name} {}", model.weights.hash()));
        let card = Card {
            fingerprint: data.fingerprint.clone(),
            split_seed: model.card.split_seed,
            training: Some(Training { from, ..plan.done(trainer.seconds[0]) }),
            unlearned: model.card.unlearned.clone(),
            device: self.session.info.label(),
            version: env!("CARGO_PKG_VERSION").into(),
            ..Card::new(name, architecture, &data.name, data.classes.clone())
        };
        let name = beside(name, &own);
        self.session.replace(&name, Model { card, network, weights });
        Ok(name)
    }
}

fn classifier<'a>(model: &'a Model, name: &str) -> Result<&'a dyn Classifier> {
    let none = || Error::argument("model", name, "a classifier is needed to look at pictures");
    model.classifier().ok_or_else(none)
}

/// A classifier's weights with rows for more classes, drawn as PyTorch's fresh linear layer is.
fn wider(of: &HostWeights, net: &dyn Classifier, classes: usize, seed: u64) -> Result<HostWeights> {
    let head = net.head_params();
    let [known, features] = of.layout.params[head[0]].shape[..] else {
        return Err(Error::Request("the head is not a linear layer".into()));
    };
    let bound = (features as f32).powf(-0.5);
    let mut rng = seeded(seed, "new class");
    let mut values = Vec::with_capacity(of.values.len() + (classes - known) * (features + 1));
    for (place, param) in of.layout.params.iter().enumerate() {
        values.extend_from_slice(&of.values[param.range()]);
        if head.contains(&place) {
            let each = param.n() / known;
            let row = (0..(classes - known) * each).map(|_| rng.random_range(-bound..=bound));
            values.extend(row);
        }
    }
    let layout = of.layout.with_rows(&head, classes);
    Ok(HostWeights { layout, values: values.into(), buffers: of.buffers.clone() })
}

/// What is looked at while a new class is learnt: some of every class that is `known`, and the new pictures
/// again and again.
fn lessons(data: &Dataset, split_seed: u64, known: usize, seed: u64) -> Vec<usize> {
    let mut of: Vec<Vec<usize>> = vec![Vec::new(); data.classes.len()];
    let train = data.split(split_seed).train;
    train.into_iter().for_each(|i| of[usize::from(data.train.labels[i])].push(i));
    let again = |(class, items): (usize, &Vec<usize>)| -> Vec<usize> {
        if class >= known {
            return items.iter().copied().cycle().take(AGAIN.max(items.len())).collect();
        }
        let order = shuffled(&mut seeded(seed, &format!("again {class}")), items.len());
        order.into_iter().take(AGAIN).map(|j| items[j]).collect()
    };
    of.iter().enumerate().flat_map(again).collect()
}
