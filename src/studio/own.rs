//! What panels and views keep for themselves from one frame to the next, by its type: whoever draws something
//! declares it, and nobody else lists it.

use std::{
    any::{Any, TypeId},
    collections::HashMap,
};

/// The own states of all panels and views.
#[derive(Default)]
pub struct Own(HashMap<TypeId, Box<dyn Any>>);

impl Own {
    /// The state of a type, which is made when somebody first asks for it.
    pub fn of<T: Default + 'static>(&mut self) -> &mut T {
        let state = self.0.entry(TypeId::of::<T>()).or_insert_with(|| Box::new(T::default()));
        state.downcast_mut().expect("is found by its type")
    }

    /// The state of a type, where somebody asked for it before.
    pub fn known<T: 'static>(&self) -> Option<&T> {
        self.0.get(&TypeId::of::<T>())?.downcast_ref()
    }
}
