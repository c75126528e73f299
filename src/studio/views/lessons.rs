//! The lessons: what there is to find out, what was passed, and in which language.

use egui::CollapsingHeader;

use crate::studio::formula::sentences;
use crate::studio::lesson::{
    Language, Lesson, Lessons, begin_ui, known, link, pass_over, speak, tick_ui,
};
use crate::studio::prelude::*;
use crate::studio::{commands, top_bar};
use crate::words::Piece;

/// The view's row.
pub static VIEW: View = View {
    name: "Lessons",
    hint: "What there is to find out, each with a goal that the studio checks",
    key: Key::L,
    tasks: &Task::ALL,
    draw: lessons_ui,
};

/// The least width of a lesson's card, and its least height, in points.
const CARD: f32 = 300.0;
const HEIGHT: f32 = 132.0;
/// Letters of a formula, in points.
const LETTERS: f32 = 13.0;

fn lessons_ui(studio: &mut Studio, ui: &mut Ui) {
    head_ui(studio, ui);
    ui.add_space(4.0);
    ScrollArea::vertical().id_salt("lessons").auto_shrink(false).show(ui, |ui| {
        let across = ((ui.available_width() / CARD) as usize).clamp(1, 4);
        for row in Lesson::all().chunks(across) {
            ui.columns(across, |columns| {
                for (lesson, ui) in row.iter().zip(columns) {
                    // Not justified, as columns would have it.
                    ui.vertical(|ui| lesson_ui(studio, lesson, ui));
                }
            });
        }
        ui.add_space(4.0);
        worksheet_ui(studio, ui);
    });
}

/// Draws what the lessons are, how many were passed, the language, and the tour, which comes before them.
fn head_ui(studio: &mut Studio, ui: &mut Ui) {
    let Lessons { language, passed, .. } = known(studio);
    let (language, n) = (*language, passed.len());
    let words = &language.words;
    ui.add(Label::new(&words.intro).wrap());
    ui.horizontal_wrapped(|ui| {
        let [passed, all] = [n, Lesson::all().len()].map(|n| n.to_string());
        ui.label(words.progress.replace("{passed}", &passed).replace("{all}", &all));
        let blocked = (n == 0).then_some("");
        if button_ui(ui, Button::new(&words.reset), &words.reset_hint, blocked) {
            pass_over(studio);
        }
        if button_ui(ui, Button::new(&words.tour), &words.tour_hint, None) {
            (commands::TOUR.run)(studio, commands::Press { key: 0, times: 1 });
        }
        ui.label(small(&words.language).weak());
        for other in Language::all() {
            let button = Button::new(&other.name).selected(*other == *language);
            if ui.add(button).clicked() {
                speak(studio, other);
            }
        }
    });
}

fn lesson_ui(studio: &mut Studio, lesson: &'static Lesson, ui: &mut Ui) {
    let Lessons { language, passed, at, .. } = known(studio);
    let (language, done, here) = (*language, passed.contains(&lesson.name), *at == Some(lesson));
    let (text, words) = (language.lesson(&lesson.name), &language.words);
    card_ui(ui, 10.0, |ui| {
        ui.set_min_size(vec2(ui.available_width(), HEIGHT));
        ui.spacing_mut().item_spacing.y = 4.0;
        ui.horizontal(|ui| {
            tick_ui(done, language, ui);
            let title = format!("{}. {}", lesson.number, text.title);
            ui.add(Label::new(RichText::new(title).strong()).wrap());
        });
        let color = theme::palette(ui).text;
        ui.add(Label::new(sentences([(&*text.sentence, color)], ui)).wrap());
        lesson.formula.ui(LETTERS, ui);
        ui.horizontal(|ui| {
            if here && ui.button(&words.resume).clicked() {
                studio.view = &super::compare::VIEW;
                studio.show_spot(lesson.spot);
            }
            let name = if here || done { &words.again } else { &words.begin };
            ui.push_id(lesson.number, |ui| begin_ui(studio, lesson, name, false, ui));
        });
    });
}

/// Draws what a teacher can leave out, and the link of what is left.
fn worksheet_ui(studio: &mut Studio, ui: &mut Ui) {
    let words = &known(studio).language.words;
    let open = !studio.state.hidden.is_empty();
    let head = CollapsingHeader::new(&words.worksheet).id_salt("worksheet").default_open(open);
    head.show(ui, |ui| {
        ui.add(Label::new(&words.worksheet_hint).wrap());
        ui.horizontal_wrapped(|ui| {
            for &piece in Piece::ALL {
                let mut hidden = studio.state.hides(piece);
                if ui.checkbox(&mut hidden, piece.name()).on_hover_text(piece.about()).changed() {
                    studio.state.hide(piece, hidden);
                }
            }
        });
        ui.horizontal_wrapped(|ui| {
            if button_ui(ui, Button::new(&words.copy), "", None) {
                let link = link(studio);
                ui.copy_text(format!("{}?{}", studio.host.address, link.query()));
                top_bar::note(studio, &words.copied, ui);
            }
            let blocked = (!open).then_some("");
            if button_ui(ui, Button::new(&words.show_all), "", blocked) {
                studio.state.hidden.clear();
            }
        });
    });
}
