//! The losses of runs, update by update.

use crate::engine::LogLine;
use crate::run::canvas::wide;
use crate::run::{COLOURS, Frame, INK, MARGIN, Page, Scale};

/// Size of the frame, in pixels.
const FRAME: [f64; 2] = [620.0, 240.0];

/// The loss of every update of some runs, each with its name; nothing of a run that made none.
pub fn loss(runs: &[(&str, &[LogLine])]) -> Page {
    let mut page = Page::default();
    page.text(MARGIN, MARGIN + 16, 18, INK, "Loss of every update");
    let points = |log: &[LogLine]| -> Vec<[f64; 2]> {
        log.iter().map(|line| [line.step as f64, line.loss.into()]).collect()
    };
    let drawn: Vec<(&str, Vec<[f64; 2]>)> = runs
        .iter()
        .map(|(name, log)| (*name, points(log)))
        .filter(|(_, p)| !p.is_empty())
        .collect();
    let all = || drawn.iter().flat_map(|(_, points)| points);
    let frame = Frame {
        left: (MARGIN + 60) as f64,
        top: (MARGIN + 62) as f64,
        width: FRAME[0],
        height: FRAME[1],
        x: Scale::round(all().map(|p| p[0])),
        y: Scale::round(all().map(|p| p[1]).filter(|loss| loss.is_finite())),
    };
    frame.axes(&mut page, "update", "loss");
    for (i, ((name, points), colour)) in drawn.iter().zip(COLOURS).enumerate() {
        let finite = points.iter().filter(|[_, loss]| loss.is_finite());
        let line: Vec<_> = finite.map(|&[x, y]| frame.place(x, y)).collect();
        page.line(&line, 1.5, colour);
        let at = frame.top + frame.height + 62.0;
        let left = frame.left
            + drawn[..i].iter().map(|(name, _)| wide(name, 12) as f64 + 52.0).sum::<f64>();
        page.line(&[[left, at - 4.0], [left + 18.0, at - 4.0]], 3.0, colour);
        page.text(left as usize + 24, at as usize, 12, INK, name);
    }
    page
}
