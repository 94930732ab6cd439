//! The options, one by one.

use super::*;

fn options(line: &str) -> Result<Rtsold, clap::Error> {
    let words = std::iter::once("rtsold").chain(line.split_whitespace());
    Called::try_parse_from(words).map(|called| called.options)
}

fn uplink(line: &str) -> Uplink {
    let options = options(line).unwrap();
    let config = options.config(&["eth0".to_owned()]).unwrap();
    config.uplinks["eth0"].clone()
}

#[test]
fn every_option_of_the_manual_is_read() {
    let line = "-dDfFilmu1 -M /m -O /o -R /r -A /a -p /p -c /c eth0 eth1";
    let read = options(line).unwrap();
    assert_eq!(read.interfaces, ["eth0", "eth1"]);
    assert!(read.foreground && read.force && read.immediately && read.mobile);
    assert!(read.per_router && read.once && read.debug_more && read.debug == 1);
    assert_eq!(read.pid_file, Some("/p".into()));
    assert_eq!(read.dump_file, Some("/c".into()));
    let client = uplink(line).client.unwrap();
    assert_eq!(client.resolver, ResolverTarget::Program("/r".to_owned()));
    assert!(client.resolver_per_router && client.force);
    assert_eq!(uplink("-u eth0").client.unwrap().resolver, ResolverTarget::Resolvconf);
    let scripts = client.scripts;
    assert_eq!(scripts.managed.as_deref(), Some("/m"));
    assert_eq!(scripts.other.as_deref(), Some("/o"));
    assert_eq!(scripts.always.as_deref(), Some("/a"));
}

#[test]
fn a_host_s_kernel_makes_its_addresses_and_other_agents_are_left_alone() {
    assert_eq!(uplink("eth0"), Uplink::of(Client::default()));
    let config = options("eth0").unwrap().config(&["eth0".to_owned()]).unwrap();
    assert!(config.is_confined && config.downlinks.is_empty());
}

#[test]
fn interfaces_are_named_or_looked_for() {
    assert!(options("").is_err());
    assert!(options("-a eth0").is_err());
    assert!(options("-a").unwrap().all);
    let twice = options("lo lo").unwrap().names().unwrap_err().to_string();
    assert!(twice.contains("lo is named twice"), "{twice}");
    let absent = options("nowhere0").unwrap().names().unwrap_err().to_string();
    assert!(absent.contains("there is no interface nowhere0"), "{absent}");
}

#[test]
fn scripts_are_named_from_the_root() {
    for option in ["-M", "-O", "-R", "-A"] {
        let options = options(&format!("{option} script eth0")).unwrap();
        let refused = options.config(&["eth0".to_owned()]).unwrap_err().to_string();
        assert!(refused.contains("script is to be an absolute path"), "{option}: {refused}");
    }
}

#[test]
fn the_name_of_the_program_says_what_it_is() {
    let called = |path: &str| called_as(Some(Path::new(path)));
    assert_eq!(called("/usr/sbin/rtsold"), Some("rtsold"));
    assert_eq!(called("rtsol"), Some("rtsol"));
    assert_eq!(called("/usr/sbin/renumberd"), None);
    assert_eq!(called_as(None), None);
}

/// A command that names no directory finds the agent of a host, where that is the only agent.
#[test]
fn the_only_host_is_found_without_its_directory() {
    use crate::cli::control::directory;
    use crate::daemon::control::path;
    let all = tempfile::tempdir().unwrap();
    let agent = |directory: &Path| {
        std::fs::create_dir_all(directory).unwrap();
        std::fs::write(path(directory), "").unwrap();
    };
    assert_eq!(directory(all.path()), all.path());
    let host = all.path().join("rtsold-eth0");
    agent(&host);
    std::fs::create_dir(all.path().join("rtsold-eth9")).unwrap();
    agent(&all.path().join("kea-lan0"));
    assert_eq!(directory(all.path()), host);
    agent(&all.path().join("rtsold-eth1"));
    assert_eq!(directory(all.path()), all.path(), "which of two is meant is not known");
    agent(all.path());
    assert_eq!(directory(all.path()), all.path());
}
