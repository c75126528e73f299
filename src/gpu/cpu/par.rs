//! Threads and per-thread scratch memory: the only file that knows about rayon.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};

/// Runs `f` on every task, in parallel where there are threads.
pub fn each<T: Send>(tasks: Vec<T>, f: impl Fn(T) + Sync + Send) {
    #[cfg(not(target_arch = "wasm32"))]
    if tasks.len() > 1 {
        use rayon::prelude::*;
        return tasks.into_par_iter().with_max_len(1).for_each(f);
    }
    tasks.into_iter().for_each(f);
}

/// Runs `f` on every task, in parallel where there are threads (wasm32 has none here); results in the
/// tasks' order.
pub fn map<T: Send, R: Send>(tasks: Vec<T>, f: impl Fn(T) -> R + Sync + Send) -> Vec<R> {
    #[cfg(not(target_arch = "wasm32"))]
    {
        use rayon::prelude::*;
        tasks.into_par_iter().with_max_len(1).map(f).collect()
    }
    #[cfg(target_arch = "wasm32")]
    tasks.into_iter().map(f).collect()
}

/// The threads that compute for one thread, which is one of them, until this is dropped.
#[cfg(not(target_arch = "wasm32"))]
pub struct Team {
    _pool: Option<rayon::ThreadPool>,
}

/// A team for the calling thread, each of which does something first. A thread that computes itself does not
/// wait to be woken when others have done its work; one that has a team already keeps it.
#[cfg(not(target_arch = "wasm32"))]
pub fn team(each: fn()) -> Team {
    each();
    let pool = rayon::ThreadPoolBuilder::new().start_handler(move |_| each()).use_current_thread();
    Team { _pool: pool.build().ok() }
}

/// How many threads there are.
pub fn threads() -> usize {
    #[cfg(not(target_arch = "wasm32"))]
    return rayon::current_num_threads();
    #[cfg(target_arch = "wasm32")]
    return 1;
}

/// A large vector of zeros, whose memory all threads touch first: fresh pages are slow to come by.
pub fn zeros(len: usize) -> Vec<f32> {
    const PART: usize = 1 << 16;
    if len < 4 * PART {
        return vec![0.0; len];
    }
    let mut zeros = Vec::with_capacity(len);
    each(zeros.spare_capacity_mut()[..len].chunks_mut(PART).collect(), |part| {
        for value in part {
            value.write(0.0);
        }
    });
    // SAFETY: the first `len` values were written just now.
    unsafe { zeros.set_len(len) };
    zeros
}

thread_local! {
    static POOL: RefCell<Vec<Vec<f32>>> = const { RefCell::new(Vec::new()) };
}

/// Cache line, in floats: scratch starts on one.
const LINE: usize = 16;

/// A slice of floats borrowed from the thread's pool, aligned to a cache line. A guard and not a
/// closure, because a closure would lose the instruction set of the kernel around it; out of the
/// pool while in use, so that nested and re-entrant uses are fine.
pub struct Scratch {
    buf: Vec<f32>,
    start: usize,
    len: usize,
}

impl Scratch {
    /// `len` floats with whatever an earlier user left in them.
    pub fn any(len: usize) -> Self {
        let mut buf = POOL.with_borrow_mut(Vec::pop).unwrap_or_default();
        if buf.len() < len + LINE {
            buf = vec![0.0; len + LINE];
        }
        let start = buf.as_ptr().align_offset(LINE * size_of::<f32>()).min(LINE);
        Self { buf, start, len }
    }

    /// `len` zeros.
    pub fn zeroed(len: usize) -> Self {
        let mut s = Self::any(len);
        s.fill(0.0);
        s
    }
}

impl Deref for Scratch {
    type Target = [f32];
    #[inline(always)]
    fn deref(&self) -> &[f32] {
        &self.buf[self.start..self.start + self.len]
    }
}

impl DerefMut for Scratch {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.buf[self.start..self.start + self.len]
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let buf = std::mem::take(&mut self.buf);
        // The pool may be gone when its thread ends.
        let _ = POOL.try_with(|pool| pool.borrow_mut().push(buf));
    }
}
