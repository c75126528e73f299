//! The curves of an audit as pictures.

use super::{Frame, GREY, INK, MARGIN, PALE, Page, TRACK};
use crate::words::{Audit, Examination, Relearn, grouped};

/// Side of a panel and the space after it, in pixels.
const SIDE: f64 = 220.0;
const APART: f64 = 70.0;
/// Between the left margin and the first panel: numbers stand there.
const NUMBERS: f64 = 30.0;
/// Height of a panel's top, below the headings.
const TOP: f64 = MARGIN as f64 + 76.0;

/// Names and colours of the models, apart for all kinds of sight (Okabe and Ito 2008).
const MODELS: [(&str, &str); 3] =
    [("unlearned", "#d55e00"), ("original", "#0072b2"), ("Retrain", "#009e73")];

/// A square with percent upwards, and what is drawn in it.
struct Panel<'a> {
    page: &'a mut Page,
    frame: Frame,
}

impl<'a> Panel<'a> {
    /// An empty one, the n-th of its page; `last` stands at the right end of the axis.
    fn new(page: &'a mut Page, n: usize, [title, x, y]: [&str; 3], last: &str) -> Self {
        let at = MARGIN as f64 + NUMBERS + n as f64 * (SIDE + APART);
        page.area([at, TOP], [SIDE, SIDE], TRACK);
        let [left, top, bottom] = [at, TOP, TOP + SIDE].map(|v| v as usize);
        page.text(left, top - 24, 14, INK, title);
        page.text(left, top - 7, 11, PALE, y);
        page.text(left, bottom + 32, 11, PALE, x);
        let end = (at + SIDE) as usize - 7 * last.len();
        for (x, text) in [(left, "0"), (end, last)] {
            page.text(x, bottom + 15, 11, PALE, text);
        }
        for (y, text) in [(bottom, "0"), (top + 8, "100")] {
            page.text(left - 26, y, 11, PALE, text);
        }
        Self { page, frame: Frame::unit([at, TOP], SIDE) }
    }

    /// A curve through points in 0..1 on both axes.
    fn curve(&mut self, points: &[[f64; 2]], colour: &str) {
        let points: Vec<_> = points.iter().map(|&[x, y]| self.frame.place(x, y)).collect();
        self.page.line(&points, 2.0, colour);
    }

    /// A curve of each model that has one, and what each colour is, with a number of that model.
    fn curves(
        &mut self,
        audit: &Audit,
        of: impl Fn(&Examination) -> Option<(Vec<[f64; 2]>, String)>,
    ) {
        let models: Vec<_> = audit.examined(MODELS).map(|(model, e)| (model, of(e))).collect();
        // The unlearned model's curve lies on top.
        for ((_, colour), found) in models.iter().rev() {
            found.iter().for_each(|(points, _)| self.curve(points, colour));
        }
        let left = self.frame.left;
        for (i, ((name, colour), found)) in models.into_iter().enumerate() {
            let y = TOP + SIDE + 54.0 + i as f64 * 17.0;
            self.page.line(&[[left, y - 4.0], [left + 18.0, y - 4.0]], 3.0, colour);
            let text = found.map_or(name.into(), |(_, number)| format!("{name}: {number}"));
            self.page.text(left as usize + 24, y as usize, 12, INK, &text);
        }
    }
}

fn page(audit: &Audit, what: &str) -> Page {
    let mut page = Page::default();
    page.text(MARGIN, MARGIN + 16, 18, INK, &format!("{what}: {}", audit.forget));
    page
}

/// The ROC of each attack: unlearned, original and Retrain.
pub fn roc(audit: &Audit) -> Page {
    let mut page = page(audit, "Attacks that tell the forget set from pictures never seen");
    for (place, attack) in audit.run.attacks.iter().enumerate() {
        let [members, others] = attack.n.map(grouped);
        let x = format!("false positives in %, of {others}");
        let y = format!("true positives in %, of {members}");
        let mut panel = Panel::new(&mut page, place, [&attack.name, &x, &y], "100");
        panel.curve(&[[0.0, 0.0], [1.0, 1.0]], GREY);
        panel.curves(audit, |e| {
            let a = e.attacks.iter().find(|a| a.name == attack.name)?;
            Some((a.roc.clone(), format!("AUC {:.3} ± {:.3}", a.auc, a.auc_error)))
        });
    }
    page
}

/// The relearn curves.
pub fn relearn(audit: &Audit) -> Page {
    let mut page = page(audit, "Learnt again");
    let Some(run) = &audit.run.relearn else { return page };
    let steps = run.accuracy.len().saturating_sub(1).max(1);
    let [learnt, asked] = run.n.map(grouped);
    let x = format!("updates of {} from {learnt} pictures, rate {}", run.batch, run.lr);
    let y = format!("accuracy in % on {asked} others");
    let words = ["Accuracy on the forget set", &x, &y];
    let mut panel = Panel::new(&mut page, 0, words, &steps.to_string());
    panel.curves(audit, |e| {
        let Relearn { accuracy, area, .. } = e.relearn.as_ref()?;
        let point = |(i, a): (usize, &f64)| [i as f64 / steps as f64, a / 100.0];
        Some((accuracy.iter().enumerate().map(point).collect(), format!("area {area:.1} %")))
    });
    page
}
