//! The resolver data of one interface, with its holder: systemd-resolved, or a program in the form
//! of resolvconf(8).

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv6Addr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;

use super::keeper::Keep;
use super::record::{Holder, Record};
use super::resolved;
use super::text::{self, Resolver};
use crate::config::ResolverTarget;
use crate::core::client::Published;
use crate::programs::command::{self, Manner};

/// How long a program that is handed resolver data may take.
pub(super) const LIMIT: Duration = Duration::from_secs(20);
/// A socket that systemd-resolved listens on while it runs.
const RESOLVED: &str = "/run/systemd/resolve/io.systemd.Resolve";
/// The fault where routers advertise DNS servers and this machine does not use them by itself.
const NOBODY_TAKES: &str = "routers advertise DNS servers, which nothing here takes: \
    systemd-resolved does not run and resolvconf is not there; start the one or install openresolv, \
    or name a file, a program or none: resolver in [client.INTERFACE], -R PROGRAM of rtsold";
/// The part behind the interface's name in the key of an entry, as in rtsold(8).
const ORIGIN: &str = "slaac";

/// The resolver data to publish.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Wanted {
    pub(super) interface: String,
    pub(super) target: ResolverTarget,
    /// None of them empty: one of the interface, or one of each router.
    pub(super) resolvers: Vec<Resolver>,
}

/// The entry of an interface, or those of its routers.
pub(super) struct Entry {
    interface: String,
    record: Record,
    /// The data that holders have been handed since the start.
    handed: BTreeMap<Holder, Resolver>,
}

impl Entry {
    pub(super) const fn new(interface: String, record: Record) -> Self {
        Self { interface, record, handed: BTreeMap::new() }
    }

    fn holders(&self) -> BTreeSet<Holder> {
        self.record.read().entries.get(&self.interface).cloned().unwrap_or_default()
    }

    async fn withdraw(&mut self, holder: &Holder) -> Result<(), String> {
        match holder {
            Holder::Resolved => resolved::withdraw(&self.interface).await?,
            // An uninstalled program holds nothing any more.
            Holder::Program(program) if program.is_file() => {
                self.run(program, "-d", None, "").await?;
            }
            Holder::ProgramForRouter(program, router) if program.is_file() => {
                self.run(program, "-d", Some(*router), "").await?;
            }
            Holder::Program(_) | Holder::ProgramForRouter(..) => {}
        }
        self.handed.remove(holder);
        self.record.change(|handed| {
            let holders = handed.entries.entry(self.interface.clone()).or_default();
            holders.remove(holder);
            handed.entries.retain(|_, holders| !holders.is_empty());
        });
        Ok(())
    }

    async fn hand(&mut self, holder: Holder, resolver: &Resolver) -> Result<(), String> {
        if self.handed.get(&holder) == Some(resolver) {
            return Ok(());
        }
        // The record comes first: the entry may outlive the agent.
        self.record.change(|handed| {
            handed.entries.entry(self.interface.clone()).or_default().insert(holder.clone());
        });
        self.handed.remove(&holder);
        match &holder {
            Holder::Resolved => resolved::hand(resolver).await?,
            Holder::Program(program) | Holder::ProgramForRouter(program, _) => {
                let lines = text::lines(std::slice::from_ref(resolver));
                self.run(program, "-a", resolver.router, &lines).await?;
            }
        }
        self.handed.insert(holder, resolver.clone());
        Ok(())
    }

    async fn run(
        &self,
        program: &Path,
        option: &str,
        router: Option<Ipv6Addr>,
        input: &str,
    ) -> Result<(), String> {
        let key = key_of(&self.interface, router);
        let manner = Manner { input, detached: false };
        let ran = command::run_as(program, &[option, &key], manner, LIMIT).await;
        ran.map(drop).map_err(|failure| {
            let program = program.display();
            format!("`{program} {option} {key}` failed, and is run again: {failure}")
        })
    }
}

impl Keep for Entry {
    type Wanted = Option<Wanted>;

    fn is_empty(wanted: &Self::Wanted) -> bool {
        wanted.as_ref().is_none_or(|wanted| wanted.resolvers.is_empty())
    }

    fn interfaces(wanted: &Self::Wanted) -> Vec<String> {
        wanted.iter().map(|wanted| wanted.interface.clone()).collect()
    }

    fn published(&self) -> Published {
        Published::Resolver
    }

    async fn bring(&mut self, wanted: &Self::Wanted) -> Result<(), String> {
        let holder = match wanted {
            Some(wanted) if !wanted.resolvers.is_empty() => {
                let holder =
                    holder_of(&wanted.target, || resolved_runs(Path::new(RESOLVED)), resolvconf);
                // A missing holder has lost its entry, and gets it again when it is there.
                holder.inspect_err(|_| self.handed.clear())?
            }
            Some(_) | None => None,
        };
        // Make before break: between two holders there is a resolver at all times.
        let mut outcome = Ok(());
        let mut holders = BTreeSet::new();
        for resolver in wanted.iter().flat_map(|wanted| &wanted.resolvers) {
            let Some(holder) = holder.clone() else { break };
            let holder = match (holder, resolver.router) {
                (Holder::Program(program), Some(router)) => {
                    Holder::ProgramForRouter(program, router)
                }
                (holder, _) => holder,
            };
            holders.insert(holder.clone());
            outcome = outcome.and(self.hand(holder, resolver).await);
        }
        for former in self.holders().difference(&holders) {
            outcome = outcome.and(self.withdraw(former).await);
        }
        outcome
    }
}

/// The key of an entry, as in rtsold(8), whose option -u adds the router to it.
fn key_of(interface: &str, router: Option<Ipv6Addr>) -> String {
    match router {
        Some(router) => format!("{interface}:{ORIGIN}:[{router}%{interface}]"),
        None => format!("{interface}:{ORIGIN}"),
    }
}

/// The holder of the entry; none where none is wanted. `resolved_runs` and `resolvconf` say which
/// are installed.
fn holder_of(
    target: &ResolverTarget,
    resolved_runs: impl FnOnce() -> bool,
    resolvconf: impl FnOnce() -> Option<Holder>,
) -> Result<Option<Holder>, String> {
    match target {
        ResolverTarget::Auto if resolved_runs() => Ok(Some(Holder::Resolved)),
        // resolvconf of systemd hands everything to systemd-resolved, which does not run.
        ResolverTarget::Auto => match resolvconf().filter(|holder| *holder != Holder::Resolved) {
            Some(holder) => Ok(Some(holder)),
            None => Err(NOBODY_TAKES.to_owned()),
        },
        ResolverTarget::Resolved => Ok(Some(Holder::Resolved)),
        ResolverTarget::Resolvconf => {
            let missing = "resolvconf is not there: install openresolv, or name another resolver";
            resolvconf().map(Some).ok_or_else(|| missing.to_owned())
        }
        ResolverTarget::Program(program) => {
            let program = PathBuf::from(program);
            if program.is_file() {
                return Ok(Some(Holder::Program(program)));
            }
            let program = program.display();
            Err(format!("{program} is not there: install it, or name another resolver"))
        }
        ResolverTarget::File(_) | ResolverTarget::Nobody => Ok(None),
    }
}

/// The program called resolvconf. That of systemd does not accept keys such as ours, and hands
/// everything to systemd-resolved anyway.
fn resolvconf() -> Option<Holder> {
    let program = command::find(None, "resolvconf")?;
    let real = std::fs::canonicalize(&program).ok()?;
    let is_systemd = real.file_name().is_some_and(|name| name == "resolvectl");
    Some(if is_systemd { Holder::Resolved } else { Holder::Program(program) })
}

/// Whether systemd-resolved listens. Its directory stays when it has ended.
fn resolved_runs(socket: &Path) -> bool {
    UnixStream::connect(socket).is_ok()
}

/// Until when an entry of an earlier run stays while there is no publication.
pub(super) fn hold(record: &Record, interface: &str) -> Option<Instant> {
    let is_there = record.read().entries.contains_key(interface);
    is_there.then(|| Instant::now() + super::keeper::HOLD)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_that_nobody_listens_on_is_no_resolver() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        assert!(!resolved_runs(&path));
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        assert!(resolved_runs(&path));
        drop(listener);
        assert!(!resolved_runs(&path));
    }

    #[test]
    fn a_program_that_is_missing_is_named_with_the_remedy() {
        let target = ResolverTarget::Program("/nowhere/resolvconf".to_owned());
        let error = holder_of(&target, || true, || None).unwrap_err();
        assert!(error.contains("/nowhere/resolvconf is not there: install it"), "{error}");
        assert_eq!(holder_of(&ResolverTarget::Nobody, || false, || None), Ok(None));
    }

    #[test]
    fn dns_servers_without_a_receiver_are_reported_with_the_remedy() {
        let openresolv = || Some(Holder::Program("/sbin/resolvconf".into()));
        let of_systemd = || Some(Holder::Resolved);
        let auto = ResolverTarget::Auto;
        assert_eq!(holder_of(&auto, || true, openresolv), Ok(Some(Holder::Resolved)));
        assert_eq!(holder_of(&auto, || false, openresolv), Ok(openresolv()));
        for nobody in [holder_of(&auto, || false, || None), holder_of(&auto, || false, of_systemd)]
        {
            let text = nobody.unwrap_err();
            assert!(text.contains("install openresolv"), "{text}");
        }
    }
}
