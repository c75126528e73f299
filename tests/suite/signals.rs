//! Stopping, and what stands in the way of an answer: whole files, and a status that says so.
#![cfg(unix)]

use std::{
    fs,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use crate::binary::{Ran, Scratch, bytes, ended, send, started};

const TRAIN: &str = "train fashion-classifier --data folder:mine --width 4 --batch 8 --steps 100000 \
                     --seed 3 --out own.safetensors";

fn words(line: &str) -> Vec<&str> {
    line.split(' ').filter(|w| !w.is_empty()).collect()
}

fn with_pictures(name: &str) -> Scratch {
    let scratch = Scratch::new(name);
    scratch.pictures("mine", 40);
    scratch
}

#[test]
fn two_signals_at_once_are_one_wish() {
    let scratch = with_pictures("two-signals");
    let running = started(scratch.salun(&words(TRAIN)));
    // A closing terminal, and `timeout`, send two.
    send(&running.0, "-HUP");
    send(&running.0, "-TERM");
    let ran = ended(running);
    assert_eq!(ran.status, Some(1), "{ran:?}");
    assert!(ran.stderr.contains("--resume goes on from it"), "{ran:?}");
    assert_eq!(scratch.names(), ["mine", "own.safetensors.state"]);
}

#[test]
fn what_was_started_to_outlive_a_terminal_does() {
    let scratch = with_pictures("nohup");
    let salun = scratch.salun(&words(TRAIN));
    let mut command = Command::new("nohup");
    command.arg(salun.get_program()).args(salun.get_args()).current_dir(&scratch.0);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut running = started(command);
    send(&running.0, "-HUP");
    std::thread::sleep(Duration::from_millis(400));
    assert!(running.0.try_wait().unwrap().is_none(), "it trains on");
    send(&running.0, "-TERM");
    assert_eq!(ended(running).status, Some(1));
}

#[test]
fn a_stop_is_answered_soon_and_a_second_one_at_once() {
    let wide = TRAIN.replace("--width 4 --batch 8", "--width 96 --batch 256");
    for second in [false, true] {
        // Of its own: where the update ends in time, its state is kept.
        let scratch = with_pictures(&format!("stop-{second}"));
        let running = started(scratch.salun(&words(&wide)));
        let clock = Instant::now();
        send(&running.0, "-INT");
        if second {
            std::thread::sleep(Duration::from_millis(700));
            send(&running.0, "-INT");
        }
        let ran = ended(running);
        assert_eq!(ran.status, Some(1), "{ran:?}");
        assert!(ran.stderr.contains("stopping; press Ctrl-C again"), "{ran:?}");
        // Four seconds of patience; how fast this machine is beside that is not asserted.
        assert!(clock.elapsed() < Duration::from_secs(20), "{:?}", clock.elapsed());
        let left: Vec<_> = scratch.names().into_iter().filter(|n| n.starts_with('.')).collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

#[test]
fn a_stop_before_the_work_leaves_nothing() {
    let scratch = with_pictures("early");
    let line = "sample --model fashion-ddpm --n 20 --steps 50 --out sheet.png";
    for after in [1, 5, 20, 50, 100] {
        let child = scratch.salun(&words(line)).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(after));
        send(&child, "-INT");
        child.wait_with_output().unwrap();
        assert_eq!(scratch.names(), ["mine"], "after {after} ms");
    }
}

#[test]
fn what_cannot_be_printed_is_a_failure() {
    let scratch = Scratch::new("full");
    for line in ["info --json", "info", "--help", "data list"] {
        let mut command = scratch.salun(&words(line));
        command.stdout(fs::OpenOptions::new().write(true).open("/dev/full").unwrap());
        let ran = Ran::of(command.output().unwrap());
        assert_eq!(ran.status, Some(1), "{line}: {ran:?}");
        assert!(ran.stderr.contains("standard output: "), "{line}: {ran:?}");
    }
    // A reader that has gone away is no failure.
    let mut command = scratch.salun(&["info", "--json"]);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    command.stdout(writer);
    assert_eq!(Ran::of(command.output().unwrap()).status, Some(0));
}

#[test]
fn an_environment_that_would_do_harm_is_put_right() {
    let scratch = with_pictures("environment");
    let line = TRAIN.replace("100000", "3");
    for (name, value) in
        [("RUST_MIN_STACK", "0"), ("RUST_MIN_STACK", "1"), ("RAYON_NUM_THREADS", "1000")]
    {
        let mut command = scratch.salun(&words(&line));
        let ran = Ran::of(command.arg("--force").env(name, value).output().unwrap());
        assert_eq!(ran.status, Some(0), "{name}={value}: {ran:?}");
    }
}

#[test]
fn an_update_that_ruins_the_weights_is_a_failure() {
    let scratch = with_pictures("ruin");
    scratch.put("tiny.safetensors", bytes(&scratch.classifier()));
    let before = scratch.names();
    for line in [
        "unlearn --model tiny.safetensors --data fashion-mnist@200 --forget class:1 --method ga \
         --budget tiny --steps 1 --lr 1e30 --out run",
        "train fashion-classifier --data folder:mine --width 4 --batch 8 --steps 1 --lr 1e30 --out \
         own.safetensors",
    ] {
        let ran = scratch.run(line);
        assert_eq!(ran.status, Some(1), "{line}: {ran:?}");
        assert!(ran.stderr.contains("choose a smaller --lr"), "{line}: {ran:?}");
        assert_eq!(scratch.names(), before, "{line}");
    }
}
