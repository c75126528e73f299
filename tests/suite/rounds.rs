//! From Forget to the verdict: one bar over all of it, pictures before figures, figures in rounds.

use crate::common::Client;
use salun_studio::engine::{Event, Job, Run};
use salun_studio::gpu::DeviceChoice;
use salun_studio::job_context::Progress;
use salun_studio::words::{Budget, Estimator, Metrics, Recipe, SampleOptions};
use std::sync::Arc;

/// What was heard of a run, in order.
#[derive(Default)]
struct Heard {
    progress: Vec<Progress>,
    /// "step", "pictures" or "figures".
    order: Vec<&'static str>,
    rounds: Vec<Metrics>,
}

fn hear(client: &mut Client, recipe: Recipe) -> (Arc<Run>, Heard) {
    let mut heard = Heard::default();
    let outcome = client.heard(Job::Unlearn(recipe), |event| match event {
        Event::Progress { progress, .. } => heard.progress.push(progress),
        Event::Step { .. } => heard.order.push("step"),
        Event::After { grid, metrics, .. } => {
            heard.order.extend(grid.map(|_| "pictures"));
            heard.order.extend(metrics.as_ref().map(|_| "figures"));
            heard.rounds.extend(metrics);
        }
        _ => {}
    });
    let outcome = outcome.unwrap_or_else(|error| panic!("{error}"));
    (outcome.try_as_unlearned().expect("a run"), heard)
}

fn tiny() -> [Recipe; 3] {
    let of =
        |model, data, forget| Recipe { budget: Budget::Tiny, ..Recipe::new(model, data, forget) };
    let mut all = [
        of("fashion-classifier", "fashion-mnist", "class:Bag"),
        of("fashion-ddpm", "fashion-mnist", "class:Bag"),
        of("emoji-t2i", "emoji", "prompt:a cat"),
    ];
    all[1].sampling = Some(SampleOptions { steps: 2, ..Default::default() });
    all[2].sampling = Some(SampleOptions { steps: 2, ..Default::default() });
    all
}

#[test]
fn one_bar_goes_from_scoring_to_the_verdict_and_every_part_was_foreseen() {
    for recipe in tiny() {
        let mut client = Client::new(DeviceChoice::Cpu);
        let (_, heard) = hear(&mut client, recipe.clone());
        let whole: Vec<_> = heard.progress.iter().filter_map(|p| p.whole).collect();
        let shares: Vec<f64> = whole.iter().map(|w| w.done / w.total).collect();
        assert!(shares.is_sorted(), "{}: {shares:?}", recipe.model);
        assert!(shares[0] < 0.2 && *shares.last().unwrap() > 0.99, "{}: {shares:?}", recipe.model);
        assert!(whole.iter().all(|w| w.then > 0.0), "a control may follow");
        // What was not foreseen would leave the bar where it is while it counts to its end.
        let mut phases: Vec<(&str, f64)> = Vec::new();
        for Progress { phase, whole, .. } in &heard.progress {
            let share = whole.map_or(0.0, |w| w.done / w.total);
            match phases.last_mut() {
                Some((name, end)) if name == phase => *end = share,
                _ => phases.push((phase, share)),
            }
        }
        let mut before = 0.0;
        for (phase, end) in phases {
            let judge = phase == "Looking at real pictures";
            assert!(judge || end > before, "{}: {phase} moves nothing", recipe.model);
            before = end;
        }
        // Of the control nothing is scored, and the original was measured.
        let (_, heard) = hear(&mut client, recipe.random_control());
        let control: Vec<_> = heard.progress.iter().filter_map(|p| p.whole).collect();
        assert!(control.iter().all(|w| w.then == 0.0 && w.total < whole[0].total));
        let tell = whole[0].then / control.last().unwrap().total;
        assert!((0.8..1.25).contains(&tell), "{}: the control was foreseen ({tell})", recipe.model);
    }
}

#[test]
fn the_pictures_of_a_run_come_first_and_the_figures_before_its_verdict() {
    for recipe in tiny() {
        let (run, Heard { order, rounds, .. }) = hear(&mut Client::new(DeviceChoice::Cpu), recipe);
        let steps = order.iter().filter(|what| **what == "step").count();
        assert_eq!(steps, run.log.len());
        assert_eq!(&order[steps..], ["pictures", "figures"], "{}", run.report.model);
        let (last, after) = (rounds.last().unwrap(), &run.report.after);
        assert_eq!((last.UA, last.RA, last.n), (after.UA, after.RA, after.n));
    }
}

#[test]
fn a_diffusion_models_update_tells_what_it_forgets_and_what_it_keeps() {
    for recipe in tiny() {
        let run = Client::new(DeviceChoice::Cpu).unlearn(recipe);
        let both = |of: fn(Option<f32>) -> bool| {
            run.log.iter().any(|line| of(line.parts.forget)) as usize
                + run.log.iter().any(|line| of(line.parts.retain)) as usize
        };
        assert_eq!(both(|part| part.is_some_and(|p| p > 0.0)), 2, "{}", run.report.model);
        for line in &run.log {
            let parts: Vec<f32> =
                [line.parts.forget, line.parts.retain].into_iter().flatten().collect();
            let sum: f32 = parts.iter().sum();
            assert!((sum - line.loss).abs() <= 1e-4 * line.loss.abs(), "{line:?}");
        }
    }
}

#[test]
fn a_brief_measurement_stops_when_its_intervals_are_narrow() {
    let recipe = Recipe {
        steps: Some(2),
        batch: Some(16),
        mask: Some(Estimator::Random),
        budget: Budget::Brief,
        ..Recipe::new("fashion-classifier", "fashion-mnist", "class:Trouser")
    };
    let (run, heard) = hear(&mut Client::new(DeviceChoice::Cpu), recipe);
    let after = &run.report.after;
    assert!(heard.rounds.len() > 1, "one round says too little of RA and TA");
    assert!(heard.rounds.windows(2).all(|two| two[0].n[1] < two[1].n[1]));
    let [ua, ra, ta] = after.intervals[..] else { panic!("{:?}", after.intervals) };
    let [forgotten, rest] = Budget::Brief.sizes().measured[0].rounds.expect("rounds").narrow;
    for ([low, high], value, narrow) in
        [(ua, after.UA, forgotten), (ra, after.RA, rest), (ta, after.TA, rest)]
    {
        let so = low <= value && value <= high && high - low < 2.0 * narrow;
        assert!(so, "{low} {value} {high}");
    }
    assert!(after.n[0] < 1_000, "few of the forgotten are enough: {:?}", after.n);
    // The original is measured on the same pictures.
    assert_eq!(run.report.before.n, after.n);
}
