//! How well a score tells two groups apart: the ROC curve and what is read off it.

use crate::words::audit::Attack;

/// False-positive rate at which the true-positive rate is read.
const STRICT: f64 = 0.01;
/// Largest step between two kept points of a curve, on either axis.
const STEP: f64 = 0.005;

/// A receiver operating characteristic.
#[derive(Debug, Clone, PartialEq)]
pub struct Roc {
    /// (false-positive rate, true-positive rate) from (0, 0) to (1, 1), thinned for drawing.
    pub points: Vec<[f64; 2]>,
    /// Area under the whole curve: the chance that a member scores above a non-member, ties half.
    pub auc: f64,
    /// Standard error of the area (Hanley and McNeil 1982).
    pub auc_error: f64,
    /// Largest true-positive rate at a false-positive rate of at most 1 %.
    pub tpr_at_1_fpr: f64,
}

impl Roc {
    /// The attack that has this curve; `n` are the pictures of the forget set, and never seen ones.
    pub fn attack(self, name: &str, balanced_accuracy: Option<f64>, n: [usize; 2]) -> Attack {
        let Self { points, auc, auc_error, tpr_at_1_fpr } = self;
        let name = name.into();
        Attack { name, auc, auc_error, tpr_at_1_fpr, balanced_accuracy, n, roc: points }
    }
}

/// The curve of a score that is larger for members. `None` where a group is empty or a score is
/// not a number.
pub fn roc(members: &[f64], others: &[f64]) -> Option<Roc> {
    if members.is_empty() || others.is_empty() || members.iter().chain(others).any(|s| s.is_nan()) {
        return None;
    }
    let (m, o) = (members.len() as f64, others.len() as f64);
    let (mut points, mut auc, mut strict) = (vec![[0.0; 2]], 0.0, 0.0f64);
    let mut last = [0.0; 2];
    for [fpr, tpr] in corners(members, others) {
        auc += (fpr - last[0]) * (tpr + last[1]) / 2.0;
        if fpr <= STRICT {
            strict = strict.max(tpr);
        }
        last = [fpr, tpr];
        let kept = points[points.len() - 1];
        if fpr - kept[0] >= STEP || tpr - kept[1] >= STEP || last == [1.0; 2] {
            points.push(last);
        }
    }
    let (q1, q2) = (auc / (2.0 - auc), 2.0 * auc * auc / (1.0 + auc));
    let square = auc * auc;
    let variance =
        (auc * (1.0 - auc) + (m - 1.0) * (q1 - square) + (o - 1.0) * (q2 - square)) / (m * o);
    Some(Roc { points, auc, auc_error: variance.max(0.0).sqrt(), tpr_at_1_fpr: strict })
}

/// The rates at every threshold from the highest score down; equal scores share one.
fn corners(members: &[f64], others: &[f64]) -> Vec<[f64; 2]> {
    ranked(members, others).into_iter().map(|(_, rates)| rates).collect()
}

/// Every distinct score, highest first, with the rates if it is the lowest that counts as member.
fn ranked(members: &[f64], others: &[f64]) -> Vec<(f64, [f64; 2])> {
    let mut scores: Vec<(f64, usize)> = others.iter().map(|&s| (s, 0)).collect();
    scores.extend(members.iter().map(|&s| (s, 1)));
    scores.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
    let of = [others.len() as f64, members.len() as f64];
    let mut counts = [0.0; 2];
    let mut out = Vec::new();
    for (i, &(score, group)) in scores.iter().enumerate() {
        counts[group] += 1.0;
        if scores.get(i + 1).is_none_or(|next| next.0 != score) {
            out.push((score, [counts[0] / of[0], counts[1] / of[1]]));
        }
    }
    out
}

/// The lowest score that counts as member where the mean of both groups' hit rates is largest.
pub fn threshold(members: &[f64], others: &[f64]) -> f64 {
    // Above everything nobody is a member: half right.
    let mut best = (f64::INFINITY, 0.0);
    for (score, [fpr, tpr]) in ranked(members, others) {
        if tpr - fpr > best.1 {
            best = (score, tpr - fpr);
        }
    }
    best.0
}

/// Mean of both groups' hit rates at a threshold, in percent.
pub fn balanced_accuracy(members: &[f64], others: &[f64], threshold: f64) -> f64 {
    let share = |scores: &[f64], member: bool| {
        super::classify::percent(scores.iter().map(|s| (*s >= threshold) == member))
    };
    (share(members, true) + share(others, false)) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::rng;

    fn normals(n: usize, shift: f64, purpose: &str) -> Vec<f64> {
        let mut rng = rng::seeded(7, purpose);
        (0..n).map(|_| f64::from(rng::normal(&mut rng)) + shift).collect()
    }

    #[test]
    fn equal_distributions_have_an_area_of_one_half() {
        let roc = roc(&normals(4_000, 0.0, "a"), &normals(3_000, 0.0, "b")).unwrap();
        assert!((roc.auc - 0.5).abs() < 3.0 * roc.auc_error && roc.auc_error < 0.01);
        assert!(roc.tpr_at_1_fpr < 0.03);
        assert_eq!(super::roc(&[1.0; 5], &[1.0; 9]).unwrap().auc, 0.5);
    }

    #[test]
    fn shifted_normals_have_the_known_area_and_curve() {
        let (members, others) = (normals(6_000, 1.0, "a"), normals(6_000, 0.0, "b"));
        let roc = roc(&members, &others).unwrap();
        // Φ(1 / √2), and Φ(1 - 2.326) at 1 %.
        assert!((roc.auc - 0.760_25).abs() < 3.0 * roc.auc_error, "{}", roc.auc);
        assert!((roc.tpr_at_1_fpr - 0.0924).abs() < 0.02, "{}", roc.tpr_at_1_fpr);
        assert!(roc.points.len() < 420 && roc.points[0] == [0.0; 2]);
        assert_eq!(roc.points.last(), Some(&[1.0; 2]));
        assert!(roc.points.is_sorted_by(|a, b| a[0] <= b[0] && a[1] <= b[1]));
        let at = threshold(&members, &others);
        assert!((balanced_accuracy(&members, &others, at) - 69.15).abs() < 1.5);
    }

    #[test]
    fn separated_groups_are_told_apart() {
        let roc = roc(&[3.0, 2.0], &[1.0, 0.0]).unwrap();
        assert_eq!((roc.auc, roc.auc_error, roc.tpr_at_1_fpr), (1.0, 0.0, 1.0));
        assert_eq!(threshold(&[3.0, 2.0], &[1.0, 0.0]), 2.0);
        assert_eq!(balanced_accuracy(&[3.0, 2.0], &[1.0, 0.0], 2.0), 100.0);
        assert_eq!(super::roc(&[f64::NAN], &[1.0]), None);
        assert_eq!(super::roc(&[], &[1.0]), None);
    }
}
