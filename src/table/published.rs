//! Numbers of others, printed beside ours and marked as theirs.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// A row of somebody else's table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Published {
    /// `paper` or `replication`, or whose it is.
    pub source: Cow<'static, str>,
    pub method: Cow<'static, str>,
    /// UA, RA, TA, MIA in percent.
    pub values: [Option<f64>; 4],
    pub average: Option<f64>,
}

type Row = (&'static str, [f64; 4], f64);
/// A row of which not all is known.
type Partial = (&'static str, [Option<f64>; 4], f64);

/// SalUn (Fan et al., ICLR 2024), Table 1, 10 %: ResNet-18, CIFAR-10, 10 trials, means.
const PAPER_10: [Row; 10] = [
    ("retrain", [5.24, 100.0, 94.26, 12.88], 0.0),
    ("ft", [0.63, 99.88, 94.06, 2.70], 3.78),
    ("rl", [7.61, 99.67, 92.83, 37.36], 7.15),
    ("ga", [0.69, 99.50, 94.01, 1.70], 4.12),
    ("iu", [1.07, 99.20, 93.20, 2.67], 4.06),
    ("be", [0.59, 99.42, 93.85, 7.47], 2.76),
    ("bs", [1.78, 98.29, 92.69, 8.96], 2.67),
    ("l1-sparse", [4.19, 97.74, 91.59, 9.84], 2.26),
    ("salun", [2.85, 99.62, 93.93, 14.39], 1.15),
    ("salun-soft", [4.19, 99.74, 93.44, 19.49], 2.19),
];

/// The same, 50 %.
const PAPER_50: [Row; 10] = [
    ("retrain", [7.91, 100.0, 91.72, 19.29], 0.0),
    ("ft", [0.44, 99.96, 94.23, 2.15], 6.79),
    ("rl", [4.80, 99.55, 91.31, 41.95], 6.65),
    ("ga", [0.40, 99.61, 94.34, 1.22], 7.15),
    ("iu", [3.97, 96.21, 90.00, 7.29], 5.36),
    ("be", [3.08, 96.84, 90.41, 24.87], 3.72),
    ("bs", [9.76, 90.19, 83.71, 32.15], 8.13),
    ("l1-sparse", [1.44, 99.52, 93.13, 4.76], 5.72),
    ("salun", [7.75, 94.28, 89.29, 16.99], 2.65),
    ("salun-soft", [3.41, 99.62, 91.82, 31.50], 4.30),
];

/// A public replication of the official code with one split and searched settings (Matryoshka
/// Machine Unlearning), 10 trials; most rows give the average gap alone.
const REPLICATION: [[Partial; 10]; 2] = [
    [
        ("retrain", [Some(5.21), Some(100.0), Some(94.44), Some(13.29)], 0.0),
        ("salun", [Some(0.62), Some(99.99), Some(94.34), Some(15.00)], 1.60),
        ("rl", [None; 4], 2.98),
        ("salun-soft", [None; 4], 3.13),
        ("l1-sparse", [None; 4], 4.18),
        ("ft", [None; 4], 4.43),
        ("iu", [None; 4], 4.49),
        ("ga", [None; 4], 4.71),
        ("be", [None; 4], 4.72),
        ("bs", [None; 4], 4.72),
    ],
    [
        ("retrain", [Some(7.65), Some(100.0), Some(92.16), Some(19.68)], 0.0),
        ("salun-soft", [None; 4], 1.71),
        ("l1-sparse", [None; 4], 3.47),
        ("rl", [None; 4], 3.82),
        ("salun", [None; 4], 4.57),
        ("ga", [None; 4], 7.49),
        ("be", [None; 4], 7.50),
        ("bs", [None; 4], 7.50),
        ("iu", [None; 4], 8.26),
        ("ft", [None; 4], 9.42),
    ],
];

/// Whose the numbers are and on what they were measured.
pub const SOURCES: [(&str, &str); 2] = [
    ("paper", "SalUn (Fan et al., ICLR 2024), Table 1: ResNet-18, CIFAR-10, 10 trials"),
    (
        "replication",
        "an independent replication of the official code with one shared split and \
                     searched settings: ResNet-18, CIFAR-10, 10 trials",
    ),
];

/// What others published for a group of a table.
pub fn beside(table: &str, group: usize) -> Vec<Published> {
    let (("table1", Some(theirs)), Some(replicated)) =
        ((table, [PAPER_10, PAPER_50].get(group)), REPLICATION.get(group))
    else {
        return Vec::new();
    };
    let row = |source: &'static str, method: &'static str, values, average| Published {
        source: source.into(),
        method: method.into(),
        values,
        average: Some(average),
    };
    let paper = theirs.iter().map(|&(m, values, gap)| row("paper", m, values.map(Some), gap));
    let again = replicated.iter().map(|&(m, values, gap)| row("replication", m, values, gap));
    paper.chain(again).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Golden 12.10: the printed gaps are the means over the printed columns.
    #[test]
    fn the_papers_gaps_follow_from_its_columns() {
        for rows in [PAPER_10, PAPER_50] {
            let (_, retrain, _) = rows[0];
            for (method, values, printed) in rows {
                let gap = values.iter().zip(retrain).map(|(v, r)| (v - r).abs()).sum::<f64>() / 4.0;
                assert!((gap - printed).abs() < 0.0151, "{method}: {gap} against {printed}");
            }
        }
    }
}
