//! What is handed to whom, with programs that write down how they are called.

#[path = "../../tests/lab/executable.rs"]
mod executable;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::config::{Client, ResolverTarget, Uplink};
use crate::core::client::{Published, ResolverOfRouter};

/// A directory with a stand-in for resolvconf(8), scripts and commands.
struct Bench {
    directory: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let bench = Self { directory: tempfile::tempdir().unwrap() };
        fs::create_dir(bench.path("run")).unwrap();
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    fn program(&self, name: &str, body: &str) -> String {
        let path = self.path(name);
        let log = self.text("log");
        executable::write(&path, &format!("#!/bin/sh\nlog={log}\n{body}\n"));
        path.display().to_string()
    }

    /// One that writes down its arguments, and what it is handed with `-a`.
    fn resolvconf(&self) -> String {
        self.program("resolvconf", "{ echo \"$@\"; test \"$1\" = -a && cat; } >>$log\nexit 0")
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    fn hosts(&self) -> Hosts {
        Hosts::new(&self.path("run"))
    }
}

fn publication(client: &Client, servers: &[&str], networks: &[&str]) -> Publication {
    Publication {
        client: client.clone(),
        servers: servers.iter().map(|server| server.parse().unwrap()).collect(),
        search: Vec::new(),
        of_routers: Vec::new(),
        networks: networks.iter().map(|network| network.parse().unwrap()).collect(),
    }
}

fn of<const N: usize>(publications: [(&str, Publication); N]) -> BTreeMap<String, Publication> {
    publications.into_iter().map(|(name, publication)| (name.to_owned(), publication)).collect()
}

fn config(client: &Client) -> Config {
    let uplinks = BTreeMap::from([("eth0".to_owned(), Uplink::of(client.clone()))]);
    Config { uplinks, ..Config::default() }
}

fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(future)
}

async fn until(what: impl Fn() -> bool) {
    let comes = async {
        while !what() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), comes).await.expect("it did not come");
}

#[test]
fn resolvconf_is_called_as_rtsold_calls_it_and_only_for_what_is_new() {
    let bench = Bench::new();
    let resolver = ResolverTarget::Program(bench.resolvconf());
    let client = Client { resolver, ..Client::default() };
    run(async {
        let mut hosts = bench.hosts();
        let one = publication(&client, &["2001:db8::53"], &[]);
        hosts.publish(of([("eth0", one.clone())]));
        let added = "-a eth0:slaac\nnameserver 2001:db8::53\n";
        until(|| bench.log() == added).await;
        assert_eq!(hosts.report().await.trouble, None);
        let moved = Publication { networks: BTreeSet::from([net("2001:db8::/64")]), ..one };
        hosts.publish(of([("eth0", moved)]));
        hosts.publish(of([("eth0", publication(&client, &[], &[]))]));
        until(|| bench.log() == format!("{added}-d eth0:slaac\n")).await;
        // Nothing is withdrawn twice.
        hosts.publish(BTreeMap::new());
        hosts.end(true).await;
        assert_eq!(bench.log(), format!("{added}-d eth0:slaac\n"));
    });
}

#[test]
fn each_router_has_an_entry_that_goes_with_it_where_that_is_wanted() {
    let bench = Bench::new();
    let resolver = ResolverTarget::Program(bench.resolvconf());
    let client = Client { resolver, resolver_per_router: true, ..Client::default() };
    let advertised = |router: &str, server: &str| ResolverOfRouter {
        router: router.parse().unwrap(),
        servers: vec![server.parse().unwrap()],
        search: Vec::new(),
    };
    let with =
        |of_routers| of([("eth0", Publication { of_routers, ..publication(&client, &[], &[]) })]);
    let (one, other) = (advertised("fe80::1", "2001:db8::53"), advertised("fe80::2", "fe80::53"));
    let both = "-a eth0:slaac:[fe80::1%eth0]\nnameserver 2001:db8::53\n\
                -a eth0:slaac:[fe80::2%eth0]\nnameserver fe80::53%eth0\n";
    run(async {
        let mut hosts = bench.hosts();
        hosts.publish(with(vec![one.clone(), other.clone()]));
        until(|| bench.log() == both).await;
        // Of these only the second one has another content.
        hosts.publish(with(vec![one.clone(), advertised("fe80::2", "2001:db8::54")]));
        let changed = "-a eth0:slaac:[fe80::2%eth0]\nnameserver 2001:db8::54\n";
        until(|| bench.log() == format!("{both}{changed}")).await;
        hosts.publish(with(vec![one]));
        let withdrawn = "-d eth0:slaac:[fe80::2%eth0]\n";
        until(|| bench.log() == format!("{both}{changed}{withdrawn}")).await;
        hosts.end(true).await;
    });
    // What is left of this run the next one withdraws.
    run(async {
        let mut hosts = bench.hosts();
        hosts.withdraw_strays(&Config::default());
        until(|| bench.log().ends_with("-d eth0:slaac:[fe80::1%eth0]\n")).await;
        hosts.end(true).await;
    });
}

fn net(text: &str) -> ipnet::Ipv6Net {
    text.parse().unwrap()
}

#[test]
fn publications_of_an_earlier_run_are_withdrawn_where_none_replaces_them() {
    let bench = Bench::new();
    let resolver = ResolverTarget::Program(bench.resolvconf());
    let command = bench.program("command", "echo command >>$log");
    let client = Client {
        resolver,
        networks: Some(bench.text("networks")),
        networks_command: vec![command],
        ..Client::default()
    };
    let all = of([("eth0", publication(&client, &["2001:db8::53"], &["2001:db8::/64"]))]);
    run(async {
        let mut hosts = bench.hosts();
        hosts.publish(all.clone());
        hosts.end(true).await;
        assert_eq!(fs::read_to_string(bench.path("networks")).unwrap(), "2001:db8::/64\n");
    });
    let before = bench.log();
    assert_eq!(before.matches("command").count(), 1);
    // Killed and started again: what it is to publish stays until routers have been heard.
    run(async {
        let mut hosts = bench.hosts();
        hosts.withdraw_strays(&config(&client));
        hosts.publish(of([("eth0", publication(&client, &[], &[]))]));
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(bench.log(), before);
        hosts.publish(all.clone());
        until(|| bench.log().len() > before.len()).await;
        hosts.end(true).await;
        // The networks are what they were.
        assert_eq!(bench.log().matches("command").count(), 1);
    });
    // Started again without the client.
    run(async {
        let mut hosts = bench.hosts();
        hosts.withdraw_strays(&Config::default());
        until(|| bench.log().contains("-d eth0:slaac")).await;
        until(|| bench.log().matches("command").count() == 2).await;
        hosts.end(true).await;
        assert_eq!(fs::read_to_string(bench.path("networks")).unwrap(), "");
        assert_eq!(bench.hosts().record.read(), record::Handed::default());
    });
}

#[test]
fn a_holder_in_the_place_of_another_gets_the_data_first() {
    let bench = Bench::new();
    let client = |resolver| Client { resolver, ..Client::default() };
    let one = client(ResolverTarget::Program(bench.resolvconf()));
    let second = bench.program("second", "echo second \"$@\" >>$log");
    let other = client(ResolverTarget::Program(second));
    run(async {
        let mut hosts = bench.hosts();
        hosts.publish(of([("eth0", publication(&one, &["2001:db8::53"], &[]))]));
        until(|| bench.log().contains("nameserver")).await;
        hosts.publish(of([("eth0", publication(&other, &["2001:db8::53"], &[]))]));
        until(|| bench.log().contains("second -a eth0:slaac\n-d eth0:slaac\n")).await;
        hosts.end(true).await;
    });
}

#[test]
fn a_failure_is_reported_once_and_repeated_until_it_is_over() {
    let bench = Bench::new();
    let program = bench.program(
        "resolvconf",
        "echo x >>$log; test $(wc -l <$log) -ge 3 || { echo full; exit 1; }",
    );
    let client = Client { resolver: ResolverTarget::Program(program), ..Client::default() };
    run(async {
        let mut hosts = bench.hosts();
        hosts.publish(of([("eth0", publication(&client, &["2001:db8::53"], &[]))]));
        let report = hosts.report().await;
        assert_eq!((report.interface.as_str(), report.published), ("eth0", Published::Resolver));
        let trouble = report.trouble.unwrap();
        assert!(trouble.contains("full") && trouble.contains("is run again"), "{trouble}");
        assert_eq!(hosts.report().await.trouble, None);
        assert_eq!(bench.log(), "x\nx\nx\n");
    });
}

#[test]
fn files_hold_what_all_interfaces_have() {
    let bench = Bench::new();
    let client = Client {
        resolver: ResolverTarget::File(bench.text("resolv.conf")),
        networks: Some(bench.text("networks")),
        ..Client::default()
    };
    let one = publication(&client, &["fe80::53"], &["2001:db8:2::/64"]);
    let other = publication(&client, &["2001:db8::53"], &["2001:db8:1::/64"]);
    run(async {
        let mut hosts = bench.hosts();
        hosts.publish(of([("eth0", one.clone()), ("wlan0", other)]));
        hosts.end(true).await;
        let read = |name: &str| fs::read_to_string(bench.path(name)).unwrap();
        assert!(
            read("resolv.conf").ends_with("nameserver fe80::53%eth0\nnameserver 2001:db8::53\n")
        );
        assert_eq!(read("networks"), "2001:db8:1::/64\n2001:db8:2::/64\n");
        let mode = fs::metadata(bench.path("networks")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o644);
        let mut hosts = bench.hosts();
        hosts.publish(of([("eth0", one)]));
        hosts.end(true).await;
        assert_eq!(read("networks"), "2001:db8:2::/64\n");
    });
}

#[test]
fn a_file_that_cannot_be_written_is_named_with_the_remedy() {
    let bench = Bench::new();
    let client = Client {
        resolver: ResolverTarget::Nobody,
        networks: Some(bench.text("missing/networks")),
        ..Client::default()
    };
    run(async {
        let mut hosts = bench.hosts();
        hosts.publish(of([("eth0", publication(&client, &[], &["2001:db8::/64"]))]));
        let report = hosts.report().await;
        assert_eq!(report.published, Published::Networks);
        assert!(report.trouble.unwrap().contains("make its directory"));
        fs::create_dir(bench.path("missing")).unwrap();
        assert_eq!(hosts.report().await.trouble, None);
    });
}

#[test]
fn scripts_are_run_one_at_a_time_and_the_newest_of_those_that_wait() {
    let bench = Bench::new();
    let program = bench.program("script", "echo begin \"$@\" >>$log; sleep 0.5; echo end >>$log");
    let script = |router: &str| Script {
        interface: "eth0".to_owned(),
        occasion: Occasion::Other,
        program: program.clone(),
        router: router.parse().unwrap(),
    };
    run(async {
        let mut hosts = bench.hosts();
        hosts.run(script("fe80::1"));
        until(|| bench.log().contains("begin")).await;
        hosts.run(script("fe80::2"));
        hosts.run(script("fe80::3"));
        until(|| bench.log().matches("end").count() == 2).await;
        hosts.end(true).await;
        let first = "begin eth0 fe80::1\nend\n";
        assert_eq!(bench.log(), format!("{first}begin eth0 fe80::3\nend\n"));
    });
}

#[test]
fn a_script_s_failure_is_reported_until_the_next_one_succeeds() {
    let bench = Bench::new();
    let script = |program: String| Script {
        interface: "eth0".to_owned(),
        occasion: Occasion::Managed,
        program,
        router: "fe80::1".parse().unwrap(),
    };
    run(async {
        let mut hosts = bench.hosts();
        hosts.run(script(bench.text("missing")));
        let report = hosts.report().await;
        assert_eq!(report.published, Published::Script(Occasion::Managed));
        assert!(report.trouble.unwrap().contains("name an executable file"));
        hosts.run(script("/bin/false".to_owned()));
        assert!(hosts.report().await.trouble.unwrap().contains("by hand"));
        hosts.run(script("/bin/true".to_owned()));
        assert_eq!(hosts.report().await.trouble, None);
    });
}

#[test]
fn a_program_that_is_installed_anew_is_handed_the_data_anew() {
    let bench = Bench::new();
    let program = bench.resolvconf();
    let resolver = ResolverTarget::Program(program.clone());
    let client = Client { resolver, ..Client::default() };
    run(async {
        let mut hosts = bench.hosts();
        let servers = |servers: &[&str]| of([("eth0", publication(&client, servers, &[]))]);
        hosts.publish(servers(&["2001:db8::53"]));
        assert_eq!(hosts.report().await.trouble, None);
        fs::remove_file(&program).unwrap();
        hosts.publish(servers(&["2001:db8::54"]));
        assert!(hosts.report().await.trouble.unwrap().contains("is not there"));
        bench.resolvconf();
        hosts.publish(servers(&["2001:db8::53"]));
        assert_eq!(hosts.report().await.trouble, None);
        let added = "-a eth0:slaac\nnameserver 2001:db8::53\n";
        assert_eq!(bench.log(), format!("{added}{added}"));
    });
}
