use std::{fs, path::PathBuf};

use super::*;
use crate::train::latent::PLAN;

fn asked() -> TrainRequest {
    TrainRequest {
        preset: "fashion-classifier".into(),
        data: "fashion-mnist".into(),
        steps: Some(4),
        batch: Some(8),
        width: Some(4),
        seed: 1,
        ..TrainRequest::default()
    }
}

fn snapshot(stage: Option<Stage>, seconds: Vec<f64>) -> Snapshot {
    let vectors = vec![("vae/weights".into(), vec![1.5, -2.0])];
    Snapshot { stage, step: 3, seconds, vectors, ..Snapshot::default() }
}

fn path(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("salun-{name}-{}", std::process::id()))
}

#[test]
fn a_state_comes_back_to_the_bit_and_only_for_its_own_run() {
    let log = vec![LogLine { step: 1, loss: 2.5, parts: Default::default(), seconds: 0.25 }];
    let path = path("state");
    let prompts = preset::request(&PLAN, "emoji".into(), None);
    for (asked, given) in [
        (asked(), snapshot(None, vec![0.5])),
        (prompts, snapshot(Some(Stage::Diffusion), vec![1.0, 2.0])),
    ] {
        write(&path, &asked, &given, &log).unwrap();
        let (back, lines) = read(&path, &asked).unwrap();
        assert_eq!((back.stage, back.step, &back.seconds), (given.stage, 3, &given.seconds));
        assert_eq!((&back.vectors, lines), (&given.vectors, log.clone()));

        let other = TrainRequest { seed: 2, ..asked.clone() };
        let error = read(&path, &other).unwrap_err().to_string();
        assert!(error.ends_with("seed was 1, now 2"), "{error}");
        let other = TrainRequest { from: Some("emoji-t2i".into()), ..asked.clone() };
        assert!(read(&path, &other).is_err());

        let whole = fs::read(&path).unwrap();
        for cut in [0, 7, 8, 100, whole.len() / 2, whole.len() - 1] {
            fs::write(&path, &whole[..cut]).unwrap();
            assert_eq!(read(&path, &asked).unwrap_err().exit_code(), 2);
        }
    }
    fs::remove_file(path).unwrap();
}

#[test]
fn states_of_before_there_was_one_kind_are_read() {
    let path = path("old-state");
    let vector = |name: &str| (name.to_string(), vec![2], Precision::Full.bytes(&[1.5, -2.0]));
    let put = |tensors: &[_], key, head: serde_json::Value| {
        let file = checkpoint::write(tensors, Some((key, head.to_string()))).unwrap();
        fs::write(&path, file).unwrap();
    };
    let classes = serde_json::json!({
        "format": 1, "step": 3, "seconds": 0.5, "log": [],
        "asked": {
            "model": "fashion-classifier", "data": "fashion-mnist", "retain": null, "epochs": null,
            "steps": 4, "batch": 8, "lr": null, "width": 4, "seed": 1,
        },
    });
    put(&[vector("ema")], KEYS[0], classes);
    let (back, _) = read(&path, &asked()).unwrap();
    assert_eq!((back.stage, back.step, back.seconds.as_slice()), (None, 3, &[0.5][..]));
    assert_eq!(back.vector("average", 2).unwrap(), [1.5, -2.0]);
    let missing = back.vector("first", 2).unwrap_err().to_string();
    assert!(missing.contains("first") && missing.contains("is missing"), "{missing}");

    let prompts = serde_json::json!({
        "format": 1, "stage": "decoder", "step": 3, "seconds": [1.0, 2.0, 0.5], "log": [],
        "asked": { "data": "emoji", "from": null, "plan": PLAN },
    });
    put(&[vector("vae/weights")], KEYS[1], prompts);
    let (back, _) = read(&path, &preset::request(&PLAN, "emoji".into(), None)).unwrap();
    assert_eq!((back.stage, back.seconds.as_slice()), (Some(Stage::Decoder), &[1.0, 2.0, 0.5][..]));
    let other = LatentPlan { concepts: 5, ..PLAN };
    let error = read(&path, &preset::request(&other, "emoji".into(), None)).unwrap_err();
    assert!(error.to_string().ends_with("concepts was 96, now 5"), "{error}");
    fs::remove_file(path).unwrap();
}
