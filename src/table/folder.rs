//! A table's folder: its protocol, a small file for each run that is done, the models that were
//! trained for it, and what is written for people and programs.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{Cell, Cells, Run, Scale, Summary, Table, chart, compare, slug, text};
use crate::disk::output::{Output, OutputKind};
use crate::disk::{files, output};
use crate::error::{Error, Result};
use crate::run::bundle::json;

const PROTOCOL: &str = "protocol.json";
const TABLE: &str = "table.json";

/// A table's folder, and what is in it.
#[derive(Debug)]
pub struct Folder<'a> {
    pub table: &'a Table,
    /// What is done.
    pub cells: Cells,
    dir: PathBuf,
}

/// `protocol.json`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    hash: String,
    version: String,
    table: Table,
}

/// A table as its folder tells it, for those who only look.
///
/// # Errors
/// It is no table's folder, or its file is damaged or of a later version.
pub fn summary(dir: &Path) -> Result<Summary> {
    Summary::read(&bytes(dir, TABLE)?).map_err(|reason| Error::file(dir.join(TABLE), reason))
}

/// The table that a folder is for.
///
/// # Errors
/// It is no table's folder, or its protocol is damaged.
pub fn table(dir: &Path) -> Result<Table> {
    let head = serde_json::from_slice::<Head>(&bytes(dir, PROTOCOL)?);
    head.map(|head| head.table).map_err(|e| Error::file(dir.join(PROTOCOL), e))
}

/// A file that every table's folder has.
fn bytes(dir: &Path, name: &str) -> Result<Vec<u8>> {
    let path = dir.join(name);
    if !path.is_file() {
        return Err(Error::file(dir, format!("is not a table's folder: it has no {name}")));
    }
    files::read(&path)
}

impl<'a> Folder<'a> {
    /// Opens the folder of a table, or makes it; `force` throws away what another protocol left.
    ///
    /// # Errors
    /// The folder is something else, is of another protocol, or cannot be written to; or a cell's file is
    /// damaged or of another protocol.
    pub fn open(dir: &Path, table: &'a Table, force: bool) -> Result<Self> {
        // One that is gone on with may lie beside what a dead process was replacing.
        output::clear(dir);
        if !Self::check(dir, table, force)? {
            Self::make(dir, table)?;
        }
        Ok(Self { table, cells: cells(dir, table)?, dir: dir.into() })
    }

    /// Whether the folder is this table's already; changes nothing.
    ///
    /// # Errors
    /// The folder is something else, or is of another protocol and `force` is off.
    pub fn check(dir: &Path, table: &Table, force: bool) -> Result<bool> {
        if !dir.join(PROTOCOL).is_file() {
            let right = "is there and is not a table's folder; choose another --out";
            let empty = fs::read_dir(dir).map_or(true, |mut all| all.next().is_none());
            return empty.then_some(false).ok_or_else(|| Error::file(dir, right));
        }
        let there = self::table(dir)?;
        if there != *table && !force {
            let reason = format!(
                "holds a table of another protocol ({}); choose another --out, or pass --force to \
                 throw its runs away",
                difference(&there, table)
            );
            return Err(Error::file(dir, reason));
        }
        Ok(there == *table)
    }

    /// Makes the folder, whole, in place of what another protocol left.
    fn make(dir: &Path, table: &Table) -> Result<()> {
        let new = Output::new(dir, OutputKind::Table, dir.exists())?;
        for part in ["cells", "models"].map(|part| new.path().join(part)) {
            fs::create_dir(&part).map_err(|e| Error::write(&part, e))?;
        }
        let version = env!("CARGO_PKG_VERSION").to_string();
        let head = Head { hash: table.hash(), version, table: table.clone() };
        let path = new.path().join(PROTOCOL);
        fs::write(&path, json(&head)?).map_err(|e| Error::write(&path, e))?;
        new.done().map(drop)
    }

    /// Keeps the cell of a run: whole or not at all.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn keep(&mut self, name: String, cell: Cell) -> Result<()> {
        output::replace(&self.dir.join("cells").join(format!("{name}.json")), &json(&cell)?)?;
        self.cells.put(name, cell);
        Ok(())
    }

    /// Where the original of a seed is kept, or what was trained without a forget set.
    pub fn model(&self, without: Option<&str>, seed: u64) -> PathBuf {
        let name = match without {
            None => format!("original-seed-{seed}"),
            Some(forget) => slug(&format!("retrain-{forget}-seed-{seed}")),
        };
        self.dir.join("models").join(name + ".safetensors")
    }

    /// Writes `table.md`, `table.csv`, `table.json`, `figure.svg` and `figure.png` of what is done with
    /// `seeds` seeds, and returns what they say.
    ///
    /// # Errors
    /// One of them cannot be written.
    pub fn write(&self, seeds: u64) -> Result<Summary> {
        let summary = compare::summary(self.table, &self.cells, seeds);
        let (svg, png) = chart::figure(&summary)?;
        let command = command(&summary.name, summary.scale, summary.seeds.len());
        for (name, bytes) in [
            ("table.md", text::markdown(&summary, &command).into_bytes()),
            ("table.csv", text::csv(&summary)?),
            (TABLE, json(&summary)?),
            ("figure.svg", svg.into_bytes()),
            ("figure.png", png),
        ] {
            output::replace(&self.dir.join(name), &bytes)?;
        }
        Ok(summary)
    }
}

/// The cells of a table's folder.
fn cells(dir: &Path, table: &Table) -> Result<Cells> {
    let mut cells = Cells::default();
    let dir = dir.join("cells");
    let hash = table.hash();
    for entry in fs::read_dir(&dir).map_err(|e| Error::file(&dir, e))? {
        let path = entry.map_err(|e| Error::file(&dir, e))?.path();
        let name = path.file_stem().and_then(|n| n.to_str()).unwrap_or_default();
        if path.extension().is_none_or(|e| e != "json") || name.starts_with('.') {
            continue;
        }
        let again = "; delete it and its run is done again";
        let cell: Cell = serde_json::from_slice(&files::read(&path)?)
            .map_err(|e| Error::file(&path, format!("{e}{again}")))?;
        let run = Run { row: &cell.row, forget: &cell.forget, seed: cell.seed };
        if cell.protocol != hash || run.name() != name {
            return Err(Error::file(&path, format!("is a run of another table{again}")));
        }
        cells.put(name.to_string(), cell);
    }
    Ok(cells)
}

/// The command that makes a table.
pub fn command(name: &str, scale: Scale, seeds: usize) -> String {
    format!("salun table {name} --scale {} --seeds {seeds}", scale.name())
}

/// The first thing in which two tables differ, for a person.
fn difference(there: &Table, wanted: &Table) -> String {
    let (a, b) = (&there.protocol, &wanted.protocol);
    if there.name != wanted.name {
        format!("it is {}", there.name)
    } else if a.scale != b.scale {
        format!("its scale is {}", a.scale.name())
    } else if a.data != b.data {
        format!("its data is {}", a.data)
    } else if a != b {
        "its models, batches or epochs differ".into()
    } else {
        "its rows or their settings differ".into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{Numbers, Outcome};
    use crate::words::{DeviceReport, Metrics};

    fn scratch(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("salun-table-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        dir
    }

    fn cell(table: &Table, run: &Run) -> Cell {
        Cell {
            protocol: table.hash(),
            forget: run.forget.into(),
            row: run.row.clone(),
            seed: run.seed,
            outcome: Outcome::Done(Box::new(Numbers::of_model(Metrics::default(), 2.0))),
            seconds: 2.5,
            device: DeviceReport { name: "x".into(), api: "cpu".into() },
        }
    }

    #[test]
    fn a_table_goes_on_where_it_was_and_refuses_another_protocol() {
        let dir = scratch("resume");
        let table = Table::new("density", Scale::Small).unwrap();
        let mut folder = Folder::open(&dir, &table, false).unwrap();
        let runs = table.runs(1);
        for run in &runs[..3] {
            folder.keep(run.name(), cell(&table, run)).unwrap();
        }
        let again = Folder::open(&dir, &table, false).unwrap().cells;
        assert_eq!(again, folder.cells);
        assert_eq!(again.iter().count(), 3);
        assert_eq!(again.get(&runs[1]), Some(&cell(&table, &runs[1])));
        assert_eq!(again.expected(&runs[5]), Some(2.5));
        let ends = Cells::default();
        assert_eq!(ends.expected(&runs[0]), None);

        let other = Table::new("density", Scale::Paper).unwrap();
        let error = Folder::open(&dir, &other, false).unwrap_err().to_string();
        assert!(error.contains("its scale is small") && !error.contains('\n'), "{error}");
        let fresh = Folder::open(&dir, &other, true).unwrap();
        assert_eq!(fresh.cells.iter().count(), 0);
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn what_is_written_can_be_read_and_foreign_folders_are_left_alone() {
        let dir = scratch("read");
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join("notes.txt"), "mine").unwrap();
        let table = Table::new("iu-alpha", Scale::Small).unwrap();
        assert!(Folder::open(&dir, &table, true).is_err());
        assert!(summary(&dir).is_err());
        fs::remove_file(dir.join("notes.txt")).unwrap();

        let mut folder = Folder::open(&dir, &table, false).unwrap();
        let runs = table.runs(2);
        folder.keep(runs[0].name(), cell(&table, &runs[0])).unwrap();
        let says = folder.write(2).unwrap();
        assert_eq!(summary(&dir).unwrap(), says);
        assert_eq!(super::table(&dir).unwrap(), table);

        fs::write(dir.join("cells/broken.json"), "{").unwrap();
        let error = Folder::open(&dir, &table, false).unwrap_err().to_string();
        assert!(error.contains("broken.json") && error.contains("delete it"), "{error}");
        fs::remove_dir_all(dir).unwrap();
    }
}
