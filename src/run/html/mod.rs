//! A run as one page of HTML that needs nothing beside it: no network, no script, no other file. It opens from a
//! disk, is light or dark as the reader's system is, and prints.
//!
//! Names of classes, prompts and notes are other people's words: all text goes through
//! [`super::canvas::escaped`], and the page's own policy lets a browser fetch and run nothing.

mod sections;

use crate::data::brief;
use crate::engine::LogLine;
use crate::error::Result;
use crate::eval::{Evidence, headline};
use crate::run::canvas::escaped;
use crate::saliency::Histogram;
use crate::words::files::PAGE_START;
use crate::words::{Recipe, Report};

/// What a run's page tells of it.
pub struct Told<'a> {
    pub recipe: &'a Recipe,
    /// Of the run, and of its random-mask control where that is known.
    pub report: &'a Report,
    pub control: Option<&'a Report>,
    /// Names of the model's classes; none where it has none.
    pub classes: &'a [String],
    pub log: &'a [LogLine],
    /// The scores that the mask was cut from, where they are known.
    pub scores: Option<Histogram>,
    pub pictures: Vec<Picture>,
    /// What a link begins with: a page's address, or nothing.
    pub address: &'a str,
}

/// A picture of a page: its title, what it shows in words, and the PNG, which may move.
#[derive(Debug, Clone)]
pub struct Picture {
    pub title: String,
    pub alt: String,
    pub png: Vec<u8>,
}

/// Pictures of a run folder that stand on its page, and their titles.
pub const PICTURES: [(&str, &str); 3] =
    [("before.png", "Before"), ("after.png", "After"), ("attacks.png", "Attacks")];

impl Picture {
    /// A picture of a run, by its file in the run's folder.
    pub fn of(title: &str, report: &Report, png: Vec<u8>) -> Self {
        let alt = match title {
            "Before" => {
                format!("Pictures before forgetting; {}", sections::accuracies(&report.before))
            }
            "After" => format!("The same pictures after; {}", sections::accuracies(&report.after)),
            _ => "What each attack drew before and after forgetting, a row a try".into(),
        };
        Self { title: title.into(), alt, png }
    }
}

impl Told<'_> {
    /// What the run was, in a line: `fashion-ddpm forgets Sneaker`.
    pub fn title(&self) -> String {
        format!("{} forgets {}", self.report.model, brief(&self.report.forget.spec))
    }

    /// The page.
    ///
    /// # Errors
    /// The report or the recipe has no form as text.
    pub fn html(&self) -> Result<String> {
        let report = self.report;
        let title = escaped(&self.title());
        let head = headline(&Evidence::of(report), report.verdict.label);
        let clauses: String =
            report.verdict.why.split("; ").map(|clause| element("li", clause)).collect();
        let body = [
            self.pictures(),
            self.figures(),
            self.drawings(),
            self.conditions(),
            self.again()?,
            self.whole()?,
        ]
        .concat();
        Ok(format!(
            r#"{PAGE_START}<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<header>
<p class="mark">SalUn Studio, a run</p>
<h1>{title}</h1>
<p>{conditions}</p>
<section class="verdict {label}"><h2>{head}</h2><ul>{clauses}</ul></section>
</header>
<main>
{body}</main>
</body>
</html>
"#,
            style = include_str!("style.css"),
            conditions = escaped(&self.conditions_line()),
            label = report.verdict.label.name(),
            head = escaped(&head),
        ))
    }
}

/// An element of words.
fn element(tag: &str, text: &str) -> String {
    format!("<{tag}>{}</{tag}>", escaped(text))
}

/// A part of the page under its heading; nothing without a content.
fn section(title: &str, content: &str) -> String {
    match content {
        "" => String::new(),
        _ => format!("<section>{}{content}</section>\n", element("h2", title)),
    }
}

/// A figure with what stands below it.
fn figure(content: &str, caption: &str) -> String {
    format!("<figure>{content}{}</figure>", element("figcaption", caption))
}

/// Bytes as the letters of a data URI (RFC 4648).
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let byte = |i: usize| u32::from(group.get(i).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for i in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * i) & 63) as usize];
            text.push(if i <= group.len() { letter.into() } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_become_the_letters_of_the_standard() {
        let pairs =
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")];
        for (bytes, letters) in pairs {
            assert_eq!(base64(bytes.as_bytes()), letters);
        }
        assert_eq!(base64(&[0xff, 0xef, 0xbe]), "/+++");
    }
}
