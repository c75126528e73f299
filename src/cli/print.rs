//! What a person or a script reads: lines, tables, one JSON object.

use std::{
    io::{ErrorKind, Write},
    path::PathBuf,
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use serde::Serialize;
use serde_json::Value;

use super::Common;
use salun_studio::data::brief;
use salun_studio::error::{Error, Result};
use salun_studio::eval::Metric;
use salun_studio::gpu::DeviceInfo;
use salun_studio::words::{
    Audit, Divergence, EarlierReport, Examination, Metrics, References, Report,
};

/// Whether nothing but errors and JSON is printed, and whether a program reads what is on stdout.
static QUIET: AtomicBool = AtomicBool::new(false);
static JSON: AtomicBool = AtomicBool::new(false);

/// Prints what is asked for, from now on.
pub fn begin(common: &Common) {
    QUIET.store(common.quiet, Ordering::Relaxed);
    JSON.store(common.json, Ordering::Relaxed);
}

/// Whether nothing but errors and JSON is printed.
pub fn quiet() -> bool {
    QUIET.load(Ordering::Relaxed)
}

/// One line on stdout, for a person. A reader that has gone away is no failure.
pub fn line(text: impl AsRef<str>) {
    if !quiet() && !JSON.load(Ordering::Relaxed) {
        kept(writeln!(std::io::stdout(), "{}", harmless(text.as_ref())));
    }
}

/// One JSON object on stdout, where one is asked for: then it is all that is there.
///
/// # Errors
/// A value has no JSON form.
pub fn json(value: &impl Serialize) -> Result<()> {
    if JSON.load(Ordering::Relaxed) {
        let text = serde_json::to_string(value).map_err(|e| Error::Request(e.to_string()))?;
        kept(writeln!(std::io::stdout(), "{text}"));
    }
    Ok(())
}

/// One line on stderr, unless nothing but errors is printed.
pub fn remark(text: &str) {
    if !quiet() {
        note(text);
    }
}

/// A text without what a terminal would obey, but for its line breaks: names come from anywhere.
fn harmless(text: &str) -> String {
    let shown = |c: char| match c {
        '\n' => "\n".to_string(),
        c if c.is_control() => format!("\\x{:02X}", c as u32),
        c => c.to_string(),
    };
    text.chars().map(shown).collect()
}

/// Rust opens `/dev/null` in the place of a standard output that is closed, before it comes to `main`: what
/// is printed would be lost without a word. So it is looked at before that.
#[cfg(any(target_os = "linux", target_vendor = "apple"))]
mod closed {
    use std::sync::atomic::{AtomicBool, Ordering};

    static CLOSED: AtomicBool = AtomicBool::new(false);

    #[used]
    // SAFETY: the loader calls each function in this section once, and this one touches nothing but a flag.
    #[cfg_attr(target_os = "linux", unsafe(link_section = ".init_array"))]
    #[cfg_attr(target_vendor = "apple", unsafe(link_section = "__DATA,__mod_init_func"))]
    static LOOK: extern "C" fn() = look;

    extern "C" fn look() {
        // SAFETY: asks for the flags of a descriptor, which may be none.
        let closed = unsafe { libc::fcntl(libc::STDOUT_FILENO, libc::F_GETFD) } == -1;
        CLOSED.store(closed, Ordering::Relaxed);
    }

    pub fn was() -> bool {
        CLOSED.load(Ordering::Relaxed)
    }
}

#[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
mod closed {
    pub fn was() -> bool {
        false
    }
}

/// Why something that was printed did not arrive.
static FAILED: OnceLock<String> = OnceLock::new();

/// Remembers that a line did not arrive.
pub fn kept(outcome: std::io::Result<()>) {
    let outcome = match closed::was() {
        true => Err(std::io::Error::other("it was closed before the program started")),
        false => outcome,
    };
    if let Err(error) = outcome
        && error.kind() != ErrorKind::BrokenPipe
    {
        let _ = FAILED.set(error.to_string());
    }
}

/// Why standard output has not all that was printed; a reader that has gone away is no failure.
pub fn failed() -> Option<String> {
    if !closed::was() {
        kept(std::io::stdout().flush());
    }
    FAILED.get().cloned()
}

/// One line on stderr.
pub fn note(text: &str) {
    let _ = writeln!(std::io::stderr(), "{}", single(text));
}

/// Whether the state of a training could be written; says why not, and no more: a full disk now is none
/// in half a minute, or at the end.
pub fn or_later<T>(written: Result<T>) -> bool {
    if let Err(error) = &written {
        note(&format!("{error}; it is tried again"));
    }
    written.is_ok()
}

/// An error as one line on stderr.
pub fn error(text: &str) {
    note(&format!("salun: {text}"));
}

/// Without line breaks and other control characters, whatever a file name or a panic brings.
fn single(text: &str) -> String {
    text.split(char::is_control).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Says where an output is.
///
/// # Errors
/// It could not be written there.
pub fn written(place: Result<PathBuf>) -> Result<()> {
    line(format!("written to {}", place?.display()));
    Ok(())
}

/// A JSON object with what another has besides.
pub fn with(mut value: Value, more: Value) -> Value {
    if let (Value::Object(value), Value::Object(more)) = (&mut value, more) {
        value.extend(more);
    }
    value
}

/// A JSON value as it stands in a table: a text as it is, a number by thousands.
pub fn cell(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.as_u64().map_or("-".into(), |n| grouped(n as usize)),
    }
}

/// A table: columns aligned under their names, numbers to the right.
pub fn columns<R: Into<Vec<String>>>(head: &[&str], rows: impl IntoIterator<Item = R>) -> String {
    let head = head.iter().map(ToString::to_string).collect();
    let rows: Vec<_> = [head].into_iter().chain(rows.into_iter().map(Into::into)).collect();
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let cell = |row: &[String], c: usize| row.get(c).cloned().unwrap_or_default();
    let number = |t: &String| t.starts_with(|d: char| d.is_ascii_digit() || d == '-');
    let form = |c: usize| {
        let width = rows.iter().map(|r| cell(r, c).chars().count()).max().unwrap_or(0);
        (width, rows.iter().skip(1).all(|r| r.get(c).is_none_or(number)))
    };
    let forms: Vec<(usize, bool)> = (0..columns).map(form).collect();
    let line = |row: &Vec<String>| {
        let cells = forms.iter().enumerate().map(|(c, (w, right))| match (cell(row, c), right) {
            (t, true) => format!("{t:>w$}"),
            (t, false) => format!("{t:<w$}"),
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_string()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// A row that begins with its name.
pub fn row(name: impl Into<String>, cells: impl IntoIterator<Item = String>) -> Vec<String> {
    [name.into()].into_iter().chain(cells).collect()
}

pub use salun_studio::words::grouped;

/// `CPU, 2 cores (no GPU found)`.
pub fn device(info: &DeviceInfo) -> String {
    let api = if info.api == "cpu" { String::new() } else { format!(", {}", info.api) };
    let why = if info.why.is_empty() { String::new() } else { format!(" ({})", info.why) };
    format!("{}{api}{why}", info.name)
}

/// Metrics with a name each, a row each, and how many pictures are behind the accuracies.
pub fn metrics(rows: &[(&str, &Metrics)]) -> String {
    let accuracies: Vec<&str> = Metric::accuracies().map(|m| m.key).collect();
    let behind = format!("pictures ({})", accuracies.join(", "));
    let all: Vec<&Metrics> = rows.iter().map(|(_, of)| *of).collect();
    let told: Vec<&Metric> = Metric::told(&all).collect();
    let head: Vec<&str> =
        [""].into_iter().chain(told.iter().map(|m| m.key)).chain([&*behind]).collect();
    columns(
        &head,
        rows.iter().map(|(name, of)| {
            let values = told.iter().map(|m| number(m.value(of), 1));
            let n: Vec<String> = Metric::accuracies().map(|m| grouped((m.n)(of).0)).collect();
            row(*name, values.chain([n.join(", ")]))
        }),
    )
}

/// Removes something that takes so many bytes and says so, as it says of none that it is not here; what was removed,
/// as JSON.
///
/// # Errors
/// It cannot be removed.
pub fn removed(
    name: &str,
    bytes: u64,
    remove: impl FnOnce() -> Result<()>,
) -> Result<Option<Value>> {
    if bytes == 0 {
        line(format!("{name} is not here"));
        return Ok(None);
    }
    remove()?;
    line(format!("{name}: {} removed", megabytes(bytes)));
    Ok(Some(serde_json::json!({ "name": name, "bytes": bytes })))
}

/// Bytes in millions.
pub fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

/// A number, or a dash where it was not measured.
pub fn number(value: Option<f64>, digits: usize) -> String {
    value.map_or("-".into(), |v| format!("{v:.digits$}"))
}

/// Layers that are told of those that moved most.
const MOVED: usize = 5;

/// A run's summary: what was forgotten, the mask, before and after, the verdict, the conditions.
pub fn report(r: &Report) {
    let Report { task, method, model, forget, seed, seconds: s, device, .. } = r;
    let (spec, n) = (brief(&forget.spec), grouped(forget.n));
    line(format!("{task}: {method} of {model} forgets {spec} ({n} pictures)"));
    if let Some(m) = &r.mask {
        let [k, n, changed] = [m.k, m.n, m.frozen_changed].map(grouped);
        let mask = &m.estimator;
        line(match m.said_of_given() {
            Some(said) => format!("mask {mask}: {k} of {n} weights; {said}"),
            None => format!("mask {mask}: {k} of {n} weights may change, {changed} others changed"),
        });
        let moved = m.moved_most(MOVED).into_iter();
        let moved: Vec<_> = moved.map(|(name, by)| format!("{name} by {by:.2e}")).collect();
        if !moved.is_empty() {
            line(format!("moved most, by the mean of a layer's weights: {}", moved.join(", ")));
        }
    }
    let mut rows = vec![("before", &r.before), ("after", &r.after)];
    rows.extend(r.retrain.as_ref().map(|m| ("Retrain", m)));
    line(metrics(&rows));
    for EarlierReport { spec, before, after, n } in &r.earlier {
        let (spec, n) = (brief(spec), grouped(*n));
        line(format!("forgotten earlier: {spec}, UA {after:.1}, was {before:.1} (n = {n})"));
    }
    found(r);
    line(format!(
        "seed {seed}; {} ({}); seconds: mask {:.1}, unlearn {:.1}, evaluate {:.1}",
        device.name, device.api, s.mask, s.unlearn, s.evaluate
    ));
}

/// What attacks and an audit of a run found, the verdict, and why.
pub fn found(Report { attacks, audit: audited, verdict, .. }: &Report) {
    for attack in attacks {
        let rows = attack.tries.iter().map(|t| {
            let [before, after] = [t.before, t.after].map(|share| format!("{share:.1}"));
            [t.name.clone(), before, after, t.prompt.clone()]
        });
        line(format!("\n{} on {} (n = {})", attack.kind.title(), attack.forget, attack.n));
        line(columns(&["seen, %", "before", "after", "prompt"], rows));
    }
    audited.iter().for_each(|found| audit(found));
    line(format!("verdict: {}. {}", verdict.label.name(), verdict.why));
}

/// What an audit found in the run, in the original and in Retrain.
fn audit(a: &Audit) {
    let models: Vec<_> = a.examined(["run", "original", "Retrain"]).collect();
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut put = |name: &str, digits: usize, of: &dyn Fn(&Examination) -> Option<f64>| {
        rows.push(row(name, models.iter().map(|(_, found)| number(of(found), digits))));
    };
    for (i, attack) in a.run.attacks.iter().enumerate() {
        put(&format!("{}: AUC", attack.name), 3, &|e| Some(e.attacks.get(i)?.auc));
        put("  TPR at 1 % FPR", 1, &|e| Some(100.0 * e.attacks.get(i)?.tpr_at_1_fpr));
        if attack.balanced_accuracy.is_some() {
            put("  balanced accuracy", 1, &|e| e.attacks.get(i)?.balanced_accuracy);
        }
    }
    put("probe: forgotten", 1, &|e| Some(e.probe.as_ref()?.forgotten));
    put("probe: kept", 1, &|e| Some(e.probe.as_ref()?.kept));
    put("relearn: area", 1, &|e| Some(e.relearn.as_ref()?.area));
    put("  after the last update", 1, &|e| e.relearn.as_ref()?.accuracy.last().copied());
    let head: Vec<&str> = ["audit"].into_iter().chain(models.iter().map(|m| m.0)).collect();
    line(columns(&head, rows));
    let mut head = vec!["CKA with the original", "forgotten", "rest"];
    if a.retrain.is_some() {
        head.extend(["with Retrain: forgotten", "rest"]);
    }
    let rows = a.layers.iter().map(|l| {
        let pairs = [l.original].into_iter().chain(l.retrain);
        row(&l.name, pairs.flatten().map(|v| number(v, 3)))
    });
    line(columns(&head, rows));
    if let Some(Divergence { js, activation, n }) = a.divergence {
        line(format!(
            "to Retrain on the forget set: JS divergence {js:.4} bits, activation distance \
             {activation:.4} (n = {})",
            grouped(n)
        ));
    }
    let [members, others] = a.run.attacks.first().map_or([0; 2], |x| x.n).map(grouped);
    let [forgotten, rest] = a.layers_n.map(grouped);
    let References { models, width, steps, batch } = a.references;
    line(format!(
        "attacks on {members} of the forget set and {others} never seen, CKA on {forgotten} and {rest}; \
         RMIA with {models} reference models (width {width}, {steps} updates of {batch}); chance {:.0} %; \
         {:.1} s",
        a.chance, a.seconds
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_aligns_words_left_and_numbers_right() {
        let rows = [["salun", "9.5"], ["random mask", "100.0"]].map(|r| r.map(String::from));
        let lines = ["run             UA", "salun          9.5", "random mask  100.0"];
        assert_eq!(columns(&["run", "UA"], rows), lines.join("\n"));
    }

    #[test]
    fn an_error_is_one_line_whatever_it_quotes() {
        assert_eq!(single("a\nb\r\n\x1b[31mc"), "a b [31mc");
    }
}
