//! What a table's cells say, summed up and held against Retrain and the random-mask controls.

use super::mark::mark;
use super::rows::Row;
use super::sample::{Sample, over};
use super::{
    Cell, Cells, Compared, Group, Line, ORIGINAL, Outcome, RETRAIN, Run, SCHEMA, Summary, Table,
    Value, Versus, notes, published,
};
use crate::eval::{Metric, paired, spread};
use crate::words::{DeviceReport, Frechet, Metrics};

/// What the cells say about a table with `seeds` seeds.
pub fn summary(table: &Table, cells: &Cells, seeds: u64) -> Summary {
    let runs = table.runs(seeds);
    let found: Vec<&Cell> = runs.iter().filter_map(|run| cells.get(run)).collect();
    let measured: Vec<&Metrics> =
        found.iter().filter_map(|cell| Some(&cell.numbers()?.metrics)).collect();
    let columns = Metric::columns(table.protocol.task, &measured);
    let (titles, metrics): (Vec<_>, Vec<_>) = columns.unzip();
    let mut devices: Vec<DeviceReport> = Vec::new();
    for cell in &found {
        if !devices.contains(&cell.device) {
            devices.push(cell.device.clone());
        }
    }
    let done = found.iter().filter(|c| c.numbers().is_some()).count();
    let of = Of { table, cells, seeds, metrics };
    let mut summary = Summary {
        schema: SCHEMA,
        name: table.name.clone(),
        title: table.title.clone(),
        scale: table.protocol.scale,
        protocol: table.hash(),
        version: env!("CARGO_PKG_VERSION").into(),
        conditions: table.protocol.words(),
        devices,
        seeds: table.seeds(seeds).collect(),
        done,
        failed: found.len() - done,
        all: runs.len(),
        columns: titles.into_iter().map(String::from).collect(),
        axis: table.axis.clone(),
        chart: table.chart,
        groups: table.groups.iter().enumerate().map(|(i, group)| of.group(i, group)).collect(),
        notes: Vec::new(),
    };
    summary.notes = notes::notes(&summary);
    summary
}

/// What a group is summed up from.
struct Of<'a> {
    table: &'a Table,
    cells: &'a Cells,
    seeds: u64,
    metrics: Vec<&'static Metric>,
}

impl<'a> Of<'a> {
    fn group(&self, index: usize, group: &Group) -> Compared {
        let reference = match retrained(group) {
            true => "Retrain".to_string(),
            false => format!(
                "the aim (no Retrain is shipped): UA 100, and the original's {}",
                self.table.protocol.task.kept()
            ),
        };
        let samples: Vec<Vec<Sample>> =
            group.rows.iter().map(|row| self.samples(group, row)).collect();
        let mut rows: Vec<Line> =
            group.rows.iter().zip(&samples).map(|(row, s)| self.line(group, row, s)).collect();
        for (i, row) in group.rows.iter().enumerate() {
            let control = group.control(row).and_then(|c| group.rows.iter().position(|r| r == c));
            rows[i].control =
                control.and_then(|c| self.versus(&samples[i], &samples[c], &group.rows[c].label));
        }
        mark(&mut rows, self.metrics.len());
        let first = samples.iter().flatten().find_map(Sample::metrics);
        Compared {
            title: group.title.clone(),
            forgets: group.forgets.clone(),
            reference,
            n: first.map(|m| m.n).unwrap_or_default(),
            attacked: first.map(|m| m.MIA_n).unwrap_or_default(),
            frechet: frechet(&samples),
            rows,
            published: published::beside(&self.table.name, index),
        }
    }

    /// A row's cells, each with what it is compared with.
    fn samples(&self, group: &Group, row: &Row) -> Vec<Sample<'a>> {
        let (method, aim) = match retrained(group) {
            true => (RETRAIN, None),
            false => (ORIGINAL, Some(100.0)),
        };
        let other = group.rows.iter().find(|row| row.method == method);
        let mut all = Vec::new();
        for seed in self.table.seeds(self.seeds) {
            for (i, forget) in group.forgets.iter().enumerate() {
                let cell = |row| self.cells.get(&Run { row, forget, seed });
                let found = other.and_then(|row| Some(&cell(row)?.numbers()?.metrics));
                let reference = found.map(|m| Metrics { UA: aim.unwrap_or(m.UA), ..m.clone() });
                all.extend(cell(row).map(|cell| Sample { seed, forget: i, cell, reference }));
            }
        }
        all
    }

    fn line(&self, group: &Group, row: &Row, samples: &[Sample]) -> Line {
        let column = |metric: &&Metric| Value {
            stat: over(samples, |s| metric.value(s.metrics()?)),
            gap: over(samples, |s| s.gap(metric)).filter(|_| row.method != RETRAIN),
            mark: None,
        };
        let stat = |read: &dyn Fn(&Sample) -> Option<f64>| Value {
            stat: over(samples, read),
            ..Value::default()
        };
        let average = |s: &Sample| s.average(&self.metrics);
        let failed = |s: &Sample| match &s.cell.outcome {
            Outcome::Failed(why) => {
                Some(format!("{}, seed {}: {why}", group.forgets[s.forget], s.seed))
            }
            Outcome::Done(_) => None,
        };
        let on = |forget: usize| {
            let own = samples.iter().filter(|s| s.forget == forget).filter_map(average);
            spread(&own.collect::<Vec<_>>())
        };
        let masks = samples.iter().filter_map(|s| s.cell.numbers()?.mask.as_ref());
        Line {
            label: row.label.clone(),
            method: row.method.clone(),
            mask: row.estimator().name().into(),
            settings: row.settings(),
            at: row.at,
            values: self.metrics.iter().map(column).collect(),
            average: stat(&average),
            seconds: stat(&|s| Some(s.cell.numbers()?.rte())),
            tow: over(samples, |s| s.tow()),
            by_forget: (0..group.forgets.len()).map(on).collect(),
            each: samples.iter().filter_map(average).collect(),
            failed: samples.iter().filter_map(failed).collect(),
            control: None,
            frozen_changed: masks.map(|m| m.frozen_changed).sum(),
        }
    }

    fn versus(&self, own: &[Sample], control: &[Sample], label: &str) -> Option<Versus> {
        let pairs = own.iter().filter_map(|s| {
            let twin = control.iter().find(|c| (c.seed, c.forget) == (s.seed, s.forget))?;
            Some((twin.average(&self.metrics)?, s.average(&self.metrics)?))
        });
        let (theirs, ours): (Vec<f64>, Vec<f64>) = pairs.unzip();
        let paired = paired(&theirs, &ours, 0);
        Some(Versus {
            control: label.into(),
            closer_by: spread(&theirs)?.mean - spread(&ours)?.mean,
            interval: paired.map(|p| [p.low, p.high]),
            how: paired.map(|p| p.how),
            n: ours.len(),
        })
    }
}

/// Whether a group has a Retrain, which gaps are taken to.
fn retrained(group: &Group) -> bool {
    group.rows.iter().any(|row| row.method == RETRAIN)
}

/// How many samples are behind the Frechet distances, and their mean floor.
fn frechet(samples: &[Vec<Sample>]) -> Option<Frechet> {
    let all: Vec<Frechet> = samples.iter().flatten().filter_map(|s| s.metrics()?.FD).collect();
    let floor = all.iter().map(|f| f.floor).sum::<f64>() / all.len().max(1) as f64;
    all.first().map(|first| Frechet { value: 0.0, floor, ..*first })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{Mark, Numbers, Scale};

    fn metrics() -> Metrics {
        Metrics { n: [1; 3], ..Metrics::default() }
    }

    /// The 10 % half of Table 1 as the paper prints it, the same for every seed.
    fn paper() -> (Table, Cells) {
        let table = Table::new("table1", Scale::Paper).unwrap();
        let mut cells = Cells::default();
        for run in table.runs(3) {
            let theirs = published::beside("table1", 0);
            let Some(p) = theirs.iter().find(|p| {
                p.source == "paper" && p.method == run.row.method && run.row.mask.is_none()
            }) else {
                continue;
            };
            let [ua, ra, ta, mia] = p.values.map(Option::unwrap);
            let found = Metrics { UA: ua, RA: ra, TA: ta, MIA: Some(mia), ..metrics() };
            cells.put(run.name(), done(&table, &run, found));
        }
        (table, cells)
    }

    fn done(table: &Table, run: &Run, metrics: Metrics) -> Cell {
        Cell {
            protocol: table.hash(),
            forget: run.forget.into(),
            row: run.row.clone(),
            seed: run.seed,
            outcome: Outcome::Done(Box::new(Numbers::of_model(metrics, 1.0))),
            seconds: 1.0,
            device: DeviceReport { name: "x".into(), api: "cpu".into() },
        }
    }

    #[test]
    fn average_gaps_are_the_papers() {
        let (table, cells) = paper();
        let all = summary(&table, &cells, 3);
        let group = &all.groups[0];
        for (method, gap) in
            [("salun", 1.1525), ("rl", 7.1525), ("ft", 3.78), ("ga", 4.125), ("l1-sparse", 2.255)]
        {
            let Some(line) = group.rows.iter().find(|l| l.method == method) else { continue };
            let stat = line.average.stat.unwrap();
            assert!((stat.mean - gap).abs() < 0.006, "{method}: {stat:?}");
            assert_eq!((stat.n, stat.sd.map(|sd| sd < 1e-9)), (3, Some(true)));
        }
        let salun = group.rows.iter().find(|l| l.method == "salun").unwrap();
        assert!((salun.tow.unwrap().mean - 0.969).abs() < 5e-4);
    }

    #[test]
    fn best_is_closest_to_retrain_and_not_largest() {
        let (table, cells) = paper();
        let all = summary(&table, &cells, 3);
        let best = |column: usize| {
            let of = |l: &&Line| l.values[column].mark == Some(Mark::Best);
            all.groups[0].rows.iter().find(of).unwrap().method.clone()
        };
        // RL forgets more (UA 7.61) than SalUn (2.85); Retrain has 5.24.
        assert_eq!(best(3), "salun");
        assert_ne!(best(0), "ft");
        let marked = |l: &&Line| l.average.mark == Some(Mark::Best);
        assert_eq!(all.groups[0].rows.iter().find(marked).unwrap().method, "salun");
        let end = all.groups[0].rows.iter().find(|l| l.method == RETRAIN).unwrap();
        assert!(end.values.iter().all(|v| v.mark.is_none() && v.gap.is_none()));
    }

    #[test]
    fn a_row_is_held_against_its_control_pair_by_pair() {
        let table = Table::new("table1", Scale::Small).unwrap();
        let mut cells = Cells::default();
        for run in table.runs(4) {
            let far = match run.row.label.as_str() {
                "Retrain" => 0.0,
                "SalUn" => 1.0 + run.seed as f64,
                "SalUn, random mask" => 3.0 + run.seed as f64,
                _ => continue,
            };
            cells.put(run.name(), done(&table, &run, Metrics { UA: far, ..metrics() }));
        }
        let all = summary(&table, &cells, 4);
        let salun = all.groups[0].rows.iter().find(|l| l.label == "SalUn").unwrap();
        let versus = salun.control.as_ref().unwrap();
        assert_eq!((versus.n, versus.beats()), (4, Some(true)));
        // UA alone differs, by two of the three measured columns' mean.
        assert!((versus.closer_by - 2.0 / 3.0).abs() < 1e-9, "{versus:?}");
        assert!(all.notes[0].contains("SalUn"), "{:?}", all.notes);
    }

    #[test]
    fn a_failed_cell_is_told_and_leaves_the_others() {
        let (table, mut cells) = paper();
        let runs = table.runs(1);
        let run = runs.iter().find(|r| r.row.label == "SalUn").unwrap();
        let failed =
            Cell { outcome: Outcome::Failed("diverged".into()), ..cells.get(run).unwrap().clone() };
        cells.put(run.name(), failed);
        let all = summary(&table, &cells, 3);
        let salun = all.groups[0].rows.iter().find(|l| l.label == "SalUn").unwrap();
        assert_eq!(salun.average.stat.unwrap().n, 2);
        assert_eq!(salun.failed.len(), 1);
        assert_eq!(all.failed, 1);
    }
}
