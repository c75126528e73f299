//! The only owner of the device and the models: [`job::Job`]s in, [`job::Event`] out.
//!
//! Jobs are futures that run one after another. Native: on one thread of their own, because
//! Burn's streams belong to a thread. On a page: on the event loop of a worker, so that neither a
//! long step nor the compilation of a kernel holds up the page; commands and events are [`crate::wire`]
//! bytes there.

mod audit;
pub mod check;
mod fit;
mod foreseen;
mod given;
mod gpu_loss_check;
mod inspect;
mod job;
mod judges;
mod known;
mod latent;
mod measure;
mod memory;
mod mine;
mod models;
mod outcome;
mod overlap;
mod past;
mod prompt;
mod request;
mod requests;
mod safe;
mod session;
mod steps;
mod store;
mod strength;
mod train;
mod under_way;
mod unlearn;

use std::sync::Arc;

use crate::gpu::DeviceKind;
use crate::job_context::{JobContext, Switches, Told};

/// Sends events to the client.
type Send = Arc<dyn Fn(Event) + std::marker::Send + Sync>;

/// Runs one job to its end, and says what came of it.
async fn serve(session: &mut Session, send: &Send, id: u64, asked: Job) -> Event {
    log::info!("job {id} starts: {}", <&str>::from(&asked));
    let tell = send.clone();
    let tell = move |told| match told {
        Told::Progress(progress) => {
            log::debug!("job {id} at {} of {}: {}", progress.done, progress.total, progress.phase);
            tell(Event::Progress { id, progress });
        }
        Told::Note(text) => tell(Event::Note { id, text }),
    };
    // The first use of a kernel compiles it.
    let warming = (session.info.kind != DeviceKind::Cpu).then_some("preparing the GPU");
    let switches = session.switches.clone();
    let job = JobContext::new(id, switches, tell).warming(warming);
    let mut job = job.paced(session.paces.clone());
    // It may have been cancelled while it waited.
    let outcome = match job.check().await {
        Ok(()) => Work { session, job: &mut job, on: Client { id, send } }.run(asked).await,
        Err(stop) => Err(stop),
    };
    log::info!("job {id} ends");
    match outcome {
        Ok(outcome) => Event::Done { id, outcome },
        Err(error) => Event::Failed { id, error },
    }
}

/// Turns the switches as a command says; the job that it starts, if it starts one.
fn obey(switches: &Switches, command: Command) -> Option<(u64, Job)> {
    match command {
        Command::Start { id, job } => {
            switches.ask(id);
            return Some((id, *job));
        }
        Command::Cancel => switches.cancel(),
        Command::Pause(on) => switches.pause(on),
        Command::Step => switches.step(),
        Command::ShowPreviews(on) => switches.show_previews(on),
    }
    None
}

#[cfg(not(target_arch = "wasm32"))]
pub use native::Engine;

#[cfg(not(target_arch = "wasm32"))]
mod native {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::{Arc, Mutex, MutexGuard, Once, OnceLock, PoisonError, mpsc};

    use super::*;
    use crate::error::Error;
    use crate::gpu::{Compute, DeviceInfo, cpu, device};

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
            Self::spawn_with(compute, || ())
        }

        /// Starts the thread, which does something first; on Linux its niceness is that of those who compute for it.
        pub fn spawn_with(compute: Compute, first: fn()) -> Self {
            let (jobs, inbox) = mpsc::channel();
            let (outbox, events) = mpsc::channel();
            let switches = Switches::default();
            let info = compute.info.clone();
            let seen = switches.clone();
            let wake = Arc::<OnceLock<Arc<dyn Fn() + std::marker::Send + Sync>>>::default();
            let woken = wake.clone();
            std::thread::spawn(move || {
                first();
                let _team = cpu::par::team();
                let mut session = Session::new(&compute, seen);
                // A client that is gone needs no events.
                let send: Send = Arc::new(move |event| {
                    let _ = outbox.send(event);
                    woken.get().into_iter().for_each(|wake| wake());
                });
                send(Event::Ready(compute.info));
                for (id, job) in inbox {
                    let event = guarded(&mut session, &send, id, job);
                    let broke = matches!(&event, Event::Failed { error: Error::Device(_), .. });
                    send(event);
                    if broke && !device::computes(&session.device) {
                        let why = format!("{} was lost", session.info.name);
                        let cpu = device::on_cpu(why);
                        session.go_on(&cpu);
                        send(Event::Ready(cpu.info));
                    }
                }
            });
            Self { info, switches, wake, jobs, events }
        }

        /// Does as a command says; a job's number is larger than all before it.
        pub fn tell(&self, command: Command) {
            if let Some(job) = obey(&self.switches, command) {
                // The thread ends only with this handle.
                let _ = self.jobs.send(job);
            }
        }

        /// The next event, if there is one.
        pub fn poll(&self) -> Option<Event> {
            self.events.try_recv().ok()
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
    fn guarded(session: &mut Session, send: &Send, id: u64, job: Job) -> Event {
        remember_places();
        let job = AssertUnwindSafe(|| pollster::block_on(serve(session, send, id, job)));
        catch_unwind(job).unwrap_or_else(|panic| {
            let text = panic
                .downcast_ref::<String>()
                .cloned()
                .or_else(|| panic.downcast_ref::<&str>().map(|s| s.to_string()))
                .unwrap_or_default();
            // Of several lines the first is told.
            let first = text.lines().next().unwrap_or_default();
            let place = std::mem::take(&mut *place());
            Event::Failed { id, error: Error::device(format!("{first}{place}")) }
        })
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

pub use inspect::{
    Attributed, Beside, Embedding, Inspected, Inspection, LayerWeights, PixelMaps, Projection,
};
pub use job::{
    Attacked, Audited, Command, Event, Job, LiveStep, Looked, Opened, Outcome, PromptPane,
    PromptRequest, TrainingSet,
};
pub use known::Known;
pub use outcome::{Attack, Grid, LogLine, LossParts, Run};
#[cfg(target_arch = "wasm32")]
pub use page::{Engine, WorkerEngine};
pub use past::Past;
pub use prompt::TIMES;
pub use steps::{Attention, Film, Moment, Trace, TraceRequest, Traced};
pub use strength::Exported;
pub use under_way::{Found, StateFile};

// What the engine's own files speak of.
use gpu_loss_check::GpuLossCheck;
use measure::Measured;
use prompt::{PromptSetting, Survey, bytes};
use request::{Asked, Request};
use session::{Client, Session, Setting, Work};
