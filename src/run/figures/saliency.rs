//! A mask layer by layer, and the scores that it was cut from.

use super::short;
use crate::data::brief;
use crate::run::canvas::wide;
use crate::run::{EMBER, GREY, INK, MARGIN, PALE, Page, TRACK};
use crate::saliency::{Histogram, Scores};
use crate::words::{Estimator, LayerReport, MaskReport, grouped};

/// Bars of a histogram, and their width in pixels.
const BINS: usize = 120;
const STEP: usize = 5;
/// Width of a full bar of a layer.
const BAR: usize = 260;

/// The histogram of scores as it is drawn; scores that are only places say nothing and have none.
pub fn scores(ranking: &Scores) -> Option<Histogram> {
    ranking.estimator.measures().then(|| ranking.live.histogram(BINS))
}

/// A mask layer by layer below the scores that it was cut from, where they are known.
pub fn saliency(mask: &MaskReport, scores: Option<&Histogram>, forget: &str) -> Page {
    let mut page = Page::default();
    let kept = Estimator::find(&mask.estimator).map_or("Salient", Estimator::kept);
    let title = format!("{kept} weights for {}", brief(forget));
    let (density, threshold) = (mask.density, short(mask.threshold));
    let [k, n] = [mask.k, mask.n].map(grouped);
    let name = &mask.estimator;
    let line =
        format!("{name}: {k} of {n} weights may change, density {density}, threshold {threshold}");
    page.heading(MARGIN, &title, &line);
    let mut top = MARGIN + 62;
    if let Some(scores) = scores {
        histogram(&mut page, scores, mask, top);
        top += 150;
    }
    let columns = if mask.layers.len() > 80 { 2 } else { 1 };
    let each = mask.layers.len().div_ceil(columns).max(1);
    let name = mask.layers.iter().map(|l| wide(&l.name, 12)).max().unwrap_or(0) + 12;
    for (c, column) in mask.layers.chunks(each).enumerate() {
        let left = MARGIN + c * (name + BAR + 150);
        for (i, layer) in column.iter().enumerate() {
            bar(&mut page, layer, left, name, top + i * 17);
        }
    }
    page
}

fn bar(page: &mut Page, layer: &LayerReport, left: usize, name: usize, top: usize) {
    page.text(left, top + 11, 12, INK, &layer.name);
    let share = layer.kept as f64 / layer.n.max(1) as f64;
    let at = [left + name, top + 2].map(|v| v as f64);
    page.area(at, [BAR as f64, 10.0], TRACK);
    page.area(at, [BAR as f64 * share, 10.0], EMBER);
    let count = format!("{} of {}", grouped(layer.kept), grouped(layer.n));
    page.text(left + name + BAR + 8, top + 11, 12, PALE, &count);
}

fn histogram(page: &mut Page, h: &Histogram, mask: &MaskReport, top: usize) {
    const HEIGHT: f64 = 90.0;
    let bins = h.counts.len();
    let most = h.counts.iter().copied().max().unwrap_or(0).max(1) as f64;
    let cut = mask.threshold.log10();
    for (i, &count) in h.counts.iter().enumerate() {
        let kept = h.start + h.step * (i as f64 + 0.5) >= cut;
        let tall = HEIGHT * count as f64 / most;
        let place = (MARGIN + i * STEP) as f64;
        let colour = if kept { EMBER } else { GREY };
        page.area([place, top as f64 + HEIGHT - tall], [STEP as f64 - 1.0, tall], colour);
    }
    let base = top + HEIGHT as usize;
    page.area([MARGIN, base].map(|v| v as f64), [(bins * STEP) as f64, 1.0], PALE);
    let place = |log: f64| MARGIN as f64 + (log - h.start) / h.step * STEP as f64;
    let end = h.start + h.step * bins as f64;
    for power in (h.start.ceil() as i32)..=(end.floor() as i32) {
        let x = place(power.into());
        page.area([x, base as f64], [1.0, 4.0], PALE);
        page.text(x.max(0.0) as usize, base + 17, 11, PALE, &format!("1e{power}"));
    }
    if (h.start..=end).contains(&cut) {
        page.area([place(cut), top as f64 - 4.0], [1.5, HEIGHT + 4.0], INK);
    }
    let pictures = match mask.scored {
        0 => String::new(),
        n => format!(", {} pictures", grouped(n)),
    };
    let below = grouped(h.below);
    let words = format!("score of each weight{pictures}; {below} weights lie further left");
    page.text(MARGIN, base + 36, 12, PALE, &words);
}
