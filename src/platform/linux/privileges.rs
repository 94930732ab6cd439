//! The rights that the agent keeps when root makes it another user, and the files that it can reach
//! then.

use std::ffi::CString;
use std::io;
use std::path::PathBuf;

use caps::{CapSet, Capability, CapsHashSet, securebits};
use landlock::{
    ABI, Access as _, AccessFs, CompatLevel, Compatible as _, Ruleset, RulesetAttr as _,
    RulesetCreatedAttr as _, RulesetStatus, path_beneath_rules,
};
use nix::sys::prctl;
use nix::unistd::{Gid, Uid, initgroups, setresgid, setresuid};

use crate::platform::Account;

/// The rights to change addresses, routes and settings, to send ICMPv6, and to bind the ports of
/// DHCPv6.
const KEPT: [Capability; 3] =
    [Capability::CAP_NET_ADMIN, Capability::CAP_NET_RAW, Capability::CAP_NET_BIND_SERVICE];

/// The newest rules for files that are asked for; a kernel that knows fewer is asked for those.
const RULES: ABI = ABI::V5;

/// Goes on as another user with the capabilities [`KEPT`], and programs that are started have no more
/// than these. With `real_time` it may still choose how it is scheduled.
///
/// # Errors
///
/// Which step failed and what the system says; the process is not to go on then.
pub fn go_on_as(account: &Account, real_time: bool) -> io::Result<()> {
    let mut kept: CapsHashSet = KEPT.into_iter().collect();
    if real_time {
        kept.insert(Capability::CAP_SYS_NICE);
    }
    let failed = |step: &'static str| {
        move |error: &dyn std::fmt::Display| io::Error::other(format!("{step}: {error}"))
    };
    let is_bound = caps::read(None, CapSet::Bounding);
    for capability in is_bound.map_err(|error| failed("reading capabilities")(&error))? {
        if !kept.contains(&capability) {
            let dropped = caps::drop(None, CapSet::Bounding, capability);
            dropped.map_err(|error| failed("limiting capabilities")(&error))?;
        }
    }
    securebits::set_keepcaps(true).map_err(|error| failed("keeping capabilities")(&error))?;
    let (uid, gid) = (Uid::from_raw(account.uid), Gid::from_raw(account.gid));
    let name = CString::new(account.name.as_str())?;
    initgroups(&name, gid).map_err(|error| failed("setting groups")(&error))?;
    setresgid(gid, gid, gid).map_err(|error| failed("setting the group")(&error))?;
    setresuid(uid, uid, uid).map_err(|error| failed("setting the user")(&error))?;
    // In this order: nothing can be in the later sets that is not in those before.
    for set in [CapSet::Permitted, CapSet::Effective, CapSet::Inheritable, CapSet::Ambient] {
        caps::set(None, set, &kept).map_err(|error| failed("setting capabilities")(&error))?;
    }
    prctl::set_no_new_privs().map_err(|error| failed("giving up new privileges")(&error))
}

/// Leaves this process and what it starts nothing of the file system but what lies below `read`, to
/// read, and below `write`, to read and write; nothing there can be executed. False where the kernel
/// has no Landlock. What does not exist is left out.
///
/// # Errors
///
/// The system's error.
pub fn confine(read: &[PathBuf], write: &[PathBuf]) -> io::Result<bool> {
    let all = AccessFs::from_all(RULES);
    let ruleset = Ruleset::default().set_compatibility(CompatLevel::BestEffort);
    let confined = ruleset
        .handle_access(all)
        .and_then(Ruleset::create)
        .and_then(|made| {
            made.add_rules(path_beneath_rules(read, AccessFs::ReadFile | AccessFs::ReadDir))
        })
        .and_then(|made| made.add_rules(path_beneath_rules(write, all & !AccessFs::Execute)))
        .and_then(landlock::RulesetCreated::restrict_self)
        .map_err(io::Error::other)?;
    Ok(confined.ruleset != RulesetStatus::NotEnforced)
}
