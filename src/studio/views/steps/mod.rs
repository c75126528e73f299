//! The sampler step by step: what each model is shown and what it makes of it, where they part, what the words of a
//! prompt attend to.

mod course;
mod film;
mod panes;
mod words;

use egui::ComboBox;

use crate::engine::{Film, Trace};
use crate::studio::prelude::*;
use crate::studio::state::Place;
use crate::studio::{Pane, Sheet, arm_name};
use course::{apart, parting};
use words::Maps;

/// The view's row.
pub static VIEW: View = View {
    name: "Steps",
    hint: "From noise to pictures, step by step, before and after: when and where it forgets",
    key: Key::S,
    tasks: &[Task::Generate, Task::TextToImage],
    draw: steps_ui,
};

/// Steps that are played in a second.
const SPEED: f64 = 6.0;

/// What stands above the strip of steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Look {
    /// What the network is shown, and what it predicts.
    #[default]
    Pictures,
    /// What it predicts, and how that differs from Before.
    Difference,
    /// What the words of the prompt attend to.
    Words,
}

/// Whose steps these are, as they are drawn.
struct Shown<'a> {
    pane: Pane,
    name: String,
    film: &'a Film,
    /// How far it is from Before at every step, in percent.
    apart: &'a [f64],
}

/// Textures of a pane.
#[derive(Default)]
struct Sheets {
    noisy: Sheet,
    predicted: Sheet,
    differs: Sheet,
    words: Maps,
}

/// The step that is shown, and the textures of what is.
#[derive(Default)]
struct Scrubber {
    of: Option<Arc<Trace>>,
    /// How far each of its films is from the first at every step, in percent.
    apart: Arc<Vec<Vec<f64>>>,
    at: usize,
    /// Since when it plays, in seconds of the window's clock, and from which step.
    playing: Option<(f64, usize)>,
    look: Look,
    /// Whether words are shown with their mean over all steps.
    mean: bool,
    /// By pane.
    sheets: [Sheets; 4],
    /// The frame in which the view was drawn last.
    frame: u64,
}

impl Scrubber {
    /// Takes up a trace: the step stays where it was, or is the one at which Before and After part, where they did
    /// not so far.
    fn take(&mut self, trace: &Arc<Trace>) {
        if self.of.as_ref().is_some_and(|held| Arc::ptr_eq(held, trace)) {
            return;
        }
        let apart: Vec<Vec<f64>> =
            trace.films.iter().map(|film| apart(film, &trace.films[0])).collect();
        let parted = |all: &[Vec<f64>]| all.iter().find_map(|apart| parting(apart));
        let (before, now) = (parted(&self.apart), parted(&apart));
        let n = trace.moments.len();
        let other = self.of.as_ref().is_none_or(|held| held.moments.len() != n);
        if other || before.is_none() && now.is_some() {
            self.at = now.unwrap_or(n / 2);
        }
        self.apart = Arc::new(apart);
        self.of = Some(trace.clone());
    }

    /// Goes on where it plays; it stops at the end.
    fn play(&mut self, last: usize, ui: &Ui) {
        self.at = self.at.min(last);
        let Some((since, from)) = self.playing else { return };
        let done = ((ui.input(|i| i.time) - since) * SPEED) as usize;
        self.at = (from + done).min(last);
        if self.at == last {
            self.playing = None;
        } else {
            ui.ctx().request_repaint_after_secs((1.0 / SPEED) as f32);
        }
    }

    /// Starts to play, from the beginning where it is at the end, or stops.
    fn toggle(&mut self, last: usize, ui: &Ui) {
        let from = if self.at >= last { 0 } else { self.at };
        self.playing = match self.playing {
            Some(_) => None,
            None => Some((ui.input(|i| i.time), from)),
        };
    }

    /// Shows a step and plays no more.
    fn hold(&mut self, at: usize) {
        (self.at, self.playing) = (at, None);
    }
}

/// Shows the steps on the way to a tile of the comparison.
pub fn open(studio: &mut Studio, [row, column]: [usize; 2]) {
    let column = Some(column);
    studio.state.session_mut().steps.place = Some(Place { row, column });
    studio.view = &VIEW;
}

fn steps_ui(studio: &mut Studio, ui: &mut Ui) {
    studio.state.trace();
    let Studio { state, own, .. } = studio;
    let scrubber = own.of::<Scrubber>();
    let Some((panes, trace)) = state.session().traced() else {
        place_ui(state, ui);
        return waiting_ui(state, ui);
    };
    let last = trace.moments.len().saturating_sub(1);
    scrubber.take(&trace);
    scrubber.play(last, ui);
    ui.horizontal_wrapped(|ui| {
        place_ui(state, ui);
        play_ui(scrubber, &trace, ui);
    });
    looks_ui(scrubber, &trace, ui);
    let session = state.session();
    let apart = scrubber.apart.clone();
    let films = panes.iter().zip(&trace.films).zip(&*apart);
    let shown: Vec<Shown> = films
        .map(|((&pane, film), apart)| {
            let name = match pane {
                Pane::After => format!("After ({})", arm_name(session, Arm::Method)),
                _ => pane.name().into(),
            };
            Shown { pane, name, film, apart }
        })
        .collect();
    if shown.is_empty() {
        return;
    }
    if !session.all_traced(panes.len()) {
        fact_ui(ui, "The other panes follow once the work in progress is done");
    }
    let strip = film::height(&shown, ui.available_size());
    let above = (ui.available_height() - strip - 8.0).max(140.0);
    ScrollArea::vertical().id_salt("steps").auto_shrink(false).show(ui, |ui| {
        match scrubber.look {
            Look::Words => words::words_ui(scrubber, &trace, &shown, above, ui),
            _ => panes::panes_ui(scrubber, session, &shown, above, ui),
        }
        ui.add_space(4.0);
        film::film_ui(scrubber, session, &trace, &shown, ui);
    });
}

/// Draws which tile it is.
fn place_ui(state: &mut State, ui: &mut Ui) {
    let session = state.session();
    let (Some(base), Some(place)) = (session.base().cloned(), session.place()) else { return };
    let seen = session.seen().cloned();
    let classes = seen.as_deref().map_or(&[][..], |opened| &opened.classes);
    let name = |row: usize| base.name(row, classes).unwrap_or("No class").to_string();
    let of = |column: Option<usize>| match column {
        Some(column) => format!("Picture {}", column + 1),
        None => "All pictures".into(),
    };
    let mut to = place;
    ui.horizontal(|ui| {
        let width = (ui.available_width() * 0.4).clamp(110.0, 190.0);
        let list = ComboBox::from_id_salt("row").width(width).selected_text(name(place.row));
        let list = list.truncate().show_ui(ui, |ui| {
            for row in 0..base.rows.len() {
                ui.selectable_value(&mut to.row, row, name(row));
            }
        });
        list.response.accessible_name("Row");
        let list = ComboBox::from_id_salt("column").width(96.0).selected_text(of(place.column));
        let list = list.show_ui(ui, |ui| {
            let all = (base.columns > 1).then_some(None);
            for column in (0..base.columns).map(Some).chain(all) {
                ui.selectable_value(&mut to.column, column, of(column));
            }
        });
        list.response.accessible_name("Picture");
    });
    if to != place {
        state.session_mut().steps.place = Some(to);
        // They are asked for in the next frame.
        ui.ctx().request_repaint();
    }
}

/// Says why there is nothing yet.
fn waiting_ui(state: &mut State, ui: &mut Ui) {
    middle_ui(ui, |ui| match state.working() {
        Some(JobKind::Trace) => {
            ui.label(RichText::new("Drawing step by step…").heading());
            ui.weak("The same noise through every model, and each of its steps kept");
        }
        Some(_) => {
            ui.label(RichText::new("The steps come after the work in progress").heading());
        }
        None if state.session().opened.is_none() => {
            ui.label(RichText::new("No model is open").heading());
        }
        None => {
            ui.label(RichText::new("The steps were not drawn to their end").heading());
            if ui.button("Draw the steps").clicked() {
                state.trace_again();
            }
        }
    });
}

/// Draws the button that plays, and which step is shown.
fn play_ui(scrubber: &mut Scrubber, trace: &Trace, ui: &mut Ui) {
    let last = trace.moments.len().saturating_sub(1);
    let name = if scrubber.playing.is_some() { "Hold steps" } else { "Play steps" };
    if ui.button(name).on_hover_text("From noise to the picture (Space on the strip)").clicked() {
        scrubber.toggle(last, ui);
    }
    ui.label(moment(trace, scrubber.at)).on_hover_text(
        "The network's time step, and how much of the standard deviation of what it is shown is noise",
    );
}

/// "Step 12 of 20, t = 450, noise 61 %".
fn moment(trace: &Trace, at: usize) -> String {
    let steps = trace.moments.len().saturating_sub(1);
    match trace.moments.get(at).and_then(|m| Some((m.time?, m.noise))) {
        Some((time, noise)) => {
            let noise = 100.0 * noise;
            format!("Step {} of {steps}, t = {time:.0}, noise {noise:.0} %", at + 1)
        }
        None => format!("Finished after {steps} steps"),
    }
}

/// Draws the choice of what stands above the strip.
fn looks_ui(scrubber: &mut Scrubber, trace: &Trace, ui: &mut Ui) {
    let words = trace.words.iter().any(|words| !words.is_empty());
    let looks = [
        (Look::Pictures, "Pictures", "What the network is shown, and the picture that it predicts"),
        (Look::Difference, "Difference", "How the predicted pictures differ from Before"),
        (Look::Words, "Words", "What of the picture each word of the prompt attends to"),
    ];
    if !words && scrubber.look == Look::Words {
        scrubber.look = Look::Pictures;
    }
    let looks = looks.into_iter().filter(|(look, ..)| words || *look != Look::Words);
    ui.horizontal_wrapped(|ui| {
        tabs_ui(ui, &mut scrubber.look, looks);
        if scrubber.look == Look::Words {
            ui.checkbox(&mut scrubber.mean, "Mean of all steps")
                .on_hover_text("In place of the step that is shown");
        }
    });
}
