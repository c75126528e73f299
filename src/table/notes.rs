//! What a table says, in sentences: whether saliency beats chance, and how far methods spread.

use super::{Compared, Line, Summary, Value, Versus};

/// The sentences.
pub fn notes(summary: &Summary) -> Vec<String> {
    let mut notes = Vec::new();
    for group in &summary.groups {
        notes.extend(controls(group));
        if summary.name == "iu-alpha" {
            notes.extend(spreads(group));
        }
        if ["table1", "classwise", "estimators", "ddpm-classwise"].contains(&&*summary.name) {
            notes.extend(closest(group));
        }
    }
    if summary.name == "iu-alpha" && !notes.is_empty() {
        notes.push(
            "The paper's Fig. 1b (read off the figure; theirs: ResNet-18, CIFAR-10): UA about 2.5 \
             to 85 over alpha for IU alone, about 0 to 9 with SalUn's mask; Retrain about 5."
                .into(),
        );
    }
    let lines = || summary.groups.iter().flat_map(|g| &g.rows);
    let changed: usize = lines().map(|line| line.frozen_changed).sum();
    if changed > 0 {
        notes.push(format!("{changed} weights outside of a mask changed: this is a bug."));
    }
    for line in lines() {
        notes.extend(line.failed.iter().map(|why| format!("{} failed on {why}.", line.label)));
    }
    notes
}

/// Every masked row against its control; in short where there are many.
fn controls(group: &Compared) -> Vec<String> {
    let with = || group.rows.iter().filter_map(|l| l.control.as_ref().map(|c| (l, c)));
    if with().count() <= 8 {
        return with().map(|(line, c)| against(group, line, c)).collect();
    }
    let count = |beats: Option<bool>| with().filter(|(_, c)| c.beats() == beats).count();
    let (all, won, lost) = (with().count(), count(Some(true)), count(Some(false)));
    vec![format!(
        "{}: of {all} settings, the mask beats its random control in {won}, the random control beats \
         the mask in {lost}, and the rest cannot be told apart (95 % paired intervals).",
        group.title
    )]
}

fn against(group: &Compared, line: &Line, c: &Versus) -> String {
    let Versus { control, closer_by, n, .. } = c;
    // As the distance by which the closer of the two is closer.
    let interval = c.interval.map(|[low, high]| {
        let [low, high] = if *closer_by < 0.0 { [-high, -low] } else { [low, high] };
        format!(", 95 % CI {low:.2} to {high:.2}")
    });
    let (by, interval) = (closer_by.abs(), interval.unwrap_or_default());
    let interval = format!("{by:.2} points of average gap{interval}, n = {n} pairs");
    let name = &line.label;
    let says = match c.beats() {
        Some(true) => format!("{name} beats its random control: it is closer by {interval}"),
        Some(false) => format!("{name} loses to its random control, which is closer by {interval}"),
        None if *n < 2 => format!("one pair does not tell {name} from {control} ({interval})"),
        None => {
            let nearer = if *closer_by < 0.0 { control } else { name };
            format!(
                "{name} does not beat its random control: they cannot be told apart ({nearer} is \
                 closer by {interval})"
            )
        }
    };
    format!("{}: {says}.", group.title)
}

/// The three methods that come closest to the reference.
fn closest(group: &Compared) -> Option<String> {
    let mut gaps: Vec<(&Line, f64)> = group
        .rows
        .iter()
        .filter(|l| !l.is_end())
        .filter_map(|l| Some((l, l.average.mean()?)))
        .collect();
    gaps.sort_by(|a, b| a.1.total_cmp(&b.1));
    let first: Vec<String> =
        gaps.iter().take(3).map(|(l, gap)| format!("{} ({gap:.2})", l.label)).collect();
    (gaps.len() > 3)
        .then(|| format!("{}: the smallest average gaps have {}.", group.title, first.join(", ")))
}

/// UA over what the table varies, for each method.
fn spreads(group: &Compared) -> Option<String> {
    let mut said: Vec<(String, f64, f64)> = Vec::new();
    for line in group.rows.iter().filter(|l| l.at.is_some()) {
        let Some(ua) = line.values.first().and_then(Value::mean) else { continue };
        match said.iter_mut().find(|(label, ..)| *label == line.label) {
            Some((_, low, high)) => (*low, *high) = (low.min(ua), high.max(ua)),
            None => said.push((line.label.clone(), ua, ua)),
        }
    }
    let width = |label: &str| {
        said.iter().find(|(l, ..)| l.ends_with(label)).map(|(_, low, high)| high - low)
    };
    let ranges: Vec<String> =
        said.iter().map(|(l, low, high)| format!("{l} {low:.1} to {high:.1}")).collect();
    let narrower = match (width("no mask"), width("abs-sum-grad mask")) {
        (Some(alone), Some(masked)) if masked < alone => {
            format!("; the mask narrows the spread by {:.1} of {alone:.1} points", alone - masked)
        }
        (Some(alone), Some(masked)) => format!(
            "; the mask does not narrow the spread: {masked:.1} points with it, {alone:.1} without"
        ),
        _ => String::new(),
    };
    (!ranges.is_empty()).then(|| format!("UA over alpha: {}{narrower}.", ranges.join(", ")))
}
