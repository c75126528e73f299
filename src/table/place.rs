//! Where the rows of a table stand on the forget map.

use super::{Compared, Line, ORIGINAL, RETRAIN, Summary};
use crate::eval::{Evidence, Place};
use crate::words::{ForgetKind, Metrics, Task};

/// Where the rows of a group of a task's table stand, by the means of their metrics; none where the original or
/// a kind of forget set that is known is not among them.
pub fn places<'a>(summary: &Summary, group: &'a Compared, task: Task) -> Vec<(&'a Line, Place)> {
    let row = |method| group.rows.iter().find(|line| line.method == method);
    let measured = |line| metrics(summary, line);
    let set = group.forgets.first().and_then(|spec| ForgetKind::of(spec));
    let Some((before, set)) = row(ORIGINAL).and_then(measured).zip(set) else { return Vec::new() };
    let retrain = row(RETRAIN).and_then(measured);
    let place = |line| {
        let after = measured(line)?;
        let (before, retrain) = (&before, retrain.as_ref());
        let (audit, attacks, earlier) = (None, [].as_slice(), [].as_slice());
        let found = Evidence { task, set, before, after: &after, retrain, audit, attacks, earlier };
        Some((line, Place::found(&found)))
    };
    group.rows.iter().filter_map(place).collect()
}

/// A row's mean UA, RA and TA; a table of pictures has one column for the two of them.
fn metrics(summary: &Summary, line: &Line) -> Option<Metrics> {
    let mean = |names: &[&str]| {
        let column =
            names.iter().find_map(|name| summary.columns.iter().position(|c| c == name))?;
        line.values.get(column)?.mean()
    };
    let (ua, ra) = (mean(&["UA"])?, mean(&["RA", "kept"])?);
    Some(Metrics { UA: ua, RA: ra, TA: mean(&["TA"]).unwrap_or(ra), ..Metrics::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_table_has_its_places() {
        for (name, task) in [
            ("classwise", Task::Classify),
            ("table1", Task::Classify),
            ("ddpm-classwise", Task::Generate),
            ("prompts", Task::TextToImage),
        ] {
            let file = format!("{}/assets/tables/{name}/table.json", env!("CARGO_MANIFEST_DIR"));
            let summary = Summary::read(&std::fs::read(file).unwrap()).unwrap();
            for group in &summary.groups {
                let places = places(&summary, group, task);
                assert_eq!(places.len(), group.rows.len(), "{name}: {}", group.title);
                let of = |method| places.iter().find(|(line, _)| line.method == method).unwrap().1;
                let (original, salun) = (of(ORIGINAL), of("salun"));
                assert!(original.left > salun.left && original.damage < 1.0, "{original:?}");
            }
        }
    }
}
