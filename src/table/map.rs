//! The forget map of several runs.

use crate::eval::Place;
use crate::run::{EMBER, Frame, GREEN, INK, MARGIN, PALE, Page, Scale};
use crate::words::{Report, grouped};

/// A run and its random-mask control; what it is called.
pub struct Pair<'a> {
    pub name: String,
    pub run: &'a Report,
    pub control: Option<&'a Report>,
}

/// Draws the map: x, what is left of the forgotten; y, what is lost of the rest.
pub fn figure(pairs: &[Pair]) -> Page {
    let mut page = Page::default();
    let all = || pairs.iter().flat_map(|p| [Some(p.run), p.control]).flatten();
    let places: Vec<Place> = all().map(Place::of).collect();
    let retrain = all().find_map(Place::retrain);
    let frame = Frame {
        left: (MARGIN + 40) as f64,
        top: (MARGIN + 74) as f64,
        width: 560.0,
        height: 360.0,
        x: Scale::round(places.iter().map(|p| p.left).chain([5.0])),
        y: Scale::round(places.iter().map(|p| p.damage).chain([5.0])),
    };
    if let Some(last) = pairs.last() {
        let Report { model, forget, after, seed, device, .. } = last.run;
        let [ua, ra, ta] = after.n.map(grouped);
        let conditions =
            format!("{ua} (UA), {ra} (RA), {ta} (TA) pictures; seed {seed}; {}", device.name);
        page.heading(MARGIN, &format!("{model} forgets {}", forget.spec), &conditions);
    }
    let x = "left of what should be forgotten, points of UA to the aim";
    frame.axes(&mut page, x, "lost of the rest, points");
    if let Some(last) = pairs.last() {
        goal(&mut page, &frame, last.run);
    }
    for pair in pairs {
        let place = Place::of(pair.run);
        let at = frame.place(place.left, place.damage);
        if let Some(control) = pair.control.map(Place::of) {
            let to = frame.place(control.left, control.damage);
            page.dashes(at, to, PALE);
            page.dot(to, PALE);
        }
        page.dot(at, EMBER);
        page.text(at[0] as usize + 7, at[1] as usize + 4, 12, INK, &pair.name);
    }
    if let Some(place) = retrain {
        let [x, y] = frame.place(place.left, place.damage);
        page.area([x - 4.0, y - 4.0], [8.0, 8.0], GREEN);
        page.text(x as usize + 7, y as usize + 4, 12, INK, "Retrain");
    }
    page.below("Grey, joined by a broken line: the random mask of equal size.");
    page
}

/// The corner where a run counts as forgotten.
fn goal(page: &mut Page, frame: &Frame, run: &Report) {
    let allowed = Place::allowed(run);
    let ([left, bottom], [right, top]) =
        (frame.place(0.0, 0.0), frame.place(allowed.left, allowed.damage));
    let right = right.min(frame.left + frame.width);
    let top = top.max(frame.top);
    page.shade([left, top], [right - left, bottom - top], GREEN, 0.12);
    page.text(left as usize + 4, top as usize - 5, 12, GREEN, "forgotten, the rest intact");
}
