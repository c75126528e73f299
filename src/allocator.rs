//! The program's allocator: mimalloc, which keeps its pages between the passes of the CPU backend, since
//! that allocates much and often. Where there is no memory left, the program ends with one line.

use std::{
    alloc::{GlobalAlloc, Layout},
    ffi::{c_int, c_long},
    sync::atomic::{AtomicBool, Ordering},
};

use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

struct Allocator;

// SAFETY: every call is mimalloc's own, and what it gives is handed on as it is.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        given(unsafe { MiMalloc.alloc(layout) }, layout.size())
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        given(unsafe { MiMalloc.alloc_zeroed(layout) }, layout.size())
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller's promise.
        given(unsafe { MiMalloc.realloc(block, layout, size) }, size)
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { MiMalloc.dealloc(block, layout) }
    }
}

/// Milliseconds after which pages that nobody uses go back to the system. The updates of a run take and give back
/// the same ones; with mimalloc's own 1,000 a prompt's took 1.09 times as long.
const KEPT_MS: c_long = 20_000;
/// The number of `mi_option_purge_delay` among mimalloc's options.
const PURGE_DELAY: c_int = 15;

unsafe extern "C" {
    fn mi_option_set(option: c_int, value: c_long);
    fn mi_collect(force: bool);
}

/// Has the allocator keep its pages for the next update, unless it is asked for them.
pub fn keep_pages() {
    // SAFETY: sets a number among the allocator's options.
    unsafe { mi_option_set(PURGE_DELAY, KEPT_MS) }
}

/// Gives back the pages that nobody uses.
pub fn give_back() {
    // SAFETY: no block is touched that is in use.
    unsafe { mi_collect(true) }
}

fn given(block: *mut u8, size: usize) -> *mut u8 {
    if block.is_null() && size > 0 {
        out_of_memory(size);
    }
    block
}

/// Ends the program; what it was writing is cleared by the next one. Little may be done here: there is no
/// memory for it.
#[cold]
fn out_of_memory(size: usize) -> ! {
    static SAID: AtomicBool = AtomicBool::new(false);
    if !SAID.swap(true, Ordering::Relaxed) {
        use std::io::Write;
        // On the stack.
        let mut line = [0; 200];
        let mut rest = &mut line[..];
        let _ = writeln!(
            rest,
            "salun: there is no memory for {} MiB more; close other programs, or ask for less at once \
             (--batch, --n, a smaller model)",
            size.div_ceil(1 << 20)
        );
        let left = rest.len();
        let said = line.len() - left;
        let _ = std::io::stderr().write_all(&line[..said]);
    }
    #[cfg(unix)]
    // SAFETY: ends the process.
    unsafe {
        libc::_exit(1)
    }
    #[cfg(not(unix))]
    std::process::exit(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    unsafe extern "C" {
        fn mi_option_get(option: c_int) -> c_long;
    }

    #[test]
    fn the_option_is_the_delay() {
        // SAFETY: reads a number.
        let delay = || unsafe { mi_option_get(PURGE_DELAY) };
        assert_eq!(delay(), 1000, "mimalloc's own");
        keep_pages();
        assert_eq!(delay(), KEPT_MS);
    }
}
