//! The core's only source of chance, seeded from outside: the same seed gives the same run.

use std::time::Duration;

use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::wire::dhcpv6::TransactionId;

/// A seeded generator. It is a cryptographic one, so that with a secret seed a transaction id
/// cannot be guessed.
#[derive(Clone, Debug)]
pub struct Random(ChaCha12Rng);

impl Random {
    /// A generator from 32 octets of seed.
    pub fn new(seed: [u8; 32]) -> Self {
        Self(ChaCha12Rng::from_seed(seed))
    }

    /// A generator that continues on its own, for a part of the core.
    pub fn fork(&mut self) -> Self {
        let mut seed = [0; 32];
        self.0.fill_bytes(&mut seed);
        Self::new(seed)
    }

    /// A duration in `[from, to]`; `from` where they are the wrong way round.
    pub fn duration(&mut self, from: Duration, to: Duration) -> Duration {
        from + to.saturating_sub(from).mul_f64(self.unit())
    }

    /// A number in `[from, to)`.
    pub fn factor(&mut self, from: f64, to: f64) -> f64 {
        self.unit().mul_add(to - from, from)
    }

    /// A new transaction id.
    pub fn transaction_id(&mut self) -> TransactionId {
        let [a, b, c, _] = self.0.next_u32().to_be_bytes();
        TransactionId([a, b, c])
    }

    /// 32 octets.
    pub fn secret(&mut self) -> [u8; 32] {
        let mut secret = [0; 32];
        self.0.fill_bytes(&mut secret);
        secret
    }

    /// 16 octets.
    pub fn key(&mut self) -> [u8; 16] {
        let mut key = [0; 16];
        self.0.fill_bytes(&mut key);
        key
    }

    /// A number in `[0, 1)`.
    fn unit(&mut self) -> f64 {
        f64::from(self.0.next_u32()) / (f64::from(u32::MAX) + 1.0)
    }
}
