//! Letters that the window's own typeface lacks: the system's are taken for the names of classes and for
//! prompts, whatever script they are in.

use egui::Context;

use super::{prompt::Draft, state::State};

/// What was looked at, and what is being looked for.
#[derive(Default)]
pub struct Letters {
    seen: String,
    #[cfg(not(target_arch = "wasm32"))]
    found: Option<std::sync::mpsc::Receiver<Vec<std::sync::Arc<crate::run::fonts::Font>>>>,
    /// The files that were added.
    #[cfg(not(target_arch = "wasm32"))]
    added: Vec<String>,
}

impl Letters {
    /// Sees to it that what is shown can be read. The system's files are looked through beside the frame.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn show(&mut self, state: &State, draft: &Draft, ctx: &Context) {
        if let Some(fonts) = self.found.as_ref().and_then(|found| found.try_recv().ok()) {
            self.found = None;
            fonts.iter().for_each(|font| self.add(font, ctx));
        }
        let opened = state.session().opened.as_deref();
        let names = opened.into_iter().flat_map(|o| o.classes.iter().chain([&o.name, &o.data]));
        let shown = names.map(String::as_str).chain([draft.text()]);
        let lacking: String = shown.filter(|text| !text.is_ascii()).collect();
        if self.found.is_some() || lacking == self.seen {
            return;
        }
        self.seen.clone_from(&lacking);
        let (tell, hear) = std::sync::mpsc::channel();
        let ctx = ctx.clone();
        std::thread::spawn(move || {
            // The window may be closed by now.
            let _ = tell.send(crate::run::fonts::fallback(&lacking));
            ctx.request_repaint();
        });
        self.found = Some(hear);
    }

    /// On a page the browser draws the letters that the window's typeface lacks (eframe's canvas glyphs).
    #[cfg(target_arch = "wasm32")]
    pub fn show(&mut self, _: &State, _: &Draft, _: &Context) {
        self.seen.clear();
    }

    #[cfg(not(target_arch = "wasm32"))]
    fn add(&mut self, font: &crate::run::fonts::Font, ctx: &Context) {
        use egui::{
            FontData, FontFamily,
            epaint::text::{FontInsert, FontPriority, InsertFontFamily},
        };
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
