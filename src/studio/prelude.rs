//! What nearly every panel is drawn with, and what many of them draw.

pub(super) use std::sync::Arc;

pub(super) use egui::{
    Align, Align2, Button, Color32, Context, FontId, Frame, Id, Key, Label, Layout, Modifiers,
    Painter, Panel, Pos2, Rect, Response, RichText, Role, ScrollArea, Sense, Shape, Slider, Stroke,
    StrokeKind, TextStyle, TextureId, Ui, Vec2, WidgetInfo, pos2, vec2,
};

pub(super) use super::{
    app::Studio,
    format,
    state::{JobKind, RunningJob, State, WAIT},
    task_state::{Arm, TaskState},
    tasks,
    theme::{self, Palette},
    views::View,
    widgets::*,
};
pub(super) use crate::{
    engine::{Grid, Opened, Run},
    words::Task,
};
