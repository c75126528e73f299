//! The engine of a page: the client's handle on the page, and the engine in the worker that commands
//! arrive at.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    rc::Rc,
    sync::{Arc, mpsc},
};

use super::*;
use crate::gpu::Compute;
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

    /// Hands a command to the worker; a job's number is larger than all before it.
    pub fn tell(&self, command: Command) {
        match (wire::pack(&command), command) {
            (Ok(bytes), _) => (self.post)(bytes),
            // The receiver is this handle's own.
            (Err(error), Command::Start { id, .. }) => {
                let _ = self.told.send(Event::Failed { id, error });
            }
            // Switches can always be packed.
            (Err(_), _) => {}
        }
    }

    /// The next event, if there is one.
    pub fn poll(&self) -> Option<Event> {
        self.events.try_recv().ok()
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
        let Some(job) = obey(&self.switches, command) else { return };
        self.waiting.borrow_mut().push_back(job);
        let Some(mut session) = self.session.take() else { return };
        let (waiting, place) = (self.waiting.clone(), self.session.clone());
        let send = self.send.clone();
        wasm_bindgen_futures::spawn_local(async move {
            loop {
                let next = waiting.borrow_mut().pop_front();
                let Some((id, job)) = next else { break };
                send(serve(&mut session, &send, id, job).await);
            }
            place.set(Some(session));
        });
    }
}
