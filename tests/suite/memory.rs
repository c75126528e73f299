//! What `salun info --model` foretells, beside what the system says that each job held.
#![cfg(target_os = "linux")]

use std::{path::Path, process::Stdio, sync::Arc};

use serde_json::Value;

use crate::binary::Scratch;
use salun_studio::models::latent::{
    AutoencoderConfig, LatentModel, LatentNetwork, PerLevel, TextConfig, UnetConfig, folder,
};
use salun_studio::models::{Precision, open_latent};

/// How far a peak may be from what was foretold.
const WITHIN: f64 = 0.15;

/// A model that is wide where the shipped one is narrow, with fresh weights.
fn wide() -> LatentModel {
    let shipped = open_latent("emoji-t2i").unwrap().network;
    let unet = UnetConfig {
        block_out_channels: vec![192, 384, 512],
        norm_num_groups: 16,
        ..shipped.unet.config.clone()
    };
    let (text, vae) = (shipped.text.config.clone(), shipped.vae.config.clone());
    let tokenizer = shipped.tokenizer.clone();
    LatentModel::fresh(LatentNetwork::new(tokenizer, text, unet, vae, shipped.scheduler).into(), 1)
}

/// The most bytes of main memory that a command line held.
fn peak(scratch: &Scratch, line: &str) -> u64 {
    let arguments: Vec<&str> = line.split(' ').collect();
    let mut command = scratch.salun(&arguments);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let mut most = 0;
    // What the system says at the end counts the process that it was forked from, too.
    let status = loop {
        let said = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
        let kib = said.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = kib.map_or(0, |kib| kib.trim().trim_end_matches(" kB").parse().unwrap());
        most = most.max(1024 * kib);
        match child.try_wait().unwrap() {
            Some(status) => break status,
            None => std::thread::sleep(std::time::Duration::from_millis(5)),
        }
    };
    assert!(status.success(), "{line}: {status}");
    most
}

/// What is foretold of each job, in the order of a run.
fn foretold(scratch: &Scratch, line: &str) -> Vec<(String, u64)> {
    let ran = scratch.run(&format!("info {line} --json"));
    let said: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|e| panic!("{e}: {ran:?}"));
    let all = said["memory"].as_array().unwrap().iter();
    all.map(|need| (need["job"].as_str().unwrap().into(), need["host"].as_u64().unwrap())).collect()
}

#[test]
fn every_job_holds_what_is_foretold() {
    let scratch = Scratch::new("peaks");
    scratch.pipeline("wide", &wide());
    let needs = foretold(&scratch, "--model wide --budget tiny --batch 16 --density 0.5");
    let base = "--model wide --data emoji --forget prompt:cat --budget tiny";
    let unlearn =
        format!("unlearn {base} --steps 2 --batch 16 --density 0.5 --judge none --out run");
    let jobs = [
        ("sample --model wide --prompt cat --n 1 --steps 2 --out cat.png".to_string(), 1),
        (format!("saliency {base} --out mask.safetensors"), 2),
        (unlearn, needs.len()),
    ];
    let mut off = Vec::new();
    for (line, n) in jobs {
        let most = needs[..n].iter().map(|(_, bytes)| *bytes).max().unwrap();
        let found = peak(&scratch, &line);
        let ratio = found as f64 / most as f64;
        let [most, found] = [most, found].map(|bytes| bytes as f64 / f64::from(1 << 20));
        eprintln!("{}: {found:.0} MiB, foretold {most:.0}: {ratio:.3}", &line[..8]);
        off.extend(((ratio - 1.0).abs() > WITHIN).then_some((line, ratio)));
    }
    assert!(off.is_empty(), "{off:?}");
}

#[test]
fn a_run_that_does_not_fit_is_refused_before_its_weights_are_read() {
    let scratch = Scratch::new("refused");
    scratch.pipeline("wide", &wide());
    let all = "salun unlearn --model wide --data emoji --forget prompt:cat --out run --device cpu";
    let shell = |script: &str| {
        let salun = env!("CARGO_BIN_EXE_salun");
        let mut command = std::process::Command::new("sh");
        command.current_dir(&scratch.0).arg("-c").arg(script.replace("salun", salun));
        crate::binary::Ran::of(command.output().unwrap())
    };
    std::fs::remove_file(scratch.path("wide/unet/diffusion_pytorch_model.safetensors")).unwrap();
    let ran = shell(&format!("ulimit -v 2400000; {all} --batch 64"));
    assert_eq!(ran.status, Some(2), "{ran:?}");
    assert!(ran.stderr.contains("GiB of memory where it is largest"), "{ran:?}");
    assert_eq!(ran.complaints().len(), 1, "{ran:?}");
}

/// Writes a folder in the shape of Stable Diffusion 1.x with fresh weights, in half precision (2.1 GB), where
/// `SALUN_FULL` says: what the figures of `docs/memory.md` are measured with.
#[test]
#[ignore = "writes 2 GB"]
fn a_model_at_full_size_is_written_where_it_is_asked_for() {
    let to = std::env::var_os("SALUN_FULL").expect("SALUN_FULL names the folder");
    let shipped = open_latent("emoji-t2i").unwrap().network;
    let side = std::env::var("SALUN_FULL_SIDE").map_or(64, |side| side.parse().unwrap());
    let kinds = |all: [&str; 4]| all.map(String::from).to_vec();
    let [cross_down, down] = ["CrossAttnDownBlock2D", "DownBlock2D"];
    let [cross_up, up] = ["CrossAttnUpBlock2D", "UpBlock2D"];
    let unet = UnetConfig {
        sample_size: side,
        block_out_channels: vec![320, 640, 1280, 1280],
        down_block_types: kinds([cross_down, cross_down, cross_down, down]),
        up_block_types: kinds([up, cross_up, cross_up, cross_up]),
        layers_per_block: 2,
        cross_attention_dim: 768,
        attention_head_dim: PerLevel::All(8),
        norm_num_groups: 32,
        ..shipped.unet.config.clone()
    };
    let vae = AutoencoderConfig {
        sample_size: 8 * side,
        block_out_channels: vec![128, 256, 512, 512],
        layers_per_block: 2,
        norm_num_groups: 32,
        scaling_factor: 0.18215,
        ..shipped.vae.config.clone()
    };
    let text = TextConfig {
        vocab_size: 49_408,
        hidden_size: 768,
        intermediate_size: 3072,
        num_hidden_layers: 12,
        num_attention_heads: 12,
        ..shipped.text.config.clone()
    };
    let tokenizer = shipped.tokenizer.clone();
    let network = Arc::new(LatentNetwork::new(tokenizer, text, unet, vae, shipped.scheduler));
    let n = network.layouts.each_ref().map(|layout| layout.n());
    assert_eq!(n[1..], [859_520_964, 83_653_863]);
    for (name, bytes) in folder::write(&LatentModel::fresh(network, 1), Precision::Half).unwrap() {
        let path = Path::new(&to).join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
}
