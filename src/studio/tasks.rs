//! What the studio says and offers for each task: a row of a table.

use std::sync::Arc;

use egui::{Key, Ui};

use super::app::Studio;
use super::state::State;
use super::task_state::Pane::{After, Before, Random, Retrain};
use super::{Pane, classes, prompt};
use crate::engine::Opened;
use crate::words::Task;

/// A task as the studio shows it.
pub struct TaskRow {
    pub task: Task,
    /// On its tab.
    pub title: &'static str,
    /// The key that shows it.
    pub key: Key,
    /// What stands side by side: nobody trains a text-to-image model anew to forget a prompt.
    pub panes: &'static [Pane],
    /// What is to be done for pictures after forgetting: as long as nothing is picked, and then.
    pub next_step: [&'static str; 2],
    /// What the first pictures are.
    pub opening: &'static str,
    /// What is to be done first, and what it is good for.
    pub pick: [&'static str; 2],
    /// Draws what can be forgotten of a model, once there is something to see of it.
    pub what_ui: fn(&mut Studio, &mut Ui, Option<&Arc<Opened>>),
    /// Draws what the forgotten is to become.
    pub redirect_ui: fn(&mut State, &mut Ui),
}

/// Models of classes.
const DIFFUSION: TaskRow = TaskRow {
    task: Task::Generate,
    title: "Diffusion",
    key: Key::Num1,
    panes: &[Before, After, Random, Retrain],
    next_step: [
        "Pick a class and press Forget: the same noise, afterwards",
        "Now press Forget: the same noise, afterwards",
    ],
    opening: "The model shows what it knows of every class",
    pick: ["Pick what to forget first", "Pick what to forget to see which weights it lives in"],
    what_ui: classes::classes_ui,
    redirect_ui: classes::redirect_ui,
};

/// Every task, in the order of the tabs.
pub static ALL: [TaskRow; Task::ALL.len()] = [
    DIFFUSION,
    TaskRow {
        task: Task::Classify,
        title: "Classifier",
        key: Key::Num2,
        next_step: [
            "Pick a class and press Forget: the same pictures, afterwards",
            "Now press Forget: the same pictures, afterwards",
        ],
        ..DIFFUSION
    },
    TaskRow {
        task: Task::TextToImage,
        title: "Text-to-image",
        key: Key::Num3,
        panes: &[Before, After, Random],
        next_step: [
            "Say what to forget and press Forget: the same prompts and noise, afterwards",
            "Now press Forget: the same prompts and noise, afterwards",
        ],
        opening: "The model shows what it draws, in every style that it knows",
        pick: ["Say what to forget first", "Say what to forget to see which weights it lives in"],
        what_ui: prompt::prompt_ui,
        redirect_ui: prompt::redirect_ui,
    },
];

/// A task's row.
pub fn of(task: Task) -> &'static TaskRow {
    ALL.iter().find(|row| row.task == task).unwrap_or(&ALL[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stand_in_the_order_of_the_tasks() {
        assert!(ALL.iter().map(|row| row.task).eq(Task::ALL));
    }
}
