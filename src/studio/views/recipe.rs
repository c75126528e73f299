//! The request as its recipe: all that fixes a run, to be read, kept, cited or run again.

use crate::studio::prelude::*;

/// The view's row.
pub static VIEW: View = View {
    name: "Recipe",
    hint: "Everything that fixes the run that would be made now, as salun unlearn takes it",
    key: Key::R,
    tasks: &Task::ALL,
    draw: recipe_ui,
};

fn recipe_ui(studio: &mut Studio, ui: &mut Ui) {
    let session = studio.state.session();
    let Some(recipe) = session.draft() else {
        return drop(ui.weak("All that fixes a run is written here once there is a model"));
    };
    if session.what.is_none() {
        let what = format::forget_set(&recipe.forget);
        ui.weak(format!("Nothing is picked yet; this recipe would forget {what}"));
    }
    let text = match recipe.to_toml() {
        Ok(text) => text,
        Err(error) => return drop(ui.weak(error.to_string())),
    };
    ui.horizontal_wrapped(|ui| {
        let hint = "As a file recipe.toml: salun unlearn recipe.toml makes the same run";
        if button_ui(ui, Button::new("Copy"), hint, None) {
            ui.copy_text(text.clone());
        }
        ui.weak(format!("Protocol {}", &recipe.protocol()[..12]))
            .on_hover_text("Runs of equal protocols are of the same recipe and version");
    });
    ui.add_space(6.0);
    let area = ScrollArea::both().id_salt("recipe").auto_shrink(false);
    area.show(ui, |ui| ui.monospace(text));
}
