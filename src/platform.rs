//! What a page does in another way than a program: letting others run, naming the GPU.

#[cfg(not(target_arch = "wasm32"))]
mod native {
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
        .await
    }

    /// Does nothing for a moment.
    pub async fn rest() {
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[cfg(not(target_arch = "wasm32"))]
pub use native::{rest, turn};

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

    /// Starts to listen to the libraries.
    pub fn listen() {
        // Only a second call fails.
        if log::set_logger(&Console).is_ok() {
            log::set_max_level(log::LevelFilter::Warn);
        }
    }
}

#[cfg(target_arch = "wasm32")]
pub use page::{gpu_name, listen, rest, turn};
