//! Raw ICMPv6 and UDP 546 sockets with their control messages.
