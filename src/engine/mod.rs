//! The only owner of the device and the models: [`job::Command`] in, [`job::Event`] out.
//!
//! Jobs are futures that run one after another. Native: on one thread of their own, because
//! Burn's streams belong to a thread. On the web: on the page's event loop.

mod audit;
mod generate;
pub mod job;
mod latent;
mod overlap;
mod prompt;
mod requests;
mod session;
mod train;
mod unlearn;

use job::{Command, Event};
use session::Session;

use crate::{gpu::device::DeviceKind, monitor::Monitor};

/// Sends events to the client.
type Send = std::sync::Arc<dyn Fn(Event) + std::marker::Send + Sync>;

/// Runs one command to its end.
async fn serve(session: &mut Session, send: &Send, command: Command) {
    let Command::Start { id, job } = command else { return };
    let progress = {
        let send = send.clone();
        move |progress| send(Event::Progress { id, progress })
    };
    // The first use of a kernel compiles it and finds its fastest form, minutes on a new machine.
    let warming = (session.info.kind != DeviceKind::Cpu).then_some("preparing the GPU");
    let mut monitor = Monitor::new(id, session.switches.clone(), progress).warming(warming);
    // It may have been cancelled while it waited.
    let outcome = match monitor.check().await {
        Ok(()) => session.run(id, *job, send, &mut monitor).await,
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
    use std::sync::{Arc, mpsc};

    use super::*;
    use crate::{
        engine::job::Job,
        error::Error,
        gpu::device::{Compute, DeviceInfo},
        monitor::Switches,
    };

    /// The engine on a thread of its own.
    pub struct Engine {
        pub info: DeviceInfo,
        pub switches: Switches,
        commands: mpsc::Sender<Command>,
        events: mpsc::Receiver<Event>,
    }

    impl Engine {
        /// Starts the thread.
        pub fn spawn(compute: Compute) -> Self {
            let (commands, inbox) = mpsc::channel();
            let (outbox, events) = mpsc::channel();
            let switches = Switches::default();
            let info = compute.info.clone();
            let seen = switches.clone();
            std::thread::spawn(move || {
                let mut session = Session::new(&compute, seen);
                // A client that is gone needs no events.
                let send: Send = Arc::new(move |event| drop(outbox.send(event)));
                send(Event::Ready(compute.info));
                while let Ok(command) = inbox.recv() {
                    if matches!(command, Command::Quit) {
                        break;
                    }
                    guarded(&mut session, &send, command);
                }
            });
            Self { info, switches, commands, events }
        }

        /// Queues a job under a number larger than all before it.
        pub fn start(&self, id: u64, job: Job) {
            self.switches.ask(id);
            // The thread ends only with this handle.
            let _ = self.commands.send(Command::Start { id, job: Box::new(job) });
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
            let _ = self.commands.send(Command::Quit);
        }
    }

    /// Runs a command; a panic below (a lost device, memory that ran out) becomes a failed job.
    fn guarded(session: &mut Session, send: &Send, command: Command) {
        let id = match &command {
            Command::Start { id, .. } => *id,
            Command::Quit => return,
        };
        let job = std::panic::AssertUnwindSafe(|| {
            pollster::block_on(serve(session, send, command));
        });
        if let Err(panic) = std::panic::catch_unwind(job) {
            let text = panic
                .downcast_ref::<String>()
                .cloned()
                .or_else(|| panic.downcast_ref::<&str>().map(|s| s.to_string()))
                .unwrap_or_default();
            send(Event::Failed { id, error: Error::device(text) });
        }
    }
}

#[cfg(target_arch = "wasm32")]
pub use page::Engine;

#[cfg(target_arch = "wasm32")]
mod page {
    use std::{
        cell::{Cell, RefCell},
        collections::VecDeque,
        rc::Rc,
        sync::{Arc, mpsc},
    };

    use super::*;
    use crate::{
        engine::job::Job,
        gpu::device::{Compute, DeviceInfo},
        monitor::Switches,
    };

    /// The engine as one task on the page's event loop.
    pub struct Engine {
        pub info: DeviceInfo,
        pub switches: Switches,
        waiting: Rc<RefCell<VecDeque<Command>>>,
        /// Absent while the task runs.
        session: Rc<Cell<Option<Session>>>,
        send: Send,
        events: mpsc::Receiver<Event>,
    }

    impl Engine {
        /// An engine that waits for its first job.
        pub fn spawn(compute: Compute) -> Self {
            let (outbox, events) = mpsc::channel();
            let switches = Switches::default();
            let session = Session::new(&compute, switches.clone());
            let info = compute.info;
            // A client that is gone needs no events.
            let send: Send = Arc::new(move |event| drop(outbox.send(event)));
            send(Event::Ready(info.clone()));
            let session = Rc::new(Cell::new(Some(session)));
            Self { info, switches, waiting: Rc::default(), session, send, events }
        }

        /// Queues a job under a number larger than all before it.
        pub fn start(&self, id: u64, job: Job) {
            self.switches.ask(id);
            self.waiting.borrow_mut().push_back(Command::Start { id, job: Box::new(job) });
            let Some(mut session) = self.session.take() else { return };
            let (waiting, place) = (self.waiting.clone(), self.session.clone());
            let send = self.send.clone();
            wasm_bindgen_futures::spawn_local(async move {
                loop {
                    let next = waiting.borrow_mut().pop_front();
                    let Some(command) = next else { break };
                    serve(&mut session, &send, command).await;
                }
                place.set(Some(session));
            });
        }

        /// The next event, if there is one.
        pub fn poll(&self) -> Option<Event> {
            self.events.try_recv().ok()
        }
    }
}
