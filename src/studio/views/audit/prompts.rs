//! Attacks on a model that forgot a prompt: a button each, and what they brought back.

use egui::Grid as Table;

use crate::engine::Attack;
use crate::studio::prelude::*;
use crate::studio::{Mark, Sheet, tile};
use crate::words::AttackKind;

/// Side of a tile, in points.
const TILE: f32 = 46.0;
/// Widths of a way's name and of a share, and between columns, in points.
const NAME: f32 = 120.0;
const SHARE: f32 = 40.0;
const GAP: f32 = 14.0;

/// The textures of each attack: before and after.
type Sheets = [[Sheet; 2]; 2];

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
            card_ui(ui, 10.0, |ui| {
                ui.set_min_width(ui.available_width());
                let found = run.attacks.iter().find(|a| a.report.kind == kind);
                head_ui(&mut studio.state, arm, kind, found.is_some(), ui);
                if let Some(found) = found {
                    ui.add_space(6.0);
                    found_ui(found, &mut studio.own.of::<Sheets>()[i], ui);
                }
            });
            ui.add_space(6.0);
        }
    });
}

/// What an attack does, and its button.
fn head_ui(state: &mut State, arm: Arm, kind: AttackKind, again: bool, ui: &mut Ui) {
    let (name, what) = match kind {
        AttackKind::Prompt => (
            "Search for a prompt",
            "Asks in many other words and keeps the best; then learns a prompt, as vectors, from \
             pictures of the forgotten",
        ),
        AttackKind::Inversion => (
            "Invert pictures",
            "Walks pictures of the forgotten back to the noise that they would come from, and draws \
             from there. It brings back much of anything, so a concept that the model never saw \
             stands beside it",
        ),
    };
    ui.label(RichText::new(kind.title()).strong());
    fact_ui(ui, what);
    if state.working() == Some(JobKind::Attack(arm, kind)) {
        return drop(ui.weak("At work; it is shown here when it is done"));
    }
    let button = if again { Button::new(name) } else { primary(ui, name) };
    let hint = "A minute or two on a CPU; it can be cancelled";
    if button_ui(ui, button, hint, state.working().map(|_| WAIT)) {
        state.attack(arm, kind);
    }
}

/// The shares in which each way brought it back, and the pictures.
fn found_ui(attack: &Attack, sheets: &mut [Sheet; 2], ui: &mut Ui) {
    let palette = theme::palette(ui);
    let report = &attack.report;
    // As many pictures as fit beside each other.
    let room = (ui.available_width() - NAME - 2.0 * SHARE - 5.0 * GAP) / 2.0;
    let columns = ((room / (TILE + 2.0)) as usize).clamp(2, 6);
    let [before, after] = sheets;
    let before = before.texture(ui.ctx(), &attack.before);
    let after = after.texture(ui.ctx(), &attack.after);
    Table::new(("attack", report.kind.name())).spacing([GAP, 6.0]).show(ui, |ui| {
        heads_ui(ui, ["", "Before", "", "After", ""]);
        for (row, tried) in report.tries.iter().enumerate() {
            ui.vertical(|ui| {
                ui.set_width(NAME);
                let name = small(&tried.name);
                ui.label(if tried.control { name.weak() } else { name.strong() });
                if !tried.prompt.is_empty() {
                    let text = small(&tried.prompt).weak();
                    ui.add(Label::new(text).truncate()).on_hover_text(&tried.prompt);
                }
            });
            let pictures =
                [(before, &attack.before, tried.before), (after, &attack.after, tried.after)];
            for (texture, grid, share) in pictures {
                let color = if share >= 50.0 { palette.bad } else { palette.good };
                ui.label(RichText::new(format!("{share:.0} %")).color(color).strong());
                // What never was to be forgotten is only seen or not.
                let asked = !tried.control && std::ptr::eq(grid, &attack.after);
                tiles_ui(texture, grid, [row, columns], asked, ui);
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
    fact_ui(ui, text);
}

fn tiles_ui(
    texture: TextureId,
    grid: &Grid,
    [row, columns]: [usize; 2],
    forgotten: bool,
    ui: &mut Ui,
) {
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 2.0;
        for column in 0..grid.columns.min(columns) {
            let rect = ui.add(tile::image(texture, grid, [row, column], TILE)).rect;
            if let Some((seen, _)) = grid.seen_in(row, column) {
                let mark = Mark::of(Some(seen) == grid.rows[row], forgotten);
                mark.frame(ui.painter(), rect);
            }
        }
    });
}
