//! Colours and sizes, light and dark. One accent; text meets WCAG AA on its background.

use egui::{Color32, CornerRadius, FontId, Stroke, TextStyle, Theme, Vec2, style::WidgetVisuals};

use super::Pane;

/// The colours that panels ask for by meaning.
#[derive(Debug)]
pub struct Palette {
    panel: Color32,
    /// Behind pictures and plots.
    pub canvas: Color32,
    /// Of a card on a panel.
    pub card: Color32,
    pub border: Color32,
    /// Around what can be pressed or written into.
    edge: Color32,
    /// Of ordinary text.
    pub text: Color32,
    pub strong: Color32,
    pub weak: Color32,
    /// Fills of what matters most, under white text.
    pub accent: Color32,
    /// The accent as text or line.
    pub accent_text: Color32,
    selected: Color32,
    button: Color32,
    hovered: Color32,
    pub good: Color32,
    pub bad: Color32,
    pub caution: Color32,
}

impl Palette {
    /// The colour of what a pane shows, in a drawing.
    pub fn of(&self, pane: Pane) -> Color32 {
        match pane {
            Pane::Before => self.weak,
            Pane::After => self.accent_text,
            Pane::Random => self.caution,
            Pane::Retrain => self.good,
        }
    }
}

const DARK: Palette = palette_of(false);
const LIGHT: Palette = palette_of(true);

/// The palette of a theme: every colour in the dark one, and in the light one.
const fn palette_of(light: bool) -> Palette {
    Palette {
        panel: of(light, [23, 25, 30], [247, 248, 250]),
        canvas: of(light, [14, 16, 19], [255, 255, 255]),
        card: of(light, [29, 32, 38], [255, 255, 255]),
        border: of(light, [46, 51, 60], [211, 215, 222]),
        edge: of(light, [100, 108, 124], [132, 140, 153]),
        text: of(light, [208, 213, 221], [42, 47, 56]),
        strong: of(light, [243, 245, 248], [14, 17, 22]),
        weak: of(light, [160, 168, 181], [90, 98, 112]),
        accent: of(light, [88, 98, 226], [68, 80, 208]),
        accent_text: of(light, [165, 173, 255], [59, 71, 196]),
        selected: of(light, [46, 51, 106], [226, 230, 255]),
        button: of(light, [40, 44, 52], [231, 233, 238]),
        hovered: of(light, [48, 53, 63], [226, 229, 235]),
        good: of(light, [70, 190, 145], [12, 108, 78]),
        bad: of(light, [250, 128, 140], [180, 36, 66]),
        caution: of(light, [232, 176, 76], [128, 84, 0]),
    }
}

const fn of(light: bool, dark: [u8; 3], bright: [u8; 3]) -> Color32 {
    let [red, green, blue] = if light { bright } else { dark };
    Color32::from_rgb(red, green, blue)
}

/// A tile's frame in both themes, between a picture and either background.
pub const DIFFERS: Color32 = Color32::from_rgb(232, 74, 98);
pub const FORGOTTEN: Color32 = Color32::from_rgb(118, 128, 255);
pub const STILL: Color32 = Color32::from_rgb(196, 124, 0);

/// The palette of the theme that is shown.
pub fn palette(ui: &egui::Ui) -> &'static Palette {
    if ui.visuals().dark_mode { &DARK } else { &LIGHT }
}

/// Sets both themes.
pub fn install(ctx: &egui::Context) {
    for (theme, palette) in [(Theme::Dark, &DARK), (Theme::Light, &LIGHT)] {
        ctx.style_mut_of(theme, |style| {
            for (text, size) in [
                (TextStyle::Small, 12.0),
                (TextStyle::Body, 13.0),
                (TextStyle::Button, 13.0),
                (TextStyle::Heading, 15.0),
            ] {
                style.text_styles.insert(text, FontId::proportional(size));
            }
            style.text_styles.insert(TextStyle::Monospace, FontId::monospace(12.0));
            style.spacing.item_spacing = Vec2::new(8.0, 6.0);
            style.spacing.button_padding = Vec2::new(10.0, 4.0);
            style.spacing.interact_size.y = 26.0;
            // Most lists are seen without scrolling.
            style.spacing.combo_height = 320.0;
            style.spacing.scroll = egui::style::ScrollStyle::thin();
            style.interaction.tooltip_delay = 0.25;
            style.interaction.selectable_labels = false;
            paint(&mut style.visuals, palette);
        });
    }
}

fn paint(visuals: &mut egui::Visuals, p: &Palette) {
    visuals.panel_fill = p.panel;
    visuals.window_fill = p.card;
    visuals.window_stroke = Stroke::new(1.0, p.border);
    visuals.extreme_bg_color = p.canvas;
    visuals.faint_bg_color = p.card;
    visuals.weak_text_color = Some(p.weak);
    visuals.error_fg_color = p.bad;
    visuals.warn_fg_color = p.caution;
    visuals.hyperlink_color = p.accent_text;
    visuals.slider_trailing_fill = true;
    visuals.selection.bg_fill = p.selected;
    visuals.selection.stroke = Stroke::new(1.0, p.strong);
    let widget = |visuals: &mut WidgetVisuals, fill, edge, text| {
        visuals.bg_fill = fill;
        visuals.weak_bg_fill = fill;
        visuals.bg_stroke = Stroke::new(1.0, edge);
        visuals.fg_stroke = Stroke::new(1.0, text);
        visuals.corner_radius = CornerRadius::same(5);
        visuals.expansion = 0.0;
    };
    let widgets = &mut visuals.widgets;
    widget(&mut widgets.noninteractive, p.panel, p.border, p.text);
    widget(&mut widgets.inactive, p.button, p.edge, p.text);
    widget(&mut widgets.hovered, p.hovered, p.weak, p.strong);
    widget(&mut widgets.active, p.hovered, p.accent_text, p.strong);
    widget(&mut widgets.open, p.hovered, p.edge, p.strong);
}

/// Has nothing move by itself, or has things slide and fade as usual.
pub fn set_calm(ctx: &egui::Context, calm: bool) {
    let usual = egui::Style::default();
    ctx.all_styles_mut(|style| {
        style.animation_time = if calm { 0.0 } else { usual.animation_time };
        style.scroll_animation =
            if calm { egui::style::ScrollAnimation::none() } else { usual.scroll_animation };
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relative luminance, 0..=1 (WCAG 2.2).
    fn luminance(color: Color32) -> f64 {
        let linear = |v: u8| match f64::from(v) / 255.0 {
            v if v <= 0.04045 => v / 12.92,
            v => ((v + 0.055) / 1.055).powf(2.4),
        };
        0.2126 * linear(color.r()) + 0.7152 * linear(color.g()) + 0.0722 * linear(color.b())
    }

    fn contrast(a: Color32, b: Color32) -> f64 {
        let [dark, bright] = [luminance(a).min(luminance(b)), luminance(a).max(luminance(b))];
        (bright + 0.05) / (dark + 0.05)
    }

    #[test]
    fn text_meets_wcag_aa_on_whatever_it_stands_on() {
        assert!((contrast(Color32::WHITE, Color32::BLACK) - 21.0).abs() < 1e-9);
        for p in [&DARK, &LIGHT] {
            let backgrounds = [p.panel, p.canvas, p.card, p.button, p.hovered, p.selected];
            let texts = [p.text, p.strong, p.weak, p.accent_text, p.good, p.bad, p.caution];
            for (text, back) in texts.iter().flat_map(|t| backgrounds.map(|b| (*t, b))) {
                let ratio = contrast(text, back);
                assert!(ratio >= 4.5, "{text:?} on {back:?}: {ratio:.2}");
            }
            assert!(contrast(Color32::WHITE, p.accent) >= 4.5);
        }
    }

    #[test]
    fn what_is_pressed_and_what_a_frame_says_is_seen_on_either_background() {
        for p in [&DARK, &LIGHT] {
            let marks = [DIFFERS, FORGOTTEN, STILL].map(|mark| (mark, p.canvas));
            let edges = [p.panel, p.canvas, p.card].map(|back| (p.edge, back));
            let fills = [p.accent, p.accent_text].map(|fill| (fill, p.panel));
            let lines = [p.weak, p.accent_text, p.good, p.caution].map(|line| (line, p.canvas));
            for (front, back) in marks.into_iter().chain(edges).chain(fills).chain(lines) {
                let ratio = contrast(front, back);
                assert!(ratio >= 3.0, "{front:?} on {back:?}: {ratio:.2}");
            }
        }
    }
}
