//! What a person or a script reads: lines, tables, one JSON object.

use std::io::Write;

use salun_studio::{
    data::forget::brief,
    error::{Error, Result},
    gpu::device::DeviceInfo,
    run::report::{Metrics, Report},
};
use serde::Serialize;

/// One line on stdout. A reader that has gone away is no failure.
pub fn line(text: impl AsRef<str>) {
    let _ = writeln!(std::io::stdout(), "{}", text.as_ref());
}

/// One line on stderr.
pub fn note(text: &str) {
    let _ = writeln!(std::io::stderr(), "{}", single(text));
}

/// An error as one line on stderr.
pub fn error(text: &str) {
    note(&format!("salun: {text}"));
}

/// Without line breaks and other control characters, whatever a file name or a panic brings.
fn single(text: &str) -> String {
    text.split(char::is_control).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

/// One JSON object on stdout.
///
/// # Errors
/// A value has no JSON form.
pub fn json(value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string(value).map_err(|e| Error::Request(e.to_string()))?;
    line(text);
    Ok(())
}

/// Columns aligned, numbers to the right; the first row is the head.
pub fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let cell = |row: &[String], c: usize| row.get(c).cloned().unwrap_or_default();
    let width = |c| rows.iter().map(|r| cell(r, c).chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let numeric = |c: usize| {
        let number = |t: &String| t.starts_with(|d: char| d.is_ascii_digit() || d == '-');
        rows.iter().skip(1).all(|r| r.get(c).is_none_or(number))
    };
    let right: Vec<bool> = (0..columns).map(numeric).collect();
    let mut text = Vec::new();
    for row in rows {
        let cells = (0..columns).map(|c| match (cell(row, c), widths[c]) {
            (t, w) if right[c] => format!("{t:>w$}"),
            (t, w) => format!("{t:<w$}"),
        });
        text.push(cells.collect::<Vec<_>>().join("  ").trim_end().to_string());
    }
    text.join("\n")
}

pub use salun_studio::run::grouped;

/// `CPU, 2 cores (no GPU found)`.
pub fn device(info: &DeviceInfo) -> String {
    let api = if info.api == "cpu" { String::new() } else { format!(", {}", info.api) };
    let why = if info.why.is_empty() { String::new() } else { format!(" ({})", info.why) };
    format!("{}{api}{why}", info.name)
}

/// Rows of UA, RA and TA for metrics with a name each.
pub fn metrics(rows: &[(&str, &Metrics)]) -> String {
    let mut cells =
        vec![["", "UA", "RA", "TA", "pictures (UA, RA, TA)"].map(String::from).to_vec()];
    cells.extend(rows.iter().map(|(name, m)| {
        let [u, r, t] = m.n.map(grouped);
        let mut row = vec![name.to_string()];
        row.extend([m.UA, m.RA, m.TA].map(|v| format!("{v:.1}")));
        row.push(format!("{u}, {r}, {t}"));
        row
    }));
    table(&cells)
}

/// A run's summary: what was forgotten, the mask, before and after, the verdict, the conditions.
pub fn report(r: &Report) {
    line(format!(
        "{}: {} of {} forgets {} ({} pictures)",
        r.task,
        r.method,
        r.model,
        brief(&r.forget.spec),
        grouped(r.forget.n)
    ));
    if let Some(m) = &r.mask {
        line(format!(
            "mask {}: {} of {} weights may change, {} others changed",
            m.estimator,
            grouped(m.k),
            grouped(m.n),
            grouped(m.frozen_changed)
        ));
    }
    let mut rows = vec![("before", &r.before), ("after", &r.after)];
    rows.extend(r.retrain.as_ref().map(|m| ("Retrain", m)));
    line(metrics(&rows));
    for e in &r.earlier {
        let n = grouped(e.n);
        let spec = brief(&e.spec);
        line(format!(
            "forgotten earlier: {spec}, UA {:.1}, was {:.1} (n = {n})",
            e.after, e.before
        ));
    }
    line(format!("verdict: {}. {}", r.verdict.label.name(), r.verdict.why));
    line(format!(
        "seed {}; {} ({}); seconds: mask {:.1}, unlearn {:.1}, evaluate {:.1}",
        r.seed, r.device.name, r.device.api, r.seconds.mask, r.seconds.unlearn, r.seconds.evaluate
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_aligns_words_left_and_numbers_right() {
        let rows = [["run", "UA"], ["salun", "9.5"], ["random mask", "100.0"]];
        let rows: Vec<Vec<String>> = rows.iter().map(|r| r.map(String::from).to_vec()).collect();
        let lines = ["run             UA", "salun          9.5", "random mask  100.0"];
        assert_eq!(table(&rows), lines.join("\n"));
    }

    #[test]
    fn an_error_is_one_line_whatever_it_quotes() {
        assert_eq!(single("a\nb\r\n\x1b[31mc"), "a b [31mc");
    }
}
