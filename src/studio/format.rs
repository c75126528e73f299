//! Numbers and names as a person reads them.

use super::request::parse_items;
use crate::gpu::{DeviceInfo, DeviceKind};
use crate::unlearn::registry::METHODS;

pub use crate::words::grouped as count;

/// A share of 0..=1 as "50 %", with a decimal where it says more.
pub fn percent(share: f64) -> String {
    let value = share * 100.0;
    if value == 0.0 || value >= 9.95 || (value - value.round()).abs() < 0.005 {
        format!("{value:.0} %")
    } else {
        format!("{value:.1} %")
    }
}

/// Seconds as "12 s left" or "3 min left".
pub fn left(seconds: f64) -> String {
    match seconds {
        s if s < 1.0 => "1 s left".into(),
        s if s < 90.0 => format!("{s:.0} s left"),
        s if s < 5400.0 => format!("{:.0} min left", s / 60.0),
        s => format!("{:.1} h left", s / 3600.0),
    }
}

/// Seconds that went by as "12 s" or "3:05".
pub fn elapsed(seconds: f64) -> String {
    let whole = seconds as u64;
    match whole {
        0..60 => format!("{whole} s"),
        60..3600 => format!("{}:{:02}", whole / 60, whole % 60),
        _ => format!("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60),
    }
}

/// A clause as a line of its own: a capital first, and no number parted from its unit or its name.
pub fn line(clause: &str) -> String {
    let mut chars = clause.trim().chars();
    let first = chars.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    unbroken(&(first + chars.as_str()))
}

/// A heading as a part of a sentence.
pub fn lower(heading: &str) -> String {
    let mut chars = heading.chars();
    chars.next().map_or(String::new(), |c| c.to_lowercase().to_string() + chars.as_str())
}

/// A text in which a line never breaks after a number or around "=".
pub fn unbroken(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let firm = |i: usize| {
        let before = i.checked_sub(1).and_then(|b| chars.get(b));
        before.is_some_and(|c| c.is_ascii_digit() || *c == '=') || chars.get(i + 1) == Some(&'=')
    };
    let each = chars.iter().enumerate();
    each.map(|(i, c)| if *c == ' ' && firm(i) { '\u{a0}' } else { *c }).collect()
}

/// "AMD Radeon, Vulkan" or "CPU, no GPU found".
pub fn device(info: &DeviceInfo) -> String {
    match info.kind {
        DeviceKind::Cpu => format!("CPU, {}", info.why.split(',').next().unwrap_or_default()),
        // Browsers need not tell.
        _ if info.name.is_empty() => format!("GPU, {}", api(&info.api)),
        _ => format!("{}, {}", info.name, api(&info.api)),
    }
}

/// A graphics interface by its proper name.
pub fn api(name: &str) -> &str {
    match name {
        "vulkan" => "Vulkan",
        "metal" => "Metal",
        "dx12" => "DirectX 12",
        "webgpu" => "WebGPU",
        "gl" => "OpenGL",
        other => other,
    }
}

/// A forget set as in a sentence: "Sneaker", "a random 10 %".
pub fn forget_set(spec: &str) -> String {
    match spec.split_once(':') {
        Some(("class", name)) => name.into(),
        Some(("prompt", text)) => format!("“{}”", text.trim_matches('"')),
        Some(("random", share)) => format!("a random {}", share.replace('%', " %")),
        Some((kind @ ("hardest" | "easiest"), share)) => {
            format!("the {kind} {}", share.replace('%', " %"))
        }
        Some(("items", list)) => match parse_items(list).map_or(0, |items| items.len()) {
            1 => "1 picked picture".into(),
            n => format!("{} picked pictures", count(n)),
        },
        Some(("mine", name)) => {
            let title = name.rsplit_once('-').map_or(name, |(title, _)| title);
            format!("the pictures “{title}”")
        }
        _ => spec.into(),
    }
}

/// The beginning of a protocol's hash, which tells it from others.
pub fn protocol(hash: &str) -> String {
    format!("protocol {}", hash.chars().take(12).collect::<String>())
}

/// A method's name for a person.
pub fn method(name: &str) -> &str {
    METHODS.iter().find(|m| m.name == name).map_or(name, |m| m.title)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(count(0), "0");
        assert_eq!(count(701_466), "701,466");
        assert_eq!(count(1_000), "1,000");
        assert_eq!(percent(0.5), "50 %");
        assert_eq!(percent(0.0), "0 %");
        assert_eq!(percent(0.025), "2.5 %");
        assert_eq!(left(0.2), "1 s left");
        assert_eq!([12.9, 185.0, 3725.0].map(elapsed), ["12 s", "3:05", "1:02:05"]);
        assert_eq!(line("a (n = 9, 0.0 %) b"), "A (n\u{a0}=\u{a0}9, 0.0\u{a0}%) b");
        assert_eq!(left(240.0), "4 min left");
        assert_eq!(forget_set("random:10%"), "a random 10 %");
        assert_eq!(forget_set("class:Ankle boot"), "Ankle boot");
        assert_eq!(forget_set("prompt:a cat"), "“a cat”");
        assert_eq!(forget_set("items:3-14"), "12 picked pictures");
    }
}
