//! How well a score tells two groups apart: the ROC curve and what is read off it.

use crate::words::Attack;

/// False-positive rate at which the true-positive rate is read.
const STRICT: f64 = 0.01;
/// Largest step between two kept points of a curve, on either axis.
const STEP: f64 = 0.005;

/// The attack by a score that is larger for members. `None` where a group is empty or a score is not a
/// number.
pub fn roc(name: &str, members: &[f64], others: &[f64]) -> Option<Attack> {
    if members.is_empty() || others.is_empty() || members.iter().chain(others).any(|s| s.is_nan()) {
        return None;
    }
    let n = [members.len(), others.len()];
    let (m, o) = (n[0] as f64, n[1] as f64);
    let (mut points, mut auc, mut strict) = (vec![[0.0; 2]], 0.0, 0.0f64);
    let mut last = [0.0; 2];
    for (_, [fpr, tpr]) in ranked(members, others) {
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
    Some(Attack {
        name: name.into(),
        auc,
        auc_error: variance.max(0.0).sqrt(),
        tpr_at_1_fpr: strict,
        balanced_accuracy: None,
        n,
        roc: points,
    })
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
        let found = roc("", &normals(4_000, 0.0, "a"), &normals(3_000, 0.0, "b")).unwrap();
        assert!((found.auc - 0.5).abs() < 3.0 * found.auc_error && found.auc_error < 0.01);
        assert!(found.tpr_at_1_fpr < 0.03);
        assert_eq!(roc("", &[1.0; 5], &[1.0; 9]).unwrap().auc, 0.5);
    }

    #[test]
    fn shifted_normals_have_the_known_area_and_curve() {
        let (members, others) = (normals(6_000, 1.0, "a"), normals(6_000, 0.0, "b"));
        let found = roc("", &members, &others).unwrap();
        // Φ(1 / √2), and Φ(1 - 2.326) at 1 %.
        assert!((found.auc - 0.760_25).abs() < 3.0 * found.auc_error, "{}", found.auc);
        assert!((found.tpr_at_1_fpr - 0.0924).abs() < 0.02, "{}", found.tpr_at_1_fpr);
        assert!(found.roc.len() < 420 && found.roc[0] == [0.0; 2]);
        assert_eq!(found.roc.last(), Some(&[1.0; 2]));
        assert!(found.roc.is_sorted_by(|a, b| a[0] <= b[0] && a[1] <= b[1]));
        let at = threshold(&members, &others);
        assert!((balanced_accuracy(&members, &others, at) - 69.15).abs() < 1.5);
    }

    #[test]
    fn separated_groups_are_told_apart() {
        let found = roc("", &[3.0, 2.0], &[1.0, 0.0]).unwrap();
        assert_eq!((found.auc, found.auc_error, found.tpr_at_1_fpr), (1.0, 0.0, 1.0));
        assert_eq!(threshold(&[3.0, 2.0], &[1.0, 0.0]), 2.0);
        assert_eq!(balanced_accuracy(&[3.0, 2.0], &[1.0, 0.0], 2.0), 100.0);
        assert_eq!(roc("", &[f64::NAN], &[1.0]), None);
        assert_eq!(roc("", &[], &[1.0]), None);
    }
}
