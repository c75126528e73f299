//! The desktop studio: egui, one file a panel. It draws what the engine's events bring, knows no
//! maths and touches no tensor.
//!
//! [`state`] is the part without egui: what is open, what was picked, what runs.

mod app;
mod assumed;
mod attempt;
mod chart;
mod classes;
mod commands;
mod concepts;
mod curves;
#[cfg(not(target_arch = "wasm32"))]
mod dialog;
mod export;
mod forget_panel;
mod format;
mod formula;
mod frames;
mod heat;
mod history;
mod keeper;
mod lasso;
mod leave;
pub mod lesson;
#[cfg(not(target_arch = "wasm32"))]
mod letters;
mod mark;
mod matrix;
mod memory;
mod mine;
mod narrow;
mod own;
mod panes;
mod prelude;
mod present;
mod prompt;
mod race;
pub mod recorded;
mod request;
mod saliency_panel;
mod salient;
mod salient_record;
mod saver;
mod scrubber;
mod sitting;
mod spot;
pub mod state;
mod strength;
mod strips;
mod summary;
mod swipe;
mod take;
mod task_state;
mod tasks;
mod theme;
mod tile;
mod timeline;
mod top_bar;
mod tour;
mod verdict;
pub mod views;
mod widgets;

pub use chart::{Chart, key_ui, round_up};
pub use history::{Entry, History};
pub use keeper::{Interrupted, Keeper, Parcel, SaveHook};
pub use lasso::{Brush, Lasso};
pub use mark::{Mark, rounding};
pub use matrix::Matrix;
pub use memory::{MOST as REMEMBERED, Recalled};
pub use mine::Given;
pub use panes::PaneContext;
pub use spot::Spot;
pub use swipe::Swipe;
pub use tile::Sheet;
pub use timeline::arm_name;

pub use app::{Host, Studio};
pub use attempt::{Attempt, Dial};
#[cfg(not(target_arch = "wasm32"))]
pub use dialog::{Ask, Native, WEIGHTS};
pub use frames::percentiles;
pub use race::{Entrant, Field, Lane, Race};
pub use request::Choice;
pub use salient::Saliency;
pub use summary::Summary;
pub use task_state::{Arm, Content, Pane, TaskState, Whose};
pub use views::View;

use std::sync::Arc;
#[cfg(not(target_arch = "wasm32"))]
use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::OnceLock,
};

#[cfg(not(target_arch = "wasm32"))]
use eframe::egui_wgpu::WgpuSetup;

use crate::engine::{Command, Event, Job};
#[cfg(not(target_arch = "wasm32"))]
use crate::gpu::device;

/// Has the window drawn again; may be called from any thread.
pub type Wake = Arc<dyn Fn() + Send + Sync>;

/// What has a window drawn again.
fn wake(ctx: &egui::Context) -> Wake {
    let ctx = ctx.clone();
    Arc::new(move || ctx.request_repaint())
}

/// The engine as the studio needs it.
pub trait Backend {
    /// Calls `wake` after every event from now on, where events come by themselves.
    fn wake(&mut self, _wake: Wake) {}
    /// Queues a job under a number.
    fn start(&mut self, id: u64, job: Job);
    /// The next event, if there is one; never waits.
    fn poll(&mut self) -> Option<Event>;
    /// Stops the running job.
    fn cancel(&self);
    /// Holds or continues the running job.
    fn pause(&self, on: bool);
    /// Lets a held job do one more update.
    fn step(&self);
}

impl Backend for crate::engine::Engine {
    #[cfg(not(target_arch = "wasm32"))]
    fn wake(&mut self, wake: Wake) {
        // It is set once: a window stays the same.
        let _ = self.wake.set(wake);
    }

    fn start(&mut self, id: u64, job: Job) {
        self.tell(Command::ShowPreviews(true));
        self.tell(Command::Start { id, job: Box::new(job) });
    }

    fn poll(&mut self) -> Option<Event> {
        Self::poll(self)
    }

    fn cancel(&self) {
        self.tell(Command::Cancel);
    }

    fn pause(&self, on: bool) {
        self.tell(Command::Pause(on));
    }

    fn step(&self) {
        self.tell(Command::Step);
    }
}

/// How a window came to its end.
#[cfg(not(target_arch = "wasm32"))]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Closed {
    ByPerson,
    /// The device with this name, which it drew on, was lost.
    Lost(String),
}

/// Opens a window with the studio in it and returns when it is closed. With `setup` the window
/// draws on the device that the engine computes on.
///
/// # Errors
/// There is no display, or no way to draw on it.
#[cfg(not(target_arch = "wasm32"))]
pub fn run(app: Box<dyn eframe::App>, setup: Option<WgpuSetup>) -> eframe::Result<Closed> {
    let mut options = eframe::NativeOptions {
        viewport: egui::ViewportBuilder::default()
            .with_title("SalUn Studio")
            .with_app_id("salun-studio")
            .with_inner_size([1280.0, 800.0])
            .with_min_inner_size([1024.0, 640.0]),
        ..Default::default()
    };
    match (setup, &mut options.wgpu_options.wgpu_setup) {
        (Some(setup), own) => *own = setup,
        (None, WgpuSetup::CreateNew(own)) => {
            // Windows as wide as the device can draw them: eframe asks for 8,192 pixels.
            let usual = own.device_descriptor.clone();
            own.device_descriptor = Arc::new(move |adapter| {
                let mut wanted = usual(adapter);
                wanted.required_limits.max_texture_dimension_2d =
                    adapter.limits().max_texture_dimension_2d;
                wanted
            });
        }
        (None, WgpuSetup::Existing(_)) => {}
    }
    let drawn_on = Arc::new(OnceLock::new());
    let kept = drawn_on.clone();
    let made = move |made: &eframe::CreationContext| -> Result<_, _> {
        made.wgpu_render_state.iter().for_each(|state| drop(kept.set(state.clone())));
        Ok(app)
    };
    // egui panics when it is to draw on a device that was lost.
    let window = || eframe::run_native("SalUn Studio", options, Box::new(made));
    catch_unwind(AssertUnwindSafe(window)).map_or_else(
        |panic| match drawn_on.get().filter(|on| device::is_lost(&on.device, &on.queue)) {
            Some(on) => Ok(Closed::Lost(on.adapter.get_info().name)),
            None => resume_unwind(panic),
        },
        |closed| closed.map(|()| Closed::ByPerson),
    )
}
