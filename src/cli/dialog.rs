//! The desktop's own dialog for files and folders.

use std::{path::Path, pin::Pin, sync::mpsc};

use salun_studio::studio::{Ask, Native, WEIGHTS};

/// The desktop's own dialog, where it has one.
pub fn native() -> Option<Native> {
    // One that shows dialogs: the portal alone passes them on to a desktop's part.
    let shows = |file: std::fs::DirEntry| {
        std::fs::read_to_string(file.path()).is_ok_and(|text| text.contains("FileChooser"))
    };
    let portal = ["/usr/share", "/usr/local/share"].iter().any(|share| {
        let portals = std::fs::read_dir(Path::new(share).join("xdg-desktop-portal/portals"));
        portals.into_iter().flatten().flatten().any(shows)
    });
    let bus = std::env::var_os("DBUS_SESSION_BUS_ADDRESS").is_some();
    if cfg!(target_os = "linux") && !(portal && bus) {
        return None;
    }
    Some(Box::new(|ask, from: &Path, wake| {
        let dialog = rfd::AsyncFileDialog::new().set_directory(from);
        // Begun here and not on the thread: a Mac shows dialogs on its first one only.
        let answer: Pin<Box<dyn Future<Output = Option<rfd::FileHandle>> + Send>> = match ask {
            Ask::File | Ask::After => Box::pin(dialog.add_filter("Weights", &WEIGHTS).pick_file()),
            Ask::Folder | Ask::AfterFolder | Ask::SaveTo => Box::pin(dialog.pick_folder()),
        };
        let (tell, told) = mpsc::channel();
        std::thread::spawn(move || {
            let path = pollster::block_on(answer).map(|file| file.path().to_path_buf());
            // The window may be closed by now.
            let _ = tell.send(path);
            wake();
        });
        told
    }))
}
