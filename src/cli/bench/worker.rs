//! A process that does one round of work each time it is told to.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use salun_studio::error::{Error, Result};

/// Ours or a rival's, behind the same lines: "ready", seconds for each "go", MiB at the end.
pub struct Worker {
    name: String,
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Worker {
    /// Starts the process and waits until it is ready.
    ///
    /// # Errors
    /// It does not start or ends before it is ready; its last words are given.
    pub fn start(name: &str, command: &mut Command) -> Result<Self> {
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped.spawn().map_err(|e| Error::Request(format!("{name}: {e}")))?;
        let missing = || Error::Request(format!("{name}: no pipe"));
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().ok_or_else(missing)?);
        let mut worker = Self { name: name.into(), child, input, output };
        match worker.line()?.as_str() {
            "ready" => Ok(worker),
            other => Err(worker.broken(other)),
        }
    }

    /// So many rounds, each in seconds.
    ///
    /// # Errors
    /// The process ended or does not say a number.
    pub fn rounds(&mut self, n: usize) -> Result<Vec<f64>> {
        (0..n).map(|_| self.go()).collect()
    }

    fn go(&mut self) -> Result<f64> {
        let input = self.input.as_mut().ok_or(Error::Cancelled)?;
        if writeln!(input, "go").and_then(|()| input.flush()).is_err() {
            return Err(self.broken("it ended"));
        }
        let line = self.line()?;
        line.parse().map_err(|_| self.broken(&line))
    }

    /// Ends the process; the memory in MiB that the rounds took beyond the start, where known.
    ///
    /// # Errors
    /// The process fails at its end.
    pub fn end(mut self) -> Result<Option<f64>> {
        self.input = None;
        let line = self.line()?;
        Ok(line.parse().ok())
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        match self.output.read_line(&mut line) {
            Ok(n) if n > 0 => Ok(line.trim().into()),
            _ => {
                let errors = self.child.stderr.take().map(|errors| BufReader::new(errors).lines());
                let last = errors.into_iter().flatten().map_while(std::result::Result::ok).last();
                Err(self.broken(&last.unwrap_or_default()))
            }
        }
    }

    fn broken(&self, words: &str) -> Error {
        Error::Request(format!("{}: {words}", self.name))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.input = None;
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
