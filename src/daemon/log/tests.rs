use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use super::*;
use crate::core::event::{Condition, RefusedStep, RejectedPacket};
use crate::core::kernel::object::Refusal;
use crate::core::output::{Object, Port, Step};
use crate::core::stage::Stage;
use crate::core::stage::{Cause, Prefixes};
use crate::daemon::JsonLines;

const NOW: Instant = Instant::from_secs(100);

/// An event of another value for each number.
fn foreign_router(interface: &str, number: u16) -> Event {
    let router = [0xfe80, 0, 0, 0, 0, 0, 0, number].into();
    Event::ForeignRouter { interface: Some(interface.to_owned()), router }
}

fn line(number: u16) -> Line {
    Line::Event(foreign_router("lan0", number))
}

#[test]
fn a_flood_of_one_kind_is_logged_by_its_first_lines_and_their_number() {
    let mut log = Log::default();
    let written = (0..1100).filter(|number| log.admit(NOW, &line(*number))).count();
    assert_eq!(written, 10);
    assert!(log.admit(NOW, &Line::Event(foreign_router("lan1", 1))), "another interface");
    let packet = RejectedPacket {
        kind: "ra",
        reason: "source",
        source: "2001:db8::1".parse().unwrap(),
        message_type: Some(134),
    };
    let interface = Some("lan0".to_owned());
    assert!(log.admit(NOW, &Line::Event(Event::PacketRejected { interface, packet })));
    assert_eq!(log.deadline(), Some(NOW + WINDOW));
    assert_eq!(log.take_left_out(NOW + WINDOW / 2), []);
    let left_out = log.take_left_out(NOW + WINDOW);
    assert_eq!(left_out, [LeftOut { line: line(1099), others: 1089 }]);
    assert_eq!(log.deadline(), None);
    assert!(log.admit(NOW + WINDOW, &line(1)));
}

#[test]
fn kinds_without_number_are_bounded_too() {
    let mut log = Log::default();
    let line = |number: u32| Line::Event(foreign_router(&format!("lan{number}"), 1));
    let written = (0..5000).filter(|number| log.admit(NOW, &line(*number))).count();
    assert_eq!(written, MAX_KINDS + 10);
    assert!(log.kinds.len() <= MAX_KINDS + 1);
}

#[test]
fn warnings_of_the_shell_are_of_one_kind_where_they_come_from_one_place() {
    let mut log = Log::default();
    for number in 0..100 {
        log.warn(NOW, format!("{number} files cannot be written"));
    }
    log.warn(NOW, "the timer cannot be set");
    assert_eq!(log.kinds.len(), 2);
    assert_eq!(log.take_left_out(NOW + WINDOW).len(), 1);
}

/// What `write` has logged, line by line.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(octets)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Lines {
    fn text(&self) -> String {
        let octets = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        String::from_utf8(octets).unwrap()
    }
}

/// The lines of the log for programs.
fn json(write: impl FnOnce(&mut Log)) -> Vec<Value> {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::DEBUG)
        .event_format(JsonLines)
        .with_writer(move || writer.clone())
        .finish();
    tracing::subscriber::with_default(subscriber, || write(&mut Log::new(true)));
    lines.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

const IN_USE: Refusal = Refusal::Other { number: 98, text: "Address already in use" };

/// CHG-11: values are fields of a line, and no part of a string.
#[test]
fn a_log_for_programs_carries_values_as_fields() {
    let prefixes = |delegated: &str| Prefixes {
        on_link: Vec::new(),
        delegated: vec![delegated.parse().unwrap()],
    };
    let events = [
        Event::ChangeFinished {
            interface: "wan0".to_owned(),
            change: 7,
            cause: Cause::Advertisement,
            from: prefixes("2001:db8:100::/56"),
            to: prefixes("2001:db8:200::/56"),
            latencies: [(Stage::Delegated, Duration::from_micros(1500))].into(),
        },
        Event::PacketRejected {
            interface: Some("lan0".to_owned()),
            packet: RejectedPacket {
                kind: "dhcpv6",
                reason: "transaction-id",
                source: "fe80::1".parse().unwrap(),
                message_type: Some(7),
            },
        },
        Event::ConditionBegan {
            interface: Some("lan0".to_owned()),
            condition: Condition::WithoutSubnet {
                prefix: "2001:db8:200::/64".parse().unwrap(),
                reason: crate::core::plan::Unassigned::Full,
            },
        },
        Event::StepRefused(RefusedStep {
            interface: None,
            step: Step::Set(Object::Port(Port::Server)),
            refusal: IN_USE,
        }),
    ];
    let lines = json(|log| events.into_iter().for_each(|event| log.write(NOW, event)));
    let [change, packet, condition, step] = &lines[..] else { panic!("{lines:?}") };

    assert_eq!(change["level"], "INFO");
    assert!(change["timestamp"].as_str().unwrap().ends_with('Z'));
    let change = &change["fields"];
    assert_eq!(change["event"], "change-finished");
    assert_eq!((&change["interface"], &change["change"]), (&"wan0".into(), &7.into()));
    assert_eq!(change["cause"], "advertisement");
    assert_eq!(change["from"]["delegated"][0], "2001:db8:100::/56");
    assert_eq!(change["to"]["delegated"][0], "2001:db8:200::/56");
    assert_eq!(change["latency_ms"]["delegated"], 1.5);
    let sentence = "change 7: delegated 2001:db8:100::/56 -> 2001:db8:200::/56, answered after \
                    1.500 ms";
    assert_eq!(change["message"], sentence);

    let packet = &packet["fields"];
    assert_eq!((&packet["kind"], &packet["reason"]), (&"dhcpv6".into(), &"transaction-id".into()));
    assert_eq!((&packet["source"], &packet["message_type"]), (&"fe80::1".into(), &7.into()));

    let condition = &condition["fields"];
    assert_eq!(condition["event"], "condition-began");
    assert_eq!(
        (&condition["condition"], &condition["reason"]),
        (&"without-subnet".into(), &"full".into())
    );
    assert_eq!(condition["prefix"], "2001:db8:200::/64");

    let step = &step["fields"];
    assert_eq!((&step["step"], &step["errno"]), (&"open UDP port 547".into(), &98.into()));
    assert_eq!((&step["refusal"], &step["reason"]), (&"other".into(), &IN_USE.to_string().into()));
    assert!(step["interface"].is_null());
}

#[test]
fn lines_that_were_left_out_are_counted_in_a_field() {
    let lines = json(|log| {
        (0..20).for_each(|number| log.write(NOW, foreign_router("lan0", number)));
        log.close(NOW);
        log.warn(NOW, "the timer cannot be set");
    });
    assert_eq!(lines.len(), 12);
    let last = &lines[10]["fields"];
    assert_eq!((&last["left_out"], &last["router"]), (&9.into(), &"fe80::13".into()));
    let message = last["message"].as_str().unwrap();
    assert!(message.ends_with(", and 9 more like it"), "{message}");
    let warning = &lines[11];
    assert_eq!(
        (&warning["level"], &warning["fields"]["message"]),
        (&"WARN".into(), &"the timer cannot be set".into())
    );
}

#[test]
fn a_log_for_people_has_sentences() {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_target(false)
        .with_writer(move || writer.clone())
        .finish();
    tracing::subscriber::with_default(subscriber, || {
        Log::new(false).write(NOW, foreign_router("lan0", 1));
    });
    let text = lines.text();
    let sentence = "WARN another router advertises here: fe80::1 interface=\"lan0\"\n";
    assert!(text.ends_with(sentence), "{text}");
}
