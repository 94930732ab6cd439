//! Octets from a fuzzer, read as decisions. When they run out every decision is the first one.

/// What is left of the octets.
pub struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    pub const fn new(octets: &'a [u8]) -> Self {
        Self(octets)
    }

    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn octet(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::from(self.octet()) % bound.max(1)
    }

    pub fn flag(&mut self) -> bool {
        self.octet() & 1 == 1
    }

    /// One of a table.
    pub fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())].clone()
    }

    /// Raw octets, at most `most`.
    pub fn raw(&mut self, most: usize) -> Vec<u8> {
        let length = self.below(most + 1).min(self.0.len());
        let (raw, rest) = self.0.split_at(length);
        self.0 = rest;
        raw.to_vec()
    }
}
