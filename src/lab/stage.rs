//! A site in namespaces, with agents, other people's programs or the floor's nodes at work in it.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::Value;

use super::article;
use super::company;
use super::floor;
use super::observe::log::Log;
use super::observe::watch::Watch;
use super::report::Stack;
use super::site::agent::Home;
use super::site::cable::Place;
use super::site::keeper::Keeper;
use super::site::namespace::{self, Namespace};
use super::site::nodes::{
    CLIENT, DOWNLINK, Engines, Era, Node, PORT, PROVIDER_DOWNLINK, Site, TARGET, UPLINK,
};
use super::site::private::Private;
use super::site::process::Process;
use super::site::programs::{self, Packaged};
use super::site::scenario::Scenario;
use crate::daemon::{clock, control};
use crate::time::Instant;

/// How a stage is built.
#[derive(Clone, Copy, Debug)]
pub struct Plan<'a> {
    /// Its systems.
    pub site: Site,
    /// The programs at work.
    pub stack: Stack,
    /// What will happen to it.
    pub scenario: Scenario,
    /// Clients use their addresses before these are proven to be theirs alone (RFC 4429).
    pub optimistic: bool,
    /// This part of the packets is lost on each link.
    pub loss: f64,
    /// Agents run before all that is not real-time.
    pub fifo: bool,
    /// The program that has the agent.
    pub program: &'a Path,
}

/// A site at work; all of it vanishes on drop.
#[derive(Debug)]
pub struct Stage {
    /// The programs at work.
    pub stack: Stack,
    /// What is seen.
    pub log: Arc<Log>,
    watches: Vec<Watch>,
    processes: Vec<(Node, Process)>,
    /// What ppp.linkup left in the background.
    linkup: Option<Process>,
    provider: Option<ChildStdin>,
    namespaces: BTreeMap<Node, Namespace>,
    keeper: Keeper,
    program: PathBuf,
}

impl Stage {
    /// Builds it, without any program at work.
    ///
    /// # Errors
    ///
    /// When the system lacks what it takes, with the remedy.
    pub fn build(plan: &Plan<'_>) -> anyhow::Result<Self> {
        needs(plan.stack)?;
        let mut keeper = Keeper::start(plan.program, "renumberd-bench-")?;
        let mut namespaces = BTreeMap::new();
        for node in plan.site.nodes() {
            let namespace = Namespace::new()?;
            keeper.hold(&namespace)?;
            settings(&namespace, node, plan)?;
            namespace.set_up("lo", true)?;
            namespaces.insert(node, namespace);
        }
        let mut stage = Self {
            stack: plan.stack,
            log: Arc::new(Log::default()),
            watches: Vec::new(),
            processes: Vec::new(),
            linkup: None,
            provider: None,
            namespaces,
            keeper,
            program: plan.program.to_owned(),
        };
        stage.of(Node::Isp)?.own_address(TARGET)?;
        stage.connect(plan)?;
        if plan.scenario == Scenario::LateServer {
            stage.of(Node::Router(1))?.lose_notifications(UPLINK)?;
        }
        for (node, namespace) in &stage.namespaces {
            let watch = Watch::start(plan.site, *node, namespace, &stage.log);
            stage.watches.push(watch.context("a namespace cannot be watched")?);
        }
        Ok(stage)
    }

    fn of(&self, node: Node) -> anyhow::Result<&Namespace> {
        self.namespaces.get(&node).context("no such system")
    }

    fn connect(&self, plan: &Plan<'_>) -> anyhow::Result<()> {
        let mut above = (self.of(Node::Isp)?, PROVIDER_DOWNLINK);
        for depth in 1..=plan.site.hops {
            let router = self.of(Node::Router(depth))?;
            connect(above, (router, UPLINK), plan.loss)?;
            above = (router, DOWNLINK);
        }
        if plan.site.clients == 1 {
            return connect(above, (self.of(Node::Client(1))?, CLIENT), plan.loss);
        }
        above.0.switch(above.1)?;
        for number in 1..=plan.site.clients {
            let port = format!("{PORT}{number}");
            let client = (self.of(Node::Client(number))?, CLIENT);
            above.0.port(above.1, &port, client, None)?;
            lose((above.0, &port), client, plan.loss)?;
        }
        Ok(())
    }

    /// Sets everybody to work, the provider in this era.
    ///
    /// # Errors
    ///
    /// When a process does not start.
    pub fn start(&mut self, plan: &Plan<'_>, era: Era) -> anyhow::Result<()> {
        self.log.begin(era);
        for node in plan.site.nodes() {
            let depth = match node {
                Node::Isp => 0,
                Node::Router(depth) => depth,
                Node::Client(_) => continue,
            };
            match self.stack {
                Stack::Article if depth > 0 => self.start_article(plan, node, depth)?,
                Stack::Company if depth > 0 => self.start_company(plan, node, depth)?,
                Stack::Native | Stack::Article | Stack::Company => {
                    self.start_agent(plan, node, era)?;
                }
                Stack::Floor => self.start_floor(plan, node, depth)?,
            }
        }
        if self.stack == Stack::Floor {
            self.change(Scenario::Graceful, era)?;
        }
        Ok(())
    }

    fn start_agent(&mut self, plan: &Plan<'_>, node: Node, era: Era) -> anyhow::Result<()> {
        let home = self.furnish(plan, node, era, Engines::BuiltIn)?;
        let mut command = self.part(node, "agent")?;
        command.arg("--").args(agent(&home));
        command.stdin(Stdio::null()).stdout(Stdio::null());
        self.processes.push((node, Process::start(&mut command)?));
        Ok(())
    }

    /// Writes an agent's configuration.
    fn furnish(
        &self,
        plan: &Plan<'_>,
        node: Node,
        era: Era,
        engines: Engines,
    ) -> anyhow::Result<Home> {
        let home = self.home(node).create()?;
        let scheduling = if plan.fifo { "scheduling = \"fifo\"\n" } else { "" };
        let rest = plan.site.config(node, era, engines).unwrap_or_default();
        home.configure(&format!("{scheduling}{rest}"))?;
        Ok(home)
    }

    fn start_company(&mut self, plan: &Plan<'_>, node: Node, depth: usize) -> anyhow::Result<()> {
        self.of(node)?.settled(&[UPLINK, DOWNLINK])?;
        let home = self.furnish(plan, node, Era::default(), Engines::Others)?;
        let private = Private::create(self.keeper.directory().join(node.name()))?;
        company::configure(&private, depth, &self.program, &home)?;
        for words in company::BOOT {
            self.await_end(node, words)?;
        }
        let words = std::iter::once(self.program.clone().into_os_string()).chain(agent(&home));
        let words: Vec<OsString> = words.collect();
        for process in [self.launch(node, &words)?, self.launch(node, &company::REQUESTER)?] {
            self.processes.push((node, process));
        }
        Ok(())
    }

    fn start_article(&mut self, plan: &Plan<'_>, node: Node, depth: usize) -> anyhow::Result<()> {
        let namespace = self.of(node)?;
        namespace.settled(&[UPLINK, DOWNLINK])?;
        if depth == 1 {
            namespace.sysctl(UPLINK, "accept_ra", 2)?;
        }
        let private = Private::create(self.keeper.directory().join(node.name()))?;
        article::configure(&private, plan.site, depth)?;
        for words in article::BOOT {
            self.await_end(node, words)?;
        }
        for words in article::DAEMONS {
            let process = self.launch(node, words)?;
            self.processes.push((node, process));
        }
        Ok(())
    }

    /// Starts another program on a router with directories of its own.
    fn launch<W: AsRef<OsStr>>(&self, node: Node, words: &[W]) -> anyhow::Result<Process> {
        let mut command = self.part(node, "program")?;
        command.arg("--").arg(self.keeper.directory().join(node.name())).args(words);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        Process::start(&mut command)
    }

    fn await_end(&self, node: Node, words: &[&str]) -> anyhow::Result<()> {
        let status = self.launch(node, words)?.child.wait()?;
        if status.success() {
            return Ok(());
        }
        bail!("{} on {}: {status}\n{}", words.join(" "), node.name(), self.last_words(node))
    }

    fn start_floor(&mut self, plan: &Plan<'_>, node: Node, depth: usize) -> anyhow::Result<()> {
        let mut command = self.part(node, "floor")?;
        command.args([plan.site.hops.to_string(), depth.to_string()]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = Process::start(&mut command)?;
        let mut line = String::new();
        let output = process.child.stdout.take().context("no output")?;
        BufReader::new(output).read_line(&mut line)?;
        if line.trim() != floor::READY {
            bail!("{} of the floor does not start: {}", node.name(), self.last_words(node));
        }
        if node == Node::Isp {
            self.provider = process.child.stdin.take();
        }
        self.processes.push((node, process));
        Ok(())
    }

    fn part(&self, node: Node, role: &str) -> anyhow::Result<Command> {
        let mut command = Command::new(&self.program);
        command.arg("bench-part").arg("--net").arg(self.of(node)?.path()).arg(role);
        let log = File::options().create(true).append(true).open(self.log_file(node))?;
        command.stderr(log);
        Ok(command)
    }

    fn home(&self, node: Node) -> Home {
        Home::at(self.keeper.directory().join(node.name()))
    }

    fn log_file(&self, node: Node) -> PathBuf {
        self.keeper.directory().join(node.name() + ".log")
    }

    /// The last lines that a node has logged.
    pub fn last_words(&self, node: Node) -> String {
        let text = fs::read_to_string(self.log_file(node)).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines.get(lines.len().saturating_sub(5)..).unwrap_or_default().join("\n")
    }

    /// Lets a change happen; when it began, since boot.
    ///
    /// # Errors
    ///
    /// When the provider does not do it.
    pub fn change(&mut self, scenario: Scenario, era: Era) -> anyhow::Result<Duration> {
        self.log.begin(era);
        if scenario == Scenario::Twice {
            self.renumber(scenario, era.interlude(), true)?;
            std::thread::sleep(Scenario::APART);
        }
        match scenario {
            Scenario::Redial if self.provider.is_none() => {
                self.of(Node::Router(1))?.set_up(UPLINK, false)?;
                std::thread::sleep(Scenario::DOWN);
                self.renumber(scenario, era, false)?;
                std::thread::sleep(Scenario::DOWN);
                let begun = self.of(Node::Router(1))?.reconnect(UPLINK)?;
                self.configure_line()?;
                Ok(begun.since_boot())
            }
            Scenario::Graceful
            | Scenario::Flash
            | Scenario::Redial
            | Scenario::PdOnly
            | Scenario::Twice
            | Scenario::LateServer => Ok(self.renumber(scenario, era, true)?.since_boot()),
        }
    }

    /// The provider changes; when it was asked. Where the line is up, the article's outermost router
    /// takes it for a line that has come up again, as it would with ppp.
    fn renumber(&mut self, scenario: Scenario, era: Era, is_up: bool) -> anyhow::Result<Instant> {
        if is_up && self.stack == Stack::Article && scenario.changes_the_link() {
            self.await_end(Node::Router(1), &article::UNCONFIGURE)?;
        }
        let begun = clock::now();
        if let Some(provider) = &mut self.provider {
            writeln!(provider, "{}", era.0).context("the floor's provider has ended")?;
            return Ok(begun);
        }
        for (after, request) in scenario.requests(era) {
            std::thread::sleep(after);
            self.ask_provider(&request)?;
            if after.is_zero() && is_up {
                self.configure_line()?;
            }
        }
        Ok(begun)
    }

    /// Where a hook of ppp follows the line, it starts now.
    fn configure_line(&mut self) -> anyhow::Result<()> {
        if self.stack == Stack::Article {
            self.linkup = Some(self.launch(Node::Router(1), &article::CONFIGURE)?);
        }
        Ok(())
    }

    fn ask_provider(&self, request: &Value) -> anyhow::Result<()> {
        let answer = self.home(Node::Isp).ask(&request.to_string());
        let answer = answer.with_context(|| self.last_words(Node::Isp))?;
        match serde_json::from_str(&answer)? {
            control::Answer::Done
            | control::Answer::Status(_)
            | control::Answer::Metrics(_)
            | control::Answer::Waiting(_) => Ok(()),
            control::Answer::Refused(why) => bail!("the provider refuses: {why}"),
        }
    }

    /// The first process that has ended by itself.
    pub fn casualty(&mut self) -> Option<Node> {
        let mut all = self.processes.iter_mut();
        all.find_map(|(node, process)| (!process.is_running()).then_some(*node))
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.log.end();
    }
}

/// Keeps all cores busy until it is dropped.
#[derive(Debug)]
pub struct Load(#[expect(dead_code, reason = "held for its drop")] Vec<Process>);

impl Load {
    /// A busy process for each core.
    ///
    /// # Errors
    ///
    /// When one does not start.
    pub fn start(program: &Path) -> anyhow::Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let one = |_| Process::start(Command::new(program).args(["bench-part", "busy"]));
        Ok(Self((0..cores).map(one).collect::<anyhow::Result<_>>()?))
    }
}

/// The arguments with which this program becomes the agent whose files these are.
fn agent(home: &Home) -> Vec<OsString> {
    let config = ["--config".into(), home.config().into_os_string()];
    home.arguments([]).into_iter().chain(config).collect()
}

/// Makes sure that the machine has what a stack takes.
fn needs(stack: Stack) -> anyhow::Result<()> {
    let needed: &[Packaged] = match stack {
        Stack::Native | Stack::Floor => return Ok(()),
        Stack::Company => &company::PROGRAMS,
        Stack::Article => &article::PROGRAMS,
    };
    let what = format!("the stack {}", stack.name());
    programs::require(&what, needed)?;
    namespace::has_users(&what)
}

fn connect(above: Place<'_>, below: Place<'_>, loss: f64) -> anyhow::Result<()> {
    above.0.cable(above.1, below)?;
    lose(above, below, loss)
}

fn lose(above: Place<'_>, below: Place<'_>, loss: f64) -> anyhow::Result<()> {
    if loss > 0.0 {
        above.0.lose(above.1, loss)?;
        below.0.lose(below.1, loss)?;
    }
    Ok(())
}

/// These settings also hold for interfaces that are made later.
fn settings(namespace: &Namespace, node: Node, plan: &Plan<'_>) -> anyhow::Result<()> {
    let settings: &[(&str, i32)] = match node {
        Node::Router(_) if plan.stack == Stack::Article => {
            &[("forwarding", 1), ("accept_ra", 0), ("accept_dad", 1), ("dad_transmits", 1)]
        }
        // Without DAD the kernel reports an address at once, and not a second or two later.
        Node::Isp | Node::Router(_) => {
            &[("forwarding", 1), ("accept_ra", 0), ("accept_dad", 0), ("dad_transmits", 0)]
        }
        // There is room for the prefixes of all runs.
        Node::Client(_) => &[("max_addresses", 0), ("use_tempaddr", 0)],
    };
    let optimistic: &[(&str, i32)] = match node {
        Node::Client(_) if plan.optimistic => &[("optimistic_dad", 1), ("use_optimistic", 1)],
        Node::Client(_) | Node::Isp | Node::Router(_) => &[],
    };
    for (name, value) in settings.iter().chain(optimistic) {
        for scope in ["all", "default"] {
            namespace.sysctl(scope, name, *value)?;
        }
    }
    Ok(())
}
