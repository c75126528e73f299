//! Which classes are seen as which, before and after.

use crate::studio::Matrix;
use crate::studio::prelude::*;
use crate::words::{ForgetKind, Metrics};

/// Draws both matrices, or one where there is no room for two.
pub fn confusion_ui(before: &mut bool, run: &Run, ui: &mut Ui) {
    let both = [("Before", &run.report.before), ("After", &run.report.after)];
    if both.iter().any(|(_, metrics)| metrics.confusion.is_empty()) {
        ui.weak("This run has no confusion matrices");
        return;
    }
    let classes = run.model.classes();
    let forgotten = ForgetKind::Class.value(&run.report.forget.spec);
    let marked = forgotten.and_then(|name| classes.iter().position(|c| c == name));
    if ui.available_width() > 640.0 {
        ui.columns(2, |columns| {
            for ((name, metrics), ui) in both.into_iter().zip(columns) {
                ui.vertical(|ui| {
                    ui.strong(name);
                    one_ui(metrics, classes, marked, name, ui);
                });
            }
        });
        return;
    }
    ui.horizontal(|ui| {
        tabs_ui(ui, before, [(true, "Before", ""), (false, "After", "")]);
    });
    let (name, metrics) = both[usize::from(!*before)];
    one_ui(metrics, classes, marked, name, ui);
}

fn one_ui(metrics: &Metrics, classes: &[String], marked: Option<usize>, name: &str, ui: &mut Ui) {
    let counts = &metrics.confusion;
    let of = |row: usize| counts.get(row).map_or(0, |r| r.iter().sum::<usize>());
    let count = |row: usize, column: usize| counts.get(row).and_then(|r| r.get(column)).copied();
    let n = |row, column| count(row, column).unwrap_or(0);
    let class = |i: usize| classes.get(i).map_or("?", String::as_str);
    let means = |row: usize, column: usize| {
        format!("{}: {} of {} are seen as {}", class(row), n(row, column), of(row), class(column))
    };
    let told = match marked {
        Some(row) => {
            let seen = (0..classes.len()).max_by_key(|&c| n(row, c)).unwrap_or(row);
            format!("Confusion, {name}. {}", means(row, seen))
        }
        None => format!("Confusion, {name}"),
    };
    ScrollArea::both().id_salt(("confusion", name)).auto_shrink(false).show(ui, |ui| {
        Matrix {
            told,
            names: classes,
            axes: ["true class", "seen as"],
            shade: &|row, column| n(row, column) as f64 / of(row).max(1) as f64,
            text: &|row, column| match n(row, column) {
                0 => String::new(),
                n => n.to_string(),
            },
            means: &means,
            marked,
        }
        .ui(ui);
    });
}
