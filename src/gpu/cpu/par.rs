//! Threads and per-thread scratch memory: the only file that knows about rayon.

use std::cell::{Cell, RefCell};
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
        let share = Share((threads() / tasks.len().max(1)).max(1));
        let shared = |task| share.while_doing(|| f(task));
        tasks.into_par_iter().with_max_len(1).map(shared).collect()
    }
    #[cfg(target_arch = "wasm32")]
    tasks.into_iter().map(f).collect()
}

/// The threads that compute for one thread; all but that one end when this is dropped.
#[cfg(not(target_arch = "wasm32"))]
pub struct Team {
    _pool: Option<rayon::ThreadPool>,
}

/// A team for the calling thread, which is one of it for the rest of its life: who computes itself does not wait to
/// be woken when others have done the work. Where no threads can be had, everybody's compute for it.
#[cfg(not(target_arch = "wasm32"))]
pub fn team() -> Team {
    Team { _pool: rayon::ThreadPoolBuilder::new().use_current_thread().build().ok() }
}

/// Threads that a task of [`map`] has for itself; 0 outside of any.
#[derive(Clone, Copy)]
struct Share(usize);

thread_local! {
    static SHARE: Cell<Share> = const { Cell::new(Share(0)) };
}

#[cfg(not(target_arch = "wasm32"))]
impl Share {
    fn while_doing<R>(self, task: impl FnOnce() -> R) -> R {
        /// The share of the task around, which comes back however the one within ends.
        struct Around(Share);
        impl Drop for Around {
            fn drop(&mut self) {
                SHARE.set(self.0);
            }
        }
        let _around = Around(SHARE.replace(self));
        task()
    }
}

/// How many threads there are for what the calling one does.
pub fn threads() -> usize {
    match SHARE.get() {
        #[cfg(not(target_arch = "wasm32"))]
        Share(0) => rayon::current_num_threads(),
        Share(share) => share.max(1),
    }
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

/// Floats with whatever their memory holds, for kernels that write every one of them.
pub fn unset(len: usize) -> Vec<f32> {
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    {
        let mut values = Vec::<f32>::with_capacity(len);
        // SAFETY: there is room for them, and any bits are a float. The instruction that is none may have written them,
        // as far as the compiler knows, so that none of them is undefined to it.
        unsafe {
            let start = values.as_mut_ptr();
            std::arch::asm!("/* {0} */", in(reg) start, options(nostack, preserves_flags));
            values.set_len(len);
        }
        values
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    zeros(len)
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
