//! The presentation: the main job step by step for people who look from afar. Large letters, no panels around;
//! a key, or a remote's, a step.

use egui::{CentralPanel, Margin, Style};

use super::prelude::*;
use super::views::compare;
use super::{Pane, curves, saliency_panel, timeline, verdict};

/// What a step shows.
struct Step {
    title: &'static str,
    /// What there is to say of it.
    says: fn(&State) -> String,
    /// What is done when it is come to.
    arrive: fn(&mut Studio),
    draw: fn(&mut Studio, &mut Ui),
}

const STEPS: [Step; 7] = [
    Step {
        title: "What shall it forget?",
        says: |state| tasks::of(state.task).opening.into(),
        arrive: |_| {},
        draw: |studio, ui| panes_ui(studio, ui, &[Pane::Before]),
    },
    Step {
        title: "Pick it",
        says: |state| match picked(state) {
            Some(what) => format!("To be forgotten: {what}. Everything else is to be kept"),
            None => tasks::of(state.task).pick[0].into(),
        },
        arrive: |_| {},
        draw: pick_ui,
    },
    Step {
        title: "Where it lives",
        says: |_| {
            "The gradient over the forget set scores every weight; only the most salient may change"
                .into()
        },
        arrive: pick,
        draw: saliency_ui,
    },
    Step {
        title: "Forget",
        says: |_| {
            "The model trains to lose it and to keep the rest; frozen weights keep every bit".into()
        },
        arrive: |studio| {
            pick(studio);
            if !studio.state.session().under_way() {
                studio.state.forget();
            }
        },
        draw: forget_ui,
    },
    Step {
        title: "After",
        says: |_| "The same pictures, before and after, from the same noise".into(),
        arrive: |_| {},
        draw: |studio, ui| panes_ui(studio, ui, &[Pane::Before, Pane::After]),
    },
    Step {
        title: "Is it the mask?",
        says: |_| {
            "The control: as many weights, picked at random. If it does as well, the mask is not why".into()
        },
        arrive: |_| {},
        draw: |studio, ui| panes_ui(studio, ui, &[Pane::After, Pane::Random, Pane::Retrain]),
    },
    Step {
        title: "The verdict",
        says: |state| picked(state).unwrap_or_default(),
        arrive: |_| {},
        draw: verdict_ui,
    },
];

/// Width of the presentation in points: what is drawn for a laptop is as large as a projector's wall.
const WIDTH: f32 = 960.0;
/// How much larger everything gets at the most.
const LARGEST: f32 = 3.0;

/// Where the presentation is.
#[derive(Debug, Default)]
pub struct Presentation {
    /// The step, while it is shown.
    at: Option<usize>,
    /// Whether the screen is black, for people to look at who speaks.
    blank: bool,
    /// How large everything was before.
    zoom: f32,
}

impl Studio {
    /// Whether the presentation is shown.
    pub fn presents(&self) -> bool {
        self.own.known::<Presentation>().is_some_and(|present| present.at.is_some())
    }

    /// Begins the presentation at its first step, or ends it.
    pub(super) fn toggle_presentation(&mut self) {
        let at = if self.presents() { None } else { Some(0) };
        self.tour.at = None;
        self.go(at);
    }

    /// Goes to a step, and does what is to be done there.
    fn go(&mut self, at: Option<usize>) {
        let present = self.own.of::<Presentation>();
        (present.at, present.blank) = (at, false);
        if let Some(at) = at {
            (STEPS[at].arrive)(self);
        }
    }

    /// Goes so many steps on; neither end is passed.
    fn turn(&mut self, by: isize) {
        let Some(at) = self.own.of::<Presentation>().at else { return };
        let to = at.saturating_add_signed(by).min(STEPS.len() - 1);
        if to != at {
            self.go(Some(to));
        }
    }
}

/// What is picked, for a person.
fn picked(state: &State) -> Option<String> {
    let session = state.session();
    let spec = session.what.as_ref()?.spec(session.seen()?)?;
    Some(format::forget_set(&spec))
}

/// Picks an example, where nobody has picked anything.
fn pick(studio: &mut Studio) {
    let session = studio.state.session();
    if session.what.is_none()
        && let Some(example) = (tasks::of(session.task).example)(session)
    {
        studio.state.pick(example);
    }
}

/// Does what a remote's keys ask for. While somebody writes, arrows and full stops are theirs.
pub fn handle_keys(studio: &mut Studio, ctx: &Context, writing: bool) {
    if !studio.presents() {
        return;
    }
    let pressed = |keys: &[Key]| {
        let count = |key: &Key| ctx.input_mut(|i| i.count_and_consume_key(Modifiers::NONE, *key));
        keys.iter().map(count).sum::<usize>() as isize
    };
    let mut by = pressed(&[Key::PageDown]) - pressed(&[Key::PageUp]);
    if !writing {
        by += pressed(&[Key::ArrowRight, Key::ArrowDown]);
        by -= pressed(&[Key::ArrowLeft, Key::ArrowUp]);
        if pressed(&[Key::Period]) % 2 == 1 {
            studio.own.of::<Presentation>().blank ^= true;
        }
        if pressed(&[Key::Escape]) > 0 {
            return studio.go(None);
        }
    }
    if by != 0 {
        studio.turn(by);
    }
}

/// Makes everything as large as the window allows while the presentation is shown, and as it was afterwards.
pub fn zoom(studio: &mut Studio, ctx: &Context) {
    let now = ctx.zoom_factor();
    let shown = studio.presents();
    let Some(present) = studio.own.known::<Presentation>().map(|p| p.zoom) else { return };
    match (shown, present > 0.0) {
        (true, before) => {
            let first = if before { present } else { now };
            // In points as they were before.
            let width = ctx.content_rect().width() * now / first;
            let wanted = first * (width / WIDTH).clamp(1.0, LARGEST);
            studio.own.of::<Presentation>().zoom = first;
            if (wanted - now).abs() > 0.01 {
                ctx.set_zoom_factor(wanted);
            }
        }
        (false, true) => {
            ctx.set_zoom_factor(present);
            studio.own.of::<Presentation>().zoom = 0.0;
        }
        (false, false) => {}
    }
}

/// Draws the step that the presentation is at, in place of all panels.
pub fn present_ui(studio: &mut Studio, ui: &mut Ui) {
    let Presentation { at, blank, .. } = *studio.own.of::<Presentation>();
    let at = at.unwrap_or(0);
    if blank {
        let rect = ui.max_rect();
        ui.painter().rect_filled(rect, 0.0, Color32::BLACK);
        let response = ui.allocate_rect(rect, Sense::click());
        let told = "A blank screen; a full stop brings the step back";
        response.widget_info(|| WidgetInfo::labeled(Role::Button, true, told));
        studio.own.of::<Presentation>().blank = !response.clicked();
        return;
    }
    let step = &STEPS[at];
    let frame =
        |style: &Style, y| Frame::side_top_panel(style).inner_margin(Margin::symmetric(20, y));
    studio.bar_end = ui.available_rect_before_wrap().top();
    Panel::top("step").frame(frame(ui.style(), 10)).show(ui, |ui| {
        let palette = theme::palette(ui);
        ui.add(Label::new(RichText::new(step.title).size(30.0).color(palette.strong)).wrap());
        let says = RichText::new((step.says)(&studio.state)).size(17.0).color(palette.text);
        ui.add(Label::new(says).wrap());
    });
    Panel::bottom("remote").frame(frame(ui.style(), 6)).show(ui, |ui| remote_ui(studio, ui, at));
    CentralPanel::no_frame()
        .frame(frame(ui.style(), 10).fill(theme::palette(ui).canvas))
        .show(ui, |ui| ui.push_id(at, |ui| (step.draw)(studio, ui)));
}

/// Draws which step it is, what goes on meanwhile, and buttons for those without keys.
fn remote_ui(studio: &mut Studio, ui: &mut Ui, at: usize) {
    ui.horizontal(|ui| {
        ui.weak(format!("{} of {}", at + 1, STEPS.len()));
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let ends = button_ui(ui, Button::new("End"), "Back to the studio (Esc)", None);
            let last = (at + 1 == STEPS.len()).then_some("");
            let next = button_ui(ui, Button::new("Next"), "PageDown, or the arrow right", last);
            let first = (at == 0).then_some("");
            let back = button_ui(ui, Button::new("Back"), "PageUp, or the arrow left", first);
            ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                timeline::doing_ui(&studio.state, ui);
            });
            match (ends, next, back) {
                (true, ..) => studio.go(None),
                (_, true, _) => studio.turn(1),
                (.., true) => studio.turn(-1),
                _ => {}
            }
        });
    });
}

/// Draws some panes as large as there is room, of those that have something to show.
fn panes_ui(studio: &mut Studio, ui: &mut Ui, panes: &[Pane]) {
    let session = studio.state.session();
    let Some(opened) = session.seen().cloned() else {
        return middle_ui(ui, |ui| drop(ui.heading("Opening the model…")));
    };
    let there = |pane: &&Pane| tasks::of(session.task).panes.contains(pane) && session.has(**pane);
    let shown: Vec<Pane> = panes.iter().filter(there).copied().collect();
    if shown.is_empty() {
        return middle_ui(ui, |ui| drop(ui.heading("Forget something first: a step back")));
    }
    compare::shown_ui(studio, ui, &opened, &shown, 0.0);
}

fn pick_ui(studio: &mut Studio, ui: &mut Ui) {
    let seen = studio.state.session().seen().cloned();
    let what_ui = tasks::of(studio.state.task).what_ui;
    ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
        let width = ui.available_width().min(560.0);
        ui.vertical_centered(|ui| {
            ui.allocate_ui_with_layout(vec2(width, 0.0), Layout::top_down(Align::Min), |ui| {
                ui.set_width(width);
                what_ui(studio, ui, seen.as_ref());
            });
        });
    });
}

fn saliency_ui(studio: &mut Studio, ui: &mut Ui) {
    let width = ui.available_width().min(620.0);
    ui.vertical_centered(|ui| {
        let size = vec2(width, ui.available_height());
        ui.allocate_ui_with_layout(size, Layout::top_down(Align::Min), |ui| {
            ui.set_width(width);
            saliency_panel::saliency_ui(studio, ui);
        });
    });
}

/// Draws After as it changes, and the loss below it.
fn forget_ui(studio: &mut Studio, ui: &mut Ui) {
    let height = (ui.available_height() * 0.3).clamp(110.0, 220.0);
    Panel::bottom("loss").frame(Frame::NONE).exact_size(height).show(ui, |ui| {
        curves::curves_ui(studio, ui);
    });
    panes_ui(studio, ui, &[Pane::After]);
}

fn verdict_ui(studio: &mut Studio, ui: &mut Ui) {
    ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
        verdict::winner_ui(studio.state.session(), ui);
        timeline::cards_ui(&mut studio.state, ui);
    });
}
