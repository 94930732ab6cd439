//! The memory that the program itself takes.

use std::ffi::{c_int, c_void};

/// Gives back the pages of the program and its libraries that hold nothing but what is in their files.
/// They stay in the page cache, from which they come back as they are needed.
pub fn release_program_pages() {
    #[expect(unsafe_code, reason = "what is called back only looks at what it is handed")]
    unsafe {
        libc::dl_iterate_phdr(Some(release), std::ptr::null_mut());
    }
}

#[expect(unsafe_code, reason = "the loader says where it has put what, and that stays there")]
unsafe extern "C" fn release(
    loaded: *mut libc::dl_phdr_info,
    _size: usize,
    _data: *mut c_void,
) -> c_int {
    let Some(loaded) = (unsafe { loaded.as_ref() }).filter(|one| !one.dlpi_phdr.is_null()) else {
        return 0;
    };
    let count = usize::from(loaded.dlpi_phnum);
    let segments = unsafe { std::slice::from_raw_parts(loaded.dlpi_phdr, count) };
    let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(usize::MAX);
    for segment in segments {
        // What can be written to holds more than the file, relocations at least.
        if segment.p_type != libc::PT_LOAD || segment.p_flags & libc::PF_W != 0 {
            continue;
        }
        let begin = usize::try_from(loaded.dlpi_addr + segment.p_vaddr).unwrap_or(0);
        let end = begin.saturating_add(usize::try_from(segment.p_memsz).unwrap_or(0));
        // Whole pages alone: another segment may share the first and the last one.
        let (begin, end) = (begin.div_ceil(page) * page, end / page * page);
        if begin < end {
            // A refusal changes nothing.
            unsafe { libc::madvise(begin as *mut c_void, end - begin, libc::MADV_DONTNEED) };
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resident() -> u64 {
        let memory = std::fs::read_to_string("/proc/self/statm").unwrap();
        memory.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    #[test]
    fn the_program_goes_on_without_its_pages() {
        let before = resident();
        release_program_pages();
        let after = resident();
        // Other tests run beside this one, and need some of them at once.
        assert!(after < before, "{before} pages before, {after} after");
    }
}
