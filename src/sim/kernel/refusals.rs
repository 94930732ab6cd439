//! What the fake kernel refuses without a reason of its own.

use std::collections::BTreeMap;

use crate::core::kernel::object::Refusal;
use crate::core::output::{Object, Step};
use crate::net::IfIndex;

/// Decides about a step by itself, and by how often it was tried, this time included.
pub type Decide = fn(&Step, u32) -> Option<Refusal>;

/// Refuses steps of some kinds, some times.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Kinds of steps, a bit each (see [`kind`]).
    pub kinds: u8,
    /// On this interface only.
    pub interface: Option<IfIndex>,
    /// With this reason.
    pub refusal: Refusal,
    /// How many more are refused.
    pub left: u32,
}

/// All that is refused without a reason.
#[derive(Clone, Debug, Default)]
pub struct Refusals {
    /// Rules; the first that fits is used up.
    pub rules: Vec<Rule>,
    /// Decides where no rule has.
    pub decide: Option<Decide>,
    /// How often each step was tried while there was somebody to decide.
    pub tries: BTreeMap<Step, u32>,
}

impl Refusals {
    /// Why a step is refused, if it is.
    pub(super) fn refuse(&mut self, step: &Step) -> Option<Refusal> {
        let interface = step.object().interface();
        let rule = self.rules.iter_mut().find(|rule| {
            let here = rule.interface.is_none() || rule.interface == interface;
            rule.kinds & kind(step) != 0 && here && rule.left > 0
        });
        if let Some(rule) = rule {
            rule.left -= 1;
            return Some(rule.refusal);
        }
        let decide = self.decide?;
        let tries = self.tries.entry(step.clone()).or_default();
        *tries += 1;
        decide(step, *tries)
    }
}

/// The kind of a step, as a bit: 1 an address set, 2 one removed; 4 a route set, 8 one replaced,
/// 16 one removed; 32 a setting; 64 a group; 128 all else.
pub const fn kind(step: &Step) -> u8 {
    match (step.object(), step) {
        (Object::Address(_), Step::Remove(_)) => 2,
        (Object::Address(_), Step::Set(_) | Step::Replace(_)) => 1,
        (Object::Route(_), Step::Set(_)) => 4,
        (Object::Route(_), Step::Replace(_)) => 8,
        (Object::Route(_), Step::Remove(_)) => 16,
        (Object::Setting(_), _) => 32,
        (Object::Membership(..), _) => 64,
        (
            Object::Port(_)
            | Object::Takeover(_)
            | Object::Leftover(..)
            | Object::Deprecation(_)
            | Object::LostRouter(..),
            _,
        ) => 128,
    }
}
