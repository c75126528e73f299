//! A table out of its folder.

use std::{
    path::{Path, PathBuf},
    sync::mpsc::{self, Receiver, TryRecvError},
};

use egui::TextEdit;

use super::whole_ui;
use crate::studio::prelude::*;
use crate::studio::wake;
use crate::table::{Summary, folder};

/// The folder that was asked for, and what is in it.
#[derive(Default)]
pub struct Folder {
    path: String,
    open: Option<Result<Summary, String>>,
    /// What is being read.
    reading: Option<Receiver<Result<Summary, String>>>,
}

impl Folder {
    /// Opens a table's folder, which is read beside the frame.
    pub fn open(&mut self, path: PathBuf, ctx: &Context) {
        self.path = path.to_string_lossy().into_owned();
        let (tell, told) = mpsc::channel();
        let wake = wake(ctx);
        std::thread::spawn(move || {
            // The window may be closed by now.
            let _ = tell.send(read(&path));
            wake();
        });
        self.reading = Some(told);
    }

    /// Whether a folder was asked for.
    pub fn is_open(&self) -> bool {
        self.open.is_some() || self.reading.is_some()
    }

    /// Goes back to the tables that come with the program.
    pub fn close(&mut self) {
        (self.open, self.reading) = (None, None);
    }

    /// Draws the field for a folder, and the table in it; whether there is one.
    pub fn ui(&mut self, ui: &mut Ui) -> bool {
        self.field_ui(ui);
        match self.reading.as_ref().map(|told| told.try_recv()) {
            Some(Ok(read)) => (self.open, self.reading) = (Some(read), None),
            Some(Err(TryRecvError::Disconnected)) => {
                let why = "The folder could not be read".to_string();
                (self.open, self.reading) = (Some(Err(why)), None);
            }
            Some(Err(TryRecvError::Empty)) => drop(ui.weak("Reading…")),
            None => {}
        }
        ui.add_space(6.0);
        match &self.open {
            None => {}
            Some(Err(error)) => drop(ui.colored_label(theme::palette(ui).bad, error)),
            Some(Ok(summary)) => whole_ui(summary, false, ui),
        }
        self.is_open()
    }

    fn field_ui(&mut self, ui: &mut Ui) {
        field_ui(ui, "Folder", |ui| {
            let width = (ui.available_width() - 70.0).clamp(80.0, 330.0);
            let edit = TextEdit::singleline(&mut self.path).desired_width(width);
            let hint = "A table that salun table made; or drop its folder on the window";
            let response = ui.add(edit.hint_text("salun-tables/table1")).on_hover_text(hint);
            let entered = response.lost_focus() && ui.input(|i| i.key_pressed(Key::Enter));
            if ui.button("Open").clicked() || entered {
                self.open(PathBuf::from(self.path.trim()), ui.ctx());
            }
            response
        });
    }
}

fn read(path: &Path) -> Result<Summary, String> {
    if path.as_os_str().is_empty() {
        return Err("Write the folder of a table first".into());
    }
    if !path.exists() {
        return Err(format!("{}: no such folder", path.display()));
    }
    if !path.is_dir() {
        return Err(format!("{} is a file, and a folder is needed", path.display()));
    }
    folder::summary(path).map_err(|e| e.to_string())
}
