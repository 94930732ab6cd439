//! How long servers take to answer (after RFC 6298), which decides how soon a request after a
//! change is repeated (PDC-41).

use std::time::Duration;

use crate::time::Instant;
use crate::wire::dhcpv6_option::Duid;

/// The most servers that are kept, the one that was heard last in front.
const SERVERS: usize = 8;

/// The first interval for an unknown server.
pub(super) const UNKNOWN: Duration = Duration::from_millis(200);

/// The first repetition comes no sooner, nor later than a ladder's next step does.
const LEAST: Duration = Duration::from_millis(20);
const MOST: Duration = Duration::from_secs(1);

/// Round trips before the first repetition.
const ROUND_TRIPS: u32 = 4;

/// The weight of a slower round trip in the mean is one part in this many. A quicker one is the mean
/// from then on: the first answer of a server may have waited for its disk, or for a prefix, and the
/// next loss is not to cost as much.
const PARTS: u32 = 8;

/// The round trips of servers, kept as long as the uplink lives.
#[derive(Clone, Debug, Default)]
pub(super) struct RoundTrips(Vec<(Duid, RoundTrip)>);

#[derive(Clone, Copy, Debug, Default)]
struct RoundTrip {
    smoothed: Option<Duration>,
    /// The interval that the last answer took, where it came after repetitions and so measures
    /// nothing: it stands until a question is answered at the first attempt (RFC 6298 §5.7).
    backed_off: Option<Duration>,
}

impl RoundTrips {
    /// `server` answered at `now` a request that was sent `count` times, last at `sent_at`, and
    /// would have been repeated `interval` after that. The answer to a repeated request may belong
    /// to any of its messages and measures nothing.
    pub(super) fn handle_answer(
        &mut self,
        server: &Duid,
        now: Instant,
        sent_at: Instant,
        count: u32,
        interval: Duration,
    ) {
        let mut known = self.take(server);
        if count == 1 {
            let sample = now.since(sent_at);
            let smoothed = known.smoothed.map_or(sample, |smoothed| {
                sample.min(smoothed - smoothed / PARTS + sample / PARTS)
            });
            known = RoundTrip { smoothed: Some(smoothed), backed_off: None };
        } else {
            known.backed_off = Some(interval);
        }
        self.0.insert(0, (server.clone(), known));
        self.0.truncate(SERVERS);
    }

    /// The first interval of a request to `server`.
    pub(super) fn timeout(&self, server: Option<&Duid>) -> Duration {
        let known = self.0.iter().find(|(other, _)| Some(other) == server);
        let known = known.map(|(_, known)| *known).unwrap_or_default();
        let smoothed = known.smoothed.map(|smoothed| smoothed.saturating_mul(ROUND_TRIPS));
        smoothed.unwrap_or(UNKNOWN).max(known.backed_off.unwrap_or_default()).clamp(LEAST, MOST)
    }

    fn take(&mut self, server: &Duid) -> RoundTrip {
        let position = self.0.iter().position(|(other, _)| other == server);
        position.map(|position| self.0.remove(position).1).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(number: u8) -> Duid {
        Duid::from_uuid([number; 16])
    }

    fn millis(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    /// PDC-41
    #[test]
    fn the_first_repetition_follows_the_round_trips() {
        let start = Instant::from_secs(1);
        let mut known = RoundTrips::default();
        let mut answer = |number, after, count, interval| {
            let (at, interval) = (start + millis(after), millis(interval));
            known.handle_answer(&server(number), at, start, count, interval);
            known.timeout(Some(&server(number)))
        };
        assert_eq!(answer(1, 1, 1, 200), millis(20), "20 ms at least");
        assert_eq!(answer(2, 30, 1, 200), millis(120), "four round trips");
        assert_eq!(answer(2, 110, 1, 200), millis(160), "30 ms and an eighth of what is more");
        assert_eq!(
            answer(2, 500, 3, 640),
            millis(640),
            "an answer after repetitions is no measure"
        );
        assert_eq!(answer(2, 40, 1, 640), millis(160), "until one comes at the first attempt");
        assert_eq!(answer(3, 3000, 1, 1000), millis(1000), "a second at most");
        assert_eq!(answer(3, 8, 1, 1000), millis(32), "a quicker answer counts at once");
        assert_eq!(answer(4, 500, 2, 400), millis(400), "never measured");
        assert_eq!(known.timeout(Some(&server(5))), millis(200), "never heard");
        assert_eq!(known.timeout(None), millis(200));
        assert_eq!(known.timeout(Some(&server(1))), millis(20), "each by itself");
        for number in 10..18 {
            known.handle_answer(&server(number), start, start, 1, millis(200));
        }
        assert_eq!(known.0.len(), SERVERS);
        assert_eq!(
            known.timeout(Some(&server(1))),
            millis(200),
            "the longest unheard is forgotten"
        );
    }
}
