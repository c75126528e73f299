//! An engine that a test plays by hand, and a window in front of it.

use std::{cell::RefCell, collections::VecDeque, path::PathBuf, rc::Rc, sync::Arc};

use egui_kittest::Harness;

use super::answers::{
    SNEAKER, attack, audit, grid, live, metrics, opened, overlap, pane, ranking, run, shelf, trace,
};
use super::seen::inspected;
use salun_studio::engine::{Attacked, Audited, Event, Exported, Job, Looked, Opened, Outcome};
use salun_studio::error::Error;
use salun_studio::gpu::{DeviceInfo, DeviceKind};
use salun_studio::studio::state::State;
use salun_studio::studio::{Arm, Backend, Choice, Keeper, Parcel, SaveHook, Studio};
use salun_studio::words::{Recipe, Task};

/// What passes between the studio and the test.
#[derive(Default)]
pub struct Desk {
    pub jobs: Vec<(u64, Job)>,
    pub events: VecDeque<Event>,
    pub cancels: usize,
    pub paused: bool,
    pub steps: usize,
}

/// The engine's side, held by the test.
#[derive(Clone, Default)]
pub struct Played(pub Rc<RefCell<Desk>>);

impl Backend for Played {
    fn start(&mut self, id: u64, job: Job) {
        self.0.borrow_mut().jobs.push((id, job));
    }

    fn poll(&mut self) -> Option<Event> {
        self.0.borrow_mut().events.pop_front()
    }

    fn cancel(&self) {
        self.0.borrow_mut().cancels += 1;
    }

    fn pause(&self, on: bool) {
        self.0.borrow_mut().paused = on;
    }

    fn step(&self) {
        self.0.borrow_mut().steps += 1;
    }
}

impl Played {
    pub fn tell(&self, event: Event) {
        self.0.borrow_mut().events.push_back(event);
    }

    /// The number of the job that was asked for last, and the job.
    pub fn asked(&self) -> (u64, Job) {
        self.0.borrow().jobs.last().cloned().expect("a job was asked for")
    }

    pub fn count(&self) -> usize {
        self.0.borrow().jobs.len()
    }

    /// Answers the last job as an engine would.
    pub fn answer(&self) {
        let (id, job) = self.asked();
        let outcome = match job {
            Job::Open { model, seed, budget } => {
                Outcome::Opened(Arc::new(Opened { seed, budget, ..opened(&model) }))
            }
            Job::Import { name, seed, budget, .. } => {
                // The file holds a classifier.
                let opened = opened("fashion-classifier");
                Outcome::Opened(Arc::new(Opened { name, seed, budget, ..opened }))
            }
            Job::Adopt { run, seed, budget } => {
                let opened = opened(&run.recipe.model);
                let after = Recipe::new("", "", "").following(&run.recipe).after;
                let name = run.recipe.end();
                Outcome::Opened(Arc::new(Opened { name, after, seed, budget, ..opened }))
            }
            Job::Audit { recipe, .. } => Outcome::Audited(Box::new(Audited {
                metrics: metrics(98.0),
                audit: audit(&recipe.forget),
                against: None,
            })),
            Job::Overlap { by, recipe, .. } => Outcome::Overlapped(Arc::new(overlap(by, &recipe))),
            Job::Rank(recipe) => {
                if recipe.forget.starts_with("prompt:") {
                    self.tell(Event::Pane { id, pane: pane(&recipe.forget) });
                }
                if recipe.forget == "class:Sneaker" && recipe.model == "fashion-classifier" {
                    let forget = recipe.forget.clone();
                    self.tell(Event::Retrain { id, forget, grid: Arc::new(grid(6)) });
                }
                Outcome::Ranked(ranking(&recipe))
            }
            Job::Attack { recipe, attacks, .. } => Outcome::Attacked(Box::new(Attacked {
                metrics: metrics(98.0),
                attacks: attacks.into_iter().map(|kind| attack(kind, &recipe.forget)).collect(),
            })),
            Job::Unlearn(recipe) | Job::UnlearnKept(recipe, _) => {
                for step in 1..=40 {
                    self.tell(Event::Step { id, live: live(step, 40) });
                }
                Outcome::Unlearned(Arc::new(run(recipe)))
            }
            Job::Browse { model, data } => Outcome::Browsed(Arc::new(shelf(model, data))),
            Job::Look { pictures, after, .. } => {
                let all = |seen| vec![seen; pictures.len()];
                let after = after.map(|_| all((5, 0.61)));
                Outcome::Looked(Looked { before: all((8, 0.93)), after })
            }
            Job::Inspect(asked) => Outcome::Inspected(inspected(asked)),
            Job::Keep(mine) => Outcome::Kept(mine.name()),
            Job::Remember { recipe, .. } => Outcome::Kept(recipe.protocol()),
            Job::Learn { model, data, mine, seed, budget } => {
                let known = opened(&model);
                let classes = [known.classes.clone(), mine.classes.clone()].concat();
                let (name, data) = (mine.beside(&model), mine.beside(&data));
                Outcome::Opened(Arc::new(Opened { name, data, classes, seed, budget, ..known }))
            }
            // The more of the change there is, the more tiles are lost.
            Job::Interpolate { strength, .. } => {
                Outcome::Interpolated(Arc::new(grid((6.0 * strength) as usize)))
            }
            Job::Trace(request) => Outcome::Traced(Arc::new(trace(&request))),
            Job::Export { what, .. } => {
                Outcome::Exported(Arc::new(Exported { what, bytes: vec![1], lora: None }))
            }
            job => panic!("the studio never asks for {job:?}"),
        };
        self.tell(Event::Done { id, outcome });
    }

    pub fn live(&self, step: usize, steps: usize) {
        let (id, _) = self.asked();
        self.tell(Event::Step { id, live: live(step, steps) });
    }

    pub fn fail(&self, error: Error) {
        let (id, _) = self.asked();
        self.tell(Event::Failed { id, error });
    }
}

pub fn state() -> (State, Played) {
    let played = Played::default();
    (State::new(Box::new(played.clone()), Task::Generate), played)
}

/// A state with the diffusion model open and Sneaker scored.
pub fn picked() -> (State, Played) {
    let (mut state, played) = state();
    played.answer();
    state.poll();
    state.pick(Choice::Class(SNEAKER));
    played.answer();
    state.poll();
    (state, played)
}

pub fn unlearn_recipe(job: &Job) -> &Recipe {
    match job {
        Job::Unlearn(recipe) => recipe,
        job => panic!("a run was to be asked for, not {job:?}"),
    }
}

/// A window that opens the diffusion model.
pub fn window<'a>(size: [f32; 2], theme: egui::Theme) -> (Harness<'a, Studio>, Played) {
    window_on(Task::Generate, size, theme)
}

/// A window that opens the model of a task.
pub fn window_on<'a>(
    task: Task,
    size: [f32; 2],
    theme: egui::Theme,
) -> (Harness<'a, Studio>, Played) {
    window_at(1.0, task, size, theme)
}

/// The same with so many pixels a point.
pub fn window_at<'a>(
    pixels: f32,
    task: Task,
    size: [f32; 2],
    theme: egui::Theme,
) -> (Harness<'a, Studio>, Played) {
    let played = Played::default();
    let save: SaveHook = Box::new(|parcel: Parcel| match parcel {
        Parcel::Run(run) if run.recipe.mask.is_none() => Ok(PathBuf::from("runs/sneaker")),
        Parcel::Run(_) => Err(Error::Exists("runs/random".into())),
        Parcel::File(name, bytes) => {
            assert!(!bytes.is_empty());
            Ok(PathBuf::from(name))
        }
    });
    let studio = Studio::on(task, Box::new(played.clone()), Arc::new(save));
    let harness = Harness::builder()
        .with_size(size)
        .with_theme(theme)
        .with_pixels_per_point(pixels)
        .with_max_steps(20)
        .build_ui_state(|ui, studio: &mut Studio| studio.show(ui), studio);
    played.tell(Event::Ready(DeviceInfo {
        name: "CPU".into(),
        api: "cpu".into(),
        kind: DeviceKind::Cpu,
        why: "no GPU found".into(),
    }));
    (harness, played)
}

/// A window of a studio with a keeper, which draws so many frames at the most until it is at rest.
pub fn kept<'a>(
    keeper: Arc<dyn Keeper>,
    size: [f32; 2],
    most: u64,
) -> (Harness<'a, Studio>, Played) {
    let played = Played::default();
    let studio = Studio::kept(Box::new(played.clone()), keeper);
    let window = Harness::builder()
        .with_size(size)
        .with_max_steps(most)
        .build_ui_state(|ui, studio: &mut Studio| studio.show(ui), studio);
    (window, played)
}

/// A window in which the model of a task forgot something, and its control did.
pub fn forgot<'a>(
    task: Task,
    choice: Choice,
    size: [f32; 2],
    theme: egui::Theme,
) -> (Harness<'a, Studio>, Played) {
    let (mut window, played) = window(size, theme);
    window.step();
    window.state_mut().state.switch(task);
    played.answer();
    window.run();
    window.state_mut().state.pick(choice);
    played.answer();
    window.run();
    window.state_mut().state.forget();
    for _ in Arm::BOTH {
        played.answer();
        window.run();
    }
    (window, played)
}

/// A window in which the classifier forgot Sneaker at two densities.
pub fn tried<'a>(size: [f32; 2], theme: egui::Theme) -> (Harness<'a, Studio>, Played) {
    let (mut window, played) = window(size, theme);
    window.step();
    window.state_mut().state.switch(Task::Classify);
    played.answer();
    window.run();
    window.state_mut().state.pick(Choice::Class(SNEAKER));
    played.answer();
    window.run();
    for density in [0.5, 0.1] {
        window.state_mut().state.set_density(density);
        window.state_mut().state.forget();
        for _ in Arm::BOTH {
            played.answer();
            window.run();
        }
    }
    (window, played)
}

/// Draws frames until what was begun on other threads has come back.
pub fn settle(window: &mut Harness<Studio>) {
    for _ in 0..100 {
        std::thread::sleep(std::time::Duration::from_millis(5));
        window.run();
    }
}
