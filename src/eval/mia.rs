//! The membership inference attack of the paper's tables (MIA-Efficacy).

use super::{Answers, Svm};

/// The machine's penalty in the official code.
const C: f64 = 3.0;

/// What the attack says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Attack {
    /// 100 x the share of D_f that is taken for pictures never trained on. Retrain's value is the
    /// aim: more of it tells of confidence destroyed, not of privacy.
    pub score: f64,
    /// Members and non-members that the machine was fitted to.
    pub n: [usize; 2],
}

/// Fits the machine to the probability of the true class: members are the first |D_t| items of D_r
/// in dataset order, non-members all of D_t, without the classes that are forgotten (`absent`).
/// Where D_r is smaller than D_t, non-members are its first |D_r|: fitted to a few members and many
/// others, the machine would take everything for the latter. `None` where a set is empty or a
/// probability is not a number.
pub fn attack(answers: &Answers, absent: impl Fn(usize) -> bool) -> Option<Attack> {
    let others = answers.test.select(|i| !absent(answers.test.labels[i]));
    let others = others.first(answers.retain.len()).confidences();
    let members = answers.retain.first(others.len()).confidences();
    let forget = answers.forget.confidences();
    let score = score(&members, &others, &forget)?;
    Some(Attack { score, n: [members.len(), others.len()] })
}

/// 100 x the share of `forget` that is not taken for a member.
pub fn score(members: &[f32], others: &[f32], forget: &[f32]) -> Option<f64> {
    let machine = Svm::fit(members, others, C)?;
    if forget.is_empty() || forget.iter().any(|p| !p.is_finite()) {
        return None;
    }
    Some(super::classify::percent(forget.iter().map(|&p| !machine.is_member(p))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::outputs::tests::outputs;

    #[test]
    fn members_are_the_first_of_the_retain_set_and_the_class_is_no_non_member() {
        let sure: &[f32] = &[0.95, 0.05];
        let unsure: &[f32] = &[0.6, 0.4];
        let answers = Answers {
            retain: outputs(&[0, 0, 0, 1], &[sure, sure, sure, &[0.9, 0.1]]),
            test: outputs(&[0, 0, 1, 0], &[unsure, unsure, sure, unsure]),
            forget: outputs(&[0, 0, 0, 0], &[sure, unsure, unsure, unsure]),
        };
        let found = attack(&answers, |label| label == 1).unwrap();
        assert_eq!((found.n, found.score), ([3, 3], 75.0));
        assert_eq!(attack(&answers, |_| false).unwrap().n, [4, 4]);
        let few = Answers { retain: answers.retain.first(2), ..answers };
        assert_eq!(attack(&few, |_| false).unwrap().n, [2, 2], "as many of one as of the other");
        assert_eq!(attack(&Answers::default(), |_| false), None);
    }

    #[test]
    fn a_probability_that_is_no_number_is_no_measurement() {
        assert_eq!(score(&[0.9, f32::NAN], &[0.1], &[0.5]), None);
        assert_eq!(score(&[0.9], &[0.1], &[f32::NAN]), None);
    }
}
