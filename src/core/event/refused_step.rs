//! A step that the kernel refused.

use std::fmt;

use serde::ser::{Serialize, SerializeStruct, Serializer};

use crate::core::input::Refusal;
use crate::core::output::Step;
use crate::core::system::{KernelRoute, RouteTarget};

/// A step that the kernel refused, and why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RefusedStep {
    /// The name of the interface that it is about.
    pub interface: Option<String>,
    /// The step.
    pub step: Step,
    /// Why.
    pub refusal: Refusal,
}

impl RefusedStep {
    /// What was to be done.
    fn in_words(&self) -> String {
        let interface = self.interface.as_deref().unwrap_or("an interface that has vanished");
        let route = |route: &KernelRoute| match &route.target {
            RouteTarget::Gateway(_, gateway) => {
                format!("route {} via {gateway} on {interface}", route.destination)
            }
            RouteTarget::OnLink(_) => format!("route {} on {interface}", route.destination),
            RouteTarget::Unreachable => format!("unreachable route {}", route.destination),
        };
        match &self.step {
            Step::SetAddress(wanted) => {
                format!("set address {}/{} on {interface}", wanted.address, wanted.prefix_len)
            }
            Step::RemoveAddress { address, prefix_len, .. } => {
                format!("remove address {address}/{prefix_len} on {interface}")
            }
            Step::AddRoute(wanted) => format!("add {}", route(wanted)),
            Step::ReplaceRoute(wanted) => format!("replace {}", route(wanted)),
            Step::RemoveRoute(wanted) => format!("remove {}", route(wanted)),
            Step::SetSysctl { interface, name, value } => {
                format!("set net.ipv6.conf.{interface}.{} to {value}", name.file())
            }
            Step::Join(group, _) => format!("join {} on {interface}", group.address()),
            Step::Leave(group, _) => format!("leave {} on {interface}", group.address()),
            Step::Serve(true) => "open UDP port 547".to_owned(),
            Step::Serve(false) => "close UDP port 547".to_owned(),
            Step::DropKernelMade(_) => {
                format!("drop what it made of advertisements on {interface}")
            }
        }
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

/// With the interface: where that is no field of what the step stands in.
pub(super) fn with_interface<S: Serializer>(
    refused: &RefusedStep,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut fields = serializer.serialize_struct("RefusedStep", 5)?;
    fields.serialize_field("interface", &refused.interface)?;
    refused.serialize_fields(&mut fields)?;
    fields.end()
}
