//! What comes in can be recorded, and played again: the same core makes the same of it.

use renumberd::core::Core;
use renumberd::core::memory::Memory;
use renumberd::core::output::Output;
use renumberd::platform::CAPABILITIES;
use renumberd::wire::dhcpv6::Message;

use crate::world::{ROUTER, advertisement, dhcpv6, icmpv6, own_duid};

use super::*;

const START: Instant = Instant::from_secs(1000);

fn core() -> Core {
    Core::new(config(), Memory::default(), own_duid(), CAPABILITIES, [7; 32], START)
}

/// The outputs of a core, as they are written down.
fn outputs(core: &mut Core) -> Vec<Output> {
    std::iter::from_fn(|| core.poll_output()).collect()
}

/// A start, a change of the prefix, a link that goes and comes, and commands.
fn record() -> Vec<(Instant, Input)> {
    let mut world = World::new(config(), "2001:db8:a000::/56");
    let system = world.system().clone();
    let link = system.links[&UPLINK].clone();
    let heard =
        |prefix| icmpv6(UPLINK, ROUTER, advertisement(vec![pio(prefix, 7200, 3600)]).encode());
    let event = |running| {
        let link = renumberd::core::kernel::system::Link { running, ..link.clone() };
        Input::Kernel(vec![KernelEvent::Link(link)])
    };
    let acts = [
        (0, Input::System(system)),
        (10, heard(A)),
        (3000, heard(B)),
        (6000, event(false)),
        (6500, event(true)),
        (7000, Input::Command(Command::Renew { uplink: None })),
        (8000, Input::Command(Command::Reload(Box::new(config())))),
    ];
    let mut inputs: Vec<(Instant, Input)> = Vec::new();
    let mut core = core();
    let mut acts = acts.map(|(at, act)| (START + at * MS, act)).into_iter().peekable();
    let mut now = START;
    while now < START + Duration::from_secs(20) {
        let input = match acts.next_if(|(at, _)| *at <= now) {
            Some((_, act)) => act,
            None => Input::Timeout,
        };
        let mut coming = vec![input];
        while let Some(input) = coming.pop() {
            inputs.push((now, input.clone()));
            core.handle(now, input);
            for output in outputs(&mut core) {
                if let Output::SendDhcpv6(packet) = output {
                    let question = Message::decode(&packet.octets).unwrap();
                    let answer = world.provider().answer(now, &question);
                    coming.extend(answer.map(|(_, answer)| dhcpv6(&answer)));
                }
            }
        }
        now = now + 10 * MS;
    }
    inputs
}

#[test]
fn inputs_can_be_recorded_and_replayed() {
    let inputs = record();
    let mut cores = (core(), core());
    let mut written = String::new();
    for (now, input) in inputs {
        let line = serde_json::to_string(&(now, &input)).unwrap();
        let (at, played): (Instant, Input) = serde_json::from_str(&line).unwrap();
        assert_eq!((at, &played), (now, &input));
        cores.0.handle(now, input);
        cores.1.handle(at, played);
        let made = outputs(&mut cores.0);
        assert_eq!(outputs(&mut cores.1), made);
        written.extend(made.iter().map(|output| serde_json::to_string(output).unwrap()));
    }
    for what in ["SendDhcpv6", "SendIcmpv6", "Apply", "Remember", "Event", "2001:db8:a000:1::1"] {
        assert!(written.contains(what), "{what}");
    }
}
