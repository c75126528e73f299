//! The studio with the real engine: a person picks a class, presses Forget, sees it forgotten.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use egui_kittest::{Harness, kittest::Queryable};

use crate::common::Client;
use crate::studio::lessons::{PLAYS, perform};
use salun_studio::engine::{Engine, Grid, Job, Opened, Outcome, TraceRequest, Traced};
use salun_studio::error::Error;
use salun_studio::gpu::{DeviceChoice, device};
use salun_studio::models::registry;
use salun_studio::saliency::By;
use salun_studio::studio::{Parcel, SaveHook, Studio, recorded};
use salun_studio::unlearn::registry::METHODS;
use salun_studio::words::{Budget, Piece, Recipe, Report, Task};

/// Runs the window until a widget with this label is there; the engine works meanwhile.
fn until(window: &mut Harness<Studio>, label: &str) {
    let started = Instant::now();
    while window.query_all_by_label_contains(label).next().is_none() {
        assert!(started.elapsed() < Duration::from_secs(900), "waited too long for '{label}'");
        std::thread::sleep(Duration::from_millis(30));
        window.step();
    }
}

/// The first label that contains `part`.
fn label(window: &Harness<Studio>, part: &str) -> String {
    use egui_kittest::kittest::NodeT;
    let node = window.query_all_by_label_contains(part).next().expect("the label is there");
    node.accesskit_node().label().unwrap_or_default()
}

/// The window with the classifier, and with an engine on the CPU.
fn window() -> Harness<'static, Studio> {
    window_of([1280.0, 800.0])
}

fn window_of(size: [f32; 2]) -> Harness<'static, Studio> {
    let engine = Engine::spawn(device::open(DeviceChoice::Cpu).expect("the CPU"));
    let save: SaveHook = Box::new(|_: Parcel| Err(Error::Request("not in this test".into())));
    let studio = Studio::on(Task::Classify, Box::new(engine), Arc::new(save));
    let mut window = Harness::builder()
        .with_size(size)
        .with_max_steps(20)
        .build_ui_state(|ui, studio: &mut Studio| studio.show(ui), studio);
    window.step();
    window
}

/// The pictures of a row of a model as it is opened, drawn now, whatever is recorded; and what is seen in them.
fn drawn(client: &mut Client, shown: &Opened, row: usize) -> (Vec<u8>, Vec<Option<(usize, f32)>>) {
    let Outcome::Traced(trace) = client.run(Job::Trace(TraceRequest {
        model: shown.name.clone(),
        seed: shown.seed,
        budget: shown.budget,
        recipe: None,
        row,
        columns: (0..shown.grid.columns).collect(),
        of: vec![Traced::Original],
    })) else {
        unreachable!()
    };
    let (steps, film) = (trace.moments.len(), &trace.films[0].predicted);
    let each = film.pixels.len() / film.seen.len();
    let last = |i: usize| i * steps + steps - 1;
    let tile = |i: usize| &film.pixels[last(i) * each..][..each];
    let tiles = 0..shown.grid.columns;
    (tiles.clone().flat_map(tile).copied().collect(), tiles.map(|i| film.seen[last(i)]).collect())
}

#[test]
fn the_recorded_pictures_are_those_that_the_models_show() {
    let mut client = Client::new(DeviceChoice::Cpu);
    let first = Task::ALL.into_iter().map(|task| registry::first(task).to_string());
    for model in first.chain(["fashion-ddpm-retrain-sneaker".into()]) {
        // With another seed nothing is recorded: rows and their names are the model's own.
        let record = std::env::var_os("SALUN_RECORD").is_some();
        let seed = if record { 2 } else { 1 };
        let job = Job::Open { model: model.clone(), seed, budget: Budget::Brief };
        let Outcome::Opened(shown) = client.run(job) else { unreachable!() };
        let mut shown = Opened { seed: 1, ..Opened::clone(&shown) };
        // A row tells; to record, all are drawn.
        let mut rows = shown.grid.rows.len();
        if shown.task != Task::Classify {
            rows = if record { rows } else { 1 };
            let now: Vec<_> = (0..rows).map(|row| drawn(&mut client, &shown, row)).collect();
            let grid = Arc::make_mut(&mut shown.grid);
            let pixels = now.iter().flat_map(|(pixels, _)| pixels).copied();
            let n = now.iter().map(|(pixels, _)| pixels.len()).sum::<usize>();
            grid.pixels.splice(..n, pixels);
            let seen = now.iter().flat_map(|(_, seen)| seen).copied();
            grid.seen.splice(..rows * grid.columns, seen);
        }
        if record {
            let file = format!("assets/recorded/{model}.opened");
            std::fs::write(file, salun_studio::wire::deflate(&shown).unwrap()).unwrap();
            continue;
        }
        let recorded = recorded::opened(&model).unwrap_or_else(|| panic!("{model} is recorded"));
        assert_eq!((&recorded.classes, recorded.params), (&shown.classes, shown.params));
        assert_eq!(recorded.grid.rows, shown.grid.rows);
        // Sums, and with them pixels, differ a little between processors.
        let n = shown.grid.pixels.len() * rows / shown.grid.rows.len();
        let both = recorded.grid.pixels.iter().zip(&shown.grid.pixels).take(n);
        let mean = both.map(|(a, b)| f64::from(a.abs_diff(*b))).sum::<f64>() / n as f64;
        assert!(mean < 1.0, "{model}: {mean} levels of 255");
        let classes = |grid: &Grid| -> Vec<_> {
            let seen = grid.seen.iter().take(rows * grid.columns);
            seen.map(|seen| seen.map(|(class, _)| class)).collect()
        };
        let [was, now] = [classes(&recorded.grid), classes(&shown.grid)];
        let other = was.iter().zip(&now).filter(|(was, now)| was != now).count();
        assert!(other <= 1, "{model}: {other} of {} are seen as others", now.len());
    }
}

#[test]
fn the_recorded_masks_have_in_common_what_the_models_masks_have() {
    let model = "fashion-classifier";
    let recipe = Recipe::new(model, "fashion-mnist", "class:Sneaker");
    let job = Job::Overlap { recipe, by: By::Classes, seeds: 1 };
    let Outcome::Overlapped(found) = Client::new(DeviceChoice::Cpu).run(job) else {
        unreachable!()
    };
    if std::env::var_os("SALUN_RECORD").is_some() {
        let file = format!("assets/recorded/{model}.overlap");
        return std::fs::write(file, salun_studio::wire::deflate(&*found).unwrap()).unwrap();
    }
    let recorded = recorded::overlap(model).expect("it is recorded");
    assert_eq!((&recorded.names, recorded.k), (&found.names, recorded.n / 2));
    for (row, iou) in recorded.iou.iter().enumerate() {
        assert!(iou[row] == 1.0 && iou.iter().all(|iou| *iou > recorded.chance));
    }
    // Sums differ a little between processors.
    let apart = recorded.iou.iter().flatten().zip(found.iou.iter().flatten());
    assert!(apart.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max) < 0.01);
}

#[test]
fn every_method_for_classifiers_runs() {
    let mut window = window();
    let idle = |window: &mut Harness<Studio>, what: &str| {
        let started = Instant::now();
        window.step();
        while window.state().state.work.is_some() || window.state().state.session().opened.is_none()
        {
            assert!(started.elapsed() < Duration::from_secs(900), "waited too long for {what}");
            std::thread::sleep(Duration::from_millis(20));
            window.step();
        }
        assert!(window.state().state.error.is_none(), "{what}: {:?}", window.state().state.error);
    };
    idle(&mut window, "the classifier");
    window.state_mut().state.set_budget(Budget::Tiny);
    idle(&mut window, "the classifier's pictures");
    window.get_by_label("Sneaker").click();
    idle(&mut window, "the scores");
    for method in METHODS.iter().filter(|method| method.treats(Task::Classify).is_some()) {
        window.state_mut().state.set_method(method.name);
        idle(&mut window, method.name);
        window.get_by_label("Forget").click();
        idle(&mut window, method.name);
        let (_, run) = window.state().state.finished().next().expect("a run");
        assert_eq!(run.report.method, method.name);
        assert!(run.report.mask.as_ref().is_none_or(|mask| mask.frozen_changed == 0));
    }
}

#[test]
fn a_person_sees_a_class_forgotten() {
    let mut window = window();
    until(&mut window, "Sneaker");
    window.get_by_label("Sneaker").click();
    until(&mut window, "layer1.0.conv1.weight");
    window.step();
    let before = label(&window, "Before: ");
    window.get_by_label("Forget").click();
    until(&mut window, "frozen weights changed");
    let after = label(&window, "After (SalUn): ");
    let seen = |text: &str| text.split("Sneaker ").nth(1).map(|t| t.chars().next());
    assert_ne!(seen(&before), seen(&after), "{before} / {after}");
    window.get_by_label_contains("0 frozen weights changed");
    let verdicts = ["Forgot", "Under-forgot:", "Over-forgot:"];
    assert!(verdicts.iter().any(|v| window.query_all_by_label_contains(v).next().is_some()));
    // Its random-mask control follows by itself.
    while window.query_all_by_label_contains("0 frozen weights changed").count() < 2 {
        std::thread::sleep(Duration::from_millis(30));
        window.step();
    }
}

/// What a run came to, in a line.
fn figures(report: &Report) -> String {
    let after = &report.after;
    let curve = report.audit.as_ref().and_then(|audit| audit.run.relearn.as_ref());
    format!(
        "{} {} {}, density {}: {}; UA {:.1}, RA {:.1}, TA {:.1}, gap {:?}, classes {:?}, back {:?}, {:.0} s",
        report.task,
        report.forget.spec,
        report.method,
        report.mask.as_ref().map_or(1.0, |mask| mask.density),
        report.verdict.label.name(),
        after.UA,
        after.RA,
        after.TA,
        report.gap.as_ref().map(|gap| gap.average),
        after.per_class.iter().map(|share| share.round()).collect::<Vec<_>>(),
        curve.and_then(|curve| curve.accuracy.last()),
        report.seconds.mask + report.seconds.unlearn + report.seconds.evaluate
    )
}

#[test]
#[ignore = "many minutes; scripts/lessons.sh runs it"]
fn the_lessons_are_passed_with_the_real_engine_and_wrong_ways_are_not_accepted() {
    // Tall, so that every layer has its row.
    let mut window = window_of([1280.0, 2600.0]);
    let only = std::env::var("SALUN_LESSON").unwrap_or_default();
    let calm = |window: &mut Harness<Studio>| {
        let started = Instant::now();
        window.step();
        while window.state().state.work.is_some() {
            assert!(started.elapsed() < Duration::from_secs(1800), "waited too long");
            std::thread::sleep(Duration::from_millis(30));
            window.step();
        }
        let state = &window.state().state;
        assert!(state.error.is_none(), "{:?}", state.error);
        for (arm, run) in state.finished() {
            println!("  {arm:?}: {}", figures(&run.report));
        }
    };
    for play in PLAYS.iter().filter(|play| only.is_empty() || play.lesson == only) {
        println!("{}", play.lesson);
        window.state_mut().follow(&format!("lesson={}", play.lesson));
        // A control takes as long as its run, and only one lesson is about it.
        window.state_mut().state.hide(Piece::Control, play.lesson != "control");
        calm(&mut window);
        perform(play, &mut window, calm);
    }
}
