//! `salun`: no argument opens the studio, a subcommand works headless.

#[cfg(not(target_arch = "wasm32"))]
mod cli;

#[cfg(not(target_arch = "wasm32"))]
mod allocator;

#[cfg(not(target_arch = "wasm32"))]
fn main() -> std::process::ExitCode {
    allocator::keep_pages();
    let _ = salun_studio::platform::GIVE_BACK.set(allocator::give_back);
    cli::main()
}

#[cfg(target_arch = "wasm32")]
fn main() {}
