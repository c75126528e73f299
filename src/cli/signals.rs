//! Ctrl-C and the signals that ask a program to end: the first asks the work to stop, and ends the program
//! after a few seconds all the same; the second ends it at once. Either way whole files are left.

use std::{
    sync::{
        Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use super::print;
use salun_studio::disk::output;
use salun_studio::job_context::Switches;

static INTERRUPTED: AtomicBool = AtomicBool::new(false);
static FIRST: Mutex<Option<Instant>> = Mutex::new(None);
static SWITCHES: OnceLock<Switches> = OnceLock::new();

/// A second signal that comes so soon is the same wish: `timeout` and a closing terminal send two.
const SAME: Duration = Duration::from_millis(500);
/// How long what runs may take to stop; an update of a large model takes longer.
const PATIENCE: Duration = Duration::from_secs(4);

/// Listens, from now on; once in a process. What the program was started to ignore (`nohup`, `&` in a script) stays ignored.
pub fn listen() {
    #[cfg(unix)]
    let ignored = ignored();
    // A process that already handles signals itself keeps its own way.
    let _ = ctrlc::set_handler(heard);
    #[cfg(unix)]
    ignore(ignored);
}

/// Whether somebody asked for an end.
pub fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::SeqCst)
}

/// What a signal stops.
pub fn stops(switches: Switches) {
    let _ = SWITCHES.set(switches);
}

fn heard() {
    let mut first = FIRST.lock().unwrap_or_else(PoisonError::into_inner);
    match *first {
        Some(before) if before.elapsed() < SAME => return,
        Some(_) => end("stopped at once"),
        None => *first = Some(Instant::now()),
    }
    drop(first);
    INTERRUPTED.store(true, Ordering::SeqCst);
    if let Some(switches) = SWITCHES.get() {
        switches.cancel();
    }
    print::remark("stopping; press Ctrl-C again to stop at once");
    std::thread::spawn(|| {
        std::thread::sleep(PATIENCE);
        end("stopped; what was running is discarded");
    });
}

fn end(why: &str) -> ! {
    print::error(why);
    output::clear_own();
    std::process::exit(1);
}

/// The signals that end a program and that this one was started to ignore.
#[cfg(unix)]
fn ignored() -> Vec<libc::c_int> {
    let ignores = |signal: &libc::c_int| {
        // SAFETY: asks how a signal is handled and changes nothing; zeros are a valid answer's room.
        unsafe {
            let mut now: libc::sigaction = std::mem::zeroed();
            libc::sigaction(*signal, std::ptr::null(), &mut now) == 0
                && now.sa_sigaction == libc::SIG_IGN
        }
    };
    [libc::SIGINT, libc::SIGHUP, libc::SIGTERM].into_iter().filter(ignores).collect()
}

/// Ignores signals.
#[cfg(unix)]
fn ignore(signals: Vec<libc::c_int>) {
    for signal in signals {
        // SAFETY: sets back what was there before.
        unsafe {
            libc::signal(signal, libc::SIG_IGN);
        }
    }
}
