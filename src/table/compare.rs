//! What a table's cells say, summed up and held against Retrain and the random-mask controls.

use super::{
    Group, Run, Table,
    cell::{Cell, Cells},
    mark::mark,
    notes, published,
    rows::{ORIGINAL, RETRAIN, Row},
    sample::{Sample, columns, over, value},
    summary::{Compared, Line, SCHEMA, Summary, Value, Versus},
};
use crate::{
    eval::stats::{paired, spread},
    words::{
        report::{DeviceReport, Frechet, Metrics},
        task::Task,
    },
};

/// What the cells say about a table with `seeds` seeds.
pub fn summary(table: &Table, cells: &Cells, seeds: u64) -> Summary {
    let columns = columns(table.protocol.task);
    let found = |run: &Run| cells.get(run);
    let runs = table.runs(seeds);
    let mut devices: Vec<DeviceReport> = Vec::new();
    for cell in runs.iter().filter_map(found) {
        if !devices.contains(&cell.device) {
            devices.push(cell.device.clone());
        }
    }
    let count = |fits: fn(&Cell) -> bool| runs.iter().filter_map(found).filter(|c| fits(c)).count();
    let of = Of { table, cells, seeds, columns };
    let groups: Vec<Compared> =
        table.groups.iter().enumerate().map(|(i, group)| of.group(i, group)).collect();
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
        done: count(|c| c.numbers().is_some()),
        failed: count(|c| c.numbers().is_none()),
        all: runs.len(),
        columns: columns.iter().map(|c| c.to_string()).collect(),
        axis: table.axis.clone(),
        chart: table.chart,
        groups,
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
    columns: &'a [&'static str],
}

impl<'a> Of<'a> {
    fn group(&self, index: usize, group: &Group) -> Compared {
        let retrained = group.rows.iter().any(|row| row.method == RETRAIN);
        let reference = if retrained {
            "Retrain".to_string()
        } else {
            let kept = match self.table.protocol.task {
                Task::TextToImage => "accuracies on what is kept",
                _ => "share of the kept classes",
            };
            format!("the aim (no Retrain is shipped): UA 100, and the original's {kept}")
        };
        let samples: Vec<Vec<Sample>> =
            group.rows.iter().map(|row| self.samples(group, row)).collect();
        let mut rows: Vec<Line> =
            group.rows.iter().zip(&samples).map(|(row, s)| self.line(group, row, s)).collect();
        for (row, line) in group.rows.iter().zip(&mut rows) {
            let own = position(&group.rows, row).map(|i| &samples[i]);
            let control = group.control(row).and_then(|c| position(&group.rows, c));
            line.control = own
                .zip(control)
                .and_then(|(own, c)| self.versus(own, &samples[c], &group.rows[c].label));
        }
        mark(&mut rows, self.columns.len());
        let first = || samples.iter().flatten().map(|s| &s.numbers.metrics).next();
        Compared {
            title: group.title.clone(),
            forgets: group.forgets.clone(),
            reference,
            n: first().map(|m| m.n).unwrap_or_default(),
            attacked: first().map(|m| m.MIA_n).unwrap_or_default(),
            frechet: frechet(&samples),
            rows,
            published: published::beside(&self.table.name, index),
        }
    }

    fn cell(&self, row: &Row, forget: &str, seed: u64) -> Option<&'a Cell> {
        self.cells.get(&Run { row, forget, seed })
    }

    fn samples(&self, group: &Group, row: &Row) -> Vec<Sample<'a>> {
        let numbers = |method: &str, forget: &str, seed: u64| {
            let row = group.rows.iter().find(|row| row.method == method)?;
            self.cell(row, forget, seed)?.numbers()
        };
        let mut samples = Vec::new();
        for seed in self.table.seeds(self.seeds) {
            for (i, forget) in group.forgets.iter().enumerate() {
                let cell = self.cell(row, forget, seed);
                let Some(own) = cell.and_then(Cell::numbers) else { continue };
                let retrain = group.rows.iter().any(|row| row.method == RETRAIN);
                let reference = if retrain {
                    numbers(RETRAIN, forget, seed).map(|n| n.metrics.clone())
                } else {
                    let original = numbers(ORIGINAL, forget, seed);
                    original.map(|n| Metrics { UA: 100.0, ..n.metrics.clone() })
                };
                samples.push(Sample { seed, forget: i, numbers: own, reference });
            }
        }
        samples
    }

    fn line(&self, group: &Group, row: &Row, samples: &[Sample]) -> Line {
        let reference = row.method == RETRAIN;
        let of = |column: &&str| Value {
            stat: over(samples, |s| value(&s.numbers.metrics, column)),
            gap: over(samples, |s| s.gap(column)).filter(|_| !reference),
            mark: None,
        };
        let average = |s: &Sample| s.average(self.columns);
        let failed = self.table.seeds(self.seeds).flat_map(|seed| {
            group.forgets.iter().filter_map(move |forget| {
                match &self.cell(row, forget, seed)?.outcome {
                    super::cell::Outcome::Failed(why) => {
                        Some(format!("{forget}, seed {seed}: {why}"))
                    }
                    super::cell::Outcome::Done(_) => None,
                }
            })
        });
        let on = |forget: usize| {
            let own = samples.iter().filter(|s| s.forget == forget).filter_map(average);
            spread(&own.collect::<Vec<_>>())
        };
        Line {
            label: row.label.clone(),
            method: row.method.clone(),
            mask: row.estimator().name().into(),
            settings: row.settings(),
            at: row.at,
            values: self.columns.iter().map(of).collect(),
            average: Value { stat: over(samples, average), gap: None, mark: None },
            seconds: Value {
                stat: over(samples, |s| Some(s.numbers.rte())),
                gap: None,
                mark: None,
            },
            tow: over(samples, |s| s.tow()),
            by_forget: (0..group.forgets.len()).map(on).collect(),
            each: samples.iter().filter_map(average).collect(),
            failed: failed.collect(),
            control: None,
            frozen_changed: samples
                .iter()
                .filter_map(|s| s.numbers.mask.as_ref())
                .map(|m| m.frozen_changed)
                .sum(),
        }
    }

    fn versus(&self, own: &[Sample], control: &[Sample], label: &str) -> Option<Versus> {
        let pairs = own.iter().filter_map(|s| {
            let twin = control.iter().find(|c| (c.seed, c.forget) == (s.seed, s.forget))?;
            Some((twin.average(self.columns)?, s.average(self.columns)?))
        });
        let (theirs, ours): (Vec<f64>, Vec<f64>) = pairs.unzip();
        let n = ours.len();
        let mean = |gaps: &[f64]| spread(gaps).map(|s| s.mean);
        let paired = paired(&theirs, &ours, 0);
        Some(Versus {
            control: label.into(),
            closer_by: mean(&theirs)? - mean(&ours)?,
            interval: paired.map(|p| [p.low, p.high]),
            how: paired.map(|p| p.how),
            n,
        })
    }
}

/// How many samples are behind the Frechet distances, and their mean floor.
fn frechet(samples: &[Vec<Sample>]) -> Option<Frechet> {
    let all: Vec<Frechet> = samples.iter().flatten().filter_map(|s| s.numbers.metrics.FD).collect();
    let floor = all.iter().map(|f| f.floor).sum::<f64>() / all.len().max(1) as f64;
    all.first().map(|first| Frechet { value: 0.0, floor, ..*first })
}

fn position(rows: &[Row], row: &Row) -> Option<usize> {
    rows.iter().position(|r| r == row)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{
        cell::{Numbers, Outcome},
        protocol::Scale,
        rows,
        summary::Mark,
    };

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
        let end = all.groups[0].rows.iter().find(|l| l.method == rows::RETRAIN).unwrap();
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
