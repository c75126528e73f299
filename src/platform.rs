//! What a page does in another way than a program: letting others run, naming the GPU, knowing its memory.

#[cfg(not(target_arch = "wasm32"))]
mod native {
    use std::sync::OnceLock;
    use std::time::Duration;

    /// Gives other tasks of the executor a turn.
    pub async fn turn() {
        let mut yielded = false;
        std::future::poll_fn(|context| {
            if std::mem::replace(&mut yielded, true) {
                return std::task::Poll::Ready(());
            }
            context.waker().wake_by_ref();
            std::task::Poll::Pending
        })
        .await;
    }

    /// Does nothing for a moment.
    pub async fn rest() {
        std::thread::sleep(Duration::from_millis(20));
    }

    /// Has this thread give way to others that want a core; on Linux, where a thread has a niceness of its own.
    pub fn give_way() {
        #[cfg(target_os = "linux")]
        // SAFETY: no memory is touched; of a thread that may not do this nothing changes.
        unsafe {
            libc::setpriority(libc::PRIO_PROCESS, 0, 10);
        }
    }

    /// What gives back memory that nobody uses: the allocator of a program that keeps some.
    pub static GIVE_BACK: OnceLock<fn()> = OnceLock::new();

    /// Bytes of main memory that can be had, as [`free_memory`] after what is kept for nobody was given back.
    pub fn memory_to_be_had() -> Option<u64> {
        GIVE_BACK.get().into_iter().for_each(|give_back| give_back());
        free_memory()
    }

    /// Bytes of main memory that are free, where the system tells: of the machine, of the container, of
    /// what this process may still take.
    pub fn free_memory() -> Option<u64> {
        let mut system = sysinfo::System::new();
        system.refresh_memory();
        let available = Some(system.available_memory()).filter(|bytes| *bytes > 0);
        [available, contained(), allowed()].into_iter().flatten().min()
    }

    /// A file of the system.
    fn told(file: &str) -> Option<String> {
        std::fs::read_to_string(file).ok()
    }

    /// What a container (cgroup v2) has left. sysinfo counts what was read from files as used; it is given
    /// back when it is asked for.
    fn contained() -> Option<u64> {
        let bytes = |name| told(&format!("/sys/fs/cgroup/{name}"))?.trim().parse::<u64>().ok();
        let text = told("/sys/fs/cgroup/memory.stat")?;
        let cached = text.lines().find_map(|l| l.strip_prefix("inactive_file "))?;
        let used = bytes("memory.current")?.saturating_sub(cached.parse().ok()?);
        Some(bytes("memory.max")?.saturating_sub(used))
    }

    /// What `ulimit -v` leaves.
    #[cfg(unix)]
    fn allowed() -> Option<u64> {
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: writes to `limit`, which lives.
        let asked = unsafe { libc::getrlimit(libc::RLIMIT_AS, &mut limit) };
        if asked != 0 || limit.rlim_cur == libc::RLIM_INFINITY {
            return None;
        }
        let text = told("/proc/self/status")?;
        let used =
            text.lines().find_map(|l| l.strip_prefix("VmSize:")?.trim().strip_suffix(" kB"))?;
        Some(limit.rlim_cur.saturating_sub(used.parse::<u64>().ok()? << 10))
    }

    #[cfg(not(unix))]
    fn allowed() -> Option<u64> {
        None
    }
}

#[cfg(not(target_arch = "wasm32"))]
pub use native::{GIVE_BACK, free_memory, give_way, memory_to_be_had, rest, turn};

#[cfg(target_arch = "wasm32")]
mod page {
    use wasm_bindgen::prelude::*;

    #[wasm_bindgen(module = "/web/turn.js")]
    extern "C" {
        /// Lets the page draw and answer: comes back in a task of its own.
        pub async fn turn();
        /// Comes back after a moment.
        pub async fn rest();
    }

    #[wasm_bindgen(module = "/web/host.js")]
    extern "C" {
        /// What the browser tells of its GPU, a string.
        pub async fn gpu_name() -> JsValue;
    }

    #[wasm_bindgen]
    extern "C" {
        #[wasm_bindgen(js_namespace = console)]
        fn error(text: &str);
        #[wasm_bindgen(js_namespace = console)]
        fn warn(text: &str);
    }

    /// Hands what libraries complain of to the browser's console. A kernel that does not compile
    /// is nothing but such a complaint here, and wrong numbers afterwards.
    struct Console;

    impl log::Log for Console {
        fn enabled(&self, metadata: &log::Metadata) -> bool {
            metadata.level() <= log::Level::Warn
        }

        fn log(&self, record: &log::Record) {
            if self.enabled(record.metadata()) {
                let text = format!("{}: {}", record.target(), record.args());
                if record.level() == log::Level::Error { error(&text) } else { warn(&text) }
            }
        }

        fn flush(&self) {}
    }

    /// Nothing: a browser does not tell.
    pub fn free_memory() -> Option<u64> {
        None
    }

    /// Starts to listen to the libraries.
    pub fn listen() {
        // Only a second call fails.
        if log::set_logger(&Console).is_ok() {
            log::set_max_level(log::LevelFilter::Warn);
        }
    }
}

#[cfg(target_arch = "wasm32")]
pub use page::{free_memory, free_memory as memory_to_be_had, gpu_name, listen, rest, turn};
