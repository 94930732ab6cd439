//! A step that the kernel refused.

use std::fmt;

use serde::ser::{Serialize, SerializeStruct, Serializer};

use crate::core::kernel::object::Refusal;
use crate::core::kernel::object::Step;

/// A step that the kernel refused, and why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RefusedStep {
    /// The name of the interface that it is about.
    pub interface: Option<String>,
    /// The step.
    pub step: Step,
    /// The error of the kernel.
    pub refusal: Refusal,
}

impl RefusedStep {
    /// The step as the end of a sentence: "the kernel refused to ...".
    fn in_words(&self) -> String {
        let interface = self.interface.as_deref().unwrap_or("an interface that has vanished");
        self.step.in_words(interface).to_string()
    }

    fn serialize_fields<S: SerializeStruct>(&self, fields: &mut S) -> Result<(), S::Error> {
        fields.serialize_field("step", &self.in_words())?;
        fields.serialize_field("refusal", self.refusal.name())?;
        fields.serialize_field("errno", &self.refusal.number())?;
        fields.serialize_field("reason", &self.refusal.to_string())
    }
}

impl fmt::Display for RefusedStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the kernel refused to {}: {}", self.in_words(), self.refusal)
    }
}

impl Serialize for RefusedStep {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("RefusedStep", 4)?;
        self.serialize_fields(&mut fields)?;
        fields.end()
    }
}

/// Serializes the interface too, for an event that has no field of its own for it.
pub(super) fn with_interface<S: Serializer>(
    refused: &RefusedStep,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut fields = serializer.serialize_struct("RefusedStep", 5)?;
    fields.serialize_field("interface", &refused.interface)?;
    refused.serialize_fields(&mut fields)?;
    fields.end()
}
