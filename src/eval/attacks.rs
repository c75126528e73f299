//! Membership inference by a threshold on one number (Yeom et al. 2018; Song and Mittal 2021).

use super::roc::{balanced_accuracy, roc, threshold};
use super::{Answers, Outputs};
use crate::words::Attack;

/// A number that is larger for members: name, and its value for an item.
type Score = (&'static str, fn(&Outputs, usize) -> f64);

const SCORES: [Score; 3] = [
    ("confidence", |o, i| o.confidence(i).into()),
    ("entropy", |o, i| -entropy(o.row(i))),
    ("modified entropy", |o, i| -modified_entropy(o.row(i), o.labels[i])),
];

/// Probabilities below this are taken for it: logarithms stay finite.
const LEAST: f64 = 1e-30;

fn log(p: f64) -> f64 {
    p.max(LEAST).ln()
}

/// Entropy of a row of probabilities, in nats.
pub fn entropy(row: &[f32]) -> f64 {
    -row.iter().map(|&p| f64::from(p) * log(p.into())).sum::<f64>()
}

/// -(1 - p_y) log p_y - Σ_{j≠y} p_j log(1 - p_j), as the paper has it. The official code takes log p
/// where log(1 - p) is needed.
pub fn modified_entropy(row: &[f32], label: usize) -> f64 {
    let own = f64::from(row[label]);
    let others = row.iter().enumerate().filter(|(j, _)| *j != label);
    let rest: f64 = others.map(|(_, &p)| f64::from(p) * log(1.0 - f64::from(p))).sum();
    -(1.0 - own) * log(own) - rest
}

/// The pictures of the same kind as the forget set that no model has seen: the test pictures of a
/// forgotten class, else all test pictures. The other half of them chooses thresholds.
pub fn unseen(answers: &Answers, class: Option<usize>) -> Outputs {
    let test = &answers.test;
    test.select(|i| i % 2 == 1 && class.is_none_or(|c| test.labels[i] == c))
}

/// Every score's attack on the forget set: told from pictures of its kind that were never trained
/// on. Thresholds are chosen between half of D_r and half of D_t.
pub fn attacks(answers: &Answers, class: Option<usize>) -> Vec<Attack> {
    let (shadow_members, shadow_others) =
        (answers.retain.select(|i| i % 2 == 0), answers.test.select(|i| i % 2 == 0));
    let unseen = unseen(answers, class);
    let found = SCORES.into_iter().filter_map(|(name, score)| {
        let of = |o: &Outputs| (0..o.len()).map(|i| score(o, i)).collect::<Vec<f64>>();
        let (members, others) = (of(&answers.forget), of(&unseen));
        let at = threshold(&of(&shadow_members), &of(&shadow_others));
        let balanced_accuracy = Some(balanced_accuracy(&members, &others, at));
        Some(Attack { balanced_accuracy, ..roc(name, &members, &others)? })
    });
    found.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::outputs::tests::outputs;

    #[test]
    fn modified_entropy_is_the_papers_and_not_the_official_codes() {
        let row = [0.7f32, 0.2, 0.1];
        // -(0.3) ln 0.7 - 0.2 ln 0.8 - 0.1 ln 0.9.
        assert!((modified_entropy(&row, 0) - 0.162_167).abs() < 1e-5);
        assert!((entropy(&row) - 0.801_819).abs() < 1e-5);
        // It grows as the true class loses, where entropy does not see which class it is.
        assert!(modified_entropy(&row, 2) > modified_entropy(&row, 1));
        assert!(modified_entropy(&[1.0, 0.0], 0) == 0.0);
        assert!(modified_entropy(&[1.0, 0.0], 1).is_finite());
    }

    #[test]
    fn a_model_that_is_surer_of_its_training_pictures_gives_them_away() {
        let sure: &[f32] = &[0.99, 0.005, 0.005];
        let unsure: &[f32] = &[0.6, 0.3, 0.1];
        let answers = Answers {
            forget: outputs(&[0; 6], &[sure; 6]),
            retain: outputs(&[0; 6], &[sure; 6]),
            test: outputs(&[0; 6], &[unsure; 6]),
        };
        let all = attacks(&answers, None);
        assert_eq!(all.len(), 3);
        for a in &all {
            assert_eq!((a.auc, a.balanced_accuracy, a.n), (1.0, Some(100.0), [6, 3]), "{}", a.name);
        }
        // Forgotten: the forget set looks as the unseen pictures do.
        let forgot = Answers { forget: outputs(&[0; 6], &[unsure; 6]), ..answers };
        assert!(attacks(&forgot, None).iter().all(|a| a.auc == 0.5));
        assert!(attacks(&forgot, Some(2)).is_empty(), "no unseen picture of this class");
    }
}
