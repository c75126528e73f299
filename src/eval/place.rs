//! Where a run stands on the forget map: what is left of the forgotten, what is lost of the rest.

use super::Evidence;
use super::verdict::loss;
use crate::words::{Metrics, Report};

/// A point of the forget map, both in percent points; Retrain is near the origin.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Place {
    /// UA that is missing to the aim; for a whole class, and where there is no aim, the share that is
    /// still recognised.
    pub left: f64,
    /// The larger loss of RA and TA; for a part of a class also UA beyond the aim, because pictures
    /// that were never trained on are not mistaken as often.
    pub damage: f64,
}

impl Place {
    /// Where a finished run stands.
    pub fn of(report: &Report) -> Self {
        Self::found(&Evidence::of(report))
    }

    /// Where the unchanged model stands.
    pub fn before(report: &Report) -> Self {
        Self::between(&Evidence::of(report), &report.before)
    }

    /// Where the Retrain twin stands, where it was measured.
    pub fn retrain(report: &Report) -> Option<Self> {
        Some(Self::between(&Evidence::of(report), report.retrain.as_ref()?))
    }

    /// How far a run may be from the origin and count as forgotten.
    pub fn allowed(report: &Report) -> Self {
        let [left, damage] = Evidence::of(report).limits();
        Self { left, damage }
    }

    /// Where what was found stands.
    pub fn found(evidence: &Evidence) -> Self {
        Self::between(evidence, evidence.after)
    }

    fn between(evidence: &Evidence, m: &Metrics) -> Self {
        let (lost, _) = loss(evidence.before, m);
        let aim = evidence.aim().unwrap_or(100.0);
        let beyond = if evidence.counts_seen() { 0.0 } else { m.UA - aim };
        Self { left: (aim - m.UA).max(0.0), damage: lost.max(beyond).max(0.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::{ForgetKind, Task};

    fn place(set: ForgetKind, before: &Metrics, retrain: Option<&Metrics>, m: Metrics) -> Place {
        let (task, audit, attacks, earlier) = (Task::Classify, None, &[], &[]);
        let after = &m;
        let evidence = Evidence { task, set, before, after, retrain, audit, attacks, earlier };
        Place::between(&evidence, &m)
    }

    #[allow(non_snake_case)]
    fn metrics(UA: f64, RA: f64, TA: f64) -> Metrics {
        Metrics { UA, RA, TA, ..Metrics::default() }
    }

    #[test]
    fn a_class_that_is_gone_with_nothing_lost_is_at_the_origin() {
        let before = metrics(2.0, 98.0, 93.0);
        let place = |m| place(ForgetKind::Class, &before, None, m);
        assert_eq!(place(metrics(100.0, 98.5, 93.0)), Place { left: 0.0, damage: 0.0 });
        assert_eq!(place(before.clone()), Place { left: 98.0, damage: 0.0 });
        assert_eq!(place(metrics(60.0, 90.0, 80.0)), Place { left: 40.0, damage: 13.0 });
    }

    #[test]
    fn a_share_is_forgotten_when_it_is_as_if_unseen() {
        // The error on unseen pictures, 7 %, is the aim; Retrain's UA where it is known.
        let before = metrics(1.0, 99.0, 93.0);
        let place = |retrain, m| place(ForgetKind::Random, &before, retrain, m);
        let little = metrics(3.0, 99.0, 93.0);
        assert_eq!(place(None, little.clone()), Place { left: 4.0, damage: 0.0 });
        assert_eq!(place(None, metrics(40.0, 99.0, 93.0)), Place { left: 0.0, damage: 33.0 });
        let retrain = metrics(5.0, 99.0, 93.0);
        assert_eq!(place(Some(&retrain), little), Place { left: 2.0, damage: 0.0 });
    }
}
