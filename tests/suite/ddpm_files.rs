//! Checkpoints of the official DDPM code: they predict what PyTorch's network predicts, open from the list that the
//! code saves, and go back out as that code loads them (tests/peers/ddpm.py).

use std::{path::Path, sync::Arc};

use burn::tensor::{Device, Tensor, TensorData};

use crate::{
    binary::{Ran, Scratch, bytes, open},
    checkpoints::{archive, entries},
    common::{Fixture, card, close, packed, wait},
};
use salun_studio::models::torch::{Format, export};
use salun_studio::models::weights::read;
use salun_studio::models::{
    Architecture, HostWeights, Mode, Model, Pass, UnetConfig, WeightEntry, checkpoint,
};

/// A whole of CIFAR-10, as DDPM/configs/cifar10_train.yml has it but for its width.
fn official(ch: usize) -> UnetConfig {
    UnetConfig {
        ch,
        mult: vec![1, 2, 2, 2],
        res_blocks: 2,
        attention: vec![16],
        groups: 32,
        dropout: 0.1,
        channels: 3,
        resolution: 32,
        classes: 10,
    }
}

/// `n` numbers in [-1, 1): a hash of the name (FNV-1a) and of their places.
fn drawn(name: &str, n: usize) -> Vec<f32> {
    let hash = |seed: u32, byte: u8| (seed ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    let seed = name.bytes().fold(0x811C_9DC5, hash);
    let one = |place: usize| {
        let mut x = (place as u32).wrapping_mul(0x9E37_79B1).wrapping_add(seed);
        x = (x ^ (x >> 15)).wrapping_mul(0x2C1B_3C6D);
        x = (x ^ (x >> 12)).wrapping_mul(0x297A_2D39);
        x ^= x >> 15;
        (x >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..n).map(one).collect()
}

/// A weight by the same formula as in `tests/peers/ddpm.py`.
fn filled(WeightEntry { name, shape, .. }: &WeightEntry) -> Vec<f32> {
    let values = drawn(name, shape.iter().product());
    let (less, more) = match shape.len() {
        1 if name.contains("norm") && name.ends_with("weight") => (0.2, 1.0),
        1 if name.ends_with("bias") => (0.1, 0.0),
        1 => (1.0, 0.0),
        _ => ((3.0 / shape[1..].iter().product::<usize>() as f64).sqrt() as f32, 0.0),
    };
    values.into_iter().map(|v| more + less * v).collect()
}

fn model(ch: usize) -> Model {
    let architecture = Architecture::Unet(official(ch));
    let (network, layout) = architecture.build();
    let values = layout.params.iter().flat_map(filled).collect();
    let classes = (0..10).map(|class| format!("class {class}")).collect();
    let weights = HostWeights { layout, values, buffers: Vec::new() };
    Model { card: card(architecture, "cifar10", classes), network: Arc::new(network), weights }
}

fn read_back(file: &[u8]) -> Model {
    checkpoint::decode(file, Path::new("ckpt.pth")).unwrap()
}

/// Every prediction of the fixture by a model.
fn predicts(model: &Model, fixture: &Fixture, ch: usize) {
    let device = Device::flex();
    let weights = model.weights.upload(&device);
    let x = TensorData::new(drawn("x", 2 * 3 * 32 * 32), [2, 3, 32, 32]);
    let x = Tensor::<4>::from_data(x, &device);
    let whole = |name| fixture.config::<Vec<usize>>(name);
    let times: Vec<f32> = whole("times").into_iter().map(|t| t as f32).collect();
    let classes = whole("classes").into_iter().zip(whole("null"));
    let classes: Vec<Option<usize>> = classes.map(|(c, null)| (null == 0).then_some(c)).collect();
    let pass = Pass::new(&weights, Mode::Eval);
    let made = wait(read(model.unet().unwrap().forward(&pass, x, &times, &classes)));
    let kept: Vec<f32> = made.into_iter().step_by(fixture.config("every")).collect();
    close(&format!("ch {ch}"), &kept, fixture.values(&format!("{ch}/out")), 1e-4);
}

#[test]
fn the_official_network_predicts_what_pytorchs_does_and_goes_out_and_comes_back() {
    let fixture = Fixture::open("ddpm.safetensors");
    for ch in [64, 128] {
        let made = model(ch);
        assert_eq!(made.weights.values.len(), fixture.indices(&format!("{ch}/n"))[0]);
        predicts(&made, &fixture, ch);
        for format in [Format::Ddpm, Format::Pth, Format::Safetensors] {
            let again = read_back(&export::encode(&made, format, false).unwrap());
            assert_eq!(again.card.architecture, made.card.architecture, "{format:?}");
            assert_eq!(again.weights.hash(), made.weights.hash(), "{format:?}");
            let assumed = again.card.assumed;
            assert!(assumed.classes && assumed.side && assumed.groups && !assumed.normalisation);
            assert_eq!((&*again.card.data, &*again.card.classes[3]), ("cifar10", "cat"));
            let listed = again.card.notes.iter().any(|note| note.contains("a list of 4"));
            assert_eq!(listed, format == Format::Ddpm, "{:?}", again.card.notes);
        }
    }
}

#[test]
fn of_the_list_that_the_official_code_saves_the_average_is_taken_and_said() {
    let file = packed("ddpm_list.pth");
    let averaged = read_back(&file);
    let config = UnetConfig {
        ch: 4,
        mult: vec![1, 1],
        res_blocks: 1,
        attention: vec![16],
        channels: 1,
        classes: 3,
        ..official(4)
    };
    assert_eq!(averaged.card.architecture, Architecture::Unet(config));
    let [note] = &averaged.card.notes[..] else { panic!("{:?}", averaged.card.notes) };
    assert!(note.contains("a list of 4") && note.contains("average of the weights"), "{note}");
    // The average is the weights and 1 more.
    let values = |v: &[f32]| v.iter().all(|v| (0.625..=1.375).contains(v));
    assert!(values(&averaged.weights.values), "the model's own were taken");
    // Without an average, as `saliency_unlearn` saves it, the model's own are.
    let mut parts = entries(&export::encode(&averaged, Format::Ddpm, false).unwrap());
    let (_, pickle) = parts.iter_mut().find(|(name, _)| name.ends_with("data.pkl")).unwrap();
    let step = pickle.windows(3).position(|w| w == b"}K\x00").unwrap();
    pickle.truncate(step + 3);
    pickle.extend(b"e.");
    let own = read_back(&archive(&parts));
    assert_eq!(own.weights.hash(), averaged.weights.hash());
    assert!(own.card.notes[0].contains("it has no average of the weights"), "{:?}", own.card.notes);
    // What is damaged is refused, whatever is cut.
    for part in [1, 2, 3] {
        let cut = &file[..file.len() * part / 4];
        assert!(checkpoint::decode(cut, Path::new("ckpt.pth")).is_err());
    }
}

fn done(ran: Ran) -> Ran {
    assert_eq!(ran.status, Some(0), "{ran:?}");
    ran
}

#[test]
fn a_file_of_it_samples_forgets_and_goes_back_out() {
    let scratch = Scratch::new("ddpm");
    let own = scratch.diffusion();
    scratch.put("own.safetensors", bytes(&own));
    let ran = done(scratch.run("export --model own.safetensors --as ddpm --out own.pth"));
    assert!(ran.stderr.contains("add --side 28 --groups 4"), "{ran:?}");
    let sample = "sample --class 1 --steps 2 --n 1 --seed 5";
    let whole = done(scratch.run(&format!("{sample} --model own.safetensors --out whole.png")));
    let again = format!("{sample} --model own.pth --side 28 --groups 4 --out again.png");
    let again = done(scratch.run(&again));
    assert!(!whole.stderr.contains("a list of 4"), "{whole:?}");
    assert!(again.stderr.contains(": it is a list of 4"), "{again:?}");
    let picture = |name: &str| image::open(scratch.path(name)).unwrap().to_luma8();
    assert_eq!(picture("whole.png"), picture("again.png"));

    let run = "unlearn --data fashion-mnist --forget class:Bag --budget tiny --steps 1 --batch 4";
    let ran = done(scratch.run(&format!("{run} --model own.pth --groups 4 --out run")));
    for words in [
        ": it is a list of 4, as the official DDPM code saves one; the average of the weights",
        "does not say how large its pictures are; 28 x 28 is taken",
        "does not say what its classes are; they are taken for those of fashion-mnist",
    ] {
        assert!(ran.stderr.contains(words), "no '{words}' in {ran:?}");
    }
    assert!(!ran.stderr.contains("by how many groups"), "{ran:?}");
    done(scratch.run("export --model run --as ddpm --out forgot.pth"));
    let [run, out] = ["run/model.safetensors", "forgot.pth"].map(|file| open(&scratch.path(file)));
    assert_eq!(run.weights.hash(), out.weights.hash());
    assert_ne!(run.weights.hash(), own.weights.hash());

    scratch.put("classifier.safetensors", bytes(&scratch.classifier()));
    for (line, words) in [
        ("export --model classifier.safetensors --as ddpm --out x.pth", "has this form"),
        ("export --model own.safetensors --as ddpm --out x.safetensors", "write to FILE.pth"),
        ("export --model own.safetensors --as list --out x.pth", "plain, ddpm"),
        ("sample --model own.pth --side 27 --out x.png", "a multiple of 2 is needed"),
        ("sample --model own.pth --side 1000 --out x.png", "from 4 to 256"),
        ("sample --model own.safetensors --groups 4 --out x.png", "the file says it by itself"),
        ("export --model classifier.safetensors --side 28 --out x.pth", "diffusion model has it"),
    ] {
        let ran = scratch.run(line);
        assert!(ran.status == Some(2) && ran.stderr.contains(words), "{line}: {ran:?}");
        assert!(!scratch.names().iter().any(|name| name.starts_with("x.")), "{line}");
    }
}
