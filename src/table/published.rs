//! Numbers of others, printed beside ours and marked as theirs.

use serde::{Deserialize, Serialize};

/// A row of somebody else's table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Published {
    /// `paper` or `replication`, or whose it is.
    pub source: String,
    pub method: String,
    /// UA, RA, TA, MIA in percent.
    pub values: [Option<f64>; 4],
    pub average: Option<f64>,
}

/// Whose the numbers are and on what they were measured.
#[cfg(not(target_arch = "wasm32"))]
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
    let rows = super::sheet::<(String, usize, Published)>(include_str!("published.csv"));
    let own = rows.into_iter().filter(|(t, g, _)| (t.as_str(), *g) == (table, group));
    own.map(|(.., theirs)| theirs).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Golden 12.10: the printed gaps are the means over the printed columns.
    #[test]
    fn the_papers_gaps_follow_from_its_columns() {
        for group in [0, 1] {
            let all = beside("table1", group);
            let paper: Vec<_> = all.iter().filter(|p| p.source == "paper").collect();
            assert_eq!((paper.len(), all.len()), (10, 20));
            let retrain = paper[0].values.map(Option::unwrap);
            for row in paper {
                let (values, printed) = (row.values.map(Option::unwrap), row.average.unwrap());
                let gap = values.iter().zip(retrain).map(|(v, r)| (v - r).abs()).sum::<f64>() / 4.0;
                let method = &row.method;
                assert!((gap - printed).abs() < 0.0151, "{method}: {gap} against {printed}");
            }
        }
    }
}
