//! The only owner of the device and the models: [`job::Job`]s in, [`job::Event`] out.
//!
//! Jobs are futures that run one after another. Native: on one thread of their own, because
//! Burn's streams belong to a thread. On a page: on the event loop of a worker, so that neither a
//! long step nor the compilation of a kernel holds up the page; commands and events are [`crate::wire`]
//! bytes there.

mod audit;
pub mod check;
mod fit;
mod forgetting;
mod generate;
mod gpu_loss_check;
mod job;
mod latent;
mod measure;
mod models;
mod outcome;
mod overlap;
mod prompt;
mod request;
mod requests;
mod safe;
mod session;
mod store;
mod train;
mod unlearn;

use std::sync::Arc;

use crate::gpu::DeviceKind;
use crate::job_context::{JobContext, Told};

/// Sends events to the client.
type Send = Arc<dyn Fn(Event) + std::marker::Send + Sync>;

/// Runs one job to its end.
async fn serve(session: &mut Session, send: &Send, id: u64, asked: Job) {
    let tell = send.clone();
    let tell = move |told| match told {
        Told::Progress(progress) => tell(Event::Progress { id, progress }),
        Told::Note(text) => tell(Event::Note { id, text }),
    };
    // The first use of a kernel compiles it.
    let warming = (session.info.kind != DeviceKind::Cpu).then_some("preparing the GPU");
    let switches = session.switches.clone();
    let mut job = JobContext::new(id, switches, tell).warming(warming);
    // It may have been cancelled while it waited.
    let outcome = match job.check().await {
        Ok(()) => session.run(id, asked, send, &mut job).await,
        Err(stop) => Err(stop),
    };
    let event = match outcome {
        Ok(outcome) => Event::Done { id, outcome },
        Err(error) => Event::Failed { id, error },
    };
    send(event);
}

#[cfg(not(target_arch = "wasm32"))]
pub use native::Engine;

#[cfg(not(target_arch = "wasm32"))]
mod native {
    use std::sync::{Arc, Mutex, MutexGuard, Once, OnceLock, PoisonError, mpsc};

    use super::*;
    use crate::error::Error;
    use crate::gpu::{Compute, DeviceInfo};
    use crate::job_context::Switches;

    /// The engine on a thread of its own.
    pub struct Engine {
        pub info: DeviceInfo,
        pub switches: Switches,
        /// Called after every event by the thread that sent it, once somebody has set it.
        pub wake: Arc<OnceLock<Arc<dyn Fn() + std::marker::Send + Sync>>>,
        jobs: mpsc::Sender<(u64, Job)>,
        events: mpsc::Receiver<Event>,
    }

    impl Engine {
        /// Starts the thread.
        pub fn spawn(compute: Compute) -> Self {
            let (jobs, inbox) = mpsc::channel();
            let (outbox, events) = mpsc::channel();
            let switches = Switches::default();
            let info = compute.info.clone();
            let seen = switches.clone();
            let wake = Arc::<OnceLock<Arc<dyn Fn() + std::marker::Send + Sync>>>::default();
            let woken = wake.clone();
            std::thread::spawn(move || {
                let mut session = Session::new(&compute, seen);
                // A client that is gone needs no events.
                let send: Send = Arc::new(move |event| {
                    let _ = outbox.send(event);
                    woken.get().into_iter().for_each(|wake| wake());
                });
                send(Event::Ready(compute.info));
                for (id, job) in inbox {
                    guarded(&mut session, &send, id, job);
                }
            });
            Self { info, switches, wake, jobs, events }
        }

        /// Queues a job under a number larger than all before it.
        pub fn start(&self, id: u64, job: Job) {
            self.switches.ask(id);
            // The thread ends only with this handle.
            let _ = self.jobs.send((id, job));
        }

        /// The next event, if there is one.
        pub fn poll(&self) -> Option<Event> {
            self.events.try_recv().ok()
        }

        /// Asks every job so far to stop.
        pub fn cancel(&self) {
            self.switches.cancel();
        }

        /// Holds or continues the running job.
        pub fn pause(&self, on: bool) {
            self.switches.pause(on);
        }

        /// Lets a held job do one more update.
        pub fn step(&self) {
            self.switches.step();
        }

        /// Asks unlearning jobs to show what the model makes while it trains.
        pub fn show_previews(&self, on: bool) {
            self.switches.show_previews(on);
        }

        /// Waits for the next event; `None` when the engine has ended.
        pub fn wait(&self) -> Option<Event> {
            self.events.recv().ok()
        }
    }

    impl Drop for Engine {
        fn drop(&mut self) {
            self.switches.cancel();
        }
    }

    /// Runs a job; a panic below (a lost device, memory that ran out) becomes a failed job.
    fn guarded(session: &mut Session, send: &Send, id: u64, job: Job) {
        remember_places();
        let job = std::panic::AssertUnwindSafe(|| {
            pollster::block_on(serve(session, send, id, job));
        });
        if let Err(panic) = std::panic::catch_unwind(job) {
            let text = panic
                .downcast_ref::<String>()
                .cloned()
                .or_else(|| panic.downcast_ref::<&str>().map(|s| s.to_string()))
                .unwrap_or_default();
            // Of several lines the first is told.
            let first = text.lines().next().unwrap_or_default();
            let place = std::mem::take(&mut *place());
            send(Event::Failed { id, error: Error::device(format!("{first}{place}")) });
        }
    }

    /// Where a thread panicked last, in brackets: a caught panic does not say.
    static PLACE: Mutex<String> = Mutex::new(String::new());

    fn place() -> MutexGuard<'static, String> {
        PLACE.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has panics leave their place behind, beside what is done about them anyway.
    fn remember_places() {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            let hook = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                let found = panic.location().map(|at| {
                    // Of a path what is the same on every machine: the crate and the file.
                    let parts: Vec<&str> = at.file().split(['/', '\\']).collect();
                    let file = parts[parts.len().saturating_sub(4)..].join("/");
                    format!(" ({file}:{})", at.line())
                });
                *place() = found.unwrap_or_default();
                hook(panic);
            }));
        });
    }
}

#[cfg(target_arch = "wasm32")]
mod page;

pub use job::{
    Attacked, Audited, Command, Event, Job, LiveStep, Opened, Outcome, PromptPane, PromptRequest,
    TrainingSet,
};
pub use outcome::{Attack, Grid, LogLine, Run};
pub use session::Session;

#[cfg(target_arch = "wasm32")]
pub use page::{Engine, WorkerEngine};
