//! The engine of a page: the client's handle on the page, and the engine in the worker that commands
//! arrive at.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    rc::Rc,
    sync::{Arc, mpsc},
};

use super::*;
use crate::error::Result;
use crate::gpu::Compute;
use crate::job_context::Switches;
use crate::wire;

/// The client's handle: hands packed commands to the worker, takes what it tells.
pub struct Engine {
    post: Box<dyn Fn(Vec<u8>)>,
    told: mpsc::Sender<Event>,
    events: mpsc::Receiver<Event>,
}

impl Engine {
    /// A handle on a worker that `post` sends bytes to. Events that come back go to the second
    /// value.
    pub fn new(post: impl Fn(Vec<u8>) + 'static) -> (Self, mpsc::Sender<Event>) {
        let (told, events) = mpsc::channel();
        (Self { post: Box::new(post), told: told.clone(), events }, told)
    }

    fn send(&self, command: &Command) -> Result<()> {
        (self.post)(wire::pack(command)?);
        Ok(())
    }

    /// Queues a job under a number larger than all before it.
    pub fn start(&self, id: u64, job: Job) {
        if let Err(error) = self.send(&Command::Start { id, job: Box::new(job) }) {
            // The receiver is this handle's own.
            let _ = self.told.send(Event::Failed { id, error });
        }
    }

    /// The next event, if there is one.
    pub fn poll(&self) -> Option<Event> {
        self.events.try_recv().ok()
    }

    // Switches can always be packed.

    /// Asks every job so far to stop.
    pub fn cancel(&self) {
        let _ = self.send(&Command::Cancel);
    }

    /// Holds or continues the running job.
    pub fn pause(&self, on: bool) {
        let _ = self.send(&Command::Pause(on));
    }

    /// Lets a held job do one more update.
    pub fn step(&self) {
        let _ = self.send(&Command::Step);
    }

    /// Asks unlearning jobs to show what the model makes while it trains.
    pub fn show_previews(&self, on: bool) {
        let _ = self.send(&Command::ShowPreviews(on));
    }
}

/// The engine itself, one task on the worker's event loop. A job lets the loop turn between its
/// steps; that is when other commands arrive.
pub struct WorkerEngine {
    switches: Switches,
    waiting: Rc<RefCell<VecDeque<(u64, Job)>>>,
    /// Absent while the task runs.
    session: Rc<Cell<Option<Session>>>,
    send: Send,
}

impl WorkerEngine {
    /// An engine that waits for its first command; events go to `send`.
    pub fn open(
        compute: Compute,
        send: impl Fn(Event) + std::marker::Send + Sync + 'static,
    ) -> Self {
        let switches = Switches::default();
        let session = Session::new(&compute, switches.clone());
        send(Event::Ready(compute.info));
        let session = Rc::new(Cell::new(Some(session)));
        Self { switches, waiting: Rc::default(), session, send: Arc::new(send) }
    }

    /// Takes a command.
    pub fn take(&self, command: Command) {
        match command {
            Command::Start { id, job } => self.start(id, *job),
            Command::Cancel => self.switches.cancel(),
            Command::Pause(on) => self.switches.pause(on),
            Command::Step => self.switches.step(),
            Command::ShowPreviews(on) => self.switches.show_previews(on),
        }
    }

    fn start(&self, id: u64, job: Job) {
        self.switches.ask(id);
        self.waiting.borrow_mut().push_back((id, job));
        let Some(mut session) = self.session.take() else { return };
        let (waiting, place) = (self.waiting.clone(), self.session.clone());
        let send = self.send.clone();
        wasm_bindgen_futures::spawn_local(async move {
            loop {
                let next = waiting.borrow_mut().pop_front();
                let Some((id, job)) = next else { break };
                serve(&mut session, &send, id, job).await;
            }
            place.set(Some(session));
        });
    }
}
