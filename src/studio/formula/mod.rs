//! Formulas as they are typeset in a book: a small part of TeX's language, read here and drawn in `draw.rs`.
//!
//! `_` and `^` set the next letter or `{…}` low or high, below and above a sum or an expectation; `\frac{…}{…}`
//! is a fraction, `\text{…}` is upright, `\\` begins a line. Every other sign is itself.

mod draw;

pub use draw::sentences;

use std::str::Chars;

use crate::error::{Error, Result};

/// Signs that have their limits below and above them.
const LARGE: [char; 2] = ['∑', '∏'];

/// A part of a formula.
#[derive(Debug, Clone, PartialEq)]
enum Part {
    /// Letters that stand as they are, slanted or upright.
    Letters(String, bool),
    /// A sign that is larger than letters.
    Large(char),
    Fraction(Vec<Self>, Vec<Self>),
    /// Something with what stands low and high beside it, or below and above a large sign.
    Scripts {
        of: Box<Self>,
        low: Vec<Self>,
        high: Vec<Self>,
    },
}

/// A formula, line by line.
#[derive(Debug, Clone, PartialEq)]
pub struct Formula {
    lines: Vec<Vec<Part>>,
}

impl Formula {
    /// Reads a formula.
    ///
    /// # Errors
    /// A brace has no partner, a name is unknown, or something is missing behind a sign that asks for it.
    pub fn parse(text: &str) -> Result<Self> {
        let bad = |right: String| Error::argument("formula", text, right);
        let read = |line: &str| {
            let mut chars = line.trim().chars();
            let parts = row(&mut chars, false).map_err(bad)?;
            Ok(parts)
        };
        let lines = text.split(r"\\").map(read).collect::<Result<_>>()?;
        Ok(Self { lines })
    }

    /// The formula in one line of text, for those who hear it.
    pub fn plain(&self) -> String {
        let lines: Vec<String> = self.lines.iter().map(|line| plain(line)).collect();
        lines.join(", ")
    }
}

/// The parts up to the end, or up to the brace that closes them.
fn row(chars: &mut Chars, braced: bool) -> std::result::Result<Vec<Part>, String> {
    let mut parts: Vec<Part> = Vec::new();
    while let Some(c) = chars.next() {
        match c {
            '}' if braced => return Ok(parts),
            '}' => return Err("a brace closes what none opened".into()),
            '_' | '^' => {
                let script = group(chars)?;
                let of = parts.pop().ok_or("nothing stands before a low or high part")?;
                parts.push(scripted(of, script, c == '^'));
            }
            '\\' => parts.push(named(chars)?),
            '{' => parts.extend(row(chars, true)?),
            c if LARGE.contains(&c) => parts.push(Part::Large(c)),
            c => parts.push(Part::Letters(c.into(), slanted(c))),
        }
    }
    if braced { Err("a brace is not closed".into()) } else { Ok(parts) }
}

/// The next letter, or the parts between the next braces.
fn group(chars: &mut Chars) -> std::result::Result<Vec<Part>, String> {
    match chars.next() {
        Some('{') => row(chars, true),
        Some('\\') => Ok(vec![named(chars)?]),
        Some(c) if !c.is_whitespace() => Ok(vec![Part::Letters(c.into(), slanted(c))]),
        _ => Err("a letter or {…} is missing".into()),
    }
}

/// What the name behind a backslash stands for.
fn named(chars: &mut Chars) -> std::result::Result<Part, String> {
    let rest = chars.as_str();
    let end = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
    let name = &rest[..end];
    *chars = rest[end..].chars();
    match name {
        "frac" => Ok(Part::Fraction(group(chars)?, group(chars)?)),
        "text" => {
            let inside = chars.as_str();
            let end = inside.find('}').filter(|_| inside.starts_with('{'));
            let end = end.ok_or(r"\text needs {…}")?;
            *chars = inside[end + 1..].chars();
            Ok(Part::Letters(inside[1..end].into(), false))
        }
        _ => Err(format!(r"\{name} is not known; \frac and \text are")),
    }
}

/// A part with something low or high beside what it has.
fn scripted(of: Part, script: Vec<Part>, above: bool) -> Part {
    let (of, mut low, mut high) = match of {
        Part::Scripts { of, low, high } => (of, low, high),
        of => (Box::new(of), Vec::new(), Vec::new()),
    };
    (if above { &mut high } else { &mut low }).extend(script);
    Part::Scripts { of, low, high }
}

/// Whether a sign is a variable, which is slanted.
fn slanted(c: char) -> bool {
    c.is_alphabetic() && !c.is_uppercase() || c.is_ascii_uppercase()
}

fn plain(parts: &[Part]) -> String {
    let inside = |parts: &[Part]| match plain(parts) {
        text if text.chars().count() > 1 => format!("({text})"),
        text => text,
    };
    let one = |part: &Part| match part {
        Part::Letters(text, _) => text.clone(),
        Part::Large(sign) => sign.to_string(),
        Part::Fraction(above, below) => format!("{}/{}", inside(above), inside(below)),
        Part::Scripts { of, low, high } => {
            let mut text = plain(std::slice::from_ref(of));
            for (mark, script) in [("_", low), ("^", high)] {
                if !script.is_empty() {
                    text += &format!("{mark}{}", inside(script));
                }
            }
            text
        }
    };
    parts.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_formula_is_read_and_said() {
        let said = |text: &str| Formula::parse(text).unwrap().plain();
        assert_eq!(said("D_r = D ∖ D_f"), "D_r = D ∖ D_f");
        assert_eq!(
            said(r"\frac{1}{|D_f|} ∑_{x ∈ D_f} ℓ(θ_0^{old}; x)"),
            "1/(|D_f|) ∑_(x ∈ D_f) ℓ(θ_0^(old); x)"
        );
        assert_eq!(said(r"a \\ \text{UA} = 100"), "a, UA = 100");
        let Part::Scripts { of, low, high } = &Formula::parse("∑_i^N x").unwrap().lines[0][0]
        else {
            panic!("a sum has limits")
        };
        assert_eq!((&**of, low.len(), high.len()), (&Part::Large('∑'), 1, 1));
    }

    #[test]
    fn a_formula_that_is_none_is_refused() {
        for (text, why) in [
            ("a_{b", "not closed"),
            ("a}b", "none opened"),
            ("_a", "before"),
            ("a_", "missing"),
            (r"\frac{a}", "missing"),
            (r"\alpha", "alpha"),
            (r"\text a", "needs"),
        ] {
            let error = Formula::parse(text).expect_err(text).to_string();
            assert!(error.contains(why) && !error.contains('\n'), "{text}: {error}");
        }
    }
}
