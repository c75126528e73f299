//! Nothing that a person has made is lost by a click, and there is a place to save it in.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use egui::{ViewportCommand, ViewportEvent, ViewportId};
use egui_kittest::{Harness, kittest::Queryable};

use crate::{
    binary::Scratch,
    studio::{answers::SNEAKER, played::Played},
};
use salun_studio::engine::Run;
use salun_studio::error::{Error, Result};
use salun_studio::studio::{Arm, Choice, Keeper, Parcel, Studio};
use salun_studio::words::Task;

/// Keeps runs under numbers, in a folder that may be one that cannot be written.
#[derive(Default)]
struct Desk {
    folder: Mutex<PathBuf>,
    kept: Mutex<Vec<PathBuf>>,
    saved: Mutex<Vec<PathBuf>>,
    left: Vec<PathBuf>,
    ended: Mutex<bool>,
}

impl Keeper for Desk {
    fn save(&self, parcel: Parcel) -> Result<PathBuf> {
        let Parcel::Run(_) = parcel else { panic!("a run was to be saved") };
        self.adopt(Path::new("from memory"))
    }

    fn folder(&self) -> Option<PathBuf> {
        Some(self.folder.lock().unwrap().clone())
    }

    fn set_folder(&self, folder: PathBuf) {
        *self.folder.lock().unwrap() = folder;
    }

    fn keep(&self, _: &Run) -> Result<Option<PathBuf>> {
        let mut kept = self.kept.lock().unwrap();
        let place = PathBuf::from(format!("kept-{}", kept.len()));
        kept.push(place.clone());
        Ok(Some(place))
    }

    fn adopt(&self, kept: &Path) -> Result<PathBuf> {
        let folder = self.folder().unwrap();
        if folder.ends_with("read-only") {
            return Err(Error::write(folder, "Permission denied"));
        }
        let place = folder.join(kept);
        self.saved.lock().unwrap().push(place.clone());
        Ok(place)
    }

    fn release(&self, kept: &Path) {
        self.kept.lock().unwrap().retain(|k| k != kept);
    }

    fn left(&self) -> Vec<PathBuf> {
        self.left.clone()
    }

    fn end(&self) {
        *self.ended.lock().unwrap() = true;
    }
}

type Window<'a> = Harness<'a, Studio>;

/// A window whose classifier forgot Sneaker, with SalUn and at random.
fn forgotten<'a>(desk: &Arc<Desk>) -> (Window<'a>, Played) {
    let played = Played::default();
    let studio = Studio::kept(Box::new(played.clone()), desk.clone());
    let mut window = Harness::builder()
        .with_size([1280.0, 800.0])
        .with_max_steps(40)
        .build_ui_state(|ui, studio: &mut Studio| studio.show(ui), studio);
    window.step();
    window.state_mut().state.switch(Task::Classify);
    played.answer();
    window.run_ok();
    window.state_mut().state.pick(Choice::Class(SNEAKER));
    played.answer();
    window.run_ok();
    window.state_mut().state.forget();
    for _ in 0..2 {
        played.answer();
        window.run_ok();
    }
    settle(&mut window);
    (window, played)
}

/// Frames until what was begun on other threads has come back.
fn settle(window: &mut Window) {
    for _ in 0..30 {
        std::thread::sleep(std::time::Duration::from_millis(5));
        window.step();
    }
}

/// Presses the window's own button to close; whether it closes.
fn close(window: &mut Window) -> bool {
    let root = window.input_mut().viewports.entry(ViewportId::ROOT).or_default();
    root.events.push(ViewportEvent::Close);
    window.step();
    let said = commands(window);
    window.input_mut().viewports.entry(ViewportId::ROOT).or_default().events.clear();
    !said.contains(&ViewportCommand::CancelClose)
}

/// Presses the question's Cancel: the forget panel has one, too.
fn stay(window: &Window) {
    window.get_all_by_label("Cancel").last().unwrap().click();
}

fn commands(window: &Window) -> Vec<ViewportCommand> {
    let all = window.output().viewport_output.values().flat_map(|v| v.commands.clone());
    all.collect()
}

#[test]
fn a_window_asks_before_it_closes_on_runs_that_nobody_saved() {
    let desk = Arc::new(Desk { folder: Mutex::new("/home/me/SalUn".into()), ..Desk::default() });
    let (mut window, _played) = forgotten(&desk);
    assert_eq!(desk.kept.lock().unwrap().len(), 2, "kept as they finished");
    assert!(!close(&mut window));
    window.step();
    window.get_by_label("Save before closing?");
    window.get_by_label("2 finished runs are not saved");
    window.get_by_label("Save puts them into /home/me/SalUn");
    stay(&window);
    window.run_ok();
    assert!(window.query_by_label("Save before closing?").is_none());
    assert!(desk.saved.lock().unwrap().is_empty() && !*desk.ended.lock().unwrap());

    assert!(!close(&mut window));
    window.step();
    window.get_by_label("Save").click();
    let mut closes = false;
    for _ in 0..40 {
        std::thread::sleep(std::time::Duration::from_millis(5));
        window.step();
        closes |= commands(&window).contains(&ViewportCommand::Close);
    }
    assert!(closes, "it closes once all is saved");
    assert_eq!(desk.saved.lock().unwrap().len(), 2);
    assert!(desk.kept.lock().unwrap().is_empty());
    assert!(close(&mut window) && *desk.ended.lock().unwrap());
}

#[test]
fn discarding_closes_and_a_window_with_nothing_to_lose_just_closes() {
    let desk = Arc::new(Desk::default());
    let (mut window, _played) = forgotten(&desk);
    assert!(!close(&mut window));
    window.step();
    window.get_by_label("Discard").click();
    window.step();
    window.step();
    assert!(close(&mut window) && *desk.ended.lock().unwrap());
    assert!(desk.saved.lock().unwrap().is_empty());

    let desk = Arc::new(Desk::default());
    let (mut window, _played) = forgotten(&desk);
    window.state_mut().save();
    settle(&mut window);
    assert_eq!(desk.saved.lock().unwrap().len(), 2);
    assert!(close(&mut window), "all is saved");
}

#[test]
fn what_was_found_of_a_run_after_it_was_saved_is_asked_about() {
    let desk = Arc::new(Desk::default());
    let (mut window, played) = forgotten(&desk);
    window.state_mut().save();
    settle(&mut window);
    window.state_mut().state.audit(Arm::Method);
    played.answer();
    settle(&mut window);
    assert!(!close(&mut window));
    window.step();
    window.get_by_label("1 finished run is not saved");
}

#[test]
fn a_run_in_progress_is_asked_about() {
    let desk = Arc::new(Desk::default());
    let (mut window, played) = forgotten(&desk);
    window.state_mut().save();
    settle(&mut window);
    window.state_mut().state.forget();
    played.live(1, 40);
    window.step();
    assert!(!close(&mut window));
    window.step();
    window.get_by_label("Close while a run is in progress?");
    window.key_press(egui::Key::Escape);
    window.step();
    window.step();
    assert!(window.query_by_label("Close while a run is in progress?").is_none());
    let goes_on = window.state().state.work.as_ref().is_some_and(|work| !work.cancelling);
    assert!(goes_on, "Esc answers the question and cancels no run");
    assert!(!close(&mut window));
    window.step();
    window.get_by_label("End it and close").click();
    window.step();
    window.step();
    assert!(close(&mut window));
}

#[test]
fn what_cannot_be_saved_keeps_the_window_open_and_is_saved_elsewhere() {
    let desk = Arc::new(Desk { folder: Mutex::new("/read-only".into()), ..Desk::default() });
    let (mut window, _played) = forgotten(&desk);
    assert!(!close(&mut window));
    window.step();
    window.get_by_label("Save").click();
    settle(&mut window);
    assert!(!commands(&window).contains(&ViewportCommand::Close));
    window.get_by_label_contains("Permission denied");
    stay(&window);
    settle(&mut window);
    assert_eq!(desk.kept.lock().unwrap().len(), 2, "both are still kept");

    let scratch = Scratch::new("save-elsewhere");
    fs::create_dir(scratch.path("mine")).unwrap();
    window.get_by_label("Export").click();
    window.run_ok();
    window.get_by_label("Run folders to…").click();
    window.step();
    window.step();
    window.get_by_label("Save runs in a folder");
    let path = scratch.path("mine").display().to_string();
    window.event(egui::Event::Text(path));
    window.step();
    window.get_by_label("Save here").click();
    settle(&mut window);
    assert_eq!(*desk.folder.lock().unwrap(), scratch.path("mine"));
    assert_eq!(desk.saved.lock().unwrap().len(), 2);
    assert!(desk.kept.lock().unwrap().is_empty());
}

#[test]
fn what_an_earlier_sitting_left_is_offered() {
    let left = vec!["left-1".into(), "left-2".into()];
    let desk = Arc::new(Desk { left: left.clone(), ..Desk::default() });
    let (mut window, _played) = forgotten(&desk);
    window.get_by_label("2 finished runs of an earlier sitting are not saved");
    window.get_by_label("Save").click();
    settle(&mut window);
    assert_eq!(*desk.saved.lock().unwrap(), left);
    assert!(window.query_by_label_contains("earlier sitting").is_none());
}

#[test]
fn a_file_is_picked_in_the_drawn_dialog() {
    let desk = Arc::new(Desk::default());
    let scratch = Scratch::new("dialog");
    fs::create_dir(scratch.path("inside")).unwrap();
    scratch.put("notes.txt", "not weights");
    scratch.put("inside/mine.safetensors", "");
    *desk.folder.lock().unwrap() = scratch.0.clone();
    let (mut window, _played) = forgotten(&desk);
    window.get_by_label("Open…").click();
    window.run_ok();
    window.get_by_label("Weights file…").click();
    window.step();
    window.step();
    window.get_by_label("Open a weights file");
    assert!(window.query_by_label_contains("notes.txt").is_none());
    window.get_by_label("inside/").click();
    window.step();
    window.get_by_label("Open").click();
    window.step();
    window.step();
    window.get_by_label_contains("mine.safetensors").click();
    window.step();
    window.get_by_label("Open").click();
    window.step();
    window.step();
    assert!(window.query_by_label("Open a weights file").is_none());
    let asked = window.state().state.work.as_ref().map(|work| work.kind);
    assert_eq!(asked, Some(salun_studio::studio::state::JobKind::Import));
}
