//! One unlearning run, a step at a time.

use std::sync::Arc;

use burn::tensor::{Device, Tensor};
use rand::RngExt;

use super::{
    plan::Plan,
    registry::{ForgetBatch, ForgetNoise},
};
use crate::{
    data::{Dataset, rng},
    diffusion::schedule::Schedule,
    error::Result,
    models::{
        Model, Network,
        classifier::Classifier,
        layers::{Mode, Pass},
        unet::Unet,
        weights::Weights,
    },
    monitor::Monitor,
    saliency::Mask,
    train::{
        losses::{Augment, Noised, cross_entropy, drop_condition, flags, mse, noised, pictures},
        optimizer::{Freeze, Optimizer, Rule, clip_norm, plus},
        preset::CONDITION_DROP,
        shards,
    },
};

/// Items in one pass of the diffusion model: a cancel is heard after each.
const PART: usize = 32;

/// A run under way.
pub struct Unlearner {
    network: Arc<Network>,
    data: Arc<Dataset>,
    plan: Plan,
    schedule: Schedule,
    device: Device,
    optimizer: Optimizer,
    /// Pictures are varied as they were when the model was trained.
    augment: Augment,
    pub weights: Weights,
    pub step: usize,
    /// This epoch's items: (epoch, forget, retain).
    order: (usize, Vec<usize>, Vec<usize>),
}

impl Unlearner {
    /// A run from the original weights; only weights in `mask` will change.
    pub fn new(
        model: &Model,
        data: Arc<Dataset>,
        plan: Plan,
        mask: Option<&Mask>,
        device: &Device,
    ) -> Self {
        let weights = model.weights.upload(device);
        let freeze = mask.map(|mask| Freeze {
            free: mask.layout.params.iter().map(|e| flags(&mask.bits[e.range()], device)).collect(),
            original: weights.params.clone(),
        });
        let rule = match &*model.network {
            Network::Classifier(_) => Rule::SGD,
            Network::Unet(_) => Rule::ADAM,
        };
        let trained = model.card.training.as_ref();
        let augment = trained.and_then(|t| Augment::find(&t.augmentation).ok());
        Self {
            augment: augment.unwrap_or_else(|| data.augment()),
            network: model.network.clone(),
            schedule: Schedule::linear(),
            device: device.clone(),
            optimizer: Optimizer::new(rule, freeze),
            order: (usize::MAX, Vec::new(), Vec::new()),
            step: 0,
            data,
            plan,
            weights,
        }
    }

    /// Whether all updates are done.
    pub fn finished(&self) -> bool {
        self.step >= self.plan.steps
    }

    /// One update; returns the loss. A cancel is heard within the update, too, where it is long.
    ///
    /// # Errors
    /// Cancelled: the weights are as before the update.
    pub async fn step(&mut self, monitor: &mut Monitor) -> Result<Tensor<1>> {
        let network = self.network.clone();
        let (loss, gradients) = match &*network {
            Network::Classifier(net) => self.classify(&**net),
            Network::Unet(net) => self.generate(net, monitor).await?,
        };
        self.optimizer.step(&mut self.weights, gradients, self.plan.lr_at(self.step));
        self.step += 1;
        Ok(loss)
    }

    fn rng(&self) -> rng::Rng {
        rng::seeded(self.plan.seed, &format!("unlearn {}", self.step))
    }

    /// A turn of the classifier: forget batches first, then retain batches.
    fn classify(&mut self, net: &dyn Classifier) -> (Tensor<1>, Vec<Tensor<1>>) {
        let mut rng = self.rng();
        let turns = self.plan.turns();
        let (epoch, turn) = (self.step / turns, self.step % turns);
        if self.order.0 != epoch {
            let mut rng = rng::seeded(self.plan.seed, &format!("unlearn epoch {epoch}"));
            let mut draw = |items: &[usize], n: usize| -> Vec<usize> {
                rng::shuffled(&mut rng, items.len())[..n].iter().map(|&j| items[j]).collect()
            };
            let [forget, retain] = self.plan.each;
            self.order = (epoch, draw(&self.plan.forget, forget), draw(&self.plan.retain, retain));
        }
        let forgets = self.plan.each[0].div_ceil(self.plan.batch);
        let (items, at) =
            if turn < forgets { (&self.order.1, turn) } else { (&self.order.2, turn - forgets) };
        let batch: Vec<usize> =
            items.iter().skip(at * self.plan.batch).take(self.plan.batch).copied().collect();
        let x = pictures(&self.data.train, &batch, self.augment, &mut rng, &self.device);
        let tracked = self.weights.tracked();
        let pass = Pass::new(&tracked, Mode::Train);
        let logits = net.forward(&pass, x);
        let labels = self.data.train.labels(&batch);
        let loss = match self.plan.method.classify.as_ref().and_then(|how| how.forget) {
            Some(forget) if turn < forgets => {
                forget(ForgetBatch { logits, labels: &labels, rng: &mut rng })
            }
            _ => cross_entropy(logits, &labels),
        };
        for (buffer, value) in pass.into_moved() {
            self.weights.buffers[buffer] = value;
        }
        let gradients = tracked.gradients(&mut loss.backward());
        (loss.without_autodiff(), gradients)
    }

    /// A step of the diffusion model: both losses together, a part of the batch at a time.
    async fn generate(
        &mut self,
        net: &Unet,
        monitor: &mut Monitor,
    ) -> Result<(Tensor<1>, Vec<Tensor<1>>)> {
        let mut rng = self.rng();
        let (mut losses, mut gradients) = (Vec::new(), Vec::new());
        let batch = self.plan.batch;
        let how = self.plan.method.generate.as_ref();
        let forget = how.and_then(|how| how.forget);
        for start in (0..batch).step_by(PART) {
            monitor.check().await?;
            let n = PART.min(batch - start);
            let size = shards::size(&self.weights, n);
            let forgotten = forget.map(|_| self.draw(&self.plan.forget, n, &mut rng));
            let retained = (self.plan.alpha > 0.0).then(|| {
                let mut b = self.draw(&self.plan.retain, n, &mut rng);
                drop_condition(&mut b.class, CONDITION_DROP, &mut rng);
                b
            });
            let mut forgotten = forgotten.into_iter().flat_map(|b| b.split(size));
            let mut retained = retained.into_iter().flat_map(|b| b.split(size));
            let parts = (0..n.div_ceil(size)).map(|_| (forgotten.next(), retained.next()));
            let (loss, more) =
                shards::gradients(&self.weights, Mode::Train, parts.collect(), |pass, part| {
                    self.loss(net, pass, forget, part) / batch as f64
                });
            gradients = plus(gradients, more);
            losses.push(loss);
        }
        // Clipped before the mask, as the official code does (ALGORITHMS 8.5).
        Ok((Tensor::cat(losses, 0).sum(), clip_norm(gradients, 1.0)))
    }

    /// `n` of these pictures with fresh noise.
    fn draw(&self, items: &[usize], n: usize, rng: &mut rng::Rng) -> Noised {
        let items: Vec<usize> = (0..n).map(|_| items[rng.random_range(0..items.len())]).collect();
        noised(&self.data.train, &items, &self.schedule, rng, &self.device)
    }

    /// The forget and the retain loss, summed over the items of a part.
    fn loss(
        &self,
        net: &Unet,
        pass: &Pass,
        forget: Option<fn(ForgetNoise) -> Tensor<1>>,
        (forgotten, retained): (Option<Noised>, Option<Noised>),
    ) -> Tensor<1> {
        let forget = forget.zip(forgotten).map(|(forget, batch)| {
            let (n, redirect) = (batch.t.len() as f64, self.plan.redirect);
            forget(ForgetNoise { unet: net, pass, now: &self.weights, batch, redirect }) * n
        });
        let retain = retained.map(|b| {
            let n = b.t.len() as f64;
            mse(net.forward(pass, b.x, &b.t, &b.class), b.eps) * (self.plan.alpha * n)
        });
        match (forget, retain) {
            (Some(f), Some(r)) => f + r,
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => unreachable!("a plan without losses has no steps"),
        }
    }
}
