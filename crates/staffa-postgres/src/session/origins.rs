//! Which record of the request each sent record was, in little room.

/// How many runs are kept; what comes after them has no place.
const RUNS_MAX: usize = 1 << 20;

/// The index of a record in its request, and the line on which it starts.
pub(super) type Origin = (u64, Option<u64>);

/// Runs of consecutive indexes on consecutive lines.
#[derive(Debug, Default)]
pub(super) struct Origins {
    /// The number of the first record of each run, and where it stood in the request.
    runs: Vec<(u64, Origin)>,
    len: u64,
    overflowed: bool,
}

impl Origins {
    /// Notes where the next record stood.
    pub(super) fn push(&mut self, origin: Origin) {
        if self.overflowed {
            return;
        }
        let last = self.get(self.len.wrapping_sub(1));
        let expected = last.map(|(index, line)| (index + 1, line.map(|line| line + 1)));
        if expected != Some(origin) {
            if self.runs.len() == RUNS_MAX {
                self.overflowed = true;
                return;
            }
            self.runs.push((self.len, origin));
        }
        self.len += 1;
    }

    /// Where the record with this number, from zero, stood in the request.
    pub(super) fn get(&self, record: u64) -> Option<Origin> {
        if record >= self.len {
            return None;
        }
        let run = self.runs.partition_point(|(first, _)| *first <= record);
        let (first, (index, line)) = self.runs.get(run.checked_sub(1)?)?;
        let further = record - first;
        Some((index + further, line.map(|line| line + further)))
    }
}

#[cfg(test)]
mod tests {
    use super::Origins;

    #[test]
    fn gaps_in_the_request_are_kept() {
        let mut origins = Origins::default();
        let given = [0, 1, 2, 5, 6, 9, 3].map(|index| (index, None));
        for origin in given {
            origins.push(origin);
        }
        let found: Vec<_> = (0..7).filter_map(|record| origins.get(record)).collect();
        assert_eq!(found, given);
        assert_eq!(origins.get(7), None);
        assert_eq!(origins.runs.len(), 4);
    }

    #[test]
    fn gaps_between_lines_are_kept() {
        let mut origins = Origins::default();
        let given = [(4, Some(6)), (5, Some(7)), (6, Some(9)), (7, Some(10))];
        for origin in given {
            origins.push(origin);
        }
        let found: Vec<_> = (0..4).filter_map(|record| origins.get(record)).collect();
        assert_eq!(found, given);
        assert_eq!(origins.runs.len(), 2);
    }

    #[test]
    fn more_gaps_than_are_kept_leave_the_rest_without_a_place() {
        let mut origins = Origins::default();
        let kept = super::RUNS_MAX as u64;
        for record in 0..kept + 2 {
            origins.push((record * 2, None));
        }
        assert_eq!(origins.get(kept - 1), Some(((kept - 1) * 2, None)));
        assert_eq!(origins.get(kept), None);
        assert_eq!(origins.runs.len(), super::RUNS_MAX);
    }
}
