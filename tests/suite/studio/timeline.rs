//! The bottom: one bar over scores, updates, verdict and control, the loss by its parts, figures in rounds.

use std::sync::Arc;

use egui::Theme;
use egui_kittest::{Harness, kittest::Queryable};

use crate::studio::{
    answers::{grid, metrics},
    played::tried,
};
use salun_studio::engine::{Event, Job};
use salun_studio::job_context::{Progress, Whole};
use salun_studio::studio::Studio;
use salun_studio::words::Metrics;

#[test]
fn the_loss_has_a_curve_of_what_is_forgotten_and_one_of_what_is_kept() {
    let (window, _) = tried([1440.0, 900.0], Theme::Dark);
    window.get_by_label("SalUn forget");
    window.get_by_label("retain");
    let session = window.state().state.session();
    for attempt in session.attempts.iter().flatten() {
        let curves: Vec<_> =
            attempt.curves().iter().map(|(name, all)| (*name, all.len())).collect();
        assert_eq!(curves, [(" forget", 40), (" retain", 40)]);
    }
}

#[test]
fn one_bar_goes_on_through_the_verdict_to_the_control() {
    let (mut window, played) = tried([1440.0, 900.0], Theme::Dark);
    let tell = |window: &mut Harness<Studio>, phase: &str, done, seconds_left| {
        let (id, _) = played.asked();
        let then = if matches!(played.asked().1, Job::Unlearn(r) if r.mask.is_some()) {
            0.0
        } else {
            40.0
        };
        let whole = Whole { done, total: 60.0, seconds_left, then, then_seconds: Some(8.0) };
        let (phase, whole) = (phase.into(), Some(whole));
        let progress = Progress { phase, done: 12, total: 150, seconds_left, whole };
        played.tell(Event::Progress { id, progress });
        window.step();
        let state = &window.state().state;
        state.work.as_ref().unwrap().way(state.eager()).unwrap()
    };
    window.state_mut().state.forget();
    let way = tell(&mut window, "Scoring weights", 0.0, None);
    assert_eq!((way.share, way.verdict), (0.0, Some(0.6)));
    let way = tell(&mut window, "SalUn", 30.0, Some(12.0));
    assert_eq!(way.share, 0.3);
    window.get_by_label_contains("12 s left to the verdict");
    // What it ended with is there before its verdict is.
    let (id, _) = played.asked();
    let metrics = Metrics { n: [20, 90, 90], ..metrics(90.0) }.with_intervals();
    played.tell(Event::After { id, grid: Some(Arc::new(grid(6))), metrics: Some(metrics) });
    window.step();
    window.get_by_label_contains("Measuring, in rounds");
    window.get_by_label("69.9–97.2");
    played.answer();
    window.run();
    let way = tell(&mut window, "SalUn", 0.0, Some(20.0));
    assert_eq!((way.share, way.verdict), (0.5, None), "the control goes on where the run ended");
    window.get_by_label_contains("20 s left");
    let way = tell(&mut window, "Evaluating", 60.0, Some(0.0));
    assert_eq!(way.share, 1.0);
}
