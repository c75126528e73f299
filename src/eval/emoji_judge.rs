//! Training of the classifier that judges pictures of emoji: `salun train emoji-judge`.

use burn::tensor::Device;
use rand::RngExt;

use crate::data::corpus::{Corpus, Pair, Placement};
use crate::data::{Rng, rng};
use crate::error::{Error, Result, ensure};
use crate::eval::EmojiJudge;
use crate::eval::emoji::{shares, shrink};
use crate::gpu::tensor4;
use crate::job_context::JobContext;
use crate::models::{Architecture, Card, Mode, Model, Network, Pass, ResnetConfig, Training};
use crate::train::trainer::finite;
use crate::train::{LrSchedule, Optimizer, Rule, cross_entropy};

/// What `salun train` calls it.
pub const NAME: &str = "emoji-judge";
/// A judge in a model's own folder.
pub const FILE: &str = "judge.safetensors";
const BATCH: usize = 64;
const LR: f64 = 0.05;
const WIDTH: usize = 8;
/// Updates unless a person says otherwise.
pub const STEPS: usize = 1200;

/// Pictures of random pairs, and the pairs.
fn pictures(
    corpus: &Corpus,
    n: usize,
    noise: bool,
    rng: &mut Rng,
) -> Result<(Vec<f32>, Vec<Pair>)> {
    let all: Vec<Pair> = corpus.all().collect();
    let pairs: Vec<Pair> = (0..n).map(|_| all[rng.random_range(0..all.len())]).collect();
    let mut values = Vec::new();
    for &pair in &pairs {
        // More variety than a generator is trained on.
        let at = Placement::varied(corpus.index.side as f32 / 10.0, 0.78..1.12, 0.4, rng);
        let mut picture = corpus.picture(pair, at, corpus.index.side)?;
        if noise {
            // A generator's pictures are never as clean as drawings.
            let sd = rng.random_range(0.0..0.08f32);
            picture.iter_mut().for_each(|v| *v += sd * rng::normal(rng));
        }
        values.extend(picture);
    }
    Ok((values, pairs))
}

/// Trains the judge; its card says what it sees in renderings that it was not trained on.
///
/// # Errors
/// The corpus is not of emoji; cancelled, training diverged, or the device failed.
pub async fn train(
    corpus: &Corpus,
    steps: usize,
    seed: u64,
    device: &Device,
    job: &mut JobContext,
) -> Result<Model> {
    let right = "it tells emoji apart; train a classifier for other pictures";
    ensure(corpus.has_styles(), || Error::argument("data", &corpus.name, right))?;
    let classes = corpus.classes();
    let (concepts, side) = (corpus.index.concepts.len(), corpus.index.side);
    let architecture = Architecture::Resnet(ResnetConfig {
        width: WIDTH,
        channels: 3,
        classes: classes.len(),
        mean: vec![0.8; 3],
        std: vec![0.3; 3],
    });
    let (network, layout) = architecture.build();
    let mut weights = layout.init(seed).upload(device);
    let Network::Classifier(net) = &network else { unreachable!("a ResNet is a classifier") };
    let mut optimizer = Optimizer::new(Rule::SGD, None);
    let started = web_time::Instant::now();
    job.phase(format!("Training {NAME}"), steps);
    for step in 0..steps {
        let mut rng = rng::seeded(seed, &format!("judge step {step}"));
        let (values, pairs) = pictures(corpus, BATCH, true, &mut rng)?;
        let x = shrink(tensor4(values, [BATCH, 3, side, side], device));
        let tracked = weights.tracked();
        let pass = Pass::new(&tracked, Mode::TRAIN);
        let logits = net.forward(&pass, x);
        let of = |range: std::ops::Range<usize>, labels: Vec<usize>| {
            cross_entropy(logits.clone().slice([0..BATCH, range]), &labels)
        };
        let loss = of(0..concepts, pairs.iter().map(|p| p.concept).collect())
            + of(concepts..classes.len(), pairs.iter().map(|p| p.style).collect());
        for (buffer, value) in pass.into_moved() {
            weights.buffers[buffer] = value;
        }
        let gradients = tracked.gradients(&mut loss.backward());
        if step % 20 == 0 {
            finite(loss.without_autodiff()).await?;
        }
        optimizer.step(&mut weights, gradients, LrSchedule::WarmCosine.at(LR, step, steps))?;
        job.advance(1).await?;
    }
    let weights = weights.download().await?;
    let mut model = Model {
        card: Card {
            split_seed: seed,
            training: Some(Training {
                steps,
                batch: BATCH,
                optimizer: "SGD, momentum 0.9, weight decay 5e-4".into(),
                lr: LR,
                schedule: "linear warm-up over the first tenth, then cosine to 0".into(),
                ema: 0.0,
                augmentation: "shifts, scales, coloured backgrounds, noise; half size".into(),
                from: None,
                seed,
                seconds: started.elapsed().as_secs_f64(),
            }),
            version: env!("CARGO_PKG_VERSION").into(),
            ..Card::new(NAME, architecture, "emoji", classes)
        },
        network: network.into(),
        weights,
    };
    const TEST: usize = 2000;
    let (values, pairs) = pictures(corpus, TEST, false, &mut rng::seeded(seed, "judge test"))?;
    let seen = EmojiJudge::new(&model, corpus, device)?.look(&values, side).await?;
    let [concept, style] = shares(&pairs, &seen);
    let metrics = [("concept", concept), ("style", style), ("n", TEST as f64)];
    model.card.metrics = metrics.map(|(name, value)| (name.to_string(), value)).into();
    Ok(model)
}
