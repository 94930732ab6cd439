//! The delegating router.
