//! The verdict in words: forgot, under-forgot, over-forgot (DESIGN 1.5).

use crate::{
    models::Task,
    run::report::{Metrics, Verdict, VerdictLabel},
};

/// Points of UA that may be missing.
const UNDER: f64 = 3.0;
/// Points of RA or TA that may be lost: classifier, diffusion model.
const DAMAGE: [f64; 2] = [1.5, 5.0];

/// Judges a run by what is left of the forgotten and what is lost of the rest.
///
/// A whole class is forgotten when nothing of it is recognised (UA 100, Retrain's own value);
/// for other sets the aim is Retrain's UA where it is known, else the error on unseen pictures.
pub fn verdict(
    task: Task,
    whole_class: bool,
    before: &Metrics,
    after: &Metrics,
    retrain: Option<&Metrics>,
) -> Verdict {
    let aim = if whole_class { 100.0 } else { retrain.map_or(100.0 - before.TA, |r| r.UA) };
    let allowed = DAMAGE[usize::from(task == Task::Generate)];
    let under = if task == Task::Generate { 5.0 } else { UNDER };
    let (lost_ra, lost_ta) = (before.RA - after.RA, before.TA - after.TA);
    let (lost, n) = if lost_ra > lost_ta { (lost_ra, after.n[1]) } else { (lost_ta, after.n[2]) };
    let missing = aim - after.UA;
    let (what, rest) = match task {
        Task::Classify => ("of the forget set is still recognised", "accuracy"),
        Task::Generate => ("of its samples still show the class", "the kept classes' share"),
    };
    let left = format!("{:.1} % {what} (n = {})", 100.0 - after.UA, after.n[0]);
    let damage = if lost > 0.0 {
        format!("{rest} fell by {lost:.1} points (n = {n})")
    } else {
        format!("{rest} did not fall (n = {n})")
    };
    let aimed = if whole_class { String::new() } else { format!("; UA {aim:.1} is the aim") };
    let label = if missing > under {
        VerdictLabel::UnderForgot
    } else if lost > allowed || (!whole_class && -missing > 2.0 * UNDER) {
        VerdictLabel::OverForgot
    } else {
        VerdictLabel::Forgot
    };
    Verdict { label, why: format!("{left}; {damage}{aimed}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metrics(ua: f64, ra: f64, ta: f64) -> Metrics {
        Metrics { UA: ua, RA: ra, TA: ta, n: [100; 3], ..Metrics::default() }
    }

    #[test]
    fn the_rule_table() {
        use VerdictLabel::*;
        let before = metrics(1.0, 98.0, 93.0);
        let cases = [
            (Task::Classify, true, metrics(99.0, 97.5, 92.5), Forgot),
            (Task::Classify, true, metrics(90.0, 98.0, 93.0), UnderForgot),
            (Task::Classify, true, metrics(100.0, 90.0, 85.0), OverForgot),
            (Task::Generate, true, metrics(96.0, 94.0, 94.0), Forgot),
            (Task::Generate, true, metrics(60.0, 98.0, 98.0), UnderForgot),
            (Task::Generate, true, metrics(100.0, 20.0, 20.0), OverForgot),
            (Task::Classify, false, metrics(7.0, 98.0, 93.0), Forgot),
            (Task::Classify, false, metrics(1.0, 98.0, 93.0), UnderForgot),
            (Task::Classify, false, metrics(40.0, 98.0, 93.0), OverForgot),
        ];
        for (task, class, after, label) in cases {
            assert_eq!(verdict(task, class, &before, &after, None).label, label, "{after:?}");
        }
    }
}
