//! One unlearning run, a step at a time.

use std::sync::Arc;

use burn::tensor::{Device, Tensor};
use rand::RngExt;

use super::{
    plan::{Plan, Sent, Turn},
    registry::Losses,
    work::{At, Batch, ForgetNoise, Part, Scene, Update, Work},
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
        losses::{Augment, Noised, drop_condition, mse, noised_varied, pictures},
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
    work: Box<dyn Work>,
    schedule: Schedule,
    device: Device,
    optimizer: Optimizer,
    /// Pictures are varied as they were when the model was trained.
    augment: Augment,
    original: Weights,
    weights: Weights,
    pub step: usize,
    /// This epoch's items.
    order: Epoch,
}

/// The items of an epoch in their order.
#[derive(Default)]
struct Epoch {
    /// Its number, plus 1.
    number: usize,
    forget: Vec<usize>,
    retain: Vec<usize>,
    /// Both shuffled together, and which of them are to be forgotten.
    mixed: Vec<(usize, bool)>,
}

impl Unlearner {
    /// A run from the original weights; only weights in `mask` will change. A method without
    /// updates does all of its work here.
    ///
    /// # Errors
    /// Cancelled, or the device failed.
    pub async fn begin(
        model: &Model,
        data: Arc<Dataset>,
        plan: Plan,
        mask: Option<&Mask>,
        device: &Device,
        monitor: &mut Monitor,
    ) -> Result<Self> {
        let original = model.weights.upload(device);
        let mut weights = original.clone();
        let mut work = (plan.method.work)(&plan.knobs);
        let mut scene = Scene {
            network: &model.network,
            data: &data,
            plan: &plan,
            original: &original,
            weights: &mut weights,
        };
        work.begin(&mut scene, monitor).await?;
        let freeze = mask.map(|mask| {
            Freeze::new(&mask.bits, &mask.layout, &original, &weights, plan.knobs.on("drift"))
        });
        if let Some(freeze) = &freeze {
            freeze.restore(&mut weights);
        }
        let (rule, augment) = match &*model.network {
            Network::Classifier(_) => (Rule::SGD, data.augment()),
            Network::Unet(_) => (Rule::ADAM, Augment::None),
        };
        let rule = plan.preset.map_or(rule, |preset| preset.rule);
        let trained = model.card.training.as_ref();
        let trained = trained.and_then(|t| Augment::find(&t.augmentation).ok());
        Ok(Self {
            augment: trained.unwrap_or(augment),
            network: model.network.clone(),
            schedule: Schedule::linear(),
            device: device.clone(),
            optimizer: Optimizer::new(rule, freeze),
            order: Epoch::default(),
            step: 0,
            work,
            data,
            plan,
            original,
            weights,
        })
    }

    /// How the pictures are varied.
    pub fn augment(&self) -> Augment {
        self.augment
    }

    /// Whether all updates are done.
    pub fn finished(&self) -> bool {
        self.step >= self.plan.steps
    }

    /// The weights as they are to be used.
    pub fn weights(&self) -> Weights {
        let mut weights = self.work.delivered(&self.weights);
        self.optimizer.hold(&mut weights);
        weights
    }

    /// One update; returns the loss. A cancel is heard within the update, too, where it is long.
    ///
    /// # Errors
    /// Cancelled: the weights are as before the update. Or the device failed.
    pub async fn step(&mut self, monitor: &mut Monitor) -> Result<Tensor<1>> {
        let network = self.network.clone();
        let (steps, step) = (self.plan.steps, self.step);
        let mut rng = rng::seeded(self.plan.seed, &format!("unlearn {step}"));
        let (at, update) = match &*network {
            Network::Classifier(net) => {
                let (epoch, turn, batches) = self.plan.turn(step);
                let (epochs, part) = (self.plan.epochs, batches.part());
                let at = At { step, steps, epoch, epochs, turn, part };
                self.work.before(&self.weights, at);
                self.draw_epoch(epoch);
                let update = self.classify(&**net, batches, at, &mut rng).await?;
                (at, self.work.adjust(update, &self.weights, at))
            }
            Network::Unet(net) => {
                // An update of a diffusion model is an epoch of its own.
                let (epoch, epochs, turn, part) = (step, steps, 0, Part::Both);
                let at = At { step, steps, epoch, epochs, turn, part };
                self.work.before(&self.weights, at);
                let update = self.generate(net, &mut rng, monitor).await?;
                let Update { loss, gradients } = self.work.adjust(update, &self.weights, at);
                // Clipped before the mask, as the official code does (ALGORITHMS 8.5).
                (at, Update { loss, gradients: clip_norm(gradients, 1.0) })
            }
        };
        let lr = self.plan.lr_at(step);
        self.optimizer.step(&mut self.weights, update.gradients, lr)?;
        if self.work.after(&mut self.weights, at).await? {
            self.optimizer.hold(&mut self.weights);
        }
        self.step += 1;
        Ok(update.loss)
    }

    /// The order of an epoch's items, drawn when it begins.
    fn draw_epoch(&mut self, epoch: usize) {
        if self.order.number == epoch + 1 {
            return;
        }
        let mut rng = rng::seeded(self.plan.seed, &format!("unlearn epoch {epoch}"));
        let mut draw = |items: &[usize], n: usize| -> Vec<usize> {
            rng::shuffled(&mut rng, items.len())[..n].iter().map(|&j| items[j]).collect()
        };
        let [forget, retain] = self.plan.each;
        let (forget, retain) = (draw(&self.plan.forget, forget), draw(&self.plan.retain, retain));
        let both: Vec<(usize, bool)> =
            forget.iter().map(|&i| (i, true)).chain(retain.iter().map(|&i| (i, false))).collect();
        let mixed = rng::shuffled(&mut rng, both.len()).into_iter().map(|j| both[j]).collect();
        self.order = Epoch { number: epoch + 1, forget, retain, mixed };
    }

    /// The pictures of a turn of the classifier.
    async fn classify(
        &mut self,
        net: &dyn Classifier,
        turn: Turn,
        at: At,
        rng: &mut rng::Rng,
    ) -> Result<Update> {
        let n = self.plan.batch;
        let batch = |items: &[usize], i: usize, forgotten: bool| -> Vec<(usize, bool)> {
            items.iter().skip(i * n).take(n).map(|&item| (item, forgotten)).collect()
        };
        let Epoch { forget, retain, mixed, .. } = &self.order;
        Ok(match turn {
            Turn::Forget(i) => {
                let forget = batch(forget, i, true);
                self.gradient(net, forget, at, Part::Forget, rng)
            }
            Turn::Retain(i) => {
                let retain = batch(retain, i, false);
                self.gradient(net, retain, at, Part::Retain, rng)
            }
            Turn::Mixed(i) => {
                let mixed = mixed.iter().skip(i * n).take(n).copied().collect();
                self.gradient(net, mixed, at, Part::Both, rng)
            }
            Turn::Pair(f, r) => {
                let (forget, retain) = (batch(forget, f, true), batch(retain, r, false));
                let forget = self.gradient(net, forget, at, Part::Forget, rng);
                let retain = self.gradient(net, retain, at, Part::Retain, rng);
                self.work.combine(forget, retain, rng).await?
            }
        })
    }

    /// The loss and gradient of a batch of the classifier.
    fn gradient(
        &mut self,
        net: &dyn Classifier,
        items: Vec<(usize, bool)>,
        at: At,
        part: Part,
        rng: &mut rng::Rng,
    ) -> Update {
        let (mut items, forgotten): (Vec<usize>, Vec<bool>) = items.into_iter().unzip();
        let labels = self.data.train.labels(&items);
        let n = items.len();
        if part == Part::Forget {
            items.extend(self.company(n, rng));
        }
        let x = pictures(&self.data.train, &items, self.augment, rng, &self.device);
        let tracked = self.weights.tracked();
        let train = Mode::train(self.plan.seed, self.step, part as usize);
        let mode = if self.plan.knobs.on("freeze-bn") { Mode::Eval } else { train };
        let pass = Pass::new(&tracked, mode);
        let (mut logits, mut x) = (net.forward(&pass, x.clone()), x);
        if items.len() > n {
            let [_, classes] = logits.dims();
            let [_, c, h, w] = x.dims();
            logits = logits.slice([0..n, 0..classes]);
            x = x.slice([0..n, 0..c, 0..h, 0..w]);
        }
        let loss = self.work.loss(Batch {
            net,
            x,
            logits,
            labels: &labels,
            forgotten: &forgotten,
            part,
            original: &self.original,
            rng,
            at,
        });
        for (buffer, value) in pass.into_moved() {
            self.weights.buffers[buffer] = value;
        }
        let gradients = tracked.gradients(&mut loss.backward());
        Update { loss: loss.without_autodiff(), gradients }
    }

    /// Retained pictures that stand beside `n` to be forgotten, where those are so few that batches of them
    /// alone would have statistics which the network never has again: they are normalised together, and
    /// nothing is asked of these.
    fn company(&self, n: usize, rng: &mut rng::Rng) -> Vec<usize> {
        let retain = &self.plan.company;
        let n = if retain.is_empty() { 0 } else { n };
        (0..n).map(|_| retain[rng.random_range(0..retain.len())]).collect()
    }

    /// A step of the diffusion model, a part of the batch at a time.
    async fn generate(
        &mut self,
        net: &Unet,
        rng: &mut rng::Rng,
        monitor: &mut Monitor,
    ) -> Result<Update> {
        let batch = self.plan.batch;
        let pair = self.plan.losses == Losses::Pair;
        // Of the forget loss or of both together, and of the retain loss where it stands alone.
        let mut sums: [(Vec<Tensor<1>>, Vec<Tensor<1>>); 2] = Default::default();
        for start in (0..batch).step_by(PART) {
            monitor.check().await?;
            let n = PART.min(batch - start);
            let size = shards::size(&self.weights, n);
            let forgotten = (self.plan.losses != Losses::Retain).then(|| {
                let b = self.draw(&self.plan.forget, n, rng);
                self.plan.redirect.apply(b, &self.schedule, rng)
            });
            let retained = (self.plan.alpha > 0.0).then(|| {
                let mut b = self.draw(&self.plan.retain, n, rng);
                drop_condition(&mut b.class, CONDITION_DROP, rng);
                b
            });
            let mut add = |sum: usize, forgotten: Option<Noised>, retained: Option<Noised>| {
                let mut forgotten = forgotten.into_iter().flat_map(|b| b.split(size));
                let mut retained = retained.into_iter().flat_map(|b| b.split(size));
                let parts = (0..n.div_ceil(size)).map(|_| (forgotten.next(), retained.next()));
                let mode = Mode::train(self.plan.seed, self.step, 2 * start + sum);
                let (loss, more) =
                    shards::gradients(&self.weights, mode, parts.collect(), |pass, part| {
                        self.loss(net, pass, part) / batch as f64
                    });
                let (losses, gradients) = &mut sums[sum];
                *gradients = plus(std::mem::take(gradients), more);
                losses.push(loss);
            };
            if pair {
                add(0, forgotten, None);
                add(1, None, retained);
            } else {
                add(0, forgotten, retained);
            }
        }
        let [first, second] = sums.map(|(losses, gradients)| {
            (!losses.is_empty()).then(|| Update { loss: Tensor::cat(losses, 0).sum(), gradients })
        });
        match (first, second) {
            (Some(forget), Some(retain)) => self.work.combine(forget, retain, rng).await,
            (Some(one), None) | (None, Some(one)) => Ok(one),
            (None, None) => unreachable!("a batch is not empty"),
        }
    }

    /// `n` of these pictures with fresh noise.
    fn draw(&self, items: &[usize], n: usize, rng: &mut rng::Rng) -> Noised {
        let items: Vec<usize> = (0..n).map(|_| items[rng.random_range(0..items.len())]).collect();
        let (pixels, augment) = (&self.data.train, self.augment);
        noised_varied(pixels, &items, augment, &self.schedule, rng, &self.device)
    }

    /// The forget and the retain loss, summed over the items of a part.
    fn loss(
        &self,
        net: &Unet,
        pass: &Pass,
        (forgotten, retained): (Option<Noised>, Option<Noised>),
    ) -> Tensor<1> {
        let forget = forgotten.map(|batch| {
            let n = batch.t.len() as f64;
            let to_noise = self.plan.redirect == Sent::ToNoise;
            let (now, original) = (&self.weights, &self.original);
            let step = ForgetNoise { unet: net, pass, now, original, batch, to_noise };
            self.work.forget_noise(step) * n
        });
        let retain = retained.map(|b| {
            let n = b.t.len() as f64;
            mse(net.forward(pass, b.x, &b.t, &b.class), b.eps) * (self.plan.alpha * n)
        });
        match (forget, retain) {
            (Some(f), Some(r)) => f + r,
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => unreachable!("every plan has a loss"),
        }
    }
}
