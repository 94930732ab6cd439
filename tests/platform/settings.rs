//! Settings below `/proc/sys`, and what names the machine.

use std::io::ErrorKind;
use std::process::Command;

use nix::sched::{CloneFlags, unshare};
use renumberd::core::output::{Object, Step, Sysctl};
use renumberd::platform::linux::identity;
use renumberd::platform::linux::sysctl::{read_sysctl, write_sysctl};
use renumberd::wire::dhcpv6_option::Duid;

use super::bench::on_machine;
use crate::lab::provider::Era;
use crate::lab::scripted::{Script, Scripted};
use crate::lab::{eventually, secs};

/// A setting is read, changed on its interface alone, and put back.
#[test]
fn settings_are_read_set_and_restored() {
    on_machine(|_, _| {
        for (name, value) in [(Sysctl::AcceptRa, 2), (Sysctl::HopLimit, 17), (Sysctl::Mtu, 1280)] {
            let before = read_sysctl("one0", name).unwrap();
            let neighbor = read_sysctl("two0", name);
            assert_ne!(before, value);
            write_sysctl("one0", name, value).unwrap();
            assert_eq!(read_sysctl("one0", name), Some(value));
            assert_eq!(read_sysctl("two0", name), neighbor);
            write_sysctl("one0", name, before).unwrap();
            assert_eq!(read_sysctl("one0", name), Some(before));
        }
    });
}

/// A value that the kernel does not take is an error that says so, and leaves what was there.
#[test]
fn a_value_out_of_range_is_refused() {
    on_machine(|_, _| {
        let before = read_sysctl("one0", Sysctl::Mtu);
        for value in [-1, 0, 1279, 1501] {
            let error = write_sysctl("one0", Sysctl::Mtu, value).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::EINVAL), "{value}");
        }
        assert_eq!(read_sysctl("one0", Sysctl::Mtu), before);
    });
}

/// An interface can be called what looks like a path or a pattern, and is none.
#[test]
fn interface_names_are_taken_literally() {
    on_machine(|machine, _| {
        machine.ip("link set one0 down");
        machine.ip("link set one0 name lan.7-a_b");
        machine.ip("link set lan.7-a_b up");
        write_sysctl("lan.7-a_b", Sysctl::HopLimit, 17).unwrap();
        assert_eq!(read_sysctl("lan.7-a_b", Sysctl::HopLimit), Some(17));
        for name in ["../conf/two0", "", ".", ".."] {
            assert_eq!(read_sysctl(name, Sysctl::HopLimit), None, "{name}");
            let error = write_sysctl(name, Sysctl::HopLimit, 17).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{name}");
        }
        assert_ne!(read_sysctl("two0", Sysctl::HopLimit), Some(17));
    });
}

/// STO-01: the machine's own identifier makes the same DUID-UUID each time and does not show in
/// it; an image that has none yet is told by an error.
#[test]
fn the_duid_comes_from_the_machine_id() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("machine-id");
    let with = |machine_id: &str| {
        std::fs::write(&file, machine_id).unwrap();
        let bind = ["--bind", file.to_str().unwrap(), "/etc/machine-id"];
        in_own_mounts(|| {
            mount(&["--make-rprivate", "/"]);
            mount(&bind);
            identity::machine_uuid()
        })
    };
    let id = "000102030405060708090a0b0c0d0e0f";
    let uuid = with(&format!("{id}\n")).unwrap();
    assert_eq!(with(id).unwrap(), uuid);
    assert_ne!(with("000102030405060708090a0b0c0d0e10\n").unwrap(), uuid);
    let duid = Duid::from_uuid(uuid);
    assert_eq!((duid.octets().len(), &duid.octets()[..2]), (18, &[0, 4][..]));
    assert_eq!((uuid[6] >> 4, uuid[8] >> 6), (8, 2));
    assert!(!duid.to_string().contains("0405060708"));
    for none in ["", "uninitialized\n", "00000000000000000000000000000000\n"] {
        assert_eq!(with(none).unwrap_err().kind(), ErrorKind::InvalidData, "{none:?}");
    }
}

/// §15c: the boot is named by the kernel, the same until the next.
#[test]
fn the_boot_is_named() {
    let boot = identity::boot_id().unwrap();
    assert_eq!((boot.len(), boot.matches('-').count()), (36, 4));
    assert_eq!(identity::boot_id().unwrap(), boot);
}

/// Runs `work` where mounts are seen by nobody else.
fn in_own_mounts<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let enter = || {
        let entered = unshare(CloneFlags::CLONE_NEWNS);
        entered.expect("mount namespaces need root: run sudo tests/all.sh");
        work()
    };
    std::thread::scope(|scope| scope.spawn(enter).join().unwrap())
}

fn mount(arguments: &[&str]) {
    let status = Command::new("mount").args(arguments).status().unwrap();
    assert!(status.success(), "mount {arguments:?}");
}

/// RA-RX-80: what the kernel made of advertisements goes, what others have set stays.
#[test]
fn objects_that_the_kernel_formed_are_dropped() {
    on_machine(|machine, mut platform| {
        machine.sysctl("one0", "accept_ra", 2);
        let era = Era::new(1);
        let router = Scripted::start((machine, "two0"), "fe80::99", Script::new(era));
        router.advertise();
        eventually("the kernel takes the advertisement", secs(5), || {
            machine.ip("-6 addr show dev one0").contains("2001:db8:1:").then_some(())
        });
        write_sysctl("one0", Sysctl::AcceptRa, 0).unwrap();
        for command in [
            "addr add 2001:db8:b::5/64 dev one0 valid_lft 900 preferred_lft 600 nodad",
            "addr add fd00::101/120 dev one0 nodad",
            "route add default via fe80::2 dev one0 metric 2048",
        ] {
            machine.ip(&format!("-6 {command}"));
        }
        let step = Step::Set(Object::Takeover(platform.index("one0")));
        platform.take(&[step.clone(), step]);
        let addresses = machine.ip("-6 addr show dev one0");
        assert!(!addresses.contains("2001:db8:1:"), "{addresses}");
        for kept in ["2001:db8:b::5/64", "fd00::101/120", "fe80::"] {
            assert!(addresses.contains(kept), "{kept}: {addresses}");
        }
        let routes = machine.ip("-6 route show dev one0");
        assert!(!routes.contains("proto ra") && !routes.contains("2001:db8:1::/64"), "{routes}");
        for kept in ["default via fe80::2", "2001:db8:b::/64", "fd00::100/120"] {
            assert!(routes.contains(kept), "{kept}: {routes}");
        }
    });
}
