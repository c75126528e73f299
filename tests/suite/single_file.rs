//! Single-file checkpoints and LoRA files agree with diffusers (tests/fixtures/single.json.gz, made by
//! tests/peers/make_single_files.py), go back out as they came in, and are refused in one line.

use std::{
    collections::BTreeMap,
    fs,
    io::{Cursor, Write},
    path::Path,
};

use burn::tensor::{Device, Tensor, TensorData};
use safetensors::{Dtype, SafeTensors};
use serde_json::{Value, json};
use zip::{ZipWriter, write::SimpleFileOptions};

use crate::binary::Scratch;
use crate::common::packed;
use salun_studio::diffusion::{Prediction, Solver};
use salun_studio::models::latent::{LatentModel, folder, on_disk};
use salun_studio::models::registry::{is_latent, open_latent};
use salun_studio::models::weights::read;
use salun_studio::models::{Mode, Owned, Pass, Precision, checkpoint};
use salun_studio::sampling::predict;

/// Largest share of the expected numbers' size by which a result may be off.
const TOLERANCE: f64 = 1e-3;
/// What the parts are called in the fixture, in the order of [`LatentModel::parts`].
const PARTS: [&str; 3] = ["text_encoder", "unet", "vae"];

fn golden() -> Value {
    serde_json::from_slice(&packed("single.json")).unwrap()
}

/// The numbers of a tensor: even in ± `scale`, by a linear congruential generator that its name begins.
fn formula(name: &str, n: usize, scale: f64) -> Vec<f32> {
    let mut state = crc32fast::hash(name.as_bytes());
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        ((state >> 8) as f64 / 16_777_216.0 - 0.5) as f32 * (2.0 * scale) as f32
    };
    (0..n).map(|_| next()).collect()
}

/// A weight of the tiny pipelines, `unet:conv_in.weight`.
fn weight(name: &str, shape: &[usize]) -> Vec<f32> {
    let (n, fan) = (shape.iter().product(), shape[1..].iter().product::<usize>().max(1));
    match shape.len() {
        1 => {
            let shift = if name.ends_with("weight") { 1.0 } else { 0.0 };
            formula(name, n, 0.1).into_iter().map(|v| shift + v).collect()
        }
        _ => formula(name, n, (fan as f64).powf(-0.5)),
    }
}

fn floats(values: &[f32]) -> (Dtype, Vec<u8>) {
    Precision::Full.bytes(values)
}

fn numbers(value: &Value) -> Vec<f32> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap() as f32).collect()
}

/// The single file of a pipeline of the fixture, as diffusers' script names its tensors.
fn single(golden: &Value, which: &str) -> BTreeMap<String, Owned> {
    let names = golden[which]["names"].as_object().unwrap().iter();
    let tensor = |(name, of): (&String, &Value)| {
        let shape: Vec<usize> = serde_json::from_value(of[0].clone()).unwrap();
        let sources: Vec<String> = serde_json::from_value(of[1].clone()).unwrap();
        let mut own = shape.clone();
        own[0] /= sources.len();
        let values: Vec<f32> = sources.iter().flat_map(|source| weight(source, &own)).collect();
        (name.clone(), (name.clone(), shape, floats(&values)))
    };
    names.map(tensor).collect()
}

/// What such files hold beside the networks.
fn more(file: &mut BTreeMap<String, Owned>) {
    let ids: Vec<u8> = (0..12i64).flat_map(i64::to_le_bytes).collect();
    let name = "cond_stage_model.transformer.text_model.embeddings.position_ids";
    for (name, shape, stored) in [
        (name, vec![1, 12], (Dtype::I64, ids)),
        ("betas", vec![2], floats(&[0.1, 0.2])),
        ("model_ema.decay", vec![1], floats(&[0.9])),
    ] {
        file.insert(name.into(), (name.into(), shape, stored));
    }
}

fn written(file: &BTreeMap<String, Owned>) -> Vec<u8> {
    let tensors: Vec<Owned> = file.values().cloned().collect();
    checkpoint::write(&tensors, None).unwrap()
}

/// A scratch folder with the tiny tokenizer in its folder.
fn scratch(name: &str) -> Scratch {
    let scratch = Scratch::new(name);
    fs::create_dir_all(scratch.path("tokenizer")).unwrap();
    let from =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/latent/pipeline/tokenizer");
    for name in ["vocab.json", "merges.txt"] {
        fs::copy(from.join(name), scratch.path("tokenizer").join(name)).unwrap();
    }
    scratch
}

fn opened(scratch: &Scratch, name: &str) -> LatentModel {
    open_latent(&scratch.path(name).to_string_lossy()).unwrap_or_else(|e| panic!("{name}: {e}"))
}

fn off(what: &str, expected: &[f32], got: &[f32]) {
    assert_eq!(expected.len(), got.len(), "{what}");
    let size = expected.iter().fold(0.0f64, |m, v| m.max(v.abs() as f64));
    let pairs = expected.iter().zip(got);
    let off = pairs.fold(0.0f64, |m, (a, b)| m.max((*a as f64 - *b as f64).abs()));
    eprintln!("{what}: off by {off:.1e} of {size:.1e}");
    assert!(off <= TOLERANCE * size, "{what}: off by {off:e} of {size:e}");
}

/// Latents after a few guided steps, and a few pixels of the picture.
fn drawn(model: &LatentModel, golden: &Value) -> [Vec<f32>; 2] {
    let device = Device::flex();
    let network = &model.network;
    let side = golden["side"].as_u64().unwrap() as usize;
    let guidance = golden["guidance"].as_f64().unwrap() as f32;
    let steps = golden["steps"].as_u64().unwrap() as usize;
    // What fills prompts is the model's to say.
    let filler = *network.tokenizer.encode("").ids.last().unwrap();
    let ids = golden["ids"].as_array().unwrap().iter().map(|row| {
        let mut row: Vec<u32> = serde_json::from_value(row.clone()).unwrap();
        row.resize(network.tokenizer.length, filler);
        row
    });
    let [text, unet, vae] = model.parts().map(|part| part.upload(&device));
    let context = network.text.forward(&Pass::new(&text, Mode::Eval), &ids.collect::<Vec<_>>());
    let mut rows = context.split(1, 0).into_iter();
    let context = [(); 2].map(|()| rows.next().unwrap());
    let mut solver = Solver::new(&network.scheduler, steps);
    let noise = TensorData::new(formula("noise", 4 * side * side, 1.7), [1, 4, side, side]);
    let mut z = Tensor::<4>::from_data(noise, &device) * solver.start();
    for i in 0..solver.times.len() {
        let pass = Pass::new(&unet, Mode::Eval);
        let (shown, t) = (solver.input(i, z.clone()), [solver.times[i]]);
        let out = predict(&network.unet, &pass, shown, &t, context.clone(), guidance - 1.0);
        z = solver.step(i, out, z, 0.0, || unreachable!("without eta there is no noise"));
    }
    let latent = z.clone() / network.vae.config.scaling_factor as f32;
    let picture = network.vae.decode(&Pass::new(&vae, Mode::Eval), latent);
    let [_, c, h, w] = picture.dims();
    pollster::block_on(async {
        let (z, picture) = (read(z).await.unwrap(), read(picture).await.unwrap());
        let every = (0..c * h * w).filter(|i| i / w % h % 16 == 0 && i % w % 16 == 0);
        [z, every.map(|i| picture[i]).collect()]
    })
}

#[test]
fn single_files_are_the_pipelines_that_they_were_made_of() {
    let golden = golden();
    for which in ["1", "2"] {
        let scratch = scratch(&format!("single-{which}"));
        let mut file = single(&golden, which);
        if which == "2" {
            // OpenCLIP's last layer and its projection, which nobody reads.
            let start = "cond_stage_model.model.transformer.resblocks.";
            let last = file.range(format!("{start}1")..format!("{start}2"));
            let last = last.map(|(name, of)| (name.replace(".1.", ".2."), of.clone()));
            let last: Vec<_> = last.collect();
            file.extend(last.into_iter().map(|(name, of)| (name.clone(), (name, of.1, of.2))));
            let name = "cond_stage_model.model.text_projection";
            file.insert(name.into(), (name.into(), vec![1, 1], floats(&[1.0])));
        }
        scratch.put("sd.safetensors", written(&file));
        assert!(is_latent(&scratch.path("sd.safetensors").to_string_lossy()));
        let model = opened(&scratch, "sd.safetensors");
        for (name, part) in PARTS.iter().zip(model.parts()) {
            for entry in &part.layout.params {
                let expected = weight(&format!("{name}:{}", entry.name), &entry.shape);
                assert_eq!(part.values[entry.range()], expected, "{which} {}", entry.name);
            }
        }
        let network = &model.network;
        let configs = [
            serde_json::to_value(&network.text.config).unwrap(),
            serde_json::to_value(&network.unet.config).unwrap(),
            serde_json::to_value(&network.vae.config).unwrap(),
        ];
        for (name, config) in PARTS.iter().zip(configs) {
            for (key, right) in golden[which]["configs"][name].as_object().unwrap() {
                assert_eq!(config[key], *right, "{which} {name} {key}");
            }
        }
        let [latents, picture] = drawn(&model, &golden);
        off(&format!("{which} latents"), &numbers(&golden[which]["latents"]), &latents);
        off(&format!("{which} picture"), &numbers(&golden[which]["picture"]), &picture);
        let [note] = &network.notes[..] else { panic!("{:?}", network.notes) };
        let predicted = if which == "1" { "noise is predicted" } else { "velocity is predicted" };
        for words in ["does not say all", predicted, "sd.yaml beside it", "0.18215"] {
            assert!(note.contains(words), "{note}");
        }
    }
}

#[test]
fn what_lies_beside_a_single_file_or_in_it_says_what_is_predicted() {
    let golden = golden();
    let scratch = scratch("single-said");
    let file = single(&golden, "2");
    scratch.put("sd.safetensors", written(&file));
    scratch.put("sd.yaml", "params:\n  parameterization: \"eps\"\n  image_size: 64\n");
    let model = opened(&scratch, "sd.safetensors");
    assert_eq!(model.network.scheduler.prediction, Prediction::Epsilon);
    assert_eq!(model.network.picture_shape(), [3, 512, 512]);
    let [note] = &model.network.notes[..] else { panic!("{:?}", model.network.notes) };
    assert!(!note.contains("predicted") && !note.contains("512"), "{note}");
    // Another noise schedule than the usual one is told.
    let mut file = file;
    let name = "alphas_cumprod".to_string();
    file.insert(name.clone(), (name, vec![2], floats(&[0.9, 0.8])));
    scratch.put("other.safetensors", written(&file));
    let notes = &opened(&scratch, "other.safetensors").network.notes;
    assert!(notes.iter().any(|note| note.contains("alphas_cumprod")), "{notes:?}");
}

/// `torch.save({"state_dict": {...}, "global_step": 5})`, with tensors of 32 bits.
fn ckpt(file: &BTreeMap<String, Owned>) -> Vec<u8> {
    let text = |out: &mut Vec<u8>, text: &str| {
        out.push(b'X');
        out.extend((text.len() as u32).to_le_bytes());
        out.extend(text.bytes());
    };
    let number = |out: &mut Vec<u8>, n: usize| {
        out.push(b'J');
        out.extend((n as u32).to_le_bytes());
    };
    let tuple = |out: &mut Vec<u8>, numbers: &[usize]| {
        out.push(b'(');
        numbers.iter().for_each(|n| number(out, *n));
        out.push(b't');
    };
    let mut pickle = b"\x80\x02}(".to_vec();
    text(&mut pickle, "global_step");
    number(&mut pickle, 5);
    text(&mut pickle, "state_dict");
    pickle.extend(b"}(");
    for (i, (name, shape, (_, bytes))) in file.values().enumerate() {
        text(&mut pickle, name);
        pickle.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        text(&mut pickle, "storage");
        pickle.extend(b"ctorch\nFloatStorage\n");
        text(&mut pickle, &i.to_string());
        text(&mut pickle, "cpu");
        number(&mut pickle, bytes.len() / 4);
        pickle.extend(b"tQK\x00");
        tuple(&mut pickle, shape);
        let strides: Vec<usize> =
            (0..shape.len()).map(|axis| shape[axis + 1..].iter().product()).collect();
        tuple(&mut pickle, &strides);
        pickle.extend(b"\x89}tR");
    }
    pickle.extend(b"uu.");
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    zip.start_file("sd/data.pkl", stored).unwrap();
    zip.write_all(&pickle).unwrap();
    for (i, (_, _, (_, bytes))) in file.values().enumerate() {
        zip.start_file(format!("sd/data/{i}"), stored).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

#[test]
fn a_ckpt_is_the_same_model_and_half_precision_is_read() {
    let golden = golden();
    let scratch = scratch("single-ckpt");
    for which in ["1", "2"] {
        let file = single(&golden, which);
        scratch.put("sd.safetensors", written(&file));
        scratch.put("sd.ckpt", ckpt(&file));
        let (a, b) = (opened(&scratch, "sd.safetensors"), opened(&scratch, "sd.ckpt"));
        for (a, b) in a.parts().iter().zip(b.parts()) {
            assert_eq!(a.values, b.values, "{which}");
        }
        let half = |(name, shape, (_, bytes)): &Owned| {
            let values: Vec<f32> =
                bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
            (name.clone(), (name.clone(), shape.clone(), Precision::Half.bytes(&values)))
        };
        scratch.put("half.safetensors", written(&file.values().map(half).collect()));
        let half = opened(&scratch, "half.safetensors");
        let off = a.unet.values.iter().zip(&half.unet.values);
        assert!(off.fold(0.0f32, |m, (a, b)| m.max((a - b).abs())) < 1e-3);
    }
}

#[test]
fn a_single_file_goes_back_out_under_the_names_that_came_in() {
    let golden = golden();
    for which in ["1", "2"] {
        let scratch = scratch(&format!("single-back-{which}"));
        let mut file = single(&golden, which);
        if which == "1" {
            more(&mut file);
        }
        scratch.put("sd.safetensors", written(&file));
        let model = opened(&scratch, "sd.safetensors");
        let back = scratch.path("back");
        for (name, bytes) in folder::write(&model, Precision::Full).unwrap() {
            fs::create_dir_all(back.join(&name).parent().unwrap()).unwrap();
            fs::write(back.join(name), bytes).unwrap();
        }
        let bytes = fs::read(back.join("model.safetensors")).unwrap();
        let tensors = SafeTensors::deserialize(&bytes).unwrap();
        // Averages remember what was forgotten.
        file.remove("model_ema.decay");
        assert_eq!(tensors.len(), file.len());
        for (name, shape, (dtype, bytes)) in file.values() {
            let view = tensors.tensor(name).unwrap();
            assert_eq!((view.shape(), view.dtype()), (&shape[..], *dtype), "{name}");
            assert_eq!(view.data(), bytes, "{name}");
        }
        // What was assumed once is said by what is written.
        let again = folder::read(&*on_disk(back), None).unwrap();
        assert_eq!(again.network.notes, Vec::<String>::new());
        assert_eq!(again.network.scheduler, model.network.scheduler);
        assert_eq!(again.network.unet.config, model.network.unet.config);
        let prompt = "a cat, painted";
        let [a, b] = [&again, &model].map(|m| m.network.tokenizer.encode(prompt));
        assert_eq!(a, b);
        for (a, b) in model.parts().iter().zip(again.parts()) {
            assert_eq!(a.values, b.values);
        }
        let sent: LatentModel =
            salun_studio::wire::unpack(&salun_studio::wire::pack(&model).unwrap()).unwrap();
        assert!(sent.single.is_some() && sent.unet.values == model.unet.values);
    }
}

/// A LoRA file of the fixture in a layout, by the pipeline's weights.
fn lora(golden: &Value, layout: &str, model: &LatentModel) -> Vec<u8> {
    let about = &golden["lora"];
    let rank = about["rank"].as_u64().unwrap() as usize;
    let mut tensors = Vec::new();
    for pair in about["layers"].as_array().unwrap() {
        let (part, layer) = (pair[0].as_str().unwrap(), pair[1].as_str().unwrap());
        let at = PARTS.iter().position(|known| *known == part).unwrap();
        let layout_of = &model.parts()[at].layout;
        let entry = &layout_of.params[layout_of.find(&format!("{layer}.weight")).unwrap()];
        let points = vec![1; entry.shape.len() - 2];
        let (inputs, outputs) = (entry.shape[1], entry.shape[0]);
        let down = formula(&format!("{part}:{layer}:down"), rank * inputs, 0.2);
        let up = formula(&format!("{part}:{layer}:up"), outputs * rank, 0.2);
        let named = |end: &str| match (layout, end) {
            ("kohya", end) => {
                let start = if part == "unet" { "lora_unet_" } else { "lora_te_" };
                format!("{start}{}.{end}", layer.replace('.', "_"))
            }
            (_, "lora_down.weight") => format!("{part}.{layer}.lora_A.weight"),
            _ => format!("{part}.{layer}.lora_B.weight"),
        };
        tensors.push((
            named("lora_down.weight"),
            [vec![rank, inputs], points.clone()].concat(),
            floats(&down),
        ));
        tensors.push((
            named("lora_up.weight"),
            [vec![outputs, rank], points].concat(),
            floats(&up),
        ));
        if layout == "kohya" {
            let alpha = about["alpha"].as_f64().unwrap() as f32;
            tensors.push((named("alpha"), Vec::new(), floats(&[alpha])));
        }
    }
    checkpoint::write(&tensors, None).unwrap()
}

#[test]
fn a_lora_of_either_layout_draws_what_diffusers_draws() {
    let golden = golden();
    let scratch = scratch("lora");
    scratch.put("sd.safetensors", written(&single(&golden, "1")));
    let plain = opened(&scratch, "sd.safetensors");
    let strength = golden["lora"]["strength"].as_f64().unwrap();
    for layout in ["kohya", "diffusers"] {
        scratch.put("lora.safetensors", lora(&golden, layout, &plain));
        let file = scratch.path("lora.safetensors");
        let name = format!("sd.safetensors?lora={}@{strength}", file.display());
        let model = opened(&scratch, &name);
        let [latents, _] = drawn(&model, &golden);
        off(layout, &numbers(&golden[layout]), &latents);
        let note = model.network.notes.last().unwrap();
        let words = "strength 0.7: 4 layers of the U-Net, 3 of the text encoder";
        assert!(note.contains(words), "{note}");
        // Merged twice, once the other way round: nothing is left of it.
        let both = format!("{name}&lora={}@-{strength}", file.display());
        let none = opened(&scratch, &both);
        let pairs = none.unet.values.iter().zip(&plain.unet.values);
        assert!(pairs.fold(0.0f32, |m, (a, b)| m.max((a - b).abs())) < 1e-6);
    }
}

#[test]
fn a_layer_is_the_same_however_a_lora_names_it() {
    let golden = golden();
    let scratch = scratch("lora-names");
    scratch.put("sd.safetensors", written(&single(&golden, "1")));
    let plain = opened(&scratch, "sd.safetensors");
    let block = "down_blocks.0.attentions.0.transformer_blocks.0.attn1";
    let conv = "down_blocks.0.resnets.0.conv1";
    let text = "text_model.encoder.layers.0.self_attn";
    let [down, up] = [".lora_A.weight", ".lora_B.weight"];
    let kohya = |name: &str| name.replace('.', "_");
    let alike: [(&str, usize, usize, Vec<[String; 2]>); 4] = [
        (
            "to_q",
            32,
            32,
            vec![
                [format!("unet.{block}.to_q{down}"), format!("unet.{block}.to_q{up}")],
                [
                    format!("lora_unet_{}_to_q.lora_down.weight", kohya(block)),
                    format!("lora_unet_{}_to_q.lora_up.weight", kohya(block)),
                ],
                [
                    "lora_unet_input_blocks_1_1_transformer_blocks_0_attn1_to_q.lora_down.weight"
                        .into(),
                    "lora_unet_input_blocks_1_1_transformer_blocks_0_attn1_to_q.lora_up.weight"
                        .into(),
                ],
                [
                    format!("base_model.model.{block}.to_q{down}"),
                    format!("base_model.model.{block}.to_q{up}"),
                ],
                [
                    format!("unet.{block}.processor.to_q_lora.down.weight"),
                    format!("unet.{block}.processor.to_q_lora.up.weight"),
                ],
                [
                    format!("unet.{block}.to_q.lora.down.weight"),
                    format!("unet.{block}.to_q.lora.up.weight"),
                ],
            ],
        ),
        (
            "to_out",
            32,
            32,
            vec![
                [format!("unet.{block}.to_out.0{down}"), format!("unet.{block}.to_out.0{up}")],
                [
                    format!("{block}.processor.to_out_lora.down.weight"),
                    format!("{block}.processor.to_out_lora.up.weight"),
                ],
            ],
        ),
        (
            "conv1",
            32 * 9,
            32,
            vec![
                [format!("unet.{conv}{down}"), format!("unet.{conv}{up}")],
                [
                    "lora_unet_input_blocks_1_0_in_layers_2.lora_down.weight".into(),
                    "lora_unet_input_blocks_1_0_in_layers_2.lora_up.weight".into(),
                ],
            ],
        ),
        (
            "q_proj",
            64,
            64,
            vec![
                [
                    format!("text_encoder.{text}.q_proj{down}"),
                    format!("text_encoder.{text}.q_proj{up}"),
                ],
                [
                    format!("lora_te_{}_q_proj.lora_down.weight", kohya(text)),
                    format!("lora_te_{}_q_proj.lora_up.weight", kohya(text)),
                ],
                [
                    format!("text_encoder.{text}.q_proj.lora_linear_layer.down.weight"),
                    format!("text_encoder.{text}.q_proj.lora_linear_layer.up.weight"),
                ],
                [
                    format!("text_encoder.{text}.to_q_lora.down.weight"),
                    format!("text_encoder.{text}.to_q_lora.up.weight"),
                ],
            ],
        ),
    ];
    for (layer, inputs, outputs, names) in alike {
        let mut first: Option<LatentModel> = None;
        for [down, up] in names {
            // A convolution's change goes down with the convolution's own kernel.
            let [shape, back] = match inputs.is_multiple_of(9) {
                true => [vec![2, inputs / 9, 3, 3], vec![outputs, 2, 1, 1]],
                false => [vec![2, inputs], vec![outputs, 2]],
            };
            let tensors = [
                (down.clone(), shape, floats(&formula("down", 2 * inputs, 0.3))),
                (up, back, floats(&formula("up", outputs * 2, 0.3))),
            ];
            scratch.put("lora.safetensors", checkpoint::write(&tensors, None).unwrap());
            let name =
                format!("sd.safetensors?lora={}", scratch.path("lora.safetensors").display());
            let model = opened(&scratch, &name);
            let changed = |a: &[f32], b: &[f32]| a.iter().zip(b).filter(|(a, b)| a != b).count();
            let n = changed(&model.unet.values, &plain.unet.values)
                + changed(&model.text.values, &plain.text.values);
            assert!(n > outputs * inputs * 9 / 10 && n <= outputs * inputs, "{layer} {down}: {n}");
            let first = first.get_or_insert_with(|| model.clone());
            assert_eq!(first.unet.values, model.unet.values, "{layer} {down}");
            assert_eq!(first.text.values, model.text.values, "{layer} {down}");
        }
    }
}

fn refused(scratch: &Scratch, name: &str, words: &str) {
    let opened = open_latent(&scratch.path(name).to_string_lossy()).map(drop);
    let error = opened.unwrap_err().to_string();
    assert!(error.contains(words) && !error.contains('\n'), "{name}: '{words}' in {error}");
}

#[test]
fn other_families_and_damaged_files_are_refused_by_name_in_one_line() {
    let golden = golden();
    let scratch = scratch("single-refused");
    let whole = single(&golden, "1");
    let one = |name: &str, shape: &[usize]| {
        let n = shape.iter().product();
        BTreeMap::from([(
            name.to_string(),
            (name.to_string(), shape.to_vec(), floats(&vec![0.0; n])),
        )])
    };
    for (name, words) in [
        ("conditioner.embedders.0.transformer.x", "Stable Diffusion XL"),
        ("model.diffusion_model.joint_blocks.0.x", "Stable Diffusion 3"),
        ("model.diffusion_model.double_blocks.0.x", "Flux"),
        ("double_blocks.0.img_attn.norm.key_norm.scale", "Flux"),
        ("control_model.time_embed.0.weight", "a ControlNet"),
        ("model.diffusion_model.x", "has no autoencoder (first_stage_model.)"),
        ("lora_unet_x.lora_down.weight", "name its model with --model, and this file with --lora"),
    ] {
        let mut file = one(name, &[1]);
        file.extend(one("z", &[1]));
        scratch.put("a.safetensors", written(&file));
        refused(&scratch, "a.safetensors", words);
    }
    let changed = |change: &dyn Fn(&mut BTreeMap<String, Owned>)| {
        let mut file = whole.clone();
        change(&mut file);
        scratch.put("a.safetensors", written(&file));
    };
    let first = "model.diffusion_model.input_blocks.0.0.weight";
    for (channels, words) in [(9, "an inpainting model"), (8, "InstructPix2Pix"), (5, "depths")] {
        changed(&|file| file.extend(one(first, &[32, channels, 3, 3])));
        refused(&scratch, "a.safetensors", words);
    }
    let norm = "model.diffusion_model.out.0.weight";
    changed(&|file| drop(file.remove(norm)));
    refused(&scratch, "a.safetensors", "'model.diffusion_model.out.0.weight': is missing");
    changed(&|file| file.extend(one(norm, &[31])));
    refused(&scratch, "a.safetensors", "has shape [31], expected [32]");
    changed(&|file| file.extend(one("model.diffusion_model.temporal.weight", &[1])));
    refused(&scratch, "a.safetensors", "the network has no such tensor");
    changed(&|file| drop(file.remove("model.diffusion_model.input_blocks.1.0.in_layers.0.weight")));
    refused(&scratch, "a.safetensors", "it has no tensor model.diffusion_model.input_blocks.1.0");
    let mut bytes = written(&whole);
    bytes.truncate(bytes.len() - 4);
    scratch.put("a.safetensors", bytes);
    refused(&scratch, "a.safetensors", "not a whole safetensors file");
    // The tokenizer beside it, or its files alone.
    scratch.put("a.safetensors", written(&whole));
    for name in ["vocab.json", "merges.txt"] {
        fs::copy(scratch.path("tokenizer").join(name), scratch.path(name)).unwrap();
    }
    fs::remove_dir_all(scratch.path("tokenizer")).unwrap();
    opened(&scratch, "a.safetensors");
    fs::remove_file(scratch.path("vocab.json")).unwrap();
    refused(&scratch, "a.safetensors", "holds no tokenizer; put the folder tokenizer");
    // A folder of a part alone.
    fs::create_dir(scratch.path("net")).unwrap();
    scratch.put("net/config.json", json!({"_class_name": "ControlNetModel"}).to_string());
    refused(&scratch, "net", "it is a ControlNetModel alone");
}

#[test]
fn loras_of_other_kinds_widths_and_models_are_refused_in_one_line() {
    let golden = golden();
    let scratch = scratch("lora-refused");
    scratch.put("sd.safetensors", written(&single(&golden, "1")));
    let unet = "lora_unet_mid_block_attentions_0_proj_in";
    let pair = |layer: &str, down: &[usize], up: &[usize]| {
        let tensor = |end: &str, shape: &[usize]| {
            let n = shape.iter().product();
            (format!("{layer}.{end}.weight"), shape.to_vec(), floats(&vec![8.0; n]))
        };
        vec![tensor("lora_down", down), tensor("lora_up", up)]
    };
    let also = |name: String, values: &[f32]| {
        let mut tensors = pair(unet, &[2, 64, 1, 1], &[64, 2, 1, 1]);
        tensors.push((name, vec![values.len()], floats(values)));
        tensors
    };
    for (tensors, words) in [
        (
            pair(unet, &[2, 65, 1, 1], &[64, 2, 1, 1]),
            "for another width than the layer's [64, 64, 1, 1]",
        ),
        (pair(unet, &[2, 64, 1, 1], &[64, 3, 1, 1]), "for another width"),
        (pair("lora_unet_mid_block_x", &[2, 64], &[64, 2]), "a layer that the model does not have"),
        (pair(unet, &[2, 64, 1, 1], &[64, 2, 1, 1])[..1].to_vec(), "has no other half"),
        (also(format!("{unet}.dora_scale"), &[1.0]), "is a DoRA, which is not supported"),
        (also(format!("{unet}.hada_w1_a"), &[1.0]), "is a LoHa"),
        (also(format!("{unet}.lokr_w1"), &[1.0]), "is a LoKr"),
        (also("lora_te2_text_model_x.alpha".into(), &[1.0]), "Stable Diffusion XL"),
        (also(format!("{unet}.alpha"), &[f32::NAN]), "is not one finite number"),
        (also(format!("{unet}.bias"), &[1.0]), "is no part of a LoRA"),
        (also(format!("{unet}.alpha"), &[f32::MAX]), "makes a weight infinite"),
        (vec![("x.weight".into(), vec![1], floats(&[1.0]))], "is no LoRA file"),
    ] {
        scratch.put("lora.safetensors", checkpoint::write(&tensors, None).unwrap());
        let name = format!("sd.safetensors?lora={}", scratch.path("lora.safetensors").display());
        refused(&scratch, &name, words);
    }
    let ran = scratch.run("sample --model fashion-ddpm --lora lora.safetensors --out x.png");
    assert!(ran.stderr.contains("only a text-to-image model takes one"), "{ran:?}");
    let ran = scratch
        .run("sample --model sd.safetensors --lora lora.safetensors@99 --prompt a --out x.png");
    assert!(ran.status == Some(2) && ran.stderr.contains("a strength from -10 to 10"), "{ran:?}");
}

#[test]
fn a_run_on_a_single_file_leaves_a_single_file() {
    let golden = golden();
    let scratch = scratch("single-run");
    let mut file = single(&golden, "1");
    more(&mut file);
    scratch.put("sd.safetensors", written(&file));
    // As large as the corpus's pictures.
    scratch.put("sd.yaml", "image_size: 8\n");
    let model = opened(&scratch, "sd.safetensors");
    scratch.put("style.safetensors", lora(&golden, "kohya", &model));
    let sample = "--prompt cat --steps 2 --n 1 --lora style.safetensors@0.5 --out x.png";
    let ran = scratch.run(&format!("sample --model sd.safetensors {sample}"));
    assert_eq!(ran.status, Some(0), "{ran:?}");
    for words in
        ["the sampler is PNDMScheduler", "merged the LoRA style.safetensors at strength 0.5"]
    {
        assert!(ran.stderr.contains(words), "{ran:?}");
    }
    let unlearn = "unlearn --data emoji --forget prompt:cat --budget tiny --steps 2 --json";
    let ran = scratch
        .run(&format!("{unlearn} --model sd.safetensors --lora style.safetensors --out run"));
    assert_eq!(ran.status, Some(0), "{ran:?}");
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert!(report["notes"].to_string().contains("is a single file"), "{report}");
    let recipe = fs::read_to_string(scratch.path("run/recipe.toml")).unwrap();
    assert!(recipe.contains("lora=") && recipe.contains("style.safetensors"), "{recipe}");
    let bytes = fs::read(scratch.path("run/model/model.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    file.remove("model_ema.decay");
    let mut names: Vec<&str> = tensors.names().into_iter().collect();
    names.sort_unstable();
    assert_eq!(names, file.keys().map(String::as_str).collect::<Vec<_>>());
    let saved = salun_studio::run::folder::read(&scratch.path("run")).unwrap();
    let saved = saved.model.latent().unwrap().clone();
    assert!(saved.unet.values != model.unet.values && saved.single.is_some());
    // The run's folder, and the file in it, open as what they are.
    for name in ["run", "run/model/model.safetensors"] {
        let again = opened(&scratch, name);
        assert_eq!(again.unet.values, saved.unet.values);
        assert_eq!(again.network.notes, Vec::<String>::new());
    }
    let ran = scratch.run(&format!("{unlearn} --model run --out again"));
    assert_eq!(ran.status, Some(0), "{ran:?}");
    // The change is put into the file that it came from, again where that was written.
    let ran = scratch.run("export --run run --delta d.safetensors");
    assert_eq!(ran.status, Some(0), "{ran:?}");
    let apply =
        "apply --model sd.safetensors --lora style.safetensors --delta d.safetensors --out applied";
    for more in ["", " --force"] {
        let ran = scratch.run(&format!("{apply}{more}"));
        assert_eq!(ran.status, Some(0), "{ran:?}");
        assert_eq!(opened(&scratch, "applied").unet.values, saved.unet.values);
    }
    // Another model's bytes in its place are seen.
    fs::write(scratch.path("run/model/model.safetensors"), written(&file)).unwrap();
    assert!(salun_studio::run::folder::read(&scratch.path("run")).is_err());
}
