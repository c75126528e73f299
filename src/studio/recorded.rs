//! What comes with the program as it was recorded: the first pictures of shipped models, which are there before the
//! model is, how much their masks have in common, and tables of runs.
//!
//! `tests/suite/studio_engine.rs` holds the first two against what the models show, and writes them anew where
//! `SALUN_RECORD` is set.

use std::{any::Any, cell::RefCell, collections::HashMap, sync::Arc};

use crate::assets;
use crate::engine::Opened;
use crate::error::{Error, Result};
use crate::run::Record;
use crate::run::gallery::Exhibit;
use crate::saliency::Overlap;
use crate::table::Summary;
use crate::wire;

thread_local! {
    /// What was read once; it stays.
    static READ: RefCell<HashMap<&'static str, Result<&'static dyn Any>>> = RefCell::default();
}

/// What a shipped model showed when it was opened with the first seed and the brief budget; nothing while that is
/// on its way.
pub fn opened(model: &str) -> Option<&'static Arc<Opened>> {
    read(path(model, "opened")?, wire::inflate).ok()?
}

/// How much the masks of a shipped model's classes had in common.
pub fn overlap(model: &str) -> Option<&'static Arc<Overlap>> {
    read(path(model, "overlap")?, wire::inflate).ok()?
}

/// A table that comes with the program, by its name; nothing while it is on its way.
///
/// # Errors
/// There is no such table, or it does not come.
pub fn table(name: &str) -> Result<Option<&'static Arc<Summary>>> {
    let is_it = |path: &&&str| path.split('/').nth(1) == Some(name);
    let path = assets::TABLES.iter().find(is_it);
    let path = path.ok_or_else(|| Error::unknown("table", name, tables()))?;
    read(path, |bytes| Summary::read(bytes).map_err(|reason| Error::file(*path, reason)))
}

/// A run of the gallery; nothing while it is on its way.
///
/// # Errors
/// It does not come, or is damaged.
pub fn exhibit(exhibit: &Exhibit) -> Result<Option<&'static Arc<Record>>> {
    read(exhibit.file, wire::inflate)
}

/// The names of the tables that come with the program.
pub fn tables() -> impl Iterator<Item = &'static str> {
    assets::TABLES.iter().filter_map(|path| path.split('/').nth(1))
}

/// The file of a model with such an ending.
fn path(model: &str, ending: &str) -> Option<&'static str> {
    let is_it = |path: &&&str| {
        let name = path.rsplit('/').next().unwrap_or_default();
        name.strip_suffix(ending).and_then(|name| name.strip_suffix('.')) == Some(model)
    };
    assets::RECORDED.iter().find(is_it).copied()
}

/// What is in a file, read once; nothing while the file is on its way.
fn read<T: Any>(
    path: &'static str,
    of: impl FnOnce(&[u8]) -> Result<T>,
) -> Result<Option<&'static Arc<T>>> {
    let known = READ.with_borrow(|read| read.get(path).cloned());
    let known = match known {
        Some(known) => known?,
        None => {
            let Some(bytes) = assets::ask(path)? else { return Ok(None) };
            let stays = |value| &*Box::leak(Box::new(Arc::new(value))) as &dyn Any;
            let read = of(&bytes).map(stays);
            READ.with_borrow_mut(|all| all.insert(path, read.clone()));
            read?
        }
    };
    Ok(known.downcast_ref())
}
