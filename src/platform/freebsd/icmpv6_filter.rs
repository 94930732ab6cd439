//! ICMP6_FILTER as FreeBSD has it.

/// The filter's 256 bits in words of the machine's order: a set bit passes its type (Linux has it the
/// other way round).
pub fn icmpv6_filter(types: &[u8]) -> [u8; 32] {
    let mut words = [0_u32; 8];
    for &kind in types {
        if let Some(word) = words.get_mut(usize::from(kind >> 5)) {
            *word |= 1 << (kind & 31);
        }
    }
    let mut filter = [0; 32];
    for (octets, word) in filter.chunks_exact_mut(4).zip(words) {
        octets.copy_from_slice(&word.to_le_bytes());
    }
    filter
}
