//! A folder of pictures that are added to a data set.

use std::{path::Path, sync::Arc};

use image::RgbaImage;

use super::picture::{Unread, bytes_of, upright};
use super::{counted, kinds, list};
use crate::data::mine::MOST;
use crate::data::{Dataset, Mine, alike, class_index, fitted, square};
use crate::disk::files;
use crate::error::{Error, Result, ensure};

/// A picture file as it is meant to be seen.
///
/// # Errors
/// It cannot be read; the formats that can are named.
pub fn read_picture(path: &Path) -> Result<RgbaImage> {
    decoded(path).map_err(|why| {
        let what = why.name(path);
        Error::file(path, format!("is {what}; PNG, JPEG, WebP, GIF and BMP are read"))
    })
}

fn decoded(path: &Path) -> std::result::Result<RgbaImage, Unread> {
    upright(&bytes_of(path)?).map(|picture| picture.to_rgba8())
}

/// The pictures of a folder in the shape of a data set's: a sub-folder is called as the class of its pictures is,
/// or by that class's number, and else is a new class. What is not used is noted.
///
/// # Errors
/// The folder cannot be read, or has no or too many pictures.
pub fn beside(given: &str, data: &Dataset) -> Result<(Arc<Mine>, Vec<String>)> {
    let path = files::expanded(given);
    let listing = list::beside(&path)?;
    let (mut all, mut unread, mut notes) = (Vec::new(), Vec::new(), listing.notes);
    let n: usize = listing.classes.iter().map(|class| class.files.len()).sum();
    let many = || Error::file(&path, format!("has {n} files; 1 to {MOST} are needed"));
    ensure((1..=MOST).contains(&n), many)?;
    let mut laid = 0;
    for class in &listing.classes {
        let known = data.classes.iter().any(|name| alike(name, &class.name));
        let number = class.name.parse::<usize>().is_ok();
        let name = match known || number {
            true => data.classes[class_index(&data.classes, &class.name)?].clone(),
            false => class.name.clone(),
        };
        for file in &class.files {
            match decoded(&file.path) {
                Ok(picture) => {
                    let (picture, transparent) = square(picture)?;
                    laid += usize::from(transparent);
                    all.push((name.clone(), fitted(&picture, data.train.shape, false)));
                }
                Err(why) => unread.push((list::text(&file.within), why)),
            }
        }
    }
    if !unread.is_empty() {
        let files = counted(unread.len());
        notes.push(format!("{files} in {given} cannot be read: {}", kinds(&unread)));
    }
    if laid > 0 {
        notes.push(format!(
            "{laid} pictures in {given} are transparent in part and are laid on black or white"
        ));
    }
    let none = || Error::file(&path, "has no picture that can be read");
    ensure(!all.is_empty(), none)?;
    let title = path.file_name().unwrap_or_default().to_string_lossy();
    Ok((Arc::new(Mine::new(&title, data.train.shape, &all)), notes))
}
