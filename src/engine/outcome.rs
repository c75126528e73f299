//! A finished run with its pictures: what a run folder is written from.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::data::Mine;
use crate::gpu::DeviceInfo;
use crate::models::AnyModel;
use crate::models::delta::Snapshots;
use crate::saliency::{Change, Mask, Scores};
use crate::words::{AttackReport, DeviceReport, Recipe, Report};

/// A whole unlearning run, ready to be written as a run folder.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Run {
    pub recipe: Recipe,
    pub report: Report,
    /// The forgotten pictures by name, where they are a person's files.
    pub forgotten: Vec<String>,
    /// A person's own pictures beside the data, where some were brought.
    #[serde(default)]
    pub mine: Option<Arc<Mine>>,
    pub model: AnyModel,
    pub mask: Option<Mask>,
    pub ranking: Option<Arc<Scores>>,
    pub change: Change,
    pub before: Arc<Grid>,
    pub after: Arc<Grid>,
    /// Pixels of the report's `changed` pictures, one after another; each is as large as a tile.
    pub changed: Vec<u8>,
    pub attacks: Vec<Attack>,
    pub log: Vec<LogLine>,
    /// What its weights were on its way.
    #[serde(default)]
    pub snapshots: Snapshots,
}

/// An attack with its pictures: a row a try, of the original and of the model that forgot.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Attack {
    pub report: AttackReport,
    pub before: Arc<Grid>,
    pub after: Arc<Grid>,
}

/// One line of `log.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LogLine {
    pub step: usize,
    pub loss: f32,
    #[serde(flatten)]
    pub parts: LossParts,
    pub seconds: f64,
}

/// What the forget and the retain set have in an update's loss, where it sees them apart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct LossParts {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forget: Option<f32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retain: Option<f32>,
}

/// Pictures in rows of one class each, and what the classifier sees in each.
/// For a classifier the pictures are test items; for a diffusion model they are its samples. For a
/// prompt's row the class is the concept or the style that is asked for.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Grid {
    /// Class of each row; `None` for the null condition.
    pub rows: Vec<Option<usize>>,
    /// What the rows are called where that is not their classes' names: prompts.
    pub names: Vec<String>,
    pub columns: usize,
    pub channels: usize,
    /// Height and width of a tile in pixels.
    pub tile: [usize; 2],
    /// Bytes, row after row, tile after tile, channels first.
    #[serde(with = "crate::wire::numbers")]
    pub pixels: Vec<u8>,
    /// Per tile: the class that the classifier sees and its probability.
    pub seen: Vec<Option<(usize, f32)>>,
}

impl Grid {
    /// Pictures of so many channels, of a height and a width, in as many columns as are seen for each row.
    pub fn new(
        rows: Vec<Option<usize>>,
        [channels, height, width]: [usize; 3],
        pixels: Vec<u8>,
        seen: Vec<Option<(usize, f32)>>,
    ) -> Self {
        let columns = seen.len() / rows.len().max(1);
        let (names, tile) = (Vec::new(), [height, width]);
        Self { rows, names, columns, channels, tile, pixels, seen }
    }

    /// A row of pictures of no class, which nobody judged; `tile`: height and width.
    pub fn row_of(columns: usize, channels: usize, tile: [usize; 2], pixels: Vec<u8>) -> Self {
        Self::new(vec![None], [channels, tile[0], tile[1]], pixels, vec![None; columns])
    }

    /// The tile's bytes, channels first.
    pub fn pixels_of(&self, row: usize, column: usize) -> &[u8] {
        let each = self.channels * self.tile[0] * self.tile[1];
        &self.pixels[(row * self.columns + column) * each..][..each]
    }

    /// The same with the pictures of another's one row in place of its own, by class and name, and that row; `None`
    /// where it has no such row.
    pub fn with_row_of(&self, other: &Self) -> Option<(usize, Self)> {
        let named = |row: usize| other.names.first() == self.names.get(row);
        let row =
            (0..self.rows.len()).find(|&r| other.rows.first() == self.rows.get(r) && named(r))?;
        let mut grid = self.clone();
        let size = other.pixels.len();
        let pixels = grid.pixels.get_mut(row * size..(row + 1) * size)?;
        let seen = grid.seen.get_mut(row * self.columns..(row + 1) * self.columns)?;
        if seen.len() != other.seen.len() || self.tile != other.tile {
            return None;
        }
        pixels.copy_from_slice(&other.pixels);
        seen.copy_from_slice(&other.seen);
        Some((row, grid))
    }

    /// Whether there are pixels and answers for every tile.
    pub fn is_whole(&self) -> bool {
        let tiles = self.rows.len() * self.columns;
        let [height, width] = self.tile;
        let names = self.names.is_empty() || self.names.len() == self.rows.len();
        let pixels = tiles.checked_mul(self.channels * height * width);
        names && self.seen.len() == tiles && pixels == Some(self.pixels.len())
    }

    /// What a row is called; `classes` are the names of its classes.
    pub fn name<'a>(&'a self, row: usize, classes: &'a [String]) -> Option<&'a str> {
        match self.names.get(row) {
            Some(name) => Some(name),
            None => classes.get((*self.rows.get(row)?)?).map(String::as_str),
        }
    }

    /// What the classifier sees in a tile.
    pub fn seen_in(&self, row: usize, column: usize) -> Option<(usize, f32)> {
        self.seen[row * self.columns + column]
    }
}

impl From<&DeviceInfo> for DeviceReport {
    fn from(info: &DeviceInfo) -> Self {
        Self { name: info.name.clone(), api: info.api.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_of_its_own_kind_is_taken_over_and_no_other() {
        let grid = |rows: &[usize], at: u8| {
            let n = 2 * rows.len();
            let pixels = (0..4 * n).map(|i| at + i as u8).collect();
            let rows = rows.iter().map(|row| Some(*row)).collect();
            Grid::new(rows, [1, 2, 2], pixels, vec![Some((usize::from(at), 1.0)); n])
        };
        let (before, now) = (grid(&[4, 7, 9], 0), grid(&[7], 100));
        let (row, mixed) = before.with_row_of(&now).unwrap();
        assert_eq!((row, mixed.is_whole()), (1, true));
        for (at, of) in [(0, &before), (2, &before)] {
            assert_eq!(mixed.pixels_of(at, 1), of.pixels_of(at, 1));
            assert_eq!(mixed.seen_in(at, 1), of.seen_in(at, 1));
        }
        assert_eq!(mixed.pixels_of(1, 0), now.pixels_of(0, 0));
        assert_eq!(mixed.seen_in(1, 0), now.seen_in(0, 0));
        assert!(before.with_row_of(&grid(&[5], 100)).is_none());
        let named = Grid { names: vec!["a cat".into()], ..now };
        assert!(before.with_row_of(&named).is_none(), "of no prompt");
        assert!(before.with_row_of(&Grid { columns: 1, ..grid(&[7, 7], 3) }).is_none());
    }

    #[test]
    fn a_line_of_a_log_has_its_parts_beside_the_loss_and_an_older_one_reads_without() {
        let parts = LossParts { forget: Some(0.5), retain: None };
        let line = LogLine { step: 3, loss: 0.5, parts, seconds: 1.0 };
        let text = serde_json::to_string(&line).unwrap();
        assert_eq!(text, r#"{"step":3,"loss":0.5,"forget":0.5,"seconds":1.0}"#);
        assert_eq!(serde_json::from_str::<LogLine>(&text).unwrap(), line);
        let old = r#"{"step":3,"loss":0.5,"seconds":1.0}"#;
        assert_eq!(serde_json::from_str::<LogLine>(old).unwrap().parts, LossParts::default());
        let sent: LogLine = crate::wire::unpack(&crate::wire::pack(&line).unwrap()).unwrap();
        assert_eq!(sent, line);
    }
}
