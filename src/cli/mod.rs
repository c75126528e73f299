//! The command line (docs/use.md): one file a subcommand; each parses, asks the engine, prints.

mod apply;
mod args;
mod bench;
mod check;
mod client;
mod compare;
mod data;
mod demo;
#[cfg(feature = "dialogs")]
mod dialog;
mod eval;
mod export;
mod info;
mod kept;
mod model;
mod print;
mod saliency;
mod sample;
mod signals;
mod studio;
mod table;
mod train;
mod unlearn;

use std::{error::Error as _, ffi::OsStr, path::PathBuf, process::ExitCode, sync::Mutex};

use args::Common;
use clap::{Parser, Subcommand, error::ErrorKind};
use client::{Client, Watch};

use salun_studio::error::{Error, Result};

/// Watch a model forget: saliency unlearning (SalUn) of image classifiers and diffusion models.
///
/// Without a command the studio opens.
#[derive(Debug, Parser)]
#[command(name = "salun", version, max_term_width = 100, subcommand_precedence_over_arg = true)]
struct Cli {
    #[command(flatten)]
    common: Common,
    /// What the studio opens: a weights file, a run folder, a diffusers folder, a recipe, or a link
    file: Option<PathBuf>,
    /// The lesson that the studio begins, by its name or number
    #[arg(long, value_name = "LESSON")]
    lesson: Option<String>,
    /// The device that the studio's window drew on until it was lost
    #[arg(long, value_name = "NAME", hide = true)]
    lost: Option<String>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::Args),
    Info(info::Args),
    Data(data::Args),
    Model(model::Args),
    Train(train::Args),
    Saliency(saliency::Args),
    Unlearn(unlearn::Args),
    Eval(eval::Args),
    Sample(sample::Args),
    Export(export::Args),
    Apply(apply::Args),
    Table(table::Args),
    Bench(bench::Args),
    Check(check::Args),
}

/// Runs what the command line says; the exit status is that of docs/use.md.
pub fn main() -> ExitCode {
    surroundings();
    // Warnings of ours; RUST_LOG asks for more.
    let wanted = env_logger::Env::default().default_filter_or("salun=warn,salun_studio=warn");
    env_logger::init_from_env(wanted);
    // A panic says nothing by itself: the engine and the end of this function turn it into a line.
    std::panic::set_hook(Box::new(|panic| {
        let mut first = PANIC.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let words = first.get_or_insert_with(|| {
            let place = panic.location().map(|l| format!(" at {}:{}", l.file(), l.line()));
            format!("{}{}", panic.payload_as_str().unwrap_or("?").trim(), place.unwrap_or_default())
        });
        if words.contains(NO_ROOM) {
            // The thread is being started, where nothing can be unwound: the process would be aborted.
            print::error(&broken(words));
            std::process::exit(1);
        }
    }));
    let work = || parse()?.map_or(Ok(()), run);
    let (line, status) = match std::panic::catch_unwind(work) {
        Ok(Ok(())) => match print::failed() {
            None => return ExitCode::SUCCESS,
            Some(reason) => (format!("standard output: {reason}"), 1),
        },
        Ok(Err(error)) => (error.to_string(), error.exit_code()),
        Err(_) => {
            let panic = PANIC.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            (broken(panic.as_deref().unwrap_or("?")), 1)
        }
    };
    print::error(&line);
    ExitCode::from(status)
}

/// The line of a panic. Libraries have no other way to say that the system gave them no thread.
fn broken(panic: &str) -> String {
    match panic.contains("Resource temporarily unavailable") || panic.contains(NO_ROOM) {
        true => "the system gives this program no more threads or memory; raise its limits (ulimit), or \
                 close other programs"
            .into(),
        false => format!("internal error: {panic}; please report"),
    }
}

/// Puts right what of the environment would only do harm.
fn surroundings() {
    let number = |name: &str| std::env::var(name).ok().and_then(|v| v.parse::<usize>().ok());
    let set = |name: &str, value: &OsStr| {
        // SAFETY: there is no other thread yet.
        unsafe { std::env::set_var(name, value) };
    };
    let place = "XDG_RUNTIME_DIR";
    if cfg!(target_os = "linux") && std::env::var_os(place).is_none_or(|v| v.is_empty()) {
        // Else Mesa, asked for its devices where nobody has logged in, complains on stderr.
        set(place, std::env::temp_dir().as_os_str());
    }
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    if number("RAYON_NUM_THREADS").is_some_and(|n| n > cores) {
        // Threads beyond the cores wait for each other: a thousand on two are fifty times slower.
        set("RAYON_NUM_THREADS", cores.to_string().as_ref());
    }
    if number("RUST_MIN_STACK").is_some_and(|n| n < STACK) {
        set("RUST_MIN_STACK", STACK.to_string().as_ref());
    }
}

/// Bytes of stack that a thread needs.
const STACK: usize = 2 << 20;

/// What a thread says that found no memory for the stack of its signals.
const NO_ROOM: &str = "alternative stack";

/// What the first panic said.
static PANIC: Mutex<Option<String>> = Mutex::new(None);

fn run(cli: Cli) -> Result<()> {
    let common = &cli.common;
    print::begin(common);
    if cli.command.is_some() && cli.lesson.is_some() {
        return Err(Error::Request("--lesson is the studio's: leave the command out".into()));
    }
    if cli.command.is_some() {
        // Before anything is reserved, which would be left behind.
        signals::listen();
    }
    match cli.command {
        None => {
            let (file, lesson, lost) =
                (cli.file.as_deref(), cli.lesson.as_deref(), cli.lost.as_deref());
            studio::run(common, file, lesson, lost)
        }
        Some(Command::Demo(args)) => demo::run(&args, common),
        Some(Command::Info(args)) => info::run(&args, common),
        Some(Command::Data(args)) => data::run(&args, common),
        Some(Command::Model(args)) => model::run(&args, common),
        Some(Command::Train(args)) => train::run(&args, common),
        Some(Command::Saliency(args)) => saliency::run(&args, common),
        Some(Command::Unlearn(args)) => unlearn::run(&args, common),
        Some(Command::Eval(args)) => eval::run(&args, common),
        Some(Command::Sample(args)) => sample::run(&args, common),
        Some(Command::Export(args)) => export::run(&args, common),
        Some(Command::Apply(args)) => apply::run(&args, common),
        Some(Command::Table(args)) => table::run(&args, common),
        Some(Command::Bench(args)) => bench::run(&args, common),
        Some(Command::Check(args)) => check::run(&args, common),
    }
}

/// The command line; `None` where help or the version was asked for and shown.
fn parse() -> Result<Option<Cli>> {
    match Cli::try_parse() {
        Ok(cli) => Ok(Some(cli)),
        Err(e) if matches!(e.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            print::kept(e.print());
            Ok(None)
        }
        Err(e) => Err(match e.source().and_then(|s| s.downcast_ref::<Error>()) {
            Some(own) => own.clone(),
            None => Error::Request(compact(&e.render().to_string())),
        }),
    }
}

/// Clap's paragraphs as one line, without the usage.
fn compact(text: &str) -> String {
    let mut line = String::new();
    let paragraphs = text.trim_start_matches("error: ").lines().map(str::trim);
    let useful = paragraphs
        .take_while(|l| !l.starts_with("Usage:") && !l.starts_with("For more information"))
        .filter(|l| !l.is_empty());
    for part in useful {
        match line.chars().last() {
            None => {}
            Some(':') => line.push(' '),
            Some(_) => line.push_str("; "),
        }
        line.push_str(part);
    }
    line + " (see --help)"
}

#[cfg(test)]
mod tests {
    /// Every argument's parser gives the type of its field, which clap finds out only when asked.
    #[test]
    fn defaults_of_every_command_can_be_read() {
        use clap::Parser;
        for line in [
            "demo",
            "info",
            "info --model m --batch 1 --density 0.1",
            "data list",
            "train m --data d --out o --steps 1 --batch 1 --lr 1 --width 4",
            "train m --data d --out o --epochs 1",
            "saliency --model m --data d --forget f --out o",
            "unlearn --out o --density 1 --epochs 1 --lr 1 --batch 1 --alpha 1 --redirect a",
            "unlearn --out o --steps 1 --mask none --budget full --seed 1",
            "eval --run r",
            "eval --before m --after a --data d --forget f --method salun --density 0.1 --seed 2",
            "sample --model m --out o",
            "export --model m --out o.pth --bare",
            "export --run r --delta d.safetensors",
            "export --run r --report r.html",
            "export --run r --as-lora l --rank 4 --layout diffusers",
            "apply --model m --delta d --strength 0.5 --out o",
            "data fetch cifar10 --from folder",
            "model fetch imagenet --from folder",
            "model clear imagenet",
            "table table1 --scale paper --seeds 2 --only salun,ft --render --out o",
            "bench --only ddpm-step --rounds 1",
            "check --only operations,kernels --only classify",
        ] {
            let words = std::iter::once("salun").chain(line.split(' '));
            assert!(super::Cli::try_parse_from(words).is_ok(), "{line}");
        }
    }
}
