//! The steps of the sampler: they end at the picture that sampling draws, every network says of x_t what it is, words
//! attend as in diffusers.

use std::sync::Arc;

use burn::tensor::{Device, Tensor};

use crate::common::{Client, Fixture, close, unet, wait};
use crate::latent::pipeline;
use salun_studio::diffusion::{Prediction, SchedulerConfig, Solver, SolverKind};
use salun_studio::engine::{Command, Event, Job, Opened, Trace, TraceRequest, Traced};
use salun_studio::error::Error;
use salun_studio::gpu::DeviceChoice;
use salun_studio::job_context::JobContext;
use salun_studio::models::latent::LatentUnet;
use salun_studio::models::weights::read;
use salun_studio::models::{AnyModel, HostWeights, Mode, Model, Pass, WeightLayout, registry};
use salun_studio::sampling::sampler::{classes, sample, values};
use salun_studio::sampling::{LatentWeights, Recorded, Wanted, record};
use salun_studio::wire;
use salun_studio::words::{Budget, Recipe, SampleOptions};

fn options(steps: usize, eta: f64) -> SampleOptions {
    SampleOptions { steps, eta, guidance: 2.0, seed: 3, clip: true }
}

/// Whether every frame's pictures are numbers from 0 to 1 and the first one is more noise than the last.
fn sound(frames: &[Recorded], calls: usize) {
    assert_eq!(frames.len(), calls + 1);
    let unit = |v: &f32| (0.0..=1.0).contains(v);
    assert!(frames.iter().all(|f| f.noisy.iter().chain(&f.predicted).all(unit)));
    assert!(frames.is_sorted_by(|a, b| a.noise >= b.noise));
    assert!(frames[0].noise > 0.9 && frames[calls].noise == 0.0);
    assert!(frames[..calls].iter().all(|f| f.time.is_some()) && frames[calls].time.is_none());
}

#[test]
fn the_steps_of_classes_end_at_the_pictures_that_sampling_draws() {
    let (model, mut job) = (unet(), JobContext::silent());
    let net = model.unet().unwrap();
    let weights = model.weights.upload(&Device::flex());
    let wanted: Vec<_> = Wanted::each(&Some(7), 0..3).collect();
    for eta in [0.0, 1.0] {
        let options = options(6, eta);
        let drawn = wait(sample(net, &weights, &wanted, &options, &mut job));
        let pictures = classes(net, &weights, &wanted, &options);
        let frames = wait(record(pictures, values, &mut job));
        sound(&frames, 6);
        assert_eq!(frames[6].predicted, drawn);
        // The last step of DDIM ends where the network points, without more noise.
        assert_eq!(frames[5].predicted, drawn);
        assert_ne!(frames[0].noisy, frames[1].noisy);
        assert!(frames.iter().all(|f| f.attention.is_empty()));
    }
}

#[test]
fn the_steps_of_prompts_end_at_the_pictures_that_sampling_draws() {
    let (model, mut job) = (pipeline(), JobContext::silent());
    let weights = LatentWeights::upload(&model, &Device::flex());
    let wanted: Vec<_> = Wanted::each(&"a cat".to_string(), 0..2).collect();
    for (_, kind) in SolverKind::ALL {
        let options = options(5, 0.0);
        let drawn = wait(weights.sample(&wanted, &options, Some(kind), &mut job));
        let pictures = weights.prompts(&wanted, &options, Some(kind));
        let calls = pictures.calls();
        let show = async |latents| weights.decoded(latents).await;
        let frames = wait(record(pictures, show, &mut job));
        sound(&frames, calls);
        assert_eq!(frames[calls].predicted, drawn, "{kind:?}");
    }
}

#[test]
fn shares_of_a_place_and_all_tokens_sum_to_1() {
    let (model, mut job) = (pipeline(), JobContext::silent());
    let weights = LatentWeights::upload(&model, &Device::flex());
    let wanted: Vec<_> = Wanted::each(&"a cat, flat style".to_string(), 0..2).collect();
    let pictures = weights.prompts(&wanted, &options(3, 0.0), None);
    let calls = pictures.calls();
    let show = async |latents| weights.decoded(latents).await;
    let frames = wait(record(pictures, show, &mut job));
    let tokens = model.network.tokenizer.length;
    for frame in &frames[..calls] {
        let [h, w] = frame.raster;
        assert_eq!([h, w], [8, 8], "the latents' own raster");
        assert_eq!(frame.attention.len(), 2 * tokens * h * w);
        for picture in frame.attention.chunks_exact(tokens * h * w) {
            for place in 0..h * w {
                let sum: f32 = picture.iter().skip(place).step_by(h * w).sum();
                assert!((sum - 1.0).abs() < 1e-5, "{sum}");
            }
        }
    }
    // Other noise, another place of what is looked at.
    let [first, second] = [0, 1].map(|n| &frames[0].attention[n * tokens * 64..][..tokens * 64]);
    assert_ne!(first, second);
    assert!(frames[calls].attention.is_empty());
}

#[test]
fn words_attend_to_what_they_do_in_diffusers() {
    let device = Device::flex();
    let maps = Fixture::open("latent/attention.safetensors");
    for name in ["a", "b", "c", "d"] {
        let f = Fixture::open(&format!("latent/{name}.safetensors"));
        let mut layout = WeightLayout::default();
        let unet = LatentUnet::new(f.config("unet"), layout.root());
        let layout = Arc::new(layout);
        let values = layout.params.iter().flat_map(|e| f.values(&format!("unet/{}", e.name)));
        let values = values.copied().collect();
        let weights = HostWeights { layout, values, buffers: Vec::new() }.upload(&device);
        let times: Vec<f32> = f.ints["t"].iter().map(|t| *t as f32).collect();
        let pass = Pass::new(&weights, Mode::Eval).watched();
        let eps =
            unet.forward(&pass, f.tensor("z", &device), &times, &f.tensor("context", &device));
        let unwatched = Pass::new(&weights, Mode::Eval);
        let same =
            unet.forward(&unwatched, f.tensor("z", &device), &times, &f.tensor("context", &device));
        assert_eq!(wait(read(eps)), wait(read(same)), "{name}: to watch changes nothing");
        assert!(unwatched.into_seen().is_empty());
        let (shape, expected) = &maps.floats[name];
        let got = wait(salun_studio::sampling::trace::mean(pass.into_seen(), [shape[2], shape[3]]));
        close(name, &got, expected, 2e-3);
        // All of it is nearly even: what differs from even must agree, too.
        let even = 1.0 / shape[1] as f32;
        let beyond = |v: &[f32]| v.iter().map(|v| v - even).collect::<Vec<_>>();
        close(name, &beyond(&got), &beyond(expected), 1e-2);
    }
}

#[test]
fn words_are_found_among_their_tokens() {
    let tokenizer = pipeline().network.tokenizer.clone();
    let words = tokenizer.words("A cat, flat STYLE");
    let names: Vec<&str> = words.iter().map(|(word, _)| word.as_str()).collect();
    assert_eq!(names, ["a", "cat", "flat", "style"]);
    let ids = tokenizer.encode("A cat, flat STYLE").ids;
    for (word, place) in &words {
        let alone = tokenizer.encode(word).ids;
        assert_eq!(ids[place.clone()], alone[1..=place.len()], "{word}");
    }
    // What was dropped has no place.
    let long = tokenizer.words(&"cat ".repeat(50));
    assert!(long.iter().all(|(_, place)| place.end < tokenizer.length) && !long.is_empty());
    assert_eq!(tokenizer.words("<|endoftext|>, !").len(), 0);
}

#[test]
fn every_solver_predicts_the_picture_that_noise_was_added_to() {
    let device = Device::flex();
    let picture = Tensor::<4>::from_floats([[[[0.5, -0.25], [0.75, 0.0]]]], &device);
    let noise = Tensor::<4>::from_floats([[[[-1.0, 0.5], [2.0, 0.1]]]], &device);
    for (_, kind) in SolverKind::ALL {
        for prediction in [Prediction::Epsilon, Prediction::VPrediction] {
            let mut config = SchedulerConfig::stable_diffusion(kind);
            config.prediction = prediction;
            let solver = Solver::new(&config, 10);
            for i in 0..solver.times.len() {
                let at = solver.signal(i);
                let (signal, sigma) = (at.sqrt(), (1.0 - at).sqrt());
                let shown = picture.clone() * signal + noise.clone() * sigma;
                let out = match prediction {
                    Prediction::Epsilon => noise.clone(),
                    Prediction::VPrediction => noise.clone() * signal - picture.clone() * sigma,
                };
                let got = wait(read(solver.predicted(i, out, shown)));
                close(&format!("{kind:?} {i}"), &got, &wait(read(picture.clone())), 1e-3);
            }
        }
    }
}

fn open(client: &mut Client, model: &str) -> Arc<Opened> {
    let job = Job::Open { model: model.into(), seed: 1, budget: Budget::Tiny };
    client.run(job).try_as_opened().expect("a model")
}

fn request(opened: &Opened, row: usize, columns: Vec<usize>, of: Vec<Traced>) -> TraceRequest {
    let Opened { name, seed, budget, .. } = opened;
    let (model, seed, budget) = (name.clone(), *seed, *budget);
    TraceRequest { model, seed, budget, recipe: None, row, columns, of }
}

fn trace(client: &mut Client, request: TraceRequest) -> Arc<Trace> {
    client.run(Job::Trace(request)).try_as_traced().expect("steps")
}

/// Whether a film ends at the tiles of a grid, which may be recorded: another processor's sums have other bits.
fn ends_at(trace: &Trace, opened: &Opened, row: usize, columns: &[usize]) {
    let last = trace.moments.len() - 1;
    for (tile, column) in columns.iter().enumerate() {
        let predicted = &trace.films[0].predicted;
        let pairs = predicted.pixels_of(tile, last).iter().zip(opened.grid.pixels_of(row, *column));
        let off: Vec<u32> = pairs.map(|(a, b)| u32::from(a.abs_diff(*b))).collect();
        let (most, all) = (off.iter().max().copied().unwrap_or(0), off.iter().sum::<u32>());
        assert!(most <= 4 && all as usize <= off.len() / 20, "{most} levels at most, {all} in all");
        let seen = [predicted.seen_in(tile, last), opened.grid.seen_in(row, *column)];
        let [(now, p), (then, q)] = seen.map(|seen| seen.expect("it is judged"));
        // A judge's sums depend on how many pictures it looks at together.
        assert!(now == then && (p - q).abs() < 1e-3, "{seen:?}");
    }
}

#[test]
fn the_engine_traces_tiles_of_the_diffusion_model_beside_its_twin_and_a_run() {
    let client = &mut Client::new(DeviceChoice::Cpu);
    let opened = open(client, "fashion-ddpm");
    let run = Arc::new(AnyModel::Plain(changed().into()));
    let ended = |strength| Traced::Ended { model: run.clone(), strength };
    let of = vec![Traced::Original, Traced::Twin, ended(1.0), ended(0.0)];
    let recipe = Recipe {
        budget: Budget::Tiny,
        ..Recipe::new("fashion-ddpm", "fashion-mnist", "class:Sneaker")
    };
    let traced =
        trace(client, TraceRequest { recipe: Some(recipe), ..request(&opened, 7, vec![0], of) });
    ends_at(&traced, &opened, 7, &[0]);
    assert_eq!(traced.films.len(), 4);
    let [original, twin, after, none] = [0, 1, 2, 3].map(|film: usize| &traced.films[film]);
    assert_eq!(none, original, "nothing of the change is the original");
    for film in [twin, after] {
        assert_eq!(film.noisy.pixels_of(0, 0), original.noisy.pixels_of(0, 0), "the same noise");
        let last = traced.moments.len() - 1;
        assert_ne!(film.predicted.pixels_of(0, last), original.predicted.pixels_of(0, last));
    }
    assert!(traced.words.iter().all(Vec::is_empty) && original.attention.is_empty());
    let none = request(&opened, 10, vec![0], vec![Traced::Original]);
    let error = client.answer(Job::Trace(none)).unwrap_err().to_string();
    assert!(error.contains("no such class"), "{error}");
    let other = Traced::Ended { model: Arc::new(AnyModel::Plain(unet().into())), strength: 1.0 };
    let other = client.answer(Job::Trace(request(&opened, 0, vec![0], vec![other])));
    assert!(other.is_err(), "weights of another network");
}

/// The shipped diffusion model with every weight a little larger.
fn changed() -> Model {
    let mut model = registry::open("fashion-ddpm").unwrap();
    model.weights.values.iter_mut().for_each(|v| *v *= 1.02);
    model
}

#[test]
fn the_engine_traces_tiles_of_prompts_with_what_their_words_attend_to() {
    let client = &mut Client::new(DeviceChoice::Cpu);
    let opened = open(client, "emoji-t2i");
    let columns = [1, 0];
    let traced = trace(client, request(&opened, 2, columns.to_vec(), vec![Traced::Original]));
    ends_at(&traced, &opened, 2, &columns);
    let sent: Trace = wire::unpack(&wire::pack(&*traced).unwrap()).unwrap();
    assert_eq!(sent, *traced, "as a page hears it");
    let film = &traced.films[0];
    assert_eq!((traced.words.len(), film.attention.len()), (2, 2));
    for (words, attention) in traced.words.iter().zip(&film.attention) {
        assert_eq!(attention.words, words.len());
        assert!(words.len() >= 2 && attention.steps() == traced.moments.len() - 1);
        let share = |word: usize| attention.mean(word).iter().sum::<f32>() / 256.0;
        let sum: f32 = (0..words.len()).map(share).sum();
        assert!((0.01..1.0).contains(&sum), "the special tokens have the rest: {sum}");
    }
    let none = client.answer(Job::Trace(request(&opened, 2, vec![99], vec![Traced::Original])));
    assert!(none.is_err_and(|error| error.to_string().contains("no such tiles")));
}

#[test]
fn a_trace_stops_when_it_is_cancelled() {
    let client = &mut Client::new(DeviceChoice::Cpu);
    let opened = open(client, "fashion-ddpm");
    let many = request(&opened, 0, (0..6).collect(), vec![Traced::Original; 40]);
    client.start(Job::Trace(many));
    client.engine.tell(Command::Cancel);
    loop {
        match client.engine.wait().expect("the engine lives") {
            Event::Failed { error: Error::Cancelled, .. } => break,
            Event::Progress { .. } | Event::Note { .. } => {}
            other => panic!("{other:?}"),
        }
    }
}
