//! What a data set was when something was made of it: states, cards, recipes and runs hold it, so that a
//! folder that has changed since, or another of the same name, is not taken for it.

use serde::{Deserialize, Serialize};

/// Of a folder of pictures; data sets with a name are always the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fingerprint {
    /// In the order of their labels.
    pub classes: Vec<String>,
    pub pictures: usize,
    /// SHA-256 over the sorted names of the files, relative to the folder, and their bytes.
    pub sha256: String,
}

impl Fingerprint {
    /// What has changed since, for a person; nothing where all is as it was.
    pub fn difference(&self, now: &Self) -> Option<String> {
        if self.classes != now.classes {
            let [then, now] = [self, now].map(|data| data.classes.join(", "));
            return Some(format!("its classes were {then}, now they are {now}"));
        }
        if self.pictures != now.pictures {
            return Some(format!("it had {} pictures, now {}", self.pictures, now.pictures));
        }
        (self.sha256 != now.sha256).then(|| "some of its pictures are others".to_string())
    }
}

/// What has changed between two, where both are known.
pub fn difference(then: Option<&Fingerprint>, now: Option<&Fingerprint>) -> Option<String> {
    then?.difference(now?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_named() {
        let print = |classes: &[&str], pictures, sha256: &str| Fingerprint {
            classes: classes.iter().map(|c| c.to_string()).collect(),
            pictures,
            sha256: sha256.into(),
        };
        let then = print(&["bar", "box"], 6, "a");
        assert_eq!(then.difference(&then), None);
        for (now, words) in [
            (print(&["box", "zbar"], 6, "b"), "were bar, box, now they are box, zbar"),
            (print(&["bar", "box"], 5, "b"), "had 6 pictures, now 5"),
            (print(&["bar", "box"], 6, "b"), "are others"),
        ] {
            assert!(then.difference(&now).unwrap().contains(words), "{words}");
        }
        assert_eq!(difference(None, Some(&then)), None, "what was written before has none");
    }
}
