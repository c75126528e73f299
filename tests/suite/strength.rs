//! A part of a run's change: its bits at both ends, its pictures, its files, applied again.

use std::{fs, path::Path, sync::Arc};

use safetensors::{Dtype, SafeTensors};

use crate::binary::{Ran, Scratch, bytes, open};
use crate::common::{Client, classifier, wait};
use crate::prompts::{put, tiny};
use salun_studio::data::corpus;
use salun_studio::engine::{Job, Outcome};
use salun_studio::gpu::DeviceChoice;
use salun_studio::job_context::JobContext;
use salun_studio::models::latent::{OnDisk, folder};
use salun_studio::models::{
    AnyModel, Bits, HostWeights, Model, Precision, checkpoint, delta, latent, registry,
};
use salun_studio::saliency::Mask;
use salun_studio::words::{Budget, LoraLayout, Recipe};

/// A classifier with other weights where a pattern says so, and the pattern: a 1 for a free weight.
fn changed(model: &Model) -> (Model, Vec<u8>) {
    let mut other = model.clone();
    let free: Vec<u8> = (0..model.weights.values.len()).map(|i| u8::from(i % 3 == 0)).collect();
    for (i, v) in other.weights.values.iter_mut().enumerate().filter(|(i, _)| i % 3 == 0) {
        // A free weight may stay as it is.
        *v += if i % 6 == 0 { 0.1 * (i as f32).sin() } else { 0.0 };
    }
    other.weights.buffers.iter_mut().for_each(|v| *v *= 0.1);
    other.card.name = "changed".into();
    (other, free)
}

fn same(a: &HostWeights, b: &HostWeights) -> bool {
    let bits = |w: &HostWeights| -> Vec<u32> {
        w.values.iter().chain(&w.buffers).map(|v| v.to_bits()).collect()
    };
    bits(a) == bits(b)
}

#[test]
fn the_ends_are_the_originals_bits_and_the_runs_and_frozen_weights_never_move() {
    let mut model = classifier(4);
    // A sum of the two would lose the small one, or the sign of a zero.
    model.weights.values[0] = 1e8;
    model.weights.values[1] = -0.0;
    let (mut run, free) = changed(&model);
    run.weights.values[0] = 1e-8;
    let (original, run) = (&model.weights, &run.weights);
    assert!(same(&delta::blend(original, run, 0.0).unwrap(), original));
    assert!(same(&delta::blend(original, run, 1.0).unwrap(), run));
    for strength in [0.05, 0.5, 0.95, 1.5] {
        let part = delta::blend(original, run, strength).unwrap();
        for i in (0..free.len()).filter(|&i| free[i] == 0) {
            assert_eq!(part.values[i].to_bits(), original.values[i].to_bits());
        }
        let (a, b) = (original.values[6], run.values[6]);
        assert!((part.values[6] - (a + strength as f32 * (b - a))).abs() < 1e-6);
        // A variance of 1 that became 0.1 would be below 0 at 1.5.
        assert!(part.buffers.iter().all(|v| *v >= 0.0));
    }
    let half = delta::blend(original, run, 0.5).unwrap();
    let last = original.buffers.len() - 1;
    assert_eq!(half.buffers[last], 0.5 * (original.buffers[last] + run.buffers[last]));
    for wrong in [-0.1, 1.6, f64::NAN, f64::INFINITY] {
        let error = delta::blend(original, run, wrong).unwrap_err().to_string();
        assert!(error.contains("from 0 to 1.5"), "{error}");
    }
    let wider = classifier(8).weights;
    let error = delta::blend(original, &wider, 0.5).unwrap_err().to_string();
    assert!(error.contains("conv1.weight [4") && error.contains("conv1.weight [8"), "{error}");
}

/// A change's file, and what it was made of.
fn written() -> (AnyModel, AnyModel, Vec<u8>) {
    let model = classifier(4);
    let (run, free) = changed(&model);
    let [model, run] = [model, run].map(|model| AnyModel::Plain(Arc::new(model)));
    let bytes = delta::encode(&model, &run, Some(&Bits::of(&free)), "protocol").unwrap();
    (model, run, bytes)
}

#[test]
fn a_change_lists_exactly_the_free_weights_and_gives_the_run_back() {
    let (model, run, bytes) = written();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let layout = &model.weights().layout;
    for entry in &layout.params {
        let free: Vec<i32> =
            (0..entry.n()).filter(|i| (entry.offset + i) % 3 == 0).map(|i| i as i32).collect();
        let indices = file.tensor(&format!("{}.indices", entry.name)).unwrap();
        let listed: Vec<i32> =
            indices.data().as_chunks().0.iter().map(|b| i32::from_le_bytes(*b)).collect();
        assert_eq!((indices.dtype(), listed), (Dtype::I32, free), "{}", entry.name);
    }
    let change = delta::decode(&bytes, Path::new("d"), &model).unwrap();
    assert!(same(change.run.weights(), run.weights()));
    assert_eq!(change.protocol, "protocol");
    assert_eq!(change.run.plain().unwrap().card, run.plain().unwrap().card);
    // Without a mask those that differ.
    let bytes = delta::encode(&model, &run, None, "protocol").unwrap();
    let all = delta::decode(&bytes, Path::new("d"), &model).unwrap();
    assert!(all.n < change.n && same(all.run.weights(), run.weights()));
    // A run that moved what its mask froze did not start from here.
    let none = vec![0; model.weights().values.len()];
    let error = delta::encode(&model, &run, Some(&Bits::of(&none)), "").unwrap_err().to_string();
    assert!(error.contains("did not start from these weights"), "{error}");
}

/// The file with one tensor's bytes, or its shape, as `with` has them.
fn with(bytes: &[u8], name: &str, with: impl Fn(&mut Vec<u8>, &mut Vec<usize>)) -> Vec<u8> {
    let (_, metadata) = SafeTensors::read_metadata(bytes).unwrap();
    let metadata = metadata.metadata().clone().unwrap();
    let file = SafeTensors::deserialize(bytes).unwrap();
    let mut tensors: Vec<_> = file
        .iter()
        .map(|(of, view)| {
            (of.to_string(), view.shape().to_vec(), (view.dtype(), view.data().to_vec()))
        })
        .collect();
    let at = tensors.iter().position(|(of, ..)| of == name).unwrap();
    let (_, shape, (_, data)) = &mut tensors[at];
    with(data, shape);
    if data.is_empty() && !shape.is_empty() && shape[0] > 0 {
        tensors.remove(at);
    }
    let (key, text) = metadata.into_iter().next().unwrap();
    checkpoint::write(&tensors, Some((&key, text))).unwrap()
}

#[test]
fn a_damaged_or_evil_change_is_refused_in_a_line() {
    let (model, _, bytes) = written();
    let refused = |bytes: &[u8], words: &str| {
        let error = delta::decode(bytes, Path::new("d.safetensors"), &model).unwrap_err();
        let line = error.to_string();
        assert!(line.contains(words) && line.starts_with("d.safetensors"), "{line}");
        assert!(line.len() < 300 && !line.contains('\n'), "{line}");
    };
    refused(&bytes[..bytes.len() / 2], "not a whole safetensors file");
    refused(b"", "not a whole safetensors file");
    let whole = checkpoint::encode(model.plain().unwrap(), Precision::Full).unwrap();
    refused(&whole, "is not a change of weights");
    let place = |i: i32| {
        move |data: &mut Vec<u8>, _: &mut Vec<usize>| data[..4].copy_from_slice(&i.to_le_bytes())
    };
    let (indices, values) = ("conv1.weight.indices", "conv1.weight.values");
    for wrong in [-1, i32::MAX, 4] {
        refused(&with(&bytes, indices, place(wrong)), "out of order");
    }
    let nan = i32::from_le_bytes(f32::NAN.to_le_bytes());
    refused(&with(&bytes, values, place(nan)), "is not a finite number");
    let other = i32::from_le_bytes(7.5f32.to_le_bytes());
    refused(&with(&bytes, values, place(other)), "is damaged");
    refused(&with(&bytes, values, |data, _| data.clear()), "its values are missing");
    refused(&with(&bytes, indices, |data, _| data.clear()), "its indices are missing");
    let fewer = |data: &mut Vec<u8>, shape: &mut Vec<usize>| {
        data.truncate(4);
        shape[0] = 1;
    };
    refused(&with(&bytes, values, fewer), "as many values");

    let decode = |model: Model| {
        let model = AnyModel::Plain(Arc::new(model));
        delta::decode(&bytes, Path::new("d"), &model).unwrap_err().to_string()
    };
    let mut moved = classifier(4);
    moved.weights.values[5] += 1.0;
    assert!(decode(moved).contains("is the change of other weights"));
    assert!(decode(classifier(8)).contains("is the change of another network"));
    // A change is no model.
    let error = checkpoint::decode(&bytes, Path::new("d")).unwrap_err().to_string();
    assert!(error.contains("salun apply"), "{error}");
}

#[test]
fn pictures_at_both_ends_are_those_of_original_and_run() {
    let scratch = Scratch::new("strength-pictures");
    let file = scratch.keep("tiny.safetensors", &scratch.classifier());
    let mut client = Client::new(DeviceChoice::Cpu);
    for (model, draws) in [(&*file, false), ("fashion-ddpm", true)] {
        let recipe = Recipe {
            budget: Budget::Tiny,
            steps: Some(3),
            ..Recipe::new(model, "fashion-mnist", "class:Sneaker")
        };
        let run = client.unlearn(recipe.clone());
        let model = Arc::new(run.model.clone());
        let mut draw = |strength: f64| {
            let (model, recipe) = (model.clone(), recipe.clone());
            let mut phases = Vec::new();
            let job = Job::Interpolate { model, recipe, strength };
            match client.told(job, |phase| phases.push(phase.to_string())).unwrap() {
                Outcome::Interpolated(grid) => (grid, phases),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(draw(0.0).0, run.before);
        assert_eq!(draw(1.0).0, run.after);
        let (half, phases) = draw(0.5);
        assert!(half.seen != run.before.seen && (half.pixels == run.before.pixels) != draws);
        assert!(phases.iter().any(|phase| phase == "Drawing"), "{phases:?}");
        let (again, phases) = draw(0.5);
        assert!(again == half && !phases.iter().any(|phase| phase == "Drawing"), "drawn once");
    }
}

fn done(ran: &Ran) {
    assert_eq!(ran.status, Some(0), "{ran:?}");
}

#[test]
fn a_runs_change_applied_to_the_shipped_classifier_gives_the_runs_file() {
    let scratch = Scratch::new("strength-apply");
    let model = "fashion-classifier";
    let unlearn = format!(
        "unlearn --model {model} --data fashion-mnist --forget class:Sneaker --budget tiny --steps 3 \
         --density 0.3 --out run"
    );
    done(&scratch.run(&unlearn));
    done(&scratch.run("export --run run --delta d.safetensors"));
    let apply = |strength: &str, out: &str| {
        let line = format!("apply --model {model} --delta d.safetensors --strength {strength}");
        scratch.run(&format!("{line} --out {out}"))
    };
    for (strength, out) in [("0", "a"), ("1", "b"), ("0.5", "c"), ("1.5", "e")] {
        done(&apply(strength, &format!("{out}.safetensors")));
    }
    let read = |name: &str| fs::read(scratch.path(name)).unwrap();
    let shipped = registry::open(model).unwrap();
    assert!(read("a.safetensors") == bytes(&shipped), "the original, byte for byte");
    assert!(read("b.safetensors") == read("run/model.safetensors"), "the run, byte for byte");
    let [a, half, b] = ["a", "c", "b"].map(|f| open(&scratch.path(&format!("{f}.safetensors"))));
    assert!(half.card.name.ends_with("at strength 0.5"), "{}", half.card.name);
    let layout = &a.weights.layout;
    let mask = read("run/mask.safetensors");
    let free = Mask::decode_bits(&mask, layout, Path::new("mask")).unwrap();
    for (i, free) in free.into_iter().enumerate() {
        let [x, y, z] = [&a, &half, &b].map(|model| model.weights.values[i]);
        assert!(free == 1 || x.to_bits() == y.to_bits());
        assert!((y - 0.5 * (x + z)).abs() <= 1e-6 * x.abs().max(z.abs()));
    }
    // The sizes tell that no more than the free weights are there: 8 bytes each.
    let (small, k) = (read("d.safetensors").len(), layout.n() * 3 / 10);
    assert!((8 * k..8 * k + 60_000).contains(&small), "{small} for {k}");

    let refused = |ran: Ran, words: &str| {
        assert_eq!((ran.status, ran.complaints().len()), (Some(2), 1), "{ran:?}");
        assert!(ran.stderr.contains(words), "{ran:?}");
    };
    refused(apply("2", "x.safetensors"), "from 0 to 1.5");
    refused(apply("1", "x.pth"), ".safetensors");
    refused(apply("1", "a.safetensors"), "already there");
    let apply =
        |model: &str| format!("apply --model {model} --delta d.safetensors --out x.safetensors");
    refused(scratch.run(&apply("b.safetensors")), "is the change of other weights");
    refused(scratch.run(&apply("fashion-ddpm")), "is the change of another network");
    scratch.put("other.safetensors", bytes(&scratch.classifier()));
    let other = "export --run run --model other.safetensors --delta x.safetensors";
    let ran = scratch.run(other);
    assert!(ran.status == Some(2) && ran.stderr.contains("the same tensors"), "{ran:?}");
    let ran = scratch.run("export --run run --model b.safetensors --delta y.safetensors");
    assert!(ran.status == Some(0), "a run's own end differs from it nowhere: {ran:?}");
    refused(scratch.run("export --run run --as-lora x.safetensors"), "text-to-image");
    refused(scratch.run("export --run run"), "--delta");
    assert!(!scratch.names().contains(&"x.pth".to_string()));
}

/// What a folder holds, by name.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut all: Vec<_> = salun_studio::words::PIPELINE
        .iter()
        .filter_map(|name| Some((name.to_string(), fs::read(folder.join(name)).ok()?)))
        .collect();
    all.sort();
    all
}

#[test]
fn a_text_to_image_models_change_is_applied_and_held_by_loras() {
    let corpus = corpus::open().unwrap();
    let scratch = Scratch::new("strength-prompt");
    let model = tiny(&corpus);
    put(&scratch, &model, &corpus);
    let line = "unlearn --model model --data emoji --budget tiny --steps 2 --quiet --out run";
    let arguments: Vec<&str> = line.split(' ').chain(["--forget", "prompt:a 3d cat"]).collect();
    assert!(scratch.salun(&arguments).output().unwrap().status.success());
    done(&scratch.run("export --run run --delta d.safetensors"));
    for (strength, out) in [("0", "a"), ("1", "b"), ("0.25", "c")] {
        let line = "apply --model model --delta d.safetensors --strength";
        done(&scratch.run(&format!("{line} {strength} --out {out}")));
    }
    let whole = folder::write(&model, Precision::Full).unwrap();
    let mut original: Vec<_> = whole.into_iter().collect();
    original.sort();
    assert!(files(&scratch.path("a")) == original, "the original, byte for byte");
    assert!(files(&scratch.path("b")) == files(&scratch.path("run/model")), "the run");
    let ran =
        scratch.run("apply --model fashion-classifier --delta d.safetensors --out x.safetensors");
    assert!(ran.status == Some(2) && ran.stderr.contains("text-to-image"), "{ran:?}");

    let run = folder::read(&OnDisk(scratch.path("run/model")), None).unwrap();
    for (layout, ends) in [("kohya", ["lora_up", "lora_down"]), ("diffusers", ["lora_B", "lora_A"])]
    {
        // Of all ranks that a layer of this model can have.
        let out = format!("{layout}.safetensors");
        let line = format!("export --run run --as-lora {out} --rank 64 --layout {layout} --json");
        let ran = scratch.run(&line);
        done(&ran);
        let said: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
        let error = said["lora"]["error"].as_f64().unwrap();
        assert!(error < 1e-5 && said["lora"]["worst"][1].as_f64().unwrap() < 1e-5, "{said}");
        assert!(said["lora"]["left"].as_u64().unwrap() > 0, "biases and norms");
        let share = said["lora"]["left_share"].as_f64().unwrap();
        assert!(share > 0.0 && share < 1.0, "{said}");
        reconstructed(&fs::read(scratch.path(&out)).unwrap(), layout, ends, [&model, &run]);
    }
    let few = scratch.run("export --run run --as-lora few.safetensors --rank 1");
    done(&few);
    assert!(few.stdout.contains("relative error"), "{few:?}");
}

/// Holds what the factors of a linear layer and of a convolution multiply to against the change.
fn reconstructed(
    bytes: &[u8],
    layout: &str,
    [up, down]: [&str; 2],
    [before, after]: [&latent::LatentModel; 2],
) {
    let file = SafeTensors::deserialize(bytes).unwrap();
    let block = "down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k";
    for module in [block, "down_blocks.0.resnets.0.conv1"] {
        let stem = match layout {
            "kohya" => format!("lora_unet_{}", module.replace('.', "_")),
            _ => format!("unet.{module}"),
        };
        let factor = |part: &str| {
            let view = file.tensor(&format!("{stem}.{part}.weight")).unwrap();
            let values: Vec<f32> =
                view.data().as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
            (view.shape().to_vec(), values)
        };
        let ((up_shape, up), (down_shape, down)) = (factor(up), factor(down));
        let layout = &before.unet.layout;
        let entry = &layout.params[layout.find(&format!("{module}.weight")).unwrap()];
        assert_eq!((up_shape[0], up_shape[1], down_shape[0]), (entry.shape[0], 64, 64));
        assert_eq!(
            (&up_shape[2..], &down_shape[1..]),
            (&vec![1; entry.shape.len() - 2][..], &entry.shape[1..])
        );
        let columns = entry.n() / entry.shape[0];
        let [mut missed, mut all] = [0.0f64; 2];
        for i in 0..entry.n() {
            let (row, column) = (i / columns, i % columns);
            let at = |k: usize| f64::from(up[row * 64 + k]) * f64::from(down[k * columns + column]);
            let got: f64 = (0..64).map(at).sum();
            let at = entry.offset + i;
            let change = f64::from(after.unet.values[at]) - f64::from(before.unet.values[at]);
            missed += (change - got).powi(2);
            all += change.powi(2);
        }
        assert!(all > 0.0 && (missed / all).sqrt() < 1e-5, "{module}: {missed} of {all}");
    }
}

#[test]
fn a_lora_says_what_it_misses() {
    let corpus = corpus::open().unwrap();
    let model = tiny(&corpus);
    let mut run = model.unet.clone();
    let layout = run.layout.clone();
    let linear = layout.find("down_blocks.1.attentions.0.proj_in.weight").unwrap();
    let entry = &layout.params[linear];
    let [rows, columns] = [entry.shape[0], entry.n() / entry.shape[0]];
    // Two directions, the one twice as long as the other: rank 1 misses a fifth of the square.
    run.values[entry.offset] += 2.0;
    run.values[entry.offset + (rows - 1) * columns + 1] += 1.0;
    let bias = layout.find("conv_in.bias").unwrap();
    run.values[layout.params[bias].offset] += 1.0;
    let of = |rank, kind| {
        let mut job = JobContext::silent();
        wait(delta::lora(&model.unet, &run, rank, kind, &mut job))
    };
    let one = of(1, LoraLayout::Kohya).report;
    assert_eq!((one.layers, one.left), (1, 1));
    assert!((one.error - 0.2f64.sqrt()).abs() < 1e-6 && one.worst.0 == entry.name, "{one:?}");
    assert!((one.left_share - 1.0 / 6.0).abs() < 1e-6, "{one:?}");
    assert!(of(2, LoraLayout::Diffusers).report.error < 1e-6);
    for (rank, [before, after]) in
        [(0, [&model.unet, &run]), (9999, [&model.unet, &run]), (4, [&model.unet; 2])]
    {
        let mut job = JobContext::silent();
        let error =
            pollster::block_on(delta::lora(before, after, rank, LoraLayout::Kohya, &mut job));
        let line = error.unwrap_err().to_string();
        assert!(line.contains("rank") || line.contains("no layer changed"), "{line}");
    }
}
