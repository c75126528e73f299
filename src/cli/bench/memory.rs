//! Memory and processor time of this process, where the system tells (Linux).

use std::fs;

/// Forgets the peak so far and returns the memory in use, in MiB.
pub fn restart() -> Option<f64> {
    fs::write("/proc/self/clear_refs", "5").ok()?;
    field("VmRSS:")
}

/// The most memory in use since [`restart`], in MiB.
pub fn peak() -> Option<f64> {
    field("VmHWM:")
}

/// Seconds that all of this process's threads have computed.
pub fn cpu_seconds() -> Option<f64> {
    /// Ticks in a second, in every file below /proc.
    const TICKS: f64 = 100.0;
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // Behind the name, which may hold anything; user and system are the 14th and the 15th field.
    let (_, fields) = stat.rsplit_once(')')?;
    let ticks: Vec<f64> =
        fields.split_whitespace().skip(11).take(2).filter_map(|t| t.parse().ok()).collect();
    (ticks.len() == 2).then(|| ticks.iter().sum::<f64>() / TICKS)
}

fn field(name: &str) -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix(name))?;
    let kib: f64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib / 1024.0)
}
