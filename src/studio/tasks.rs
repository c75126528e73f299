//! What the studio says and offers for each task: a row of a table.

use std::sync::Arc;

use egui::{Key, Ui};

use super::app::Studio;
use super::state::State;
use super::task_state::Pane::{After, Before, Random, Retrain};
use super::{Choice, Pane, TaskState, classes, prompt};
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
    /// What the first pictures are.
    pub opening: &'static str,
    /// What is to be done first, and what it is good for.
    pub pick: [&'static str; 2],
    /// The recorded table that shows how methods do at it.
    pub table: &'static str,
    /// What the arrows walk through.
    pub choices: fn(&Opened) -> Vec<Choice>,
    /// What could be forgotten, where nothing is picked.
    pub example: fn(&TaskState) -> Option<Choice>,
    /// Draws what can be forgotten of a model, once there is something to see of it.
    pub what_ui: fn(&mut Studio, &mut Ui, Option<&Arc<Opened>>),
    /// Draws what the forgotten is to become.
    pub redirect_ui: fn(&mut State, &mut Ui),
}

/// Models of classes.
const DIFFUSION: TaskRow = TaskRow {
    task: Task::Generate,
    title: "Diffusion",
    key: Key::Num2,
    panes: &[Before, After, Random, Retrain],
    opening: "What the model draws of every class",
    pick: ["Pick what to forget first", "Pick what to forget to see which weights it lives in"],
    table: "ddpm-classwise",
    choices: |opened| (0..opened.classes.len()).map(Choice::Class).collect(),
    example: classes::example,
    what_ui: classes::classes_ui,
    redirect_ui: classes::redirect_ui,
};

/// Every task, in the order of the tabs; the studio opens on the first.
pub static ALL: [TaskRow; Task::ALL.len()] = [
    TaskRow {
        task: Task::TextToImage,
        title: "Text-to-image",
        key: Key::Num1,
        panes: &[Before, After, Random],
        opening: "What the model draws from words, in every style that it knows",
        pick: ["Say what to forget first", "Say what to forget to see which weights it lives in"],
        table: "prompts",
        choices: prompt::choices,
        example: prompt::example,
        what_ui: prompt::prompt_ui,
        redirect_ui: prompt::redirect_ui,
    },
    DIFFUSION,
    TaskRow {
        task: Task::Classify,
        title: "Classifier",
        key: Key::Num3,
        opening: "The pictures that the model is asked about, of every class",
        table: "classwise",
        ..DIFFUSION
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
