//! The dialog that asks for a file or a folder, drawn in the window where the desktop has none of its own.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, TryRecvError},
};

use egui::{
    Modal, TextEdit,
    text::{CCursor, CCursorRange},
};

use super::prelude::*;
use super::{Wake, wake};
use crate::models::registry;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// A weights file to open.
    File,
    /// A model's or a table's folder to open.
    Folder,
    /// A weights file, or a model's folder, to be held against the model that is open.
    After,
    AfterFolder,
    /// The folder to save in.
    SaveTo,
}

/// The desktop's own dialog: starts where it is told to, answers once, and wakes the window then; `None`
/// where it was left.
pub type Native = Box<dyn Fn(Ask, &Path, Wake) -> Receiver<Option<PathBuf>>>;

/// The dialog that is open, and where the last file was opened.
#[derive(Default)]
pub struct Dialogs {
    /// What is to be asked for.
    wanted: Option<Ask>,
    open: Option<(Ask, Form)>,
    place: Option<PathBuf>,
}

enum Form {
    Native(Receiver<Option<PathBuf>>),
    Drawn(Drawn),
}

/// The drawn one.
#[derive(Default)]
struct Drawn {
    folder: PathBuf,
    /// What is written in its path field.
    path: String,
    entries: Vec<Entry>,
    selected: Option<usize>,
    error: Option<String>,
    /// Whether it has not been drawn yet.
    fresh: bool,
}

struct Entry {
    name: String,
    path: PathBuf,
    folder: bool,
    /// Opens as one thing: a weights file, or the folder of a model or a table.
    opens: bool,
}

/// Endings of weights files.
pub const WEIGHTS: [&str; 4] = ["safetensors", "pth", "pt", "ckpt"];
/// What makes a folder one that can be opened.
const MARKS: [&str; 2] = ["model_index.json", "table.json"];
/// Entries of a folder that are listed.
const MOST: usize = 2_000;

impl Ask {
    fn title(self) -> &'static str {
        match self {
            Self::File => "Open a weights file",
            Self::Folder => "Open a model's or a table's folder",
            Self::After | Self::AfterFolder => "Compare with weights after forgetting",
            Self::SaveTo => "Save runs in a folder",
        }
    }

    fn verb(self) -> &'static str {
        match self {
            Self::File | Self::Folder => "Open",
            Self::After | Self::AfterFolder => "Compare",
            Self::SaveTo => "Save here",
        }
    }
}

impl Drawn {
    fn new(ask: Ask, folder: &Path) -> Self {
        let mut drawn = Self { fresh: true, ..Self::default() };
        let there = folder.ancestors().find(|f| f.is_dir()).unwrap_or(Path::new("/"));
        drawn.go(ask, there);
        drawn
    }

    /// Lists a folder.
    fn go(&mut self, ask: Ask, folder: &Path) {
        let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.into());
        let listed = match fs::read_dir(&folder) {
            Ok(listed) => listed,
            Err(error) => return self.error = Some(format!("{}: {error}", folder.display())),
        };
        let paths = listed.flatten().map(|entry| entry.path());
        let mut entries: Vec<Entry> = paths.filter_map(|path| Entry::of(ask, path)).collect();
        entries.sort_by_key(|e| (!e.folder, e.name.to_lowercase()));
        let more = entries.len().saturating_sub(MOST);
        entries.truncate(MOST);
        self.path = folder.display().to_string();
        (self.folder, self.entries) = (folder, entries);
        self.selected = None;
        self.error = (more > 0).then(|| format!("{more} more; write the path"));
    }

    /// Takes what is written or selected: goes there, or has an answer.
    fn take(&mut self, ask: Ask) -> Option<PathBuf> {
        let there = match self.selected.and_then(|at| self.entries.get(at)) {
            Some(entry) => entry.path.clone(),
            None => self.folder.join(self.path.trim()),
        };
        if ask == Ask::SaveTo || there.is_file() || marked(&there) {
            return Some(there);
        }
        if there.is_dir() && there != self.folder {
            self.go(ask, &there);
        } else if there.is_dir() {
            self.error = Some("Pick a weights file, or the folder of a model or a table".into());
        } else {
            self.error = Some(format!("{}: is not there", there.display()));
        }
        None
    }

    /// Draws it; the answer, if there is one. `None` within is that it was left.
    fn ui(&mut self, ask: Ask, ui: &mut Ui) -> Option<Option<PathBuf>> {
        ui.heading(ask.title());
        ui.add_space(4.0);
        ui.horizontal(|ui| {
            let up = self.folder.parent().map(Path::to_path_buf);
            if button_ui(ui, Button::new("Up"), "", up.is_none().then_some("")) {
                self.go(ask, &up.unwrap_or_default());
            }
            for (name, place) in [("Home", dirs::home_dir()), ("Documents", dirs::document_dir())] {
                if let Some(place) = place.filter(|place| place.is_dir())
                    && ui.button(name).clicked()
                {
                    self.go(ask, &place);
                }
            }
        });
        let field = TextEdit::singleline(&mut self.path).desired_width(f32::INFINITY);
        let mut field = field.hint_text("A path").show(ui);
        if std::mem::take(&mut self.fresh) {
            // What is typed takes the place of what is there.
            field.response.request_focus();
            let all = CCursorRange::two(CCursor::new(0), CCursor::new(self.path.chars().count()));
            field.state.cursor.set_char_range(Some(all));
            field.state.store(ui.ctx(), field.response.id);
        }
        if field.response.changed() {
            self.selected = None;
        }
        let entered = field.response.lost_focus() && ui.input(|i| i.key_pressed(Key::Enter));
        let mut chosen = if entered { self.take(ask) } else { None };
        ui.add_space(4.0);
        chosen = self.list_ui(ask, ui).or(chosen);
        if let Some(error) = &self.error {
            ui.colored_label(theme::palette(ui).bad, error);
        }
        ui.add_space(6.0);
        ui.horizontal(|ui| {
            if ui.button(ask.verb()).clicked() {
                chosen = self.take(ask).or(chosen.take());
            }
            ui.button("Cancel").clicked().then_some(None).or(chosen.map(Some))
        })
        .inner
    }

    /// Draws the folder's entries; what was opened with two clicks.
    fn list_ui(&mut self, ask: Ask, ui: &mut Ui) -> Option<PathBuf> {
        let (mut go, mut chosen) = (None, None);
        ScrollArea::vertical()
            .min_scrolled_height(260.0)
            .max_height(260.0)
            .auto_shrink(false)
            .show(ui, |ui| {
                if self.entries.is_empty() {
                    ui.weak("Nothing to pick here");
                }
                for (at, entry) in self.entries.iter().enumerate() {
                    let mark = if entry.folder { "/" } else { "" };
                    let label = format!("{}{mark}", entry.name);
                    let response = ui.selectable_label(self.selected == Some(at), label);
                    if response.clicked() {
                        self.selected = Some(at);
                        self.path = entry.path.display().to_string();
                    }
                    if response.double_clicked() {
                        if entry.opens {
                            chosen = Some(entry.path.clone());
                        } else if entry.folder {
                            go = Some(entry.path.clone());
                        }
                    }
                }
            });
        if let Some(folder) = go {
            self.go(ask, &folder);
        }
        chosen
    }
}

impl Entry {
    /// What is to be picked, or gone into, of this kind.
    fn of(ask: Ask, path: PathBuf) -> Option<Self> {
        let name = path.file_name()?.to_string_lossy().into_owned();
        if name.starts_with('.') {
            return None;
        }
        let folder = path.is_dir();
        let weights = || {
            let ending = path.extension().map(|e| e.to_string_lossy().to_lowercase());
            ending.is_some_and(|e| WEIGHTS.contains(&e.as_str()))
        };
        let opens = ask != Ask::SaveTo && if folder { marked(&path) } else { weights() };
        (folder || opens).then_some(Self { name, path, folder, opens })
    }
}

/// Whether a folder opens as one thing.
fn marked(folder: &Path) -> bool {
    MARKS.iter().any(|mark| folder.join(mark).is_file())
}

impl Studio {
    /// Asks for weights that others made forget.
    pub(super) fn ask_after(&mut self) {
        // What comes after a folder is one, too.
        let opened = self.state.session().opened.as_ref();
        let single = opened.is_some_and(|opened| registry::is_single(&opened.name));
        let folder = self.state.task.prompted() && !single;
        let ask = if folder { Ask::AfterFolder } else { Ask::After };
        self.own.of::<Dialogs>().wanted = Some(ask);
    }

    /// Asks for a file or a folder.
    pub(super) fn ask(&mut self, ask: Ask, ctx: &Context) {
        let dialogs = self.own.of::<Dialogs>();
        let place = dialogs.place.clone();
        let saves = self.saver.keeper.folder().filter(|_| ask == Ask::SaveTo || place.is_none());
        let from = saves.or(place).or_else(dirs::home_dir).unwrap_or_default();
        let form = match &self.host.dialog {
            Some(native) => Form::Native(native(ask, &from, wake(ctx))),
            None => Form::Drawn(Drawn::new(ask, &from)),
        };
        dialogs.open = Some((ask, form));
    }

    /// Draws the dialog, and does what was asked for once there is an answer.
    pub(super) fn dialog_ui(&mut self, ctx: &Context) {
        if let Some(ask) = self.own.of::<Dialogs>().wanted.take() {
            self.ask(ask, ctx);
        }
        let dialogs = self.own.of::<Dialogs>();
        let Some((ask, form)) = &mut dialogs.open else { return };
        let ask = *ask;
        let answer = match form {
            Form::Native(answer) => match answer.try_recv() {
                Err(TryRecvError::Empty) => None,
                answer => Some(answer.ok().flatten()),
            },
            Form::Drawn(drawn) => {
                let shown = Modal::new(Id::unique("dialog")).show(ctx, |ui| {
                    ui.set_width((ctx.content_rect().width() - 60.0).min(560.0));
                    drawn.ui(ask, ui)
                });
                let left = shown.should_close().then_some(None);
                shown.inner.or(left)
            }
        };
        let Some(answer) = answer else { return };
        dialogs.open = None;
        let Some(path) = answer else { return };
        if ask == Ask::SaveTo {
            self.saver.keeper.set_folder(path);
            return self.save();
        }
        dialogs.place = path.parent().map(Path::to_path_buf);
        match ask {
            Ask::After | Ask::AfterFolder => self.state.compare(&path.to_string_lossy()),
            _ => self.open_path(&path, ctx),
        }
    }
}
