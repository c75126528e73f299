//! Makes the program smaller where the linker can: on Linux with LLD, as Rust brings it for x86-64.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let linux = env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux");
    let options = [
        // One of functions that came out alike is kept: GPU kernels are described by generic code
        // whose types leave no trace in it.
        "-Wl,--icf=all",
        // The program lies at a fixed address, so that nothing lists what would have to move with it.
        "-no-pie",
    ];
    for option in options {
        if linux && links_with(option) {
            println!("cargo::rustc-link-arg-bins={option}");
        }
    }
}

/// Whether this Rust, as cargo calls it here, links a program with an option.
fn links_with(option: &str) -> bool {
    let given = |name| env::var_os(name).expect("cargo gives it to a build script");
    let out = PathBuf::from(given("OUT_DIR"));
    let source = out.join("probe.rs");
    fs::write(&source, "fn main() {}").expect("OUT_DIR can be written to");
    let mut rustc = Command::new(given("RUSTC"));
    rustc.arg(&source).arg("--out-dir").arg(&out).arg("--target").arg(given("TARGET"));
    rustc.arg(format!("-Clink-arg={option}"));
    if let Some(linker) = env::var_os("RUSTC_LINKER") {
        rustc.arg(format!("-Clinker={}", Path::new(&linker).display()));
    }
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    rustc.args(flags.split('\x1f').filter(|flag| !flag.is_empty()));
    rustc.output().is_ok_and(|done| done.status.success())
}
