//! A tun device on each side and a pump between them: what ppp looks like from above. No
//! link-layer addresses, and it can vanish and come back with another index.

use std::fs::File;
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use nix::poll::{PollFd, PollFlags, poll};

use super::net::Namespace;
use super::sys;

/// How soon a pump notices that it was hung up.
const POLL_MILLIS: u8 = 20;

/// A point-to-point line.
#[derive(Debug)]
pub struct Tun {
    near: Namespace,
    name: String,
    far: Arc<File>,
    pump: Option<Pump>,
}

#[derive(Debug)]
struct Pump {
    hung_up: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Tun {
    /// A line between the router's `near` end and the provider's `far` end. The far device stays;
    /// the near one is there while the line is connected.
    pub fn new(near: (&Namespace, &str), far: (&Namespace, &str)) -> Self {
        let file = open(far.0, far.1);
        far.0.ip(&format!("link set {} up", far.1));
        far.0.link_local(far.1, "fe80::1");
        let (near, name) = (near.0.clone(), near.1.to_owned());
        let mut tun = Self { near, name, far: Arc::new(file), pump: None };
        tun.connect();
        tun
    }

    /// Dials: the near device appears and is up.
    pub fn connect(&mut self) {
        self.connect_as("fe80::2");
    }

    /// Dials, and is given this link-local address by the other end.
    pub fn connect_as(&mut self, link_local: &str) {
        let near = open(&self.near, &self.name);
        self.near.ip(&format!("link set {} addrgenmode none", self.name));
        self.near.ip(&format!("link set {} up", self.name));
        self.near.ip(&format!("addr add {link_local}/64 dev {} nodad", self.name));
        let (far, hung_up) = (Arc::clone(&self.far), Arc::new(AtomicBool::new(false)));
        let flag = Arc::clone(&hung_up);
        let thread = std::thread::spawn(move || pump(&near, &far, &flag));
        self.pump = Some(Pump { hung_up, thread });
    }

    /// Hangs up: the near device vanishes with all its addresses and routes.
    pub fn disconnect(&mut self) {
        if let Some(Pump { hung_up, thread }) = self.pump.take() {
            hung_up.store(true, Ordering::Relaxed);
            let _ = thread.join();
        }
    }
}

impl Drop for Tun {
    fn drop(&mut self) {
        self.disconnect();
    }
}

fn open(namespace: &Namespace, name: &str) -> File {
    let file = namespace.inside(|| sys::open_tun(name));
    nix::fcntl::fcntl(&file, nix::fcntl::FcntlArg::F_SETFL(nix::fcntl::OFlag::O_NONBLOCK)).unwrap();
    file
}

fn pump(near: &File, far: &File, hung_up: &AtomicBool) {
    while !hung_up.load(Ordering::Relaxed) {
        let mut fds = [near, far].map(|file| PollFd::new(file.as_fd(), PollFlags::POLLIN));
        let _ = poll(&mut fds, POLL_MILLIS);
        let ready = fds.map(|fd| fd.any() == Some(true));
        for (ready, from, to) in [(ready[0], near, far), (ready[1], far, near)] {
            if ready && !carry(from, to) {
                return;
            }
        }
    }
}

/// Takes one packet over; false when the device it comes from is no more.
fn carry(mut from: &File, mut to: &File) -> bool {
    let mut packet = [0; 2048];
    match from.read(&mut packet) {
        // A device that is down refuses the packet, as a line that is down loses it.
        Ok(length) => {
            let _ = to.write(&packet[..length]);
            true
        }
        Err(error) => error.kind() == ErrorKind::WouldBlock,
    }
}
