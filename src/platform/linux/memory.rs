//! Giving free memory back to the system.

/// Gives free memory back to the system. The GNU C library keeps all free memory between pieces in
/// use; other libraries give it back by themselves.
pub fn give_back_memory() {
    #[cfg(target_env = "gnu")]
    {
        #[expect(unsafe_code, reason = "nobody wraps it; it only frees what is free already")]
        unsafe {
            libc::malloc_trim(0)
        };
    }
}
