//! Letters that the window's own typefaces lack: the system's are taken for the names of classes and for
//! prompts, whatever script they are in.

use std::sync::Arc;

use egui::Context;

use super::{prompt::Draft, state::State};
use crate::engine::job::Opened;

/// What was looked at.
#[derive(Debug, Default)]
pub struct Letters {
    opened: Option<Arc<Opened>>,
    prompt: String,
    /// The files that were added.
    #[cfg(not(target_arch = "wasm32"))]
    added: Vec<String>,
}

impl Letters {
    /// Sees to it that what is shown can be read.
    pub fn show(&mut self, state: &State, draft: &Draft, ctx: &Context) {
        let opened = state.session().opened.clone();
        let same = match (&opened, &self.opened) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            (a, b) => a.is_none() && b.is_none(),
        };
        if same && self.prompt == draft.text() {
            return;
        }
        self.prompt = draft.text().to_string();
        let names = opened.iter().flat_map(|o| o.classes.iter().chain([&o.name, &o.data]));
        let text = names.chain([&self.prompt]).map(String::as_str).collect::<Vec<_>>().join(" ");
        self.opened = opened;
        self.add(&text, ctx);
    }

    #[cfg(not(target_arch = "wasm32"))]
    fn add(&mut self, text: &str, ctx: &Context) {
        use egui::{
            FontData, FontFamily,
            epaint::text::{FontInsert, FontPriority, InsertFontFamily},
        };
        for font in crate::run::fonts::fallback(text) {
            if self.added.contains(&font.name) {
                continue;
            }
            let last = |family| InsertFontFamily { family, priority: FontPriority::Lowest };
            let families = [FontFamily::Proportional, FontFamily::Monospace].map(last).into();
            let data = FontData::from_owned(font.bytes.clone());
            ctx.add_font(FontInsert::new(&font.name, data, families));
            self.added.push(font.name.clone());
        }
    }

    /// A page cannot reach the system's typefaces.
    #[cfg(target_arch = "wasm32")]
    fn add(&mut self, _: &str, _: &Context) {}
}
