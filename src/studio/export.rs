//! The menu of what can be taken away: run folders, single files, the recipe.

use super::REMEMBERED;
use super::commands::SAVE;
use super::prelude::*;
use super::saver::SaveItem;
use super::take::{figures_ui, page};
use crate::run::bundle;
use crate::words::{Export, LoraLayout, RANKS, files};

/// Files of the method's run that a person may want by themselves: name in the menu, file.
const PARTS: [(&str, &str); 4] = [
    ("Weights (safetensors)", "model.safetensors"),
    ("Mask (safetensors)", "mask.safetensors"),
    ("Report (JSON)", "report.json"),
    ("Recipe (TOML)", "recipe.toml"),
];

/// Draws the menu's button.
pub fn export_ui(studio: &mut Studio, ui: &mut Ui) {
    let menu = ui.menu_button("Export", |ui| {
        ui.set_min_width(190.0);
        entries_ui(studio, ui);
    });
    menu.response.on_hover_text("Run folders, weights, masks, figures, the recipe");
}

fn entries_ui(studio: &mut Studio, ui: &mut Ui) {
    let free = !studio.saver.busy();
    let run = studio.state.session().run(Arm::Method).cloned();
    let entry = |ui: &mut Ui, on: bool, name: &str, hint: &str| {
        button_ui(ui, Button::new(name), hint, (!on).then_some("Nothing to save yet"))
    };
    SAVE.ui(studio, ui);
    #[cfg(not(target_arch = "wasm32"))]
    {
        let folder = studio.saver.keeper.folder().map(|f| format!("Now {}", f.display()));
        let there = (SAVE.blocked)(studio).is_none();
        if entry(ui, there, "Run folders to…", &folder.unwrap_or_default()) {
            studio.ask(super::dialog::Ask::SaveTo, ui.ctx());
        }
    }
    let hint = "Pictures, figures, verdict and recipe in one file, which opens without a network";
    if entry(ui, run.is_some() && free, "Report (HTML)", hint)
        && let Some(run) = &run
    {
        let name = format!("{}-{}", bundle::name(run), files::PAGE);
        studio.saver.save(vec![SaveItem::File(name, page(studio, run))]);
    }
    figures_ui(studio, ui, free);
    ui.separator();
    for (name, file) in PARTS {
        let masked = file != "mask.safetensors";
        let there = run.as_ref().filter(|run| free && (masked || run.mask.is_some()));
        if entry(ui, there.is_some(), name, "Of the run beside its control")
            && let Some(run) = there
        {
            let (run, name) = (run.clone(), format!("{}-{file}", bundle::name(run)));
            let made = move || Ok(bundle::file(&run, file)?.unwrap_or_default());
            studio.saver.save(vec![SaveItem::File(name, Arc::new(made))]);
        }
    }
    change_ui(studio, ui);
    ui.separator();
    let recipe = studio.state.session().recipe();
    let hint = "Give it to salun unlearn: the same recipe gives the same run";
    if entry(ui, recipe.is_some(), "Copy the recipe", hint)
        && let Some(text) = recipe.and_then(|recipe| studio.state.tell(recipe.to_toml()))
    {
        ui.copy_text(text);
    }
    remembered_ui(studio, ui);
}

/// Offers to clear what would bring this sitting back.
fn remembered_ui(studio: &mut Studio, ui: &mut Ui) {
    let bytes = studio.saver.memory.bytes();
    let name = format!("Clear what is remembered ({:.1} MB)", bytes as f64 / 1e6);
    let hint = format!(
        "A window that was closed and a page that was loaded again offer to come back as they were left; of one \
         sitting at most {} MB are remembered, the oldest runs go first",
        REMEMBERED / 1_000_000
    );
    ui.separator();
    let none = (bytes == 0).then_some("Nothing is remembered yet");
    if button_ui(ui, Button::new(name), &hint, none) {
        studio.saver.forget_all();
    }
}

/// The rank of the LoRA that is made next.
struct Rank(usize);

impl Default for Rank {
    fn default() -> Self {
        Self(16)
    }
}

/// Draws the entries of what is made of the run's change.
fn change_ui(studio: &mut Studio, ui: &mut Ui) {
    let Studio { state, own, .. } = studio;
    let run = state.session().run(Arm::Method);
    let blocked = match run {
        None => Some("Nothing to save yet"),
        Some(_) => state.work.is_some().then_some(WAIT),
    };
    let prompted = run.is_some_and(|run| run.model.latent().is_some());
    let strength = state.session().strength(Arm::Method);
    let mut asked = None;
    let hint = "Exactly the weights that were free; salun apply puts them, or a part of their change, into \
                the original";
    if button_ui(ui, Button::new("Change alone (safetensors)"), hint, blocked) {
        asked = Some(Export::Delta);
    }
    if strength != 1.0 {
        let name = format!("Weights at strength {strength} (safetensors)");
        let hint = "The original with as much of the change as After shows";
        if button_ui(ui, Button::new(name), hint, blocked) {
            asked = Some(Export::Weights { strength });
        }
    }
    if prompted {
        ui.menu_button("Change as a LoRA", |ui| {
            let Rank(rank) = own.of::<Rank>();
            field_ui(ui, "Rank", |ui| ui.add(Slider::new(rank, RANKS).logarithmic(true)));
            for &layout in LoraLayout::ALL {
                let name = format!("In {}'s layout (safetensors)", layout.name());
                let hint = "How well it holds the change is said in the notes";
                if button_ui(ui, Button::new(name), hint, blocked) {
                    asked = Some(Export::Lora { rank: *rank, layout });
                }
            }
        });
    }
    if let Some(what) = asked {
        state.export(what);
    }
}
