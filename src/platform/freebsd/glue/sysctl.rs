//! Variables of the kernel: sysctl(3).

use std::ffi::CString;
use std::io;
use std::ptr;

/// How often a table is asked for: it may grow between the question for its size and the one for
/// itself.
const TRIES: usize = 8;

/// A table of the kernel.
///
/// # Errors
///
/// The system's error.
pub(super) fn table(name: &[i32]) -> io::Result<Vec<u8>> {
    for _ in 0..TRIES {
        let length = ask(name, &mut [])?;
        // Some room for what comes in between.
        let mut octets = vec![0; length + length / 4 + 1024];
        match ask(name, &mut octets) {
            Ok(length) => {
                octets.truncate(length);
                return Ok(octets);
            }
            Err(error) if error.raw_os_error() == Some(libc::ENOMEM) => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::from_raw_os_error(libc::ENOMEM))
}

/// Reads a variable; without room for it its length alone.
fn ask(name: &[i32], octets: &mut [u8]) -> io::Result<usize> {
    let mut length = octets.len();
    let parts = u32::try_from(name.len()).map_err(io::Error::other)?;
    let room = if octets.is_empty() { ptr::null_mut() } else { octets.as_mut_ptr() };
    #[expect(unsafe_code, reason = "nobody wraps it; pointers and lengths are of one slice each")]
    let result =
        unsafe { libc::sysctl(name.as_ptr(), parts, room.cast(), &raw mut length, ptr::null(), 0) };
    if result == 0 { Ok(length) } else { Err(io::Error::last_os_error()) }
}

/// Reads a variable by its name; the length of what it is.
fn ask_by_name(name: &str, octets: &mut [u8]) -> io::Result<usize> {
    let name = CString::new(name)?;
    let mut length = octets.len();
    #[expect(unsafe_code, reason = "nobody wraps it; pointer and length are one slice's")]
    let result = unsafe {
        let room = octets.as_mut_ptr().cast();
        libc::sysctlbyname(name.as_ptr(), room, &raw mut length, ptr::null(), 0)
    };
    if result == 0 { Ok(length) } else { Err(io::Error::last_os_error()) }
}

/// A number of 32 bits.
///
/// # Errors
///
/// The system's error.
pub(super) fn number(name: &str) -> io::Result<i32> {
    let mut octets = [0; 4];
    match ask_by_name(name, &mut octets)? {
        4 => Ok(i32::from_ne_bytes(octets)),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// Sets a number of 32 bits.
///
/// # Errors
///
/// The system's error.
pub(super) fn set_number(name: &str, value: i32) -> io::Result<()> {
    let name = CString::new(name)?;
    let octets = value.to_ne_bytes();
    #[expect(unsafe_code, reason = "nobody wraps it; pointer and length are one array's")]
    let result = unsafe {
        let (none, new) = (ptr::null_mut(), octets.as_ptr().cast());
        libc::sysctlbyname(name.as_ptr(), none, ptr::null_mut(), new, octets.len())
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// A text.
///
/// # Errors
///
/// The system's error.
pub(super) fn text(name: &str) -> io::Result<String> {
    let mut octets = [0; 256];
    let length = ask_by_name(name, &mut octets)?;
    let text = octets.get(..length).unwrap_or_default();
    let text = text.split(|octet| *octet == 0).next().unwrap_or_default();
    Ok(String::from_utf8_lossy(text).into_owned())
}

/// Seconds and microseconds.
///
/// # Errors
///
/// The system's error.
pub(super) fn time(name: &str) -> io::Result<(i64, i64)> {
    let mut octets = [0; 16];
    let length = ask_by_name(name, &mut octets)?;
    let (seconds, behind) = octets.split_at(8);
    match (seconds.first_chunk(), behind.first_chunk()) {
        (Some(seconds), Some(rest)) if length == 16 => {
            Ok((i64::from_ne_bytes(*seconds), i64::from_ne_bytes(*rest)))
        }
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}
