//! Letters that the window's own typeface lacks: the system's are taken for the names of classes and for
//! prompts, whatever script they are in. On a page the browser draws them (eframe's canvas glyphs).

use std::sync::{Arc, mpsc};

use egui::{
    Context, FontData, FontFamily,
    epaint::text::{FontInsert, FontPriority, InsertFontFamily},
};

use super::lesson::Lessons;
use super::own::Own;
use super::prompt::Draft;
use super::state::State;
use crate::platform;
use crate::run::{Font, fonts};

/// What was looked at, and what is being looked for.
#[derive(Default)]
pub struct Letters {
    seen: String,
    found: Option<mpsc::Receiver<Vec<Arc<Font>>>>,
    /// The files that were added.
    added: Vec<String>,
}

impl Letters {
    /// Sees to it that what is shown can be read. The system's files are looked through beside the frame.
    pub fn show(own: &mut Own, state: &State, ctx: &Context) {
        let opened = state.session().opened.as_deref();
        let names = opened.into_iter().flat_map(|o| o.classes.iter().chain([&o.name, &o.data]));
        let shown = names.map(String::as_str).chain([&*own.of::<Draft>().text]);
        let lacking: String = shown.filter(|text| !text.is_ascii()).collect();
        let language = own.of::<Lessons>().language;
        let lacking = lacking + language.letters();
        own.of::<Self>().find(lacking, ctx);
    }

    fn find(&mut self, lacking: String, ctx: &Context) {
        if let Some(fonts) = self.found.as_ref().and_then(|found| found.try_recv().ok()) {
            self.found = None;
            fonts.iter().for_each(|font| self.add(font, ctx));
        }
        if self.found.is_some() || lacking == self.seen {
            return;
        }
        self.seen.clone_from(&lacking);
        let (tell, hear) = mpsc::channel();
        let ctx = ctx.clone();
        std::thread::spawn(move || {
            // The window comes first; threads that this one starts are like it (Linux).
            platform::give_way();
            // The window may be closed by now.
            let _ = tell.send(fonts::fallback(&lacking));
            ctx.request_repaint();
        });
        self.found = Some(hear);
    }

    fn add(&mut self, font: &Font, ctx: &Context) {
        if self.added.contains(&font.name) {
            return;
        }
        let last = |family| InsertFontFamily { family, priority: FontPriority::Lowest };
        let families = [FontFamily::Proportional, FontFamily::Monospace].map(last).into();
        let data = FontData::from_owned(font.bytes.clone());
        ctx.add_font(FontInsert::new(&font.name, data, families));
        self.added.push(font.name.clone());
    }
}
