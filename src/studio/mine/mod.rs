//! A person's own pictures: dropped, drawn or taken with a camera. The classifier says what it sees in them, can
//! be made to forget them, or learns them as a class of their own first.

mod pad;

use std::collections::BTreeMap;

use egui::{ComboBox, TextEdit};
use image::{RgbImage, RgbaImage};

use self::pad::Pad;
use super::prelude::*;
use super::tile::{self, Sheet};
use super::{commands, views};
use crate::data::mine::MOST;
use crate::data::{Mine, PictureShape, Pictures, alike, fitted, square};
use crate::engine::Looked;
use crate::error::{Error, Result, ensure};

/// Width of a picture, and of the card that it lies on, in points.
const TILE: f32 = 56.0;
const CARD: f32 = 104.0;

/// A picture that came from outside: what its file is called, and what it shows.
pub type Given = (String, Result<RgbaImage>);

/// What class the pictures are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Of {
    /// Each of the one that the model sees in it.
    #[default]
    Seen,
    /// One that the model knows.
    Known(usize),
    /// One of their own, which the model has yet to learn.
    New,
}

/// The pictures so far, and how more come.
#[derive(Default)]
pub struct Gathered {
    /// Whether they are shown in place of the training pictures.
    pub shown: bool,
    title: String,
    of: Of,
    /// Light things on dark ground become dark on light, and the other way round.
    inverted: bool,
    pictures: Vec<RgbImage>,
    pad: Pad,
    ready: Option<Ready>,
    sheet: Sheet,
    /// What was done to the picture that came last.
    told: String,
    /// Where the pad and the buttons are, for those who press them from outside.
    pub places: BTreeMap<&'static str, [f32; 4]>,
}

/// The pictures as the classifier takes them.
struct Ready {
    shape: PictureShape,
    pictures: Arc<Pictures>,
    /// What they are known by, whatever their classes are.
    key: String,
    grid: Arc<Grid>,
}

impl Gathered {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.pictures.len()
    }

    /// What they are known by, once they are in the classifier's shape.
    pub fn key(&self) -> Option<&str> {
        self.ready.as_ref().map(|ready| ready.key.as_str())
    }

    /// Takes a picture in.
    ///
    /// # Errors
    /// It could not be read, or there are too many.
    pub fn take(&mut self, (name, picture): Given) -> Result<()> {
        self.shown = true;
        let many = || Error::file(&name, format!("is one more than {MOST} pictures"));
        ensure(self.pictures.len() < MOST, many)?;
        let (picture, laid) = square(picture?)?;
        self.told.clear();
        if laid {
            self.told = format!("{name} is transparent in part and lies on black or white");
        }
        self.add(picture);
        Ok(())
    }

    fn add(&mut self, picture: RgbImage) {
        self.pictures.push(picture);
        self.ready = None;
    }

    /// The pictures in a shape.
    fn ready(&mut self, shape: PictureShape) -> &Ready {
        if self.ready.as_ref().is_some_and(|ready| ready.shape != shape) {
            self.ready = None;
        }
        let Self { pictures, inverted, ready, .. } = self;
        ready.get_or_insert_with(|| {
            let fit = |picture| (String::new(), fitted(picture, shape, *inverted));
            let all: Vec<(String, Vec<u8>)> = pictures.iter().map(fit).collect();
            let mine = Mine::new("", shape, &all);
            let tile = [shape.height, shape.width];
            let pixels = mine.pictures.pixels.clone();
            let grid = Grid::row_of(pictures.len(), shape.channels, tile, pixels).into();
            Ready { shape, key: mine.name(), pictures: mine.pictures.into(), grid }
        })
    }

    /// The class of each picture, or why there is none yet.
    fn classes<'a>(
        &'a self,
        opened: &'a Opened,
        looked: Option<&Looked>,
    ) -> std::result::Result<Vec<&'a String>, &'static str> {
        ensure(!self.pictures.is_empty(), || "Drop, draw or take a picture first")?;
        let class = |i: usize| match self.of {
            Of::New => Some(&self.title),
            Of::Known(class) => opened.classes.get(class),
            Of::Seen => opened.classes.get(looked?.before.get(i)?.0),
        };
        let all: Option<Vec<&String>> = (0..self.pictures.len()).map(class).collect();
        all.ok_or("The model has yet to look at them")
    }

    /// The pictures with their classes, once they are in the classifier's shape.
    fn labelled(&self, classes: &[&String]) -> Option<Mine> {
        let ready = self.ready.as_ref()?;
        let one = |(i, class): (usize, &&String)| {
            (String::clone(class), ready.pictures.picture(i).to_vec())
        };
        let all: Vec<(String, Vec<u8>)> = classes.iter().enumerate().map(one).collect();
        Some(Mine::new(&self.title, ready.shape, &all))
    }

    /// Why the pictures cannot be learnt as a class of their title.
    fn unfit(&self, opened: &Opened) -> Option<String> {
        let title = &self.title;
        let taken = opened.classes.iter().any(|class| alike(class, title));
        let named = title.chars().any(char::is_alphabetic);
        let own = *title == Mine::new(title, PictureShape::default(), &[]).title;
        match () {
            () if taken => Some(format!("The model knows a class {title} already")),
            () if !named || !own => {
                Some("Give the class a name of letters, digits, - and _".into())
            }
            () if self.pictures.len() < 2 => {
                Some("At least 2 pictures are needed; 8 or more are better".into())
            }
            () => None,
        }
    }
}

/// The shape of pictures that a classifier takes.
fn shape(opened: &Opened) -> PictureShape {
    let Grid { channels, tile: [height, width], .. } = *opened.grid;
    PictureShape { channels, height, width }
}

/// Draws the entry of a list that leads here; whether it was picked.
pub fn entry_ui(on: bool, ui: &mut Ui) -> bool {
    let entry = ui.selectable_label(on, "My pictures…");
    entry
        .on_hover_text("Drop, draw or take pictures of your own: what the model sees in them")
        .clicked()
}

/// Takes in what was dropped or taken from outside, and shows it.
pub fn take(studio: &mut Studio, given: Given) {
    studio.view = &views::data::VIEW;
    if !studio.state.task.classifies() {
        // Only a classifier looks at pictures.
        let held = studio.state.waits().map_or(Ok(()), |why| Err(Error::Request(why.into())));
        studio.state.tell(held);
        studio.state.switch(Task::Classify);
    }
    let taken = studio.own.of::<Gathered>().take(given);
    studio.state.tell(taken);
}

/// Draws the pictures, ways to more of them, and what can be done with them.
pub fn mine_ui(studio: &mut Studio, ui: &mut Ui) {
    let Some(opened) = studio.state.session().opened.clone() else {
        return middle_ui(ui, |ui| drop(ui.weak("Opening the model…")));
    };
    let gathered = studio.own.of::<Gathered>();
    let ready = gathered.ready(shape(&opened));
    let (key, pictures) = (ready.key.clone(), ready.pictures.clone());
    if !pictures.is_empty() {
        studio.state.look(&key, pictures);
    }
    let looked = studio.state.looked(&key).cloned();
    head_ui(studio, &opened, ui);
    ui.add_space(4.0);
    ScrollArea::vertical().id_salt("own pictures").auto_shrink(false).show(ui, |ui| {
        ui.horizontal_wrapped(|ui| {
            ui.spacing_mut().item_spacing = vec2(8.0, 6.0);
            let gathered = studio.own.of::<Gathered>();
            let place = gathered.pad.ui(ui);
            put(gathered, "pad", place);
            ui.vertical(|ui| ways_ui(studio, ui));
        });
        ui.add_space(6.0);
        tiles_ui(studio.own.of::<Gathered>(), &opened, looked.as_ref(), ui);
        ui.add_space(6.0);
        ui.horizontal_wrapped(|ui| ends_ui(studio, &opened, looked.as_ref(), ui));
    });
}

/// Notes where something is.
fn put(gathered: &mut Gathered, name: &'static str, place: Rect) {
    let Rect { min, max } = place;
    gathered.places.insert(name, [min.x, min.y, max.x, max.y]);
}

/// What the pictures are called and of which class they are.
fn head_ui(studio: &mut Studio, opened: &Opened, ui: &mut Ui) {
    let gathered = studio.own.of::<Gathered>();
    ui.horizontal_wrapped(|ui| {
        let back = ui.button("Training pictures");
        if back.on_hover_text("Back to the pictures that the model was trained on").clicked() {
            gathered.shown = false;
        }
        let name = ui.label("Name");
        let field = TextEdit::singleline(&mut gathered.title).desired_width(96.0);
        ui.add(field.hint_text("mine").char_limit(40)).labelled_by(name.id);
        let of = match gathered.of {
            Of::Seen => "What the model sees",
            Of::Known(class) => opened.classes.get(class).map_or("?", String::as_str),
            Of::New => "A new class",
        };
        let combo = ComboBox::from_id_salt("class of own").width(130.0).selected_text(of);
        let list = combo.show_ui(ui, |ui| {
            ui.selectable_value(&mut gathered.of, Of::Seen, "What the model sees");
            ui.selectable_value(&mut gathered.of, Of::New, "A new class");
            for (class, name) in opened.classes.iter().enumerate() {
                ui.selectable_value(&mut gathered.of, Of::Known(class), name);
            }
        });
        list.response.accessible_name("Class of the pictures");
        let invert = ui.checkbox(&mut gathered.inverted, "Invert");
        if invert.on_hover_text("Light things on dark ground become dark on light").changed() {
            gathered.ready = None;
        }
    });
}

/// How more pictures come.
fn ways_ui(studio: &mut Studio, ui: &mut Ui) {
    let colour = studio.state.session().base().is_some_and(|grid| grid.channels > 1);
    let Studio { own, host, .. } = studio;
    let gathered = own.of::<Gathered>();
    ui.horizontal(|ui| {
        let empty = gathered.pad.is_empty().then_some("Draw something first");
        let full = (gathered.len() >= MOST).then_some("There are as many as can be");
        let add = ui.add_enabled(empty.or(full).is_none(), Button::new("Add"));
        put(gathered, "add", add.rect);
        if explained(add, "Adds what is drawn", empty.or(full)).clicked() {
            let drawn = gathered.pad.picture();
            gathered.add(drawn);
            gathered.pad.clear();
        }
        if button_ui(ui, Button::new("Wipe"), "Draws anew", empty) {
            gathered.pad.clear();
        }
        if colour {
            ui.color_edit_button_srgb(&mut gathered.pad.ink).accessible_name("Ink");
        }
    });
    ui.horizontal(|ui| {
        ui.spacing_mut().slider_width = 80.0;
        let pen = ui.label("Pen");
        ui.add(Slider::new(&mut gathered.pad.pen, 0.03..=0.3).show_value(false))
            .labelled_by(pen.id);
    });
    if let Some(ask) = &host.ask_camera {
        let camera = ui.button("Camera…");
        put(gathered, "camera", camera.rect);
        if camera.on_hover_text("Takes pictures with this device's camera").clicked() {
            ask();
        }
    }
    let formats = match cfg!(target_arch = "wasm32") {
        true => "or drop pictures on the page",
        false => "or drop PNG, JPEG, WebP, GIF or BMP files on the window",
    };
    fact_ui(ui, formats);
    fact_ui(ui, "Their square middle is taken, at the size that the model takes");
    if !gathered.told.is_empty() {
        fact_ui(ui, &gathered.told);
    }
}

/// The pictures with what is seen in them.
fn tiles_ui(gathered: &mut Gathered, opened: &Opened, looked: Option<&Looked>, ui: &mut Ui) {
    let Some(grid) = gathered.ready.as_ref().map(|ready| ready.grid.clone()) else { return };
    if gathered.pictures.is_empty() {
        ui.weak("No pictures yet");
        return;
    }
    let texture = gathered.sheet.texture(ui.ctx(), &grid);
    let said = |seen: Option<&(usize, f32)>| {
        let (class, share) = seen?;
        let name = opened.classes.get(*class).map_or("something else", String::as_str);
        Some(format!("{name} {:.0}\u{a0}%", 100.0 * share))
    };
    let mut gone = None;
    ui.horizontal_wrapped(|ui| {
        for at in 0..grid.columns {
            let before = said(looked.and_then(|l| l.before.get(at)));
            let after = said(looked.and_then(|l| l.after.as_ref()?.get(at)));
            card_ui(ui, 4.0, |ui| {
                ui.vertical(|ui| {
                    ui.set_width(CARD);
                    ui.horizontal(|ui| {
                        ui.add(tile::image(texture, &grid, [0, at], TILE));
                        let remove = ui.small_button("×").on_hover_text("Takes it out");
                        remove.widget_info(|| {
                            let told = format!("Take out picture {}", at + 1);
                            WidgetInfo::labeled(Role::Button, true, told)
                        });
                        if remove.clicked() {
                            gone = Some(at);
                        }
                    });
                    let first = before.unwrap_or_else(|| "…".into());
                    ui.add(Label::new(small(first)).truncate());
                    if let Some(after) = after {
                        ui.add(Label::new(small(format!("after: {after}"))).truncate());
                    }
                });
            });
        }
    });
    if let Some(at) = gone {
        gathered.pictures.remove(at);
        gathered.ready = None;
    }
}

/// What the pictures can become.
fn ends_ui(studio: &mut Studio, opened: &Opened, looked: Option<&Looked>, ui: &mut Ui) {
    let Studio { own, state, .. } = studio;
    let gathered = own.of::<Gathered>();
    let n = gathered.len();
    let classes = gathered.classes(opened, looked);
    let waits = state.waits();
    let new = gathered.of == Of::New;
    let unfit = if new { gathered.unfit(opened) } else { None };
    let why = waits.or(unfit.as_deref()).or(classes.as_ref().err().copied());
    let (name, hint) = match new {
        true => (
            format!("Learn {}", if gathered.title.is_empty() { "them" } else { &gathered.title }),
            "A copy of the model learns them as a class, which can then be forgotten like any other",
        ),
        false if n == 1 => ("Forget this 1".into(), FORGET),
        false => (format!("Forget these {}", format::count(n)), FORGET),
    };
    let button = ui.add_enabled(why.is_none(), Button::new(name));
    let place = button.rect;
    let pressed = explained(button, hint, why).clicked();
    let mine = classes.ok().filter(|_| pressed).and_then(|classes| gathered.labelled(&classes));
    put(gathered, if new { "learn" } else { "forget" }, place);
    if let Some(mine) = mine {
        if new {
            state.learn(mine);
        } else {
            state.bring(mine);
        }
    }
    if n > 0 && ui.button("Take all out").clicked() {
        gathered.pictures.clear();
        gathered.ready = None;
    }
    if opened.after.is_empty() && !studio.state.session().before.is_empty() {
        commands::UNDO.ui(studio, ui);
    }
}

const FORGET: &str = "Makes them the forget set, beside the training pictures; then press Forget";
