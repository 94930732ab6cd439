//! Memory that the program has no use for.

/// Gives free memory back to the system. The C library keeps what lies between pieces in use, however
/// much it is; another one than GNU's gives it back by itself.
pub fn give_back_memory() {
    #[cfg(target_env = "gnu")]
    {
        #[expect(unsafe_code, reason = "nobody wraps it; it only frees what is free already")]
        unsafe {
            libc::malloc_trim(0)
        };
    }
}
