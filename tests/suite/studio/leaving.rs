//! Nothing that a person has made is lost by a click, and there is a place to save it in.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use egui::{ViewportCommand, ViewportEvent, ViewportId};
use egui_kittest::{Harness, kittest::Queryable};

use crate::{
    binary::Scratch,
    common::Client,
    resume,
    studio::{
        answers::SNEAKER,
        played::{Played, kept},
    },
};
use salun_studio::engine::{Job, Run, StateFile};
use salun_studio::error::{Error, Result};
use salun_studio::gpu::DeviceChoice;
use salun_studio::studio::{Arm, Choice, Keeper, Parcel, Studio};
use salun_studio::words::{Recipe, Task};

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

    fn end(&self, _: bool) {
        *self.ended.lock().unwrap() = true;
    }
}

type Window<'a> = Harness<'a, Studio>;

/// A window with a keeper, after its first frame.
fn open<'a>(keeper: Arc<dyn Keeper>) -> (Window<'a>, Played) {
    let (mut window, played) = kept(keeper, [1280.0, 800.0], 40);
    window.step();
    (window, played)
}

/// A window whose classifier forgot Sneaker, with SalUn and at random.
fn forgotten<'a>(keeper: Arc<dyn Keeper>) -> (Window<'a>, Played) {
    let (mut window, played) = open(keeper);
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
    let (mut window, _played) = forgotten(desk.clone());
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
    let (mut window, _played) = forgotten(desk.clone());
    assert!(!close(&mut window));
    window.step();
    window.get_by_label("Discard").click();
    window.step();
    window.step();
    assert!(close(&mut window) && *desk.ended.lock().unwrap());
    assert!(desk.saved.lock().unwrap().is_empty());

    let desk = Arc::new(Desk::default());
    let (mut window, _played) = forgotten(desk.clone());
    window.state_mut().save();
    settle(&mut window);
    assert_eq!(desk.saved.lock().unwrap().len(), 2);
    assert!(close(&mut window), "all is saved");
}

#[test]
fn what_was_found_of_a_run_after_it_was_saved_is_asked_about() {
    let desk = Arc::new(Desk::default());
    let (mut window, played) = forgotten(desk.clone());
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
    let (mut window, played) = forgotten(desk.clone());
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
    let (mut window, _played) = forgotten(desk.clone());
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
    let (mut window, _played) = forgotten(desk.clone());
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
    let (mut window, _played) = forgotten(desk.clone());
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

/// Remembers files in memory, and has those of an earlier sitting.
#[derive(Default)]
struct Remembers {
    now: Mutex<BTreeMap<String, Vec<u8>>>,
    earlier: Mutex<BTreeMap<String, Vec<u8>>>,
}

impl Keeper for Remembers {
    fn save(&self, _: Parcel) -> Result<PathBuf> {
        Ok("saved".into())
    }

    fn remember(&self, name: &str, bytes: Vec<u8>) -> Result<()> {
        self.now.lock().unwrap().insert(name.into(), bytes);
        Ok(())
    }

    fn forget(&self, name: &str) {
        self.now.lock().unwrap().remove(name);
    }

    fn earlier(&self) -> Option<usize> {
        let earlier = self.earlier.lock().unwrap();
        (!earlier.is_empty()).then(|| earlier.values().map(Vec::len).sum())
    }

    fn recall(&self) -> Result<Option<Vec<(String, Vec<u8>)>>> {
        Ok(Some(self.earlier.lock().unwrap().clone().into_iter().collect()))
    }

    fn discard_earlier(&self, _: Option<&[String]>) {
        self.earlier.lock().unwrap().clear();
    }
}

fn answer(window: &mut Window, played: &Played) {
    played.answer();
    window.run_ok();
}

#[test]
fn a_killed_window_comes_back_with_its_runs_as_it_was_left() {
    let first = Arc::new(Remembers::default());
    let (mut window, played) = open(first.clone());
    window.state_mut().state.switch(Task::Classify);
    answer(&mut window, &played);
    window.state_mut().state.pick(Choice::Class(SNEAKER));
    answer(&mut window, &played);
    for density in [0.5, 0.1] {
        window.state_mut().state.set_density(density);
        window.state_mut().state.forget();
        answer(&mut window, &played);
        answer(&mut window, &played);
    }
    window.state_mut().state.recall(1);
    window.state_mut().state.session_mut().scrub = Some(20);
    window.key_press(egui::Key::M);
    settle(&mut window);
    let shown = |window: &Window| {
        let studio = window.state();
        let session = studio.state.session();
        let entries = &session.history.entries;
        let figures: Vec<_> = entries
            .iter()
            .map(|e| (e.number, e.recipe.clone(), e.reports.clone().map(|r| r.map(|r| r.after))))
            .collect();
        let attempt = session.attempt(Arm::Method).unwrap();
        let way = (attempt.losses.clone(), attempt.snapshots.clone(), attempt.steps);
        (
            studio.view.name,
            session.what.clone(),
            session.scrub,
            session.history.shown,
            session.recipe(),
            figures,
            way,
        )
    };
    let then = shown(&window);
    assert!(then.0 == "Forget map" && then.3 == Some(1) && then.5.len() == 2, "{:?}", then.0);
    let weights = |window: &Window| {
        window.state().state.session().run(Arm::Method).unwrap().model.weights().hash()
    };
    let bits = weights(&window);
    // Killed: nothing is done any more.
    let left = first.now.lock().unwrap().clone();
    drop(window);
    let second = Arc::new(Remembers { earlier: Mutex::new(left), ..Remembers::default() });
    let (mut window, played) = open(second.clone());
    window.get_by_label("The studio can come back as it was left");
    window.get_by_label("Bring back").click();
    settle(&mut window);
    assert_eq!(shown(&window), then);
    assert_eq!(weights(&window), bits);
    // The engine was told of every run, and nothing is computed again.
    let jobs = played
        .0
        .borrow()
        .jobs
        .iter()
        .filter(|(_, job)| matches!(job, Job::Remember { .. }))
        .count();
    assert_eq!((jobs, window.state().state.work.is_none()), (4, true));
    // All is remembered anew, and the earlier sitting is let go of.
    assert!(second.earlier.lock().unwrap().is_empty());
    let names = |files: &Mutex<BTreeMap<String, Vec<u8>>>| {
        files.lock().unwrap().keys().cloned().collect::<Vec<_>>()
    };
    assert_eq!(names(&second.now), names(&first.now));
    assert!(window.query_by_label("Bring back").is_none());
    // It goes on from there.
    window.state_mut().state.branch();
    let branch = window.state().state.session().recipe().unwrap().branch.unwrap();
    assert_eq!(branch.until, Some(20));

    window.get_by_label("Export").click();
    window.run_ok();
    window.get_by_label_contains("Clear what is remembered").click();
    settle(&mut window);
    assert!(!names(&second.now).iter().any(|name| name.starts_with("run-")));
}

#[test]
fn what_comes_back_is_numbered_behind_the_runs_of_this_sitting() {
    let first = Arc::new(Remembers::default());
    let left = {
        let _sitting = forgotten(first.clone());
        first.now.lock().unwrap().clone()
    };
    let second = Arc::new(Remembers { earlier: Mutex::new(left), ..Remembers::default() });
    let (mut window, _played) = forgotten(second);
    window.get_by_label("Bring back").click();
    settle(&mut window);
    let history = &window.state().state.session().history;
    let numbers: Vec<usize> = history.entries.iter().map(|entry| entry.number).collect();
    assert_eq!((numbers, history.shown), (vec![1, 2], Some(2)));
}

#[test]
fn what_was_left_damaged_is_told_and_the_rest_comes_back() {
    let first = Arc::new(Remembers::default());
    let (_window, _played) = forgotten(first.clone());
    let mut left = first.now.lock().unwrap().clone();
    left.iter_mut()
        .filter(|(name, _)| name.starts_with("run-"))
        .for_each(|(_, bytes)| bytes.truncate(9));
    let keeper = Arc::new(Remembers { earlier: Mutex::new(left.clone()), ..Remembers::default() });
    let (mut window, _played) = open(keeper.clone());
    window.get_by_label("Bring back").click();
    settle(&mut window);
    let entries = &window.state().state.session().history.entries;
    assert!(entries.len() == 1 && entries[0].kept.is_none(), "its figures are there");

    left.insert("shown".into(), vec![1, 2, 3]);
    let keeper = Arc::new(Remembers { earlier: Mutex::new(left), ..Remembers::default() });
    let (mut window, _played) = open(keeper.clone());
    window.get_by_label("Bring back").click();
    settle(&mut window);
    window.get_by_label_contains("cannot be read");
    assert!(!keeper.earlier.lock().unwrap().is_empty(), "it stays where it is");
}

/// Keeps the state of a run under way, and has that of an earlier sitting.
struct UnderWay {
    state: PathBuf,
    earlier: PathBuf,
    broken: PathBuf,
}

impl Keeper for UnderWay {
    fn save(&self, _: Parcel) -> Result<PathBuf> {
        Ok("saved".into())
    }

    fn state(&self, recipe: &Recipe) -> Option<PathBuf> {
        let own = *recipe == resume::classes();
        Some(if own { self.state.clone() } else { self.state.with_extension("other") })
    }

    fn interrupted(&self) -> Vec<PathBuf> {
        vec![self.broken.clone(), self.earlier.clone()]
    }

    fn take_state(&self, earlier: &Path, _: &Recipe) -> PathBuf {
        fs::rename(earlier, &self.state).unwrap();
        self.state.clone()
    }

    fn forget_state(&self, state: &Path) {
        let _ = fs::remove_file(state);
    }
}

#[test]
fn a_run_that_was_under_way_is_gone_on_with() {
    let scratch = Scratch::new("under-way");
    let (state, earlier) = (scratch.path("running.state"), scratch.path("earlier.state"));
    let recipe = resume::classes();
    resume::stop(&mut Client::new(DeviceChoice::Cpu), &recipe, &earlier, false);
    // Of one that cannot be read it lets go.
    let broken = scratch.path("broken.state");
    fs::write(&broken, "not a state").unwrap();
    let keeper =
        UnderWay { state: state.clone(), earlier: earlier.clone(), broken: broken.clone() };
    let (mut window, played) = open(Arc::new(keeper));
    window.get_by_label_contains(
        "A run was under way: SalUn of class:Sneaker in fashion-classifier, after update",
    );
    assert!(!broken.exists());
    window.get_by_label("Go on").click();
    window.run_ok();
    // A model that cannot be opened takes nothing from it.
    assert!(window.query_by_label("Go on").is_none() && earlier.exists());
    played.fail(Error::Request("no such model".into()));
    window.run_ok();
    window.get_by_label("Go on").click();
    window.run_ok();
    // Its model is opened, its class picked, and the run goes on instead of beginning anew.
    while !matches!(played.asked().1, Job::UnlearnKept(..)) {
        answer(&mut window, &played);
    }
    let asked = |played: &Played| match played.asked().1 {
        Job::UnlearnKept(recipe, file) => (recipe, file),
        other => panic!("{other:?}"),
    };
    assert!(state.exists() && !earlier.exists(), "it is this sitting's now");
    let file = StateFile { path: state.clone(), resume: true, at_stop: false };
    assert_eq!(asked(&played), (recipe.clone(), file));
    assert!(window.query_by_label("Go on").is_none());
    answer(&mut window, &played);
    settle(&mut window);
    assert!(window.state().state.session().run(Arm::Method).is_some());
    assert!(!state.exists(), "a finished run has nothing to go on from");
    // Its control is kept on its way, too.
    let (control, file) = asked(&played);
    assert_eq!((control, file.resume), (recipe.random_control(), false));
    fs::write(&file.path, "its state").unwrap();
    played.fail(Error::Cancelled);
    settle(&mut window);
    assert!(!file.path.exists(), "nor has one that was stopped");
}
