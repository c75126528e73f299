//! The version of what is written: of recipes, reports, cards and training states.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

/// What this program writes, and the newest that it reads. Files of before there was a version have none.
const CURRENT: u32 = 1;

/// The version of a file that was read: one that this program knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Format;

impl Serialize for Format {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u32(CURRENT)
    }
}

impl<'de> Deserialize<'de> for Format {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        match u32::deserialize(from)? {
            0..=CURRENT => Ok(Self),
            newer => Err(D::Error::custom(format!(
                "it has format {newer}, and this program reads up to {CURRENT}; a newer one is needed"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::words::Recipe;

    #[test]
    fn a_file_of_a_newer_program_is_refused_by_its_version() {
        let now = Recipe::new("m", "d", "class:0").to_toml().unwrap();
        assert!(now.starts_with("format = 1\n"), "{now}");
        let newer = now.replace("format = 1", "format = 2") + "unheard = \"of\"\n";
        let error = toml::from_str::<Recipe>(&newer).unwrap_err();
        assert!(error.message().contains("format 2"), "{error}");
        // Files of before have none.
        toml::from_str::<Recipe>(&now.replace("format = 1\n", "")).unwrap();
    }
}
