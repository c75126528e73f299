//! Verdicts and headings, case by case.

use super::*;
use crate::words::{ProbeReport, References, Relearn};

fn metrics(ua: f64, ra: f64, ta: f64) -> Metrics {
    Metrics { UA: ua, RA: ra, TA: ta, n: [100; 3], ..Metrics::default() }
}

fn examination([probe, area]: [f64; 2]) -> Examination {
    Examination {
        attacks: Vec::new(),
        probe: Some(ProbeReport { forgotten: probe, kept: 90.0, n: [100; 3] }),
        relearn: Some(Relearn { lr: 1e-3, batch: 64, n: [10, 90], accuracy: vec![area; 11], area }),
    }
}

fn audit(run: [f64; 2], retrain: Option<[f64; 2]>) -> Audit {
    Audit {
        forget: "class:Bag".into(),
        run: examination(run),
        original: examination([98.0, 99.0]),
        retrain: retrain.map(examination),
        layers: Vec::new(),
        layers_n: [0; 2],
        divergence: None,
        references: References { models: 2, width: 8, steps: 1, batch: 64 },
        chance: 10.0,
        seconds: 0.0,
    }
}

fn judge(task: Task, set: ForgetKind, after: &Metrics, audit: Option<&Audit>) -> Verdict {
    let before = &metrics(1.0, 98.0, 93.0);
    let earlier = &[];
    let attacks = &[];
    let evidence = Evidence { task, set, before, after, retrain: None, audit, attacks, earlier };
    verdict(&evidence)
}

#[test]
fn who_won_is_said_as_far_as_n_tells() {
    let said =
        |ours: [f64; 2], n| outcome("SalUn", [gain(ours[0], [99.0, 79.0], n), ours[1]], true);
    assert_eq!(
        said([20.0, 0.0], 1_000),
        ("SalUn wins: it forgets 20 points more than a random mask of equal size".into(), 1)
    );
    // Nine points of twenty pictures are no more than chance.
    assert_eq!(said([9.0, 0.0], 20).1, 0);
    assert_eq!(
        said([0.0, -3.0], 1_000),
        ("The random mask wins: it keeps 3.0 points more than SalUn".into(), -1)
    );
    assert_eq!(
        said([20.0, -3.0], 1_000).0,
        "No clear winner: SalUn forgets 20 points more, the random mask keeps 3.0 points more"
    );
    assert_eq!(gain(0.0, [100.0, 100.0], 1_000), 0.0);
    assert_eq!(too_few(&Metrics { n: [1, 9, 9], ..Metrics::default() }), Some(1));
    assert_eq!(too_few(&Metrics { n: [54, 162, 18], ..Metrics::default() }), None);
    assert_eq!(too_few(&Metrics { n: [40, 360, 0], ..Metrics::default() }), None);
}

#[test]
fn a_heading_says_what_is_wrong() {
    let before = &metrics(1.0, 98.0, 93.0);
    let heading = |set, after: &Metrics, audit: Option<&Audit>| {
        let (task, retrain, attacks, earlier) = (Task::Classify, None, &[], &[]);
        let evidence = Evidence { task, set, before, after, retrain, audit, attacks, earlier };
        headline(&evidence, verdict(&evidence).label)
    };
    let gone = metrics(100.0, 98.0, 93.0);
    let hidden = audit([95.0, 60.0], Some([80.0, 15.0]));
    for (set, after, audit, text) in [
        (ForgetKind::Class, &gone, None, "Forgot"),
        (ForgetKind::Class, &gone, Some(&hidden), "Hidden: 10 updates bring it back"),
        (
            ForgetKind::Class,
            &metrics(79.7, 98.0, 93.0),
            None,
            "Under-forgot: 20 % is still recognised",
        ),
        (
            ForgetKind::Class,
            &metrics(99.0, 90.0, 91.0),
            None,
            "Over-forgot: the rest lost 8.0 points",
        ),
        (
            ForgetKind::Random,
            &metrics(1.0, 98.0, 93.0),
            None,
            "Under-forgot: UA is 6.0 points short",
        ),
        (
            ForgetKind::Random,
            &metrics(40.0, 98.0, 93.0),
            None,
            "Over-forgot: UA is 33 points beyond the aim",
        ),
    ] {
        assert_eq!(heading(set, after, audit), text);
    }
}

#[test]
fn what_comes_back_is_in_the_verdict() {
    let (before, after) = (&metrics(1.0, 98.0, 93.0), &metrics(99.0, 97.5, 92.5));
    let (task, set, retrain, audit, attacks) = (Task::Classify, ForgetKind::Class, None, None, &[]);
    let past = |after| EarlierReport { spec: "class:Bag".into(), before: 99.0, after, n: 9 };
    for (earlier, label) in [
        (vec![past(97.0)], VerdictLabel::Forgot),
        (vec![past(99.0), past(60.0)], VerdictLabel::UnderForgot),
    ] {
        let earlier = &*earlier;
        let evidence = Evidence { task, set, before, after, retrain, audit, attacks, earlier };
        let found = verdict(&evidence);
        assert_eq!(found.label, label);
        let back = "class:Bag, forgotten earlier, is back: UA 60.0, was 99.0";
        assert_eq!(found.why.starts_with(back), label == VerdictLabel::UnderForgot);
    }
}

#[test]
fn the_rule_table() {
    use VerdictLabel::*;
    let cases = [
        (Task::Classify, ForgetKind::Class, metrics(99.0, 97.5, 92.5), Forgot),
        (Task::Classify, ForgetKind::Class, metrics(90.0, 98.0, 93.0), UnderForgot),
        (Task::Classify, ForgetKind::Class, metrics(100.0, 90.0, 85.0), OverForgot),
        (Task::Generate, ForgetKind::Class, metrics(96.0, 94.0, 94.0), Forgot),
        (Task::Generate, ForgetKind::Class, metrics(60.0, 98.0, 98.0), UnderForgot),
        (Task::Generate, ForgetKind::Class, metrics(100.0, 20.0, 20.0), OverForgot),
        (Task::Classify, ForgetKind::Random, metrics(7.0, 98.0, 93.0), Forgot),
        (Task::Classify, ForgetKind::Random, metrics(1.0, 98.0, 93.0), UnderForgot),
        (Task::Classify, ForgetKind::Random, metrics(40.0, 98.0, 93.0), OverForgot),
        (Task::Classify, ForgetKind::Hardest, metrics(1.0, 98.0, 93.0), UnderForgot),
        (Task::Classify, ForgetKind::Hardest, metrics(40.0, 98.0, 93.0), Forgot),
        (Task::Classify, ForgetKind::Hardest, metrics(40.0, 90.0, 85.0), OverForgot),
    ];
    for (task, set, after, label) in cases {
        assert_eq!(judge(task, set, &after, None).label, label, "{after:?}");
    }
}

#[test]
fn a_model_that_did_not_change_has_not_forgotten() {
    // The original is as often wrong on its training pictures as Retrain, and on the hardest
    // of them far more often than on others.
    let retrain = metrics(7.0, 98.0, 93.0);
    for (set, before, retrain) in [
        (ForgetKind::Random, metrics(5.0, 98.0, 93.0), None),
        (ForgetKind::Random, metrics(8.0, 98.0, 93.0), Some(&retrain)),
        (ForgetKind::Hardest, metrics(59.0, 98.0, 93.0), None),
    ] {
        let (task, audit, attacks, earlier) = (Task::Classify, None, &[], &[]);
        let (before, after) = (&before, &before);
        let evidence = Evidence { task, set, before, after, retrain, audit, attacks, earlier };
        let found = verdict(&evidence);
        assert_eq!(found.label, VerdictLabel::UnderForgot, "{}", found.why);
    }
    // As Retrain, though it says less than the original, is forgotten.
    let (before, after) = (&metrics(8.0, 98.0, 93.0), &retrain);
    let (task, set, audit, attacks, earlier) = (Task::Classify, ForgetKind::Random, None, &[], &[]);
    let retrain = Some(&retrain);
    let evidence = Evidence { task, set, before, after, retrain, audit, attacks, earlier };
    assert_eq!(verdict(&evidence).label, VerdictLabel::Forgot);
}

#[test]
fn what_comes_back_more_easily_than_in_retrain_is_hidden() {
    use VerdictLabel::*;
    let (gone, seen, harmed) =
        (metrics(100.0, 98.0, 93.0), metrics(80.0, 98.0, 93.0), metrics(100.0, 90.0, 85.0));
    // Probe and relearn area of the run and of Retrain.
    let cases = [
        (&gone, [80.0, 20.0], Some([78.0, 15.0]), Forgot),
        (&gone, [95.0, 20.0], Some([80.0, 15.0]), Hidden),
        (&gone, [80.0, 60.0], Some([80.0, 15.0]), Hidden),
        // Less than Retrain's is no memory.
        (&gone, [40.0, 5.0], Some([80.0, 15.0]), Forgot),
        // Without Retrain only a fast return tells.
        (&gone, [97.0, 30.0], None, Forgot),
        (&gone, [97.0, 70.0], None, Hidden),
        // What is plain to see comes first.
        (&seen, [97.0, 90.0], Some([80.0, 15.0]), UnderForgot),
        (&harmed, [97.0, 90.0], Some([80.0, 15.0]), OverForgot),
    ];
    for (after, run, retrain, label) in cases {
        let audit = audit(run, retrain);
        let found = judge(Task::Classify, ForgetKind::Class, after, Some(&audit));
        assert_eq!(found.label, label, "{run:?} {retrain:?}");
    }
    let hidden = audit([95.0, 60.0], Some([80.0, 15.0]));
    let why = judge(Task::Classify, ForgetKind::Class, &gone, Some(&hidden)).why;
    assert!(why.contains("finds 95.0 % (Retrain 80.0 %, n = 100)"), "{why}");
    assert!(why.contains("10 updates bring it back"), "{why}");
    // Other pictures of the same kind stay recognisable: nothing is hidden there.
    let random =
        judge(Task::Classify, ForgetKind::Random, &metrics(7.0, 98.0, 93.0), Some(&hidden));
    assert_eq!(random.label, Forgot);
}
