//! The best and the worst of each column.

use super::{
    rows::{ORIGINAL, RETRAIN},
    summary::{Line, Mark, Value},
};

/// Marks the best and the worst of each column. Retrain and the unchanged original are the ends of
/// the comparison and take no part in it.
pub fn mark(rows: &mut [Line], columns: usize) {
    let pick = |rows: &mut [Line], read: &dyn Fn(&mut Line) -> (&mut Value, Option<f64>)| {
        let mut seen: Vec<(usize, f64)> = Vec::new();
        for (i, line) in rows.iter_mut().enumerate() {
            if ![RETRAIN, ORIGINAL].contains(&&*line.method) {
                seen.extend(read(line).1.map(|v| (i, v)));
            }
        }
        let by = |a: &&(usize, f64), b: &&(usize, f64)| a.1.total_cmp(&b.1);
        let (Some(&best), Some(&worst)) = (seen.iter().min_by(by), seen.iter().max_by(by)) else {
            return;
        };
        if best.1 < worst.1 {
            read(&mut rows[best.0]).0.mark = Some(Mark::Best);
            read(&mut rows[worst.0]).0.mark = Some(Mark::Worst);
        }
    };
    for c in 0..columns {
        pick(rows, &|line| {
            let gap = line.values[c].gap.map(|g| g.mean);
            (&mut line.values[c], gap)
        });
    }
    pick(rows, &|line| {
        let gap = line.average.stat.map(|s| s.mean);
        (&mut line.average, gap)
    });
    pick(rows, &|line| {
        let seconds = line.seconds.stat.map(|s| s.mean);
        (&mut line.seconds, seconds)
    });
}
