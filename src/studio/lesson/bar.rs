//! The bar of the lesson that is being done: what it teaches, what is to be done, whether it is done.

use super::{Language, Lesson, Lessons, Standing, Text, begin, known, leave};
use crate::studio::formula::sentences;
use crate::studio::prelude::*;
use crate::studio::{Spot, views};

/// Below this width, in points, the buttons stand under the words.
const WIDE: f32 = 700.0;
/// Below this one what is learnt is left to the list of lessons.
const BRIEF: f32 = 420.0;
/// Side of a tick, in points.
const TICK: f32 = 14.0;

/// Draws the bar below what is there, while a lesson is being done and its list is not what is shown.
pub fn bar_ui(studio: &mut Studio, ui: &mut Ui, frame: Frame) -> Option<Rect> {
    let lesson = known(studio).at?;
    if *studio.view == views::lessons::VIEW {
        return None;
    }
    let frame = frame.fill(theme::palette(ui).card);
    let bar = Panel::top("lesson").frame(frame).show(ui, |ui| {
        ui.spacing_mut().item_spacing.y = 3.0;
        if ui.available_width() < WIDE {
            words_ui(studio, lesson, ui);
            ui.horizontal(|ui| buttons_ui(studio, lesson, ui));
            return;
        }
        ui.with_layout(Layout::right_to_left(Align::TOP), |ui| {
            buttons_ui(studio, lesson, ui);
            ui.with_layout(Layout::top_down(Align::LEFT), |ui| words_ui(studio, lesson, ui));
        });
    });
    Some(bar.response.rect)
}

/// Draws what the lesson is about, where there is room for it, and what is to be done.
fn words_ui(studio: &mut Studio, lesson: &'static Lesson, ui: &mut Ui) {
    let palette = theme::palette(ui);
    let Lessons { language, standing, done, .. } = known(studio);
    let text = language.lesson(&lesson.name);
    let title = format!("{}. {}", lesson.number, text.title);
    let about = if ui.available_width() < BRIEF { "" } else { &*text.sentence };
    let about = sentences([(&*title, palette.strong), (about, palette.weak)], ui);
    ui.add(Label::new(about).wrap());
    ui.horizontal_top(|ui| {
        tick_ui(*done, language, ui);
        let (said, color) = said(lesson, text, language, standing, *done, palette);
        let task = sentences([(&*text.task, palette.text), (&*said, color)], ui);
        ui.add(Label::new(task).wrap());
    });
}

/// What is said of how the lesson stands, and in which colour.
fn said(
    lesson: &Lesson,
    text: &Text,
    language: &Language,
    standing: &Standing,
    done: bool,
    palette: &Palette,
) -> (String, Color32) {
    match standing {
        _ if done => (text.done.clone(), palette.good),
        Standing::Missing(short) => {
            let hint = language.hint(&lesson.name, short.key, &short.is, &short.wanted);
            (format!("{} {hint}", language.words.not_yet), palette.caution)
        }
        _ => (String::new(), palette.weak),
    }
}

/// Draws whether something was passed.
pub fn tick_ui(done: bool, language: &Language, ui: &mut Ui) {
    let palette = theme::palette(ui);
    let (rect, response) = ui.allocate_exact_size(Vec2::splat(TICK), Sense::hover());
    let words = &language.words;
    let said = if done { &words.passed } else { words.not_yet.trim_end_matches(':') };
    response.widget_info(|| WidgetInfo::labeled(Role::Image, true, said));
    let (middle, radius) = (rect.center(), TICK / 2.0 - 1.0);
    if done {
        ui.painter().circle_filled(middle, radius, palette.good);
        let points = [vec2(-0.45, 0.05), vec2(-0.12, 0.38), vec2(0.48, -0.32)];
        let points = points.map(|corner| middle + corner * radius).to_vec();
        ui.painter().line(points, Stroke::new(1.8, palette.canvas));
    } else {
        ui.painter().circle_stroke(middle, radius, Stroke::new(1.5, palette.weak));
    }
}

/// Whether the lesson that is being done is about a spot.
pub fn is_at(studio: &Studio, spot: Spot) -> bool {
    let lessons = studio.own.known::<Lessons>();
    lessons.and_then(|lessons| lessons.at).is_some_and(|lesson| lesson.spot == spot)
}

/// Draws a ring around the control that the lesson is about, until the lesson is passed.
pub fn ring_ui(studio: &mut Studio, ctx: &Context, palette: &Palette) {
    let Lessons { at, done, .. } = *known(studio);
    let listed = *studio.view == views::lessons::VIEW;
    if let Some(lesson) = at.filter(|_| !done && !listed && studio.tour.at.is_none()) {
        lesson.spot.ring(ctx, palette);
    }
}

/// Draws the ways on, the last one first where the direction is from the right.
fn buttons_ui(studio: &mut Studio, lesson: &'static Lesson, ui: &mut Ui) {
    let (words, done) = {
        let lessons = known(studio);
        (&lessons.language.words, lessons.done)
    };
    if button_ui(ui, Button::new(&words.close), "", None) {
        return leave(studio);
    }
    if button_ui(ui, Button::new(&words.all), "", None) {
        studio.view = &views::lessons::VIEW;
    }
    begin_ui(studio, lesson, &words.again, false, ui);
    if let Some(next) = lesson.next() {
        begin_ui(studio, next, &words.next, done, ui);
    }
}

/// Draws the button that begins a lesson, which may be the one that matters.
pub fn begin_ui(
    studio: &mut Studio,
    lesson: &'static Lesson,
    name: &'static str,
    matters: bool,
    ui: &mut Ui,
) {
    let words = &known(studio).language.words;
    // What a control would say is not waited for.
    let control = studio.state.working() == Some(JobKind::Unlearn(Arm::Control));
    let blocked = (studio.state.held() && !control).then_some(&*words.wait);
    let button = if matters { primary(ui, name) } else { Button::new(name) };
    let hint = if control { &*words.ends_control } else { "" };
    if button_ui(ui, button, hint, blocked) {
        let begun = begin(studio, lesson, lesson.start.clone());
        studio.state.tell(begun);
    }
}
