//! One unlearning run, a step at a time.

mod state;

use std::sync::Arc;

use burn::tensor::Tensor;
use rand::RngExt;

use super::hooks::{Batch, BatchSource, ForgetNoise, MethodContext, MethodHooks, StepInfo};
use super::{BatchPick, Losses, Order, Plan, Update};
use crate::data::rng;
use crate::error::Result;
use crate::job_context::JobContext;
use crate::models::{Bits, Mode, Pass, Weights};
use crate::subject::{Diffuser, Noisy, Pictured, Settings, Subject, Under};
use crate::train::losses::Augment;
use crate::train::optimizer::plus;
use crate::train::{Optimizer, WeightFreeze, clip_norm, mse, shards};

/// A run under way.
pub struct Unlearner {
    subject: Arc<Subject>,
    plan: Plan,
    work: Box<dyn MethodHooks>,
    optimizer: Optimizer,
    original: Weights,
    weights: Weights,
    pub step: usize,
    /// This epoch's items.
    order: Epoch,
}

/// The loss of an update, and what the forget and the retain set have in it, where it sees them apart.
#[derive(Debug, Clone)]
pub struct UpdateLoss {
    /// [1], with what the method adds to both.
    pub whole: Tensor<1>,
    pub parts: LossParts,
}

/// [1] of the forget and of the retain set.
pub type LossParts = [Option<Tensor<1>>; 2];

/// The items of an epoch in their order, and which of them are to be forgotten.
#[derive(Default)]
struct Epoch {
    /// Its number, plus 1.
    number: usize,
    forget: Vec<(usize, bool)>,
    retain: Vec<(usize, bool)>,
    /// Both shuffled together.
    mixed: Vec<(usize, bool)>,
}

impl Unlearner {
    /// A run from the original weights; only weights with a 1 in `free` will change. A method without
    /// updates does all of its work here.
    ///
    /// # Errors
    /// Cancelled, or the device failed.
    pub async fn begin(
        subject: Subject,
        original: Weights,
        plan: Plan,
        free: Option<&Bits>,
        job: &mut JobContext,
    ) -> Result<Self> {
        let start = original.clone();
        Self::begin_at(start, subject, original, plan, free, job).await
    }

    /// The same from other weights than the original, which is what methods still hold against: those that a run
    /// had on its way. What is not free stays as it is there.
    ///
    /// # Errors
    /// Cancelled, or the device failed.
    pub async fn begin_at(
        start: Weights,
        subject: Subject,
        original: Weights,
        plan: Plan,
        free: Option<&Bits>,
        job: &mut JobContext,
    ) -> Result<Self> {
        let mut weights = start.clone();
        subject.settings().note().into_iter().for_each(|note| job.note(note));
        let mut work = (plan.method.work)(&plan.knobs);
        work.begin(&mut MethodContext {
            subject: &subject,
            plan: &plan,
            original: &original,
            weights: &mut weights,
            job,
        })
        .await?;
        let freeze = free.map(|bits| {
            WeightFreeze::new(bits, &original.layout, &start, &weights, plan.knobs.on("drift"))
        });
        if let Some(freeze) = &freeze {
            freeze.restore(&mut weights);
        }
        let rule = plan.preset.map_or(subject.settings().rule, |preset| preset.rule);
        Ok(Self {
            optimizer: Optimizer::new(rule, freeze),
            order: Epoch::default(),
            step: 0,
            subject: Arc::new(subject),
            work,
            plan,
            original,
            weights,
        })
    }

    /// How pictures are varied, where they are pictures.
    pub fn augment(&self) -> Option<Augment> {
        self.subject.settings().augment
    }

    /// How many updates there are in all.
    pub fn steps(&self) -> usize {
        self.plan.end()
    }

    /// Whether all updates are done.
    pub fn finished(&self) -> bool {
        self.step >= self.plan.end()
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
    pub async fn step(&mut self, job: &mut JobContext) -> Result<UpdateLoss> {
        let subject = self.subject.clone();
        let step = self.step;
        let Settings { stream, clip, .. } = subject.settings();
        let mut rng = rng::seeded(self.plan.seed, &format!("{stream} {step}"));
        let Plan { steps, epochs, .. } = self.plan;
        let (epoch, turn, pick) = self.plan.turn(step);
        let at = StepInfo { step, steps, epoch, epochs, turn, part: pick.part() };
        self.work.before(&self.weights, at);
        let (update, parts) = match &*subject {
            Subject::Classifier(of) => self.classify(of, pick, at, &mut rng).await?,
            Subject::Diffusion(of) => self.denoise(&**of, at, &mut rng, job).await?,
        };
        let Update { loss: whole, mut gradients } = self.work.adjust(update, &self.weights, at);
        if let Some(most) = clip {
            gradients = clip_norm(gradients, most);
        }
        self.optimizer.step(&mut self.weights, gradients, self.plan.lr_at(step))?;
        if self.work.after(&mut self.weights, at).await? {
            self.optimizer.hold(&mut self.weights);
        }
        self.step += 1;
        Ok(UpdateLoss { whole, parts })
    }

    /// The order of an epoch's items, drawn when it begins.
    fn draw_epoch(&mut self, epoch: usize) {
        if self.order.number == epoch + 1 {
            return;
        }
        let mut rng = rng::seeded(self.plan.seed, &format!("unlearn epoch {epoch}"));
        let mut draw = |items: &[usize], n: usize, forgotten: bool| -> Vec<(usize, bool)> {
            let order = rng::shuffled(&mut rng, items.len());
            order[..n].iter().map(|&j| (items[j], forgotten)).collect()
        };
        let [forget, retain] = self.plan.each;
        let forget = draw(&self.plan.forget, forget, true);
        let retain = draw(&self.plan.retain, retain, false);
        let both = [&forget[..], &retain].concat();
        let mixed = rng::shuffled(&mut rng, both.len()).into_iter().map(|j| both[j]).collect();
        self.order = Epoch { number: epoch + 1, forget, retain, mixed };
    }

    /// The pictures of a turn of the classifier.
    async fn classify(
        &mut self,
        of: &Pictured,
        pick: BatchPick,
        at: StepInfo,
        rng: &mut rng::Rng,
    ) -> Result<(Update, LossParts)> {
        self.draw_epoch(at.epoch);
        let n = self.plan.batch;
        let batch = |items: &[(usize, bool)], i: usize| -> Vec<(usize, bool)> {
            items.iter().skip(i * n).take(n).copied().collect()
        };
        let Epoch { forget, retain, mixed, .. } = &self.order;
        let items = match pick {
            BatchPick::Forget(i) => batch(forget, i),
            BatchPick::Retain(i) => batch(retain, i),
            BatchPick::Mixed(i) => batch(mixed, i),
            BatchPick::Pair(f, r) => {
                let (forget, retain) = (batch(forget, f), batch(retain, r));
                let one = |part| StepInfo { part, ..at };
                let forget = self.gradient(of, forget, one(BatchSource::Forget), rng);
                let retain = self.gradient(of, retain, one(BatchSource::Retain), rng);
                let both = [forget, retain];
                let parts = both.each_ref().map(|part| Some(part.loss.clone()));
                return Ok((self.work.combine(both, rng).await?, parts));
            }
        };
        let update = self.gradient(of, items, at, rng);
        let loss = |part| (at.part == part).then(|| update.loss.clone());
        let parts = [BatchSource::Forget, BatchSource::Retain].map(loss);
        Ok((update, parts))
    }

    /// The loss and gradient of a batch of the classifier.
    fn gradient(
        &mut self,
        of: &Pictured,
        items: Vec<(usize, bool)>,
        at: StepInfo,
        rng: &mut rng::Rng,
    ) -> Update {
        let (mut items, forgotten): (Vec<usize>, Vec<bool>) = items.into_iter().unzip();
        let labels = of.data.train.labels(&items);
        let n = items.len();
        if at.part == BatchSource::Forget {
            items.extend(self.company(n, rng));
        }
        let (net, x) = (&*of.net, of.learnt(&items, rng));
        let tracked = self.weights.tracked();
        let train = Mode::train(self.plan.seed, self.step, at.part as usize);
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

    /// Retained pictures that stand beside `n` to be forgotten, which alone would be normalised by statistics
    /// that the network never has again; nothing is asked of these ([`Plan::company`]).
    fn company(&self, n: usize, rng: &mut rng::Rng) -> Vec<usize> {
        let retain = &self.plan.company;
        let n = if retain.is_empty() { 0 } else { n };
        (0..n).map(|_| retain[rng.random_range(0..retain.len())]).collect()
    }

    /// A step of a diffusion model, a part of the batch at a time.
    async fn denoise(
        &mut self,
        of: &dyn Diffuser,
        at: StepInfo,
        rng: &mut rng::Rng,
        job: &mut JobContext,
    ) -> Result<(Update, LossParts)> {
        let batch = self.plan.batch;
        let order = self.plan.how.order;
        let Settings { part, most: graph, together, clip, .. } = of.settings();
        let alone = clip.is_none() && !self.work.weighs_all();
        let free = self.optimizer.packs().filter(|_| alone);
        let apart = order == Order::Drawn(Losses::Pair) || !together;
        // Of the forget loss or of both together, and of the retain loss where it stands alone.
        let mut sums: [(Vec<Tensor<1>>, Vec<Tensor<1>>); 2] = Default::default();
        let whole = self.work.whole() && at.part != BatchSource::Retain;
        let most = if whole { batch } else { part };
        let forgets = order != Order::Drawn(Losses::Retain) && at.part != BatchSource::Retain;
        let keeps = self.plan.alpha > 0.0 && at.part != BatchSource::Forget;
        for start in (0..batch).step_by(most) {
            job.check().await?;
            let n = most.min(batch - start);
            let size = if whole { n } else { shards::size(&self.weights, n).min(graph) };
            let mut drawn = |items: &[usize], forgotten: bool| {
                let any = |_| items[rng.random_range(0..items.len())];
                let items: Vec<usize> = (0..n).map(any).collect();
                of.learnt(&items, forgotten, rng)
            };
            let forgotten = forgets.then(|| drawn(&self.plan.forget, true));
            let retained = keeps.then(|| drawn(&self.plan.retain, false));
            let mut add = |sum: usize, forgotten: Drawn, retained: Drawn| {
                let mut forgotten = forgotten.into_iter().flat_map(|b| b.split(size));
                let mut retained = retained.into_iter().flat_map(|b| b.split(size));
                let parts = (0..n.div_ceil(size)).map(|_| (forgotten.next(), retained.next()));
                let mode = Mode::train(self.plan.seed, self.step, 2 * start + sum);
                let parts = (parts.collect(), size);
                let loss = |pass: &Pass, part| self.loss(pass, part, at) / batch as f64;
                let (loss, more) = match free {
                    Some(free) => shards::of_free((&self.weights, free), mode, parts, loss),
                    None => shards::gradients(&self.weights, mode, parts, loss),
                };
                let (losses, gradients) = &mut sums[sum];
                *gradients = plus(std::mem::take(gradients), more);
                losses.push(loss);
            };
            match (apart, forgotten, retained) {
                (true, Some(forgotten), Some(retained)) => {
                    add(0, Some(forgotten), None);
                    add(1, None, Some(retained));
                }
                (_, forgotten, retained) => add(0, forgotten, retained),
            }
        }
        let [first, second] = sums.map(|(losses, gradients)| {
            let of = |i: usize| {
                let all = losses.iter().map(|loss| loss.clone().narrow(0, i, 1)).collect();
                Tensor::cat(all, 0).sum()
            };
            (!losses.is_empty()).then(|| (of(1), Update { loss: of(0), gradients }))
        });
        match (first, second) {
            (Some((_, forget)), Some((_, retain))) => {
                let both = [forget, retain];
                let parts = both.each_ref().map(|part| Some(part.loss.clone()));
                Ok((self.work.combine(both, rng).await?, parts))
            }
            (Some((forget, one)), None) | (None, Some((forget, one))) => {
                let retain = one.loss.clone() - forget.clone();
                Ok((one, [forgets.then_some(forget), keeps.then_some(retain)]))
            }
            (None, None) => unreachable!("a batch is not empty"),
        }
    }

    /// The forget and the retain loss, summed over the items of a part; beside them what the former is, which has no
    /// gradient. [2].
    fn loss(&self, pass: &Pass, (forgotten, retained): (Drawn, Drawn), at: StepInfo) -> Tensor<1> {
        let forget = forgotten.map(|batch| {
            let n = batch.n() as f64;
            let (now, original) = (&self.weights, &self.original);
            self.work.forget_noise(ForgetNoise { batch: &*batch, pass, now, original, at }) * n
        });
        let retain = retained.map(|b| {
            let n = b.n() as f64;
            mse(b.predict(pass, Under::Own), b.target()) * (self.plan.alpha * n)
        });
        let beside = forget.clone().map(Tensor::detach);
        let both = forget.into_iter().chain(retain).reduce(|f, r| f + r);
        let both = both.unwrap_or_else(|| unreachable!("every plan has a loss"));
        let beside = beside.unwrap_or_else(|| both.clone().detach().zeros_like());
        Tensor::cat(vec![both, beside], 0)
    }
}

/// A batch, where an update has it.
type Drawn<'a> = Option<Box<dyn Noisy + 'a>>;
