//! A socket that is open while it is needed.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::core::input::Received;
use crate::platform::watch;

/// A socket, or none yet.
#[derive(Debug)]
pub(super) struct Gate<S: AsFd + AsRawFd>(Option<AsyncFd<S>>);

impl<S: AsFd + AsRawFd> Default for Gate<S> {
    fn default() -> Self {
        Self(None)
    }
}

impl<S: AsFd + AsRawFd> Gate<S> {
    /// Opens the socket anew.
    pub(super) fn open(&mut self, open: impl FnOnce() -> io::Result<S>) -> io::Result<()> {
        self.0 = Some(watch(open()?)?);
        Ok(())
    }

    /// Closes it.
    pub(super) fn close(&mut self) {
        self.0 = None;
    }

    /// The socket, if it is open.
    pub(super) fn socket(&self) -> Option<&S> {
        self.0.as_ref().map(AsyncFd::get_ref)
    }

    /// Calls `act` with the socket; an error where it is closed.
    pub(super) fn with<T>(&self, act: impl FnOnce(&S) -> io::Result<T>) -> io::Result<T> {
        act(self.socket().ok_or(io::ErrorKind::NotConnected)?)
    }

    /// Waits until there is something to receive.
    pub(super) async fn readable(&self) {
        match &self.0 {
            Some(socket) => drop(socket.readable().await),
            None => std::future::pending().await,
        }
    }

    /// The next packet; none when there is none yet.
    pub(super) fn recv(
        &self,
        recv: impl Fn(&S) -> io::Result<Option<Received>>,
    ) -> io::Result<Option<Received>> {
        self.0.as_ref().map_or(Ok(None), |socket| next(socket, recv))
    }
}

/// The next packet. Readiness is cleared only when there is none, so that packets left over from a
/// batch are not forgotten.
pub(super) fn next<S: AsRawFd>(
    socket: &AsyncFd<S>,
    recv: impl Fn(&S) -> io::Result<Option<Received>>,
) -> io::Result<Option<Received>> {
    let received = socket.try_io(Interest::READABLE, |socket| {
        recv(socket)?.ok_or_else(|| io::ErrorKind::WouldBlock.into())
    });
    match received {
        Ok(received) => Ok(Some(received)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}
