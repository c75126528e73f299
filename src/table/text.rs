//! A table as Markdown and as CSV.

use std::fmt::Write;

use super::{
    published::{Published, SOURCES},
    rows::{ORIGINAL, RETRAIN},
    summary::{Compared, Line, Mark, Summary, Value},
};
use crate::{eval::stats::Spread, words::grouped};

/// The whole table with its conditions and what it says. `command` made it.
pub fn markdown(summary: &Summary, command: &str) -> String {
    let s = summary;
    let mut text = format!("# {}\n\n", s.title);
    if !s.notes.is_empty() {
        text += &s.notes.iter().map(|n| format!("- {n}\n")).collect::<String>();
        text.push('\n');
    }
    for group in &s.groups {
        text += &compared(s, group);
    }
    if !s.groups.is_empty() {
        text += "Mean \u{b1} standard deviation over seeds; in brackets the gap: the mean of |row - \
                 reference| of the same seed and forget set. **Best** and _worst_ of each column \
                 among the methods (best is closest to the reference, not largest; for RTE, \
                 fastest). RTE is the seconds of mask and unlearning. Against its control: average \
                 gap of the same method under a random mask of equal size less the row's own, with \
                 its 95 % interval over pairs of one seed and forget set (a studentised bootstrap, \
                 or Student's t for fewer than 6 pairs); above 0 the row is closer.\n\n";
    }
    text += &format!("{}\n\n", s.conditions);
    text += &provenance(s, command);
    text
}

fn provenance(s: &Summary, command: &str) -> String {
    let seeds: Vec<String> = s.seeds.iter().map(u64::to_string).collect();
    let devices: Vec<String> =
        s.devices.iter().map(|d| format!("{} ({})", d.name, d.api)).collect();
    let missing = match (s.all - s.done - s.failed, s.failed) {
        (0, 0) => "all runs done".to_string(),
        (left, failed) => format!("{left} runs missing, {failed} failed"),
    };
    format!(
        "`{command}`; seeds {}; {} of {} runs, {missing}; {}; version {}, protocol `{}`.\n",
        seeds.join(", "),
        s.done,
        s.all,
        if devices.is_empty() { "no device yet".into() } else { devices.join(", ") },
        s.version,
        &s.protocol[..16.min(s.protocol.len())]
    )
}

fn compared(s: &Summary, group: &Compared) -> String {
    let [ua, ra, ta] = group.n.map(grouped);
    let mut text = format!("## {}\n\n", group.title);
    let _ = write!(text, "Forget set {}", group.forgets.join(", "));
    if group.n[0] > 0 {
        let _ = write!(text, "; n = {ua} (UA), {ra} (RA), {ta} (TA)");
    }
    if group.attacked[0] > 0 {
        let [members, others] = group.attacked.map(grouped);
        let _ = write!(text, ", MIA fitted to {members} members and {others} others");
    }
    let _ = writeln!(text, "; gaps to {}.\n", group.reference);
    if let Some(f) = group.frechet {
        let _ = writeln!(
            text,
            "FD: Frechet distance on the shipped classifier's features (not FID) of {} samples of \
             the kept classes to real test pictures; as many real training pictures have {:.2}.\n",
            grouped(f.n),
            f.floor
        );
    }
    let axis = s.axis.as_ref().filter(|_| group.rows.iter().any(|l| l.at.is_some()));
    let settings = group.rows.iter().any(|l| !l.settings.is_empty());
    let mut head = vec![String::new()];
    head.extend(axis.map(|a| a.title.clone()));
    head.extend(s.columns.iter().cloned());
    head.extend(["Avg gap", "RTE, s", "Against its control", "Seeds"].map(String::from));
    head.extend(settings.then(|| "Settings".to_string()));
    text += &row(&head);
    text += &row(&vec!["---".to_string(); head.len()]);
    for line in &group.rows {
        text += &row(&cells(line, axis.is_some(), settings));
    }
    text.push('\n');
    if group.forgets.len() > 1 {
        text += &by_forget(group);
    }
    if !group.published.is_empty() {
        text += &theirs(s, group);
    }
    text
}

fn cells(line: &Line, axis: bool, settings: bool) -> Vec<String> {
    let end = [RETRAIN, ORIGINAL].contains(&&*line.method);
    let mut cells = vec![line.label.clone()];
    cells.extend(axis.then(|| line.at.map_or(String::new(), |at| at.to_string())));
    let failed = !line.failed.is_empty() && line.average.stat.is_none();
    cells.extend(line.values.iter().map(|v| if failed { "failed".into() } else { number(v) }));
    let average = if line.method == RETRAIN { "0".into() } else { number(&line.average) };
    cells.push(average);
    let seconds = Value { gap: None, ..line.seconds.clone() };
    cells.push(if line.method == ORIGINAL { "-".into() } else { number(&seconds) });
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
        None if end => String::new(),
        None => "-".into(),
    });
    let n = line.values.first().and_then(|v| v.stat).map_or(0, |s| s.n);
    let failures = match line.failed.len() {
        0 => String::new(),
        failed => format!(" ({failed} failed)"),
    };
    cells.push(format!("{n}{failures}"));
    cells.extend(settings.then(|| line.settings.clone()));
    cells
}

fn row(cells: &[String]) -> String {
    let safe = cells.iter().map(|c| c.replace('|', "\\|"));
    format!("| {} |\n", safe.collect::<Vec<_>>().join(" | "))
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
    let mut text = "Average gap on each forget set:\n\n".to_string();
    let head = [String::new()].into_iter().chain(group.forgets.iter().cloned());
    text += &row(&head.collect::<Vec<_>>());
    text += &row(&vec!["---".to_string(); group.forgets.len() + 1]);
    for line in group.rows.iter().filter(|l| l.method != RETRAIN) {
        let gaps = line.by_forget.iter().map(|s| s.as_ref().map_or("-".into(), spread));
        text += &row(&[line.label.clone()].into_iter().chain(gaps).collect::<Vec<_>>());
    }
    text + "\n"
}

/// Our means beside the numbers of others for the same method.
fn theirs(s: &Summary, group: &Compared) -> String {
    let mut text =
        "Beside the numbers of others, which are theirs and on other data:\n\n".to_string();
    let mut head = vec![String::new(), "whose".into()];
    head.extend(s.columns.iter().cloned());
    head.push("Avg gap".into());
    text += &row(&head);
    text += &row(&vec!["---".to_string(); head.len()]);
    let show = |v: Option<f64>| v.map_or("-".to_string(), |v| format!("{v:.2}"));
    // A masked variant of a row has no counterpart there.
    let mut seen: Vec<&str> = Vec::new();
    for line in &group.rows {
        let beside: Vec<&Published> =
            group.published.iter().filter(|p| p.method == line.method).collect();
        if beside.is_empty() || seen.contains(&&*line.method) {
            continue;
        }
        seen.push(&line.method);
        let mut ours = vec![line.label.clone(), "ours".into()];
        ours.extend(line.values.iter().map(|v| show(v.stat.map(|s| s.mean))));
        let gap =
            if line.method == RETRAIN { Some(0.0) } else { line.average.stat.map(|s| s.mean) };
        ours.push(show(gap));
        text += &row(&ours);
        for p in beside {
            let mut cells = vec![line.label.clone(), format!("theirs: {}", p.source)];
            cells.extend(p.values.map(show));
            cells.push(show(p.average));
            text += &row(&cells);
        }
    }
    text.push('\n');
    let sources = SOURCES.iter().filter(|(s, _)| group.published.iter().any(|p| p.source == *s));
    for (source, what) in sources {
        let _ = writeln!(text, "Theirs, {source}: {what}.");
    }
    text + "\n"
}

/// One line a row, for spreadsheets; empty where there is no number.
pub fn csv(s: &Summary) -> String {
    let mut head: Vec<String> =
        ["group", "forget", "row", "method", "mask", "settings", "at"].map(String::from).to_vec();
    let named =
        |name: &str| ["", "_sd", "_gap", "_gap_sd", "_mark"].map(|part| format!("{name}{part}"));
    s.columns.iter().for_each(|c| head.extend(named(c)));
    head.extend(
        ["average_gap", "average_gap_sd", "average_gap_mark", "tow", "rte_s", "rte_s_sd", "seeds"]
            .map(String::from),
    );
    head.extend(
        ["control", "closer_by", "ci_low", "ci_high", "pairs", "failed", "protocol"]
            .map(String::from),
    );
    let mut text = record(&head);
    let full = |v: Option<f64>| v.map_or(String::new(), |v| format!("{v:.4}"));
    let mark = |m: Option<Mark>| match m {
        Some(Mark::Best) => "best".to_string(),
        Some(Mark::Worst) => "worst".into(),
        None => String::new(),
    };
    for group in &s.groups {
        for line in &group.rows {
            let mut fields = vec![
                group.title.clone(),
                group.forgets.join(" "),
                line.label.clone(),
                line.method.clone(),
                line.mask.clone(),
                line.settings.clone(),
                line.at.map_or(String::new(), |at| at.to_string()),
            ];
            for v in &line.values {
                fields.push(full(v.stat.map(|s| s.mean)));
                fields.push(full(v.stat.and_then(|s| s.sd)));
                fields.push(full(v.gap.map(|s| s.mean)));
                fields.push(full(v.gap.and_then(|s| s.sd)));
                fields.push(mark(v.mark));
            }
            fields.push(full(line.average.stat.map(|s| s.mean)));
            fields.push(full(line.average.stat.and_then(|s| s.sd)));
            fields.push(mark(line.average.mark));
            fields.push(full(line.tow.map(|s| s.mean)));
            fields.push(full(line.seconds.stat.map(|s| s.mean)));
            fields.push(full(line.seconds.stat.and_then(|s| s.sd)));
            fields.push(line.values.first().and_then(|v| v.stat).map_or(0, |s| s.n).to_string());
            match &line.control {
                Some(c) => {
                    fields.push(c.control.clone());
                    let [low, high] = [0, 1].map(|i| c.interval.map(|both| both[i]));
                    fields.extend([Some(c.closer_by), low, high].map(full));
                    fields.push(c.n.to_string());
                }
                None => fields.extend(std::iter::repeat_n(String::new(), 5)),
            }
            fields.push(line.failed.len().to_string());
            fields.push(s.protocol.clone());
            text += &record(&fields);
        }
    }
    text
}

/// One CSV record (RFC 4180).
fn record(fields: &[String]) -> String {
    let quoted = fields.iter().map(|f| {
        if f.contains([',', '"', '\n']) {
            format!("\"{}\"", f.replace('"', "\"\""))
        } else {
            f.clone()
        }
    });
    quoted.collect::<Vec<_>>().join(",") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{Table, cell::Cells, compare::summary, protocol::Scale};

    #[test]
    fn an_empty_table_can_be_written_and_every_record_is_as_long_as_the_head() {
        for (name, _) in crate::table::TABLES {
            let table = Table::new(name, Scale::Small).unwrap();
            let s = summary(&table, &Cells::default(), 2);
            let text = csv(&s);
            let commas = |line: &str| line.split(',').count();
            let head = commas(text.lines().next().unwrap());
            let plain = text.lines().filter(|l| !l.contains('"'));
            assert!(plain.clone().count() > 2 && plain.map(commas).all(|n| n == head), "{name}");
            assert!(markdown(&s, "salun table").contains("runs missing"));
        }
    }

    #[test]
    fn a_field_with_a_comma_is_quoted() {
        assert_eq!(record(&["a,b".into(), "c\"d".into(), "e".into()]), "\"a,b\",\"c\"\"d\",e\n");
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
