//! The figure of a table: SVG, and the same as PNG.

use super::{Chart, Compared, Line, ORIGINAL, RETRAIN, Summary};
use crate::error::Result;
use crate::eval::Spread;
use crate::run::canvas::wide;
use crate::run::plot::number;
use crate::run::{COLOURS, EMBER, Frame, GREEN, GREY, INK, MARGIN, PALE, Page, Scale, TRACK};

/// Width of a full bar.
const BAR: usize = 420;
/// Height of a bar's row.
const STEP: usize = 20;
/// Size of a frame with axes.
const FRAME: [usize; 2] = [520, 300];

/// The figure as SVG and as PNG.
///
/// # Errors
/// The picture is too large to hold.
pub fn figure(summary: &Summary) -> Result<(String, Vec<u8>)> {
    let mut page = Page::default();
    let Summary { title, scale, done, all, .. } = summary;
    let seeds = match summary.seeds.len() {
        1 => "one seed".into(),
        n => format!("mean and standard deviation over {n} seeds"),
    };
    let (scale, hash) = (scale.name(), summary.short_hash());
    let line = format!("{scale} scale; {seeds}; {done} of {all} runs; protocol {hash}");
    page.heading(MARGIN, title, &line);
    let top = MARGIN + 70;
    match summary.chart {
        Chart::Bars => bars(&mut page, summary, top),
        Chart::Gap | Chart::Ua => lines(&mut page, summary, top),
    }
    page.both()
}

fn bars(page: &mut Page, summary: &Summary, mut top: usize) {
    let all = summary.groups.iter().flat_map(|g| &g.rows).filter(|l| l.method != RETRAIN);
    let longest = all.map(|l| wide(&l.label, 13)).max().unwrap_or(0);
    let left = MARGIN + longest + 12;
    for group in &summary.groups {
        let rows: Vec<&Line> = group.rows.iter().filter(|l| l.method != RETRAIN).collect();
        let reach = |l: &&Line| l.average.stat.map(|s| s.mean + s.sd.unwrap_or(0.0));
        let values =
            rows.iter().filter_map(reach).chain(group.published.iter().filter_map(|p| p.average));
        let scale = Scale::round(values);
        let bottom = top + 22 + rows.len() * STEP;
        // What gaps are to, in a word.
        let reference = group.reference.split(" (").next().unwrap_or_default();
        let title = format!("{}: average gap to {reference}", group.title);
        page.text(MARGIN, top, 15, INK, &title);
        for &tick in &scale.ticks {
            let x = left as f64 + scale.share(tick) * BAR as f64;
            page.line(&[[x, top as f64 + 10.0], [x, bottom as f64]], 1.5, TRACK);
            let text = number(tick);
            page.text(x as usize - wide(&text, 11) / 2, bottom + 14, 11, PALE, &text);
        }
        for (i, line) in rows.iter().enumerate() {
            bar(page, group, line, &scale, [left, top + 26 + i * STEP]);
        }
        top = bottom + 52;
    }
    page.below(
        "Dots: single seeds and forget sets. Ember: SalUn; grey: random masks and the unchanged original.",
    );
    if summary.groups.iter().any(|g| !g.published.is_empty()) {
        page.below("Green mark: the paper's average gap, theirs, on CIFAR-10.");
    }
}

fn bar(page: &mut Page, group: &Compared, line: &Line, scale: &Scale, [left, y]: [usize; 2]) {
    page.text(MARGIN, y + 11, 13, INK, &line.label);
    let x = |v: f64| left as f64 + scale.share(v) * BAR as f64;
    let Some(Spread { mean, sd, .. }) = line.average.stat else {
        let words = if line.failed.is_empty() { "not measured" } else { "failed" };
        page.text(left + 6, y + 11, 12, PALE, words);
        return;
    };
    let plain = line.mask == "random" || line.method == ORIGINAL;
    let colour = match &*line.method {
        _ if plain => GREY,
        "salun" => EMBER,
        _ => "#54aeff",
    };
    page.area([left as f64, y as f64], [x(mean) - left as f64, 14.0], colour);
    if let Some(sd) = sd {
        let middle = y as f64 + 7.0;
        page.line(&[[x((mean - sd).max(0.0)), middle], [x(mean + sd), middle]], 1.5, INK);
    }
    for &v in &line.each {
        page.dot([x(v), y as f64 + 7.0], INK);
    }
    let theirs = group
        .published
        .iter()
        .find(|p| p.source == "paper" && p.method == line.method && line.mask != "random");
    if let Some(v) = theirs.and_then(|p| p.average) {
        page.area([x(v) - 1.0, y as f64 - 2.0], [3.0, 18.0], GREEN);
    }
    let end = sd.map_or(mean, |sd| mean + sd).max(line.each.iter().copied().fold(0.0, f64::max));
    page.text(x(end) as usize + 8, y + 11, 12, PALE, &format!("{mean:.2}"));
}

/// A line of a figure: what it is called, and its points.
type Series<'a> = (&'a str, Vec<(f64, Spread)>);

fn lines(page: &mut Page, summary: &Summary, mut top: usize) {
    // Groups of one point each make one figure together.
    let one = summary.groups.iter().all(|group| {
        let mut ats = group.rows.iter().filter_map(|l| l.at);
        let first = ats.next();
        ats.all(|at| Some(at) == first)
    });
    let each = if one { summary.groups.len().max(1) } else { 1 };
    for groups in summary.groups.chunks(each) {
        top = panel(page, summary, groups, if one { "" } else { &groups[0].title }, top);
    }
}

/// One frame; returns where the next may start.
fn panel(page: &mut Page, summary: &Summary, groups: &[Compared], name: &str, top: usize) -> usize {
    let of_ua = summary.chart == Chart::Ua;
    let (x_title, log) = summary.axis.as_ref().map_or(("", false), |a| (a.title.as_str(), a.log));
    let mut series: Vec<Series> = Vec::new();
    let mut level: Vec<(&str, Spread)> = Vec::new();
    // Retrain's average gap is nothing.
    let shown = |line: &&Line| of_ua || line.method != RETRAIN;
    for line in groups.iter().flat_map(|g| &g.rows).filter(shown) {
        let value = if of_ua { line.values.first() } else { Some(&line.average) };
        let Some(stat) = value.and_then(|v| v.stat) else { continue };
        match line.at {
            Some(at) => match series.iter_mut().find(|(label, _)| *label == line.label) {
                Some((_, points)) => points.push((at, stat)),
                None => series.push((&line.label, vec![(at, stat)])),
            },
            None => level.push((&line.label, stat)),
        }
    }
    if series.is_empty() {
        page.text(MARGIN, top, 15, PALE, &format!("{name} nothing measured yet"));
        return top + 40;
    }
    if !name.is_empty() {
        page.text(MARGIN, top, 15, INK, name);
    }
    let reach = |(_, s): &(f64, Spread)| [s.mean, s.mean + s.sd.unwrap_or(0.0)];
    let points = || series.iter().flat_map(|(_, points)| points);
    let frame = Frame {
        left: (MARGIN + 48) as f64,
        top: (top + 34) as f64,
        width: FRAME[0] as f64,
        height: FRAME[1] as f64,
        x: Scale::at(points().map(|p| p.0), log),
        y: Scale::round(points().flat_map(reach).chain(level.iter().map(|(_, s)| s.mean))),
    };
    frame.axes(page, x_title, if of_ua { "UA, %" } else { "average gap to Retrain, points" });
    let right = frame.left + frame.width;
    for (label, stat) in &level {
        let y = frame.place(0.0, stat.mean)[1];
        page.dashes([frame.left, y], [right, y], PALE);
        page.text(frame.left as usize + 6, y as usize - 4, 11, PALE, label);
    }
    let mut legend = top + 40;
    let beside = right as usize + if of_ua { 40 + 26 * series.len() } else { 24 };
    for (i, (label, points)) in series.iter_mut().enumerate() {
        let colour = COLOURS[i % COLOURS.len()];
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        curve(page, &frame, points, colour);
        if of_ua {
            spread(page, &frame, points, colour, right + 30.0 + 26.0 * i as f64);
        }
        page.area([beside as f64, legend as f64 - 5.0], [16.0, 3.0], colour);
        page.text(beside + 22, legend, 12, INK, label);
        legend += 18;
    }
    if of_ua {
        page.text(right as usize + 20, top + 26, 11, PALE, "spread");
    }
    legend.max(top + 34 + FRAME[1] + 44) + 40
}

fn curve(page: &mut Page, frame: &Frame, points: &[(f64, Spread)], colour: &str) {
    let places: Vec<_> = points.iter().map(|(at, s)| frame.place(*at, s.mean)).collect();
    page.line(&places, 1.5, colour);
    for (at, s) in points {
        page.dot(frame.place(*at, s.mean), colour);
        if let Some(sd) = s.sd {
            page.line(&[frame.place(*at, s.mean - sd), frame.place(*at, s.mean + sd)], 1.5, colour);
        }
    }
}

/// From the lowest to the highest of a line's points, the middle half wide.
fn spread(page: &mut Page, frame: &Frame, points: &[(f64, Spread)], colour: &str, x: f64) {
    let mut values: Vec<f64> = points.iter().map(|(_, s)| s.mean).collect();
    values.sort_by(f64::total_cmp);
    let Some(&last) = values.last() else { return };
    let y = |v: f64| frame.place(0.0, v)[1];
    page.line(&[[x, y(values[0])], [x, y(last)]], 1.5, colour);
    let quarter = |share: f64| values[(share * (values.len() - 1) as f64).round() as usize];
    let (low, high) = (y(quarter(0.25)), y(quarter(0.75)));
    page.area([x - 6.0, high], [12.0, (low - high).max(1.0)], colour);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::compare::summary;
    use crate::table::{Cell, Cells, Numbers, Outcome, Scale as Size, TABLES, Table};
    use crate::words::{DeviceReport, Metrics};

    #[test]
    fn every_table_has_a_figure_whether_empty_or_full() {
        for (name, _) in TABLES {
            let table = Table::new(name, Size::Small).unwrap();
            let mut cells = Cells::default();
            let (svg, png) = figure(&summary(&table, &cells, 2)).unwrap();
            assert!(svg.contains("0 of") && png.starts_with(b"\x89PNG"), "{name}");
            for (i, run) in table.runs(2).into_iter().enumerate() {
                let ua = (i % 7) as f64;
                let metrics = Metrics { UA: ua, RA: 99.0, TA: 90.0 + ua, ..Metrics::default() };
                cells.put(
                    run.name(),
                    Cell {
                        protocol: table.hash(),
                        forget: run.forget.into(),
                        row: run.row.clone(),
                        seed: run.seed,
                        outcome: Outcome::Done(Box::new(Numbers::of_model(metrics, 1.0))),
                        seconds: 1.0,
                        device: DeviceReport { name: "x".into(), api: "cpu".into() },
                    },
                );
            }
            let s = summary(&table, &cells, 2);
            let (svg, _) = figure(&s).unwrap();
            let labels = s.groups.iter().flat_map(|g| &g.rows);
            for line in labels.filter(|l| l.method != RETRAIN) {
                let label = line.label.replace('&', "&amp;");
                assert!(svg.contains(&label), "{name}: {label}");
            }
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{name}");
        }
    }
}
