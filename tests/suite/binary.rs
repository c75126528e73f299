//! Runs the real `salun` in a scratch folder with small models and pictures of its own.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};
#[cfg(unix)]
use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, ChildStderr},
    time::Duration,
};

use crate::common::{card, fresh};
use salun_studio::models::latent::{LatentModel, folder};
use salun_studio::models::{Architecture, Model, Precision, ResnetConfig, UnetConfig, checkpoint};

/// A folder that is there for one test.
pub struct Scratch(pub PathBuf);

impl Scratch {
    pub fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("salun-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub fn put(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.path(name), bytes).unwrap();
    }

    /// Writes a model's file, and gives its path as a recipe names it.
    pub fn keep(&self, name: &str, model: &Model) -> String {
        self.put(name, bytes(model));
        self.path(name).to_string_lossy().into_owned()
    }

    /// Writes a text-to-image model's folder, and gives its path as a recipe names it.
    pub fn pipeline(&self, name: &str, model: &LatentModel) -> String {
        for (file, bytes) in folder::write(model, Precision::Full).unwrap() {
            let path = self.path(name).join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        self.path(name).to_string_lossy().into_owned()
    }

    /// Names of everything in the folder.
    pub fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).unwrap();
        let mut names: Vec<_> =
            entries.map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    /// `salun` in this folder, without a display, on the CPU.
    pub fn salun(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_salun"));
        command.current_dir(&self.0).args(arguments);
        if !arguments.contains(&"--device") {
            command.args(["--device", "cpu"]);
        }
        for name in ["DISPLAY", "WAYLAND_DISPLAY", "RUST_BACKTRACE"] {
            command.env_remove(name);
        }
        // Never the data sets that the person of this machine has fetched.
        command.env("SALUN_DATA", self.path("data-sets"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs a command line whose parts are divided by single spaces.
    pub fn run(&self, line: &str) -> Ran {
        let arguments: Vec<&str> = line.split(' ').filter(|a| !a.is_empty()).collect();
        Ran::of(self.salun(&arguments).output().unwrap())
    }

    /// A classifier with fresh weights that fits Fashion-MNIST.
    pub fn classifier(&self) -> Model {
        let config = ResnetConfig {
            width: 4,
            channels: 1,
            classes: 10,
            mean: vec![0.286],
            std: vec![0.353],
        };
        model(Architecture::Resnet(config))
    }

    /// A diffusion model with fresh weights that fits Fashion-MNIST.
    pub fn diffusion(&self) -> Model {
        let config = UnetConfig {
            ch: 8,
            mult: vec![1, 2],
            res_blocks: 1,
            attention: vec![],
            groups: 4,
            dropout: 0.0,
            channels: 1,
            resolution: 28,
            classes: 10,
        };
        model(Architecture::Unet(config))
    }

    /// Pictures to train on: classes `a` and `b`, `each` of them.
    pub fn pictures(&self, folder: &str, each: u32) {
        for (class, shade) in [("a", 40u8), ("b", 200)] {
            let dir = self.path(folder).join(class);
            fs::create_dir_all(&dir).unwrap();
            for i in 0..each {
                let picture = image::GrayImage::from_fn(28, 28, |x, y| {
                    image::Luma([shade.wrapping_add((x * i + y) as u8 % 40)])
                });
                picture.save(dir.join(format!("{i}.png"))).unwrap();
            }
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn model(architecture: Architecture) -> Model {
    let data = salun_studio::data::open("fashion-mnist").unwrap();
    fresh(card(architecture, &data.name, data.classes.clone()), 1)
}

/// The bytes of a model's file.
pub fn bytes(model: &Model) -> Vec<u8> {
    checkpoint::encode(model, Precision::Full).unwrap()
}

/// A model out of a file.
pub fn open(path: &Path) -> Model {
    checkpoint::decode(&fs::read(path).unwrap(), path).unwrap()
}

/// What a finished process said.
#[derive(Debug)]
pub struct Ran {
    pub status: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    pub fn of(output: Output) -> Self {
        Self {
            status: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Holds that it did what it was asked for.
    #[track_caller]
    pub fn succeeds(&self) {
        assert_eq!(self.status, Some(0), "{}", self.stderr);
    }

    /// Holds that it was refused in one line with these words.
    #[track_caller]
    pub fn refused(&self, words: &str) {
        assert_eq!(self.status, Some(2), "{}", self.stderr);
        let complaints = self.complaints();
        assert!(complaints.len() == 1 && complaints[0].contains(words), "{complaints:?}");
    }

    /// The lines on stderr besides the announcement of the device.
    pub fn complaints(&self) -> Vec<&str> {
        self.stderr.lines().filter(|l| !l.starts_with("Device: ")).collect()
    }
}

/// Sends a signal.
#[cfg(unix)]
pub fn send(child: &Child, signal: &str) {
    let id = child.id().to_string();
    assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
}

/// Starts a command and waits until it has said what it computes on, and a little.
#[cfg(unix)]
pub fn started(mut command: Command) -> (Child, BufReader<ChildStderr>) {
    let mut child = command.spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut first = String::new();
    stderr.read_line(&mut first).unwrap();
    assert!(first.starts_with("Device: "), "{first}");
    std::thread::sleep(Duration::from_millis(400));
    (child, stderr)
}

/// Waits for the end of a command that was [`started`]; what it said after its first line.
#[cfg(unix)]
pub fn ended((child, mut stderr): (Child, BufReader<ChildStderr>)) -> Ran {
    let mut said = String::new();
    stderr.read_to_string(&mut said).unwrap();
    let mut ran = Ran::of(child.wait_with_output().unwrap());
    ran.stderr = said;
    ran
}
