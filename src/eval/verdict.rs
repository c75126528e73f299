//! The verdict in words: forgot, under-forgot, over-forgot, hidden (docs/audits.md).

use crate::{
    data::forget::brief,
    words::{
        attack::{AttackKind, AttackReport},
        audit::{Audit, Examination},
        grouped,
        report::{EarlierReport, Metrics, Report, Verdict, VerdictLabel},
        task::Task,
    },
};

/// Points of UA that may be missing for a classifier.
const UNDER: f64 = 3.0;
/// Points by which a probe, and the area under a relearn curve, may exceed Retrain's.
const PROBE: f64 = 10.0;
const RELEARN: f64 = 15.0;
/// The same where there is no Retrain, above an even guess among the classes. A model that never saw
/// a class also has features that tell it apart, so the probe alone says nothing here.
const CHANCE: f64 = 50.0;
/// Points of UA that an earlier request may lose before it counts as undone.
const RETURNED: f64 = 3.0;
/// Points by which another prompt may bring more back than the forgotten one.
const ASKED: f64 = 25.0;

/// Fewer pictures than this say nothing: one of them more or less is five points and above.
const FEW: usize = 20;

/// Points of UA that may be missing, and of RA or TA that may be lost.
pub fn limits(task: Task) -> [f64; 2] {
    match task {
        Task::Classify => [UNDER, 1.5],
        Task::Generate => [5.0, 5.0],
        Task::TextToImage => [10.0, 10.0],
    }
}

/// What kind of forget set it is, as far as what to expect of it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Set {
    /// A class, or what a prompt names.
    Whole,
    /// A random share of the training pictures.
    Random,
    /// Pictures that were picked for what they are.
    Picked,
}

impl Set {
    /// Of a forget set's name.
    pub fn of(spec: &str) -> Self {
        match spec.split(':').next() {
            Some("class" | "prompt") => Self::Whole,
            Some("random") => Self::Random,
            _ => Self::Picked,
        }
    }
}

/// What a verdict rests on.
#[derive(Debug, Clone, Copy)]
pub struct Evidence<'a> {
    pub task: Task,
    pub set: Set,
    pub before: &'a Metrics,
    pub after: &'a Metrics,
    pub retrain: Option<&'a Metrics>,
    pub audit: Option<&'a Audit>,
    /// On a text-to-image model.
    pub attacks: &'a [AttackReport],
    /// What was forgotten before, and must not come back.
    pub earlier: &'a [EarlierReport],
}

impl<'a> Evidence<'a> {
    /// What a report says.
    pub fn of(report: &'a Report) -> Self {
        let all = [Task::Classify, Task::Generate, Task::TextToImage];
        let task = all.into_iter().find(|t| t.name() == report.task);
        Self {
            task: task.unwrap_or(Task::Classify),
            set: Set::of(&report.forget.spec),
            before: &report.before,
            after: &report.after,
            retrain: report.retrain.as_ref(),
            audit: report.audit.as_deref(),
            attacks: &report.attacks,
            earlier: &report.earlier,
        }
    }

    /// The UA of a model that never saw the forget set: 100 for a whole class; else Retrain's where
    /// it is known, and for a random share the error on unseen pictures where it is not. What Retrain
    /// would say of picked pictures cannot be guessed.
    pub fn aim(&self) -> Option<f64> {
        match (self.set, self.retrain) {
            (Set::Whole, _) => Some(100.0),
            (_, Some(retrain)) => Some(retrain.UA),
            (Set::Random, None) => Some(100.0 - self.before.TA),
            (Set::Picked, None) => None,
        }
    }

    /// Whether what is left is what is still recognised, and not what UA is short of an aim.
    pub fn counts_seen(&self) -> bool {
        self.set == Set::Whole || self.aim().is_none()
    }

    /// The larger loss of RA and TA, in points.
    fn lost(&self) -> f64 {
        loss(self.before, self.after).0
    }

    /// Whether UA went at least half of the way to the aim: nobody has forgotten by staying as he was.
    fn moved(&self) -> bool {
        let rose = self.after.UA - self.before.UA;
        match (self.set, self.aim()) {
            (Set::Whole, _) => true,
            (_, Some(aim)) => {
                let way = aim - self.before.UA;
                rose != 0.0 && (way <= 0.0 || rose >= way / 2.0)
            }
            (_, None) => rose > UNDER,
        }
    }
}

/// Judges a run by what is left of the forgotten ([`Evidence::aim`]) and what is lost of the rest; a class that
/// is not seen any more, but comes back more easily than in a model that never saw it, is hidden.
pub fn verdict(evidence: &Evidence) -> Verdict {
    let Evidence { task, set, before, after, .. } = *evidence;
    let (aim, whole) = (evidence.aim(), set == Set::Whole);
    let [under, allowed] = limits(task);
    let (lost, n) = loss(before, after);
    let missing = aim.map_or(0.0, |aim| aim - after.UA);
    let (what, rest) = match task {
        Task::Classify => ("of the forget set is still recognised", "accuracy"),
        Task::Generate => ("of its samples still show the class", "the kept classes' share"),
        Task::TextToImage => ("of its pictures still show it", "what other prompts show"),
    };
    let left = format!("{:.1} % {what} (n = {})", 100.0 - after.UA, grouped(after.n[0]));
    let n = grouped(n);
    let damage = if lost > 0.0 {
        format!("{rest} fell by {lost:.1} points (n = {n})")
    } else {
        format!("{rest} did not fall (n = {n})")
    };
    let aimed = match aim {
        _ if whole => String::new(),
        Some(aim) => format!("; UA was {:.1}, {aim:.1} is the aim", before.UA),
        None => {
            format!("; UA was {:.1}, and only a Retrain of this set could say the aim", before.UA)
        }
    };
    let back = ways(evidence);
    let few = too_few(after);
    let label = if few.is_some() {
        VerdictLabel::TooFew
    } else if missing > under || (lost <= allowed && !evidence.moved()) {
        VerdictLabel::UnderForgot
    } else if lost > allowed || (!whole && -missing > 2.0 * UNDER) {
        VerdictLabel::OverForgot
    } else if !back.is_empty() {
        VerdictLabel::Hidden
    } else {
        VerdictLabel::Forgot
    };
    let already = match aim {
        Some(aim) if whole && before.UA >= aim - under => {
            format!("; it was hardly recognised before either (UA {:.1})", before.UA)
        }
        _ => String::new(),
    };
    let back: String = back.iter().map(|[how, figures]| format!("; {how} ({figures})")).collect();
    let few = few.map_or(String::new(), |n| format!("too few pictures to judge by (n = {n}); "));
    let why = format!("{few}{left}; {damage}{aimed}{already}{back}");
    match returned(evidence) {
        None => Verdict { label, why },
        Some(back) => {
            let what = brief(&back.spec);
            let (now, was, n) = (back.after, back.before, grouped(back.n));
            let back =
                format!("{what}, forgotten earlier, is back: UA {now:.1}, was {was:.1} (n = {n})");
            let label = match label {
                VerdictLabel::TooFew => label,
                _ => VerdictLabel::UnderForgot,
            };
            Verdict { label, why: format!("{back}; {why}") }
        }
    }
}

/// An earlier request that this run undid.
fn returned<'a>(evidence: &Evidence<'a>) -> Option<&'a EarlierReport> {
    evidence.earlier.iter().find(|e| e.before - e.after > RETURNED)
}

/// A verdict as a heading: "Under-forgot: 20 % is still recognised".
pub fn headline(evidence: &Evidence, label: VerdictLabel) -> String {
    match label {
        VerdictLabel::Forgot => "Forgot".into(),
        VerdictLabel::UnderForgot => format!("Under-forgot: {}", remains(evidence)),
        VerdictLabel::OverForgot => format!("Over-forgot: {}", excess(evidence)),
        VerdictLabel::Hidden => match ways(evidence).pop() {
            Some([how, _]) => format!("Hidden: {how}"),
            None => "Hidden".into(),
        },
        VerdictLabel::TooFew => "No verdict".into(),
    }
}

/// What is left of the forgotten, in a few words.
fn remains(evidence: &Evidence) -> String {
    if let Some(back) = returned(evidence) {
        return format!("{} is back", brief(&back.spec));
    }
    let (ua, [under, _]) = (evidence.after.UA, limits(evidence.task));
    let what = match evidence.task {
        Task::Classify => "is still recognised",
        Task::Generate => "still show the class",
        Task::TextToImage => "still show it",
    };
    match evidence.aim().filter(|_| !evidence.counts_seen()) {
        None => format!("{} % {what}", short(100.0 - ua)),
        Some(aim) if aim - ua > under => format!("UA is {} points short", short(aim - ua)),
        Some(_) => "UA hardly moved".into(),
    }
}

/// What was lost beside the forgotten, in a few words.
fn excess(evidence: &Evidence) -> String {
    let (lost, [_, allowed]) = (evidence.lost(), limits(evidence.task));
    match evidence.aim() {
        Some(aim) if lost <= allowed => {
            format!("UA is {} points beyond the aim", short(evidence.after.UA - aim))
        }
        _ => format!("the rest lost {} points", short(lost)),
    }
}

/// A percentage or points, with a decimal where it says more.
fn short(value: f64) -> String {
    if value.abs() < 9.95 { format!("{value:.1}") } else { format!("{value:.0}") }
}

/// The pictures behind UA, or behind both RA and TA, where they are too few to judge by.
pub fn too_few(m: &Metrics) -> Option<usize> {
    let [forgotten, retained, test] = m.n;
    [forgotten, retained.max(test)].into_iter().min().filter(|n| *n < FEW)
}

/// Points of RA and of TA that were lost, the larger loss, and the pictures behind it; a figure with too few
/// of them says nothing, where the other says more.
pub fn loss(before: &Metrics, after: &Metrics) -> (f64, usize) {
    let ra = (before.RA - after.RA, after.n[1]);
    let ta = (before.TA - after.TA, after.n[2]);
    match (ra.1 < FEW, ta.1 < FEW) {
        (true, false) => ta,
        (false, true) => ra,
        _ if ra.0 > ta.0 => ra,
        _ => ta,
    }
}

/// A way in which the forgotten comes back, and its figures.
type Way = [String; 2];

/// How what seems to be forgotten comes back; nothing where it does not.
fn ways(evidence: &Evidence) -> Vec<Way> {
    let whole = evidence.set == Set::Whole;
    let found = evidence.audit.filter(|_| whole).map_or_else(Vec::new, recovery);
    if found.is_empty() { asked(evidence.attacks).into_iter().collect() } else { found }
}

/// How another prompt brings the forgotten back. Inversion says nothing here: it brings back what a
/// model never saw, too.
fn asked(attacks: &[AttackReport]) -> Option<Way> {
    let attack = attacks.iter().find(|a| a.kind == AttackKind::Prompt && a.gain() > ASKED)?;
    let best = attack.best()?;
    let how = format!("{} brings it back in {:.0} %", best.name, best.after);
    Some([how, format!("n = {}", grouped(attack.n))])
}

/// How a class comes back that should be gone: by a probe, by a short relearn, or not.
fn recovery(audit: &Audit) -> Vec<Way> {
    let probe = |e: &Examination| e.probe.as_ref().map(|p| (p.forgotten, p.n[1]));
    let relearn = |e: &Examination| e.relearn.as_ref().map(|r| (r.area, r.accuracy.len() - 1));
    let bring = |steps: usize| format!("{steps} updates bring it back");
    let Some(retrain) = &audit.retrain else {
        let found = relearn(&audit.run).filter(|(area, _)| *area > audit.chance + CHANCE);
        let way = |(area, steps)| {
            [bring(steps), format!("mean accuracy {area:.1} %, no Retrain to compare")]
        };
        return found.map(way).into_iter().collect();
    };
    let exceeds = |found: Option<(f64, usize)>, other: Option<(f64, usize)>, by: f64| {
        let ((here, n), (there, _)) = found.zip(other)?;
        (here > there + by).then_some((here, there, n))
    };
    let probed = exceeds(probe(&audit.run), probe(retrain), PROBE).map(|(here, there, n)| {
        let how = format!("a probe of its features finds {here:.1} %");
        [how, format!("Retrain {there:.1} %, n = {}", grouped(n))]
    });
    let relearnt =
        exceeds(relearn(&audit.run), relearn(retrain), RELEARN).map(|(here, there, steps)| {
            [bring(steps), format!("mean accuracy {here:.1} %, Retrain {there:.1} %")]
        });
    probed.into_iter().chain(relearnt).collect()
}

/// A run held against its random-mask control.
#[derive(Debug, Clone, PartialEq)]
pub struct Versus {
    /// Who came out better, in a sentence.
    pub said: String,
    /// Whether the run won (1), the control did (-1), or neither.
    pub winner: i8,
    /// Pictures behind what is said of the forgotten, and of the rest.
    pub n: [usize; 2],
}

/// Holds a run of the method `name` against its random-mask control, by what each forgets and what
/// each keeps; `None` where too few pictures were looked at.
pub fn versus(name: &str, run: &Report, control: &Report) -> Option<Versus> {
    let (ours, other) = (Evidence::of(run), Evidence::of(control));
    let (a, b) = (ours.after, other.after);
    if too_few(a).or(too_few(b)).is_some() {
        return None;
    }
    let n: [usize; 3] = std::array::from_fn(|i| a.n[i].min(b.n[i]));
    let aim = ours.aim().unwrap_or(100.0);
    let [far, away] = [a, b].map(|m| (aim - m.UA).abs());
    let forgets = gain(away - far, [a.UA, b.UA], n[0]);
    // Of RA and TA the one that tells them apart more.
    let (kept, rest) = match (a.RA - b.RA).abs() >= (a.TA - b.TA).abs() {
        true => ([a.RA, b.RA], n[1]),
        false => ([a.TA, b.TA], n[2]),
    };
    let mut gains = [forgets, gain(kept[0] - kept[1], kept, rest)];
    // Where one wins here and the other there, what both do well enough decides nothing.
    let [under, allowed] = limits(ours.task);
    if gains[0] * gains[1] < 0.0 {
        if far.max(away) <= under {
            gains[0] = 0.0;
        } else if ours.lost().max(other.lost()) <= allowed {
            gains[1] = 0.0;
        }
    }
    let (said, winner) = outcome(name, gains, ours.counts_seen());
    Some(Versus { said, winner, n: [n[0], rest] })
}

/// Who won, from the points by which the run forgets and keeps more than its control.
fn outcome(name: &str, gains: [f64; 2], seen: bool) -> (String, i8) {
    let verb = |i: usize| match (i, seen) {
        (0, true) => format!("forgets {} points more", short(gains[0].abs())),
        (0, false) => format!("comes {} points closer to the aim", short(gains[0].abs())),
        _ => format!("keeps {} points more", short(gains[1].abs())),
    };
    let of = |sign: f64| -> Option<String> {
        let won: Vec<String> = (0..2).filter(|i| gains[*i] * sign > 0.0).map(verb).collect();
        (!won.is_empty()).then(|| won.join(" and "))
    };
    match (of(1.0), of(-1.0)) {
        (None, None) => ("A random mask of equal size does as well".into(), 0),
        (Some(by), None) => (format!("{name} wins: it {by} than a random mask of equal size"), 1),
        (None, Some(by)) => (format!("The random mask wins: it {by} than {name}"), -1),
        (Some(ours), Some(its)) => {
            (format!("No clear winner: {name} {ours}, the random mask {its}"), 0)
        }
    }
}

/// A difference of two shares of n pictures each, in points; 0 where it is within two standard errors
/// of none (the pooled two-proportion test). Both runs saw the same pictures, so the true error is
/// rather smaller.
fn gain(points: f64, [a, b]: [f64; 2], n: usize) -> f64 {
    let share = (a + b) / 200.0;
    let error = 100.0 * (2.0 * share * (1.0 - share) / n.max(1) as f64).sqrt();
    if points.abs() > 2.0 * error { points } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::audit::{ProbeReport, References, Relearn};

    fn metrics(ua: f64, ra: f64, ta: f64) -> Metrics {
        Metrics { UA: ua, RA: ra, TA: ta, n: [100; 3], ..Metrics::default() }
    }

    fn examination([probe, area]: [f64; 2]) -> Examination {
        Examination {
            attacks: Vec::new(),
            probe: Some(ProbeReport { forgotten: probe, kept: 90.0, n: [100; 3] }),
            relearn: Some(Relearn {
                lr: 1e-3,
                batch: 64,
                n: [10, 90],
                accuracy: vec![area; 11],
                area,
            }),
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

    fn judge(task: Task, set: Set, after: &Metrics, audit: Option<&Audit>) -> Verdict {
        let before = &metrics(1.0, 98.0, 93.0);
        let earlier = &[];
        let attacks = &[];
        let evidence =
            Evidence { task, set, before, after, retrain: None, audit, attacks, earlier };
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
            (Set::Whole, &gone, None, "Forgot"),
            (Set::Whole, &gone, Some(&hidden), "Hidden: 10 updates bring it back"),
            (
                Set::Whole,
                &metrics(79.7, 98.0, 93.0),
                None,
                "Under-forgot: 20 % is still recognised",
            ),
            (Set::Whole, &metrics(99.0, 90.0, 91.0), None, "Over-forgot: the rest lost 8.0 points"),
            (Set::Random, &metrics(1.0, 98.0, 93.0), None, "Under-forgot: UA is 6.0 points short"),
            (
                Set::Random,
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
        let (task, set, retrain, audit, attacks) = (Task::Classify, Set::Whole, None, None, &[]);
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
            (Task::Classify, Set::Whole, metrics(99.0, 97.5, 92.5), Forgot),
            (Task::Classify, Set::Whole, metrics(90.0, 98.0, 93.0), UnderForgot),
            (Task::Classify, Set::Whole, metrics(100.0, 90.0, 85.0), OverForgot),
            (Task::Generate, Set::Whole, metrics(96.0, 94.0, 94.0), Forgot),
            (Task::Generate, Set::Whole, metrics(60.0, 98.0, 98.0), UnderForgot),
            (Task::Generate, Set::Whole, metrics(100.0, 20.0, 20.0), OverForgot),
            (Task::Classify, Set::Random, metrics(7.0, 98.0, 93.0), Forgot),
            (Task::Classify, Set::Random, metrics(1.0, 98.0, 93.0), UnderForgot),
            (Task::Classify, Set::Random, metrics(40.0, 98.0, 93.0), OverForgot),
            (Task::Classify, Set::Picked, metrics(1.0, 98.0, 93.0), UnderForgot),
            (Task::Classify, Set::Picked, metrics(40.0, 98.0, 93.0), Forgot),
            (Task::Classify, Set::Picked, metrics(40.0, 90.0, 85.0), OverForgot),
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
            (Set::Random, metrics(5.0, 98.0, 93.0), None),
            (Set::Random, metrics(8.0, 98.0, 93.0), Some(&retrain)),
            (Set::Picked, metrics(59.0, 98.0, 93.0), None),
        ] {
            let (task, audit, attacks, earlier) = (Task::Classify, None, &[], &[]);
            let (before, after) = (&before, &before);
            let evidence = Evidence { task, set, before, after, retrain, audit, attacks, earlier };
            let found = verdict(&evidence);
            assert_eq!(found.label, VerdictLabel::UnderForgot, "{}", found.why);
        }
        // As Retrain, though it says less than the original, is forgotten.
        let (before, after) = (&metrics(8.0, 98.0, 93.0), &retrain);
        let (task, set, audit, attacks, earlier) = (Task::Classify, Set::Random, None, &[], &[]);
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
            let found = judge(Task::Classify, Set::Whole, after, Some(&audit));
            assert_eq!(found.label, label, "{run:?} {retrain:?}");
        }
        let hidden = audit([95.0, 60.0], Some([80.0, 15.0]));
        let why = judge(Task::Classify, Set::Whole, &gone, Some(&hidden)).why;
        assert!(why.contains("finds 95.0 % (Retrain 80.0 %, n = 100)"), "{why}");
        assert!(why.contains("10 updates bring it back"), "{why}");
        // Other pictures of the same kind stay recognisable: nothing is hidden there.
        let random = judge(Task::Classify, Set::Random, &metrics(7.0, 98.0, 93.0), Some(&hidden));
        assert_eq!(random.label, Forgot);
    }
}
