//! What one requesting router may hold: a map for the one or two prefixes that most have.

use ipnet::Ipv6Net;

use super::binding::Promise;

/// Promises in order of prefix, without room to spare: there are as many of these as bindings.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(in crate::core::delegate) struct Promises(Vec<(Ipv6Net, Promise)>);

impl Promises {
    pub(in crate::core::delegate) fn get(&self, prefix: &Ipv6Net) -> Option<&Promise> {
        let at = self.find(prefix).ok()?;
        self.0.get(at).map(|(_, promise)| promise)
    }

    pub(in crate::core::delegate) fn get_mut(&mut self, prefix: &Ipv6Net) -> Option<&mut Promise> {
        let at = self.find(prefix).ok()?;
        self.0.get_mut(at).map(|(_, promise)| promise)
    }

    pub(in crate::core::delegate) fn contains_key(&self, prefix: &Ipv6Net) -> bool {
        self.find(prefix).is_ok()
    }

    pub(in crate::core::delegate) fn insert(&mut self, prefix: Ipv6Net, promise: Promise) {
        match self.get_mut(&prefix) {
            Some(known) => *known = promise,
            None => {
                let at = self.find(&prefix).unwrap_or_else(|at| at);
                self.0.reserve_exact(1);
                self.0.insert(at, (prefix, promise));
            }
        }
    }

    pub(in crate::core::delegate) fn retain(
        &mut self,
        mut stays: impl FnMut(&Ipv6Net, &Promise) -> bool,
    ) {
        self.0.retain(|(prefix, promise)| stays(prefix, promise));
        self.0.shrink_to_fit();
    }

    pub(in crate::core::delegate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(in crate::core::delegate) fn iter(
        &self,
    ) -> impl ExactSizeIterator<Item = (&Ipv6Net, &Promise)> {
        self.0.iter().map(|(prefix, promise)| (prefix, promise))
    }

    pub(in crate::core::delegate) fn iter_mut(
        &mut self,
    ) -> impl Iterator<Item = (&Ipv6Net, &mut Promise)> {
        self.0.iter_mut().map(|(prefix, promise)| (&*prefix, promise))
    }

    pub(in crate::core::delegate) fn keys(&self) -> impl Iterator<Item = &Ipv6Net> {
        self.0.iter().map(|(prefix, _)| prefix)
    }

    pub(in crate::core::delegate) fn values(&self) -> impl Iterator<Item = &Promise> {
        self.0.iter().map(|(_, promise)| promise)
    }

    pub(in crate::core::delegate) fn values_mut(&mut self) -> impl Iterator<Item = &mut Promise> {
        self.0.iter_mut().map(|(_, promise)| promise)
    }

    /// All of them, as they are kept.
    pub(in crate::core::delegate) fn to_vec(&self) -> Vec<(Ipv6Net, Promise)> {
        self.0.clone()
    }

    fn find(&self, prefix: &Ipv6Net) -> Result<usize, usize> {
        self.0.binary_search_by(|(held, _)| held.cmp(prefix))
    }
}

impl From<&[(Ipv6Net, Promise)]> for Promises {
    /// Of several for one prefix the last counts.
    fn from(stored: &[(Ipv6Net, Promise)]) -> Self {
        let mut promises = Self(Vec::with_capacity(stored.len()));
        stored.iter().for_each(|(prefix, promise)| promises.insert(*prefix, *promise));
        promises
    }
}

impl IntoIterator for Promises {
    type Item = (Ipv6Net, Promise);
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}
