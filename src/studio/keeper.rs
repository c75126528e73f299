//! Who keeps a person's work: a window's folders, a page's downloads.

use std::path::{Path, PathBuf};

use super::sitting::Files;
use crate::data::brief;
use crate::engine::{Found, LogLine, Run};
use crate::error::Result;
use crate::unlearn::registry;
use crate::words::Recipe;

/// What is handed over to be kept.
#[derive(Debug, Clone, Copy)]
pub enum Parcel<'a> {
    /// A whole run folder.
    Run(&'a Run),
    /// A file under a name without a folder.
    File(&'a str, &'a [u8]),
}

/// Writes a parcel where it belongs and says where that is.
pub type SaveHook = Box<dyn Fn(Parcel) -> Result<PathBuf> + Send + Sync>;

/// What keeps a person's work: a window's folders, a page's downloads.
pub trait Keeper: Send + Sync {
    /// Writes a parcel to where work is saved, and says where it is.
    ///
    /// # Errors
    /// It cannot be written.
    fn save(&self, parcel: Parcel) -> Result<PathBuf>;

    /// The folder that work is saved in; `None` where that is not for the program to say.
    fn folder(&self) -> Option<PathBuf> {
        None
    }

    /// Saves in another folder from now on.
    fn set_folder(&self, _folder: PathBuf) {}

    /// Keeps a finished run until it is saved; says where, or nothing where nothing outlives the window.
    ///
    /// # Errors
    /// It cannot be written.
    fn keep(&self, _run: &Run) -> Result<Option<PathBuf>> {
        Ok(None)
    }

    /// Moves a kept run to where work is saved, and says where it is.
    ///
    /// # Errors
    /// It cannot be written there; it is still kept.
    fn adopt(&self, kept: &Path) -> Result<PathBuf> {
        Ok(kept.into())
    }

    /// Lets go of a kept run.
    fn release(&self, _kept: &Path) {}

    /// Kept runs that earlier sittings left.
    fn left(&self) -> Vec<PathBuf> {
        Vec::new()
    }

    /// A setting that was kept under a name, by this sitting or an earlier one.
    fn setting(&self, _name: &str) -> Option<String> {
        None
    }

    /// Keeps a setting under a name, as far as there is a place for it.
    fn keep_setting(&self, _name: &str, _text: &str) {}

    /// Remembers a file of this sitting under a name, in place of what was there.
    ///
    /// # Errors
    /// It cannot be written.
    fn remember(&self, _name: &str, _bytes: Vec<u8>) -> Result<()> {
        Ok(())
    }

    /// Forgets a file of this sitting.
    fn forget(&self, _name: &str) {}

    /// About how many bytes an earlier sitting left that can be brought back, where that is known at once.
    fn earlier(&self) -> Option<usize> {
        None
    }

    /// The files of that sitting; nothing where they are handed over later.
    ///
    /// # Errors
    /// They cannot be read.
    fn recall(&self) -> Result<Option<Files>> {
        Ok(None)
    }

    /// The file that the state of a run under way is kept in; `None` where nothing outlives the window.
    fn state(&self, _recipe: &Recipe) -> Option<PathBuf> {
        None
    }

    /// States of runs that were under way when earlier sittings ended, the latest first.
    fn interrupted(&self) -> Vec<PathBuf> {
        Vec::new()
    }

    /// Makes the state of an earlier sitting's run this one's; says where it is.
    fn take_state(&self, earlier: &Path, _recipe: &Recipe) -> PathBuf {
        earlier.into()
    }

    /// Lets go of the state of a run.
    fn forget_state(&self, _state: &Path) {}

    /// Lets go of that sitting: of what is remembered of it, and of the runs that it kept; where some were brought
    /// back, of those with the hashes of their protocols, and of no other.
    fn discard_earlier(&self, _brought: Option<&[String]>) {}

    /// Ends the sitting: what it still keeps is not wanted. What it remembers is for the next one, if that is.
    fn end(&self, _remembers: bool) {}
}

/// Saves, and keeps nothing.
impl Keeper for SaveHook {
    fn save(&self, parcel: Parcel) -> Result<PathBuf> {
        self(parcel)
    }
}

/// A run that was under way when an earlier sitting ended.
#[derive(Debug, Clone)]
pub struct Interrupted {
    pub state: PathBuf,
    pub recipe: Recipe,
    /// Of the updates that it had made.
    pub log: Vec<LogLine>,
}

impl Interrupted {
    /// Names the run in a few words.
    pub fn what(&self) -> String {
        let Recipe { method, forget, model, .. } = &self.recipe;
        let model = model.rsplit(['/', '\\']).next().unwrap_or(model);
        let method = registry::find(method).map_or(&**method, |method| method.title);
        let (forget, model) = (brief(forget), brief(model));
        format!("{method} of {forget} in {model}, after update {}", self.log.len())
    }

    /// The latest that a keeper has; of states that cannot be read it lets go.
    pub fn latest(keeper: &dyn Keeper) -> Option<Self> {
        keeper.interrupted().into_iter().find_map(|state| match Found::open(&state) {
            Ok(found) => {
                Some(Self { recipe: found.recipe().clone(), log: found.log().to_vec(), state })
            }
            Err(_) => {
                keeper.forget_state(&state);
                None
            }
        })
    }
}
