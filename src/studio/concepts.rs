//! Everything that the shipped text-to-image model was shown, with a picture of each, to be picked.

use std::collections::HashMap;

use egui::{ColorImage, Image, Popup, PopupCloseBehavior, TextureHandle, TextureOptions};
use serde::Deserialize;

use super::prelude::*;
use crate::assets;
use crate::data::corpus;
use crate::error::Result;
use crate::models::registry;

/// Width and height of the list at the most, in points.
const WIDTH: f32 = 560.0;
const HEIGHT: f32 = 520.0;

/// The concepts, and the artists' pictures of them.
#[derive(Default)]
pub struct Concepts {
    names: Vec<String>,
    sheet: Option<TextureHandle>,
    /// By name, in texture coordinates.
    places: HashMap<String, Rect>,
    /// Whether there is nothing more to come.
    whole: bool,
}

/// What a model's card says of them.
#[derive(Deserialize)]
struct Card {
    concepts: Vec<String>,
}

impl Concepts {
    /// Reads what has come of it; nothing is missed while files are on their way.
    fn read(&mut self, model: &str, ctx: &Context) -> Result<()> {
        let shipped = registry::shipped(model).map_or(&[][..], |shipped| shipped.files);
        let card = shipped.iter().find(|file| file.ends_with("/card.json"));
        let Some(card) = card else { return Ok(()) };
        if self.names.is_empty()
            && let Some(bytes) = assets::ask(card)?
        {
            let card = serde_json::from_slice::<Card>(&bytes);
            self.names = card.map(|card| card.concepts).unwrap_or_default();
        }
        let Some((names, picture)) = corpus::pictures()? else { return Ok(()) };
        let size = [picture.width() as usize, picture.height() as usize];
        let rows = names.len().div_ceil(corpus::COLUMNS);
        let cell = vec2(1.0 / corpus::COLUMNS as f32, 1.0 / rows as f32);
        let place = |(i, name): (usize, String)| {
            let at = vec2((i % corpus::COLUMNS) as f32, (i / corpus::COLUMNS) as f32) * cell;
            (name, Rect::from_min_size(at.to_pos2(), cell))
        };
        self.places = names.into_iter().enumerate().map(place).collect();
        let image = ColorImage::from_rgba_unmultiplied(size, &picture);
        self.sheet = Some(ctx.load_texture("concepts", image, TextureOptions::LINEAR));
        self.whole = true;
        Ok(())
    }

    /// A concept's picture.
    fn picture(&self, name: &str) -> Option<Image<'static>> {
        let (sheet, place) = (self.sheet.as_ref()?, self.places.get(name)?);
        let size = Vec2::splat(CHIP);
        Some(Image::from_texture((sheet.id(), size)).uv(*place).fit_to_exact_size(size))
    }
}

/// Draws a button that opens the list of everything that a shipped model was shown; the concept that was picked.
pub fn all_ui(studio: &mut Studio, ui: &mut Ui, is_on: impl Fn(&str) -> bool) -> Option<String> {
    let Studio { own, state, .. } = studio;
    let model = &state.session().model;
    registry::shipped(model)?;
    let blocked = state.waits();
    let size = vec2(ui.available_width(), 26.0);
    let button = ui.add_enabled_ui(blocked.is_none(), |ui| {
        ui.add_sized(size, Button::new(small("More concepts…")))
    });
    let button = explained(button.inner, "Everything that the model was shown", blocked);
    let popup = Popup::from_toggle_button_response(&button);
    let popup = popup.close_behavior(PopupCloseBehavior::CloseOnClick);
    let chosen = popup.show(|ui| {
        let concepts = own.of::<Concepts>();
        if !concepts.whole
            && let Err(error) = concepts.read(model, ui.ctx())
        {
            ui.colored_label(theme::palette(ui).bad, error.to_string());
        }
        let screen = ui.ctx().content_rect().size();
        ui.set_width(WIDTH.min(screen.x - 48.0));
        let height = HEIGHT.min(screen.y - 120.0);
        let area = ScrollArea::vertical().max_height(height).auto_shrink([false, true]);
        let pressed = area.show(ui, |ui| {
            let names = &concepts.names;
            chips_ui(names.len(), None, ui, |i| {
                Some((&names[i], concepts.picture(&names[i]), is_on(&names[i])))
            })
        });
        pressed.inner.map(|i| concepts.names[i].clone())
    });
    chosen.and_then(|shown| shown.inner)
}
