//! Which request is sent when.

use std::time::{Duration, Instant};

use super::{Pace, Until};

/// How long after its end an open loop still sends what was due before.
const GRACE: Duration = Duration::from_secs(10);

/// A request to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ticket {
    /// Its number, from 0.
    pub(super) number: u64,
    /// When it should be sent.
    pub(super) due: Instant,
}

/// Hands out the requests of one load.
#[derive(Debug)]
pub(super) struct Schedule {
    pace: Pace,
    until: Until,
    started: Instant,
    next: u64,
}

impl Schedule {
    pub(super) const fn new(pace: Pace, until: Until, started: Instant) -> Self {
        Self {
            pace,
            until,
            started,
            next: 0,
        }
    }

    /// The next request for a connection that is free, or nothing at the end.
    pub(super) fn take(&mut self, now: Instant) -> Option<Ticket> {
        let ticket = Ticket {
            number: self.next,
            due: self.due(self.next, now),
        };
        if self.is_over(ticket, now) {
            return None;
        }
        self.next += 1;
        Some(ticket)
    }

    /// How long those have waited that were due and never sent.
    pub(super) fn unserved(mut self, now: Instant) -> Vec<Duration> {
        let mut waited = Vec::new();
        if let (Pace::Open(_), Until::Elapsed(time)) = (self.pace, self.until) {
            loop {
                let due = self.due(self.next, now);
                if due >= self.started + time {
                    break;
                }
                waited.push(now.saturating_duration_since(due));
                self.next += 1;
            }
        }
        waited
    }

    fn due(&self, number: u64, now: Instant) -> Instant {
        match self.pace {
            Pace::Closed => now,
            Pace::Open(rate) => {
                let after = crate::bench::figure::float(number) / rate.max(1e-3);
                self.started + Duration::from_secs_f64(after)
            }
        }
    }

    fn is_over(&self, ticket: Ticket, now: Instant) -> bool {
        match self.until {
            Until::Sent(count) => ticket.number >= count,
            Until::Elapsed(time) => {
                let end = self.started + time;
                let too_late = matches!(self.pace, Pace::Open(_)) && now >= end + GRACE;
                ticket.due >= end || too_late
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Duration, Instant, Pace, Schedule, Until};

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_closed_loop_sends_at_once_until_the_end() {
        let start = Instant::now();
        let mut schedule = Schedule::new(Pace::Closed, Until::Elapsed(SECOND), start);
        for (number, millis) in [(0, 0), (1, 5), (2, 999)] {
            let now = start + Duration::from_millis(millis);
            let ticket = schedule.take(now).unwrap();
            assert_eq!((ticket.number, ticket.due), (number, now));
        }
        assert_eq!(schedule.take(start + SECOND), None);
        assert!(schedule.unserved(start + SECOND).is_empty());
    }

    #[test]
    fn an_open_loop_keeps_its_rate_whatever_the_server_does() {
        let start = Instant::now();
        let mut schedule = Schedule::new(Pace::Open(4.0), Until::Elapsed(SECOND), start);
        let mut dues = Vec::new();
        // Nobody was free for two seconds; what was due by then is still sent, as of its time.
        while let Some(ticket) = schedule.take(start + 2 * SECOND) {
            dues.push((ticket.due - start).as_millis());
        }
        assert_eq!(dues, [0, 250, 500, 750]);
    }

    #[test]
    fn what_was_never_sent_is_counted() {
        let start = Instant::now();
        let mut schedule = Schedule::new(Pace::Open(4.0), Until::Elapsed(SECOND), start);
        assert!(schedule.take(start).is_some());
        let late = start + 20 * SECOND;
        assert_eq!(schedule.take(late), None);
        let waited: Vec<_> = schedule
            .unserved(late)
            .iter()
            .map(Duration::as_millis)
            .collect();
        assert_eq!(waited, [19_750, 19_500, 19_250]);
    }

    #[test]
    fn a_number_of_requests_is_kept() {
        let start = Instant::now();
        let mut schedule = Schedule::new(Pace::Closed, Until::Sent(2), start);
        let far = start + 1000 * SECOND;
        assert!(schedule.take(far).is_some() && schedule.take(far).is_some());
        assert!(schedule.take(far).is_none());
    }
}
