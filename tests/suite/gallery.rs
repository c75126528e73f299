//! The runs of the gallery: each is what its recipe gives, and shows what is said of it.
//!
//! `SALUN_RECORD=1 cargo test --release --test suite -- gallery::a_record_is` makes all of them again, and
//! `SALUN_GALLERY=all` with the same command holds every record against its run; else one that takes seconds is.

use std::path::PathBuf;
use std::sync::Arc;

use crate::common::Client;
use salun_studio::engine::{Command, Event, Job, Run};
use salun_studio::gpu::{DeviceChoice, instructions};
use salun_studio::run::gallery::{EXHIBITS, Exhibit};
use salun_studio::run::record::{Record, Steps};
use salun_studio::studio::recorded;
use salun_studio::words::{Estimator, Recipe};

/// The exhibit whose run takes the least time.
const QUICK: &str = "gallery/ascent.run";

fn file(exhibit: &Exhibit) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "assets", exhibit.file].iter().collect()
}

fn recorded_of(exhibit: &Exhibit) -> Arc<Record> {
    let found = recorded::exhibit(exhibit).unwrap_or_else(|e| panic!("{}: {e}", exhibit.file));
    found.expect("a program has its files").clone()
}

/// Makes a run as the studio does: with what it showed on the way, and the rows that are to be forgotten.
fn watched(client: &mut Client, recipe: Recipe) -> (Arc<Run>, Steps, Option<usize>) {
    client.engine.tell(Command::ShowPreviews(true));
    let (mut steps, mut rows) = (Steps::new(), None);
    let outcome = client.heard(Job::Unlearn(recipe), |event| match event {
        Event::Step { live, .. } => steps.extend(live.grid.map(|grid| (live.step, grid))),
        Event::Pane { pane, .. } => rows = Some(pane.forgotten),
        _ => {}
    });
    let outcome = outcome.unwrap_or_else(|error| panic!("{error}"));
    (outcome.try_as_unlearned().expect("a run"), steps, rows)
}

/// Makes an exhibit's run and its control, and keeps what there is to keep.
fn made(client: &mut Client, exhibit: &Exhibit) -> Record {
    let (run, steps, rows) = watched(client, exhibit.recipe());
    let masked = run.mask.as_ref().is_some_and(|mask| mask.estimator != Estimator::Random);
    let control = masked.then(|| watched(client, exhibit.recipe().random_control()));
    let class = run.report.forget.spec.strip_prefix("class:");
    let class = class.and_then(|name| run.model.classes().iter().position(|c| c == name));
    let row = class.and_then(|class| run.before.rows.iter().position(|row| *row == Some(class)));
    let forgotten = match (rows, row) {
        (Some(rows), _) => 0..rows,
        (None, Some(row)) => row..row + 1,
        (None, None) => 0..0,
    };
    let control = control.as_ref().map(|(run, steps, _)| (&**run, steps));
    Record::of((&run, &steps), control, forgotten, Record::extent(run.before.channels))
}

#[test]
fn every_record_opens_and_shows_what_is_said_of_it() {
    let mut bytes = 0;
    for exhibit in &EXHIBITS {
        let record = recorded_of(exhibit);
        let title = exhibit.title;
        assert_eq!(record.recipe.protocol(), exhibit.recipe().protocol(), "{title}");
        assert_eq!(record.run.report.protocol, record.recipe.protocol(), "{title}");
        assert_eq!(record.run.report.verdict.label, exhibit.verdict, "{title}");
        let control = record.control.as_ref().map(|control| control.report.verdict.label);
        assert!(exhibit.control.is_none() || control == exhibit.control, "{title}: {control:?}");
        let steps = record.steps(&record.run);
        assert!(steps.len() >= 2 && steps[0].0 == 0, "{title}: before and after");
        assert!(steps.is_sorted_by_key(|(step, _)| *step), "{title}");
        assert_eq!(record.run.report.mask.is_some(), record.control.is_some(), "{title}");
        let frozen = record.run.report.mask.as_ref().map_or(0, |mask| mask.frozen_changed);
        assert_eq!(frozen, 0, "{title}");
        let [first, last] = record.forgotten;
        assert!(first <= last && last <= steps[0].1.rows.len(), "{title}");
        bytes += std::fs::metadata(file(exhibit)).unwrap().len();
    }
    assert!(bytes < 1_000_000, "{bytes} bytes");
}

#[test]
fn a_record_is_what_its_recipe_gives() {
    let wanted = |name: &str| std::env::var_os(name).is_some();
    let (record, all) = (wanted("SALUN_RECORD"), wanted("SALUN_GALLERY"));
    // Some by their files: `SALUN_GALLERY=cat,style`.
    let named = std::env::var("SALUN_GALLERY").unwrap_or_default();
    let chosen = |exhibit: &&Exhibit| match named.as_str() {
        "" | "all" => record || all || exhibit.file == QUICK,
        names => names.split(',').any(|name| exhibit.file.contains(&format!("/{name}."))),
    };
    let mut client = Client::new(DeviceChoice::Cpu);
    for exhibit in EXHIBITS.iter().filter(chosen) {
        let made = made(&mut client, exhibit);
        let verdict = &made.run.report.verdict;
        eprintln!(
            "{}: {} ({}); {}",
            exhibit.file,
            verdict.label.name(),
            verdict.why,
            made.control.as_ref().map_or("no control", |c| c.report.verdict.label.name())
        );
        if record {
            std::fs::create_dir_all(file(exhibit).parent().unwrap()).unwrap();
            std::fs::write(file(exhibit), salun_studio::wire::deflate(&made).unwrap()).unwrap();
            continue;
        }
        let was = recorded_of(exhibit);
        if was.instructions == instructions() {
            assert_eq!(made.run.weights, was.run.weights, "{}: the same bytes", exhibit.title);
            let hash = |record: &Record| record.control.as_ref().map(|c| c.weights.clone());
            assert_eq!(hash(&made), hash(&was), "{}: and of the control", exhibit.title);
        } else {
            eprintln!("recorded with {}, and here are {}", was.instructions, instructions());
            assert_eq!(verdict.label, was.run.report.verdict.label, "{}", exhibit.title);
        }
    }
}
