//! The best and the worst of each column.

use super::{Line, Mark, Value};
use crate::eval::Spread;

/// Marks the best and the worst of each column. Retrain and the unchanged original are the ends of
/// the comparison and take no part in it.
pub fn mark(rows: &mut [Line], columns: usize) {
    for c in 0..columns {
        mark_in(rows, |line| &mut line.values[c], |value| value.gap);
    }
    mark_in(rows, |line| &mut line.average, |value| value.stat);
    mark_in(rows, |line| &mut line.seconds, |value| value.stat);
}

fn mark_in(
    rows: &mut [Line],
    of: impl Fn(&mut Line) -> &mut Value,
    read: fn(&Value) -> Option<Spread>,
) {
    let methods = rows.iter_mut().filter(|line| !line.is_end());
    let values = methods.map(of).filter_map(|value| Some((read(value)?.mean, value)));
    let mut values: Vec<(f64, &mut Value)> = values.collect();
    values.sort_by(|a, b| a.0.total_cmp(&b.0));
    if let [(least, best), .., (most, worst)] = &mut values[..]
        && least < most
    {
        (best.mark, worst.mark) = (Some(Mark::Best), Some(Mark::Worst));
    }
}
