//! The guided tour: six stops, each with its formula beside the control that it is about.

use egui::{Area, Order};

use super::Spot;
use super::narrow::Tab;
use super::prelude::*;
use super::views;

/// A stop.
struct Stop {
    spot: Spot,
    title: &'static str,
    text: &'static str,
    formula: &'static str,
    /// Whether what it asks for is done.
    done: fn(&TaskState) -> bool,
}

const STOPS: [Stop; 6] = [
    Stop {
        spot: Spot::Before,
        title: "What the model knows",
        text: "Pictures of every class. Where one has a red frame with a corner, the classifier sees \
               another class than it stands for.",
        formula: "class seen = argmax p(c | x)",
        done: |session| session.opened.is_some(),
    },
    Stop {
        spot: Spot::Pick,
        title: "Pick what to forget",
        text: "Click one, or write it. It becomes the forget set; everything else is to be kept.",
        formula: "D_r = D \\ D_f",
        done: |session| session.what.is_some(),
    },
    Stop {
        spot: Spot::Saliency,
        title: "See where it lives",
        text: "The gradient over the forget set scores every weight. Those above the threshold may \
               change. Drag it, or the density; click a layer to see its weights.",
        formula: "m = 1[ |Σ ∇L(θ₀; D_f)| ≥ γ ]",
        done: TaskState::scored,
    },
    Stop {
        spot: Spot::Forget,
        title: "Forget",
        text: "Press Forget. The model trains to lose the forget set and to keep the rest. Only \
               weights in the mask move; all others keep every bit. A disc marks a picture that is \
               forgotten, a square one that is still seen.",
        formula: "θ = θ₀ + m ⊙ Δθ,   L = L_f + α L_r",
        done: |session| session.attempt(Arm::Method).is_some(),
    },
    Stop {
        spot: Spot::Control,
        title: "Is it the mask?",
        text: "A random mask of equal size does the same job. If it does as well, the saliency is \
               not why. Retrain never saw the forget set: it is the truth.",
        formula: "Σ m_random = Σ m = k",
        done: |session| session.run(Arm::Control).is_some(),
    },
    Stop {
        spot: Spot::Verdict,
        title: "Read the verdict",
        text: "Forgot, under-forgot, over-forgot or hidden, with the accuracies that say so. Change \
               the method or the density, forget again, and compare on the forget map.",
        formula: "UA = 100 − acc(D_f),  RA = acc(D_r),  TA = acc(test)",
        done: |session| session.run(Arm::Method).is_some(),
    },
];

/// Width of the card, in points.
const WIDTH: f32 = 300.0;

/// Where the tour is.
#[derive(Debug, Default)]
pub struct Tour {
    /// The stop that it is at, while it is shown.
    pub at: Option<usize>,
    /// Whether the card has just come to a stop, and its button is to take the focus.
    arrived: bool,
}

impl Tour {
    /// Whether it speaks of a spot.
    pub fn is_at(&self, spot: Spot) -> bool {
        self.at.is_some_and(|at| STOPS[at].spot == spot)
    }
}

impl Studio {
    /// Starts the tour, or ends it.
    pub fn toggle_tour(&mut self) {
        self.visit(if self.tour.at.is_some() { STOPS.len() } else { 0 });
    }

    /// Goes to a stop and brings its spot into view; past the last one, the tour ends.
    fn visit(&mut self, at: usize) {
        self.tour.at = Some(at).filter(|at| *at < STOPS.len());
        let Some(stop) = STOPS.get(at) else { return };
        self.tour.arrived = true;
        self.show_spot(stop.spot);
    }

    /// Brings a spot into view.
    pub(super) fn show_spot(&mut self, spot: Spot) {
        match spot {
            Spot::Before | Spot::Control => self.view = &views::compare::VIEW,
            Spot::Saliency => *self.own.of() = Tab::Saliency,
            Spot::Verdict => *self.own.of() = Tab::Timeline,
            _ => *self.own.of() = Tab::Forget,
        }
    }
}

/// Draws the card and a ring around what it is about.
pub fn tour_ui(studio: &mut Studio, ctx: &Context, palette: &Palette) {
    let Some(at) = studio.tour.at else { return };
    let stop = &STOPS[at];
    let id = Id::unique("tour");
    let screen = ctx.content_rect();
    let spot = stop.spot.rect(ctx).map(|r| r.intersect(screen));
    stop.spot.ring(ctx, palette);
    let size = ctx.memory(|m| m.area_rect(id)).map_or(vec2(WIDTH, 190.0), |r| r.size());
    let place = place(screen.shrink(8.0), spot, size);
    let area = Area::new(id)
        .order(Order::Foreground)
        .fixed_pos(place.min)
        .constrain_to(screen)
        .role(Role::Dialog)
        .accessible_name(format!("Tour, {} of {}", at + 1, STOPS.len()));
    area.show(ctx, |ui| {
        let frame = Frame::popup(ui.style()).inner_margin(14.0);
        frame.show(ui, |ui| {
            ui.set_width(WIDTH.min(screen.width() - 48.0));
            stop_ui(studio, at, ui, palette);
        });
    });
}

/// Draws what is on the card, and goes to another stop, or past the last one where it is enough.
fn stop_ui(studio: &mut Studio, at: usize, ui: &mut Ui, palette: &Palette) {
    let stop = &STOPS[at];
    let done = (stop.done)(studio.state.session());
    let last = at + 1 == STOPS.len();
    ui.horizontal(|ui| {
        ui.label(RichText::new(stop.title).heading().color(palette.strong));
        ui.weak(format!("{} of {}", at + 1, STOPS.len()));
    });
    ui.label(stop.text);
    Frame::new().fill(palette.canvas).corner_radius(4).inner_margin(8.0).show(ui, |ui| {
        ui.set_min_width(ui.available_width());
        ui.add(Label::new(RichText::new(stop.formula).monospace()).wrap());
    });
    ui.add_space(2.0);
    ui.horizontal(|ui| {
        let name = if last { "Done" } else { "Next" };
        let plain = || Button::new(RichText::new(name).color(palette.text));
        let next = ui.add(if done { primary(ui, name) } else { plain() });
        if std::mem::take(&mut studio.tour.arrived) {
            next.request_focus();
        }
        if next.clicked() {
            studio.visit(at + 1);
        }
        if ui.add_enabled(at > 0, Button::new("Back")).clicked() {
            studio.visit(at - 1);
        }
        if !last && ui.button("Skip tour").clicked() {
            studio.visit(STOPS.len());
        }
    });
}

/// Beside the spot, where the whole card fits; else at the bottom.
fn place(screen: Rect, spot: Option<Rect>, size: Vec2) -> Rect {
    let at = |min| Rect::from_min_size(min, size);
    let bottom = at(screen.center_bottom() - vec2(size.x / 2.0, size.y));
    let Some(spot) = spot else { return bottom };
    let gap = 14.0;
    let beside = [
        spot.right_top() + vec2(gap, 0.0),
        spot.left_top() - vec2(gap + size.x, 0.0),
        spot.left_bottom() + vec2(0.0, gap),
        spot.left_top() - vec2(0.0, gap + size.y),
    ];
    // Slid along the spot's side until it is on the screen.
    let slid = beside.into_iter().map(|min| {
        let most = (screen.max - size).max(screen.min);
        let free = |min: Pos2| min.clamp(screen.min, most);
        at(free(min))
    });
    slid.into_iter().find(|card| !card.intersects(spot)).unwrap_or(bottom)
}

#[cfg(test)]
mod tests {
    use egui::pos2;

    use super::*;

    #[test]
    fn the_card_is_beside_its_spot_and_on_the_screen() {
        let size = vec2(300.0, 190.0);
        for screen in [vec2(1280.0, 800.0), vec2(1024.0, 640.0), vec2(390.0, 844.0)] {
            let screen = Rect::from_min_size(Pos2::ZERO, screen);
            for spot in [
                Rect::from_min_max(pos2(0.0, 60.0), pos2(220.0, 240.0)),
                Rect::from_min_max(screen.right_top() - vec2(280.0, -40.0), screen.max),
                Rect::from_min_max(pos2(10.0, screen.bottom() - 90.0), screen.max),
            ] {
                let card = place(screen, Some(spot.intersect(screen)), size);
                assert!(screen.contains_rect(card), "{card:?} on {screen:?}");
                let covered = card.intersect(spot);
                let fits = spot.width() + size.x < screen.width()
                    || spot.height() + size.y < screen.height();
                assert!(!fits || !covered.is_positive() || screen.width() < 400.0, "{card:?}");
            }
        }
    }
}
