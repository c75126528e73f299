//! Attacks on a model that forgot a prompt: a button each, and what they brought back.

use egui::{Button, Color32, Frame, Grid as Table, Image, RichText, ScrollArea, Ui, vec2};

use crate::{
    engine::job::{Attack, Grid, Run},
    studio::{
        app::Studio,
        format,
        panes::{self, Mark},
        state::{JobKind, WAIT},
        task_state::Arm,
        theme,
        tile::{self, Sheet},
    },
    words::attack::AttackKind,
};

/// Side of a tile, in points.
const TILE: f32 = 46.0;

/// The textures of each attack: before and after.
pub type Sheets = [[Sheet; 2]; 2];

/// Draws both attacks on a run.
pub fn prompts_ui(studio: &mut Studio, arm: Arm, run: &Run, ui: &mut Ui) {
    ui.label(format!(
        "Is it gone, or only harder to ask for? Both attacks try to make the model that forgot {} \
         draw it again; the original is asked the same.",
        format::forget_set(&run.report.forget.spec)
    ));
    ui.add_space(6.0);
    ScrollArea::both().id_salt("attacks").auto_shrink(false).show(ui, |ui| {
        for (i, &kind) in AttackKind::ALL.iter().enumerate() {
            Frame::group(ui.style()).fill(theme::palette(ui).card).inner_margin(10.0).show(
                ui,
                |ui| {
                    ui.set_min_width(ui.available_width());
                    head_ui(studio, arm, kind, run, ui);
                    if let Some(found) = run.attacks.iter().find(|a| a.report.kind == kind) {
                        ui.add_space(6.0);
                        found_ui(found, &mut studio.auditor.attacked[i], ui);
                    }
                },
            );
            ui.add_space(6.0);
        }
    });
}

/// What an attack does, and its button.
fn head_ui(studio: &mut Studio, arm: Arm, kind: AttackKind, run: &Run, ui: &mut Ui) {
    let what = match kind {
        AttackKind::Prompt => {
            "Asks in many other words and keeps the best; then learns a prompt, as vectors, from \
             pictures of the forgotten"
        }
        AttackKind::Inversion => {
            "Walks pictures of the forgotten back to the noise that they would come from, and draws \
             from there. It brings back much of anything, so a concept that the model never saw \
             stands beside it"
        }
    };
    ui.label(RichText::new(kind.title()).strong());
    ui.add(egui::Label::new(RichText::new(what).small().weak()).wrap());
    let working = studio.state.work.as_ref().map(|w| w.kind);
    if working == Some(JobKind::Attack(arm, kind)) {
        ui.weak("At work; it is shown here when it is done");
        return;
    }
    let again = run.attacks.iter().any(|a| a.report.kind == kind);
    let name = match kind {
        AttackKind::Prompt => "Search for a prompt",
        AttackKind::Inversion => "Invert pictures",
    };
    let text = RichText::new(name).color(Color32::WHITE);
    let mut button = Button::new(text).fill(theme::palette(ui).accent);
    if again {
        button = Button::new(name);
    }
    let response = ui
        .add_enabled(working.is_none(), button)
        .on_hover_text("A minute or two on a CPU; it can be cancelled")
        .on_disabled_hover_text(WAIT);
    if response.clicked() {
        studio.state.attack(arm, kind);
    }
}

/// The shares in which each way brought it back, and the pictures.
fn found_ui(attack: &Attack, sheets: &mut [Sheet; 2], ui: &mut Ui) {
    let palette = theme::palette(ui);
    let report = &attack.report;
    let [before, after] = sheets;
    let before = before.texture(ui.ctx(), &attack.before);
    let after = after.texture(ui.ctx(), &attack.after);
    Table::new(("attack", report.kind.name())).spacing([14.0, 6.0]).show(ui, |ui| {
        for head in ["", "Before", "", "After", ""] {
            ui.label(RichText::new(head).small().weak());
        }
        ui.end_row();
        for (row, tried) in report.tries.iter().enumerate() {
            ui.vertical(|ui| {
                ui.set_width(120.0);
                let name = RichText::new(&tried.name).small();
                ui.label(if tried.control { name.weak() } else { name.strong() });
                if !tried.prompt.is_empty() {
                    let text = RichText::new(&tried.prompt).small().weak();
                    ui.add(egui::Label::new(text).truncate()).on_hover_text(&tried.prompt);
                }
            });
            let pictures =
                [(before, &attack.before, tried.before), (after, &attack.after, tried.after)];
            for (texture, grid, share) in pictures {
                let color = if share >= 50.0 { palette.bad } else { palette.good };
                ui.label(RichText::new(format!("{share:.0} %")).color(color).strong());
                // What never was to be forgotten is only seen or not.
                let asked = !tried.control && std::ptr::eq(grid, &attack.after);
                tiles_ui(texture, grid, row, asked, ui);
            }
            ui.end_row();
        }
    });
    let steps = match report.steps {
        0 => String::new(),
        steps => format!(", {} updates of the learnt prompt", format::count(steps)),
    };
    let text = format!(
        "Share of {} pictures in which the judge sees it; chosen from {}{steps}; seed {}, {:.0} s",
        report.n, report.searched, report.seed, report.seconds
    );
    ui.label(RichText::new(text).small().weak());
}

fn tiles_ui(texture: egui::TextureId, grid: &Grid, row: usize, forgotten: bool, ui: &mut Ui) {
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 2.0;
        for column in 0..grid.columns.min(6) {
            let size = vec2(TILE, TILE * grid.tile[0] as f32 / grid.tile[1] as f32);
            let image = Image::from_texture((texture, size)).uv(tile::uv(grid, row, column));
            let rect = ui.add(image.fit_to_exact_size(size)).rect;
            if let Some((seen, _)) = grid.seen_in(row, column) {
                let mark = Mark::of(Some(seen) == grid.rows[row], forgotten);
                panes::frame(ui.painter(), rect, mark);
            }
        }
    });
}
