//! The verdict in words: forgot, under-forgot, over-forgot, hidden (docs/audits.md).

use crate::data::brief;
use crate::words::{
    AttackKind, AttackReport, Audit, EarlierReport, Examination, ForgetKind, Metrics, NO_JUDGE,
    Report, Task, Verdict, VerdictLabel, grouped,
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

/// What is said of a task's runs, and what is allowed to them.
struct TaskRow {
    /// Points of UA that may be missing, and of RA or TA that may be lost.
    limits: [f64; 2],
    /// What UA is counted over, and what is left of the forgotten in it.
    of: &'static str,
    still: &'static str,
    /// What RA and TA are.
    rest: &'static str,
}

/// By task, in the order of its variants.
const TASKS: [TaskRow; 3] = [
    TaskRow {
        limits: [UNDER, 1.5],
        of: "the forget set",
        still: "is still recognised",
        rest: "accuracy",
    },
    TaskRow {
        limits: [5.0, 5.0],
        of: "its samples",
        still: "still show the class",
        rest: "the kept classes' share",
    },
    TaskRow {
        limits: [10.0, 10.0],
        of: "its pictures",
        still: "still show it",
        rest: "what other prompts show",
    },
];

/// What a verdict rests on.
#[derive(Debug, Clone, Copy)]
pub struct Evidence<'a> {
    pub task: Task,
    /// What kind of forget set it is, as far as what to expect of it goes.
    pub set: ForgetKind,
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
        let task = Task::ALL.into_iter().find(|task| task.name() == report.task);
        Self {
            task: task.unwrap_or(Task::Classify),
            set: ForgetKind::of(&report.forget.spec).unwrap_or(ForgetKind::Items),
            before: &report.before,
            after: &report.after,
            retrain: report.retrain.as_ref(),
            audit: report.audit.as_deref(),
            attacks: &report.attacks,
            earlier: &report.earlier,
        }
    }

    fn row(&self) -> &'static TaskRow {
        &TASKS[self.task as usize]
    }

    /// Points of UA that may be missing, and of RA or TA that may be lost.
    pub fn limits(&self) -> [f64; 2] {
        self.row().limits
    }

    /// The UA of a model that never saw the forget set: 100 for a whole class; else Retrain's where
    /// it is known, and for a random share the error on unseen pictures where it is not. What Retrain
    /// would say of picked pictures cannot be guessed.
    pub fn aim(&self) -> Option<f64> {
        match (self.set, self.retrain) {
            (set, _) if set.whole() => Some(100.0),
            (_, Some(retrain)) => Some(retrain.UA),
            (ForgetKind::Random, None) => Some(100.0 - self.before.TA),
            _ => None,
        }
    }

    /// Whether what is left is what is still recognised, and not what UA is short of an aim.
    pub fn counts_seen(&self) -> bool {
        self.set.whole() || self.aim().is_none()
    }

    /// The larger loss of RA and TA, in points.
    fn lost(&self) -> f64 {
        loss(self.before, self.after).0
    }

    /// Whether UA went at least half of the way to the aim: nobody has forgotten by staying as he was.
    fn moved(&self) -> bool {
        let rose = self.after.UA - self.before.UA;
        match self.aim() {
            _ if self.set.whole() => true,
            Some(aim) => {
                let way = aim - self.before.UA;
                rose != 0.0 && (way <= 0.0 || rose >= way / 2.0)
            }
            None => rose > UNDER,
        }
    }
}

/// Judges a run by what is left of the forgotten ([`Evidence::aim`]) and what is lost of the rest; a class that
/// is not seen any more, but comes back more easily than in a model that never saw it, is hidden.
pub fn verdict(evidence: &Evidence) -> Verdict {
    let Evidence { set, before, after, .. } = *evidence;
    if !(before.judged() && after.judged()) {
        return Verdict { label: VerdictLabel::Unjudged, why: NO_JUDGE.into() };
    }
    let (aim, whole) = (evidence.aim(), set.whole());
    let TaskRow { limits: [under, allowed], of, still, rest, .. } = *evidence.row();
    let (lost, n) = loss(before, after);
    let missing = aim.map_or(0.0, |aim| aim - after.UA);
    let left = format!("{:.1} % of {of} {still} (n = {})", 100.0 - after.UA, grouped(after.n[0]));
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
        VerdictLabel::TooFew | VerdictLabel::Unjudged => "No verdict".into(),
    }
}

/// What is left of the forgotten, in a few words.
fn remains(evidence: &Evidence) -> String {
    if let Some(back) = returned(evidence) {
        return format!("{} is back", brief(&back.spec));
    }
    let TaskRow { limits: [under, _], still, .. } = *evidence.row();
    let ua = evidence.after.UA;
    match evidence.aim().filter(|_| !evidence.counts_seen()) {
        None => format!("{} % {still}", short(100.0 - ua)),
        Some(aim) if aim - ua > under => format!("UA is {} points short", short(aim - ua)),
        Some(_) => "UA hardly moved".into(),
    }
}

/// What was lost beside the forgotten, in a few words.
fn excess(evidence: &Evidence) -> String {
    let (lost, [_, allowed]) = (evidence.lost(), evidence.limits());
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
    let audit = evidence.audit.filter(|_| evidence.set.whole());
    let found = audit.map_or_else(Vec::new, recovery);
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
    let [under, allowed] = ours.limits();
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
mod tests;
