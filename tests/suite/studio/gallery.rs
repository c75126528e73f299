//! Recorded runs in the studio: opened at once, marked as recorded, made again.

use std::sync::Arc;

use egui::{Key, Theme};
use egui_kittest::kittest::Queryable;

use super::answers::{grid, run};
use super::played::{unlearn_recipe, window};
use salun_studio::engine::{Job, LogLine, Run};
use salun_studio::run::gallery::EXHIBITS;
use salun_studio::run::record::{Record, Steps};
use salun_studio::studio::{Arm, views};
use salun_studio::words::{Estimator, Recipe, Task};

/// A run of some updates as it was on its way.
fn watched(recipe: Recipe) -> (Run, Steps) {
    let mut run = run(recipe);
    run.log = (1..=40)
        .map(|step| LogLine { step, loss: 1.0, parts: Default::default(), seconds: 0.0 })
        .collect();
    let steps = (1..4).map(|i| (10 * i, Arc::new(grid(i)))).collect();
    (run, steps)
}

fn example() -> Arc<Record> {
    let recipe = Recipe::new("fashion-ddpm", "fashion-mnist", "class:Sneaker");
    let (run, steps) = watched(recipe.clone());
    let (control, none) = watched(recipe.random_control());
    let row = run.before.rows.iter().position(|row| *row == Some(7)).unwrap();
    let extent = Record::extent(1);
    Record::of((&run, &steps), Some((&control, &none)), row..row + 1, extent).into()
}

#[test]
fn a_record_keeps_what_there_is_to_see_and_no_weights() {
    let record = example();
    let steps = record.steps(&record.run);
    let at: Vec<usize> = steps.iter().map(|(step, _)| *step).collect();
    assert_eq!((at[0], at[at.len() - 1]), (0, 40), "{at:?}");
    assert!(at.len() >= 4 && at.is_sorted(), "{at:?}");
    let (run, on_the_way) = watched(record.recipe.clone());
    for (step, kept) in &steps {
        let whole = match step {
            0 => &run.before,
            40 => &run.after,
            _ => &on_the_way.iter().find(|(s, _)| s == step).unwrap().1,
        };
        for row in 0..kept.rows.len() {
            for column in 0..kept.columns {
                let pairs = kept.pixels_of(row, column).iter().zip(whole.pixels_of(row, column));
                let most = pairs.map(|(a, b)| a.abs_diff(*b)).max().unwrap();
                assert!(most < 8, "step {step}: {most} levels of 256");
                let [a, b] = [kept, whole].map(|grid| grid.seen_in(row, column).map(|s| s.0));
                assert_eq!(a, b, "what was seen");
            }
        }
    }
    let bytes = salun_studio::wire::deflate(&*record).unwrap().len();
    assert!(bytes < 60_000, "{bytes} bytes");
}

#[test]
fn a_recorded_run_is_there_at_once_and_made_again_by_one_press() {
    let (mut window, played) = window([1280.0, 800.0], Theme::Light);
    window.run();
    let record = example();
    window.state_mut().state.show_record(&record);
    window.run();
    // Nothing was answered yet: no model is open.
    assert!(window.state().state.session().opened.is_none());
    assert_eq!(window.state().state.task, Task::Generate);
    window.get_by_label("Recorded");
    window.get_by_label_contains("After (SalUn): ");
    window.get_by_label_contains("Random mask: ");
    window.get_by_label_contains("As recorded; the scores come");
    window.get_by_label_contains("Sneaker is no longer recognised");
    let steps: Vec<usize> = record.steps(&record.run).iter().map(|(step, _)| *step).collect();
    assert_eq!(window.state().state.session().stops(), steps);
    window.get_by_label("Timeline").focus();
    window.key_press(Key::ArrowLeft);
    window.run();
    assert!(window.state().state.session().scrub.is_some(), "the timeline is scrubbed");

    played.answer();
    window.run();
    window.get_by_label("Recorded");
    window.get_by_label("Replay").click();
    window.run();
    // First the scores, where they were asked for, then the run.
    while !matches!(played.asked().1, Job::Unlearn(_)) {
        played.answer();
        window.run();
    }
    assert_eq!(unlearn_recipe(&played.asked().1).protocol(), record.recipe.protocol());
    assert!(window.query_by_label("Recorded").is_none(), "it is made here now");
    for _ in Arm::BOTH {
        played.answer();
        window.run();
    }
    let told = |window: &egui_kittest::Harness<salun_studio::studio::Studio>, text: &str| {
        window.state().state.session().notes.iter().filter(|note| note.contains(text)).count()
    };
    assert_eq!(
        told(&window, "Replayed: the same bytes"),
        2,
        "{:?}",
        window.state().state.session().notes
    );
    let mut other = Record::clone(&record);
    Arc::make_mut(&mut other.run).weights = "0".repeat(64);
    let run = window.state().state.session().run(Arm::Method).unwrap().clone();
    assert!(other.compared(&other.run, &run).contains("computes otherwise"));
    other.instructions = "other instructions".into();
    assert!(other.compared(&other.run, &run).contains("recorded with other instructions"));
}

#[test]
fn the_gallery_hangs_a_card_for_every_exhibit() {
    for size in [[1280.0, 800.0], [1024.0, 700.0], [390.0, 844.0]] {
        let (mut window, played) = window(size, Theme::Dark);
        window.run();
        played.answer();
        window.run();
        window.state_mut().view = &views::gallery::VIEW;
        window.run();
        for exhibit in &EXHIBITS {
            let title = format!("{}: ", exhibit.title);
            let cards = window.query_all_by_label_contains(&title).count();
            assert_eq!(cards, 1, "{size:?}: {title}");
        }
        let exhibit = &EXHIBITS[0];
        let title = format!("{}: ", exhibit.title);
        let first = window.get_by_label_contains(&title);
        assert!(first.rect().width() <= size[0] && first.rect().height() > 100.0);
        first.click();
        window.run();
        let session = window.state().state.session();
        let record = session.record.as_ref().expect("the record is shown");
        assert_eq!(record.recipe, exhibit.recipe());
        window.get_by_label("Replay");
        assert!(window.query_all_by_label("Gallery").next().is_some());
    }
}

#[test]
fn every_exhibit_says_another_thing_of_another_run() {
    let mut seen = std::collections::HashSet::new();
    for exhibit in &EXHIBITS {
        let recipe = exhibit.recipe();
        recipe.check().unwrap_or_else(|e| panic!("{}: {e}", exhibit.title));
        assert!(seen.insert(recipe.protocol()), "{} is there twice", exhibit.title);
        assert!(recipe.mask != Some(Estimator::Random) && exhibit.title.len() < 40);
        assert!(exhibit.says.len() < 110, "{}", exhibit.says);
    }
    let tasks: std::collections::HashSet<_> = EXHIBITS.iter().map(|e| e.recipe().model).collect();
    assert_eq!(tasks.len(), Task::ALL.len(), "every task has its own");
}
