//! `salun`: no argument opens the studio, a subcommand works headless.

#[cfg(not(target_arch = "wasm32"))]
mod cli;

/// Keeps its pages between the passes of the CPU backend, which allocates much and often.
#[cfg(not(target_arch = "wasm32"))]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[cfg(not(target_arch = "wasm32"))]
fn main() -> std::process::ExitCode {
    cli::main()
}

#[cfg(target_arch = "wasm32")]
fn main() {}
