//! A step that the kernel refused.

use std::fmt;

use serde::ser::{Serialize, SerializeStruct, Serializer};

use crate::core::kernel::object::{Object, Refusal, Step};

/// A step that the kernel refused, and why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RefusedStep {
    /// The name of the interface in question.
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

    /// Whether it was refused because a right is missing.
    pub(super) fn lacks_right(&self) -> bool {
        self.missing_right().is_some()
    }

    /// The right that is missing, if one is, and how the agent is given it.
    fn missing_right(&self) -> Option<&'static str> {
        if self.refusal != Refusal::NotPermitted {
            return None;
        }
        Some(match self.step.object() {
            Object::Port(_) => {
                "the agent needs the capability CAP_NET_BIND_SERVICE (in a unit: \
                 AmbientCapabilities=), or to be root"
            }
            Object::Setting(_) => {
                "the agent needs the capability CAP_NET_ADMIN (in a unit: AmbientCapabilities=), or \
                 to be root, and a /proc/sys/net that is not read-only (ProtectKernelTunables=no)"
            }
            Object::Address(_)
            | Object::Route(_)
            | Object::Membership(..)
            | Object::Takeover(_)
            | Object::Leftover(..)
            | Object::Deprecation(_)
            | Object::LostRouter(..) => {
                "the agent needs the capability CAP_NET_ADMIN (in a unit: AmbientCapabilities=), or \
                 to be root"
            }
        })
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
        write!(f, "the kernel refused to {}: {}", self.in_words(), self.refusal)?;
        match self.missing_right() {
            Some(right) => write!(f, ", {right}"),
            None => Ok(()),
        }
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
