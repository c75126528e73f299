//! A whole job foreseen: how much of it is behind, and how long the rest takes on this machine.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use web_time::Duration;

/// A part of a job that is foreseen: a phase, or what is done within the units of one.
#[derive(Debug, Clone, PartialEq)]
pub struct Leg {
    /// The name of the phase.
    pub phase: String,
    /// Units of work in it.
    pub units: usize,
    /// What a unit costs beside others': forward passes of one item.
    pub cost: f64,
    done: usize,
}

impl Leg {
    /// A part that is all to be done.
    pub fn new(phase: impl Into<String>, units: usize, cost: f64) -> Self {
        Self { phase: phase.into(), units, cost, done: 0 }
    }

    fn left(&self) -> usize {
        self.units.saturating_sub(self.done)
    }
}

/// How far a whole job is.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Whole {
    /// Work that is behind and all of the job's, in passes.
    pub done: f64,
    pub total: f64,
    /// Seconds that the rest takes, once this machine's pace is known.
    pub seconds_left: Option<f64>,
    /// Work that usually follows in jobs of their own, such as the control, and its seconds.
    pub then: f64,
    pub then_seconds: Option<f64>,
}

/// Seconds that a pass of each kind of work took when it was done last, by model and phase.
pub type Paces = Arc<Mutex<HashMap<(String, String), f64>>>;

/// A job's way, part by part.
#[derive(Debug, Default)]
pub struct Route {
    model: String,
    legs: Vec<Leg>,
    then: Vec<Leg>,
    /// The leg at work.
    now: Option<usize>,
    /// The largest share that was told: what turns out to be longer takes nothing back.
    share: f64,
    pub paces: Paces,
}

impl Route {
    /// Another way, of work on a model.
    pub fn set(&mut self, model: &str, legs: Vec<Leg>, then: Vec<Leg>) {
        let (model, paces) = (model.to_string(), self.paces.clone());
        *self = Self { model, legs, then, now: None, share: 0.0, paces };
    }

    /// Takes up the next leg of this name, with as many units as it turns out to have; those before are behind.
    pub fn enter(&mut self, phase: &str, units: usize, done: usize) {
        let from = self.now.map_or(0, |now| now + 1);
        let found = self.legs[from.min(self.legs.len())..].iter().position(|l| l.phase == phase);
        let Some(at) = found.map(|i| from + i) else { return };
        self.legs[..at].iter_mut().for_each(|leg| leg.done = leg.units);
        (self.legs[at].units, self.legs[at].done) = (units, done);
        self.now = Some(at);
    }

    /// Notes how much of a phase is done.
    pub fn reach(&mut self, phase: &str, done: usize) {
        if let Some(leg) = self.now.map(|now| &mut self.legs[now]).filter(|l| l.phase == phase) {
            leg.done = done.min(leg.units);
        }
    }

    /// Notes units of a leg that were done within another's.
    pub fn beside(&mut self, phase: &str, units: usize, took: Duration) {
        let from = self.now.unwrap_or(0);
        if let Some(leg) = self.legs.iter_mut().skip(from).find(|l| l.phase == phase) {
            leg.done = (leg.done + units).min(leg.units);
            if units > 0 {
                self.learn(phase, took.as_secs_f64() / units as f64);
            }
        }
    }

    /// Learns how many seconds a unit of a phase takes here.
    pub fn learn(&mut self, phase: &str, seconds: f64) {
        let Some(leg) = self.legs.iter().find(|leg| leg.phase == phase && leg.cost > 0.0) else {
            return;
        };
        let mut paces = self.paces.lock().unwrap_or_else(PoisonError::into_inner);
        paces.insert((self.model.clone(), phase.into()), seconds / leg.cost);
    }

    /// How far the whole is; nothing of a job that was not foreseen.
    pub fn whole(&mut self) -> Option<Whole> {
        let work = |legs: &[Leg]| legs.iter().map(|l| l.units as f64 * l.cost).sum::<f64>();
        let total = work(&self.legs);
        if total <= 0.0 {
            return None;
        }
        let behind: f64 = self.legs.iter().map(|l| l.done as f64 * l.cost).sum();
        self.share = self.share.max(behind / total).min(1.0);
        let (seconds_left, then_seconds) = (self.seconds(&self.legs), self.seconds(&self.then));
        let done = self.share * total;
        Some(Whole { done, total, seconds_left, then: work(&self.then), then_seconds })
    }

    /// Seconds of what is left of these, by what a pass of each took here; of work that was not done yet, by the mean
    /// of what was.
    fn seconds(&self, legs: &[Leg]) -> Option<f64> {
        let paces = self.paces.lock().unwrap_or_else(PoisonError::into_inner);
        let known: Vec<f64> =
            paces.iter().filter(|((model, _), _)| *model == self.model).map(|(_, s)| *s).collect();
        if known.is_empty() {
            return None;
        }
        let mean = known.iter().sum::<f64>() / known.len() as f64;
        let each = |leg: &Leg| {
            let pace = paces.get(&(self.model.clone(), leg.phase.clone())).copied();
            leg.left() as f64 * leg.cost * pace.unwrap_or(mean)
        };
        Some(legs.iter().map(each).sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way() -> Route {
        let mut route = Route::default();
        let legs = vec![
            Leg::new("Scoring weights", 10, 6.0),
            Leg::new("SalUn", 20, 7.0),
            Leg::new("Preview", 4, 30.0),
            Leg::new("Evaluating", 100, 1.0),
        ];
        route.set("a model", legs, vec![Leg::new("SalUn", 20, 7.0)]);
        route
    }

    #[test]
    fn a_whole_job_goes_from_nothing_to_all_and_never_back() {
        let mut route = way();
        let mut shares = vec![0.0];
        let mut tell = |route: &mut Route| {
            let whole = route.whole().unwrap();
            shares.push(whole.done / whole.total);
        };
        for (phase, units) in [("Scoring weights", 10), ("SalUn", 20), ("Evaluating", 140)] {
            route.enter(phase, units, 0);
            tell(&mut route);
            for done in 1..=units {
                route.reach(phase, done);
                if phase == "SalUn" && done % 5 == 0 {
                    route.beside("Preview", 1, Duration::from_millis(30));
                }
                tell(&mut route);
            }
        }
        assert!(shares.is_sorted() && *shares.last().unwrap() == 1.0, "{shares:?}");
    }

    #[test]
    fn the_time_left_is_what_each_kind_of_work_took_here() {
        let mut route = way();
        route.enter("Scoring weights", 10, 0);
        assert_eq!(route.whole().unwrap().seconds_left, None, "nothing is known of this machine");
        // A pass takes 0.1 s where weights are scored: the rest is thought to be alike.
        route.learn("Scoring weights", 0.6);
        let all = 60.0 + 140.0 + 120.0 + 100.0;
        let left = |route: &mut Route| route.whole().unwrap().seconds_left.unwrap();
        assert!((left(&mut route) - all * 0.1).abs() < 1e-9);
        route.enter("SalUn", 20, 0);
        route.reach("SalUn", 10);
        route.learn("SalUn", 1.4);
        route.beside("Preview", 2, Duration::from_secs(6));
        let mean = (0.1 + 0.2 + 0.1) / 3.0;
        assert!((left(&mut route) - (10.0 * 1.4 + 2.0 * 3.0 + 100.0 * mean)).abs() < 1e-9);
        let then = route.whole().unwrap().then_seconds.unwrap();
        assert!((then - 20.0 * 1.4).abs() < 1e-9, "the control's updates are as long");
        // What was learnt is known to the next job.
        let mut next = Route { paces: route.paces.clone(), ..Route::default() };
        next.set("a model", vec![Leg::new("SalUn", 5, 7.0)], Vec::new());
        assert!((left(&mut next) - 7.0).abs() < 1e-9);
        next.set("another model", vec![Leg::new("SalUn", 5, 7.0)], Vec::new());
        assert_eq!(next.whole().unwrap().seconds_left, None);
    }

    #[test]
    fn what_was_not_foreseen_moves_nothing() {
        let mut route = way();
        route.enter("Checking the GPU", 2, 0);
        route.reach("Checking the GPU", 2);
        assert_eq!(route.whole().unwrap().done, 0.0);
        assert_eq!(Route::default().whole(), None);
    }
}
