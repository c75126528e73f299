//! A frame with two axes: from values to pixels.

use super::canvas::wide;
use super::{PALE, Page, TRACK};

/// Colours that people of any sight tell apart (Okabe and Ito), and darker ones after them.
pub const COLOURS: [&str; 12] = [
    "#d55e00", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c6d00", "#6e7781",
    "#7b3294", "#a50026", "#1b7837", "#1f2328",
];

/// One axis.
#[derive(Debug, Clone)]
pub struct Scale {
    low: f64,
    high: f64,
    log: bool,
    /// Where numbers stand.
    pub ticks: Vec<f64>,
}

impl Scale {
    /// From 0, or from a little below the lowest, to a little above the highest, in round steps.
    pub fn round(values: impl Iterator<Item = f64>) -> Self {
        let (low, high) = bounds(values, (0.0, 0.0));
        let reach = (high - low).max(1e-9);
        let step = [1.0, 2.0, 5.0, 10.0]
            .map(|s| s * 10f64.powf((reach / 5.0).log10().floor()))
            .into_iter()
            .find(|s| reach / s <= 6.0)
            .unwrap_or(reach);
        let (first, last) = ((low / step).floor() as i64, (high / step).ceil() as i64);
        let ticks: Vec<f64> = (first..=last).map(|i| i as f64 * step).collect();
        Self { low: ticks[0], high: ticks[ticks.len() - 1], log: false, ticks }
    }

    /// A scale whose ticks are the values themselves.
    pub fn at(values: impl Iterator<Item = f64>, log: bool) -> Self {
        let mut ticks: Vec<f64> = values.collect();
        ticks.sort_by(f64::total_cmp);
        ticks.dedup();
        let log = log && ticks.first().is_some_and(|v| *v > 0.0);
        let (low, high) = bounds(ticks.iter().copied(), (f64::INFINITY, f64::NEG_INFINITY));
        Self { low, high, log, ticks }
    }

    /// Where a value lies, 0..1 within the scale.
    pub fn share(&self, value: f64) -> f64 {
        let f = |v: f64| if self.log { v.ln() } else { v };
        let reach = f(self.high) - f(self.low);
        if reach > 0.0 { (f(value) - f(self.low)) / reach } else { 0.5 }
    }
}

fn bounds(values: impl Iterator<Item = f64>, start: (f64, f64)) -> (f64, f64) {
    let (low, high) = values.fold(start, |(low, high), v| (low.min(v), high.max(v)));
    if low <= high { (low, high) } else { (0.0, 1.0) }
}

/// A frame on a page.
pub struct Frame {
    pub left: f64,
    pub top: f64,
    pub width: f64,
    pub height: f64,
    pub x: Scale,
    pub y: Scale,
}

impl Frame {
    /// A square for points in 0..1 on both axes.
    pub fn unit([left, top]: [f64; 2], side: f64) -> Self {
        let [x, y] = [(); 2].map(|()| Scale::at([0.0, 1.0].into_iter(), false));
        Self { left, top, width: side, height: side, x, y }
    }

    /// The pixel of a point.
    pub fn place(&self, x: f64, y: f64) -> [f64; 2] {
        [self.left + self.x.share(x) * self.width, self.top + (1.0 - self.y.share(y)) * self.height]
    }

    /// Grid lines, numbers and the names of both axes.
    pub fn axes(&self, page: &mut Page, x_title: &str, y_title: &str) {
        let right = self.left + self.width;
        for &tick in &self.y.ticks {
            let y = self.top + (1.0 - self.y.share(tick)) * self.height;
            page.line(&[[self.left, y], [right, y]], 1.5, TRACK);
            let text = number(tick);
            let x = self.left as usize - 8 - wide(&text, 12);
            page.text(x, (y + 4.0) as usize, 12, PALE, &text);
        }
        let bottom = self.top + self.height;
        let mut free = 0;
        for &tick in &self.x.ticks {
            let x = self.left + self.x.share(tick) * self.width;
            page.line(&[[x, bottom], [x, bottom + 4.0]], 1.5, PALE);
            let text = number(tick);
            let start = (x as usize).saturating_sub(wide(&text, 12) / 2);
            // Numbers that would touch are left out.
            if start >= free {
                page.text(start, bottom as usize + 18, 12, PALE, &text);
                free = start + wide(&text, 12) + 6;
            }
        }
        page.text(self.left as usize, bottom as usize + 36, 12, PALE, x_title);
        page.text(self.left as usize, self.top as usize - 8, 12, PALE, y_title);
    }
}

/// A number with no more digits than it needs.
pub fn number(value: f64) -> String {
    let text = if value != 0.0 && value.abs() < 0.001 {
        format!("{value:e}")
    } else {
        format!("{:.4}", value).trim_end_matches('0').trim_end_matches('.').to_string()
    };
    if text == "-0" { "0".into() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_scale_holds_its_values_and_starts_at_zero() {
        for values in [vec![0.3, 7.1], vec![80.0, 95.0], vec![0.0], vec![], vec![-3.0, 2.0]] {
            let scale = Scale::round(values.iter().copied());
            assert!(scale.ticks.len() <= 9, "{values:?}: {:?}", scale.ticks);
            for v in values {
                assert!((0.0..=1.0).contains(&scale.share(v)), "{v} in {:?}", scale.ticks);
            }
        }
    }

    #[test]
    fn equal_factors_are_equal_steps_on_a_logarithmic_scale() {
        let scale = Scale::at([1.0, 100.0].into_iter(), true);
        assert!((scale.share(10.0) - 0.5).abs() < 1e-12);
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!([0.0, 0.5, 20.0, 1e-4, -2.0].map(number), ["0", "0.5", "20", "1e-4", "-2"]);
    }
}
