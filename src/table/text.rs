//! A table as Markdown and as CSV.

use super::published::{Published, SOURCES};
use super::{Compared, Line, Mark, ORIGINAL, RETRAIN, Summary, Value};
use crate::error::{Error, Result};
use crate::eval::Spread;
use crate::words::{Frechet, grouped};

/// The whole table with its conditions and what it says. `command` made it.
pub fn markdown(summary: &Summary, command: &str) -> String {
    let s = summary;
    let mut text = format!("# {}\n\n", s.title);
    if !s.notes.is_empty() {
        text.extend(s.notes.iter().map(|n| format!("- {n}\n")).chain(["\n".into()]));
    }
    text.extend(s.groups.iter().map(|group| compared(s, group)));
    text += "Mean \u{b1} standard deviation over seeds; in brackets the gap: the mean of |row - \
             reference| of the same seed and forget set. **Best** and _worst_ of each column \
             among the methods (best is closest to the reference, not largest; for RTE, \
             fastest). RTE is the seconds of mask and unlearning. Against its control: average \
             gap of the same method under a random mask of equal size less the row's own, with \
             its 95 % interval over pairs of one seed and forget set (a studentised bootstrap, \
             or Student's t for fewer than 6 pairs); above 0 the row is closer.\n\n";
    text + &format!("{}\n\n{}", s.conditions, provenance(s, command))
}

fn provenance(s: &Summary, command: &str) -> String {
    let seeds: Vec<String> = s.seeds.iter().map(u64::to_string).collect();
    let devices: Vec<String> =
        s.devices.iter().map(|d| format!("{} ({})", d.name, d.api)).collect();
    let missing = match (s.all - s.done - s.failed, s.failed) {
        (0, 0) => "all runs done".to_string(),
        (left, failed) => format!("{left} runs missing, {failed} failed"),
    };
    let devices = if devices.is_empty() { "no device yet".into() } else { devices.join(", ") };
    let (Summary { done, all, version, .. }, seeds, hash) = (s, seeds.join(", "), s.short_hash());
    format!(
        "`{command}`; seeds {seeds}; {done} of {all} runs, {missing}; {devices}; version {version}, \
         protocol `{hash}`.\n"
    )
}

fn compared(s: &Summary, group: &Compared) -> String {
    let [ua, ra, ta] = group.n.map(grouped);
    let mut text = format!("## {}\n\nForget set {}", group.title, group.forgets.join(", "));
    if group.n[0] > 0 {
        text += &format!("; n = {ua} (UA), {ra} (RA), {ta} (TA)");
    }
    if group.attacked[0] > 0 {
        let [members, others] = group.attacked.map(grouped);
        text += &format!(", MIA fitted to {members} members and {others} others");
    }
    text += &format!("; gaps to {}.\n\n", group.reference);
    if let Some(Frechet { n, floor, .. }) = group.frechet {
        let n = grouped(n);
        text += &format!(
            "FD: Frechet distance on the shipped classifier's features (not FID) of {n} samples of the \
             kept classes to real test pictures; as many real training pictures have {floor:.2}.\n\n"
        );
    }
    let axis = s.axis.as_ref().filter(|_| group.rows.iter().any(|l| l.at.is_some()));
    let settings = group.rows.iter().any(|l| !l.settings.is_empty());
    let mut head = vec![String::new()];
    head.extend(axis.map(|a| a.title.clone()));
    head.extend(s.columns.iter().cloned());
    head.extend(["Avg gap", "RTE, s", "Against its control", "Seeds"].map(String::from));
    head.extend(settings.then(|| "Settings".to_string()));
    text += &table(head, group.rows.iter().map(|line| cells(line, axis.is_some(), settings)));
    if group.forgets.len() > 1 {
        text += &by_forget(group);
    }
    if !group.published.is_empty() {
        text += &theirs(s, group);
    }
    text
}

fn cells(line: &Line, axis: bool, settings: bool) -> Vec<String> {
    let mut cells = vec![line.label.clone()];
    cells.extend(axis.then(|| line.at()));
    let failed = !line.failed.is_empty() && line.average.stat.is_none();
    cells.extend(line.values.iter().map(|v| if failed { "failed".into() } else { number(v) }));
    cells.push(if line.method == RETRAIN { "0".into() } else { number(&line.average) });
    cells.push(if line.method == ORIGINAL { "-".into() } else { number(&line.seconds) });
    cells.push(match &line.control {
        Some(c) => {
            let verdict = match c.beats() {
                Some(true) => "beats it",
                Some(false) => "loses",
                None => "cannot be told apart",
            };
            let interval = c.interval.map(|[low, high]| format!(" [{low:+.2}, {high:+.2}]"));
            let interval = interval.unwrap_or_default();
            format!("{:+.2}{interval}, n = {}: {verdict}", c.closer_by, c.n)
        }
        None if line.is_end() => String::new(),
        None => "-".into(),
    });
    cells.push(match line.failed.len() {
        0 => line.seeds().to_string(),
        failed => format!("{} ({failed} failed)", line.seeds()),
    });
    cells.extend(settings.then(|| line.settings.clone()));
    cells
}

/// A table and an empty line.
fn table(head: Vec<String>, rows: impl Iterator<Item = Vec<String>>) -> String {
    let rule = vec!["---".to_string(); head.len()];
    let row = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let safe = |cells: Vec<String>| cells.iter().map(|c| c.replace('|', "\\|")).collect::<Vec<_>>();
    [head, rule].into_iter().chain(rows).map(safe).map(row).chain(["\n".into()]).collect()
}

/// `2.85 ± 0.43 (2.39)`, marked.
fn number(value: &Value) -> String {
    let Some(stat) = value.stat else { return "-".into() };
    let gap = value.gap.map(|g| format!(" ({:.2})", g.mean)).unwrap_or_default();
    let text = format!("{}{gap}", spread(&stat));
    match value.mark {
        Some(Mark::Best) => format!("**{text}**"),
        Some(Mark::Worst) => format!("_{text}_"),
        None => text,
    }
}

fn spread(stat: &Spread) -> String {
    let sd = stat.sd.map(|sd| format!(" \u{b1} {sd:.2}")).unwrap_or_default();
    format!("{:.2}{sd}", stat.mean)
}

fn by_forget(group: &Compared) -> String {
    let head = [String::new()].into_iter().chain(group.forgets.iter().cloned());
    let rows = group.rows.iter().filter(|l| l.method != RETRAIN).map(|line| {
        let gaps = line.by_forget.iter().map(|s| s.as_ref().map_or("-".into(), spread));
        [line.label.clone()].into_iter().chain(gaps).collect()
    });
    format!("Average gap on each forget set:\n\n{}", table(head.collect(), rows))
}

/// Our means beside the numbers of others for the same method.
fn theirs(s: &Summary, group: &Compared) -> String {
    let mut head = vec![String::new(), "whose".into()];
    head.extend(s.columns.iter().cloned());
    head.push("Avg gap".into());
    let mut rows = Vec::new();
    let mut put = |label: &str, whose: String, values: &mut dyn Iterator<Item = Option<f64>>| {
        let values = values.map(|v| v.map_or("-".to_string(), |v| format!("{v:.2}")));
        rows.push([label.to_string(), whose].into_iter().chain(values).collect());
    };
    // A masked variant of a row has no counterpart there.
    let mut seen: Vec<&str> = Vec::new();
    for line in &group.rows {
        let beside: Vec<&Published> =
            group.published.iter().filter(|p| p.method == line.method).collect();
        if beside.is_empty() || seen.contains(&&*line.method) {
            continue;
        }
        seen.push(&line.method);
        let gap = if line.method == RETRAIN { Some(0.0) } else { line.average.mean() };
        let ours = line.values.iter().map(|v| v.mean());
        put(&line.label, "ours".into(), &mut ours.chain([gap]));
        for p in beside {
            let whose = format!("theirs: {}", p.source);
            put(&line.label, whose, &mut p.values.into_iter().chain([p.average]));
        }
    }
    let from = |source: &str| group.published.iter().any(|p| p.source == source);
    let sources = SOURCES.iter().filter(|(source, _)| from(source));
    let sources: String =
        sources.map(|(source, what)| format!("Theirs, {source}: {what}.\n")).collect();
    let table = table(head, rows.into_iter());
    format!(
        "Beside the numbers of others, which are theirs and on other data:\n\n{table}{sources}\n"
    )
}

/// One line a row, for spreadsheets; empty where there is no number.
///
/// # Errors
/// It cannot be put together.
pub fn csv(s: &Summary) -> Result<Vec<u8>> {
    let failed = |e: &dyn std::fmt::Display| Error::Request(format!("the CSV failed: {e}"));
    let mut table = csv::Writer::from_writer(Vec::new());
    let lines = s.groups.iter().flat_map(|group| group.rows.iter().map(move |line| (group, line)));
    for (i, (group, line)) in lines.enumerate() {
        let (names, values): (Vec<_>, Vec<_>) = fields(s, group, line).into_iter().unzip();
        if i == 0 {
            table.write_record(names).map_err(|e| failed(&e))?;
        }
        table.write_record(values).map_err(|e| failed(&e))?;
    }
    table.into_inner().map_err(|e| failed(&e))
}

/// The names and values of a line's fields.
fn fields(s: &Summary, group: &Compared, line: &Line) -> Vec<(String, String)> {
    let full = |v: Option<f64>| v.map_or(String::new(), |v| format!("{v:.4}"));
    let stat = |name: &str, of: Option<Spread>| {
        [
            (name.to_string(), full(of.map(|s| s.mean))),
            (format!("{name}_sd"), full(of.and_then(|s| s.sd))),
        ]
    };
    let marked = |name: &str, mark: Option<Mark>| {
        (format!("{name}_mark"), mark.map_or(String::new(), |m| m.to_string()))
    };
    let named = |(name, value): (&str, String)| (name.to_string(), value);
    let c = line.control.as_ref();
    let about = [
        ("group", group.title.clone()),
        ("forget", group.forgets.join(" ")),
        ("row", line.label.clone()),
        ("method", line.method.clone()),
        ("mask", line.mask.clone()),
        ("settings", line.settings.clone()),
        ("at", line.at()),
    ];
    let mut fields: Vec<(String, String)> = about.map(named).into();
    for (column, v) in s.columns.iter().zip(&line.values) {
        fields.extend(stat(column, v.stat));
        fields.extend(stat(&format!("{column}_gap"), v.gap));
        fields.push(marked(column, v.mark));
    }
    fields.extend(stat("average_gap", line.average.stat));
    fields.push(marked("average_gap", line.average.mark));
    fields.push(named(("tow", full(line.tow.map(|s| s.mean)))));
    fields.extend(stat("rte_s", line.seconds.stat));
    let end = |i: usize| full(c.and_then(|c| c.interval).map(|both| both[i]));
    let rest = [
        ("seeds", line.seeds().to_string()),
        ("control", c.map_or(String::new(), |c| c.control.clone())),
        ("closer_by", full(c.map(|c| c.closer_by))),
        ("ci_low", end(0)),
        ("ci_high", end(1)),
        ("pairs", c.map_or(String::new(), |c| c.n.to_string())),
        ("failed", line.failed.len().to_string()),
        ("protocol", s.protocol.clone()),
    ];
    fields.extend(rest.map(named));
    fields
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::compare::summary;
    use crate::table::{Cells, Scale, Table};

    #[test]
    fn an_empty_table_can_be_written_and_every_record_is_as_long_as_the_head() {
        for (name, _) in crate::table::TABLES {
            let table = Table::new(name, Scale::Small).unwrap();
            let s = summary(&table, &Cells::default(), 2);
            let text = String::from_utf8(csv(&s).unwrap()).unwrap();
            let commas = |line: &str| line.split(',').count();
            let head = commas(text.lines().next().unwrap());
            let plain = text.lines().filter(|l| !l.contains('"'));
            assert!(plain.clone().count() > 2 && plain.map(commas).all(|n| n == head), "{name}");
            assert!(markdown(&s, "salun table").contains("runs missing"));
        }
    }

    #[test]
    fn a_field_with_a_comma_is_quoted() {
        let mut s = summary(&Table::new("prompts", Scale::Tiny).unwrap(), &Cells::default(), 1);
        s.groups[0].title = "a,b".into();
        s.groups[0].rows[0].label = "c\"d".into();
        let text = String::from_utf8(csv(&s).unwrap()).unwrap();
        assert!(text.contains("\n\"a,b\",prompt:a cat,\"c\"\"d\",noop,"), "{text}");
    }

    #[test]
    fn a_number_shows_spread_gap_and_mark() {
        let stat = |mean, sd| Some(Spread { mean, sd, n: 3 });
        let value =
            Value { stat: stat(2.85, Some(0.43)), gap: stat(2.39, None), mark: Some(Mark::Best) };
        assert_eq!(number(&value), "**2.85 \u{b1} 0.43 (2.39)**");
        assert_eq!(number(&Value::default()), "-");
    }
}
