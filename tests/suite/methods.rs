//! Every method runs, and under a mask no frozen bit changes; the formulas are those of fixtures.

use std::sync::Arc;

use burn::tensor::{Device, Tensor};

use crate::common::{Fixture, classifier, close, pictures, unet, wait};
use salun_studio::data::{Dataset, ForgetSet, rng};
use salun_studio::error::Result;
use salun_studio::job_context::JobContext;
use salun_studio::models::weights::{read, vector};
use salun_studio::models::{HostWeights, Mode, Model, Pass, Precision, checkpoint, read_all};
use salun_studio::saliency::{Mask, Scores};
use salun_studio::subject::{Sent, Subject};
use salun_studio::train::losses::Augment;
use salun_studio::train::trainer::finite;
use salun_studio::train::{cross_entropy, losses};
use salun_studio::unlearn::registry::METHODS;
use salun_studio::unlearn::scrub::Scrub;
use salun_studio::unlearn::{
    KnobKind, Knobs, Method, Plan, Scope, Unlearner, Update, bad_teacher, delete, divergence, iu,
    munba, registry, sfr_on, ssd, statistics,
};
use salun_studio::words::{Budget, Recipe, Task};

/// What a run leaves.
struct Done {
    weights: HostWeights,
    losses: Vec<f32>,
}

/// The models that forget classes; prompts are tested in `src/unlearn/tests.rs`.
fn models() -> [Model; 2] {
    [classifier(4), unet()]
}

/// The setting of the runs: 200 pictures, of which those of class 7 are to be forgotten.
struct Setting {
    data: Arc<Dataset>,
    set: ForgetSet,
    model: Model,
    mask: Mask,
}

impl Setting {
    fn new(model: Model) -> Self {
        let data = pictures(200, 10);
        let (forget, retain) = (0..data.train.len()).partition(|&i| data.train.labels[i] == 7);
        let set = ForgetSet {
            spec: "class:Sneaker".into(),
            class: Some(7),
            forget,
            retain,
            earlier: vec![],
        };
        let layout = model.weights.layout.clone();
        let mask = Scores::random(layout, &set.spec, 1).mask(0.5).unwrap();
        Self { data, set, model, mask }
    }

    fn task(&self) -> Task {
        self.model.card.architecture.task()
    }

    fn plan(&self, recipe: &Recipe) -> Result<Plan> {
        let (of, redirect) = (&self.model.card.architecture, &recipe.redirect);
        Plan::new(recipe, Scope::of_classes(of, &self.data, &self.set, redirect)?)
    }

    fn run(&self, method: &Method, knobs: &[(&str, f64)], masked: bool) -> Done {
        let recipe = Recipe {
            method: method.name.into(),
            budget: Budget::Tiny,
            steps: Some(6),
            batch: Some(8),
            knobs: knobs.iter().map(|(name, value)| (name.to_string(), *value)).collect(),
            ..Recipe::new("m", "d", &self.set.spec)
        };
        let recipe = recipe.fitting(self.task());
        let plan = self.plan(&recipe).unwrap();
        let free = masked.then_some(&self.mask.bits);
        let mut job = JobContext::silent();
        let (data, device) = (self.data.clone(), Device::flex());
        let subject = Subject::of_classes(&self.model, data, plan.redirect.clone(), &device);
        let original = self.model.weights.upload(&device);
        let begin = Unlearner::begin(subject, original, plan, free, &mut job);
        let mut unlearner = wait(begin);
        let mut losses = Vec::new();
        while !unlearner.finished() {
            let loss = wait(unlearner.step(&mut job));
            losses.push(wait(finite(loss.whole)));
        }
        Done { weights: wait(unlearner.weights().download()), losses }
    }
}

fn of(task: Task) -> impl Iterator<Item = &'static Method> {
    METHODS.iter().filter(move |m| m.tasks().contains(&task))
}

fn moved(a: &HostWeights, b: &HostWeights) -> usize {
    a.pairs(b).filter(|(a, b)| a.to_bits() != b.to_bits()).count()
}

#[test]
fn frozen_bits_never_change_whatever_the_method_and_its_switches() {
    for model in models() {
        let setting = Setting::new(model);
        let task = setting.task();
        let original = &setting.model.weights;
        for method in of(task) {
            let done = setting.run(method, &[], true);
            let changed = setting.mask.frozen_changed(original, &done.weights);
            assert_eq!(changed, 0, "{} moved frozen weights", method.name);
            assert_eq!(
                moved(original, &done.weights) > 0,
                method.name != "noop",
                "{}",
                method.name
            );
            assert!(done.weights.values.iter().all(|v| v.is_finite()), "{}", method.name);
            for knob in method.knobs().filter(|k| k.fits(task) && k.name != "drift") {
                let others = match knob.kind {
                    KnobKind::Switch => vec![1.0],
                    KnobKind::Choice(names) => (1..names.len()).map(|i| i as f64).collect(),
                    _ => continue,
                };
                for value in others {
                    let done = setting.run(method, &[(knob.name, value)], true);
                    let changed = setting.mask.frozen_changed(original, &done.weights);
                    assert_eq!(changed, 0, "{} with {}", method.name, knob.name);
                }
            }
        }
    }
}

#[test]
fn every_switch_changes_the_run() {
    let setting = Setting::new(classifier(4));
    for method in of(Task::Classify) {
        for knob in method.knobs().filter(|k| k.kind == KnobKind::Switch && k.fits(Task::Classify))
        {
            // Where half of the weights are frozen, the soft threshold is 0 with any reference.
            let masked = knob.name == "drift";
            let [off, on] = [0.0, 1.0].map(|v| setting.run(method, &[(knob.name, v)], masked));
            assert_ne!(off.weights.hash(), on.weights.hash(), "{} of {}", knob.name, method.name);
        }
    }
}

#[test]
fn drift_moves_frozen_weights_and_its_report_says_so() {
    let setting = Setting::new(classifier(4));
    let done = setting.run(registry::find("salun").unwrap(), &[("drift", 1.0)], true);
    assert!(setting.mask.frozen_changed(&setting.model.weights, &done.weights) > 1000);
}

#[test]
fn frozen_statistics_of_batch_normalisation_stay() {
    let setting = Setting::new(classifier(4));
    let salun = registry::find("salun").unwrap();
    let (free, frozen) =
        (setting.run(salun, &[], true), setting.run(salun, &[("freeze-bn", 1.0)], true));
    assert_ne!(free.weights.buffers, setting.model.weights.buffers);
    assert_eq!(frozen.weights.buffers, setting.model.weights.buffers);
}

#[test]
fn runs_repeat_bit_for_bit() {
    for model in models() {
        let setting = Setting::new(model);
        for method in of(setting.task()) {
            let [a, b] = [0, 1].map(|_| setting.run(method, &[], false));
            assert_eq!(a.losses, b.losses, "{}", method.name);
            assert_eq!(a.weights.hash(), b.weights.hash(), "{}", method.name);
        }
    }
}

#[test]
fn boundary_expanding_drops_its_row_unless_it_is_to_stay() {
    let setting = Setting::new(classifier(4));
    let be = registry::find("be").unwrap();
    let original = &setting.model.weights;
    let dropped = setting.run(be, &[], false).weights;
    assert_eq!(dropped.layout.params, original.layout.params);
    let kept = setting.run(be, &[("keep-row", 1.0)], true).weights;
    let n = kept.layout.n();
    assert_eq!(n, original.layout.n() + 32 + 1);
    // It can be stored and read again.
    let mut card = setting.model.card.clone();
    card.classes.push("forgotten".into());
    card.architecture = card.architecture.with_classes(11);
    let model = Model { card, weights: kept, ..Model::clone(&setting.model) };
    let bytes = checkpoint::encode(&model, Precision::Full).unwrap();
    let again = checkpoint::decode(&bytes, "be".as_ref()).unwrap();
    assert_eq!(again.weights.values, model.weights.values);
}

#[test]
fn a_knob_of_another_task_or_method_is_refused_in_one_line() {
    let setting = Setting::new(classifier(4));
    let plan = |method: &str, knobs: &[(&str, f64)]| {
        let recipe = Recipe {
            method: method.into(),
            knobs: knobs.iter().map(|(name, value)| (name.to_string(), *value)).collect(),
            ..Recipe::new("m", "d", "class:7")
        };
        setting.plan(&recipe).map(drop)
    };
    assert!(plan("scrub", &[("gamma", 0.5)]).is_ok());
    for (method, knob, value, named) in [
        ("salun", "alpha", 1.0, "freeze-bn"),
        ("scrub", "gama", 1.0, "gamma"),
        ("scrub", "gamma", -1.0, "from 0 to 10"),
        ("noop", "gamma", 1.0, "no knobs"),
        ("sfr-on", "every", 2.5, "whole number"),
        ("esd", "eta", 1.0, "generate"),
    ] {
        let error = plan(method, &[(knob, value)]).unwrap_err().to_string();
        assert!(error.contains(named) && !error.contains('\n'), "{method} {knob}: {error}");
    }
}

/// A student's loss and gradient agree with the fixture.
fn agrees(fixture: &Fixture, name: &str, loss: impl Fn([Tensor<2>; 3], &[usize]) -> Tensor<1>) {
    let device = Device::flex();
    let [teacher, bad, student] =
        ["teacher", "bad", "student"].map(|n| fixture.tensor::<2>(n, &device));
    let student = student.autodiff().require_grad();
    let loss = loss([teacher, bad, student.clone()], &fixture.indices("labels"));
    let slope = student.grad_remove(&mut loss.backward()).unwrap();
    let loss = wait(read(loss.without_autodiff()));
    close(name, &loss, fixture.values(&format!("{name}/loss")), 1e-5);
    let slope = wait(read(slope.without_autodiff()));
    close(name, &slope, fixture.values(&format!("{name}/grad")), 1e-5);
}

#[test]
fn losses_of_distillation_agree_with_pytorch() {
    let f = Fixture::open("methods.safetensors");
    let scrub = Scrub { gamma: 0.9, alpha: 0.3, temperature: 4.0 };
    agrees(&f, "scrub/away", |[teacher, _, student], _| scrub.away(teacher, student));
    agrees(&f, "scrub/back", |[teacher, _, student], y| scrub.back(teacher, student, y));
    let forgotten: Vec<bool> = f.indices("forgotten").iter().map(|f| *f == 1).collect();
    agrees(&f, "bad_teacher", |[teacher, bad, student], _| {
        divergence(bad_teacher::taught(teacher, bad, &forgotten), student, 1.0)
    });
    agrees(&f, "delete", |[teacher, _, student], y| delete::struck(teacher, student, y));
    agrees(&f, "sfr_on", |[_, _, student], y| {
        sfr_on::ascent(student, y) * sfr_on::falling(25.0, 3, 10)
    });
}

fn update(f: &Fixture, name: &str) -> Update {
    let device = Device::flex();
    let gradient = f.tensor::<1>(name, &device);
    // In two parameters: lengths are over all of them.
    let n = gradient.dims()[0];
    let gradients = gradient.split_with_sizes(vec![n / 3, n - n / 3], 0);
    Update { loss: Tensor::zeros([1], &device), gradients }
}

fn combined(method: &str, knobs: &[(&str, f64)], forget: Update, retain: Update) -> Update {
    let method = registry::find(method).unwrap();
    let set = knobs.iter().map(|(name, value)| (name.to_string(), *value)).collect();
    let work = (method.work)(&Knobs::resolve(method, Task::Classify, &set).unwrap());
    let mut rng = rng::seeded(1, "test");
    wait(work.combine([forget, retain], &mut rng))
}

fn flat(update: &Update) -> Vec<f32> {
    wait(read(Tensor::cat(update.gradients.clone(), 0)))
}

#[test]
fn combinations_of_two_gradients_agree_with_pytorch_and_numpy() {
    let f = Fixture::open("methods.safetensors");
    let device = Device::flex();
    let [mut forget, mut retain] =
        ["neggrad/forget_grad", "neggrad/retain_grad"].map(|n| update(&f, n));
    forget.loss = f.tensor("neggrad/forget_loss", &device);
    retain.loss = f.tensor("neggrad/retain_loss", &device);
    let both = combined("neggrad-plus", &[("beta", 0.8)], forget, retain);
    close("neggrad", &flat(&both), f.values("neggrad/grad"), 1e-5);
    close("neggrad", &wait(read(both.loss)), f.values("neggrad/loss"), 1e-5);
    for case in ["munba", "munba_aligned"] {
        let [forget, retain] = ["forget", "retain"].map(|n| update(&f, &format!("{case}/{n}")));
        let step = combined("munba", &[], forget, retain);
        close(case, &flat(&step), f.values(&format!("{case}/step")), 1e-5);
    }
}

#[test]
fn opposite_gradients_still_give_a_step() {
    let f = Fixture::open("methods.safetensors");
    let forget = update(&f, "munba/forget");
    let step = combined("munba", &[], forget.clone(), forget.times(-2.0));
    let step = flat(&step);
    assert!(step.iter().all(|v| v.is_finite()) && step.iter().any(|v| v.abs() > 1e-3), "{step:?}");
    assert_eq!(munba::shares([1.0, 2.0], 0.0, 0.0), [1.0, 0.5]);
}

#[test]
fn dampening_agrees_with_numpy() {
    let f = Fixture::open("methods.safetensors");
    let device = Device::flex();
    let [theta, forget, all] =
        ["ssd/theta", "ssd/forget", "ssd/all"].map(|n| f.tensor::<1>(n, &device));
    let got = wait(read(ssd::dampened(theta, forget, all, 10.0, 0.7)));
    close("ssd", &got, f.values("ssd/result"), 1e-6);
    let kept = f.values("ssd/theta").iter().zip(&got).filter(|(a, b)| a == b).count();
    assert!((5..35).contains(&kept), "{kept} of 40 are as they were");
}

/// The Fisher information is the mean over pictures of sum_y p(y) g_y g_yᵀ, g_y the gradient of
/// log p(y): forty gradients, against two forward passes and one backward pass.
#[test]
fn the_fisher_information_times_a_vector_is_that_of_its_definition() {
    let setting = Setting::new(classifier(4));
    let device = Device::flex();
    let original = setting.model.weights.upload(&device);
    let net = setting.model.classifier().unwrap();
    let items: Vec<usize> = (0..4).collect();
    let mut rng = rng::seeded(5, "direction");
    let d: Vec<Tensor<1>> = original
        .params
        .iter()
        .map(|p| vector(&rng::normals(&mut rng, p.dims()[0]), &device) * 1e-2)
        .collect();
    let mut expected: Vec<Tensor<1>> = d.iter().map(Tensor::zeros_like).collect();
    for &item in &items {
        for y in 0..10 {
            let tracked = original.tracked();
            let x =
                losses::pictures(&setting.data.train, &[item], Augment::None, &mut rng, &device);
            let loss = cross_entropy(net.forward(&Pass::new(&tracked, Mode::Eval), x), &[y]);
            let gradients = tracked.gradients(&mut loss.backward());
            let p = (-wait(read(loss.without_autodiff()))[0]).exp();
            let along = wait(statistics::product(&gradients, &d));
            expected = statistics::plus_scaled(&expected, f64::from(p) * along / 4.0, &gradients);
        }
    }
    let (data, sent) = (setting.data.clone(), Sent::To(None));
    let subject = Subject::of_classes(&setting.model, data, sent, &device);
    let Subject::Classifier(of) = &subject else { unreachable!() };
    let got = wait(iu::fisher_times(&original, of, &d, &items, &mut JobContext::silent()));
    let [got, expected] = [got, expected].map(|v| wait(read_all(&v)));
    close("F d", &got, &expected, 5e-3);
}
